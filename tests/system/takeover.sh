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

readonly STEADY=$LAB_BUILD/tests/system/steady PORT=7000

config() {
	write_config <<CFG
defaults
	mode tcp
	timeout connect 2s
	timeout client 1m
	timeout server 1m
	default-server check inter 200ms rise 2 fall 2

listen nat
	bind $VIP4:$PORT
	bind udp@$VIP4:$PORT
	server node1 192.168.1.100:$PORT
	server node2 192.168.1.101:$PORT weight 2
	server node3 192.168.1.102:$PORT

listen dsr
	forward dsr
	balance maglev
	bind $DSR4:$PORT
	bind udp@$DSR4:$PORT
	server node1 192.168.1.100:$PORT
	server node2 192.168.1.101:$PORT
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

# The server of backend$1.
serve() {
	nsenter --net="$(lab_netns_path "backend$1")" "$STEADY" serve "node$1" $PORT >/dev/null &
	SERVERS[$1]=$!
	wait_until 5 "the server of backend$1" lab_in "backend$1" ss -Hltn "sport = :$PORT"
}

# kill_server N, as if its machine had an accident: no connection is closed by it.
kill_server() {
	kill -9 "${SERVERS[$1]}"
	wait "${SERVERS[$1]}" 2>/dev/null
}

# load NAME KIND ADDRESS RATE
load() {
	nsenter --net="$(lab_netns_path client)" "$STEADY" "$2" "$3" "${LOAD_PORT:-$PORT}" "$4" >"$LAB_DIR/load.$1" 2>"$LAB_DIR/load.$1.err" &
	LOADS[$1]=$!
}

# Through everything that steers.
load_all() {
	LOADS=()
	load nat-stream stream "$VIP4" 500
	load nat-udp udp "$VIP4" 500
	load nat-new new "$VIP4" 200
	load dsr-stream stream "$DSR4" 500
	load dsr-udp udp "$DSR4" 500
	load dsr-new new "$DSR4" 200
}

# Ends the load NAME; its figures are in $FIGURES then.
load_end() {
	kill "${LOADS[$1]}"
	wait "${LOADS[$1]}"
	FIGURES=$(tail -n 1 "$LAB_DIR/load.$1")
	unset "LOADS[$1]"
}

figure() {
	awk -v word="$1" '{ for (i = 1; i < NF; i++) if ($i == word) print $(i + 1) }' <<<"$FIGURES"
}

# check_load NAME WHEN [SERVERS]: enough was sent, and all of it was answered, by those servers.
check_load() {
	local name=$1 when=$2

	load_end "$name"
	check "$when: $name: there was a load" expect "lines" "$(figure sent)" -ge 50
	check "$when: $name: nothing is lost" expect "it ($FIGURES): lost" "$(figure lost)" -eq 0
	check "$when: $name: nothing is sent twice" expect "it ($FIGURES): resent" "$(figure resent)" -eq 0
	[ -z "${3:-}" ] || check "$when: $name: by whom" expect "it ($FIGURES): servers" \
		"$(figure servers | tr , '\n' | sort | paste -sd ,)" = "$3"
}

kill_agent() {
	kill -9 "$(agent_pid)"
	wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
}

field() {
	lab_ctl -j show servers "$1" | jq -r ".servers[0].$2"
}

# Time goes by: each load gets some answers more.
passes() {
	local name

	for name in "${!LOADS[@]}"; do
		stream_wait_more "$LAB_DIR/load.$name" 3 10 || not_ok "load $name" "gets no answers"
	done
}

begin --dsr --backends 3
DSR4=$(lab_state dsr4)
declare -A LOADS SERVERS
config
for i in 1 2 3; do
	serve "$i"
done
start
lab_ctl server drain nat/node3 >/dev/null
lab_ctl server weight nat/node1 7 >/dev/null
lab_ctl server maint dsr/node3 >/dev/null

load_all
passes
kill_agent
check "dead: it has said nothing of an end" test "$(grep -c event=stopping "$LAB_DIR/agent.log")" = 0
passes
start
passes
check "it says that it took over" grep -q 'event=loaded .*taken_over=yes' "$LAB_DIR/agent.log"
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	check_load "$name" "kill -9"
done
check_load nat-new "kill -9" node1,node2
check_load dsr-new "kill -9" node1,node2
check "a drain is remembered" expect "admin state" "$(field nat/node3 admin)" = drain
check "a maint is remembered" expect "admin state" "$(field dsr/node3 admin)" = maint
check "a weight is remembered" expect "weight" "$(field nat/node1 weight)" -eq 7
check "and so is health" expect "last change by a check, s ago" \
	$((($(now_ms) - $(field nat/node2 since_ms)) / 1000)) -ge 0

# One that is down when the agent dies: it gets nothing new, neither before nor after.
kill_server 2
wait_down nat/node2
wait_down dsr/node2
load_all
passes
kill_agent
passes
start
passes
check_load nat-new "a server was down before" node1
check_load dsr-new "a server was down before" node1
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	check_load "$name" "a server was down before" node1
done
serve 2
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
kill_server 1
checks_of_slow drop
start
check "it does not wait for a check that lasts" expect "checks of slow/node2" "$(field slow/node2 checks)" -eq 0
wait_down nat/node1
load_all
LOAD_PORT=7002 load slow-new new "$VIP4" 200
passes
check "the server that died is known" expect "state" "$(field dsr/node1 state)" = DOWN
check "the check still lasts" expect "checks of slow/node2" "$(field slow/node2 checks)" -eq 0
check_load slow-new "a check that lasts" node2
check_load nat-new "a server died meanwhile" node2,node3
check_load dsr-new "a server died meanwhile" node2,node3
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	check_load "$name" "a server died meanwhile"
done
checks_of_slow accept

# A new agent that can't start leaves the old one's work alone.
kill_agent
load_all
passes
nsenter --net="$(lab_netns_path balancer)" socat TCP-LISTEN:9599,fork,bind=127.0.0.1 SYSTEM:true &
wait_until 5 "a port in use" lab_in balancer ss -Hltn "sport = :9599"
{ printf 'global\n\tmetrics 127.0.0.1:9599\n'; cat "$CONFIG"; } >"$LAB_DIR/agent.cfg"
agent_start "$LAB_DIR/agent.cfg"
check "a start that fails ends" wait_until 10 "its end" process_is_gone "$(agent_pid)"
check "and says why" grep -q '127.0.0.1:9599.*in use' "$LAB_DIR/agent.log"
passes
for name in nat-stream nat-udp dsr-stream dsr-udp; do
	check_load "$name" "a start fails"
done
check_load nat-new "a start fails" node2,node3
check_load dsr-new "a start fails" node2,node3
