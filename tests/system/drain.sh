#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Taking a server out of service by hand: new connections go elsewhere, the ones it has go on to their end.
. "$(dirname "$0")/lib.sh"

# A download at 256 KiB/s, about 6 s, into file $1: longer than the agent takes to look at all connections twice.
slow_download() {
	nsenter --net="$(lab_netns_path client)" curl -sf -m 20 -o "$1" "http://$VIP4/slow/1536k" &
	DOWNLOAD_PID=$!
}

begin
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
CFG
server_file 1536k >/dev/null
start

lab_ctl server maint web/node2 >/dev/null
check "maint of node2 leaves node1" expect "answers by" "$(answers "http://$VIP4/" 20)" = node1
slow_download "$LAB_DIR/slow"
wait_until 5 "the download to begin" test -s "$LAB_DIR/slow"
check "ready brings node2 back" lab_ctl server ready web/node2
wait_up web/node2
check "drain is accepted" lab_ctl server drain web/node1
check "a draining server gets no new connection" expect "answers by" "$(answers "http://$VIP4/" 20)" = node2
check "the download is still going on" kill -0 "$DOWNLOAD_PID"
check "wait drained says 5 when time is up" expect "exit code" \
	"$(exit_code_of lab_ctl wait drained web/node1 --timeout 300ms)" -eq 5
check "wait drained ends when the last connection has" lab_ctl wait drained web/node1 --timeout 15s
check "the download is complete by then" wait_until 1 "the download's end" process_is_gone "$DOWNLOAD_PID"
check "the download is right" cmp "$LAB_DIR/slow" "$FILES/1536k"
check "show servers tells of the drain" expect "admin state" "$(server_field web/node1 admin)" = drain
check "ready is accepted" lab_ctl server ready web/node1
wait_up web/node1
check "both answer again" expect "answers by" "$(answers "http://$VIP4/" 20)" = node1,node2
check "waiting for a server that takes connections is in vain: 1" expect "exit code" \
	"$(exit_code_of lab_ctl wait drained web/node1 --timeout 5s)" -eq 1
check "an unknown server is not found" expect "exit code" "$(exit_code_of lab_ctl server drain web/nobody)" -eq 1
