#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A reload that changes the small tables of a thousand backends: they are laid out a few at a time, so that no turn of the
# agent's loop is long; the answer comes when all of them are; and an agent that dies in the middle leaves nothing half done.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults_lib.sh"

# A turn took 130 ms of CPU time and more when all tables were laid out in one.
readonly PORT=7000 TABLES=1000 SERVERS=10 LONGEST_MS=70
exec 3>&1

# config WEIGHT: of the first server of each backend.
config() {
	local b s

	{
		cat <<CFG
global
	metrics 127.0.0.1:9599
$(quick_defaults)

$(steady_listen dsr "$DSR4" "forward dsr" "balance maglev")

defaults
	mode tcp
	timeout connect 1s
	timeout client 1m
	timeout server 1m
CFG
		for ((b = 0; b < TABLES; b++)); do
			printf 'backend many%d\n\tforward dsr\n\tbalance maglev\n' "$b"
			printf '\tserver first 192.168.1.100:9999 weight %d\n' "$1"
			for ((s = 1; s < SERVERS; s++)); do
				printf '\tserver s%d 192.168.1.%d:%d\n' "$s" $((100 + s % 2)) $((10000 + s))
			done
		done
	} | write_config
}

# The longest turn of the loop since the file was emptied, in ms of CPU time.
longest_turn() { awk '$1 > most { most = $1 } END { print int(most / 1000) }' "$LAB_DIR/turns"; }

# How many backends' first server has a share of LOW to HIGH percent.
with_share() {
	lab_ctl -j show servers | jq --argjson low "$1" --argjson high "$2" \
		'[.servers[] | select(.server == "first" and .slots_share > $low and .slots_share < $high)] | length'
}

reload_in_slices() {
	: >"$LAB_DIR/turns"
	reload >/dev/null || return
	# Asked for at once: the answer means that all are there, the last one as well.
	lab_ctl -j show servers many$((TABLES - 1))/first | jq -e --argjson low "$1" '.servers[0].slots_share > $low' ||
		{ echo "the last table is not there"; return 1; }
	expect "backends with the new weight" "$(with_share "$1" "$2")" -eq $TABLES || return
	echo "# $TABLES tables: the longest turn took $(longest_turn) ms; $(grep event=reloaded "$LAB_DIR/agent.log" | tail -n 1)" >&3
	expect "ms of CPU time that the longest turn took" "$(longest_turn)" -le $LONGEST_MS
}

dies_meanwhile() {
	local reloader

	config 3
	reload >/dev/null &
	reloader=$!
	steady_kill 2
	wait "$reloader" || { echo "the reload fails"; return 1; }
	wait_down dsr/node2 || return
	expect "backends with the new weight" "$(with_share 0.21 0.29)" -eq $TABLES
}

# dies_in_reload WEIGHT MS LOW HIGH: killed so long after the reload began; another finds what is half done.
dies_in_reload() {
	local reloader began

	config "$1"
	began=$(now_ms)
	reload >/dev/null 2>&1 &
	reloader=$!
	while (($(now_ms) < began + $2)); do
		:
	done
	kill -9 "$(agent_pid)"
	wait "$reloader"
	wait_until 20 "the agent's end" process_is_gone "$(agent_pid)" || return
	agent_start "$CONFIG"
	agent_wait_ready 60 || return
	expect "backends with the new weight" "$(with_share "$3" "$4")" -eq $TABLES
}

begin --dsr --backends 2
DSR4=$(lab_state dsr4)
for i in 1 2; do
	steady_serve "$i" $PORT
done
config 1
LD_PRELOAD=$LAB_BUILD/tests/system/preload/turns.so TURNS=$LAB_DIR/turns start
load stream stream "$DSR4" $PORT 200
load new new "$DSR4" $PORT 100
check "a thousand tables are there" expect "backends with equal weights" "$(with_share 0.09 0.11)" -eq $TABLES
config 2
check "a thousand tables change in short turns, and are there when it is told" reload_in_slices 0.16 0.20
load_passes
load_check_all "tables that change in slices" node1,node2
check "a server that dies meanwhile is found out" dies_meanwhile
steady_serve 2 $PORT
wait_up dsr/node2
load stream stream "$DSR4" $PORT 200
load new new "$DSR4" $PORT 100
for ms in 200 300 400; do
	check "an agent that is killed $ms ms after a reload began: the next one has all tables" dies_in_reload 1 $ms 0.09 0.11
	check "and with other weights" dies_in_reload 2 $((ms + 50)) 0.16 0.20
done
load_passes
load_check_all "agents that are killed" node1,node2
