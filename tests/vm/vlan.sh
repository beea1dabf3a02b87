#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# VLAN devices as the interfaces that are steered on, 802.1Q and QinQ: clients and servers in one VLAN, and in two.
#
#     client eth0.10 .2 ── trunk ── balancer eth0.10 .10, eth0.20 ── trunk ── servers eth0.10 .100, eth0.20 .101
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab_lib.sh"

PORT=7000
DSR4=192.168.1.50

# vlan ROLE LOWER ID [PROTOCOL]: the device LOWER.ID on the trunk, or on a device of another tag.
vlan() {
	local ns

	ns=$(lab_netns "$1")
	ip -n "$ns" link add link "$2" name "$2.$3" type vlan proto "${4:-802.1Q}" id "$3"
	ip -n "$ns" link set dev "$2.$3" up
}

# trunk ROLE: nothing untagged. A veth leaves checksums and segments to the other end, whatever XDP makes of it there.
trunk() {
	ip -n "$(lab_netns "$1")" address flush dev eth0
	lab_in "$1" ethtool -K eth0 tx off tso off gso off gro off >/dev/null
}

# tagged PROTOCOL TAG [PROTOCOL TAG]: everybody's addresses are on a device with those tags; its name is in $DEVICE.
tagged() {
	local role host lower

	for role in client:2 balancer:10 backend1:100 backend2:101; do
		host=${role#*:} role=${role%:*} lower=eth0
		trunk "$role"
		vlan "$role" eth0 "$2" "$1"
		DEVICE=eth0.$2
		if [ $# -gt 2 ]; then
			vlan "$role" "$DEVICE" "$4" "$3"
			DEVICE+=.$4
		fi
		address "$role" "$DEVICE" "$host"
	done
	ip -n "$(lab_netns balancer)" address add "$DSR4/32" dev "$DEVICE"
	lab_keep_state nics "$DEVICE"
}

transfer() {
	client curl -sSf -m 60 -o "$LAB_DIR/down" "http://$1/file/5M" && cmp "$LAB_DIR/down" "$FILES/5M" &&
		client curl -sSf -m 60 -T "$FILES/5M" "http://$1/upload/5M" &&
		cmp "$(ls "$LAB_DIR"/backend?/upload/5M)" "$FILES/5M" && rm "$LAB_DIR"/backend?/upload/5M
}

# serves NAME: what everybody wants of it, with an address of the servers on the same layer 2.
serves() {
	check "$1: attached" expect "mode" "$(vm_mode "$DEVICE")" = generic
	check "$1: nat, even shares" expect "answers by node1 of 40" "$(get "http://$VIP4/" 40 | count_answers node1)" -eq 20
	check "$1: IPv6" expect "answers by node1 of 20" "$(get "http://[$VIP6]/" 20 | count_answers node1)" -eq 10
	check "$1: dsr" expect "answers by node1 of 20" "$(get "http://$DSR4/" 20 | count_answers node1)" -eq 10
	check "$1: nat, 5 MB down and up" transfer "$VIP4"
	check "$1: dsr, 5 MB down and up" transfer "$DSR4"
	server_stop 1
	wait_down web/node1
	check "$1: failover" expect "answers by" "$(answers "http://$VIP4/" 10)" = node2
	wait_down one/node1
	check "$1: nobody left: refused" expect "curl's exit code (7: refused)" \
		"$(exit_code_of client curl -s -m 5 "http://$VIP4:81/")" -eq 7
	server_start 1
	wait_up web/node1
}

config() {
	write_config <<CFG
$(quick_defaults)

$(listen_web)
listen one
	bind $VIP4:81
	server node1 192.168.1.100:80 check
$(listen_direct)
CFG
}

suite() {
	begin --dsr
	server_file 5M >/dev/null
	tagged "${@:2}"
	config
	start
	serves "$1"
}

# What the doctor says of merged packets: gro LEVEL|REMEDY
gro() {
	lab_ctl -j doctor "$DEVICE" | jq -r --arg field "$1" '.findings[] | select(.check == "gro") | .[$field]'
}

modprobe 8021q
suite "802.1Q" 802.1Q 10
check "the doctor finds nothing that merges packets" expect "level" "$(gro level)" = ok
lab_in balancer ethtool -K eth0 gro on
check "it names the NIC below that does" expect "remedy" "$(gro remedy)" = "ethtool -K eth0 gro off"
lab_in balancer ethtool -K eth0 gro off

# The second server is in another VLAN from now on.
for role in balancer backend2; do
	vlan "$role" eth0 20
done
ip -n "$(lab_netns balancer)" address add 192.168.2.10/24 dev eth0.20
ip -n "$(lab_netns backend2)" address add 192.168.2.101/24 dev eth0.20
cat >>"$CONFIG" <<CFG
listen other
	bind $VIP4:82
	server node1 192.168.1.100:80 check
	server node2 192.168.2.101:80 check
CFG
check "another VLAN: load" lab_ctl load eth0.20
check "another VLAN: reload" reload
wait_up other/node2
check "another VLAN: even shares" expect "answers by node1 of 40" "$(get "http://$VIP4:82/" 40 | count_answers node1)" -eq 20
server_stop 1
wait_down other/node1
check "another VLAN: 5 MB down and up" transfer "$VIP4:82"
agent_stop
server_start 1

# On the trunk itself the program sees tagged frames, and the servers' routes do not lead there.
lab_keep_state nics eth0
start
check "the trunk instead: it is told what to do" grep -q "by an interface that is not steered on" \
	<(lab_ctl -j show servers web/node1)
end

suite "QinQ" 802.1ad 5 802.1Q 10
