#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A reload that lays out very large tables: whoever asks the agent meanwhile is answered, checks go on, and the old
# configuration is in force until the new one is whole.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults_lib.sh"

readonly PORT=7000
# A table takes 0.1 s, or 2 s with thousands of servers, which take their time themselves.
if [ -n "${LONG:-}" ]; then
	readonly TABLES=4 SERVERS=4000 LONGEST_MS=5000
else
	readonly TABLES=15 SERVERS=60 LONGEST_MS=1000
fi
readonly SIDE=20 # servers, and as many backups
exec 3>&1

# Backends whose weights make for the largest table there is. $2: the first server's weight.
crowd() {
	local b s

	for ((b = 0; b < $1; b++)); do
		printf 'backend crowd%d\n\tforward dsr\n\tbalance maglev\n' "$b"
		printf '\tserver first 192.168.1.101:9999 weight %d\n' "$2"
		for ((s = 0; s < SERVERS; s++)); do
			printf '\tserver s%d 192.168.1.101:%d weight %d\n' "$s" $((10000 + s)) $((255 + s % 2))
		done
	done
}

# A backend whose servers go together, those of backend2, and whose backups have a table that is as large.
two_sides() {
	local s

	quick_defaults
	printf 'backend sides\n\tforward dsr\n\tbalance maglev\n\toption allbackups\n'
	for ((s = 0; s < SIDE; s++)); do
		printf '\tserver s%d 192.168.1.101:%d weight %d check port %d\n' "$s" $((10000 + s)) $((255 + s % 2)) $PORT
		printf '\tserver b%d 192.168.1.100:%d weight %d no-check backup\n' "$s" $((10000 + s)) $((254 + s % 2))
	done
}

# config TABLES WEIGHT
config() {
	{
		two_sides
		cat <<CFG
global
	metrics 127.0.0.1:9599
$(quick_defaults)

$(steady_listen dsr "$DSR4" "forward dsr" "balance maglev")
CFG
		printf '\ndefaults\n\tmode tcp\n\ttimeout connect 1s\n\ttimeout client 1m\n\ttimeout server 1m\n'
		crowd "$1" "${2:-1}"
	} | write_config
}

# The longest time in ms that somebody who asks again and again has to wait, until $LAB_DIR/asked-enough is there.
ask_on() {
	local longest=0 from took

	until [ -e "$LAB_DIR/asked-enough" ]; do
		from=$(now_ms)
		lab_ctl version >/dev/null
		took=$(($(now_ms) - from))
		((took <= longest)) || longest=$took
		sleep 0.02 # who asks takes time from who is asked
	done
	echo "$longest"
}

# Everybody has an answer soon, however long the command takes; on a busy machine both take longer.
asked_during() {
	local asker failed=0 from limit

	rm -f "$LAB_DIR/asked-enough"
	ask_on >"$LAB_DIR/longest" &
	asker=$!
	from=$(now_ms)
	"$@" >/dev/null || failed=1
	limit=$((($(now_ms) - from) / 4))
	((limit > LONGEST_MS)) || limit=$LONGEST_MS
	touch "$LAB_DIR/asked-enough"
	wait "$asker"
	[ "$failed" = 0 ] || { echo "it fails"; return 1; }
	echo "# $*: the longest answer took $(<"$LAB_DIR/longest") ms; $(grep event=reloaded "$LAB_DIR/agent.log" | tail -n 1)" >&3
	expect "ms that the longest answer took" "$(<"$LAB_DIR/longest")" -le "$limit"
}

has_slots() {
	lab_ctl -j show servers crowd$((TABLES - 1))/s1 | jq -e '.servers[0].slots_share > 0'
}

# s or b: they alone have all of it, each some.
side_serves() {
	lab_ctl -j show servers | jq -e --arg side "$1" --argjson count $SIDE '[.servers[] |
		select(.backend == "sides" and .slots_share > 0) | .server[0:1]] | length == $count and unique == [$side]'
}

longest_turn() { awk '$1 > most { most = $1 } END { print int(most / 1000) }' "$LAB_DIR/turns"; }

# At once, with what can be had, and for good when the table is laid out.
takes_over() {
	wait_until 10 "side $1 to serve" side_serves "$1" >/dev/null || return
	wait_while_tables_are_laid_out || return
	side_serves "$1" >/dev/null || { echo "not any more, with the table laid out"; return 1; }
	echo "# side $1 takes over: the longest turn took $(longest_turn) ms" >&3
}

no_tables_are_laid_out() { ! tables_are_laid_out; }
wait_while_tables_are_laid_out() { wait_until 20 "the table" no_tables_are_laid_out; }

tables_are_laid_out() { grep -qx tables "/proc/$(agent_pid)/task/"*/comm; }
begin --dsr --backends 2
DSR4=$(lab_state dsr4)
for i in 1 2; do
	steady_serve "$i" $PORT
done
config 0
LD_PRELOAD=$LAB_BUILD/tests/system/preload/turns.so TURNS=$LAB_DIR/turns start
load stream stream "$DSR4" $PORT 200
load new new "$DSR4" $PORT 100
config $TABLES
check "tables that are new" asked_during reload
check "none of them is laid out any more when it is done" no_tables_are_laid_out
check "they are there when it is done" has_slots
config $TABLES 2
check "tables that change" asked_during reload
load_passes
load_check_all "large tables" node1,node2

# The log's order says it: while tables were laid out, checks went on.
dies_meanwhile() {
	local reloader

	config $TABLES 3
	reload >/dev/null &
	reloader=$!
	wait_until 10 "tables to be laid out" tables_are_laid_out || return
	steady_kill 2
	wait "$reloader" || { echo "the reload fails"; return 1; }
	wait_down dsr/node2 || return
	expect "the last of the two" "$(grep -o 'event=reloaded\|event=server_down' "$LAB_DIR/agent.log" | tail -n 1)" = event=reloaded
}
check "a server that dies during a reload is found out before it is over" dies_meanwhile
steady_serve 2 $PORT
wait_up dsr/node2
check "a weight by hand" asked_during lab_ctl server weight crowd0/s1 7
wait_while_tables_are_laid_out
: >"$LAB_DIR/turns"
steady_kill 2
check "backups of a large table take over" takes_over b
: >"$LAB_DIR/turns"
steady_serve 2 $PORT
check "so do those that come back" takes_over s
# Its first thread is gone before the last one, which gives the tables' memory and the lock back.
last_thread_is_gone() {
	[ "$(find "/proc/$1/task" -mindepth 1 -maxdepth 1 2>/dev/null | wc -l)" -le 1 ] && process_is_gone "$1"
}
kill -9 "$(agent_pid)"
wait_until 20 "the agent's end" last_thread_is_gone "$(agent_pid)"
agent_start "$CONFIG"
check "an agent that takes such tables over" agent_wait_ready 60
check "has them too" has_slots
