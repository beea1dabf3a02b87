#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Servers that go: backups step in, no server left is told to the client at once, and http checks see what a
# connection alone does not.
. "$(dirname "$0")/lib.sh"

# A datagram to a service without servers: the ICMP error arrives, and at once.
udp_refused_at_once() {
	local start_ms

	start_ms=$(now_ms)
	client timeout 3 socat -T 2 - "UDP4:$VIP4:80" <<<hello >"$LAB_DIR/out" 2>&1
	grep -q 'Connection refused' "$LAB_DIR/out" || { printf 'socat said: '; cat "$LAB_DIR/out"; return 1; }
	expect "ms until refused" $(($(now_ms) - start_ms)) -le 1500
}

begin --backends 3
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
	bind udp@*:80
	server node1 192.168.1.100:80
	server node2 192.168.1.101:80 backup
	server node3 192.168.1.102:80 backup
listen both
	bind *:81
	option allbackups
	server node1 192.168.1.100:80
	server node2 192.168.1.101:80 backup
	server node3 192.168.1.102:80 backup
listen quiet
	bind *:82
	on-all-down drop
	server node1 192.168.1.100:80
listen sick
	bind *:83
	option httpchk GET /status/503
	server node1 192.168.1.100:80
listen odd
	bind *:84
	option httpchk GET /status/503
	http-check expect status 503
	server node1 192.168.1.100:80
CFG
start

check "the active server answers alone" expect "answers by" "$(answers "http://$VIP4:80/" 20)" = node1
check "http check: 503 is down" refused_at_once "http://$VIP4:83/"
check "http check: 503 is up where expected" expect "answers by" "$(answers "http://$VIP4:84/" 3)" = node1

server_stop 1
check "its death is noticed" wait_down web/node1
check "noticed in each backend" wait_down both/node1
check "the first backup takes over, alone" expect "answers by" "$(answers "http://$VIP4:80/" 20)" = node2
check "allbackups: all take over" expect "answers by" "$(answers "http://$VIP4:81/" 20)" = node2,node3
wait_down quiet/node1
check "on-all-down drop: silence" not_answered "http://$VIP4:82/"
server_stop 2
wait_down web/node2
check "the second backup takes over" expect "answers by" "$(answers "http://$VIP4:80/" 20)" = node3
server_stop 3
wait_down web/node3
check "nobody left: refused at once" refused_at_once "http://$VIP4/"
check "nobody left: UDP is told by ICMP" udp_refused_at_once
server_start 1
check "the server comes back" wait_up web/node1
check "and answers alone again" expect "answers by" "$(answers "http://$VIP4:80/" 20)" = node1
