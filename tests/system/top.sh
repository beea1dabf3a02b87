#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson top: once for scripts, in words and in JSON; and live on a terminal of a given size, which it leaves as it
# was.
. "$(dirname "$0")/lib.sh"

# top on a terminal of ROWS x COLUMNS; what it draws is in $LAB_DIR/screen, its keys come from $LAB_DIR/keys.
top_on_terminal() {
	rm -f "$LAB_DIR/keys" "$LAB_DIR/screen"
	mkfifo "$LAB_DIR/keys"
	nsenter --net="$(lab_netns_path balancer)" script -qfec \
		"stty rows $1 cols $2; '$LAB_BUILD/alwayson' -s '$LAB_DIR/sock' top; echo exit code \$?; stty -a" \
		"$LAB_DIR/screen" <"$LAB_DIR/keys" >/dev/null 2>&1 &
	terminal=$!
	exec 3>"$LAB_DIR/keys"
}

drawn() {
	wait_until 10 "'$1' on the screen" grep -qaF -- "$1" "$LAB_DIR/screen" || { cat -v "$LAB_DIR/screen"; return 1; }
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

rate_told() {
	lab_ctl -j top --once >"$LAB_DIR/json" || return
	jq -e '.services[0].bytes_out_per_s > 0 and .interval_ms > 0' "$LAB_DIR/json" >/dev/null
}

begin
server_file 512k >/dev/null
write_config <<CFG
global
	stats socket $LAB_DIR/sock
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
CFG
agent_start "$CONFIG"
lab_ctl() {
	lab_in balancer "$LAB_BUILD/alwayson" -s "$LAB_DIR/sock" "$@"
}
agent_wait_ready "$READY_S" || give_up start "not ready"

check "--once" lab_ctl top --once
check "it names the servers" grep -q 'web/node2 *UP *ready' <(lab_ctl top --once)
check "without a terminal it says what to do" grep -q 'top --once' <(lab_ctl top 2>&1 </dev/null)
check "and exits with 2" expect "exit code" "$(exit_code_of lab_ctl top)" -eq 2
client curl -s -o /dev/null -m 20 "http://$VIP4/slow/512k" &
check "traffic has a rate" wait_until 10 "a rate" rate_told

top_on_terminal 6 40
check "live: it draws" drawn ', up '
check "what does not fit is counted" drawn 'more lines; `alwayson top'
server_stop 1
wait_down web/node1
check "it follows what happens" drawn '1/2'
printf q >&3
check "q quits" drawn 'exit code 0'
check "and it is gone" wait_until 5 "the end of the terminal" ended "$terminal"
check "the terminal is as it was" grep -qaE '(^|[ ;])icanon.*(^|[ ;])echo( |;)|[ ;]echo .*' "$LAB_DIR/screen"
exec 3>&-
