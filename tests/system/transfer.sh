#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Much data on one connection, both ways, over IPv4 and IPv6: every byte arrives.
. "$(dirname "$0")/lib.sh"

download() {
	client curl -sSf -m 30 -o "$LAB_DIR/down" "http://$1/file/100M" && cmp "$LAB_DIR/down" "$FILES/100M"
}

upload() {
	rm -f "$LAB_DIR"/backend1/upload/*
	client curl -sSf -m 30 -T "$FILES/100M" "http://$1/upload/100M" &&
		cmp "$LAB_DIR/backend1/upload/100M" "$FILES/100M"
}

# Several connections at once, in the direction that needs our replies' way as well.
iperf() {
	local output

	output=$(client iperf3 -c "$VIP4" -p 5201 -t 1 -P 4 -J "$@") || { jq -r .error <<<"$output"; return 1; }
	expect "Mbit/s" "$(jq '.end.sum_received.bits_per_second / 1e6 | floor' <<<"$output")" -ge 50
}

listens_on() {
	lab_in "backend$1" ss -Hltn "sport = :$2" | grep -q .
}

begin --backends 1
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
	server node1 192.168.1.100:80
listen web6
	bind :::80
	server node1 [fd00:1::100]:80
# No check: iperf3 would take it for its one client.
defaults
	timeout connect 1s
	timeout client 1m
	timeout server 1m
listen iperf
	bind *:5201
	server node1 192.168.1.100:5201
CFG
server_file 100M >/dev/null
nsenter --net="$(lab_netns_path backend1)" iperf3 -s -1 >/dev/null 2>&1 &
start

check "100 MB down, IPv4" download "$VIP4"
check "100 MB up, IPv4" upload "$VIP4"
check "100 MB down, IPv6" download "[$VIP6]"
check "100 MB up, IPv6" upload "[$VIP6]"
wait_until 5 "iperf3 to listen" listens_on 1 5201
check "iperf3, 4 streams towards the server" iperf
nsenter --net="$(lab_netns_path backend1)" iperf3 -s -1 >/dev/null 2>&1 &
wait_until 5 "iperf3 to listen" listens_on 1 5201
check "iperf3, 4 streams from the server" iperf -R
