#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# ICMP on a real network: echo to a service address that nobody owns, errors of routers and hosts that reach the side
# they speak to through nat, and packets that are too big for a way, in both directions.
#
#     client 10.0.0.2 ── router .1 ── balancer .10 (owned), .60 (routed to it, owned by nobody) ── backends .100, .101
. "$(dirname "$0")/lib.sh"

verdict() {
	lab_ctl -j show verdicts | jq --arg name "$1" '.verdicts[] | select(.name == $name) | .packets'
}

# Runs the rest; packets of verdict $1 must have come meanwhile.
counts() {
	local name=$1 before

	shift
	before=$(verdict "$name")
	"$@" || return
	expect "packets counted as $name" "$(verdict "$name")" -gt "$before"
}

counts_none() {
	local name=$1 before

	shift
	before=$(verdict "$name")
	"$@" || return
	expect "packets counted as $name" "$(verdict "$name")" -eq "$before"
}

ping_client() {
	client ping -n -c 3 -i 0.2 -W 3 "$@"
}

# The services' addresses that no host has: only a route leads to them.
unowned_addresses() {
	local ns

	ns=$(lab_netns router)
	ip -n "$ns" route add 192.168.1.60/32 via 192.168.1.10
	ip -n "$ns" -6 route add fd00:1::60/128 via fd00:1::10
}

# A server's answers live for two hops: ours and the router, which says so to the address that they come from.
hop_limits() {
	local i

	for i in 1 2; do
		lab_in "backend$i" sysctl -q -w net.ipv4.ip_default_ttl="$1" net.ipv6.conf.all.hop_limit="$1" \
			net.ipv6.conf.eth0.hop_limit="$1"
	done
}

# Time-exceeded messages that the servers' hosts have had.
exceeded() {
	local i

	for i in 1 2; do
		lab_in "backend$i" cat /proc/net/snmp /proc/net/snmp6
	done | awk '/^Icmp: In/ { for (i = 2; i <= NF; i++) if ($i == "InTimeExcds") at = i; next }
		/^Icmp: / { n += $at } /^Icmp6InTimeExcds/ { n += $2 } END { print n + 0 }'
}

more_exceeded_than() {
	[ "$(exceeded)" -gt "$1" ]
}

traceroute_reaches_the_server() {
	local before

	before=$(exceeded)
	client curl -s -m 1 "$1" >/dev/null
	wait_until 5 "the server to be told" more_exceeded_than "$before"
}

# A datagram to a port where the server has nobody.
closed_port_is_told() {
	local said

	said=$(client bash -c 'exec 3<>"/dev/udp/$1/5353" && echo hello >&3 && timeout 3 dd bs=100 count=1 <&3' ask "$1" 2>&1)
	[[ $said == *"Connection refused"* ]] || { printf '%s\n' "$said"; return 1; }
}

# The router's way to the client is narrower than either end knows.
narrow_way_to_the_client() {
	ip -n "$(lab_netns router)" link set dev eth0 mtu "$1"
}

download() {
	rm -f "$LAB_DIR/down"
	client curl -sSf -m 20 -o "$LAB_DIR/down" "$1/file/5M" || return
	expect "the download" "$(sha256_of "$LAB_DIR/down")" = "$SUM"
}

# Our way to the servers is narrower than the client knows: a route says so.
narrow_way_to_the_servers() {
	local i ns

	ns=$(lab_netns balancer)
	for i in 100 101; do
		ip -n "$ns" route add "192.168.1.$i/32" dev eth0 mtu "$1"
		ip -n "$ns" -6 route add "fd00:1::$i/128" dev eth0 mtu "$1"
	done
}

upload() {
	rm -f "$LAB_DIR"/backend?/upload/*
	client curl -sSf -m 20 -T "$FILES/5M" "$1/upload/5M" || return
	expect "the upload" "$(sha256_of "$(ls "$LAB_DIR"/backend?/upload/5M)")" = "$SUM"
}

# The whole way, so that nothing is remembered of a narrower one.
forget_mtus() {
	ip -n "$(lab_netns client)" route flush cache
	ip -n "$(lab_netns client)" -6 route flush cache
}

uploads_are_told() {
	forget_mtus
	counts too_big_told upload "$1"
}

begin --topology routed
server_file 5M >/dev/null
SUM=$(sha256_of "$FILES/5M")
unowned_addresses
write_config <<CFG
$(quick_defaults)

listen web
	bind 192.168.1.10:80,192.168.1.60:80
$(servers 2)
listen web6
	bind [fd00:1::10]:80,[fd00:1::60]:80
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
listen dns
	bind udp@192.168.1.10:5353
	server node1 192.168.1.100:5353 port 80
listen dns6
	bind udp@[fd00:1::10]:5353
	server node1 [fd00:1::100]:5353 port 80
CFG
start

check "echo to an address that nobody owns, IPv4" counts echo ping_client 192.168.1.60
check "echo to an address that nobody owns, IPv6" counts echo ping_client fd00:1::60
check "a large one" counts echo ping_client -s 1400 192.168.1.60
check "the service there is served" expect "answers by" "$(answers http://192.168.1.60/ 4)" = node1,node2
check "echo to the host's own address is the host's, IPv4" counts_none echo ping_client 192.168.1.10
check "echo to the host's own address is the host's, IPv6" counts_none echo ping_client fd00:1::10

check "a server's closed port: the client is told, IPv4" counts icmp_error closed_port_is_told "$VIP4"
check "a server's closed port: the client is told, IPv6" counts icmp_error closed_port_is_told "$VIP6"

hop_limits 2
check "an answer's time is exceeded: the server is told, IPv4" traceroute_reaches_the_server "http://$VIP4/"
check "an answer's time is exceeded: the server is told, IPv6" traceroute_reaches_the_server "http://[$VIP6]/"
hop_limits 64

narrow_way_to_the_client 1400
check "a narrow way to the client: downloads go on, IPv4" counts icmp_error download "http://$VIP4"
check "a narrow way to the client: downloads go on, IPv6" counts icmp_error download "http://[$VIP6]"
narrow_way_to_the_client 1500

narrow_way_to_the_servers 1400
check "a narrow way to the servers: uploads go on, IPv4" \
	wait_until 10 "the route to count" uploads_are_told "http://$VIP4"
check "a narrow way to the servers: uploads go on, IPv6" \
	wait_until 10 "the route to count" uploads_are_told "http://[$VIP6]"
