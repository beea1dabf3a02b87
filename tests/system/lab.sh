#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The lab itself: two at once, no second `up`, and `down` that leaves nothing, whatever state it finds.
. "$(dirname "$0")/lib.sh"

lab() {
	"$ROOT/tools/lab" "$@"
}

# Namespaces, directory and pins of lab $1.
traces() {
	find /run/netns /sys/fs/bpf/alwayson "$LAB_HOME" -maxdepth 1 \
		\( -name "ao-*-$1" -o -name "lab-$1" -o -name "$1" \) 2>/dev/null | paste -sd ' '
}

begin
other=x${LAB_ID#t}

check "a second lab beside this one" lab --id "$other" up --no-agent --backends 1
check "its client reaches its server" expect "answer" \
	"$(lab --id "$other" exec client curl -s -m 3 http://192.168.1.100/)" = node1
check "the first one's server is still its own" expect "answer" \
	"$(lab_in client curl -s -m 3 http://192.168.1.101/)" = node2
check "a second up is refused" expect "exit code" "$(exit_code_of lab --id "$other" up --no-agent)" -eq 1
check "down" lab --id "$other" down
check "nothing of it is left" expect "what is left" "$(traces "$other")" = ""
check "down where there is nothing" lab --id "$other" down

ip netns add "ao-client-$other"
nsenter --net="/run/netns/ao-client-$other" sleep 100 &
check "half a lab is no obstacle to up" lab --id "$other" up --no-agent --backends 1
check "what ran in it is gone" wait_until 3 "sleep's end" process_is_gone $!
check "down again" lab --id "$other" down
check "nothing is left again" expect "what is left" "$(traces "$other")" = ""

replica_follows() {
	lab --id "$other" mysql status | grep '^mariadb 2 .*replicates: IO Yes, SQL Yes'
}

database_answers() {
	lab --id "$other" exec client mariadb --no-defaults -h 192.168.1.10 -P "$1" -u app -papp-password -N -e 'SELECT @@server_id'
}

answered_by() {
	[ "$(database_answers "$1")" = "$2" ]
}

check "a primary and a replica" lab --id "$other" mysql up --replicas 1
check "their state is told" replica_follows
check "writes go to the primary" wait_until 10 "the primary" answered_by 3306 1
check "reads go to the replica" wait_until 10 "the replica" answered_by 3307 2
check "down with databases" lab --id "$other" down
check "nothing of them is left" expect "what is left" "$(traces "$other")" = ""

check "an unknown topology: 2" expect "exit code" "$(exit_code_of lab --id "$other" up --topology ring)" -eq 2
check "exec in no lab: 4" expect "exit code" "$(exit_code_of lab --id "$other" exec client true)" -eq 4

start "$REFERENCE"
kill -9 "$(agent_pid)"
check "a killed agent: down succeeds" lab --id "$LAB_ID" down
check "and leaves nothing" expect "what is left" "$(traces "$LAB_ID")" = ""
