#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Start and stop: what alwaysond checks and says first, when it tells that it is ready, what it leaves on the machine
# when it is asked to end, and that a killed one is no obstacle to the next.
. "$(dirname "$0")/lib.sh"

agent() {
	timeout 10 nsenter --net="$(lab_netns_path balancer)" "$LAB_BUILD/alwaysond" "$@"
}

# A run that must end by itself: says CODE MESSAGE ARGUMENTS...
says() {
	local code=$1 message=$2

	shift 2
	expect "exit code" "$(exit_code_of agent "$@")" -eq "$code" || { cat "$LAB_DIR/out"; return 1; }
	[ -z "$message" ] || grep -Eq "$message" "$LAB_DIR/out" || { printf 'it said: '; cat "$LAB_DIR/out"; return 1; }
}

attached_program() {
	ip -n "$(lab_netns balancer)" -j link show eth0 | jq -e '.[0].xdp.prog.id'
}

program_is_gone() {
	! bpftool prog show id "$1"
}

not_attached() {
	! attached_program
}

vlan_offload_is() {
	lab_in balancer ethtool -k eth0 | grep -q "^rx-vlan-offload: $1" &&
		lab_in balancer ethtool -k eth0 | grep -q "^rx-vlan-stag-hw-parse: $1"
}

# After the end of an agent whose program was $1: nothing of it is left.
left_nothing() {
	not_attached || { echo "a program is still attached"; return 1; }
	wait_until 2 "program $1 to be freed" program_is_gone "$1" || return
	[ ! -e "/sys/fs/bpf/alwayson/$LAB_NAME" ] || { find "/sys/fs/bpf/alwayson/$LAB_NAME"; return 1; }
	expect "exit code of alwayson without agent" "$(exit_code_of lab_ctl status)" -eq 4
}

ended() {
	wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
}

begin
cp "$REFERENCE" "$CONFIG"

check "-c with a good file" says 0 '' -c -f "$CONFIG"
printf 'frontend a\n\tbind *:80\n\tdefault_backend nobody\n\tbalanc x\n' >"$LAB_DIR/bad.cfg"
check "-c with a bad file: 1, and every error with its line" says 1 'bad.cfg:4:' -c -f "$LAB_DIR/bad.cfg"
check "-c: the other error of the same file" grep -q 'bad.cfg:3:.*nobody' "$LAB_DIR/out"
check "-c without the file" says 1 'missing.cfg' -c -f "$LAB_DIR/missing.cfg"
check "an unknown option" says 2 '' --bogus
check "neither -i nor interface: 2, and the NIC is named" says 2 'eth0' -f "$CONFIG" --name "$LAB_NAME"
check "a NIC that does not exist" says 1 'eth7' -f "$CONFIG" -i eth7 --name "$LAB_NAME"
check "and that is all it says" expect "lines" "$(grep -c . "$LAB_DIR/out")" -eq 1

# The agent as systemd would start it.
nsenter --net="$(lab_netns_path balancer)" socat -u "UNIX-RECV:$LAB_DIR/notify" "OPEN:$LAB_DIR/notified,creat,append" &
# The host's own server. It reads the request first: who closes on unread bytes resets, and its answer may be lost.
cat >"$LAB_DIR/host" <<'SCRIPT'
#!/bin/sh
while read -r line && [ "${#line}" -gt 1 ]; do :; done
echo host
SCRIPT
chmod +x "$LAB_DIR/host"
nsenter --net="$(lab_netns_path balancer)" socat TCP-LISTEN:80,reuseaddr,fork "EXEC:$LAB_DIR/host" &
wait_until 5 "the notify socket" test -S "$LAB_DIR/notify"
NOTIFY_SOCKET=$LAB_DIR/notify agent_start "$CONFIG"
check "tells systemd that it is ready" wait_until 10 "READY=1" grep -q '^READY=1' "$LAB_DIR/notified"
check "is ready when it says so" agent_is_ready
check "VLAN tags stay in the frames now" vlan_offload_is off
check "and it says so" logged 'event=vlan_offload interface=eth0 state=off'
check "and traffic flows then" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
check "notice: the host listens on a port that is taken from it" logged ':80.*(listen|shadow)'
check "a second agent of the name is refused" says 1 "$LAB_NAME|already" -f "$CONFIG" -i eth0 --name "$LAB_NAME"
check "the first one goes on" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2

for signal in TERM INT; do
	[ "$signal" = TERM ] || start
	program=$(attached_program)
	kill "-$signal" "$(agent_pid)"
	check "SIG$signal ends it" ended
	check "SIG$signal leaves nothing" left_nothing "$program"
	check "SIG$signal: the NIC takes VLAN tags off as before" vlan_offload_is on
done
check "it says that connections end" logged 'connections?'
check "the host has its port back" expect "answer" "$(client curl -s --http0.9 -m 3 "http://$VIP4/")" = host

start
kill -USR2 "$(agent_pid)"
check "SIGUSR2 ends it" ended
check "and says what becomes of the connections" logged 'event=stopping .*goes on steering'
check "after SIGUSR2 the kernel goes on steering" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
check "SIGUSR2: VLAN tags stay in the frames" vlan_offload_is off
start
check "SIGUSR2: the next agent takes over" logged 'event=loaded .*taken_over=yes'
check "and ends all when it is told to" agent_stop
check "nothing is steered any more" expect "answer" "$(client curl -s --http0.9 -m 3 "http://$VIP4/")" = host

start
kill -9 "$(agent_pid)"
check "kill -9" ended
check "after kill -9 the kernel goes on steering" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
start
check "the next agent takes over" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
check "VLAN tags stay in the frames all the time" vlan_offload_is off
program=$(attached_program)
agent_stop
check "and leaves nothing when it ends" left_nothing "$program"
check "the NIC takes VLAN tags off again, which the first one had switched off" vlan_offload_is on

start
kill -9 "$(agent_pid)"
ended
check "--unload without an agent" says 0 'detached from eth0' --unload --name "$LAB_NAME"
check "--unload has the NIC take VLAN tags off again" vlan_offload_is on

lab_in balancer ethtool -K eth0 rxvlan off rx-vlan-stag-hw-parse off
start
check "a NIC that did not take VLAN tags off" vlan_offload_is off
agent_stop
check "does not do so afterwards" vlan_offload_is off
lab_in balancer ethtool -K eth0 rxvlan on rx-vlan-stag-hw-parse on
start
lab_ctl unload eth0 >/dev/null
check "unload has it take VLAN tags off again" vlan_offload_is on
agent_stop
