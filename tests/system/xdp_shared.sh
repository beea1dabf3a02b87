#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `xdp shared`: the balancer's interface is shared with programs of other tools, by libxdp's dispatcher. Real ones come and
# go under a steady load (xdp-filter, which runs before us; a program that passes all, loaded by xdp-loader, behind us);
# the agent's program is replaced, taken over, taken away by others, and takes itself away; theirs stay. Where the kernel
# loads no extension programs, on which the dispatcher is built, that is said at the start, and nothing else is left, but
# what an earlier agent steers on stays; tests/vm/xdp_shared.sh runs this on kernels that do.
#
#     client 10.0.0.2 ── eth0 balancer eth1 ── 192.168.1.100, .101
. "$(dirname "$0")/lib.sh"
. "$ROOT/tools/lab.d/topology.sh"

readonly PORT=7000 PASS=$LAB_BUILD/tests/system/pass.bpf.o
[ -z "${VM_KERNEL:-}" ] || READY_S=120 # an emulated machine verifies slowly

XDP="xdp shared"
config() {
	write_config <<CFG
global
	interface eth0 $XDP
	interface eth1
	metrics 127.0.0.1:9101
$(quick_defaults)

listen nat
	bind $VIP4:80
$(servers 2)
$(steady_listen steady "$VIP4")
${1:-}
CFG
}

xdp_loader() {
	lab_in balancer xdp-loader "$@" 2>&1
}

# The programs in the dispatcher, in their order.
programs() {
	xdp_loader status "${1:-eth0}" | awk '$1 == "=>" { print $3 }' | paste -sd ,
}

program_number() {
	xdp_loader status eth0 | awk -v name="$1" '$1 == "=>" && $3 == name { print $4 }'
}

mode_of() {
	lab_ctl -j show interfaces | jq -r --arg name "$1" '.interfaces[] | select(.name == $name).mode'
}

times_logged() {
	grep -c "$1" "$LAB_DIR/agent.log"
}

are_programs() {
	[ "$(programs)" = "$1" ]
}

is_mode() {
	[ "$(mode_of "$1")" = "$2" ]
}

kill_agent() {
	kill -9 "$(agent_pid)"
	wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
}

# The process that asks libxdp, of this lab.
asker() {
	local pid

	for pid in $(ip netns pids "$(lab_netns balancer)"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != alwaysond-xdp ] || printf '%s\n' "$pid"
	done
}

asks_libxdp() {
	[ -n "$(asker)" ]
}

asks_no_more() {
	! asks_libxdp
}

# exit_code_is CODE COMMAND...
exit_code_is() {
	expect "exit code" "$(exit_code_of "${@:2}")" -eq "$1"
}

process_is_there() {
	[ -d "/proc/$1" ]
}

# What answers while libxdp does not.
loop_turns() {
	timeout 2 "$LAB_BUILD/alwayson" --name "$LAB_NAME" status >/dev/null
}

failures_counted() {
	lab_in balancer curl -s http://127.0.0.1:9101/metrics |
		awk '$1 == "alwayson_interface_attach_failures_total" { print $2 }'
}

has_failed() {
	expect "failures" "$(failures_counted)" -eq "$1"
}

# The first of them takes a start: an agent that was started without has given the right up.
first_by_reload() {
	XDP="xdp shared"
	config
	check "a reload with the first xdp shared: refused" exit_code_is 3 reload
	check "and says what to do" grep -q 'interface eth0: the first .xdp shared. takes a process.*kill -USR2' "$LAB_DIR/out"
	check "nothing has changed" expect "modes" "$(mode_of eth0), $(mode_of eth1)" = "native, native"
	check "so is a restart" exit_code_is 3 lab_ctl restart
	check "which says the same" grep -q 'interface eth0: the first .xdp shared.' "$LAB_DIR/out"
	check "it steers" steers
}

# A start that finds an interface attached alone and would share it, where libxdp can't: that is known before it is let go.
kept_for_nothing() {
	local program link

	program=$(attached_program)
	link=$(link_number)
	load stream stream "$VIP4" $PORT 200
	load udp udp "$VIP4" $PORT 200
	load_passes
	kill_agent
	start
	load_passes
	check "the next one does not let go of what it can't share" expect "modes" "$(mode_of eth0), $(mode_of eth1)" = "native, native"
	check "says so, and what is missing" logged \
		'event=attach_failed error="eth0: packets are steered as before \(native\), for .xdp shared. is not possible.*leave'
	check "the interface was never without a program" expect "link" "$(link_number)" = "$link"
	check "it is counted" has_failed 1
	check "the program is the next one's" expect "program" "$(attached_program)" != "$program"
	check "doctor says it too" says_alone
	check "a reload changes nothing" reload
	check "and tells it again" wait_until 10 "it" has_failed 2
	load_passes
	load_check_all "a takeover that can't share"
}

link_number() {
	bpftool -j link show pinned "/sys/fs/bpf/alwayson/$LAB_NAME/link-$(index_of eth0)" | jq .id
}

says_alone() {
	jq -e '.findings[] | select(.check == "program" and .where == "eth0" and .level == "warn") | .text | contains("alone")' \
		<<<"$(lab_ctl -j doctor)"
}

attached_program() {
	ip -n "$(lab_netns balancer)" -j link show eth0 | jq '.[0].xdp.prog.id'
}

# Whatever libxdp does: the process that asks it is stopped.
loop_goes_on() {
	local before waiting

	kill -STOP "$(asker)"
	before=$(failures_counted)
	lab_ctl load eth0 >"$LAB_DIR/load.out" 2>&1 &
	waiting=$!
	check "no answer of libxdp: that is told" wait_until 10 "the event" logged event=attach_late
	check "the agent goes on" loop_turns
	check "a reload too" reload
	check "a restart is refused" exit_code_is 1 lab_ctl restart
	check "with the reason" grep -q 'libxdp is being asked' "$LAB_DIR/out"
	check "who asked for it waits" process_is_there "$waiting"
	kill -CONT "$(asker)"
	check "the answer comes: so does who asked" wait_until 10 "load" process_is_gone "$waiting"
	check "and is told it" grep -q 'extension programs' "$LAB_DIR/load.out"
	check "what failed is counted" expect "failures" "$(failures_counted)" -gt "$before"
	kill -9 "$(asker)"
	check "that process ends: it is said" wait_until 5 "the event" logged 'attach_failed.*alwaysond-xdp. has ended'
	check "load says so" exit_code_is 1 lab_ctl load eth0
	check "and what to do" grep -q 'start the agent anew' "$LAB_DIR/out"
	check "the agent goes on without" loop_turns
}

priority_of() {
	lab_ctl -j show interfaces | jq --arg name "$1" '.interfaces[] | select(.name == $name).priority'
}

config_priority() {
	XDP="xdp shared priority $1"
	config
	reload
}

lock_is_held() {
	! flock -n /sys/fs/bpf/xdp true
}

# Of a dispatcher that is attached nowhere: libxdp's pins with an entry of ours.
pinned_by_libxdp() {
	# Not find: bpffs counts no links for folders, and find looks into none then.
	compgen -G "/sys/fs/bpf/xdp/dispatch-$1-*" | wc -l
}

index_of() {
	ip -n "$(lab_netns balancer)" -j link show "$1" | jq '.[0].ifindex'
}

steers() {
	expect "answers by" "$(answers "http://$VIP4/" 10)" = node1,node2
}

nothing_of_ours() {
	[ ! -e "/sys/fs/bpf/alwayson/$LAB_NAME" ] || { find "/sys/fs/bpf/alwayson/$LAB_NAME"; return 1; }
	wait_until 5 "the process that asks libxdp to end" asks_no_more
}

begin --topology two-nics
steady_serve 1 $PORT
steady_serve 2 $PORT
config

agent_start "$CONFIG"
wait_until "$READY_S" "the agent" agent_is_ready_or_gone
if [ -z "${VM_KERNEL:-}" ] && log_has 'extension programs'; then
	check "a kernel without extension programs: it ends" wait_until 5 "the agent's end" process_is_gone "$(agent_pid)"
	check "and says what is missing" logged 'eth0: .xdp shared. is not possible: this kernel loads no extension programs'
	check "and leaves nothing" nothing_of_ours
	check "no program, no dispatcher" expect "programs" "$(programs)" = ""
	XDP=""
	config
	start
	first_by_reload
	kept_for_nothing
	check "unload" lab_ctl unload eth0
	loop_goes_on
	exit
fi
agent_is_ready || give_up start "the agent is not ready"
check "it is attached in the dispatcher" expect "mode of eth0, of eth1" "$(mode_of eth0), $(mode_of eth1)" = "shared, native"
check "as the one program there" expect "programs" "$(programs)" = alwayson
check "and steers" steers

# A libxdp of other tools that is too old for the kernel (docs/lifecycle.md): they must come first.
if [ "${VM_KERNEL:-}" != 6.1 ] && ! xdp_loader load eth0 "$PASS" -P 60 >"$LAB_DIR/out"; then
	check "too old a libxdp of another tool: it says so" grep -q 'Failed to attach program alwayson' "$LAB_DIR/out"
	check "and nothing changes" expect "programs" "$(programs)" = alwayson
	check "it steers as before" steers
	agent_stop
	check "stop leaves nothing of ours" nothing_of_ours
	check "another program that comes first" xdp_loader load eth0 "$PASS" -P 60
	start
	check "ours comes beside it" expect "programs" "$(programs)" = alwayson,pass
	check "and steers" steers
	agent_stop
	check "stop: the other program stays" expect "programs" "$(programs)" = pass
	check "stop leaves nothing of ours again" nothing_of_ours
	exit
fi
[ "$(programs)" = alwayson ] || xdp_loader unload eth0 -i "$(program_number pass)"

load stream stream "$VIP4" $PORT 100
load_passes
check "another program comes" xdp_loader load eth0 "$PASS" -P 60
check "it runs behind ours" expect "programs" "$(programs)" = alwayson,pass
check "xdp-filter comes" lab_in balancer xdp-filter load -f ipv4 eth0
check "it runs before ours" expect "programs" "$(programs)" = xdpfilt_alw_ip,alwayson,pass
load_passes
check "the agent takes nothing of that for a loss" expect "times it was taken away" "$(times_logged event=taken_away)" -eq 0
check "what others drop is dropped" lab_in balancer xdp-filter ip -m src 10.0.0.2
check "the client is not answered" not_answered "http://$VIP4/"
lab_in balancer xdp-filter ip -m src -r 10.0.0.2
check "and is again" steers
check "xdp-filter goes" lab_in balancer xdp-filter unload eth0
check "ours and the other stay" expect "programs" "$(programs)" = alwayson,pass
load_end stream
printf '# others come and go: %s\n' "$FIGURES"
check "others come and go: the connection goes on" expect "lines without an answer ($FIGURES)" "$(figure lost)" -eq 0

load stream stream "$VIP4" $PORT 100
load udp udp "$VIP4" $PORT 100
load_passes
entry=$(program_number alwayson)
config "listen six
	bind [2001:db8::50]:80
	server node1 [2001:db8:1::100]:80"
check "a reload that needs another program" reload
check "the entry is the same, what it goes on to another" expect "entry" "$(program_number alwayson)" = "$entry"
load_passes
kill_agent
load_passes
check "an agent that is killed leaves the program steering" expect "programs" "$(programs)" = alwayson,pass
check "its process that asks libxdp ends with it" wait_until 5 "its end" asks_no_more
start
load_passes
check "the next one takes the entry over" expect "entry" "$(program_number alwayson)" = "$entry"
check "alwayson restart" lab_ctl restart
check "an agent that becomes another program keeps who asks libxdp" asks_libxdp
load_passes
load_check_all "reload, kill -9, restart"

check "unload" lab_ctl unload eth0
check "only ours goes" expect "programs" "$(programs)" = pass
check "nothing is steered, the host refuses" expect "exit code of curl" "$(exit_code_of client curl -s -m 5 "http://$VIP4/")" -eq 7
check "load: in the dispatcher as before" lab_ctl load eth0
check "and it steers again" steers

# Another tool holds libxdp's lock.
flock /sys/fs/bpf/xdp sleep 1000 &
lock=$!
wait_until 5 "the lock" lock_is_held
lab_ctl unload eth0 >"$LAB_DIR/unload.out" 2>&1 &
unload=$!
check "libxdp is held up: nothing is steered from the first moment" wait_until 5 "the end" is_mode eth0 detached
check "the host refuses" expect "exit code of curl" "$(exit_code_of client curl -s -m 5 "http://$VIP4/")" -eq 7
# No `programs` here: xdp-loader waits for the lock as well.
check "that is told" wait_until 10 "the event" logged event=attach_late
check "the agent goes on" loop_turns
lab_ctl load eth0 >"$LAB_DIR/load.out" 2>&1 &
load=$!
check "who asked waits" process_is_there "$unload"
pkill -P "$lock" sleep
wait "$lock"
wait "$unload"
check "the lock is free: unload is done" expect "exit code" "$?" -eq 0
wait "$load"
check "and what was wanted after it" expect "exit code" "$?" -eq 0
check "one entry, in its place" expect "programs" "$(programs)" = alwayson,pass
check "and steers" steers

check "another priority" config_priority 70
check "it goes behind the others" wait_until 30 "its place" are_programs pass,alwayson
check "and steers" wait_until 10 "answers" steers
check "show interfaces tells it" expect "priority" "$(priority_of eth0)" -eq 70
kill_agent
start
check "the next agent finds it there" expect "priority, programs" "$(priority_of eth0) $(programs)" = "70 pass,alwayson"
kill_agent
XDP="xdp shared"
config
start
check "or puts it elsewhere" wait_until 30 "its place" are_programs alwayson,pass
check "and steers" wait_until 10 "answers" steers

xdp_loader unload eth0 -i "$(program_number alwayson)"
check "taken out by another tool: it is noticed" logged event=taken_away
check "and comes back" wait_until 10 "the entry" are_programs alwayson,pass
check "and steers" steers
xdp_loader unload eth0 --all
check "the whole dispatcher taken off: it comes back" wait_until 10 "the entry" are_programs alwayson
check "it steers" steers
check "it was noticed twice" expect "times" "$(times_logged event=taken_away)" -eq 2
check "no pins of former dispatchers" expect "folders" "$(pinned_by_libxdp "$(index_of eth0)")" -eq 1

xdp_loader load eth0 "$PASS" -P 60
agent_stop
check "stop: the other program stays" expect "programs" "$(programs)" = pass
check "stop leaves nothing of ours" nothing_of_ours
start
check "beside what is there already" expect "programs" "$(programs)" = alwayson,pass
kill_agent
check "--unload" lab_in balancer "$LAB_BUILD/alwaysond" --unload --name "$LAB_NAME"
check "--unload: the other program stays" expect "programs" "$(programs)" = pass
check "--unload leaves nothing of ours" nothing_of_ours

start
kill_agent
rm "/sys/fs/bpf/alwayson/$LAB_NAME/program-$(index_of eth0)"
check "a damaged entry: refused" expect "exit code" "$(exit_code_of lab_in balancer timeout 60 "$LAB_BUILD/alwaysond" \
	-f "$CONFIG" --name "$LAB_NAME")" -eq 1
check "and named" grep -q 'program-[0-9]* is not what .*shared-[0-9]* goes on to' "$LAB_DIR/out"
agent_start "$CONFIG" --discard
wait_until "$READY_S" "the agent" agent_is_ready_or_gone
check "--discard: in its place, once" expect "programs" "$(programs)" = alwayson,pass
check "it steers" steers

agent_stop
xdp_loader unload eth0 --all
XDP=""
config
start
check "a start without xdp shared" expect "modes" "$(mode_of eth0), $(mode_of eth1)" = "native, native"
check "it steers" steers
first_by_reload

# libxdp's folder is none.
kill_agent
rm -rf /sys/fs/bpf/xdp
bpftool map create /sys/fs/bpf/xdp type array key 4 value 4 entries 1 name not_a_folder
start
check "libxdp can't: alone as before" expect "modes" "$(mode_of eth0), $(mode_of eth1)" = "native, native"
check "that is said" logged 'attach_failed.*eth0: libxdp.s dispatcher can.t be used'
check "it steers" steers
check "a reload tries anew" reload
check "in vain: it steers" wait_until 10 "answers" steers
rm /sys/fs/bpf/xdp
agent_stop
XDP=""
config
start
XDP="xdp shared"
config
kill_agent
start
check "a start with it takes over, and shares it" expect "modes" "$(mode_of eth0), $(mode_of eth1)" = "shared, native"
check "it steers" steers

index=$(index_of eth0)
ip -n "$(lab_netns balancer)" link del eth0
check "the NIC goes: detached" wait_until 10 "its end" is_mode eth0 detached
check "and libxdp's pins of it" expect "folders" "$(pinned_by_libxdp "$index")" -eq 0
plug balancer eth0 wan
address balancer eth0 10 wan
check "it comes back: shared" wait_until 10 "the entry" are_programs alwayson
agent_stop
check "the end: nothing of ours" nothing_of_ours
