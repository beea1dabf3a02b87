#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A new configuration while requests are under way: nobody notices. A bad one: nothing changes, and it says why.
. "$(dirname "$0")/lib.sh"

# config_with SERVERS [LINE]: the service with so many servers, and one more line.
config_with() {
	write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
$(servers "$1")
${2:-}
CFG
}

answers_are() {
	[ "$(answers "http://$VIP4/" 24)" = "$1" ]
}

bad_is_refused() {
	local output code

	config_with 2 "	balanc roundrobin"
	output=$(reload 2>&1)
	code=$?
	expect "exit code of reload" "$code" -eq 3 || { printf '%s\n' "$output"; return 1; }
	grep -q 'agent.cfg:[0-9]*:[0-9]*:.*balanc' <<<"$output" || { printf 'it said: %s\n' "$output"; return 1; }
	grep -q 'did you mean.*balance' <<<"$output" || { printf 'no hint in: %s\n' "$output"; return 1; }
}

# One connection that is open across everything.
long_start() {
	nsenter --net="$(lab_netns_path client)" curl -sf -m 30 -o "$LAB_DIR/slow" "http://$VIP4/slow/1M" &
	LONG_PID=$!
}

long_is_right() {
	wait_until 20 "the download's end" process_is_gone "$LONG_PID" || return
	cmp "$LAB_DIR/slow" "$FILES/1M"
}

begin --backends 3
server_file 1M >/dev/null
config_with 2
start

FLOW=$LAB_DIR/stream
long_start
wait_until 5 "the long download to begin" test -s "$LAB_DIR/slow"
lab_ctl server drain web/node2 >/dev/null
stream "$FLOW" 200 3000 "http://$VIP4/"
stream_wait_more "$FLOW" 50 10

check "a bad file is refused: exit code 3, line and hint" bad_is_refused
check "after a bad file the old one is in force" expect "answers by" "$(answers "http://$VIP4/" 24)" = node1
config_with 3
check "a good file is taken" reload
check "the new server takes part when its check is good" wait_until 5 "answers by node3" answers_are node1,node3
check "the drain has survived the reload" expect "admin state" "$(server_field web/node2 admin)" = drain
lab_ctl server ready web/node2 >/dev/null
check "the drain can be ended" wait_until 5 "answers by all" answers_are node1,node2,node3

config_with 2
cp "$CONFIG" "$LAB_DIR/agent.cfg"
kill -HUP "$(agent_pid)"
check "SIGHUP reloads: the third server is gone" wait_until 5 "answers by two" answers_are node1,node2

# While one is under way, which lasts, since it takes another program, the file changes once more.
changes_meanwhile() {
	local before

	before=$(grep -c event=reloaded "$LAB_DIR/agent.log")
	config_with 3 $'\nglobal\n\ton-agent-death pass'
	cp "$CONFIG" "$LAB_DIR/agent.cfg"
	kill -HUP "$(agent_pid)"
	wait_until 5 "a program to be loaded" program_is_loaded || return
	config_with 2
	cp "$CONFIG" "$LAB_DIR/agent.cfg"
	kill -HUP "$(agent_pid)"
	wait_until 10 "both reloads" reloaded_more $((before + 1))
}
program_is_loaded() { grep -qx load "/proc/$(agent_pid)/task/"*/comm; }
reloaded_more() { [ "$(grep -c event=reloaded "$LAB_DIR/agent.log")" -gt "$1" ]; }
check "SIGHUP while a reload is under way is not lost" changes_meanwhile
check "what was written last is in force" expect "answers by" "$(answers "http://$VIP4/" 24)" = node1,node2
for i in 3 2 3 2 3; do
	config_with "$i"
	reload >/dev/null || not_ok "reload to $i servers" "refused"
	stream_wait_more "$FLOW" 30 10
done
# Without a pause: who comes back does so while what took him away is not yet over.
for i in 2 3 2 3 2 3 2 3 2 3; do
	config_with "$i"
	reload >/dev/null || not_ok "reload to $i servers" "refused"
	[ "$i" = 2 ] || stream_wait_more "$FLOW" 6 10
done
stream_end
check "requests were made during all of it" expect "requests" "$(wc -l <"$FLOW")" -ge 200
check "none of them failed" expect "failures" "$(stream_count "$FLOW" 0 99999999999999 failed)" -eq 0
check "none waited for a repeated SYN" expect "ms between two requests" "$(stream_longest_gap "$FLOW")" -lt 900
check "no packet was dropped" expect "dropped" \
	"$(lab_ctl -j show verdicts | jq '[.verdicts[] | select(.action == "drop") | .packets] | add')" -eq 0
check "a connection older than all reloads ends well" long_is_right
check "the agent is the same process" agent_is_running
