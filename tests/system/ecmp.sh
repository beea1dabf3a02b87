#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Active/active: a router with BIRD spreads connections over three balancers (ECMP), each of which announces the service
# address, two with the BIRD configuration that is shipped and one with FRR's, BFD 3 x 100 ms. forward dsr and a consistent hash: nothing is
# shared between the balancers but the configuration and the secret, and connections survive the death of one.
#
#     client ── router ──┬── balancer1 .11, balancer2 .12, balancer3 .13      10.99.0.1 on lo, by `announce lo`
#                        └── backend1 .100 ... backend4 .103                  10.99.0.1 on lo, silently
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cluster_lib.sh"

config() {
	cat >"$CONFIG" <<CFG
global
	announce lo wait 1s
	metrics 127.0.0.1:9101
$(quick_defaults)
	forward dsr
	balance maglev
listen web
	bind $CLUSTER_VIP4:80
$(servers 4)
CFG
}

# fault NAME WAYS: the router has so many ways left; what became of requests and connections.
fault() {
	check "$1: the router knows" wait_until 10 "$2 ways" cluster_has_ways "$2"
	survives "$1"
}

digests() {
	local i

	for i in 1 2 3; do
		lab_in "balancer$i" curl -sf http://127.0.0.1:9101/metrics | sed -n 's/^alwayson_backend_table_digest{backend="web"} //p'
	done | sort | uniq -c | wc -l
}

digests_are() {
	[ "$(digests)" = "$1" ]
}

begin --topology ecmp --backends 4 --balancers 3
config
for i in 1 2 3; do
	cluster_agent_start "$i" "$CONFIG"
done
bird_start balancer1 bird/alwayson.conf 1
bird_start balancer2 bird/alwayson.conf 2
frr_start balancer3 3
bird_start router bird/router.conf
for i in 1 2 3; do
	cluster_agent_wait_ready "$i" || give_up start "balancer$i is not ready"
done
check "three balancers are announced" wait_until 15 "three ways" cluster_has_ways 3
check "they agree: one digest" wait_until 5 "one digest" digests_are 1
cluster_ctl 1 server drain web/node1 >/dev/null
check "a drain on one of them: two digests" wait_until 5 "two digests" digests_are 2
cluster_ctl 1 server ready web/node1 >/dev/null
check "they agree again, whatever happened" wait_until 5 "one digest" digests_are 1
load_start 80
more 50

mark
cut_off balancer1 # the machine is dead: nothing answers, nothing is closed
kill -9 "$(bird_pid balancer1)" "$(cluster_agent_pid 1)"
fault "killed" 2
check "killed: away for less than a second" expect "ms" "$(gap_since "$since")" -lt 1000

mark
rejoin balancer1
cluster_agent_start 1 "$CONFIG"
bird_start balancer1 bird/alwayson.conf 1
fault "joined" 3

mark
cluster_ctl 2 withdraw >/dev/null
fault "drained" 2
check "drained: nobody notices" expect "requests that failed at first" "$(failed_since "$since")" -eq 0
cluster_ctl 2 announce >/dev/null
wait_until 10 "three ways" cluster_has_ways 3

mark
cut_off balancer3
mapfile -t frr < <(frr_pids balancer3)
kill -STOP "${frr[@]}" "$(cluster_agent_pid 3)"
fault "frozen" 2
check "frozen: away for less than a second" expect "ms" "$(gap_since "$since")" -lt 1000
rejoin balancer3
kill -CONT "${frr[@]}" "$(cluster_agent_pid 3)"
check "thawed: back" wait_until 15 "three ways" cluster_has_ways 3

mark
cluster_ctl 1 restart >/dev/null
more $ENOUGH
check "restarted: nobody notices" expect "requests that failed at first" "$(failed_since "$since")" -eq 0

mark
cluster_agent_stop 2
fault "stopped" 2
check "stopped: nobody notices" expect "requests that failed at first" "$(failed_since "$since")" -eq 0
load_end
