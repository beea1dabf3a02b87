#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The heart of it: the reference configuration as it stands, with its own check times. 1000 requests shared evenly;
# a server killed in the middle of 2000 requests at 100/s: failures until the check notices, none after; and its share
# again when it is back.
#
#     client .2 ── switch ── balancer .10 (alwaysond -f haproxy.cfg -i eth0)
#                    ├────── node1 .100
#                    └────── node2 .101
. "$(dirname "$0")/lib.sh"

even_shares() {
	local answers=$LAB_DIR/answers

	get "http://$VIP4/" 1000 >"$answers"
	expect "failed requests" "$(count_answers failed <"$answers")" -eq 0 || return
	expect "answers by node1" "$(count_answers node1 <"$answers")" -ge 499 || return
	expect "answers by node1" "$(count_answers node1 <"$answers")" -le 501 || return
	expect "answers by node2" "$(count_answers node2 <"$answers")" -ge 499 || return
	expect "answers in all" "$(wc -l <"$answers")" -eq 1000
}

count() {
	stream_count "$FLOW" "$@"
}

begin
start "$REFERENCE"
check "1000 requests, 500 by each server" even_shares

FLOW=$LAB_DIR/stream
start_ms=$(now_ms)
stream "$FLOW" 100 2000 "http://$VIP4/"
stream_wait_more "$FLOW" 150 10
# A request that is under way at the moment of the kill belongs to what comes after it.
kill_ms=$(($(now_ms) - 20))
server_stop 1
check "the check notices that node1 is dead" wait_down nodes/node1
down_ms=$(now_ms)
stream_wait_more "$FLOW" 200 10
server_start 1
check "the check notices that node1 is back" wait_up nodes/node1
up_ms=$(server_since_ms nodes/node1)
check "the stream goes on to its end" wait_until 60 "the 2000th answer" stream_has "$FLOW" 2000
wait "$STREAM_PID"
end_ms=$(now_ms)

check "no failure before the kill" expect "failures" "$(count "$start_ms" "$kill_ms" failed)" -eq 0
check "no failure after detection" expect "failures" "$(count "$down_ms" "$end_ms" failed)" -eq 0
# Likewise one that began just before node1 was back: its SYN came after.
check "nothing goes to a dead server" expect "answers by node1" "$(count "$down_ms" $((up_ms - 100)) node1)" -eq 0
check "the other server answers meanwhile" expect "answers by node2" "$(count "$down_ms" "$up_ms" node2)" -ge 190
check "detection within fall x inter and a bit" expect "ms" $((down_ms - kill_ms)) -le 7500
share=$(count "$up_ms" "$end_ms" node1)
all=$(count "$up_ms" "$end_ms")
check "enough requests after the return to judge" expect "requests" "$all" -ge 100
check "node1 has its share again, at least" expect "answers by node1" "$share" -ge $((all / 2 - 2))
check "node1 has its share again, at most" expect "answers by node1" "$share" -le $((all / 2 + 2))
