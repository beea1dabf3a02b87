#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Frames whose destination MAC is another host's come to the balancer as well (its NIC takes all, and the switch floods what
# it does not know): they are not steered. What is on top of the NIC, as VRRP's macvlan, and a NIC's new address are its own.
#
#     client ── switch (floods) ── balancer ── servers .100, .101
. "$(dirname "$0")/lib.sh"

OTHER=02:00:00:00:77:01

balancer_ip() {
	ip -n "$(lab_netns balancer)" "$@"
}

# sends_to MAC: from now on the client's frames to the balancer name this address.
sends_to() {
	ip -n "$(lab_netns client)" neigh replace "$VIP4" lladdr "$1" dev eth0 nud permanent
}

# passed N: so many frames at least were left to the host as another's.
passed() {
	expect "frames for another host" "$(lab_ctl -j show verdicts | jq '.verdicts[] | select(.name == "other_host") | .packets')" -ge "$1"
}

own_address() {
	ip -n "$(lab_netns balancer)" -j link show eth0 | jq -r '.[0].address'
}

begin
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
CFG
start
check "frames to its own address are steered" expect "answers by" "$(answers "http://$VIP4/" 20)" = node1,node2
FIRST=$(own_address)

sends_to "$OTHER"
check "frames to another host's are not" not_answered "http://$VIP4/"
check "they are counted" passed 1

balancer_ip link add link eth0 name vrrp.10 address "$OTHER" type macvlan mode bridge
check "a macvlan's address is the host's own" wait_until 5 "an answer" client curl -sf -m 1 -o /dev/null "http://$VIP4/"
balancer_ip link set dev vrrp.10 up
balancer_ip link delete dev vrrp.10
check "when it has gone it is another host's" wait_until 5 "no answer" not_answered "http://$VIP4/"

balancer_ip link set dev eth0 address "$OTHER"
check "the NIC's new address is its own" wait_until 5 "an answer" client curl -sf -m 1 -o /dev/null "http://$VIP4/"
sends_to "$FIRST"
check "and the one of before another host's" wait_until 5 "no answer" not_answered "http://$VIP4/"
sends_to "$OTHER"
check "shares as before" expect "answers by" "$(answers "http://$VIP4/" 20)" = node1,node2
