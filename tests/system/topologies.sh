#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# forward nat with the client behind a router, and with the client and the servers on different NICs of the balancer.
#
#     routed:    client 10.0.0.2 ── router ── switch ── balancer .10, servers .100 .101
#     two-nics:  client 10.0.0.2 ── eth0 balancer eth1 ── switch ── servers .100 .101
. "$(dirname "$0")/lib.sh"

transfer() {
	client curl -sSf -m 20 -o "$LAB_DIR/down" "http://$VIP4/file/20M" && cmp "$LAB_DIR/down" "$FILES/20M" &&
		client curl -sSf -m 20 -T "$FILES/20M" "http://$VIP4:81/upload/20M" &&
		cmp "$LAB_DIR/backend1/upload/20M" "$FILES/20M"
}

suite() {
	begin --topology "$1"
	server_file 20M >/dev/null
	write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
listen one
	bind *:81
$(servers 1)
listen web6
	bind :::80
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
CFG
	start
	check "$1: even shares" expect "answers by node1 of 200" \
		"$(get "http://$VIP4/" 200 | count_answers node1)" -eq 100
	check "$1: IPv6, even shares" expect "answers by node1 of 200" \
		"$(get "http://[$VIP6]/" 200 | count_answers node1)" -eq 100
	check "$1: the server sees the balancer's address" expect "it" \
		"$(client curl -sf -m 3 "http://$VIP4/address")" = 192.168.1.10
	check "$1: 20 MB down and up" transfer
	server_stop 1
	wait_down web/node1
	check "$1: failover" expect "answers by" "$(answers "http://$VIP4/" 20)" = node2
	wait_down one/node1
	check "$1: nobody left: refused at once" refused_at_once "http://$VIP4:81/"
}

suite routed
end
suite two-nics
