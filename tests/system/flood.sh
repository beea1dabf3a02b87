#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# SYN floods, by a sender of live frames (tests/bench/flood) at the balancer's port of the switch, with real clients
# beside it. A clean consistent-hash service remembers nothing of them; with the reference configuration established
# connections go on, and the share of new ones that succeed is printed. What the balancer sends on of the flood ends at
# the switch. Counts and memory are asserted, never a time. LONG=1: ten times as much.
. "$(dirname "$0")/lib.sh"

PACKETS=400000
[ -z "${LONG:-}" ] || PACKETS=10000000

# flood ADDRESS PACKETS: SYN packets, each of another flow as far as there are 2^20 of them; the result is in
# $LAB_DIR/flood.
flood() {
	nsenter --net="$(lab_netns_path switch)" "$LAB_BUILD/tests/bench/flood" --nic balancer --to "$balancer_mac" \
		--destination "$1:80" --count "$2" >"$LAB_DIR/flood" 2>"$LAB_DIR/flood.err" ||
		{ cat "$LAB_DIR/flood.err"; return 1; }
}

flooded() { jq -r ".$1" "$LAB_DIR/flood"; }

verdict() { lab_ctl -j show verdicts | jq ".verdicts[] | select(.name == \"$1\") | .packets"; }

# Packets that were dropped for any reason.
dropped() { lab_ctl -j show verdicts | jq '[.verdicts[] | select(.action == "drop") | .packets] | add'; }

flows_used() { lab_ctl -j status | jq .flows.used; }

agent_memory_kb() { sed -n 's/^VmRSS:\t *\([0-9]*\) kB/\1/p' "/proc/$(agent_pid)/status"; }

# Requests over one connection, 100 in a second, until the job is ended; a line each: CURL'S-CODE NEW-CONNECTIONS.
keep_asking() {
	: >"$2"
	nsenter --net="$(lab_netns_path client)" stdbuf -oL curl -s -m 300 --rate 50/s -o /dev/null \
		-w '%{exitcode} %{num_connects}\n' "$1?[1-100000]" >"$2" 2>/dev/null 9>&- &
	ASKING_PID=$!
	wait_until 5 "answers over one connection" stream_has "$2" 5
}

# All of them were answered, over the connection that was there at the beginning.
all_over_one_connection() {
	expect "requests that failed" "$(awk '$1 != 0' "$1" | wc -l)" -eq 0 &&
		expect "connections opened" "$(awk '{ n += $2 } END { print n + 0 }' "$1")" -eq 1
}

stop_asking() {
	kill "$ASKING_PID" 2>/dev/null
	wait "$ASKING_PID" 2>/dev/null
}

half_open_is_reached() { (($(verdict half_open_limit) > refused)); }

memory_is_unchanged() { expect "kB of the agent after the flood" "$(agent_memory_kb)" -le $(($1 + 1024)); }

# --- a clean slot remembers nothing

begin --dsr
balancer_mac=$(lab_in balancer ip -j link show dev eth0 | jq -r '.[0].address')
DSR4=$(lab_state dsr4)
{
	quick_defaults
	cat <<CFG
	forward dsr
	balance maglev
listen web
	bind $DSR4:80
CFG
	servers 2 check
} | write_config
start
wait_up web/node1
wait_up web/node2
keep_asking "http://$DSR4/" "$LAB_DIR/kept"
stream "$LAB_DIR/new" 50 100000 "http://$DSR4/"
wait_until 5 "answers to new connections" stream_has "$LAB_DIR/new" 5
used=$(flows_used) memory=$(agent_memory_kb) steered=$(verdict dsr) dropped=$(dropped)
check "dsr: the flood is sent" flood "$DSR4" "$PACKETS"
stream_wait_more "$LAB_DIR/new" 5 5 || not_ok "dsr: clients go on" "no more answers to new connections"
stop_asking
stream_end
printf 'dsr: %s of %s SYN came out again, %s M/s\n' "$(flooded came_back)" "$(flooded sent)" \
	"$(jq '.came_back_per_s / 10000 | round / 100' "$LAB_DIR/flood")"
# A veth's queue overflows when its reader is not let run: what was lost there never came to the balancer.
check "dsr: it is a flood" expect "SYN steered" $(($(verdict dsr) - steered)) -ge $((PACKETS / 2))
check "dsr: every SYN that comes is steered" expect "packets steered" $(($(verdict dsr) - steered)) -ge "$(flooded came_back)"
check "dsr: none of them is dropped" expect "packets dropped" $(($(dropped) - dropped)) -eq 0
check "dsr: nothing is remembered" expect "entries of the flow table" "$(flows_used)" -eq "$used"
check "dsr: the agent's memory stays" memory_is_unchanged "$memory"
check "dsr: the connection that was there goes on" all_over_one_connection "$LAB_DIR/kept"
check "dsr: every new connection is answered" expect "requests that failed" "$(grep -c failed "$LAB_DIR/new")" -eq 0
agent_stop

# --- the reference configuration: nat, in turn

cp "$REFERENCE" "$CONFIG"
start
wait_up nodes/node1
wait_up nodes/node2
keep_asking "http://$VIP4/" "$LAB_DIR/kept"
memory=$(agent_memory_kb) refused=$(verdict half_open_limit)
flood "$VIP4" 1000000000 &
flood_pid=$!
wait_until 10 "the flood to be refused" half_open_is_reached || not_ok "nat: the flood is refused" "it is not"
# The flood goes on all the while: who comes now, of all services, is one among millions.
get "http://$VIP4/" 40 -Z --parallel-immediate --parallel-max 40 >"$LAB_DIR/new"
lines=$(wc -l <"$LAB_DIR/kept")
wait_until 10 "answers over the kept connection" stream_has "$LAB_DIR/kept" $((lines + 5)) ||
	not_ok "nat: the kept connection goes on" "no more answers"
used=$(flows_used) # while it lasts
pkill -P "$flood_pid" 2>/dev/null
wait "$flood_pid" 2>/dev/null
stop_asking
printf 'nat: of %d new connections during the flood %d were answered; %s SYN were refused (half_open_limit), %s M/s were sent\n' \
	"$(wc -l <"$LAB_DIR/new")" "$(grep -c node "$LAB_DIR/new")" $(($(verdict half_open_limit) - refused)) \
	"$(jq '.sent_per_s / 10000 | round / 100' "$LAB_DIR/flood")"
check "nat: the connection that was there goes on" all_over_one_connection "$LAB_DIR/kept"
# Half of the 22 528 own ports towards each of two servers may be half-open; two entries each, and what real clients have.
check "nat: the flood has half of the own ports at most" expect "half-open entries" "$used" -le $((2 * 22528 + 1000))
check "nat: what is more is refused" expect "SYN refused" $(($(verdict half_open_limit) - refused)) -ge $((PACKETS / 2))
check "nat: the agent's memory stays" memory_is_unchanged "$memory"
