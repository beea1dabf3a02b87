#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Active/active with what only a flow table knows: a router spreads connections over three balancers that tell each other of
# them. When one dies the router gives its connections to the others, and some of the others' as well: all of them go on. Its
# own address towards the servers goes to the others as well, not always to the one that has the client's side.
#
#     client ── router ──┬── balancer1 .11, balancer2 .12, balancer3 .13      10.99.0.1 on lo, by `announce lo`, and
#                        │                                                    10.98.0.11 ... .13, each preferred at its own
#                        └── backend1 .100 ... backend3 .102                  10.99.0.1 on lo, silently
#
#     web    10.99.0.1:80          dsr, round robin          balancer3 has FRR, the others BIRD
#     nat    10.99.0.1:82          nat from 10.98.0.11 ...
#     nat6   [fd00:99::1]:82       nat from fd00:98::11 ...
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cluster_lib.sh"

config() {
	local i

	cat <<CFG >"$LAB_DIR/peers$1.cfg"
global
	localpeer lb$1
	hash-secret $LAB_DIR/secret
	announce lo wait 1s
peers balancers
$(for i in 1 2 3; do
	printf '\tpeer lb%d 192.168.1.1%d:10000 source-pool %s1%d:1%d000-1%d999 source-pool [%s1%d]:1%d000-1%d999\n' "$i" "$i" \
		"$CLUSTER_SOURCES4" "$i" "$i" "$i" "$CLUSTER_SOURCES6" "$i" "$i" "$i"
done)
$(quick_defaults)
	balance roundrobin
	flows peers balancers
listen web
	bind $CLUSTER_VIP4:80
	forward dsr
$(servers 3)
listen nat
	bind $CLUSTER_VIP4:82
	forward nat
$(servers 3)
listen nat6
	bind [$CLUSTER_VIP6]:82
	forward nat
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
CFG
}

# Each of the balancers knows all connections: CONNECTIONS of each service, and $1 more of nat.
all_know() {
	local i

	for i in 1 2 3; do
		expect "services of balancer$i that know not all" "$(cluster_ctl "$i" -j show services |
			jq --argjson n "$CONNECTIONS" --argjson more "$1" \
				'[.services[] | select(.connections < $n + (if .name == "nat" then $more else 0 end))] | length'
		)" -eq 0 || return
	done
}

# Connections that were recorded by others, and told of.
share_of() {
	cluster_ctl "$1" -j show peers | jq '[.peers[].records.inserted] | add'
}

# Each connection of each service is answered from now on.
all_go_on() {
	local name from_ms

	from_ms=$(now_ms)
	for name in "${NAMES[@]}"; do
		check "$1: all connections of $name go on" wait_until 20 "an answer on each of $CONNECTIONS" \
			all_kept "$LAB_DIR/hold.$name" "$from_ms"
	done
}

hold() {
	nsenter --net="$(lab_netns_path client)" "$LAB_BUILD/tests/system/steady_load" 90 "keep:$CONNECTIONS:$2" \
		>"$LAB_DIR/hold.$1" 2>&1 &
	HOLDS+=($!)
}

broken() {
	awk '$2 == "hold" { n++ } END { print n + 0 }' "$LAB_DIR/hold.$1"
}

# survive WHEN: every connection goes on, and none has broken since the start.
survive() {
	local name

	all_go_on "$1"
	for name in "${NAMES[@]}"; do
		check "$1: every connection of $name survives" expect "broken of $CONNECTIONS" "$(broken "$name")" -eq 0
		printf '# %s: %s: survived: %s %%\n' "$1" "$name" "$((100 * (CONNECTIONS - $(broken "$name")) / CONNECTIONS))"
	done
}

# The last numbers of the balancers that the router sends packets for address $1 to: "11", "12 13".
ways_of() {
	ip -n "$(lab_netns router)" -j route show "$1" | jq -r '[.[] | (.nexthops // [.])[].gateway | split(".")[3]] | sort | join(" ")'
}

goes_to() {
	[ "$(ways_of "$1")" = "$2" ]
}

# A download to the client's address in network $1, at 256 KiB/s: while nothing comes its client says nothing.
download() {
	nsenter --net="$(lab_netns_path client)" curl -sSf -m 60 --interface "10.1.$1.1" -o "$LAB_DIR/down.$1" \
		"http://$CLUSTER_VIP4:82/slow/3M" 2>"$LAB_DIR/down.$1.error" &
	DOWNLOADS+=($!)
}

# How many of the downloads became what they ought to.
downloads_whole() {
	local i n=0

	for ((i = 1; i <= NETWORKS; i++)); do
		if cmp -s "$LAB_DIR/down.$i" "$LAB_DIR/files/3M"; then
			n=$((n + 1))
		else
			sed "s/^/network $i: /" "$LAB_DIR/down.$i.error" >&2
		fi
	done
	printf '%d' "$n"
}

# In the log of balancer $1 behind line $2: everything was copied before the own address came up.
announced_last() {
	tail -n "+$(($2 + 1))" "$LAB_DIR/balancer$1/agent.log" |
		awk -v own="event=announced address=${CLUSTER_SOURCES4}1$1 " '/event=peer_copied/ { n++ } index($0, own) { exit n < 2 }'
}

readonly NAMES=(web nat nat6) NETWORKS=40 # more than the balancers watch the ways to (PEERS_WAYS_MAX)
HOLDS=() DOWNLOADS=()
begin --topology ecmp --backends 3 --balancers 3
for ((i = 1; i <= NETWORKS; i++)); do
	ip -n "$(lab_netns client)" address add "10.1.$i.1/32" dev lo
done
ip -n "$(lab_netns router)" route add 10.1.0.0/16 via 10.0.0.2
(umask 077; printf '%s\n' 0123456789abcdef0123456789abcdef >"$LAB_DIR/secret")
for i in 1 2 3; do
	config "$i"
	cluster_agent_start "$i" "$LAB_DIR/peers$i.cfg"
done
bird_start balancer1 bird/alwayson.conf 1
bird_start balancer2 bird/alwayson.conf 2
frr_start balancer3 3
bird_start router bird/router.conf
for i in 1 2 3; do
	cluster_agent_wait_ready "$i" || give_up start "balancer$i is not ready"
done
wait_until 20 "three ways" cluster_has_ways 3 || give_up start "the router knows $(cluster_ways) balancers"
for i in 1 2 3; do
	check "balancer$i's own address goes to it alone" wait_until 10 "one way" goes_to "${CLUSTER_SOURCES4}1$i" "1$i"
done
hold web "$CLUSTER_VIP4:80"
hold nat "$CLUSTER_VIP4:82"
hold nat6 "[$CLUSTER_VIP6]:82"
wait_until 15 "all to know all connections" all_know 0 || :
check "each balancer knows the connections of all" all_know 0
check "... most of which others told it of" expect "told of" "$(share_of 1)" -gt "$CONNECTIONS"
server_file 3M >/dev/null
for ((i = 1; i <= NETWORKS; i++)); do
	download "$i"
done
wait_until 8 "all to know the downloads" all_know "$NETWORKS" || give_up load "not all know the downloads"

cut_off balancer1
check "dead: the router knows two" wait_until 10 "two ways" cluster_has_ways 2
check "dead: its own address goes to the others" wait_until 10 "two ways" goes_to "${CLUSTER_SOURCES4}11" "12 13"
survive dead

# It comes back as from a crash, with an empty table: its own address is not its own before it knows what the others know.
cluster_agent_stop 1
rejoin balancer1
lines=$(wc -l <"$LAB_DIR/balancer1/agent.log")
cluster_agent_start 1 "$LAB_DIR/peers1.cfg"
check "back: its own address is its own again" wait_until 20 "one way" goes_to "${CLUSTER_SOURCES4}11" 11
check "back: ... once it had all records" announced_last 1 "$lines"
check "back: the router knows three" wait_until 10 "three ways" cluster_has_ways 3
survive back
wait "${DOWNLOADS[@]}" || :
check "every download in nat ends as it ought to, whatever network its client is in" expect "of $NETWORKS" \
	"$(downloads_whole)" -eq "$NETWORKS"

# The clients of one that withdraws go to the others, and so do the servers' replies to it.
nsenter --net="$(lab_netns_path client)" "$LAB_BUILD/tests/system/steady_load" 30 "http:50:$CLUSTER_VIP4:82" >"$LAB_DIR/load" 2>&1 &
LOAD_PID=$!
wait_until 5 "the load to begin" test -e "$LAB_DIR/load"
mark
cluster_ctl 2 withdraw >/dev/null
check "withdrawn: its own address goes to the others" wait_until 10 "two ways" goes_to "${CLUSTER_SOURCES4}12" "11 13"
survive withdrawn
check "withdrawn: no request in nat is lost that is tried once more" expect "lost" "$(lost_since "$since")" -eq 0
printf '# withdrawn: %s requests failed at first\n' "$(failed_since "$since")"
load_end
kill "${HOLDS[@]}"
