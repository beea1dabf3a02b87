#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The agent is killed and started again under a steady load, through nat and dsr, TCP and UDP: not a packet is lost, not
# a connection, and what was known and ordered is remembered. What changed meanwhile is found out before the tables are
# touched: nothing new for a server that is dead, nothing taken from one that is well.
#
#     client ── switch ── balancer .10, service address .50
#                  └────── servers .100, .101, .102, which hold .50 on lo as well
. "$(dirname "$0")/lib.sh"

readonly PORT=7000

config() {
	write_config <<CFG
$(quick_defaults)

listen nat
	bind $VIP4:$PORT
	bind udp@$VIP4:$PORT
	server node1 192.168.1.100:$PORT
	server node2 192.168.1.101:$PORT weight 2
	server node3 192.168.1.102:$PORT

$(steady_listen dsr "$DSR4" "forward dsr" "balance maglev")
	server node3 192.168.1.102:$PORT
${1:-}
CFG
}

# A service whose only server is checked elsewhere than it works.
slow_server() {
	cat <<CFG
listen slow
	timeout connect 9s
	bind $VIP4:7002
	server node2 192.168.1.101:$PORT check port 80 inter 9s
CFG
}

# Packets to where slow/node2 is checked: drop or accept.
checks_of_slow() {
	lab_in backend2 nft "flush ruleset; table ip t { chain c { type filter hook input priority 0; tcp dport 80 $1; }; }"
}

kill_agent() {
	kill -9 "$(agent_pid)"
	wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
}

field() {
	lab_ctl -j show servers "$1" | jq -r ".servers[0].$2"
}

begin --dsr --backends 3
DSR4=$(lab_state dsr4)
config
for i in 1 2 3; do
	steady_serve "$i" $PORT
done
start
lab_ctl server drain nat/node3 >/dev/null
lab_ctl server weight nat/node1 7 >/dev/null
lab_ctl server maint dsr/node3 >/dev/null

load_all $PORT
load_passes
kill_agent
check "dead: it has said nothing of an end" test "$(grep -c event=stopping "$LAB_DIR/agent.log")" = 0
load_passes
start
load_passes
check "it says that it took over" logged 'event=loaded .*taken_over=yes'
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	load_check "$name" "kill -9"
done
load_check nat-new "kill -9" node1,node2
load_check dsr-new "kill -9" node1,node2
check "a drain is remembered" expect "admin state" "$(field nat/node3 admin)" = drain
check "a maint is remembered" expect "admin state" "$(field dsr/node3 admin)" = maint
check "a weight is remembered" expect "weight" "$(field nat/node1 weight)" -eq 7
check "and so is health" expect "last change by a check, s ago" \
	$((($(now_ms) - $(field nat/node2 since_ms)) / 1000)) -ge 0

# One that is down when the agent dies: it gets nothing new, neither before nor after.
steady_kill 2
wait_down nat/node2
wait_down dsr/node2
load_all $PORT
load_passes
kill_agent
load_passes
start
load_passes
load_check nat-new "a server was down before" node1
load_check dsr-new "a server was down before" node1
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	load_check "$name" "a server was down before" node1
done
steady_serve 2 $PORT
lab_ctl server ready nat/node3 >/dev/null
lab_ctl server ready dsr/node3 >/dev/null
for name in nat/node2 nat/node3 dsr/node2 dsr/node3; do
	wait_up "$name"
done

# One that dies while there is no agent, and one whose first check lasts: that the one is dead is acted upon before the
# other has answered. What the second one's check was is forgotten: that it was given connections is known all the same.
config "$(slow_server)"
check "a server whose check lasts" reload
wait_up slow/node2
kill_agent
rm -f "$LAB_STATE_DIR/$LAB_NAME.json"
steady_kill 1
checks_of_slow drop
start
check "it does not wait for a check that lasts" expect "checks of slow/node2" "$(field slow/node2 checks)" -eq 0
wait_down nat/node1
load_all $PORT
load slow-new new "$VIP4" 7002 200
load_passes
check "the server that died is known" expect "state" "$(field dsr/node1 state)" = DOWN
check "the check still lasts" expect "checks of slow/node2" "$(field slow/node2 checks)" -eq 0
load_check slow-new "a check that lasts" node2
load_check nat-new "a server died meanwhile" node2,node3
load_check dsr-new "a server died meanwhile" node2,node3
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	load_check "$name" "a server died meanwhile"
done
checks_of_slow accept

# A new agent that can't start leaves the old one's work alone.
kill_agent
load_all $PORT
load_passes
nsenter --net="$(lab_netns_path balancer)" socat TCP-LISTEN:9599,fork,bind=127.0.0.1 SYSTEM:true &
wait_until 5 "a port in use" lab_in balancer ss -Hltn "sport = :9599"
{ printf 'global\n\tmetrics 127.0.0.1:9599\n'; cat "$CONFIG"; } >"$LAB_DIR/agent.cfg"
agent_start "$LAB_DIR/agent.cfg"
check "a start that fails ends" wait_until 10 "its end" process_is_gone "$(agent_pid)"
check "and says why" logged '127.0.0.1:9599.*in use'
load_passes
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	load_check "$name" "a start fails"
done
load_check nat-new "a start fails" node2,node3
load_check dsr-new "a start fails" node2,node3
