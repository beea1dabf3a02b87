#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson explain packet: what it foretells of a packet is what happens; of a capture each packet follows the others;
# and nothing live changes.
. "$(dirname "$0")/lib.sh"

explain() {
	lab_ctl -j explain packet "$@" >"$LAB_DIR/json"
}

# told JQ VALUE: of the last reply.
told() {
	expect "$1" "$(jq -r "$1" "$LAB_DIR/json")" = "$2"
}

says() {
	local pattern=$1

	shift
	lab_ctl explain packet "$@" >"$LAB_DIR/out" || return
	grep -qE -- "$pattern" "$LAB_DIR/out" || { cat "$LAB_DIR/out"; return 1; }
}

# Packets, connections and bytes that the agent has counted, and the flows.
counted() {
	lab_ctl -j show services | jq -c '.services | map([.packets_in, .packets_out, .connections])'
	lab_ctl -j show flows | jq -c '.flows | map([.client, .own])'
}

refused() {
	expect "exit code" "$(exit_code_of lab_ctl explain packet "$@")" -eq "$code" &&
		{ grep -qE -- "$why" "$LAB_DIR/out" || { cat "$LAB_DIR/out"; return 1; }; }
}

begin
write_config <<CFG
$(quick_defaults)

listen web
	bind $VIP4:80
	balance roundrobin
$(servers 2)
listen hashed
	bind $VIP4:81
	balance maglev
	forward dsr
	server node1 192.168.1.100 port 80
	server node2 192.168.1.101 port 80
CFG
start
wait_up web/node1
wait_up web/node2
client tcpdump -q -U -i any --immediate-mode -w "$LAB_DIR/any.pcap" -c 1 tcp port 80 2>/dev/null &
nsenter --net="$(lab_netns_path client)" tcpdump -U --immediate-mode -i eth0 -w "$LAB_DIR/real.pcap" tcp port 80 \
	2>"$LAB_DIR/dump.err" &
dump=$!
check "a capture begins" wait_until 5 "tcpdump" grep -q "listening on" "$LAB_DIR/dump.err"
first=$(client curl -s --local-port 45000 "http://$VIP4/")
check "the whole connection is in it" wait_until 5 "the capture" bash -c \
	'[ "$(tcpdump -r "$1" 2>/dev/null | grep -c "Flags \[[F.R]*\]")" -ge 3 ]' - "$LAB_DIR/real.pcap"
kill "$dump"
before=$(counted)
known=$(lab_ctl -j show flows | jq -r ".flows[0].client")

check "a new connection" explain web 198.51.100.7:40000
check "it is for the service" told .service web
check "the flow table does not know it" told '.took | index("record_found")' null
check "it would leave, translated" told '.verdict + " " + .action' "nat_request send"
next=$(jq -r .server "$LAB_DIR/json")
check "to the server whose turn it is: the other one" expect "server" "$next" != "web/$first"
check "what leaves carries an own port" told '.out.text | test("192.168.1.10:[0-9]+ > 192.168.1.10[01]:80 tcp SYN, ttl 63")' true
check "a connection in words" says '^verdict +nat_request: to a server' web 198.51.100.7:40000
check "one that is known" says '^record +the flow table knows it: to web/node' web "$known" ack
check "one that is not" says '^verdict +no_flow: ' web 198.51.100.7:40000 ack
check "a slot" says '^slot +slot [0-9]+ of [0-9]+ is clean: it goes to hashed/node[12], and nothing' hashed 198.51.100.7:40000
check "nothing was counted or remembered" expect "counters and flows" "$(counted)" = "$before"
check "and so it comes" expect "answers by" "$(answers "http://$VIP4/" 1)" = "${next#web/}"

check "a capture's packets" lab_ctl -j explain packet --pcap "$LAB_DIR/real.pcap"
lab_ctl -j explain packet --pcap "$LAB_DIR/real.pcap" | jq -s . >"$LAB_DIR/json"
check "each is explained" expect "packets" "$(jq length "$LAB_DIR/json")" -gt 4
check "on the same copy of the tables" told 'map(.copy) | unique | length' 1
check "the client's go to a server" told 'map(select(.in.text | test(":45000 > .*:80 tcp"))) | map(.verdict) | unique[0]' nat_request
tcpdump -r "$LAB_DIR/real.pcap" -w "$LAB_DIR/data.pcap" 'dst port 80 and tcp[13] & 2 = 0' 2>/dev/null
lab_ctl explain packet --pcap "$LAB_DIR/data.pcap" --interface nonesuch >"$LAB_DIR/out" 2>&1
check "an interface that is not steered on" grep -q "nonesuch: nothing is steered there" "$LAB_DIR/out"

code=1 why="no service nobody" check "no such service" refused nobody 198.51.100.7:1
code=1 why="is IPv4, and" check "the other family" refused web '[2001:db8::1]:1'
code=2 why="is not ADDR:PORT" check "a source that is none" refused web localhost
code=2 why="give SERVICE and SRC:PORT" check "neither a service nor a file" refused
code=1 why="No such file" check "a file that is not there" refused --pcap "$LAB_DIR/nothing"
head -c 3000 /dev/urandom >"$LAB_DIR/noise"
code=1 why="unknown file format" check "a file that is no capture" refused --pcap "$LAB_DIR/noise"
head -c -7 "$LAB_DIR/real.pcap" >"$LAB_DIR/cut.pcap"
code=1 why="truncated" check "one that is cut short" refused --pcap "$LAB_DIR/cut.pcap"
{ head -c 40 "$LAB_DIR/real.pcap" && head -c 4000 /dev/urandom; } >"$LAB_DIR/bad.pcap"
check "one with noise in it" expect "exit code" "$(exit_code_of lab_ctl explain packet --pcap "$LAB_DIR/bad.pcap")" -eq 1
wait_until 5 "a packet on any" test -s "$LAB_DIR/any.pcap"
code=1 why="not Ethernet frames" check "one of another kind of link" refused --pcap "$LAB_DIR/any.pcap"
cp "$CONFIG" "$LAB_DIR/kept"
reload >/dev/null
check "after a reload" says '^verdict +nat_request' web 198.51.100.7:40000
