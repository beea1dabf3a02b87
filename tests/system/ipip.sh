#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# forward ipip: the packets travel to the servers in an outer IP header, are unwrapped there by `alwayson decap`, and
# the answer does not pass the balancer. All four pairs of families, servers behind a router, MTU, failover, and what the
# decap program lets through.
#
#     client 10.0.0.2 ── router .1 ──┬── balancer .10, service addresses .50 .51 .52
#                                    └── servers .100, .101: decap on eth0, the services' addresses on lo
#
# "Behind the router": the servers' addresses 10.9.0.1 and fd00:9::1 (.2, ::2), which only the router knows the way to.
. "$(dirname "$0")/lib.sh"

decap() {
	local backend=$1

	shift
	lab_in "backend$backend" "$LAB_BUILD/alwayson" decap "$@"
}

decap_end() {
	local i

	for i in 1 2; do
		decap "$i" unload eth0 >/dev/null 2>&1 || true
	done
}

# On both servers, from both addresses of the balancer.
decap_begin() {
	local i

	for i in 1 2; do
		decap "$i" load eth0 --from 192.168.1.10 --from fd00:1::10 --from 198.18.0.0/24 --from fd00:18::/64 \
			--address "10.9.0.$i" --address "fd00:9::$i" >/dev/null || give_up decap "backend$i: it does not load"
	done
}

# Packets of a verdict on server $1: unwrapped, not_allowed, ...
decap_count() {
	decap "$1" -j show eth0 | jq --arg name "$2" '.decap[0].verdicts[] | select(.name == $name) | .packets'
}

# Addresses behind the router, for tunnels that are routed.
far_addresses() {
	local i

	for i in 1 2; do
		ip -n "$(lab_netns "backend$i")" address add "10.9.0.$i/32" dev lo
		ip -n "$(lab_netns "backend$i")" address add "fd00:9::$i/128" dev lo nodad
		ip -n "$(lab_netns router)" route add "10.9.0.$i/32" via "192.168.1.$((99 + i))"
		ip -n "$(lab_netns router)" route add "fd00:9::$i/128" via "fd00:1::$((99 + i))"
	done
}

# The largest packet that fits into a tunnel of MTU 1500, less IP and TCP: $1 for IPv4, $2 for IPv6 services.
servers_advertise() {
	local i

	for i in 1 2; do
		ip -n "$(lab_netns "backend$i")" route change default via 192.168.1.1 advmss "$1"
		ip -n "$(lab_netns "backend$i")" -6 route change default via fd00:1::1 advmss "$2"
	done
}

# The LAN's MTU: room for the outer header, and the clients' packets need not be smaller.
fabric_mtu() {
	local i

	for i in lan balancer router-eth1 backend1 backend2; do
		ip -n "$(lab_netns switch)" link set dev "$i" mtu "$1"
	done
	ip -n "$(lab_netns router)" link set dev eth1 mtu "$1"
	for i in balancer backend1 backend2; do
		ip -n "$(lab_netns "$i")" link set dev eth0 mtu "$1"
	done
}

# One pair of families both ways: transfer URL
transfer() {
	rm -f "$LAB_DIR"/backend?/upload/* "$LAB_DIR/down"
	client curl -sSf -m 30 -o "$LAB_DIR/down" "$1/file/20M" || return
	expect "the download" "$(sha256_of "$LAB_DIR/down")" = "$SUM" || return
	client curl -sSf -m 30 -T "$FILES/20M" "$1/upload/20M" || return
	expect "the upload" "$(sha256_of "$(ls "$LAB_DIR"/backend?/upload/20M)")" = "$SUM"
}

# suite NAME HOST: even shares, the client's address, data both ways, IPv4 and IPv6.
suite() {
	check "$1, IPv4 service: even shares" expect "answers by node1 of 40" \
		"$(get "http://192.168.1.$2/" 40 | count_answers node1)" -eq 20
	check "$1, IPv6 service: even shares" expect "answers by node1 of 40" \
		"$(get "http://[fd00:1::$2]/" 40 | count_answers node1)" -eq 20
	check "$1, IPv4 service: the server sees the client's address" expect "it" \
		"$(client curl -sf -m 3 "http://192.168.1.$2/address")" = 10.0.0.2
	check "$1, IPv6 service: the server sees the client's address" expect "it" \
		"$(client curl -sf -m 3 "http://[fd00:1::$2]/address")" = fd00:2::2
	check "$1, IPv4 service: 20 MB down and up" transfer "http://192.168.1.$2"
	check "$1, IPv6 service: 20 MB down and up" transfer "http://[fd00:1::$2]"
}

# An upload that takes some seconds is not disturbed when the program is replaced under it.
replaced_under_load() {
	local n

	rm -f "$LAB_DIR"/backend?/upload/*
	client curl -sSf -m 30 --limit-rate 8M -T "$FILES/20M" "http://192.168.1.50/upload/20M" >"$LAB_DIR/out" 2>&1 &
	for n in 1 2 3 4 5 6 7 8; do
		decap_begin
	done
	wait $! || { cat "$LAB_DIR/out"; return 1; }
	expect "the upload" "$(sha256_of "$(ls "$LAB_DIR"/backend?/upload/20M)")" = "$SUM"
}

counters_go_on() {
	local before

	before=$(decap_count 1 unwrapped)
	decap_begin
	expect "packets before" "$before" -gt 0 && expect "packets" "$(decap_count 1 unwrapped)" -ge "$before"
}

# From a balancer that was not named: the packets reach the host as they are, which knows no tunnel.
only_from_named_balancers() {
	local i

	for i in 1 2; do
		decap "$i" load eth0 --from 192.168.1.11 >/dev/null || return
	done
	not_answered "http://192.168.1.50/" || return
	expect "packets that were not allowed" $(($(decap_count 1 not_allowed) + $(decap_count 2 not_allowed))) -gt 0
}

# To an address of the server that the program was not told of: it is left alone.
only_to_named_addresses() {
	local before

	for i in 1 2; do
		decap "$i" load eth0 --from 192.168.1.10 --from fd00:1::10 >/dev/null || return
	done
	before=$(($(decap_count 1 not_here) + $(decap_count 2 not_here)))
	not_answered "http://192.168.1.51/" || return
	expect "packets for elsewhere" $(($(decap_count 1 not_here) + $(decap_count 2 not_here))) -gt "$before"
}

exits() {
	local code=$1

	shift
	expect "exit code of alwayson decap $*" "$(exit_code_of decap 1 "$@")" -eq "$code" && return
	cat "$LAB_DIR/out"
	return 1
}

says() {
	grep -q "$1" "$LAB_DIR/out" || { cat "$LAB_DIR/out"; return 1; }
}

# The answers to datagrams must come from the service's address.
vip_udp_server() {
	printf '#!/bin/sh\nprintf "%%s %%s\\n" "$1" "$(cat)"\n' >"$LAB_DIR/answer"
	nsenter --net="$(lab_netns_path "backend$1")" socat -T 1 UDP4-RECVFROM:5353,bind=192.168.1.50,fork,reuseaddr \
		EXEC:"sh $LAB_DIR/answer node$1" >/dev/null 2>&1 &
	wait_until 5 "the UDP server of backend$1" udp_is_bound "$1" 5353 4
}

told_too_big() {
	expect "packets that were too big" \
		"$(lab_ctl -j show verdicts | jq '.verdicts[] | select(.name == "too_big_told") | .packets')" -gt 0
}

# The host's own balancer, or whatever program is there, is not pushed aside.
refuses_a_taken_nic() {
	expect "exit code" "$(exit_code_of lab_in balancer "$LAB_BUILD/alwayson" decap load eth0 --from 192.168.1.1)" -eq 1 &&
		says "is attached there already"
}

refuses_others_than_root() {
	cp "$LAB_BUILD/alwayson" "$LAB_DIR/alwayson"
	chmod 755 "$LAB_DIR"
	expect "exit code" "$(exit_code_of lab_in backend1 setpriv --reuid=65534 --regid=65534 --clear-groups \
		"$LAB_DIR/alwayson" decap load eth0 --from 192.168.1.10)" -eq 1 && says "run as root"
}

load_drops() {
	decap_begin
	[ ! -e "$1" ]
}

# A namespace that ends leaves a pin that nothing can use: the next load, anywhere, removes it. A dot in the NIC's name
# is a colon in the pin's.
severed_pins_go() {
	local ns nic=g.$LAB_ID pin

	ns=$(lab_netns gone)
	ip netns add "$ns"
	ip -n "$ns" link add "$nic" type veth peer name eth1
	ip -n "$ns" address add 192.0.2.1/24 dev "$nic"
	nsenter --net="/run/netns/$ns" "$LAB_BUILD/alwayson" decap load "$nic" --from 192.0.2.2 >/dev/null || return
	nsenter --net="/run/netns/$ns" "$LAB_BUILD/alwayson" decap show "$nic" | grep -q "interface $nic native" || return
	pin=$(ls -d /sys/fs/bpf/alwayson-decap-*/"${nic/./:}") || return
	ip netns del "$ns"
	wait_until 10 "the pin to go" load_drops "$pin"
}

begin --topology routed --dsr
trap 'code=$?; decap_end; (exit $code); finish' EXIT
server_file 20M >/dev/null
SUM=$(sha256_of "$FILES/20M")
# More service addresses beside .50: .51, .52. Ports are not rewritten, and the web servers listen on 80.
service_addresses 51 52
far_addresses
servers_advertise 1420 1400
write_config <<CFG
$(quick_defaults)
	forward ipip

frontend four
	bind 192.168.1.50:80,[fd00:1::50]:80
	default_backend four
backend four
	server node1 192.168.1.100:80
	server node2 192.168.1.101:80
frontend far
	bind 192.168.1.51:80,[fd00:1::51]:80
	default_backend far
backend far
	tunnel-source 198.18.0.0/24
	server node1 10.9.0.1:80
	server node2 10.9.0.2:80
frontend six
	bind 192.168.1.52:80,[fd00:1::52]:80
	default_backend six
backend six
	tunnel-source fd00:18::/64
	server node1 [fd00:9::1]:80
	server node2 [fd00:9::2]:80
listen dns
	bind udp@192.168.1.50:5353,udp@[fd00:1::50]:5353
	balance maglev
	tunnel-source 198.18.0.9
	server node1 192.168.1.100:5353 port 80
	server node2 [fd00:1::101]:5353 port 80
CFG
decap_begin
start

suite "IPv4 servers" 50
suite "IPv4 servers behind a router, a prefix as source" 51
suite "IPv6 servers behind a router, a prefix as source" 52
vip_udp_server 1
vip_udp_server 2
check "UDP, one server of each family" expect "answers" \
	"$(udp_ask 192.168.1.50 5353 30 | cut -d ' ' -f 1 | sort -u | paste -sd ,)" = node1,node2

check "a source that nobody has is noticed" grep -q "no interface has the tunnel-source address 198.18.0.9" \
	<(lab_ctl -j status | jq -r '.notices[]')

fabric_mtu 1600
servers_advertise 1460 1440
check "a fabric of MTU 1600, full-size packets, IPv4" transfer "http://192.168.1.50"
check "a fabric of MTU 1600, full-size packets, IPv6" transfer "http://[fd00:1::52]"
fabric_mtu 1500
check "MTU 1500 and servers as they are: the balancer says what fits, IPv4" transfer "http://192.168.1.51"
check "MTU 1500 and servers as they are: the balancer says what fits, IPv6" transfer "http://[fd00:1::52]"
check "it has said so" told_too_big

check "decap show tells what it does" grep -q "from      *192.168.1.10/32" <(decap 1 show)
check "decap show of all interfaces" expect "interfaces" \
	"$(decap 1 -j show | jq -r '.decap | map(.interface) | join(",")')" = eth0
check "the program is replaced under load" replaced_under_load
check "and its counters go on" counters_go_on
check "an interface that has a program" refuses_a_taken_nic
check "not for everybody" refuses_others_than_root
check "what a namespace has left behind is removed" severed_pins_go
check "only from named balancers" only_from_named_balancers
check "only to named addresses" only_to_named_addresses
decap_begin
check "and again as before" expect "answers by" "$(answers "http://192.168.1.51/" 10)" = node1,node2

server_stop 2
wait_down four/node2
check "failover" expect "answers by" "$(answers "http://192.168.1.50/" 20)" = node1
server_stop 1
wait_down four/node1
check "nobody left: refused at once" refused_at_once "http://192.168.1.50/"
check "nobody left, IPv6: refused at once" refused_at_once "http://[fd00:1::50]/"
server_start 1
wait_up four/node1
check "a server comes back" expect "answers by" "$(answers "http://192.168.1.50/" 5)" = node1

check "unload" exits 0 unload eth0
check "without it nothing is answered" not_answered "http://192.168.1.50/"
check "unload twice" exits 1 unload eth0
check "it says that nothing is loaded" says "no decap program is loaded there"
check "show where nothing is loaded" exits 0 show
check "an interface that is not there" exits 1 load eth7 --from 192.168.1.10
check "lo has no native mode" exits 1 load lo native --from 192.168.1.10
check "generic mode" exits 0 load eth0 generic --from 192.168.1.10
check "generic mode works" expect "answers by" "$(answers "http://192.168.1.50/" 5)" = node1
check "the mode does not change underway" exits 1 load eth0 native --from 192.168.1.10
