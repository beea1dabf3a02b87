#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson log level: more or less is logged from now on, without a restart; a reload keeps it. What a target that takes
# nothing costs is in unit/agent_log.
. "$(dirname "$0")/lib.sh"

# A line that comes from now on.
mark=0
mark() {
	mark=$(wc -c <"$LAB_DIR/agent.log")
}
log_has() {
	tail -c "+$((mark + 1))" "$LAB_DIR/agent.log" | grep -qE -- "$1"
}

begin
write_config <<CFG
$(quick_defaults)
listen web
	bind *:80
$(servers 2)
CFG
start
check "checks are not logged" not_logged 'event=check '
lab_ctl log level debug >"$LAB_DIR/out"
check "the new level is shown" grep -qE '^stderr +stderr +debug +info +there +0$' "$LAB_DIR/out"
check "a check, at debug" logged '^debug event=check backend=web server=node1 duration_us=[0-9]+ result="L4OK"'
check "the change is told" logged '^notice event=log_level level=debug'
# A handful of checks are logged by now.
check "but watch is not flooded" expect "checks among the events" "$(echo watch |
	socat - "UNIX:/run/alwayson/$LAB_NAME.sock" | jq '[.events[] | select(.event == "check")] | length')" -eq 0
sed -i 's/rise 2/rise 1/' "$CONFIG"
reload >/dev/null
mark
check "a reload keeps the level" logged 'event=check '
lab_ctl log level err >/dev/null
mark
server_stop 1
wait_down web/node1
check "less is logged, too" not_logged 'event=server_down'
lab_ctl log level default >/dev/null
server_start 1
check "as configured again" logged '^notice event=server_up backend=web server=node1'
check "no checks then" not_logged 'event=check '
check "no such level" expect "exit code" "$(exit_code_of lab_ctl log level loud)" -eq 2
check "show log" expect "level" "$(lab_ctl -j show log | jq -r '.level, .targets[0].level' | paste -sd ' ')" = 'null info'
check "who is not admin may look" expect "exit code" "$(exit_code_of lab_ctl show log)" -eq 0
