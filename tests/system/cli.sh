#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson: every verb answers in words and in JSON, the exit codes are the documented ones, and who may do what is
# decided by the peer's user.
. "$(dirname "$0")/lib.sh"

# A verb in both forms: nothing empty, JSON that parses.
answers_both() {
	local text

	text=$(lab_ctl "$@") || { printf 'exit code %d\n' $?; return 1; }
	[ -n "$text" ] || { echo "no text"; return 1; }
	lab_ctl -j "$@" >"$LAB_DIR/json" || { printf -- '-j: exit code %d\n' $?; return 1; }
	jq -e . "$LAB_DIR/json" >/dev/null
}

exits() {
	local code=$1

	shift
	expect "exit code of alwayson $*" "$(exit_code_of lab_ctl "$@")" -eq "$code" && return
	cat "$LAB_DIR/out"
	return 1
}

# As a user without any right of his own, who may open the socket. alwayson where he can run it.
as_nobody() {
	lab_in balancer setpriv --reuid=65534 --regid=65534 --clear-groups "$LAB_DIR/alwayson" -s "$LAB_DIR/sock" "$@"
}

flows_told() {
	client curl -sf -o "$LAB_DIR/slow" -m 20 "http://$VIP4/slow/512k" &
	wait_until 5 "the download to begin" test -s "$LAB_DIR/slow" || return
	lab_ctl show flows | grep -q 192.168.1.2
}

begin
server_file 512k >/dev/null
chmod 755 "$LAB_DIR"
cp "$LAB_BUILD/alwayson" "$LAB_DIR/alwayson"
write_config <<CFG
global
	stats socket $LAB_DIR/sock mode 666 level user
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

for verb in status "show services" "show servers" "show flows" "show config" "show verdicts" "show interfaces" version; do
	# shellcheck disable=SC2086
	check "$verb" answers_both $verb
done
check "show servers names them" grep -q node2 <(lab_ctl show servers)
check "show flows names a client" flows_told
check "--help" exits 0 --help
check "no verb" exits 2
check "an unknown verb" exits 2 frobnicate
check "a verb without its argument" exits 2 server drain
check "an unknown server" exits 1 server drain web/nobody
check "a weight that is no number" exits 2 server weight web/node1 heavy
check "a time that is none" exits 2 wait drained web/node1 --timeout soon
check "nobody listens" expect "exit code" "$(exit_code_of "$LAB_BUILD/alwayson" -s "$LAB_DIR/nothing" status)" -eq 4

check "another user may look" as_nobody status
check "another user may not act" expect "exit code" "$(exit_code_of as_nobody server drain web/node1)" -ne 0
check "and nothing has happened" expect "admin state" "$(server_field web/node1 admin)" = ready

check "unload leaves the NIC" lab_ctl unload eth0
check "without it the host refuses" refused_at_once "http://$VIP4/"
check "load takes it again" lab_ctl load eth0
check "and traffic flows" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
check "a NIC that is not there" exits 1 load eth7
rubbish() {
	head -c 9000 /dev/urandom | lab_in balancer socat -T 2 - "UNIX-CONNECT:$LAB_DIR/sock" >"$LAB_DIR/out" 2>&1
	! grep -q '"ok": *true' "$LAB_DIR/out" || { echo "it was taken for a request"; return 1; }
	agent_is_ready
}

check "rubbish is refused and does no harm" rubbish
