#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The network moves and the balancer follows: addresses that come and go under a bind of `*`, a server that gets
# another NIC, a link that goes down and up. And what is for no service is the host's, as if nobody were there.
. "$(dirname "$0")/lib.sh"

asked_at() {
	[ "$(answers "http://$1/" 4)" = node1,node2 ]
}

refuses_at() {
	[ "$(exit_code_of client curl -s -m 1 "http://$1/")" -ne 0 ]
}

balancer_ip() {
	ip -n "$(lab_netns balancer)" "$@"
}

# Another MAC, as when a server is replaced by one with the same addresses, which tells so, as new machines do. (When
# nobody tells, the kernel itself needs up to 40 s, and we know what it knows.)
new_nic() {
	lab_in backend1 sysctl -q -w net.ipv4.conf.eth0.arp_notify=1 net.ipv6.conf.eth0.ndisc_notify=1
	ip -n "$(lab_netns backend1)" link set dev eth0 address "$1"
}

host_answers() {
	expect "answer" "$(client curl -s --http0.9 -m 3 "http://$1/")" = host
}

begin
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
listen web6
	bind :::80
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
CFG
# It reads the request first: an answer to what was not read is lost to the reset that follows it.
cat >"$LAB_DIR/host-answer" <<'SH'
#!/bin/sh
while read -r line && [ "$line" != "$(printf '\r')" ]; do :; done
echo host
SH
chmod +x "$LAB_DIR/host-answer"
nsenter --net="$(lab_netns_path balancer)" \
	socat TCP6-LISTEN:8080,reuseaddr,fork,ipv6only=0 "EXEC:$LAB_DIR/host-answer" &
start

check "another port is the host's, IPv4" host_answers "$VIP4:8080"
check "another port is the host's, IPv6" host_answers "[$VIP6]:8080"
check "the host's own connections work" expect "answer" "$(lab_in balancer curl -s -m 3 http://192.168.1.101/)" = node2

balancer_ip address add 192.168.1.20/24 dev eth0
check "a new address is served" wait_until 5 "answers at .20" asked_at 192.168.1.20
balancer_ip address add fd00:1::20/64 dev eth0 nodad
check "a new IPv6 address is served" wait_until 5 "answers at ::20" asked_at "[fd00:1::20]"
balancer_ip address del 192.168.1.20/24 dev eth0
check "a removed address is not" wait_until 5 "refusal at .20" refuses_at 192.168.1.20
check "the first address is served all the time" asked_at "$VIP4"

new_nic 02:00:00:00:01:00
check "a server with another MAC is found" wait_until 10 "answers of both" asked_at "$VIP4"
check "in IPv6 too" wait_until 10 "answers of both" asked_at "[$VIP6]"

balancer_ip link set dev eth0 down
balancer_ip link set dev eth0 up
# The kernel takes IPv6 addresses away with the link.
balancer_ip address replace "$VIP6/64" dev eth0 nodad
check "the link goes down and up again" wait_until 10 "answers of both" asked_at "$VIP4"
check "in IPv6 too, after the link" wait_until 10 "answers of both" asked_at "[$VIP6]"
check "the agent has lived through it" agent_is_ready
