#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Active/active with round robin in dsr: a router spreads connections over three balancers that tell each other of them. When
# one dies the router gives its connections to the others, and some of the others' as well: all of them go on.
#
#     client ── router ──┬── balancer1 .11, balancer2 .12, balancer3 .13      10.99.0.1 on lo, by `announce lo`
#                        └── backend1 .100 ... backend3 .102                  10.99.0.1 on lo, silently
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cluster_lib.sh"

config() {
	cat >"$LAB_DIR/peers$1.cfg" <<CFG
global
	localpeer lb$1
	hash-secret $LAB_DIR/secret
	announce lo wait 1s
peers balancers
	peer lb1 192.168.1.11:10000
	peer lb2 192.168.1.12:10000
	peer lb3 192.168.1.13:10000
$(quick_defaults)
	forward dsr
	balance roundrobin
	flows peers balancers
listen web
	bind $CLUSTER_VIP4:80
$(servers 3)
CFG
}

# Each of the balancers knows all connections.
all_know() {
	local i

	for i in "$@"; do
		expect "connections of balancer$i" "$(cluster_ctl "$i" -j show services | jq '.services[0].connections')" \
			-ge "$CONNECTIONS" || return
	done
}

# Connections that were recorded by the balancer itself, not told of.
share_of() {
	cluster_ctl "$1" -j show peers | jq '[.peers[].records.inserted] | add'
}

packets() {
	cluster_ctl "$1" -j show services | jq '.services[0].packets_in'
}

have_passed() {
	(($(packets 2) + $(packets 3) >= $1))
}

broken() {
	awk '$2 == "hold" { n++ } END { print n + 0 }' "$LAB_DIR/hold"
}

begin --topology ecmp --backends 3 --balancers 3
(umask 077; printf '%s\n' 0123456789abcdef0123456789abcdef >"$LAB_DIR/secret")
for i in 1 2 3; do
	config "$i"
	cluster_agent_start "$i" "$LAB_DIR/peers$i.cfg"
	bird_start "balancer$i" bird/alwayson.conf "$i"
done
bird_start router bird/router.conf
for i in 1 2 3; do
	cluster_agent_wait_ready "$i" || give_up start "balancer$i is not ready"
done
wait_until 20 "three ways" cluster_has_ways 3 || give_up start "the router knows $(cluster_ways) balancers"
nsenter --net="$(lab_netns_path client)" "$LAB_BUILD/tests/system/steady_load" 60 "hold:$CONNECTIONS:$CLUSTER_VIP4:80" \
	>"$LAB_DIR/hold" 2>&1 &
holds=$!
wait_until 15 "all to know all connections" all_know 1 2 3 || :
check "each balancer knows the connections of all" all_know 1 2 3
check "... most of which others told it of" expect "told of" "$(share_of 1)" -gt $((CONNECTIONS / 3))
before=$(broken)

cut_off balancer1
check "dead: the router knows two" wait_until 10 "two ways" cluster_has_ways 2
went_on=$(($(packets 2) + $(packets 3) + CONNECTIONS * 50)) # four seconds of requests and answers
wait_until 20 "the connections to go on" have_passed "$went_on" || :
check "dead: every connection survives" expect "broken of $CONNECTIONS" "$(($(broken) - before))" -eq 0
printf '# survived: %s %%\n' "$((100 * (CONNECTIONS - $(broken) + before) / CONNECTIONS))"
rejoin balancer1
kill "$holds"
