#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# UDP: answers come back from the address asked, each flow keeps its server, a large datagram passes, IPv6 too.
. "$(dirname "$0")/lib.sh"

# All datagrams of one socket go to one server: a flow is a flow.
one_flow_one_server() {
	local names

	names=$(client bash -c 'exec 3<>"/dev/udp/$1/9000"
		for ((i = 0; i < 10; i++)); do
			echo "$i" >&3
			timeout 1 dd bs=2048 count=1 status=none <&3 || echo lost
		done' flow "$VIP4" | cut -d ' ' -f 1 | sort -u)
	[[ $names == node? ]] || { printf 'answers by: %s\n' "$names"; return 1; }
}

large_datagram() {
	local length

	length=$(client bash -c 'exec 3<>"/dev/udp/$1/9000"
		head -c 1400 /dev/zero | tr "\0" x >&3
		timeout 2 dd bs=2048 count=1 status=none <&3' large "$VIP4" | tr -cd x | wc -c)
	expect "bytes of 1400 that came back" "$length" -eq 1400
}

# Compares the number of entries in the flow table, as the agent has last seen it: entries OP NUMBER
entries() {
	test "$(lab_ctl -j status | jq .flows.used)" "$1" "$2"
}

begin
write_config <<CFG
# No checks: there is no TCP service on these ports.
defaults
	mode tcp
	timeout connect 1s
	timeout client 1m
	timeout server 1m
listen echo
	bind udp@*:9000
	server node1 192.168.1.100:9000
	server node2 192.168.1.101:9000
listen echo6
	bind udp@:::9000
	server node1 [fd00:1::100]:9000
listen moved
	bind udp@*:9001
	server node2 192.168.1.101:9000
CFG
udp_server 1 9000
udp_server 2 9000
udp_server 1 9000 6
start

udp_ask "$VIP4" 9000 40 >"$LAB_DIR/udp"
check "40 flows, none lost" expect "lost" "$(count_answers lost <"$LAB_DIR/udp")" -eq 0
check "each takes two entries" wait_until 5 "80 entries" entries -ge 80
check "node1 has half of the flows" expect "answers by node1" "$(count_answers node1 <"$LAB_DIR/udp")" -eq 20
check "node2 has half of the flows" expect "answers by node2" "$(count_answers node2 <"$LAB_DIR/udp")" -eq 20
check "what was sent comes back" grep -qx 'node. hello 39' "$LAB_DIR/udp"
check "datagrams of one socket go to one server" one_flow_one_server
check "a datagram of 1400 bytes" large_datagram
check "another port than the server's" expect "answer" "$(udp_ask "$VIP4" 9001 1)" = "node2 hello 0"
check "IPv6" expect "answer" "$(udp_ask "$VIP6" 9000 1)" = "node1 hello 0"
# Gone 5 s after their only answer, give or take the 4 s that ages are counted in.
check "flows that were answered once are forgotten" wait_until 20 "fewer than 40 entries" entries -lt 40
