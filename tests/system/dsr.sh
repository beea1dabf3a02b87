#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# forward dsr: the packets reach the server as the client sent them, and the answer does not pass the balancer; on one
# switch and behind a router.
#
#     client ── [router] ── switch ── balancer .10, service address .50
#                             └────── servers .100, .101, which hold .50 on lo as well
. "$(dirname "$0")/lib.sh"

config() {
	write_config <<CFG
$(quick_defaults)
	forward dsr

listen web
	bind $DSR4:80
$(servers 2)
listen web6
	bind [$DSR6]:80
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
CFG
}

# What the balancer's NIC has received, in bytes.
balancer_received() {
	ip -n "$(lab_netns balancer)" -j -s link show eth0 | jq '.[0].stats64.rx.bytes'
}

upload() {
	client curl -sSf -m 20 -T "$FILES/20M" "http://$DSR4/upload/20M" || return
	cmp "$LAB_DIR/backend1/upload/20M" "$FILES/20M" || cmp "$LAB_DIR/backend2/upload/20M" "$FILES/20M"
}

# The balancer must not see the answer: a fraction of 20 MB, the client's acknowledgements, is all it gets.
download_passes_by() {
	local before

	before=$(balancer_received)
	client curl -sSf -m 20 -o "$LAB_DIR/down" "http://$DSR4/file/20M" || return
	cmp "$LAB_DIR/down" "$FILES/20M" || return
	expect "bytes that the balancer received" $(($(balancer_received) - before)) -le 4000000
}

# suite TOPOLOGY CLIENT4 CLIENT6
suite() {
	begin --topology "$1" --dsr
	DSR4=$(lab_state dsr4)
	DSR6=$(lab_state dsr6)
	config
	server_file 20M >/dev/null
	start
	check "$1: even shares" expect "answers by node1 of 100" \
		"$(get "http://$DSR4/" 100 | count_answers node1)" -eq 50
	check "$1: IPv6, even shares" expect "answers by node1 of 100" \
		"$(get "http://[$DSR6]/" 100 | count_answers node1)" -eq 50
	check "$1: the server sees the client's address" expect "it" \
		"$(client curl -sf -m 3 "http://$DSR4/address")" = "$2"
	check "$1: IPv6, the server sees the client's address" expect "it" \
		"$(client curl -sf -m 3 "http://[$DSR6]/address")" = "$3"
	check "$1: 20 MB up" upload
	check "$1: 20 MB down, past the balancer" download_passes_by
	server_stop 2
	wait_down web/node2
	check "$1: failover" expect "answers by" "$(answers "http://$DSR4/" 20)" = node1
	server_stop 1
	wait_down web/node1
	check "$1: nobody left: refused at once" refused_at_once "http://$DSR4/"
}

suite one-armed 192.168.1.2 fd00:1::2
end
suite routed 10.0.0.2 fd00:2::2
