#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A bond as the interface that is steered on, natively: the program runs at its ports and sees those, everybody else sees
# the bond. Ports that fail, leave and come back under traffic; answers of servers that come by another port than the
# client's packets; an agent that takes over.
#
#     client .2, servers .100 .101 ── lan ══ two wires ══ bond0 balancer .10, direct service .50
#
# With active-backup both wires end in the lan itself, else in a bond of the switch's.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab_lib.sh"

RATE=50
PORT=7000
DSR4=192.168.1.50

balancer_ip() {
	ip -n "$(lab_netns balancer)" "$@"
}

switch_ip() {
	ip -n "$(lab_netns switch)" "$@"
}

# wire N: port N of the balancer's bond, and the switch's end of it.
wire() {
	plug balancer "port$1" lan
	balancer_ip link set dev "port$1" down
	balancer_ip link set dev "port$1" master bond0
	balancer_ip link set dev "port$1" up
}

# The switch has a bond of its own; the program that passes all, without which a veth does not take what XDP sends, runs on it.
switch_bond() {
	local i

	switch_ip link add bond1 type bond "$@"
	for i in 0 1; do
		switch_ip link set dev "balancer-port$i" xdp off
		switch_ip link set dev "balancer-port$i" nomaster down
		switch_ip link set dev "balancer-port$i" master bond1
	done
	switch_ip link set dev bond1 xdpdrv object "$(pass_object)" section xdp.frags
	switch_ip link set dev bond1 master lan up
}

# bond_up MODE [OPTION...]: instead of the balancer's NIC.
bond_up() {
	switch_ip link del balancer
	balancer_ip link add bond0 type bond mode "$@" miimon 20
	wire 0
	wire 1
	[ "$1" = active-backup ] || switch_bond mode "$@" miimon 20
	balancer_ip link set dev bond0 up
	address balancer bond0 10
	balancer_ip address add "$DSR4/32" dev bond0
	balancer_ip address add fd00:1::50/128 dev bond0 nodad preferred_lft 0
	lab_keep_state nics bond0
}

bond_has() {
	lab_in balancer grep -q "$1" /proc/net/bonding/bond0
}

transfer() {
	client curl -sSf -m 60 -o "$LAB_DIR/down" "http://$VIP4/file/5M" && cmp "$LAB_DIR/down" "$FILES/5M" &&
		client curl -sSf -m 60 -T "$FILES/5M" "http://$VIP4:81/upload/5M" &&
		cmp "$LAB_DIR/backend1/upload/5M" "$FILES/5M"
}

loads() {
	load nat-stream stream "$VIP4" "$PORT" "$RATE"
	load nat-udp udp "$VIP4" "$PORT" "$RATE"
	load dsr-stream stream "$DSR4" "$PORT" "$RATE"
	load_passes
}

# went_on WHAT: connections went on all the time, and datagrams were lost for less than a second.
went_on() {
	local name

	load_passes
	load_end nat-udp
	check "$1: datagrams are lost for less than a second" expect "lost ($FIGURES)" "$(figure lost)" -lt "$RATE"
	for name in nat-stream dsr-stream; do
		load_end "$name"
		check "$1: $name goes on" expect "lines without an answer ($FIGURES)" "$(figure lost)" -eq 0
	done
}

# Packets by the verdict `internal`: with a NIC that the program may not send by.
lost_ways() {
	lab_ctl -j show verdicts | jq '[.verdicts[] | select(.name == "internal") | .packets] | add'
}

config() {
	write_config <<CFG
$(quick_defaults)

$(listen_web)
listen one
	bind $VIP4:81
	server node1 192.168.1.100:80
$(steady_listen nat "$VIP4")
$(steady_listen dsr "$DSR4" "forward dsr")
CFG
}

steered() {
	check "$1: attached natively" expect "mode" "$(vm_mode bond0)" = native
	check "$1: even shares" expect "answers by node1 of 40" "$(get "http://$VIP4/" 40 | count_answers node1)" -eq 20
	check "$1: IPv6" expect "answers by node1 of 20" "$(get "http://[$VIP6]/" 20 | count_answers node1)" -eq 10
	check "$1: 5 MB down and up" transfer
}

suite() {
	begin --dsr
	server_file 5M >/dev/null
	bond_up "$@"
	steady_serve 1 "$PORT"
	steady_serve 2 "$PORT"
	config
	start
	steered "$1"
	check "$1: no packet has nowhere to go" expect "packets" "$(lost_ways)" -eq 0
}

modprobe bonding max_bonds=0
suite active-backup
check "a port by itself is refused, and the bond named" expect "exit code" \
	"$(exit_code_of lab_ctl load port0)" -ne 0
check "it says which" grep -q "port0: a port of bond0" "$LAB_DIR/out"
wait_until 5 "port0 to be active" bond_has "Currently Active Slave: port0"
loads
switch_ip link set dev balancer-port0 down
wait_until 5 "port1 to be active" bond_has "Currently Active Slave: port1"
went_on "a wire is cut"
switch_ip link set dev balancer-port0 up
wait_until 5 "port0 to be up" bash -c 'ip -n "$1" link show port0 | grep -q LOWER_UP' - "$(lab_netns balancer)"
loads
balancer_ip link set dev port1 nomaster
wait_until 5 "port0 to be active" bond_has "Currently Active Slave: port0"
went_on "a port is taken out"
loads
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
start
went_on "the agent is killed and another takes over"
balancer_ip link set dev port1 down
balancer_ip link set dev port1 master bond0
balancer_ip link set dev port1 up
wait_until 5 "port1 in the bond" bond_has "Slave Interface: port1"
loads
switch_ip link set dev balancer-port0 down
wait_until 5 "port1 to be active" bond_has "Currently Active Slave: port1"
went_on "the port that came back takes over"
check "no packet had nowhere to go" expect "packets" "$(lost_ways)" -eq 0
end

suite balance-xor xmit_hash_policy layer3+4
end

suite 802.3ad xmit_hash_policy layer3+4 lacp_rate fast
loads
switch_ip link set dev balancer-port0 down
wait_until 5 "port0 to be down" bond_has "MII Status: down"
went_on "802.3ad, a wire is cut"
check "802.3ad, one wire is left: even shares" expect "answers by node1 of 20" \
	"$(get "http://$VIP4/" 20 | count_answers node1)" -eq 10
