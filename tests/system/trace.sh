#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson trace: packets as they came and as they left, filtered in the program, in words, as JSON, and in a file that
# tcpdump reads; and when who asked has left, it is over.
. "$(dirname "$0")/lib.sh"

# trace_into FILE ARGUMENT...: in the background, once it runs and the one before has ended; its process id is in $tracer.
trace_into() {
	local file=$1

	shift
	wait_until 10 "the trace's begin" trace_begins "$file" "$@" || cat "$file.err"
}

trace_begins() {
	local file=$1

	shift
	nsenter --net="$(lab_netns_path balancer)" "$LAB_BUILD/alwayson" -s "$LAB_DIR/sock" trace "$@" \
		>"$file" 2>"$file.err" &
	tracer=$!
	wait_until 15 "a word of it" test -s "$file.err" && grep -q tracing "$file.err" && return
	end_trace 2>/dev/null # or it would begin later, unseen
	return 1
}

trace_ended() {
	! kill -0 "$tracer" 2>/dev/null
}

# Whoever reads it ends, and the trace with him.
end_trace() {
	kill "$tracer"
	wait "$tracer"
}

# Whatever ran has ended: another begins, and is ended.
none_runs() {
	trace_begins "$LAB_DIR/probe" --verdict internal
	kill "$tracer" 2>/dev/null
	wait "$tracer"
	grep -q tracing "$LAB_DIR/probe.err"
}

in_file() {
	wait_until 10 "'$2' in $(basename "$1")" grep -qE -- "$2" "$1" || { cat "$1" "$1.err"; return 1; }
}

# dump FILTER: packets of the pcapng file, as tcpdump reads them.
dump() {
	tcpdump -nr "$LAB_DIR/trace.pcapng" "$@" 2>/dev/null
}

begin
write_config <<CFG
global
	stats socket $LAB_DIR/sock
$(quick_defaults)

listen web
	bind $VIP4:80
$(servers 2)
listen other
	bind $VIP4:81
	server node1 192.168.1.100:80
CFG
agent_start "$CONFIG"
lab_ctl() {
	lab_in balancer "$LAB_BUILD/alwayson" -s "$LAB_DIR/sock" "$@"
}
agent_wait_ready "$READY_S" || give_up start "not ready"
wait_up web/node1
wait_up web/node2

trace_into "$LAB_DIR/text" --service web
client curl -s --local-port 45001 "http://$VIP4:81/" >/dev/null
client curl -s --local-port 45000 "http://$VIP4/" >/dev/null
check "a client's packet" in_file "$LAB_DIR/text" ' nat_request eth0 .*:45000 > 192.168.1.10:80 tcp SYN, ttl 64'
check "and as it left" in_file "$LAB_DIR/text" '^    -> eth0 192.168.1.10:[0-9]+ > 192.168.1.10[01]:80 tcp SYN, ttl 63'
check "the server's reply" in_file "$LAB_DIR/text" '^    -> eth0 192.168.1.10:80 > .*:45000 tcp SYN.ACK, ttl 63'
check "nothing of another service" expect "its packets" "$(grep -c 45001 "$LAB_DIR/text")" -eq 0
end_trace
check "it is over when who asked has left" none_runs
trace_into "$LAB_DIR/json" -j --verdict no_service --verdict rejected --count 1
client curl -s -m 3 "http://$VIP4:9999/" >/dev/null
check "a verdict's packets alone" in_file "$LAB_DIR/json" '"verdict":"no_service"'
check "and it ends with the count" wait_until 5 "the end" trace_ended
check "nothing left" expect "out" "$(jq -c .out "$LAB_DIR/json")" = null

trace_into "$LAB_DIR/none" -j --source 203.0.113.0/24
client curl -s "http://$VIP4/" >/dev/null
end_trace
check "another client's packets are not told" expect "bytes" "$(wc -c <"$LAB_DIR/none")" -eq 0

trace_into "$LAB_DIR/out" --pcap "$LAB_DIR/trace.pcapng" --source "$(lab_ctl -j show flows | jq -r '.flows[0].client' | cut -d: -f1)/32"
client curl -s --local-port 45002 "http://$VIP4/" >/dev/null
check "the file has the whole connection" wait_until 5 "a FIN both ways" bash -c \
	'[ "$(tcpdump -nr "$1" "tcp port 45002 and tcp[13] & 1 != 0" 2>/dev/null | grep -c .)" -ge 2 ]' - "$LAB_DIR/trace.pcapng"
end_trace
check "tcpdump sees packets as they came" expect "SYNs of the client" "$(dump 'tcp[13] = 2 and src port 45002' | wc -l)" -eq 1
check "and as they left" expect "SYNs to a server" "$(dump "tcp[13] = 2 and src host 192.168.1.10" | wc -l)" -eq 1
check "tshark reads both, and their directions" expect "SYNs in and out" "$(tshark -nr "$LAB_DIR/trace.pcapng" \
	-Y 'tcp.flags.syn == 1 && tcp.flags.ack == 0' -T fields -e frame.packet_flags_direction 2>"$LAB_DIR/tshark.err" |
	sort | paste -sd ' ')" = "0x00000001 0x00000002"
check "replies came" expect "SYN+ACKs of a server" "$(dump 'tcp[13] = 18 and dst host 192.168.1.10' | wc -l)" -eq 1
check "and left" expect "SYN+ACKs to the client" "$(dump 'tcp[13] = 18 and dst port 45002' | wc -l)" -eq 1

trace_into "$LAB_DIR/few" -j --rate 1
for _ in 1 2 3; do client curl -s "http://$VIP4/" >/dev/null; done
check "what is above the rate is counted" in_file "$LAB_DIR/few.err" 'not shown so far: [1-9][0-9]* above the rate'

# busy: thousands of packets in a moment.
busy() {
	client "$LAB_BUILD/tests/system/http_load" "$VIP4" 80 800 1 >/dev/null
}

# loses PID FILE: while that process stands still, more comes than there is room for, and FILE says so.
loses() {
	kill -STOP "$1"
	busy
	kill -CONT "$1"
	wait_until 3 "a word of it" grep -qE ', [1-9][0-9]* as they came too fast' "$2"
}

end_trace
trace_into "$LAB_DIR/ring" --pcap "$LAB_DIR/lost.pcapng" --rate 100000
client curl -s "http://$VIP4/" >/dev/null
check "what the agent had no time to take is counted" wait_until 60 "a loss" loses "$(agent_pid)" "$LAB_DIR/ring.err"
check "and the file tells as well" in_file "$LAB_DIR/lost.pcapng" 'not shown so far: 0 above the rate, [1-9]'
check "tshark still reads it" expect "packets of it" "$(tshark -nr "$LAB_DIR/lost.pcapng" 2>"$LAB_DIR/tshark.err" | wc -l)" -gt 1
end_trace
trace_into "$LAB_DIR/queue" -j --rate 100000
check "what a slow reader did not ask for in time is counted" wait_until 60 "a loss" loses "$tracer" "$LAB_DIR/queue.err"
busy &
load=$!
end_trace
check "it is over at once in the middle of traffic too" wait_until 5 "the end" none_runs
wait "$load"
trace_into "$LAB_DIR/few" -j --rate 1

# asked LINE PATTERN: what the agent answers to a line of the protocol.
asked() {
	lab_in balancer socat -t 5 - "UNIX-CONNECT:$LAB_DIR/sock" <<<"$1" >"$LAB_DIR/answer"
	grep -q -- "$2" "$LAB_DIR/answer" || { cat "$LAB_DIR/answer"; return 1; }
}

check "a rate above the limit" asked "trace rate 100001" '"code":2'
check "no rate" asked "trace rate 0" '"code":2'
check "a snap above the limit" asked "trace snap 257" '"code":2'
check "no snap" asked "trace snap 0" '"code":2'
check "no such word" asked "trace colour red" 'colour is not service'
check "a word without value" asked "trace rate" 'rate needs a value'
check "a second one is refused" asked "trace" "a trace is running already"
end_trace
check "rate and snap at the limit" asked "trace rate 100000 snap 256" '"rate":100000,"snap":256'
number=$(jq .trace "$LAB_DIR/answer")
check "a wait above the limit" asked "trace next $number 600001" '"code":2'
busy
check "a wait at the limit, and a reply's worth of events" asked "trace next $number 600000" '"ok":true'
check "the reply holds no more" expect "events" "$(jq '.events | length' "$LAB_DIR/answer")" -eq 256
check "it ends when it is told to" asked "trace stop $number" '"ok":true'
check "no such trace" asked "trace next 4711" 'trace 4711 has ended'
trace_into "$LAB_DIR/reloaded" -j --verdict nat_request
reload >/dev/null
client curl -s --local-port 45003 "http://$VIP4/" >/dev/null
check "a reload does not end it" in_file "$LAB_DIR/reloaded" '"verdict":"nat_request"'
