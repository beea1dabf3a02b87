#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Three NICs: the client at one, servers behind each of the others. Each server has a next hop and an own address of its
# own; a server that gets another MAC, and one that is reached by another NIC from now on, are followed under traffic.
#
#     client 10.0.0.2 ── eth0 balancer eth1 ── lan ─── server 192.168.1.100 (backend1), 192.168.1.101 (backend2)
#                                      eth2 ── lan2 ── server 192.168.2.101 (backend2)
. "$(dirname "$0")/lib.sh"
. "$ROOT/tools/lab.d/topology.sh"

RATE=500 # of a load; what it may lose while somebody is looked for is a second's

balancer_ip() {
	ip -n "$(lab_netns balancer)" "$@"
}

backend2_ip() {
	ip -n "$(lab_netns backend2)" "$@"
}

# seen_as PORT: the balancer's address, as the server sees it.
seen_as() {
	client curl -sf -m 3 "http://$VIP4:$1/address"
}

# follows WHAT: the loads are under way, and something has changed meanwhile.
follows() {
	load_passes
	load_end udp
	printf '# %s: datagrams: %s\n' "$1" "$FIGURES"
	check "$1: datagrams are lost for less than a second" expect "lost ($FIGURES)" "$(figure lost)" -lt "$RATE"
	load_end stream
	check "$1: the connection goes on" expect "lines without an answer ($FIGURES)" "$(figure lost)" -eq 0
}

loads() {
	load udp udp "$VIP4" "$1" "$RATE"
	load stream stream "$VIP4" "$1" "$RATE"
	load_passes
}

begin --topology two-nics
add_bridge lan2
plug balancer eth2 lan2
plug backend2 eth1 lan2
balancer_ip address add 192.168.2.10/24 dev eth2
backend2_ip address add 192.168.2.101/24 dev eth1
backend2_ip address add 192.0.2.200/32 dev lo
balancer_ip route add 192.0.2.200 via 192.168.1.101
lab_keep_state nics "eth0 eth1 eth2"
write_config <<CFG
$(quick_defaults)

listen both
	bind *:80
	server node1 192.168.1.100:80
	server node2 192.168.2.101:80
listen near
	bind *:81
	server node1 192.168.1.100:80
listen far
	bind *:82
	server node2 192.168.2.101:80
listen steady
	bind *:7000
	bind udp@*:7000
	server node2 192.168.2.101:7000 check
listen moving
	bind *:7001
	bind udp@*:7001
	server node2 192.0.2.200:7000 check
CFG
steady_serve 2 7000
start
wait_up both/node2
wait_up moving/node2

check "servers behind two NICs have even shares" expect "answers by node1 of 100" \
	"$(get "http://$VIP4/" 100 | count_answers node1)" -eq 50
check "each sees the address of the NIC towards it" expect "addresses" "$(seen_as 81) $(seen_as 82)" = \
	"192.168.1.10 192.168.2.10"

loads 7000
lab_in backend2 sysctl -q -w net.ipv4.conf.eth1.arp_notify=1
backend2_ip link set dev eth1 address 02:00:00:00:02:99
check "a server's new MAC is found" wait_until 10 "the MAC" bash -c \
	'ip -n "$1" neigh show 192.168.2.101 | grep -q 02:00:00:00:02:99' - "$(lab_netns balancer)"
follows "another MAC"

loads 7001
balancer_ip route replace 192.0.2.200 via 192.168.2.101
follows "another NIC"
check "new connections too" client bash -c 'exec 3<>"/dev/tcp/$1/7001" && echo hello >&3 && read -r -t 3 line <&3' - "$VIP4"
balancer_ip link set dev eth1 down
check "the NIC that it was reached by before is not needed any more" \
	client bash -c 'exec 3<>"/dev/tcp/$1/7001" && echo hello >&3 && read -r -t 3 line <&3' - "$VIP4"
