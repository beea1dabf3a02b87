#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The program is loaded with what the configuration uses. A reload that uses more puts another in its place, under load
# and with all connections; what was once used stays, since its connections may go on.
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

replaced() { grep -c 'event=program_replaced' "$LAB_DIR/agent.log"; }

begin --dsr
DSR4=$(lab_state dsr4)
config </dev/null
start
small=$(verified)
check "nat over IPv4 alone is a small program" expect "instructions verified" "$small" -lt 300000
stream "$LAB_DIR/stream" 50 100000 "http://$VIP4/"
wait_until 5 "answers" stream_has "$LAB_DIR/stream" 5

check "a reload that uses nothing more" reload
check "it is the same program" expect "programs put in place" "$(replaced)" -eq 0

config <<CFG
listen six
	bind [$VIP6]:80
	server node1 [fd00:1::100]:80 check
listen direct
	bind $DSR4:80
	forward dsr
	server node1 192.168.1.100:80 check
	server node2 192.168.1.101:80 check
CFG
check "a reload that uses IPv6 and dsr" reload
check "another program is in its place" expect "programs put in place" "$(replaced)" -eq 1
wait_up six/node1
wait_up direct/node1
check "IPv6 is served" client curl -sf -m 3 "http://[$VIP6]/"
check "dsr is served" client curl -sf -m 3 "http://$DSR4/"

config </dev/null
check "a reload that uses less" reload
check "what was used stays" expect "programs put in place" "$(replaced)" -eq 1
stream_wait_more "$LAB_DIR/stream" 10 5 || not_ok "requests go on" "no more answers"
stream_end
check "no request failed on the way" expect "requests that failed" "$(grep -c failed "$LAB_DIR/stream")" -eq 0

# An agent that takes over does not know what its predecessor's connections are.
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
start
check "what is taken over may be of any kind" expect "instructions verified" "$(verified)" -gt "$small"
check "it answers" client curl -sf -m 3 "http://$VIP4/"
