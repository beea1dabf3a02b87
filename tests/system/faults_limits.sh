#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# An agent that gets no more descriptors, and one that gets no more memory: what it can't find out it does not hold
# against the servers, what it can't do it refuses and says so, packets go on, and all is well again when there is room. One
# that the kernel kills for want of memory is followed by the next, which takes over.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults_lib.sh"

readonly PORT=7000 MANY=3000

# $1: servers that nobody checks, in a backend of their own.
config() {
	local i

	{
		cat <<CFG
global
	metrics 127.0.0.1:9599
$(quick_defaults)

$(steady_listen nat "$VIP4")

backend more
CFG
		for ((i = 0; i < ${1:-1}; i++)); do
			printf '\tserver more%d 192.168.1.%d:%d no-check\n' "$i" $((100 + i % 2)) $((10000 + i))
		done
	} | write_config
}

limit() {
	prlimit --pid "$(agent_pid)" "$@"
}

result_is() {
	[[ $(server_field "$1" last_result) == *$2* ]]
}

no_answer() {
	expect "exit code" "$(exit_code_of timeout 3 nsenter --net="$(lab_netns_path balancer)" "$LAB_BUILD/alwayson" --name "$LAB_NAME" version)" -eq 124
}

servers_of_more() {
	lab_ctl -j show servers | jq '[.servers[] | select(.backend == "more")] | length'
}

memory_cgroup() {
	local dir

	for dir in /sys/fs/cgroup/memory /sys/fs/cgroup; do
		MEMORY=$dir/alwayson-$LAB_ID
		mkdir "$MEMORY" 2>/dev/null || continue
		for LIMIT in memory.limit_in_bytes memory.max; do
			[ ! -w "$MEMORY/$LIMIT" ] || return 0
		done
		rmdir "$MEMORY"
	done
	return 1
}

finish_limits() {
	local code=$?

	[ ! -d "${MEMORY:-}" ] || wait_until 5 "the group to be empty" rmdir "$MEMORY"
	(exit "$code")
	finish
}

begin --backends 2
trap finish_limits EXIT
config
for i in 1 2; do
	steady_serve "$i" $PORT
done
start
load nat-stream stream "$VIP4" $PORT 500
load nat-new new "$VIP4" $PORT 200

# --- no descriptors
from_here
files=$(prlimit --pid "$(agent_pid)" --nofile --output SOFT,HARD --noheadings)
limit --nofile=3:"${files##* }"
check "no descriptor: nobody new gets in" no_answer
load_passes
sleep 3 # several rounds of checks: nothing must come of them
check "no descriptor: no server goes down" not_logged 'event=server_down'
limit --nofile="$(awk '{ print $1 ":" $2 }' <<<"$files")"
check "there are some again: who waited is answered" wait_until 10 "an answer" lab_ctl version
check "the checks are right again" wait_until 10 "L4OK" result_is nat/node1 L4OK
steady_kill 2
check "and find a server that dies" wait_down nat/node2
check "that they could not be made is said" logged 'event=check_inconclusive .*Too many open files'
check "and counted" test "$(metric alwayson_inconclusive_checks_total)" -gt 0
steady_serve 2 $PORT
wait_up nat/node2
load_end nat-new
load_check nat-stream "no descriptor"

# --- no memory
load nat-stream stream "$VIP4" $PORT 500
load nat-new new "$VIP4" $PORT 200
from_here
size=$(awk '/^VmSize/ { print $2 * 1024 }' "/proc/$(agent_pid)/status")
limit --as="$size:unlimited"
config $MANY
check "no memory: a reload is refused" expect "exit code" "$(exit_code_of reload)" -ne 0
check "and it is said why" grep -Eq '(Cannot allocate memory|no memory for a thread.*); nothing has changed' "$LAB_DIR/out"
limit --as=unlimited:unlimited
check "the agent has lived through it" agent_is_ready
check "the old configuration is in force" expect "servers" "$(servers_of_more)" -eq 1
check "there is some again: a reload" reload
check "the new one is in force" expect "servers" "$(servers_of_more)" -eq $MANY
load_passes
load_check_all "no memory" node1,node2
config
reload >/dev/null

if memory_cgroup; then
	load nat-stream stream "$VIP4" $PORT 500
	load nat-new new "$VIP4" $PORT 200
	lab_ctl server drain more/more0 >/dev/null
	agent_pid >"$MEMORY/cgroup.procs"
	echo 2M >"$MEMORY/$LIMIT"
	config $MANY
	reload >/dev/null 2>&1
	check "out of its group's memory: it is killed" wait_until 10 "its end" process_is_gone "$(agent_pid)"
	load_passes
	from_here
	config
	start
	check "the next one takes over" logged 'event=loaded .*taken_over=yes'
	check "with what was set" expect "admin state" "$(server_field more/more0 admin)" = drain
	load_passes
	load_check_all "killed for want of memory" node1,node2
else
	skip "killed for want of memory" "no memory cgroup can be made"
fi
