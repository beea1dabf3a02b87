#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The program and its tables are loaded with what the configuration uses. A reload that uses more puts another in its place,
# under load and with all connections; what was once used stays, since its connections may go on.
. "$(dirname "$0")/lib.sh"

# config FILE-PART...: the nat service, and what else.
config() {
	{
		quick_defaults
		printf 'listen web\n\tbind %s:80\n' "$VIP4"
		servers 2 check
		cat
	} | write_config
}

verified() {
	sed -n 's/.*event=loaded .*verified_instructions=\([0-9]*\).*/\1/p' "$LAB_DIR/agent.log" | tail -n 1
}

# As config, without nat.
config_direct() {
	{
		quick_defaults
		cat <<CFG
$(listen_direct)
CFG
		cat
	} | write_config
}

# What is refused: all but one address by a list, and whoever comes often.
guarded() {
	cat <<CFG
listen guarded
	bind $VIP4:81
	tcp-request connection reject if { src 192.168.1.0/24 }
	server node1 192.168.1.100:80 check
listen counted
	bind $VIP4:83
	stick-table type ip size 100k expire 1h store conn_rate(1h)
	tcp-request connection track-sc0 src
	tcp-request connection reject if { sc0_conn_rate gt 2 }
	server node1 192.168.1.100:80 check
CFG
}

# Entries of a table that the program reads.
entries() { bpftool -j map show pinned "/sys/fs/bpf/alwayson/$LAB_NAME/$1" | jq .max_entries; }

is_spared() { expect "entries of $1" "$(entries "$1")" -eq 1; }
is_whole() { expect "entries of $1" "$(entries "$1")" -gt 1000; }

is_guarded() {
	wait_up guarded/node1
	wait_up counted/node1
	check "a list refuses, $1" expect "curl's answer" "$(client curl -s -m 3 "http://$VIP4:81/" >/dev/null || echo $?)" = 7
	check "a new client is let in, $1" client curl -sf -m 3 "http://$VIP4:83/"
	client curl -s -m 3 "http://$VIP4:83/" >/dev/null || true
	check "who comes often is refused, $1" expect "curl's answer" \
		"$(client curl -s -m 3 "http://$VIP4:83/" >/dev/null || echo $?)" = 7
}

# How many programs the first $1 reloads have put in place: a thread writes the log, and a reload's own line is its last.
replaced() {
	wait_until 5 "$1 reloads in the log" reloads_are_logged "$1"
	grep -c 'event=program_replaced' "$LAB_DIR/agent.log"
}

reloads_are_logged() {
	(($(grep -c 'event=reloaded' "$LAB_DIR/agent.log") >= $1))
}

begin --dsr
DSR4=$(lab_state dsr4)
config </dev/null
start
small=$(verified)
check "nat over IPv4 alone is a small program" expect "instructions verified" "$small" -lt 300000
stream "$LAB_DIR/stream" 50 100000 "http://$VIP4/"
wait_until 5 "answers" stream_has "$LAB_DIR/stream" 5

check "a reload that uses nothing more" reload
check "it is the same program" expect "programs put in place" "$(replaced 1)" -eq 0
for table in services6 access4 access6 rates; do
	check "nobody uses $table" is_spared "$table"
done
check "own ports are used" is_whole ports

config < <(printf 'listen closed\n\tbind [%s]:80\n' "$VIP6")
check "a reload that uses IPv6 for a service without a server" reload
check "another program is in its place" expect "programs put in place" "$(replaced 2)" -eq 1
check "which refuses, in IPv6" refused_at_once "http://[$VIP6]/"
config <<CFG
listen six
	bind [$VIP6]:80
	server node1 [fd00:1::100]:80 check
$(listen_direct)
CFG
check "a reload that uses IPv6 and dsr" reload
check "and another" expect "programs put in place" "$(replaced 3)" -eq 2
wait_up six/node1
wait_up direct/node1
check "IPv6 is served" client curl -sf -m 3 "http://[$VIP6]/"
check "dsr is served" client curl -sf -m 3 "http://$DSR4/"
check "services of IPv6 have a table" is_whole services6

config </dev/null
check "a reload that uses less" reload
check "what was used stays" expect "programs put in place" "$(replaced 4)" -eq 2
config < <(guarded)
check "a reload that uses a list and a rate" reload
is_guarded "after a reload"
check "lists have a table" is_whole access4
config </dev/null
check "without them again" reload
stream_wait_more "$LAB_DIR/stream" 10 5 || not_ok "requests go on" "no more answers"
stream_end
check "no request failed on the way" expect "requests that failed" "$(grep -c failed "$LAB_DIR/stream")" -eq 0

# An agent that takes over does not know what its predecessor's connections are.
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
start
check "what is taken over may be of any kind" expect "instructions verified" "$(verified)" -gt "$small"
check "it answers" client curl -sf -m 3 "http://$VIP4/"
any=$(verified)
agent_stop
start
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
start
check "but not of IPv6, where it had no table" expect "instructions verified" "$(verified)" -lt "$any"

# From no own ports to some, and by an agent that takes over, to lists and IPv6.
agent_stop
config_direct </dev/null
start
check "dsr needs no own ports" is_spared ports
config_direct < <(printf 'listen web\n\tbind %s:80\n\tserver node1 192.168.1.100:80 check\n' "$VIP4")
check "a reload to nat" reload
wait_up web/node1
check "nat is served" client curl -sf -m 3 "http://$VIP4/"
check "from own ports" is_whole ports
agent_stop
config_direct </dev/null
start
stream "$LAB_DIR/taken" 50 100000 "http://$DSR4/"
wait_until 5 "answers" stream_has "$LAB_DIR/taken" 5
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
config_direct < <(guarded; printf 'listen six\n\tbind [%s]:80\n\tserver node1 [fd00:1::100]:80 check\n' "$VIP6")
start
is_guarded "where another agent had no tables for it"
wait_up six/node1
check "IPv6 and nat are served there" client curl -sf -m 3 "http://[$VIP6]/"
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
start
check "the tables are found by the next one" is_whole access4
wait_up six/node1
check "which goes on" client curl -sf -m 3 "http://[$VIP6]/"
stream_wait_more "$LAB_DIR/taken" 10 5 || not_ok "requests go on" "no more answers"
stream_end
check "no request failed under all agents" expect "requests that failed" "$(grep -c failed "$LAB_DIR/taken")" -eq 0
