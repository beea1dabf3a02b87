#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# quic-lb: a client whose address or port changes stays with the server that its connection id names. The servers answer
# any datagram with their name; the client's carry headers of QUIC and nothing behind them but noise, each as it is wanted.
# Real connections: quic_stack.sh.
. "$(dirname "$0")/lib.sh"

# ask PORT FORMAT: a datagram from a port of its own to the service; prints who answered.
ask() {
	client timeout 5 bash -c 'exec 3<>"/dev/udp/$1/$2"
		printf "$3" >&3
		timeout 1 dd bs=2048 count=1 status=none <&3 2>/dev/null || echo lost' ask "$VIP4" "$1" "$2" |
		head -n 1 | tr '\0' ' ' | cut -d ' ' -f 1
}

# The bytes behind an id: the nonce, and what would be the packet.
REST='\xa1\xa2\xa3\xa4pppppppppppppppppppp'
short() { printf '%s' "\\x4d\\x5c\\x00\\x0$1$REST"; }
handshake() { printf '%s' "\\xed\\x00\\x00\\x00\\x01\\x07\\x5c\\x00\\x0$1$REST"; }
initial() { printf '%s' "\\xcd\\x00\\x00\\x00\\x01\\x07\\x5c\\x00\\x0$1$REST"; }

# all_by PORT FORMAT COUNT: the distinct answerers of so many datagrams, each from another port.
all_by() {
	local i

	for ((i = 0; i < $3; i++)); do
		ask "$1" "$2"
	done | sort -u | paste -sd ,
}

# stays PORT TEXT
stays() {
	check "$2: a short header reaches the server of its id, whatever its port" \
		expect "answers by" "$(all_by "$1" "$(short 1)" 6) $(all_by "$1" "$(short 2)" 6)" = "node1 node2"
	check "$2: so does a Handshake" \
		expect "answers by" "$(all_by "$1" "$(handshake 1)" 4) $(all_by "$1" "$(handshake 2)" 4)" = "node1 node2"
}

config() {
	{
		quick_defaults
		cat <<CFG
listen translated
	bind udp@*:9000
	quic-lb server-id-length 2 config-id 2
	server node1 192.168.1.100:9000 check port 80 quic-id 0001
	$1
listen routed
	bind udp@*:9001
	balance maglev
	forward nat
	quic-lb server-id-length 2 config-id 2
	server node1 192.168.1.100:9000 check port 80 quic-id 0001
	$1
CFG
	} | write_config
}

begin
config "server node2 192.168.1.101:9000 check port 80 quic-id 0002"
udp_server 1 9000
udp_server 2 9000
start
wait_up translated/node1
wait_up translated/node2
wait_up routed/node2
stays 9000 "roundrobin"
stays 9001 "maglev"
check "Initials are dealt in turn, whatever their id says" \
	expect "answers by" "$(all_by 9000 "$(initial 1)" 6)" = "node1,node2"
check "so are datagrams that are no QUIC" expect "answers by" "$(all_by 9000 "hello" 6)" = "node1,node2"
check "and ids that no server has" expect "answers by" "$(all_by 9000 "$(short 3)" 6)" = "node1,node2"

nsenter --net="$(lab_netns_path client)" tcpdump -U --immediate-mode -i eth0 -c 1 -w "$LAB_DIR/one.pcap" udp dst port 9000 \
	2>"$LAB_DIR/dump.err" &
check "a capture begins" wait_until 5 "tcpdump" grep -q "listening on" "$LAB_DIR/dump.err"
ask 9000 "$(short 2)" >/dev/null
check "a datagram is in it" wait_until 5 "the capture's end" process_is_gone $!
lab_ctl explain packet --pcap "$LAB_DIR/one.pcap" >"$LAB_DIR/out"
check "explain packet says that the id chose" \
	grep -qE '^quic +its QUIC connection id names translated/node2, whatever' "$LAB_DIR/out"

lab_ctl server drain translated/node1 >/dev/null
check "a drained server gets no new connections" expect "answers by" "$(all_by 9000 "$(initial 1)" 4)" = node2
check "but keeps those whose ids name it" expect "answers by" "$(all_by 9000 "$(short 1)" 4)" = node1
lab_ctl server ready translated/node1 >/dev/null

config ""
check "a reload without node2" reload
check "what named it goes to another" expect "answers by" "$(all_by 9000 "$(short 2)" 4)" = node1
config "server node2 192.168.1.101:9000 check port 80 quic-id 0003"
check "a reload with node2 under another id" reload
wait_up translated/node2
check "the new id is known" expect "answers by" "$(all_by 9000 "$(short 3)" 4)" = node2
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
check "without an agent too" expect "answers by" "$(all_by 9000 "$(short 3)" 4)" = node2
start
check "and after another agent's start" expect "answers by" "$(all_by 9000 "$(short 3)" 4)" = node2

server_stop 2
wait_down translated/node2
check "a server that is down gets nothing" expect "answers by" "$(all_by 9000 "$(short 3)" 4)" = node1
