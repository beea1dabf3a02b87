#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# An agent whose loop is stuck: it is said and counted, and after the watchdog's time the process ends, so that the next
# one takes over; packets are steered all the while. What was frozen as a whole is not taken for stuck. systemd is told
# that the loop turns.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults_lib.sh"

readonly PORT=7000 HOLD=$LAB_BUILD/tests/system/hold_thread

config() {
	write_config <<CFG
global
	metrics 127.0.0.1:9599
	on-agent-death keep
	$1
$(quick_defaults)

$(steady_listen nat "$VIP4")
CFG
}

# The loop's thread stands still until `release`.
stick() {
	"$HOLD" "$(agent_pid)" >"$LAB_DIR/held" &
	HOLDER=$!
	wait_until 5 "the loop to be stuck" grep -q held "$LAB_DIR/held"
}

release() {
	kill "$HOLDER"
	wait "$HOLDER" 2>/dev/null
}

stalls() {
	lab_in balancer curl -sf -m 10 http://127.0.0.1:9599/metrics | awk '/^alwayson_loop_stalls_total / { print $2 }'
}

stall_is_counted() {
	expect "alwayson_loop_stalls_total" "$(stalls)" -eq "$1"
}

# Datagrams stand one behind the other in the file, without a line's end between them.
told() {
	grep -o 'WATCHDOG=1' "$LAB_DIR/notified" | wc -l
}

told_more_often_than() {
	[ "$(told)" -gt "$1" ]
}

begin --backends 2
for i in 1 2; do
	steady_serve "$i" $PORT
done
config "watchdog 4s"
start
load_all $PORT
from_here

stick
check "a stuck loop is said" logged 'event=loop_stuck .*watchdog_ms=4000'
release
check "one that turns again too" logged 'event=loop_resumed stuck_ms='
check "it is counted" stall_is_counted 1
check "the agent has not ended" agent_is_running

# Longer than the watchdog's time and than DATAPLANE_DEATH_MS, of which the program makes nothing with `keep`: nothing tells
# that they are over but time.
from_here
kill -STOP "$(agent_pid)"
sleep 6
kill -CONT "$(agent_pid)"
check "one that was frozen goes on" wait_until 10 "it answers" agent_is_ready
check "and is not taken for stuck" not_logged 'event=watchdog'
check "nor counted" stall_is_counted 1
check "packets were steered on" load_passes
load_check_all "a loop that was stuck, an agent that was frozen" node1,node2

load nat-stream stream "$VIP4" $PORT 500
load nat-new new "$VIP4" $PORT 200
from_here
stick
check "one that stays stuck ends the agent" wait_until 30 "its end" process_is_gone "$(agent_pid)"
release
check "which says so" logged 'event=watchdog stuck_ms=4000'
load_passes
start
check "the next one takes over" logged 'event=loaded .*taken_over=yes'
load_passes
load_check_all "a loop that stays stuck" node1,node2

config "watchdog 2s"
check "a reload makes it shorter" reload
config "watchdog off"
check "another turns it off" reload
from_here
stick
sleep 3 # longer than the time it had before: nothing must happen
check "off: a stuck loop is not noticed" not_logged 'event=loop_stuck'
release
check "off: it goes on" wait_until 10 "it answers" agent_is_ready
agent_stop

# As systemd would start it: its time is told of in the environment, and half of it must never pass in silence.
nsenter --net="$(lab_netns_path balancer)" socat -u "UNIX-RECV:$LAB_DIR/notify" "OPEN:$LAB_DIR/notified,creat,append" &
wait_until 5 "the notify socket" test -S "$LAB_DIR/notify"
NOTIFY_SOCKET=$LAB_DIR/notify WATCHDOG_USEC=1000000 start
check "systemd's watchdog is told" wait_until 10 "WATCHDOG=1" told_more_often_than 2
stick
before=$(told)
sleep 1.5
check "a stuck loop does not tell it" expect "times it was told" "$(told)" -le $((before + 1))
release
check "one that goes on does" wait_until 10 "WATCHDOG=1" told_more_often_than $((before + 1))
check "a restart goes on telling" lab_ctl restart
before=$(told)
check "and so does the new program" wait_until 10 "WATCHDOG=1" told_more_often_than $((before + 2))
