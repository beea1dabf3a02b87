#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# forward ipip with the kernel's own tunnel devices at the servers, made by the commands of docs/decap.md, in all four
# pairs of families; and servers that have `alwayson decap` beside them.
#
#     client 10.0.0.2 ── router .1 ──┬── balancer .10, service addresses .50 .51
#                                    └── servers .100, .101: tunnel devices, the services' addresses on lo
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab_lib.sh"

# The commands of the manual, on server $1.
tunnels() {
	local ns

	ns=$(lab_netns "backend$1")
	ip -n "$ns" link add tun4 type ipip external
	ip -n "$ns" link add tun6 type ip6tnl external
	ip -n "$ns" link set tun4 up
	ip -n "$ns" link set tun6 up
	ip -n "$ns" link set sit0 up
	lab_in "backend$1" sysctl -q -w net.ipv4.conf.tun4.rp_filter=0 net.ipv4.conf.tun6.rp_filter=0
}

services() {
	local i

	service_addresses 50 51
	for i in 1 2; do
		lab_in "backend$i" sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
		ip -n "$(lab_netns "backend$i")" route change default via 192.168.1.1 advmss 1420
		ip -n "$(lab_netns "backend$i")" -6 route change default via fd00:1::1 advmss 1400
	done
}

transfer() {
	rm -f "$LAB_DIR"/backend?/upload/* "$LAB_DIR/down"
	client curl -sSf -m 60 -o "$LAB_DIR/down" "$1/file/5M" && cmp "$LAB_DIR/down" "$FILES/5M" &&
		client curl -sSf -m 60 -T "$FILES/5M" "$1/upload/5M" && cmp "$(ls "$LAB_DIR"/backend?/upload/5M)" "$FILES/5M"
}

# suite NAME URL CLIENT
suite() {
	check "$1: even shares" expect "answers by node1 of 20" "$(get "$2/" 20 | count_answers node1)" -eq 10
	check "$1: the server sees the client's address" expect "it" "$(client curl -sf -m 5 "$2/address")" = "$3"
	check "$1: 5 MB down and up" transfer "$2"
}

# What came out of a server's tunnel device, as the kernel counts: received DEVICE
received() {
	local i sum=0

	for i in 1 2; do
		sum=$((sum + $(lab_in "backend$i" cat /proc/net/dev | awk -v dev="$1:" '$1 == dev { print $3 }')))
	done
	printf '%d' "$sum"
}

modprobe -a ipip sit ip6_tunnel
begin --topology routed
server_file 5M >/dev/null
services
for i in 1 2; do
	tunnels "$i"
done
write_config <<CFG
$(quick_defaults)
	forward ipip

listen four
	bind 192.168.1.50:80,[fd00:1::50]:80
	server node1 192.168.1.100:80
	server node2 192.168.1.101:80
listen six
	bind 192.168.1.51:80,[fd00:1::51]:80
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
CFG
start
suite "IPv4 in IPv4" http://192.168.1.50 10.0.0.2
suite "IPv6 in IPv4" "http://[fd00:1::50]" fd00:2::2
suite "IPv4 in IPv6" http://192.168.1.51 10.0.0.2
suite "IPv6 in IPv6" "http://[fd00:1::51]" fd00:2::2
for device in tun4 sit0 tun6; do
	check "$device has unwrapped them" expect "packets" "$(received "$device")" -gt 100
done

server_stop 2
wait_down four/node2
wait_down six/node2
check "failover, IPv4 in IPv4" expect "answers by" "$(answers http://192.168.1.50/ 10)" = node1
check "failover, IPv6 in IPv6" expect "answers by" "$(answers "http://[fd00:1::51]/" 10)" = node1
