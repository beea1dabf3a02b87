#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# announce: service addresses come up once enough servers take connections, and go before packets would be lost; what
# somebody else has put there stays; a dead agent's addresses stay or go, as on-agent-death says.
#
#     client --- one switch --- balancer .10, service addresses 192.168.7.x on lo or eth0
#       |                          |
#       +-- routes 192.168.7.0/24 --+                servers .100, .101
. "$(dirname "$0")/lib.sh"

readonly A=192.168.7.1 B=192.168.7.2 C=192.168.1.77 C6=fd00:1::77

# config [NEED] [GLOBAL LINES]
config() {
	write_config <<CFG
global
	metrics 127.0.0.1:9101
	announce lo need ${1:-1} wait 2s
	${2:-}
$(quick_defaults)
frontend web
	bind $A:80
	default_backend nodes
frontend other
	bind $B:80
	announce none
	default_backend nodes
frontend near
	bind $C:80
	announce eth0 wait 2s
	default_backend nodes
frontend near6
	bind [$C6]:80
	announce eth0 wait 2s
	default_backend nodes6
backend nodes
$(servers 2)
backend nodes6
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
CFG
}

balancer() {
	lab_in balancer "$@"
}

# is_up ADDRESS IFACE
is_up() {
	[ -n "$(ip -n "$(lab_netns balancer)" -o address show dev "$2" to "$1")" ]
}

is_down() {
	! is_up "$@"
}

why() {
	lab_ctl -j show announce | jq -r --arg a "$1" '.addresses[] | select(.address == $a) | .state + ": " + .why'
}

answered() {
	expect "answers to 20 requests" "$(get "http://$1/" 20 | grep -c '^node')" -eq 20
}

metric() {
	balancer curl -s http://127.0.0.1:9101/metrics | sed -n "s/^$1 //p"
}

said_why() {
	why "$A" | grep -q "$1" || { why "$A"; return 1; }
}

mark_log() {
	marked=$(wc -l <"$LAB_DIR/agent.log")
}

logged_since() {
	wait_until 5 "the log to tell" log_has_since "$1"
}

log_has_since() {
	tail -n "+$((marked + 1))" "$LAB_DIR/agent.log" | grep -Eq "$1"
}

ended() {
	wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
}

announced_to_the_neighbours() {
	wait_until 5 "$1 to be told" grep -q "$1" "$LAB_DIR/told"
}

begin
ip -n "$(lab_netns client)" route add 192.168.7.0/24 via 192.168.1.10

# --- coming up
server_stop 1
server_stop 2
config
nsenter --net="$(lab_netns_path client)" tcpdump -lnei eth0 'arp or icmp6' >"$LAB_DIR/told" 2>"$LAB_DIR/tcpdump" &
tcpdump_pid=$!
wait_until 5 "tcpdump" grep -q listening "$LAB_DIR/tcpdump"
ip -n "$(lab_netns balancer)" address add "$B/32" dev lo
start
check "no server: nothing is announced" is_down "$A" lo
check "... and why is told" said_why "down: too few servers"
check "not ready either: exit code 1" expect "it" "$(exit_code_of lab_ctl ready)" -eq 1
server_start 1
check "a server comes: the address too" wait_until 10 "$A on lo" is_up "$A" lo
check "ready: exit code 0" expect "it" "$(exit_code_of lab_ctl ready web)" -eq 0
check "a frontend that there is not: 1" expect "it" "$(exit_code_of lab_ctl ready nobody)" -eq 1
check "requests by way of it" answered "$A"
check "metrics: up" expect alwayson_announced "$(metric "alwayson_announced{address=\"$A\",interface=\"lo\"}")" = 1
check "metrics: servers" expect fit \
	"$(metric "alwayson_announced_servers_accepting{address=\"$A\",interface=\"lo\"}")" = 1
check "on eth0, the neighbours are told by ARP" announced_to_the_neighbours "who-has $C tell $C"
check "... and by a neighbour advertisement" announced_to_the_neighbours "neighbor advertisement, tgt is $C6, length"
check "requests by way of that" answered "$C"
check "... and in IPv6" answered "[$C6]"
check "an IPv6 address that is announced is no source of ours" eval '! balancer ip -6 route get fd00:1::100 | grep -q "src $C6"'
kill "$tcpdump_pid"

# --- going
server_start 2
wait_up nodes/node2
server_stop 1
wait_down nodes/node1
check "need 1: one of two is enough" is_up "$A" lo
config 2
check "reload: need 2" reload
check "one of two: withdrawn" wait_until 5 "$A off lo" is_down "$A" lo
check "... which the log tells" logged "event=withdrawn address=$A interface=lo fit=1 need=2"
server_start 1
wait_up nodes/node1
check "both: not at once" said_why "not for long enough yet"
check "... but soon" wait_until 6 "$A on lo" is_up "$A" lo

# --- by hand
check "withdraw" lab_ctl withdraw
check "... takes it down" wait_until 2 "$A off lo" is_down "$A" lo
check "... and is told" said_why "by the operator"
check "... and is not ready" expect "it" "$(exit_code_of lab_ctl ready)" -eq 1
check "... and steers what still comes" answered "$A"
check "what a user has put there is left alone" is_up "$B" lo
check "announce" lab_ctl announce
check "... brings it back" wait_until 2 "$A on lo" is_up "$A" lo

# --- the agent goes
mark_log
check "restart" lab_ctl restart
check "... the address stays" is_up "$A" lo
check "... without a withdrawal" eval '! log_has_since "event=withdrawn address"'
check "... and packets are steered" answered "$A"
ip -n "$(lab_netns balancer)" address add 192.168.7.3/32 dev lo
kill -9 "$(agent_pid)"
ended
check "kill -9, keep: the address stays" is_up "$A" lo
check "... and packets are steered" answered "$A"
mark_log
start
check "the next agent takes it over" logged_since "event=announced address=$A"
check "... without a withdrawal" eval '! log_has_since "event=withdrawn address"'
kill -9 "$(agent_pid)"
ended
sed -i "s/$A:80/192.168.7.3:80/" "$CONFIG"
start
check "an address that is no longer configured goes" wait_until 5 "$A off lo" is_down "$A" lo
check "somebody else's is told of" logged 'announce_foreign address=192.168.7.3'
agent_stop
check "... and outlives the agent" is_up 192.168.7.3 lo

config 1 "on-agent-death withdraw"
start
check "on-agent-death withdraw" wait_until 5 "$A on lo" is_up "$A" lo
check "... it has a short life" eval 'ip -n "$(lab_netns balancer)" -j address show dev lo |
	jq -e "[.[].addr_info[] | select(.local == \"$A\" and .valid_life_time <= 3)] | length == 1"'
kill -STOP "$(agent_pid)"
check "a frozen agent's address goes" wait_until 6 "$A off lo" is_down "$A" lo
kill -CONT "$(agent_pid)"
check "... and comes back with it" wait_until 6 "$A on lo" is_up "$A" lo
config 1
check "reload: keep" reload
check "... it lasts" wait_until 5 "no end" eval 'ip -n "$(lab_netns balancer)" -j address show dev lo |
	jq -e "[.[].addr_info[] | select(.local == \"$A\" and .valid_life_time > 3)] | length == 1"'
config 1 "on-agent-death withdraw"
check "reload: withdraw" reload
kill -9 "$(agent_pid)"
check "a killed agent's address goes" wait_until 6 "$A off lo" is_down "$A" lo
start
check "... and comes with the next" wait_until 6 "$A on lo" is_up "$A" lo

# --- stop: addresses first
kill "$(agent_pid)"
check "a stop withdraws first" wait_until 2 "$A off lo" is_down "$A" lo
check "... and steers meanwhile" answered "$A"
check "... then the agent ends" ended
