#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A NIC of two goes down, is renamed, is removed and comes back, with an agent that sees it and one that starts then; and
# the kernel tells more about the network than the agent can read.
#
#     client 10.0.0.2 -- eth0 balancer eth1 -- switch -- servers .100 .101
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults_lib.sh"

readonly PORT=7000

config() {
	write_config <<CFG
global
	metrics 127.0.0.1:9599
	interface $1
$(quick_defaults)

$(steady_listen nat "$VIP4")
CFG
}

balancer_ip() {
	ip -n "$(lab_netns balancer)" "$@"
}

# A datagram of each of two servers comes back: both directions, both NICs.
both_answer() {
	expect "answers" "$(client bash -c 'for ((i = 0; i < 6; i++)); do
			exec 3<>"/dev/tcp/$1/$2" && echo 0 >&3 && read -r -t 2 name _ <&3 && echo "$name"
			exec 3<&- 3>&-
		done' ask "$VIP4" "$PORT" 2>/dev/null | sort -u | paste -sd ,)" = node1,node2
}

interface_is() {
	lab_ctl -j show interfaces | jq -e --arg name "$1" ".interfaces[] | select(.name == \$name) | $2"
}

next_hop_is() {
	[ "$(lab_ctl -j show servers nat/node1 | jq -r '.servers[0].next_hop.state')" = "$1" ]
}

rename() {
	balancer_ip link set dev "$1" down
	balancer_ip link set dev "$1" name "$2"
	balancer_ip link set dev "$2" up
}

# The switch loses its end too.
remove() {
	balancer_ip link delete dev "$1"
}

# As after a driver is loaded again: another index, another MAC.
bring_back() {
	plug balancer eth1 lan
	address balancer eth1 10
}

. "$ROOT/tools/lab.d/topology.sh"

begin --topology two-nics --backends 2
lab_keep_state nics eth0 # -i; the other one is the configuration's
config eth1
for i in 1 2; do
	steady_serve "$i" $PORT
done
start

# --- the cable
from_here
lab_in switch ip link set dev balancer-eth1 down
check "the servers' NIC has no carrier: nothing is sent there" wait_until 10 "no way" next_hop_is unresolved
sleep 1 # five checks of each server
check "and the servers are not blamed" not_logged 'event=server_down'
check "their checks say why" expect "last check" "$(lab_ctl -j show servers nat/node1 | jq -r '.servers[0].last_result')" = \
	"SOCKERR: the interface towards it has no carrier (state kept)"
lab_in switch ip link set dev balancer-eth1 up
check "with the carrier they serve again" wait_until 10 "both" both_answer
check "and were never down" not_logged 'event=server_(down|up)'

# --- down and up
from_here
balancer_ip link set dev eth1 down
check "the servers' NIC goes down: they are down" wait_down nat/node1
wait_down nat/node2
balancer_ip link set dev eth1 up
check "up again: they are up" wait_up nat/node1
wait_up nat/node2
check "and answer" wait_until 10 "both" both_answer
check "it was attached all the time" not_logged 'event=(detached|attached)'

# --- renamed
from_here
load nat-stream stream "$VIP4" $PORT 500
rename eth1 lan1
check "a renamed NIC is told of" logged 'event=interface_renamed interface=eth1 now=lan1'
check "it is steered on as before" not_logged 'event=detached'
wait_up nat/node1
wait_up nat/node2
check "and new connections are served" wait_until 10 "both" both_answer
check "the CLI shows it as it is" interface_is eth1 '.up and (.mode != "detached")'
config lan1
check "a reload with the new name" reload
check "leaves the program where it is" not_logged 'event=(detached|attached)'
check "and is shown" interface_is lan1 '.up and (.mode != "detached")'
rename lan1 eth1
config eth1
check "its old name again" reload
wait_up nat/node1
wait_up nat/node2
check "new connections are served then too" wait_until 10 "both" both_answer
check "and it was attached all the time" not_logged 'event=(detached|attached)'
load_end nat-stream
check "no connection broke" expect "lines that were sent ($FIGURES) and lost" "$(figure lost)" -eq 0

# --- removed and back
from_here
remove eth1
check "a NIC that is removed is let go" logged 'event=detached interface=eth1'
check "the agent goes on" expect "mode of eth0" "$(lab_ctl -j show interfaces | jq -r '.interfaces[] | select(.name == "eth0") | .mode')" = native
check "ready: one that is steered on is left" lab_ctl -j status
bring_back
check "it comes back: packets are steered there" logged 'event=attached interface=eth1'
wait_up nat/node1
wait_up nat/node2
check "and answered" wait_until 10 "both" both_answer

# --- a start without it
remove eth1
wait_until 10 "detached" interface_is eth1 '.mode == "detached"'
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
from_here
start
check "an agent that takes over does without it, and says so" logged 'event=interface_missing interface=eth1'
bring_back
check "and takes it when it is there" logged 'event=attached interface=eth1'
wait_up nat/node1
wait_up nat/node2
check "and packets are answered" wait_until 10 "both" both_answer

# --- overrun: more changes than its socket holds, while it can't read
from_here
before=$(metric alwayson_netlink_overruns_total)
check "no overrun so far" expect "overruns" "$before" -eq 0
load nat-stream stream "$VIP4" $PORT 500
kill -STOP "$(agent_pid)"
for i in {1..30000}; do
	printf 'route add 198.%d.%d.%d/32 dev eth1\n' $((18 + i / 65536)) $((i / 256 % 256)) $((i % 256))
done >"$LAB_DIR/routes"
balancer_ip -batch "$LAB_DIR/routes"
balancer_ip address add 10.0.0.77/24 dev eth0 # lost among the rest: only reading all anew finds it
kill -CONT "$(agent_pid)"
overran() {
	[ "$(metric alwayson_netlink_overruns_total)" -gt 0 ]
}
check "an overrun is counted" wait_until 10 "overruns" overran
check "what was lost is found" wait_until 10 "the address" interface_is eth0 '[.addresses[] | select(startswith("10.0.0.77"))] | length == 1'
load_passes
check "the servers are as they were" server_is_up nat/node1
load_check nat-stream "an overrun"

# --- two at a time: the name of one goes to another
from_here
rename eth1 old1
ip -n "$(lab_netns switch)" link set dev balancer-eth1 down
ip -n "$(lab_netns switch)" link set dev balancer-eth1 name balancer-old1
plug balancer eth1 lan
address balancer eth1 11
check "another NIC takes the name: it is the one" logged 'event=attached interface=eth1'
check "and the one of before is let go" logged 'event=detached interface=eth1'
check "status agrees" interface_is eth1 '.mode != "detached"'
