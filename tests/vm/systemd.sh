#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The unit as `make install` leaves it, under a real systemd that is the guest's init: readiness, reload, restart, crash,
# watchdog, stop, what hardening leaves of the agent's rights, the journal, and the drop-in for `xdp shared`. A steady load
# goes by all the while. The balancer is the guest itself, where the unit runs.
#
#     client 10.0.0.2 ── eth0 guest eth1 ── 192.168.1.100, .101
VM_OPTIONS=(--systemd --memory 3072)
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lab_lib.sh"

readonly PORT=7000 UNIT=alwaysond.service CONFIGURATION=/etc/alwayson/alwayson.cfg
readonly DROP_INS=/etc/systemd/system/$UNIT.d EXAMPLES=/usr/local/share/doc/alwayson/examples
# CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_BPF: docs/alwaysond.md; and CAP_SYS_ADMIN without CAP_NET_RAW: docs/lifecycle.md
readonly RIGHTS=000000c000003000 RIGHTS_OF_ASKER=000000c000201000
# systemd's own, of the unit: from the moment on when the agent hangs until the next one is ready, emulated.
readonly WATCHDOG_S=150

# --- in place of lib.sh's words: this agent is systemd's

lab_ctl() {
	alwayson "$@"
}

agent_pid() {
	property MainPID
}

agent_log_tail() {
	journalctl -u "$UNIT" -o cat -n "${1:-15}" | cut -c 1-200 | sed 's/^/    alwaysond: /'
}

not_ok() {
	printf 'not ok %s %s: %s\n' "$VM_KERNEL" "$1" "$2"
	failures=$((failures + 1))
	agent_log_tail 15
}

# Lines since the last mark. By their number: --after-cursor passes over one that -u would show.
journal() {
	journalctl -u "$UNIT" -o "${1:-cat}" | tail -n +$((MARK + 1))
}

log_has() {
	journal | grep -E -- "$1" >/dev/null
}

mark() {
	journalctl --sync
	MARK=$(journalctl -q -u "$UNIT" -o cat | wc -l)
}

# --- the unit

property() {
	systemctl show -p "$1" --value "$UNIT"
}

is() {
	expect "$1" "$(property "$1")" = "$2"
}

properties_are() {
	local pair

	for pair; do
		is "${pair%%=*}" "${pair#*=}" || return
	done
}

# Another process of it is ready.
is_started_anew() {
	[ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "$1" ]
}

fails() {
	! "$@"
}

configure() {
	cat >"$CONFIGURATION" <<CFG
global
	interface eth0 ${1:-}
	interface eth1
$(quick_defaults)

listen web
	bind $VIP4:80
$(servers 2)
$(steady_listen steady "$VIP4")
${2:-}
CFG
}

steers() {
	expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
}

# Of a process: what /proc/PID/status says, of each thread.
status_of() {
	local task

	for task in "/proc/$1/task/"*; do
		sed -n "s/^$2:\t*//p" "$task/status"
	done | sort -u | paste -sd ,
}

rights_are() {
	local set

	for set in CapEff CapPrm; do
		expect "$set of $1" "$(status_of "$1" "$set")" = "$2" || return
	done
	for set in CapInh CapAmb; do
		expect "$set of $1" "$(status_of "$1" "$set")" = 0000000000000000 || return
	done
	expect "CapBnd of $1" "$(status_of "$1" CapBnd)" = "${3:-$2}"
}

# The unit's process of that name.
process() {
	local pid

	while read -r pid; do
		[ "$(cat "/proc/$pid/comm")" != "$1" ] || printf '%s\n' "$pid"
	done <"/sys/fs/cgroup/system.slice/$UNIT/cgroup.procs"
}

# As the agent sees the files.
within() {
	nsenter --mount="/proc/$(agent_pid)/ns/mnt" "$@"
}

pins() {
	find /sys/fs/bpf/alwayson/default -name "$1-*" 2>/dev/null | wc -l
}

attached() {
	ip -j link show "$1" | jq -r '.[0].xdp.prog.name // "nothing"'
}

nothing_is_left() {
	expect "program at eth0, eth1" "$(attached eth0), $(attached eth1)" = "nothing, nothing" &&
		expect "pins" "$(compgen -G "/sys/fs/bpf/alwayson/default/*" | wc -l)" -eq 0 &&
		expect "processes" "$(systemctl show -p ControlGroup --value "$UNIT")" = ""
}

# The lab's balancer moves to where systemd is.
become_balancer() {
	local ns nic

	ns=$(lab_netns balancer)
	for nic in eth0 eth1; do
		ip -n "$ns" link set "$nic" netns 1 || return
	done
	ip netns del "$ns"
	ip netns attach "$ns" 1
	sysctl -q -w net.ipv4.conf.all.rp_filter=0 net.ipv4.ip_forward=0 net.ipv6.conf.all.accept_dad=0
	for nic in eth0 eth1; do
		sysctl -q -w "net.ipv4.conf.$nic.rp_filter=0" "net.ipv6.conf.$nic.accept_dad=0"
		ip link set "$nic" up
	done
	address balancer eth0 10 wan
	address balancer eth1 10
}

# Taking the lab down ends all that runs in its namespaces: the guest itself must be none of them then.
leave_lab() {
	local code=$?

	ip netns del "$(lab_netns balancer)"
	(exit "$code")
	finish
}

mark
check "make install" make -s -C "$ROOT" --no-print-directory install
check "the unit is one that systemd understands" systemctl daemon-reload
check "the user of the checks" systemd-sysusers
check "is there" id alwayson
begin --topology two-nics
check "the guest is the balancer" become_balancer
trap leave_lab EXIT
mkdir -p /etc/alwayson
steady_serve 1 $PORT
steady_serve 2 $PORT

# --- a start

configure
check "enable" systemctl enable --quiet "$UNIT"
check "its other name" expect "Id" "$(systemctl show -p Id --value alwayson)" = "$UNIT"
check "start" systemctl start "$UNIT"
check "it is ready when start returns" properties_are ActiveState=active SubState=running StatusText=steering Result=success
check "and steers" steers
check "at both interfaces" expect "modes" "$(vm_mode eth0) $(vm_mode eth1)" = "native native"
check "the journal has its lines" logged '^event=ready '
check "with their levels" expect "priority of the line" "$(journal json |
	jq -r 'select(.MESSAGE | tostring | startswith("event=ready ")) | .PRIORITY')" -eq 5
check "systemd watches it" is WatchdogUSec 30s

# --- what it may, and may not

pid=$(agent_pid)
check "rights: those in the manual" rights_are "$pid" $RIGHTS
check "no way back to others" expect "NoNewPrivs, Seccomp" "$(status_of "$pid" NoNewPrivs), $(status_of "$pid" Seccomp)" = "1, 2"
checker=$(process checker | head -n 1)
check "checks that block are another user's" expect "user" "$(stat -c %U "/proc/$checker")" = alwayson
check "who has no rights" rights_are "$checker" 0000000000000000
check "the system is read-only to it" fails within touch /etc/alwayson/mark /usr/mark /var/mark
check "homes are empty" expect "files in /root" "$(within ls -A /root | wc -l)" -eq 0
check "no devices" fails within test -e /dev/mem
check "state is kept" wait_until 10 "the state file" test -s /var/lib/alwayson/default.json
check "for nobody else" expect "mode" "$(stat -c %a /var/lib/alwayson)" = 700
check "the control socket is there for all" test -S /run/alwayson/control.sock
check "pins are there for the next agent" expect "links" "$(pins link)" -eq 2

# --- reload

load stream stream "$VIP4" $PORT 50
load udp udp "$VIP4" $PORT 50
load_passes
configure "" "listen more
	bind $VIP4:81
$(servers 2)"
check "reload" systemctl reload "$UNIT"
check "is in force" expect "answers by" "$(answers "http://$VIP4:81/" 6)" = node1,node2
check "the same process" is MainPID "$pid"
echo bogus >>"$CONFIGURATION"
mark
check "a bad configuration: reload fails" fails systemctl reload "$UNIT"
check "the journal says why" logged 'alwayson.cfg:[0-9]+:.*bogus'
check "it goes on" properties_are ActiveState=active "MainPID=$pid"
configure
check "a good one again" systemctl reload "$UNIT"
load_passes

# --- another process takes over

check "drain a server" lab_ctl server drain web/node2
mark
check "restart" systemctl restart "$UNIT"
check "ready when restart returns" properties_are ActiveState=active StatusText=steering Result=success NRestarts=0
check "another process" expect "MainPID" "$(agent_pid)" != "$pid"
check "that took over" logged 'event=loaded .*taken_over=yes'
check "the one before it said so" logged 'event=stopping .*goes on steering'
check "not as a failure" not_logged "Failed with result"
check "with what was done by hand" expect "answers by" "$(answers "http://$VIP4/" 6)" = node1
check "and ready again" lab_ctl server ready web/node2
load_passes

pid=$(agent_pid)
check "alwayson restart" lab_ctl restart
check "the same process, ready" properties_are ActiveState=active "MainPID=$pid" StatusText=steering
load_passes

mark
kill -9 "$pid"
check "kill -9: systemd starts the next one" wait_until 120 "the next agent" is_started_anew "$pid"
check "once" is NRestarts 1
check "that takes over" logged 'event=loaded .*taken_over=yes'
load_passes

pid=$(agent_pid)
mark
kill -STOP "$pid"
check "frozen: systemd ends it, and starts the next one" wait_until $WATCHDOG_S "the next agent" is_started_anew "$pid"
check "it was the watchdog" logged 'Watchdog timeout'
check "twice now" is NRestarts 2
load_passes

mark
configure
echo bogus >>"$CONFIGURATION"
check "restart with a bad configuration fails" fails systemctl restart "$UNIT"
check "the journal says why, again" logged 'alwayson.cfg:[0-9]+:.*bogus'
load_passes
configure
check "mended, it is started by systemd" wait_until 120 "the agent" is_started_anew 0
load_passes
load_check_all "reload, restart, crash, watchdog, a failed restart"

# --- xdp shared

install -d "$DROP_INS"
configure "xdp shared"
mark
pid=$(agent_pid)
check "xdp shared without the drop-in: a reload is refused" fails systemctl reload "$UNIT"
check "which the journal explains" logged 'first .xdp shared. takes a process with CAP_SYS_ADMIN'
check "the drop-in" install -m 644 "$EXAMPLES/xdp-shared.conf" "$DROP_INS/"
check "is read" systemctl daemon-reload
check "restart with it" systemctl restart "$UNIT"
check "it shares" expect "modes" "$(vm_mode eth0) $(vm_mode eth1)" = "shared native"
check "and steers" steers
pid=$(agent_pid)
check "the agent has no more rights than before" rights_are "$pid" $RIGHTS
check "who asks libxdp has those in the manual" rights_are "$(process alwaysond-xdp)" $RIGHTS_OF_ASKER "$(status_of "$(process alwaysond-xdp)" CapBnd)"
load stream stream "$VIP4" $PORT 50
load_passes
check "restart" systemctl restart "$UNIT"
check "the entry is taken over" expect "modes" "$(vm_mode eth0) $(vm_mode eth1)" = "shared native"
load_passes
pid=$(agent_pid)
kill -9 "$pid"
check "kill -9" wait_until 120 "the next agent" is_started_anew "$pid"
load_passes
load_check_all "xdp shared: restart, kill -9"

# --- the end

mark
check "stop" systemctl stop "$UNIT"
check "without a complaint" properties_are ActiveState=inactive Result=success
check "it said what ends" logged 'event=stopping connections=[0-9]+'
check "nothing is left" nothing_is_left
check "but the folders" test -d /run/alwayson -a -d /var/lib/alwayson
check "the host refuses" expect "curl's exit code" "$(exit_code_of client curl -s -m 5 "http://$VIP4/")" -eq 7

rm -r "$DROP_INS"
systemctl daemon-reload
mark
check "xdp shared without the drop-in: a start fails" fails systemctl start "$UNIT"
check "and says what is missing" logged 'eth0: .xdp shared. .*CAP_SYS_ADMIN'
systemctl stop "$UNIT"
configure
sed -i '/interface/d' "$CONFIGURATION"
mark
check "no interface: it does not start" fails systemctl start "$UNIT"
check "and is not tried for ever" wait_until 10 "failure" properties_are ActiveState=failed NRestarts=0
check "the journal names them" logged '-i eth0'
check "make uninstall" make -s -C "$ROOT" --no-print-directory uninstall
check "the unit is gone" fails test -e "/usr/local/lib/systemd/system/$UNIT"
