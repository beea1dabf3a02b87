#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# virtio_net NICs instead of veths: native XDP, several receive queues and CPUs, no program needed at the other end; a
# bond of two such NICs.
#
#     client nic0, balancer nic1 (and nic4, for the bond), servers nic2 nic3: all on one bridge of the host's
VM_OPTIONS=(--nics 5)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab_lib.sh"

PORT=7000
DSR4=192.168.1.50

# nic N ROLE NAME: one of the guest's NICs, in the place of the lab's.
nic() {
	local at ns

	at=$(ip -j link show | jq -r --arg mac "52:54:00:a1:00:0$1" '.[] | select(.address == $mac) | .ifname')
	ns=$(lab_netns "$2")
	[ -n "$at" ] && ip link set dev "$at" netns "$ns" name "$3" && ip -n "$ns" link set dev "$3" up
}

# place N ROLE HOST: and with the addresses that the lab's had.
place() {
	ip -n "$(lab_netns switch)" link del "$2"
	nic "$1" "$2" eth0 || give_up nics "nic$1 is not there"
	[ "$2" = client ] || address "$2" eth0 "$3"
}

balancer_ip() {
	ip -n "$(lab_netns balancer)" "$@"
}

transfer() {
	client curl -sSf -m 60 -o "$LAB_DIR/down" "http://$1/file/5M" && cmp "$LAB_DIR/down" "$FILES/5M" &&
		client curl -sSf -m 60 -T "$FILES/5M" "http://$1/upload/5M" &&
		cmp "$(ls "$LAB_DIR"/backend?/upload/5M)" "$FILES/5M" && rm "$LAB_DIR"/backend?/upload/5M
}

# Packets that each receive queue of the balancer's NIC has given to the program, on one line.
queues() {
	lab_in balancer ethtool -S eth0 | sed -n 's/^ *rx\(_queue_\|\)[0-9]*_xdp_packets: //p' | paste -sd ' '
}

busy_queues() {
	queues | tr ' ' '\n' | awk '$1 > 20' | wc -l
}

config() {
	write_config <<CFG
$(quick_defaults)

$(listen_web)
$(listen_direct)
$(steady_listen nat "$VIP4")
CFG
}

# serves NAME: what everybody wants of it.
serves() {
	check "$1: nat, even shares" expect "answers by node1 of 40" "$(get "http://$VIP4/" 40 | count_answers node1)" -eq 20
	check "$1: IPv6" expect "answers by node1 of 20" "$(get "http://[$VIP6]/" 20 | count_answers node1)" -eq 10
	check "$1: dsr" expect "answers by node1 of 20" "$(get "http://$DSR4/" 20 | count_answers node1)" -eq 10
	check "$1: nat, 5 MB down and up" transfer "$VIP4"
	check "$1: dsr, 5 MB down and up" transfer "$DSR4"
}

modprobe virtio_net
modprobe bonding max_bonds=0
begin --dsr
server_file 5M >/dev/null
place 0 client
client_addresses lan
place 1 balancer 10
place 2 backend1 100
place 3 backend2 101
balancer_ip address add "$DSR4/32" dev eth0
steady_serve 1 "$PORT"
steady_serve 2 "$PORT"
config
start

check "attached natively" expect "mode" "$(vm_mode eth0)" = native
check "the doctor has no complaint about the NIC" expect "what it says" \
	"$(lab_ctl -j doctor eth0 | jq -r '.findings[] | select(.where == "eth0" and (.level == "warn" or .level == "fail")) | .text')" = ""
serves native
check "packets came by several queues" expect "busy queues of those with packets $(queues)" "$(busy_queues)" -ge 2
load stream stream "$VIP4" "$PORT" 50
load udp udp "$VIP4" "$PORT" 50
load_passes
check "a reload" reload
load_passes
load_end stream
check "connections go on" expect "lines without an answer ($FIGURES)" "$(figure lost)" -eq 0
load_end udp
check "no datagram is lost" expect "it" "$(figure lost)" -eq 0
agent_stop

nic 4 balancer eth1
for port in eth0 eth1; do
	balancer_ip address flush dev "$port"
	balancer_ip link set dev "$port" down
done
balancer_ip link add bond0 type bond mode active-backup miimon 50
balancer_ip link set dev eth0 master bond0
balancer_ip link set dev eth1 master bond0
balancer_ip link set dev bond0 up
address balancer bond0 10
balancer_ip address add "$DSR4/32" dev bond0
lab_keep_state nics bond0
start
check "a bond: attached natively" expect "mode" "$(vm_mode bond0)" = native
serves bond
load stream stream "$VIP4" "$PORT" 50
load_passes
balancer_ip link set dev eth0 down
load_passes
load_end stream
check "a bond: a port fails, connections go on" expect "lines without an answer ($FIGURES)" "$(figure lost)" -eq 0
check "a bond: new connections too" expect "answers by node1 of 20" "$(get "http://$VIP4/" 20 | count_answers node1)" -eq 10
agent_stop
balancer_ip link del bond0

balancer_ip link set dev eth0 up
address balancer eth0 10
balancer_ip address add "$DSR4/32" dev eth0
lab_in balancer ethtool -K eth0 gro off lro off rx-gro-hw off >/dev/null 2>&1
lab_keep_state nics ""
sed -i '1i global\n\tinterface eth0 xdp generic\n' "$CONFIG"
start
check "generic, when told so" expect "mode" "$(vm_mode eth0)" = generic
serves generic
