#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A hundred reloads under load (LONG=1: a thousand), to and fro between two configurations: no packet is lost, and
# nothing is left over: memory, descriptors, pins, programs.
. "$(dirname "$0")/lib.sh"

readonly PORT=7000 RELOADS=$((${LONG:-0} ? 1000 : 100)) WARM=20 MEMORY_KIB=4096

config() {
	write_config <<CFG
$(quick_defaults)

listen nat
	bind $VIP4:$PORT
	bind udp@$VIP4:$PORT
	server node1 192.168.1.100:$PORT weight $1
	server node2 192.168.1.101:$PORT

listen dsr
	forward dsr
	balance maglev
	bind $DSR4:$PORT
	bind udp@$DSR4:$PORT
	server node1 192.168.1.100:$PORT
	server node2 192.168.1.101:$PORT weight $1
${2:-}
CFG
}

# reloads N: one after the other, each to another configuration.
reloads() {
	local i

	for ((i = 0; i < $1; i++)); do
		if ((i % 2)); then
			config 1
		else
			config $((2 + i % 7)) "listen other
	bind $VIP4:7001
	server node1 192.168.1.100:$PORT"
		fi
		reload >/dev/null || { echo "reload $i is refused"; return 1; }
	done
}

memory_kib() {
	awk '/^(VmRSS|RssAnon):/ { n = $2 } END { print n }' "/proc/$(agent_pid)/status"
}

descriptors() {
	find "/proc/$(agent_pid)/fd" -type l | wc -l
}

# At most what there was: checks under way come and go.
no_more_descriptors() {
	test "$(descriptors)" -le "$1"
}

pins() {
	find "/sys/fs/bpf/alwayson/$LAB_NAME" -type f | sort
}

# Those that the agent itself holds: other labs have theirs.
programs() {
	find "/proc/$(agent_pid)/fd" -lname '*bpf-prog*' | wc -l
}

begin --dsr --backends 2
DSR4=$(lab_state dsr4)
for i in 1 2; do
	steady_serve "$i" $PORT
done
config 1
start
check "the first ones" reloads $WARM
memory=$(memory_kib) descriptors=$(descriptors) pins=$(pins) programs=$(programs)
load_all $PORT
load_passes
check "$RELOADS reloads" reloads "$RELOADS"
load_passes
load_check_all "$RELOADS reloads" node1,node2
printf '# memory before and after: %d and %d KiB; descriptors: %d and %d\n' "$memory" "$(memory_kib)" "$descriptors" "$(descriptors)"
check "no descriptor is left over" wait_until 10 "at most $descriptors descriptors" no_more_descriptors "$descriptors"
check "no pin" expect "pins" "$(pins)" = "$pins"
check "no program" expect "programs" "$(programs)" -eq "$programs"
check "no memory" expect "KiB more" $(($(memory_kib) - memory)) -le $MEMORY_KIB
