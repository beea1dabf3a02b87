#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The machine's clock jumps, a year ahead and two years back: only what is shown as a time of day may follow it. The agent
# believes another clock (preload/other_clock.c); the machine's own is left alone.
. "$(dirname "$0")/lib.sh"

readonly PORT=7000 STEADY_PORT=7001 DAY_MS=86400000

config() {
	write_config <<CFG
global
	metrics 127.0.0.1:9599
	announce lo need 1
$(quick_defaults)

listen nat
	bind $VIP4:$PORT
	bind udp@$VIP4:$PORT
	announce none
	server node1 192.168.1.100:$PORT
	server node2 192.168.1.101:$PORT

listen steady
	bind $VIP4:$STEADY_PORT
	bind udp@$VIP4:$STEADY_PORT
	announce none
	server node1 192.168.1.100:$PORT

listen announced
	bind $ANNOUNCED:$PORT
	server node2 192.168.1.101:$PORT
CFG
}

# From now on it is so many days later (or earlier) for the agent. In one step: it reads the file all the time.
days() {
	printf '%-15d' $(($1 * DAY_MS / 1000)) | dd of="$LAB_DIR/clock" conv=notrunc status=none
	wait_until 5 "the agent to believe it" agent_is_off_by "$1"
}

agent_is_off_by() {
	local off

	off=$(($(lab_ctl -j status | jq .now_ms) - $(now_ms) - $1 * DAY_MS))
	((off < DAY_MS && off > -DAY_MS))
}

down_after_ms() {
	local start_ms

	start_ms=$(now_ms)
	steady_kill 2
	wait_down nat/node2 || return
	expect "ms until it was down" $(($(now_ms) - start_ms)) -le 5000
}

announced() {
	ip -n "$(lab_netns balancer)" -o address show dev lo | grep -q "$ANNOUNCED/"
}

not_announced() {
	! announced
}

# What people are shown of times: nothing that is years from now, in either direction.
ages_make_sense() {
	local output

	output=$(lab_ctl show servers nat/node1; lab_ctl show interfaces; lab_ctl status) || return
	! grep -Eq '[0-9]{6,}d|-[0-9]+[smhd]' <<<"$output" || { printf '%s\n' "$output"; return 1; }
}

suite() {
	local when=$1

	days "$2" || give_up "$when" "the agent has the machine's time"
	check "$when: a server that dies is found out in time" down_after_ms
	check "$when: its address is withdrawn" wait_until 10 "the address to go" not_announced
	steady_serve 2 $PORT
	check "$when: it is found when it is back" wait_up nat/node2
	check "$when: and announced" wait_until 15 "the address" announced
	lab_ctl server drain nat/node2 >/dev/null
	check "$when: a wait ends by its own time" expect "exit code" "$(exit_code_of timeout 20 nsenter \
		--net="$(lab_netns_path balancer)" "$LAB_BUILD/alwayson" --name "$LAB_NAME" wait drained nat/node2 --timeout 300ms)" -eq 5
	lab_ctl server ready nat/node2 >/dev/null
	check "$when: a reload" reload
	check "$when: a restart" lab_ctl restart
	check "$when: it is still another time" agent_is_off_by "$2"
	check "$when: ages that are shown make sense" ages_make_sense
	check "$when: metrics are served" lab_in balancer curl -sf -m 5 -o /dev/null http://127.0.0.1:9599/metrics
	load_passes
}

begin --backends 2
ANNOUNCED=192.0.2.77
config
for i in 1 2; do
	steady_serve "$i" $PORT
done
printf '%-15d' 0 >"$LAB_DIR/clock"
LD_PRELOAD=$LAB_BUILD/tests/system/preload/other_clock.so OTHER_CLOCK=$LAB_DIR/clock start
wait_until 15 "the address" announced
load stream stream "$VIP4" $STEADY_PORT 200
load udp udp "$VIP4" $STEADY_PORT 200
load new new "$VIP4" $STEADY_PORT 50
suite "a year ahead" 365
suite "two years back" -365
load_check_all "the clock jumps" node1
check "the watchdog slept" eval '! grep -q event=watchdog "$LAB_DIR/agent.log"'
check "no server went down but by its death" expect "server_down" "$(grep -c 'event=server_down.*node1' "$LAB_DIR/agent.log")" -eq 0
