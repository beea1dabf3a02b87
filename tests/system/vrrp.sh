#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Active/passive: keepalived moves the service address between two balancers, with the configuration that is shipped;
# `alwayson ready` is its check. forward dsr and a consistent hash: connections survive, with nothing shared.
#
#     client ── router ──┬── balancer1 .11, balancer2 .12        10.99.0.1 on the eth0 of one of them
#                        └── backend1 .100 ... backend3 .102     10.99.0.1 on lo, silently
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cluster_lib.sh"

config() {
	cat >"$CONFIG" <<CFG
$(quick_defaults)
	forward dsr
	balance maglev
listen web
	bind $CLUSTER_VIP4:80
$(servers 3)
CFG
}

other() {
	printf '%d' $((3 - $1))
}

steers() {
	(($(cluster_ctl "$1" -j show services | jq '.services[0].packets_in') > 100))
}

moves() {
	check "$1: the address moves" wait_until 10 "balancer$2 to have it" cluster_is_held_by "$2"
	survives "$1"
}

begin --topology vrrp --backends 3 --balancers 2
config
for i in 1 2; do
	cluster_agent_start "$i" "$CONFIG"
	cluster_agent_wait_ready "$i" || give_up start "balancer$i is not ready"
	keepalived_start "$i"
done
wait_until 15 "one balancer to have the service address" cluster_is_held || give_up vrrp "$(cluster_holders)"
load_start 80
more 50

master=$(cluster_holders)
mark
cut_off "balancer$master" # frozen or dead: it says nothing any more
kill -STOP "$(cluster_agent_pid "$master")"
check "dead: the other one takes over" wait_until 10 "100 packets by way of it" steers "$(other "$master")"
survives "dead"
check "dead: away for less than a second" expect "ms" "$(gap_since "$since")" -lt 1000
kill -CONT "$(cluster_agent_pid "$master")"
rejoin "balancer$master"
check "back: one of them has the address" wait_until 10 "one holder" cluster_is_held
more "$ENOUGH"

master=$(cluster_holders)
mark
cluster_ctl "$master" withdraw >/dev/null
moves "drained" "$(other "$master")"
check "drained: nobody notices" expect "requests that failed at first" "$(failed_since "$since")" -eq 0
cluster_ctl "$master" announce >/dev/null

master=$(cluster_holders)
mark
cluster_ctl "$master" restart >/dev/null
more $((RATE * 2))
check "restarted: the address stays" cluster_is_held_by "$master"
survives "restarted"

mark
kill -9 "$(keepalived_pid "$master")" "$(cat "$LAB_DIR/balancer$master/vrrp.pid")"
ip -n "$(lab_netns "balancer$master")" address del "$CLUSTER_VIP4/32" dev eth0
moves "keepalived killed" "$(other "$master")"
load_end
