#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson watch: a server's death, a reload and a restart of the agent arrive as they happen, in words and in JSON, and
# who reads them gets each once.
. "$(dirname "$0")/lib.sh"

# watch_into FILE ARGUMENT...: follows the agent in the background; its process id is in $watcher.
watch_into() {
	local file=$1

	shift
	nsenter --net="$(lab_netns_path balancer)" "$LAB_BUILD/alwayson" -s "$LAB_DIR/sock" watch "$@" \
		>"$file" 2>"$file.err" &
	watcher=$!
}

told() {
	wait_until 10 "'$2' in $(basename "$1")" grep -qE -- "$2" "$1" || { cat "$1" "$1.err"; return 1; }
}

told_once() {
	expect "lines with '$2'" "$(grep -cE -- "$2" "$1")" -eq 1
}

# Numbers of one run rise, one by one.
without_a_gap() {
	jq -es 'map(.number) | . == [range(.[0]; .[0] + length)]' "$1" >/dev/null || { cat "$1"; return 1; }
}

ended() {
	! kill -0 "$1" 2>/dev/null
}

begin
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

watch_into "$LAB_DIR/all" --last 256 -j
watch_into "$LAB_DIR/text" --last 1
watch_into "$LAB_DIR/node2" web/node2 --last 256
check "what has happened already is told" told "$LAB_DIR/all" '"event":"ready"'
check "the last event alone, when asked so" told "$LAB_DIR/text" .
check "it is one line" expect "lines" "$(wc -l <"$LAB_DIR/text")" -eq 1

server_stop 1
check "a server's death arrives" told "$LAB_DIR/text" ' warning server_down web/node1 .*: L4CON'
check "and as JSON" told "$LAB_DIR/all" '"event":"server_down","fields":\{"backend":"web","server":"node1"'
lab_ctl server drain web/node2 >/dev/null
check "a drain arrives" told "$LAB_DIR/node2" 'server_changed web/node2 .*admin=drain'
check "of one server only what is about it" expect "lines about others" \
	"$(grep -vc 'web/node2' "$LAB_DIR/node2")" -eq 0
reload >/dev/null
check "a reload arrives" told "$LAB_DIR/all" '"event":"reloaded"'
check "each event once, none left out" without_a_gap "$LAB_DIR/all"

agent_stop
check "the agent's last word arrives" told "$LAB_DIR/all" '"event":"stopping"'
check "that it is gone is told" told "$LAB_DIR/all" '"event":"agent_gone"'
agent_start "$CONFIG"
agent_wait_ready "$READY_S" || give_up start "not ready"
check "that it is back is told" told "$LAB_DIR/all" '"event":"agent_restarted"'
check "and what it says from its start on" told "$LAB_DIR/text" 'notice ready'
check "its stop was told once" told_once "$LAB_DIR/text" 'notice stopping'

# asked LINE PATTERN: what the agent answers to a line of the protocol.
asked() {
	lab_in balancer socat -t 5 - "UNIX-CONNECT:$LAB_DIR/sock" <<<"$1" >"$LAB_DIR/answer"
	grep -q -- "$2" "$LAB_DIR/answer" || { cat "$LAB_DIR/answer"; return 1; }
}

last=$(lab_ctl -j watch --last 1 | head -n 1 | jq .number)
check "nothing new within the time: an empty answer" asked "watch $last 1" '"lost":0,"events":\[\]'
check "a number to come is one of an earlier run" asked "watch 1000000 600000" '"events":\[{"number":1,'
check "a wait above the limit" asked "watch $last 600001" '"code":2'
check "a number that is none" asked "watch -1" '"code":2'
lab_in balancer bash -c '"$1" -s "$2" watch --last 256 | head -n 1' - "$LAB_BUILD/alwayson" "$LAB_DIR/sock" \
	>"$LAB_DIR/head" &
reader=$!
lab_ctl server ready web/node2 >/dev/null
check "it ends when nobody reads" wait_until 10 "the end of watch" ended "$reader"
check "and has said something" expect "lines" "$(wc -l <"$LAB_DIR/head")" -eq 1
check "no agent at the beginning" expect "exit code" \
	"$(exit_code_of "$LAB_BUILD/alwayson" -s "$LAB_DIR/nothing" watch)" -eq 4
