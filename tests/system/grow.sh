#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A reload that wants more slots than there are: they are enlarged under load, what a slot remembers is kept, and the
# agent that takes over finds them. And one that wants more than there can be.
. "$(dirname "$0")/lib.sh"

readonly PORT=7000 CROWD=1

# crowd N: backends that nobody asks for, whose weights make for the largest table there is.
crowd() {
	local b s

	for ((b = 0; b < $1; b++)); do
		printf 'backend crowd%d\n\tforward dsr\n\tbalance maglev\n' "$b"
		for ((s = 0; s < 60; s++)); do
			printf '\tserver s%d 192.168.1.101:%d weight %d\n' "$s" $((10000 + s)) $((255 + s % 2))
		done
	done
}

config() {
	{
		cat <<CFG
defaults
	mode tcp
	timeout connect 2s
	timeout client 1m
	timeout server 1m

listen nat
	bind $VIP4:$PORT
	bind udp@$VIP4:$PORT
	server node1 192.168.1.100:$PORT check inter 200ms
	server node2 192.168.1.101:$PORT check inter 200ms

backend even
	forward dsr
	balance maglev
$(for s in {1..60}; do echo "	server s$s 192.168.1.101:$((9000 + s)) weight 255"; done)

listen dsr
	forward dsr
	balance maglev
	bind $DSR4:$PORT
	bind udp@$DSR4:$PORT
	server node1 192.168.1.100:$PORT check inter 200ms
	server node2 192.168.1.101:$PORT check inter 200ms
	server node3 192.168.1.102:$PORT check inter 200ms
CFG
		crowd "$1"
	} | write_config
}

slots() {
	bpftool -j map show pinned "/sys/fs/bpf/alwayson/$LAB_NAME/slots" | jq .max_entries
}

crowd_has_slots() {
	lab_ctl -j show servers crowd0/s1 | jq -e '.servers[0].slots_share > 0'
}

# Connections that go by `previous` from then on when node1 is drained: their slots lose their owner.
old_connections() {
	local i

	for i in 1 2 3 4 5 6; do
		load "dsr-old$i" stream "$DSR4" $PORT 100
	done
}

begin --dsr --backends 3
DSR4=$(lab_state dsr4)
for i in 1 2 3; do
	steady_serve "$i" $PORT
done
config 0
start
before=$(slots)

old_connections
load_passes
lab_ctl server drain dsr/node1 >/dev/null
load_all $PORT
load_passes
config $CROWD
check "a reload that wants more slots" reload
check "there are more" expect "slots" "$(slots)" -gt "$before"
check "it says so" logged "event=program_replaced slots=$(slots)"
load_passes
check "the new tables are used" wait_until 10 "slots of crowd0" crowd_has_slots
kill -9 "$(agent_pid)"
load_passes
start
check "the next agent takes them over" logged 'event=loaded .*taken_over=yes'
check "as many as there were" expect "slots" "$(slots)" -gt "$before"
load_passes
config 0
check "and back" reload
load_passes
load_check_all "slots are enlarged"

# Weights that are alike make for a small table; one by hand that is not, for the largest there is: no reload comes before it.
share_of_even() { lab_ctl -j show servers even/s1 | jq -e ".servers[0].slots_share * 16381 | (. - round | fabs) $1 0.0001"; }
agent_stop
config 0
start
before=$(slots)
old_connections
load_all $PORT
load_passes
lab_ctl server drain dsr/node1 >/dev/null
check "a small table" share_of_even "<"
grown() { [ "$(slots)" -gt "$before" ]; }
check "a weight that makes it a large one" lab_ctl server weight even/s1 128
check "room is made for it" wait_until 20 "more slots" grown
check "and used" wait_until 20 "the large table" share_of_even ">"
load_passes
check "nothing was amiss" expect "errors" "$(grep -c 'event=reconcile_failed\|event=slots_short' "$LAB_DIR/agent.log")" -eq 0
load_check_all "a weight by hand"

# Killed between a small configuration and a large one: the slots are enlarged by the one that takes over.
agent_stop
config 0
start
old_connections
load_all $PORT
load_passes
lab_ctl server drain dsr/node1 >/dev/null
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
config $CROWD
start
check "enlarged by the one that takes over" expect "slots" "$(slots)" -gt "$before"
load_passes
load_check_all "enlarged at a start"
