# SPDX-License-Identifier: BSD-2-Clause
#
# Several balancers in the lab: topologies `ecmp` (a router with BIRD spreads connections over all of them) and `vrrp`
# (keepalived moves the address from one to the other). Sourced by tools/lab and the system tests. Each balancer is a
# namespace balancer1..N with an agent of its own, instance lab-ID-N; they share the secret of the state directory.
#
#   ecmp   client 10.0.0.2 ── 10.0.0.1 router 192.168.1.1 ──┬── balancer1 .11, balancer2 .12, ...   BGP, BFD
#                                                           └── backend1 .100, ...; they hold the service address on lo
#   vrrp   the same, but the router looks for the service address on its LAN, and keepalived moves it between balancers
#
# The service address is 10.99.0.1, fd00:99::1; the balancers' own ones towards servers, where a configuration has such,
# 10.98.0.11, fd00:98::11, and so on.

readonly CLUSTER_VIP4=10.99.0.1 CLUSTER_VIP6=fd00:99::1 CLUSTER_FIRST=11 CLUSTER_SOURCES4=10.98.0. CLUSTER_SOURCES6=fd00:98::

cluster_count() {
	lab_state balancers
}

# The command line interface, aimed at balancer $1's agent.
cluster_ctl() {
	local n=$1

	shift
	lab_in "balancer$n" "$LAB_BUILD/alwayson" --name "$LAB_NAME-$n" "$@"
}

# Builds topology $1 with $2 backends and $3 balancers; no agent, no routing daemon yet.
cluster_up() {
	local topology=$1 backends=$2 balancers=$3 i ns

	for i in switch client router; do
		add_role "$i"
	done
	add_bridge lan
	add_bridge wan
	plug client eth0 wan
	client_addresses wan
	default_route client 1 wan
	plug router eth0 wan
	plug router eth1 lan
	address router eth0 1 wan
	address router eth1 1
	net_set "$(lab_netns router)" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
		net.ipv4.fib_multipath_hash_policy=1 net.ipv6.fib_multipath_hash_policy=1 \
		net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
	for ((i = 1; i <= backends; i++)); do
		add_role "backend$i"
		plug "backend$i" eth0 lan
		address "backend$i" eth0 $((LAB_FIRST_BACKEND + i - 1))
		default_route "backend$i" 1
		ns=$(lab_netns "backend$i")
		net_set "$ns" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
		net_ip "$ns" address add "$CLUSTER_VIP4/32" dev lo
		net_ip "$ns" address add "$CLUSTER_VIP6/128" dev lo nodad
	done
	for ((i = 1; i <= balancers; i++)); do
		add_role "balancer$i"
		plug "balancer$i" eth0 lan
		address "balancer$i" eth0 $((CLUSTER_FIRST + i - 1))
		default_route "balancer$i" 1
	done
	if [ "$topology" = vrrp ]; then
		net_ip "$(lab_netns router)" route add 10.99.0.0/24 dev eth1
		net_ip "$(lab_netns router)" route add fd00:99::/64 dev eth1
	fi
	lab_keep_state topology "$topology"
	lab_keep_state backends "$backends"
	lab_keep_state balancers "$balancers"
	lab_keep_state vip4 "$CLUSTER_VIP4"
	lab_keep_state vip6 "$CLUSTER_VIP6"
	lab_keep_state nics eth0
}

# --- agents

# Starts the agent of balancer $1 with configuration $2; does not wait.
cluster_agent_start() {
	local n=$1 config=$2

	shift 2
	mkdir -p "$LAB_DIR/balancer$n"
	cp "$config" "$LAB_DIR/balancer$n/agent.cfg"
	if mkdir -m 700 "$LAB_STATE_DIR" 2>/dev/null; then
		touch "$LAB_STATE_DIR/.lab"
	fi
	setsid nsenter --net="$(lab_netns_path "balancer$n")" "$LAB_BUILD/alwaysond" -f "$LAB_DIR/balancer$n/agent.cfg" \
		-i eth0 --name "$LAB_NAME-$n" "$@" </dev/null >>"$LAB_DIR/balancer$n/agent.log" 2>&1 9>&- &
	lab_keep_state "agent$n.pid" $!
	disown $! 2>/dev/null || true
}

cluster_agent_pid() {
	lab_state "agent$1.pid"
}

cluster_agent_is_ready() {
	cluster_ctl "$1" ready
}

cluster_agent_wait_ready() {
	wait_until "${2:-15}" "balancer$1's readiness" cluster_agent_is_ready "$1" && return 0
	tail -n 20 "$LAB_DIR/balancer$1/agent.log" | cut -c 1-200 | sed "s/^/    balancer$1: /" >&2
	return 1
}

cluster_agent_stop() {
	end_process "$(cluster_agent_pid "$1")" 10
}

cluster_server_is() {
	[[ $(cluster_ctl "$1" -j show servers "$2") =~ \"state\":\"([A-Z]+)\" ]] && [ "${BASH_REMATCH[1]}" = "$3" ]
}

# --- routing daemons, with the configurations that are shipped

# A shipped configuration with the lab's addresses: routing_config FILE N
routing_config() {
	sed -e "s/192\.0\.2\.11\b/192.168.1.$((CLUSTER_FIRST + $2 - 1))/g" -e 's/192\.0\.2\.1\b/192.168.1.1/g' \
		-e "s/203\.0\.113\.11\b/$CLUSTER_SOURCES4$((CLUSTER_FIRST + $2 - 1))/g" \
		-e "s/2001:db8:52::11\b/$CLUSTER_SOURCES6$((CLUSTER_FIRST + $2 - 1))/g" \
		-e "s/203\.0\.113\./$CLUSTER_SOURCES4/g" -e "s/2001:db8:52::/$CLUSTER_SOURCES6/g" \
		-e 's/192\.0\.2\.0\b/192.168.1.0/g' -e 's/198\.51\.100\./10.99.0./g' -e 's/2001:db8:51::/fd00:99::/g' \
		-e 's/^log syslog.*/log stderr all;/' "$LAB_ROOT/tools/$1"
}

# bird_start ROLE FILE N
bird_start() {
	local role=$1 dir=$LAB_DIR/$1

	mkdir -p "$dir"
	routing_config "$2" "${3:-1}" >"$dir/bird.conf"
	setsid nsenter --net="$(lab_netns_path "$role")" bird -f -c "$dir/bird.conf" -s "$dir/bird.ctl" \
		-P "$dir/bird.pid" </dev/null >>"$dir/bird.log" 2>&1 9>&- &
	lab_keep_state "$role.bird.pid" $!
	disown $! 2>/dev/null || true
}

bird_pid() {
	lab_state "$1.bird.pid"
}

# FRR on role $1, balancer $2: zebra, bfdd and bgpd, each by itself.
frr_start() {
	local role=$1 dir=$LAB_DIR/$1/frr daemon options

	mkdir -p "$dir"
	routing_config frr/frr.conf "$2" | sed 's/^log syslog.*/log stdout/' >"$dir/frr.conf"
	chown -R frr: "$dir" # the daemons give up root
	for daemon in zebra bfdd bgpd; do
		options=()
		[ "$daemon" != bfdd ] || options=(--bfdctl "$dir/bfdctl")
		setsid nsenter --net="$(lab_netns_path "$role")" "/usr/lib/frr/$daemon" -f "$dir/frr.conf" -z "$dir/zserv" \
			--vty_socket "$dir" -i "$dir/$daemon.pid" -A 127.0.0.1 "${options[@]}" \
			</dev/null >>"$dir/$daemon.log" 2>&1 9>&- &
		lab_keep_state "$role.$daemon.pid" $!
		disown $! 2>/dev/null || true
		[ "$daemon" != zebra ] || wait_until 5 "zebra" test -S "$dir/zserv"
	done
}

frr_pids() {
	lab_state "$1.zebra.pid"
	lab_state "$1.bfdd.pid"
	lab_state "$1.bgpd.pid"
}

# keepalived on balancer $1; further arguments: addresses that move with the service's.
keepalived_start() {
	local role=balancer$1 dir=$LAB_DIR/balancer$1 more

	more=$(printf '\\n\t\t%s dev eth0' "${@:2}")
	[ $# -gt 1 ] || more=

	mkdir -p "$dir"
	routing_config keepalived/keepalived.conf "$1" |
		sed -e "s|/usr/local/bin/alwayson ready|$LAB_BUILD/alwayson --name $LAB_NAME-$1 ready|" \
			-e "s|^\t\t10\.99\.0\.1/32 dev eth0|&$more|" >"$dir/keepalived.conf"
	rm -f "$dir/keepalived.pid" "$dir/vrrp.pid" # one that was killed left them, and the number may be another's by now
	setsid nsenter --net="$(lab_netns_path "$role")" keepalived --dont-fork --log-console --log-detail --vrrp \
		--use-file="$dir/keepalived.conf" --pid="$dir/keepalived.pid" --vrrp_pid="$dir/vrrp.pid" \
		</dev/null >>"$dir/keepalived.log" 2>&1 9>&- &
	lab_keep_state "$role.keepalived.pid" $!
	disown $! 2>/dev/null || true
}

keepalived_pid() {
	lab_state "balancer$1.keepalived.pid"
}

# Which balancers have the service address, on one line.
cluster_holders() {
	local i holders=

	for ((i = 1; i <= $(cluster_count); i++)); do
		[ -z "$(ip -n "$(lab_netns "balancer$i")" address show to "$CLUSTER_VIP4")" ] || holders+=" $i"
	done
	printf '%s' "${holders# }"
}

cluster_is_held_by() {
	[ "$(cluster_holders)" = "$1" ]
}

cluster_is_held() {
	[[ $(cluster_holders) =~ ^[0-9]$ ]]
}

# The whole of `tools/lab up --topology vrrp`.
cluster_start_vrrp() {
	local i

	for ((i = 1; i <= $(cluster_count); i++)); do
		sed '/announce/d' "$1" >"$LAB_DIR/cluster.cfg"
		cluster_agent_start "$i" "$LAB_DIR/cluster.cfg"
	done
	for ((i = 1; i <= $(cluster_count); i++)); do
		cluster_agent_wait_ready "$i"
		keepalived_start "$i"
	done
	wait_until 15 "one balancer to have the service address" cluster_is_held
}

# How many balancers the router sends packets for the service address to.
cluster_ways() {
	ip -n "$(lab_netns router)" route show "$CLUSTER_VIP4" | grep -o ' via ' | wc -l
}

cluster_has_ways() {
	[ "$(cluster_ways)" = "$1" ]
}

# The whole of `tools/lab up --topology ecmp`.
cluster_start_ecmp() {
	local i

	for ((i = 1; i <= $(cluster_count); i++)); do
		cluster_agent_start "$i" "$1"
		bird_start "balancer$i" bird/alwayson.conf "$i"
	done
	bird_start router bird/router.conf
	for ((i = 1; i <= $(cluster_count); i++)); do
		cluster_agent_wait_ready "$i"
	done
	wait_until 15 "the router to know the balancers" cluster_has_ways "$(cluster_count)"
}

# Cuts a role off, as if its machine were frozen: its port stays up, no frame passes. cut_off ROLE, rejoin ROLE.
# Not by taking the link down: the switch would then flood its frames to the other balancers, which steer them.
cut_off() {
	lab_in switch nft -f - <<NFT
table bridge cut-$1 {
	chain forward {
		type filter hook forward priority 0;
		iifname "$1" drop
		oifname "$1" drop
	}
}
NFT
}

rejoin() {
	lab_in switch nft delete table bridge "cut-$1"
}
