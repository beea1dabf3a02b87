#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What becomes of results: a server that comes back starts slowly, one that flaps stays away; when all checks fail at
# once while the servers serve, clients do not notice where the configuration says so.
. "$(dirname "$0")/lib.sh"

# What backend$1 is checked by: a port of its own, apart from its service.
health_port_open() {
	nsenter --net="$(lab_netns_path "backend$1")" socat TCP-LISTEN:9000,fork,reuseaddr /dev/null >/dev/null 2>&1 &
	health_pids[$1]=$!
	wait_until 5 "port 9000 of backend$1" tcp_is_bound "$1" 9000
}

health_port_close() {
	end_process "${health_pids[$1]}"
}

tcp_is_bound() {
	lab_in "backend$1" ss -Hltn "sport = :$2" | grep -q .
}

slots_percent() {
	lab_ctl -j show servers "$1" | jq '.servers[0].slots_share * 100 | round'
}

slots_are() {
	[ "$(slots_percent "$1")" -eq "$2" ]
}

field_is() {
	[ "$(server_field "$1" "$2")" = "$3" ]
}

agent_restarts() {
	agent_stop && agent_start "$LAB_DIR/agent.cfg" && agent_wait_ready "$READY_S"
}

health_pids=()
begin --backends 3
for i in 1 2 3; do
	health_port_open "$i"
done
write_config <<CFG
$(quick_defaults)
	default-server port 9000

listen slow
	bind *:80
	balance maglev
	default-server slowstart 4s
$(servers 2)
listen known
	bind *:81
	on-all-down last-known
$(servers 3)
listen panic
	bind *:82
	panic-threshold 50
$(servers 3)
listen strict
	bind *:83
$(servers 3)
listen flap
	bind *:84
	default-server flap-damping 1 6s
$(servers 2)
CFG
start

check "slowstart: none at start" expect "share" "$(server_field slow/node1 share_percent)" = 100
check "slowstart: the slots are even" slots_are slow/node1 50
health_port_close 1
wait_down slow/node1
wait_down flap/node1
check "slowstart: down, it has none" wait_until 5 "no slots" slots_are slow/node1 0
health_port_open 1
wait_up slow/node1
check "slowstart: back, it begins with little" expect "share" "$(slots_percent slow/node1)" -lt 50
check "flap-damping: the other backend still keeps it away" expect "state" "$(server_field flap/node1 state)" = DOWN
check "flap-damping: and says why" expect "damped" "$(server_field flap/node1 damped)" = true
check "slowstart: it has its whole share in the end" wait_until 15 "its whole share" slots_are slow/node1 50
check "flap-damping: in the end it is back" wait_until 20 "node1 to be up" server_is_up flap/node1
check "history: its way is remembered, the newest first" expect "states" \
	"$(lab_ctl -j show servers slow/node1 | jq -r '[.servers[0].history[].state] | join(",")')" = UP,DOWN,UP

health_port_close 1
for backend in known panic strict; do
	wait_down "$backend/node1"
done
check "panic: one of three is no panic" expect "answers by" "$(answers "http://$VIP4:82/" 20)" = node2,node3
health_port_close 2
for backend in known panic strict; do
	wait_down "$backend/node2"
done
check "panic: below the threshold those that went down serve" wait_until 5 "node1 to be held" \
	field_is panic/node1 held true
check "panic: clients go to all" expect "answers by" "$(answers "http://$VIP4:82/" 30)" = node1,node2,node3
check "panic: elsewhere not" expect "answers by" "$(answers "http://$VIP4:83/" 20)" = node3
check "last-known: one that is up serves alone" expect "answers by" "$(answers "http://$VIP4:81/" 20)" = node3
health_port_close 3
for backend in known strict; do
	wait_down "$backend/node3"
done
check "last-known: with none up, those known last serve" wait_until 5 "node1 to be held" \
	field_is known/node1 held true
check "last-known: clients do not notice" expect "answers by" "$(answers "http://$VIP4:81/" 30)" = node1,node2,node3
check "without the words they are refused" refused_at_once "http://$VIP4:83/"
check "a restart goes on keeping them" agent_restarts
check "a restart: clients do not notice" wait_until 10 "answers" test \
	"$(answers "http://$VIP4:81/" 30)" = node1,node2,node3
for i in 1 2 3; do
	health_port_open "$i"
done
wait_up known/node1
check "back to what the checks say" wait_until 5 "node1 not to be held" field_is known/node1 held false
