#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# on-agent-death: with `keep` packets are steered on when the agent is killed (frozen: watchdog.sh); with `pass` they are
# the host's, soon after, and steered again when an agent is back. A reload changes from one to the other under load.
. "$(dirname "$0")/lib.sh"

readonly PORT=7000

config() {
	write_config <<CFG
global
	on-agent-death $1
$(quick_defaults)

$(steady_listen nat "$VIP4")
CFG
}

# Who answers: a server, or the host itself.
answered_by() {
	local answer

	answer=$(client bash -c 'exec 3<>"/dev/tcp/$1/$2" && echo 0 >&3 && read -r -t 3 name _ <&3 && echo "$name"' ask \
		"$VIP4" "$PORT" 2>/dev/null)
	[[ $answer =~ ^$1$ ]] || { printf 'answered by %s\n' "${answer:-nobody}"; return 1; }
}

dead_packets() {
	lab_ctl -j show verdicts | jq '.verdicts[] | select(.name == "agent_dead") | .packets'
}

# The heart has stopped for longer than DATAPLANE_DEATH_MS: seen at the host's answer.
begin --backends 2
config keep
for i in 1 2; do
	steady_serve "$i" $PORT
done
nsenter --net="$(lab_netns_path balancer)" "$STEADY" serve host $PORT >/dev/null &
start

load_all $PORT
config pass
check "a reload to pass" reload
check "it replaces the program" logged 'event=program_replaced'
load_passes
load_check_all "a reload to pass" node1,node2

kill -STOP "$(agent_pid)"
check "pass: a frozen agent: packets are the host's" wait_until 15 "the host's answer" answered_by host
kill -CONT "$(agent_pid)"
check "pass: it goes on: they are steered again" wait_until 5 "a server's answer" answered_by 'node.'
check "they were counted" test "$(dead_packets)" -gt 0

load_all $PORT
check "pass: a restart" lab_ctl restart
load_passes
load_check_all "pass: a restart" node1,node2

kill -9 "$(agent_pid)"
check "pass: a killed agent: packets are the host's" wait_until 15 "the host's answer" answered_by host
start
check "pass: the next one: they are steered again" wait_until 5 "a server's answer" answered_by 'node.'

load_all $PORT
config keep
check "a reload to keep" reload
load_passes
load_check_all "a reload to keep" node1,node2
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
check "keep: a killed agent" answered_by 'node.'
