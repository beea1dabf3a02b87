#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What a dead agent left, damaged, foreign or of another kind: the next one says what is wrong in a line and leaves it
# steering; --discard begins anew, --unload ends it. Where nothing steers, nobody needs to be asked.
. "$(dirname "$0")/lib.sh"

agent() {
	timeout 20 nsenter --net="$(lab_netns_path balancer)" "$LAB_BUILD/alwaysond" "$@" --name "$LAB_NAME"
}

steers() {
	expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
}

attached() {
	ip -n "$(lab_netns balancer)" -j link show eth0 | jq -e '.[0].xdp.prog.id' >/dev/null
}

# An agent that works and then is killed: what it leaves lies in $PINS.
leave_pins() {
	start
	kill -9 "$(agent_pid)"
	wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
}

# refused WHY: a start fails, says so and what to do, and packets are steered on.
refused() {
	expect "exit code" "$(exit_code_of agent -f "$CONFIG" -i eth0)" -eq 1 || { cat "$LAB_DIR/out"; return 1; }
	grep -Eq "$1" "$LAB_DIR/out" || { printf 'it said: '; cat "$LAB_DIR/out"; return 1; }
	grep -q -- '--discard.*--unload' "$LAB_DIR/out" || { echo "it does not say what to do"; return 1; }
	steers
}

discards() {
	agent_start "$CONFIG" --discard && agent_wait_ready "$READY_S" && steers || return
	agent_stop
	! attached && [ ! -e "$PINS" ]
}

# What an agent leaves, for several cases: a second name of each pin keeps what the case will take away.
keep_pins() {
	rm -rf "$KEPT"
	mkdir "$KEPT"
	ln "$PINS"/* "$KEPT"/
}

put_back() {
	rm "$PINS"/*
	ln "$KEPT"/* "$PINS"/
}

# case_of NAME WHY COMMAND...: the command damages what lies in $PINS.
case_of() {
	local name=$1 why=$2

	shift 2
	"$@" || not_ok "$name" "could not be done: $*"
	check "$name: refused, and steered on" refused "$why"
	put_back
}

replace_map() {
	rm "$PINS/$1"
	shift
	bpftool map create "$@"
}

older_abi() {
	# The first word of `instance` is its ABI number.
	local value

	value=$(bpftool -j map lookup pinned "$PINS/instance" key 0 0 0 0 | jq -r '.value | .[1:] | join(" ")')
	# shellcheck disable=SC2086 # words
	bpftool map update pinned "$PINS/instance" key 0 0 0 0 value 0x00 $value
}

foreign_program() {
	local program

	program=$(find "$PINS" -name 'link-*' -print -quit)
	rm "$PINS/use"
	bpftool prog load "$ROOT/build/tests/system/pass.bpf.o" "$PINS/use" type xdp && [ -n "$program" ]
}

foreign_link() {
	bpftool prog load "$ROOT/build/tests/system/pass.bpf.o" "$PINS/link-99" type xdp
}

# Bytes that nobody wrote, in the tables that say what belongs to whom.
scribble() {
	local map entries=64 size

	for map in services servers ids slots addresses ports; do
		size=$(bpftool -j map show pinned "$PINS/$map" | jq .bytes_value)
		od -An -v -tu1 -w"$size" -N $((entries * size)) /dev/urandom |
			awk -v map="$PINS/$map" '{ print "map update pinned " map " key " NR - 1 " 0 0 0 value " $0 }'
	done >"$LAB_DIR/batch"
	bpftool batch file "$LAB_DIR/batch" >/dev/null
}

begin
PINS=/sys/fs/bpf/alwayson/$LAB_NAME
KEPT=$PINS-9 # goes with the lab
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
CFG

leave_pins
keep_pins
case_of "a missing table" 'flows4 is missing' rm "$PINS/flows4"
case_of "no word of what the tables are" 'instance is missing' rm "$PINS/instance"
case_of "a table of another kind" 'slots is a map of another kind' \
	replace_map slots "$PINS/slots" type hash key 4 value 8 entries 1048576 name slots
case_of "a table of another size" 'servers has 7 entries' \
	replace_map servers "$PINS/servers" type array key 4 value 128 entries 7 name servers flags 0x400
case_of "a program where a table was" 'use is no map' foreign_program
case_of "a foreign attachment" 'link-99 is no attachment of ours' foreign_link
case_of "an older ABI" 'ABI 0, this is ABI' older_abi # in the table, for good
check "--discard begins anew" discards
rm -r "$KEPT"

# Counters and the like are not worth a connection.
leave_pins
rm "$PINS/verdict_counters"
replace_map service_counters "$PINS/service_counters" type array key 4 value 8 entries 3 name service_counters
start
check "counters of another size are made anew" logged 'event=loaded .*taken_over=yes'
check "and count" test "$(lab_ctl -j show verdicts | jq '.verdicts | length')" -gt 10
check "packets are steered" steers
agent_stop

leave_pins
scribble
start
check "nonsense in the tables: an agent puts it right" wait_until 10 "answers" steers
check "and goes on living" agent_is_running
agent_stop

# Another size of the flow table is no reason to end connections: it counts from the next start that takes nothing over.
room() {
	lab_ctl -j status | jq -r '.flows | "\(.v4.capacity) \(.v6.capacity)"'
}

resized() {
	{ printf 'global\n\tflow-table 10000 2000\n\n'; cat "$CONFIG"; } >"$LAB_DIR/resized.cfg"
}

start
room_before=$(room)
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
check "a configuration with another flow table" resized
agent_start "$LAB_DIR/resized.cfg"
agent_wait_ready "$READY_S"
check "the flow table that was there keeps its size" expect "entries" "$(room)" = "$room_before"
check "and a warning says so" logged 'event=flow_table_kept .*ipv4_wanted=32768 ipv6_wanted=8192'
check "packets are steered" steers
agent_stop
agent_start "$LAB_DIR/resized.cfg"
agent_wait_ready "$READY_S"
check "a start that takes nothing over has the new size" expect "entries" "$(room)" = "32768 8192"
check "packets are steered with it" steers
agent_stop

# Nothing steers: there is nothing to lose.
leave_pins
rm "$PINS"/link-* "$PINS/flows4"
start
check "damaged, but attached nowhere: it begins anew" steers
check "an agent that runs is not unloaded from outside" expect "exit code" "$(exit_code_of agent --unload -f "$CONFIG")" -eq 1
check "it says why" grep -q 'already running' "$LAB_DIR/out"
check "and goes on" steers

kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
check "--unload ends what is left" expect "exit code" "$(exit_code_of agent --unload -f "$CONFIG")" -eq 0
check "it says what" grep -q 'detached from eth0; connections.*end' "$LAB_DIR/out"
check "nothing is attached, nothing pinned" test "$(attached && echo attached)$(ls "$PINS" 2>/dev/null)" = ""
check "--unload without anything" expect "exit code" "$(exit_code_of agent --unload -f "$CONFIG")" -eq 0
