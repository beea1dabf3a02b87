# SPDX-License-Identifier: BSD-2-Clause
#
# Namespaces, wires and addresses of the lab. Sourced by tools/lab; starts no server and no agent.
#
#   one-armed   client .2   balancer .10   backends .100 .101 ...      one switch, 192.168.1.0/24, fd00:1::/64
#
#   routed      client 10.0.0.2 -- 10.0.0.1 router 192.168.1.1 -- balancer .10, backends .100 ...  on one switch
#
#   two-nics    client 10.0.0.2 -- 10.0.0.10 eth0 balancer eth1 192.168.1.10 -- backends .100 ...  on another switch
#
#   ecmp, vrrp  several balancers: see cluster.sh
#
# In IPv6 the client's side is fd00:2::/64 and the backends' side fd00:1::/64, with the same host numbers.
# Every NIC is a veth whose other end, named after its owner, is a port of a bridge in the namespace `switch`.
# The ports that face the balancer carry an XDP_PASS program (veth loses XDP_TX without one) and have checksum
# offload off: veth leaves checksums unfilled, and what XDP forwards would be dropped at the receiver.

readonly LAB_LAN4=192.168.1 LAB_LAN6=fd00:1: LAB_WAN4=10.0.0 LAB_WAN6=fd00:2:
readonly LAB_CLIENT_HOSTS="2 3 4 5" LAB_DSR_HOST=50 LAB_FIRST_BACKEND=100

topology_is_known() {
	case $1 in
	one-armed | routed | two-nics | ecmp | vrrp) return 0 ;;
	*) return 1 ;;
	esac
}

# The lines of `ip` in namespace $1: at once; or, from batch_begin to batch_run, kept, since a process for each line is what
# building takes its time for.
net_ip() {
	if [ "${batching:-0}" = 1 ]; then
		BATCH_IP[$1]+="${*:2}"$'\n'
	else
		ip -n "$@"
	fi
}

# Likewise settings of namespace $1. In a batch they come before everything else: no interface can be named but all and default.
net_set() {
	if [ "${batching:-0}" = 1 ]; then
		BATCH_SET[$1]+="${*:2} "
	else
		nsenter --net="/run/netns/$1" sysctl -q -w "${@:2}"
	fi
}

batch_begin() {
	batching=1
	BATCH_NETNS='' BATCH_FILLED=''
	declare -gA BATCH_IP=() BATCH_SET=()
}

# All namespaces, their settings, the switch with every wire, and what is left, in all namespaces side by side.
batch_run() {
	local ns switch port pids=() pid

	batching=0
	ip -batch - <<<"$BATCH_NETNS"
	for ns in "${!BATCH_SET[@]}"; do
		# shellcheck disable=SC2086 # words
		nsenter --net="/run/netns/$ns" sysctl -q -w ${BATCH_SET[$ns]} &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	switch=$(lab_netns switch)
	nsenter --net="/run/netns/$switch" ip -batch - <<<"${BATCH_IP[$switch]}"
	unset "BATCH_IP[$switch]"
	pids=()
	for port in $BATCH_FILLED; do
		checksums_filled "$port" &
		pids+=($!)
	done
	for ns in "${!BATCH_IP[@]}"; do
		nsenter --net="/run/netns/$ns" ip -batch - <<<"${BATCH_IP[$ns]}" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
}

# Creates a namespace with a loopback, no forwarding and addresses usable at once (no duplicate address detection).
add_role() {
	local ns=ao-$1-$LAB_ID

	if [ "${batching:-0}" = 1 ]; then
		BATCH_NETNS+="netns add $ns"$'\n'
	else
		ip netns add "$ns"
	fi
	net_set "$ns" net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.default.accept_ra=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
		net.ipv4.ip_forward=0
	net_ip "$ns" link set lo up
}

# Plugs NIC $2 of role $1 into bridge $3 of the switch. The port's name is ROLE or, for a second NIC, ROLE-NIC.
plug() {
	local role=$1 nic=$2 bridge=$3 port=$1 ns=ao-$1-$LAB_ID switch=ao-switch-$LAB_ID

	[ "$nic" = eth0 ] || port=$role-$nic
	net_ip "$switch" link add dev "$port" type veth peer name "$nic" netns "$ns"
	net_ip "$switch" link set dev "$port" master "$bridge" up
	net_ip "$ns" link set dev "$nic" up
	if [[ $role == balancer* ]]; then
		net_ip "$switch" link set dev "$port" xdpdrv object "$(pass_object)" section xdp.frags
		checksums_filled "$port"
	fi
}

# The switch's port $1 hands out no frame whose checksum is left to a NIC. ethtool knows no batch: for now it is kept.
checksums_filled() {
	if [ "${batching:-0}" = 1 ]; then
		BATCH_FILLED+=" $1"
	else
		lab_in switch ethtool -K "$1" tx off >/dev/null
	fi
}

add_bridge() {
	local switch=ao-switch-$LAB_ID

	net_ip "$switch" link add dev "$1" type bridge stp_state 0 forward_delay 0 mcast_snooping 0
	net_ip "$switch" link set dev "$1" up
}

# Host number $3 of the LAN (or WAN) side, both families, on NIC $2 of role $1.
address() {
	local role=$1 nic=$2 host=$3 side=${4:-lan} ns=ao-$1-$LAB_ID net4=$LAB_LAN4 net6=$LAB_LAN6

	[ "$side" = lan ] || { net4=$LAB_WAN4 net6=$LAB_WAN6; }
	net_ip "$ns" address add "$net4.$host/24" dev "$nic"
	net_ip "$ns" address add "$net6:$host/64" dev "$nic" nodad
}

default_route() {
	local role=$1 host=$2 side=${3:-lan} ns=ao-$1-$LAB_ID net4=$LAB_LAN4 net6=$LAB_LAN6

	[ "$side" = lan ] || { net4=$LAB_WAN4 net6=$LAB_WAN6; }
	net_ip "$ns" route add default via "$net4.$host"
	net_ip "$ns" route add ::/0 via "$net6:$host"
}

# The client is several clients: it has some addresses. .2 and ::2 are the ones it uses unasked; the kernel takes the
# first of IPv4 and the last added of IPv6.
client_addresses() {
	local side=$1 ns=ao-client-$LAB_ID net4=$LAB_LAN4 net6=$LAB_LAN6 host

	[ "$side" = lan ] || { net4=$LAB_WAN4 net6=$LAB_WAN6; }
	for host in $LAB_CLIENT_HOSTS; do
		net_ip "$ns" address add "$net4.$host/24" dev eth0
	done
	for host in $(tr ' ' '\n' <<<"$LAB_CLIENT_HOSTS" | tac); do
		net_ip "$ns" address add "$net6:$host/64" dev eth0 nodad
	done
}

# The XDP_PASS object: built by the Makefile; compiled here when the lab is used without it.
pass_object() {
	local object=$LAB_BUILD/tests/system/pass.bpf.o source=$LAB_ROOT/tests/system/pass.bpf.c

	if [ ! -e "$object" ] || [ "$source" -nt "$object" ]; then
		mkdir -p "${object%/*}"
		clang -O2 -g -target bpf -I"/usr/include/$(gcc -print-multiarch)" -c "$source" -o "$object.$$"
		mv "$object.$$" "$object"
	fi
	printf '%s' "$object"
}

# Builds topology $1 with $2 backends; ecmp and vrrp with $3 balancers.
topology_up() {
	local topology=$1 backends=$2 role i client_side=lan

	case $topology in
	ecmp | vrrp)
		cluster_up "$topology" "$backends" "$3"
		return
		;;
	esac

	for role in switch client balancer; do
		add_role "$role"
	done
	add_bridge lan
	if [ "$topology" != one-armed ]; then
		add_bridge wan
		client_side=wan
	fi

	plug client eth0 "$client_side"
	client_addresses "$client_side"
	for ((i = 1; i <= backends; i++)); do
		add_role "backend$i"
		plug "backend$i" eth0 lan
		address "backend$i" eth0 $((LAB_FIRST_BACKEND + i - 1))
	done

	"topology_${topology//-/_}" "$backends"
	lab_keep_state topology "$topology"
	lab_keep_state backends "$backends"
}

topology_one_armed() {
	plug balancer eth0 lan
	address balancer eth0 10
	lab_keep_state vip4 "$LAB_LAN4.10"
	lab_keep_state vip6 "$LAB_LAN6:10"
	lab_keep_state nics eth0
}

topology_routed() {
	local i

	add_role router
	plug router eth0 wan
	plug router eth1 lan
	address router eth0 1 wan
	address router eth1 1
	net_set "ao-router-$LAB_ID" net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	plug balancer eth0 lan
	address balancer eth0 10
	default_route client 1 wan
	default_route balancer 1
	for ((i = 1; i <= $1; i++)); do
		default_route "backend$i" 1
	done
	lab_keep_state vip4 "$LAB_LAN4.10"
	lab_keep_state vip6 "$LAB_LAN6:10"
	lab_keep_state nics eth0
}

topology_two_nics() {
	plug balancer eth0 wan
	plug balancer eth1 lan
	address balancer eth0 10 wan
	address balancer eth1 10
	lab_keep_state vip4 "$LAB_WAN4.10"
	lab_keep_state vip6 "$LAB_WAN6:10"
	lab_keep_state nics "eth0 eth1"
}

# A second address of the balancer that the backends hold as well, silently, for `forward dsr`. Not the balancer's
# first address: a backend that owns the source of a health check drops it.
topology_dsr() {
	local backends=$1 vip4=$LAB_LAN4.$LAB_DSR_HOST vip6=$LAB_LAN6:$LAB_DSR_HOST i ns=ao-balancer-$LAB_ID

	net_ip "$ns" address add "$vip4/32" dev eth0
	net_ip "$ns" address add "$vip6/128" dev eth0 nodad preferred_lft 0
	for ((i = 1; i <= backends; i++)); do
		ns=ao-backend$i-$LAB_ID
		net_set "$ns" net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
		net_ip "$ns" address add "$vip4/32" dev lo
		net_ip "$ns" address add "$vip6/128" dev lo nodad
	done
	lab_keep_state dsr4 "$vip4"
	lab_keep_state dsr6 "$vip6"
}
