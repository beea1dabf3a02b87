#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# quic-lb with a real stack, ngtcp2's (quic_talk.c): two servers whose connection ids name them, and a client that changes
# port, address and connection id in the middle of a connection. The server tells who it is on each stream; another one could
# not even read the packet.
. "$(dirname "$0")/lib.sh"

readonly TALK=$LAB_BUILD/tests/system/quic_talk WAIT_MS=6000 LOST_MS=1000

# quic_server NODE ADDRESS PORT
quic_server() {
	nsenter --net="$(lab_netns_path "backend$1")" "$TALK" server "$2" "$3" "node$1" "000$1" 2 "$LAB_DIR/cert" "$LAB_DIR/key" &
	QUIC_SERVERS[$1]+=" $!"
	wait_until 5 "the QUIC server of backend$1" udp_is_bound "$1" "$3" 4
}
declare -A QUIC_SERVERS

# talk ADDRESS PORT WORD...: who answered, one after the other.
talk() {
	client timeout 30 "$TALK" client "$1" "$2" "$WAIT_MS" "${@:3}" 2>&1 | paste -sd ' '
}

# one_server ANSWERS COUNT: so many, all of one.
one_server() {
	[[ $1 == node[12]* ]] && [ "$(wc -w <<<"$1")" -eq "$2" ] && [ "$(tr ' ' '\n' <<<"$1" | sort -u | wc -l)" -eq 1 ] && return
	printf 'answers by: %s\n' "$1"
	return 1
}

# follows ADDRESS PORT WAY
follows() {
	check "$3: a connection's streams come to one server" one_server "$(talk "$1" "$2" ask ask ask)" 3
	check "$3: connections are dealt to both" \
		expect "answers by" "$(for _ in 1 2 3 4 5 6; do talk "$1" "$2" ask; done | sort -u | paste -sd ,)" = node1,node2
	check "$3: another port, by a NAT" one_server "$(talk "$1" "$2" ask rebind ask rebind ask)" 3
	check "$3: another address, by a NAT" one_server "$(talk "$1" "$2" ask "rebind=$OTHER" ask ask)" 3
	check "$3: another port and connection id, by the client's will" one_server "$(talk "$1" "$2" ask migrate ask migrate ask)" 3
	check "$3: another address and connection id" one_server "$(talk "$1" "$2" ask "migrate=$OTHER" ask ask)" 3
	check "$3: first the one, then the other" one_server "$(talk "$1" "$2" ask migrate ask rebind ask)" 3
}

# Without quic-lb another port is another connection, and dealt in turn: the other server can't read the packet.
breaks() {
	local i answers=

	for i in 1 2; do
		answers+=" $(client timeout 30 "$TALK" client "$VIP4" 9002 "$LOST_MS" ask rebind ask | paste -sd ' ')"
	done
	grep -q lost <<<"$answers" && return
	printf 'answers by:%s\n' "$answers"
	return 1
}

begin --dsr
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=quic" \
	-keyout "$LAB_DIR/key" -out "$LAB_DIR/cert" 2>/dev/null || give_up begin "openssl makes no certificate"
DSR4=$(lab_state dsr4)
OTHER=$(client ip -4 -o address show dev eth0 | awk '{ split($4, a, "[./]"); print a[1] "." a[2] "." a[3] ".77/" a[5]; exit }')
client ip address add "$OTHER" dev eth0
OTHER=${OTHER%/*}
{
	quick_defaults
	cat <<CFG
listen translated
	bind udp@$VIP4:9000
	quic-lb server-id-length 2 config-id 2
	server node1 192.168.1.100:9000 check port 80 quic-id 0001
	server node2 192.168.1.101:9000 check port 80 quic-id 0002
listen direct
	bind udp@$DSR4:9001
	balance maglev
	forward dsr
	quic-lb server-id-length 2 config-id 2
	server node1 192.168.1.100 check port 80 quic-id 0001
	server node2 192.168.1.101 check port 80 quic-id 0002
listen plain
	bind udp@$VIP4:9002
	server node1 192.168.1.100:9000 check port 80
	server node2 192.168.1.101:9000 check port 80
CFG
} | write_config
quic_server 1 192.168.1.100 9000
quic_server 2 192.168.1.101 9000
quic_server 1 "$DSR4" 9001
quic_server 2 "$DSR4" 9001
start
for server in translated direct plain; do
	wait_up $server/node1
	wait_up $server/node2
done
follows "$VIP4" 9000 nat
follows "$DSR4" 9001 dsr
check "without quic-lb a client is lost to its server when its port changes" breaks

# A server ends: its connections too, new ones come to the other.
read -ra ended <<<"${QUIC_SERVERS[2]}"
kill "${ended[@]}"
server_stop 2
wait_down translated/node2
wait_down direct/node2
check "nat: a server ends, connections go to the other" \
	expect "answers by" "$(for _ in 1 2 3 4; do talk "$VIP4" 9000 ask rebind ask; done | sort -u)" = "node1 node1"
check "dsr: likewise" \
	expect "answers by" "$(for _ in 1 2 3 4; do talk "$DSR4" 9001 ask rebind ask; done | sort -u)" = "node1 node1"
