#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# 10 000 short connections from four clients at once, a connection a request, without one error; and again at once,
# when every port used before is still in TIME_WAIT at the servers.
. "$(dirname "$0")/lib.sh"

readonly EACH=2500

# Four ab at once, one for each of the client's addresses.
attack() {
	local host pids=() code=0

	for host in 2 3 4 5; do
		nsenter --net="$(lab_netns_path client)" ab -q -l -r -s 10 -n "$EACH" -c 8 -B "192.168.1.$host" \
			-H 'Connection: close' "http://$VIP4/" >"$LAB_DIR/ab.$host" 2>&1 &
		pids+=($!)
	done
	for host in "${pids[@]}"; do
		wait "$host" || code=1
	done
	return "$code"
}

sum_of() {
	cat "$LAB_DIR"/ab.? | awk -F: -v what="$1" '$1 == what { n += $2 } END { print n + 0 }'
}

without_error() {
	attack || { tail -n 3 "$LAB_DIR"/ab.?; return 1; }
	expect "complete requests" "$(sum_of 'Complete requests')" -eq $((4 * EACH)) || return
	expect "failed requests" "$(sum_of 'Failed requests')" -eq 0 || return
	expect "non-2xx responses" "$(sum_of 'Non-2xx responses')" -eq 0
}

begin
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
CFG
start

check "10 000 connections from four clients" without_error
check "10 000 more at once" without_error
check "the checks were not disturbed: node1" server_is_up web/node1
check "the checks were not disturbed: node2" server_is_up web/node2
