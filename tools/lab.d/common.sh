# SPDX-License-Identifier: BSD-2-Clause
#
# Names, places and waiting, shared by tools/lab, its parts and the system tests. Sourced, never run; defines functions
# and LAB_* variables only. `lab_use ID` must come first.

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_BUILD=${BUILD:-build}
case $LAB_BUILD in
/*) ;;
*) LAB_BUILD=$LAB_ROOT/$LAB_BUILD ;;
esac
LAB_HOME=/run/alwayson-lab
LAB_STATE_DIR=/var/lib/alwayson

# Sets the variables that belong to one instance of the lab.
lab_use() {
	LAB_ID=$1
	LAB_DIR=$LAB_HOME/$LAB_ID
	LAB_NAME=lab-$LAB_ID
}

lab_say() {
	printf 'lab: %s\n' "$*"
}

lab_warn() {
	printf 'lab: %s\n' "$*" >&2
}

# The namespace of a role: client, router, balancer, switch, backend1..N.
lab_netns() {
	printf 'ao-%s-%s' "$1" "$LAB_ID"
}

lab_netns_path() {
	printf '/run/netns/ao-%s-%s' "$1" "$LAB_ID"
}

# Runs a command inside a role, in the foreground. Not `ip netns exec`: that remounts /sys and hides bpffs.
# For the background write `nsenter --net="$(lab_netns_path ROLE)" CMD &` out: $! is then the command itself.
lab_in() {
	local role=$1

	shift
	nsenter --net="/run/netns/ao-$role-$LAB_ID" "$@"
}

# The namespaces of this instance that exist.
lab_all_netns() {
	local path

	for path in /run/netns/ao-*-"$LAB_ID"; do
		[ -e "$path" ] || continue
		[[ ${path##*/} =~ ^ao-[a-z0-9]+-$LAB_ID$ ]] && printf '%s\n' "${path##*/}"
	done
	return 0
}

# A value that `up` wrote down: topology, backends, vip4, vip6, ...
lab_state() {
	cat "$LAB_DIR/state/$1" 2>/dev/null
}

lab_keep_state() {
	printf '%s\n' "$2" >"$LAB_DIR/state/$1"
}

# Waits until a command succeeds: wait_until SECONDS WHAT COMMAND...  Polls every 20 ms, later every 50 and 100, as who asks
# takes time from who is asked; says WHAT when time is up.
wait_until() {
	local limit_ms=$(($1 * 1000)) what=$2 start_ms now_ms polls=0

	shift 2
	start_ms=$(now_ms)
	until "$@" >/dev/null 2>&1; do
		now_ms=$(now_ms)
		if ((now_ms - start_ms > limit_ms)); then
			lab_warn "waited $((limit_ms / 1000)) s in vain: $what"
			return 1
		fi
		case $((++polls)) in
		?) sleep 0.02 ;;
		1?) sleep 0.05 ;;
		*) sleep 0.1 ;;
		esac
	done
}

# Monotonic enough for a deadline, without a process: milliseconds since the epoch.
now_ms() {
	local t=$EPOCHREALTIME

	printf '%d' "$((${t/[.,]/} / 1000))"
}

# Ends one process that we started and waits for it: TERM, after GRACE seconds KILL.
end_process() {
	local pid=$1 grace=${2:-5}

	[ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 0
	kill "$pid" 2>/dev/null || return 0
	wait_until "$grace" "the end of process $pid" process_is_gone "$pid" 2>/dev/null && return 0
	kill -9 "$pid" 2>/dev/null || true
	wait_until 2 "the end of process $pid after SIGKILL" process_is_gone "$pid"
}

# A zombie is gone as well: whoever started it has not looked yet. Not so while another thread of it still ends: that one
# holds its files and locks.
process_is_gone() {
	local state threads

	state=$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 0
	[ -n "$state" ] || return 0
	threads=("/proc/$1/task/"*)
	[ "$state" = Z ] && [ "${#threads[@]}" -le 1 ]
}
