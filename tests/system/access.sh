#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Who may open connections: lists changed by reload and by verbs while connections go on; how many a source may
# open; and a service on all ports of an address. The client has the addresses .2 to .5.
. "$(dirname "$0")/lib.sh"

config() {
	write_config <<CFG
$(quick_defaults)

frontend web
	bind $VIP4:80
	tcp-request connection reject if { src -f $LAB_DIR/deny.lst }
	default_backend web4
frontend web6
	bind [$VIP6]:80
	tcp-request connection reject if { src -f $LAB_DIR/deny.lst }
	default_backend web6
frontend few
	bind $VIP4:81
	tcp-request connection reject if !{ src 192.168.1.3 192.168.1.4 }
	default_backend web4
frontend open
	bind $VIP4:82
	default_backend web4
frontend all
	bind 192.168.1.60:1-65535
	default_backend kept
frontend one
	bind 192.168.1.60:82
	default_backend web4

frontend counted
	bind $VIP4:83
	stick-table type ip size 100k expire 1h store conn_rate(1h)
	tcp-request connection track-sc0 src
	tcp-request connection reject if { sc0_conn_rate gt 10 }
	default_backend web4

backend web6
	server node1 [fd00:1::100]:80
backend web4
	server node1 192.168.1.100:80
backend kept
	server node2 192.168.1.101 port 80
CFG
}

# from ADDRESS PORT [HOST]: what a request from this address gets
from() {
	client curl -s -m 3 --interface "$1" "http://${3:-$VIP4}:$2/" || echo "failed $?"
}

gets() {
	expect "the answer to $1 at port $2" "$(from "$1" "$2" "${4:-$VIP4}")" = "$3"
}

# Refused with a RST: curl's 7.
denied() {
	gets "$1" "$2" "failed 7"
}

not() {
	! "$@"
}

verdict() {
	lab_ctl show verdicts -j | jq --arg v "$1" '[.verdicts[] | select(.verdict == $v or .name == $v)][0].packets'
}

# An agent that answers has not always flipped: a change waits for the grace period of the one before.
soon() {
	wait_until 5 "$*" "$@"
}

begin --backends 2
printf '# nobody yet\n' >"$LAB_DIR/deny.lst"
server_file 20M >/dev/null
config
start

check "an empty list: everybody may" gets 192.168.1.2 80 node1
check "not in the list of those who may" denied 192.168.1.2 81
check "in it" gets 192.168.1.3 81 node1

{
	client curl -sSf -m 30 --limit-rate 5M --interface 192.168.1.2 -o "$LAB_DIR/down" "http://$VIP4/file/20M"
	echo $? >"$LAB_DIR/code"
} &
wait_until 5 "the download to begin" test -s "$LAB_DIR/down"
check "add acl" lab_ctl add acl "$LAB_DIR/deny.lst" 192.168.1.2/32
check "a new connection is refused" soon denied 192.168.1.2 80
check "others are not" gets 192.168.1.3 80 node1
check "a service without the rule is not concerned" gets 192.168.1.2 82 node1
check "the open connection goes on" wait_until 20 "the download's end" test -s "$LAB_DIR/code"
check "to its end" expect "curl's exit code" "$(cat "$LAB_DIR/code")" -eq 0
check "its file is whole" cmp "$LAB_DIR/down" "$FILES/20M"
check "counted" expect "verdict access_denied" "$(verdict access_denied)" -ge 1
check "show acl" expect "the list" "$(lab_ctl show acl "$LAB_DIR/deny.lst")" = 192.168.1.2
check "get acl" expect "the match" "$(lab_ctl get acl '#0' 192.168.1.2 -j | jq -r .match)" = 192.168.1.2
check "del acl of what is not there fails" expect "exit code" "$(exit_code_of lab_ctl del acl '#0' 192.168.1.0/24)" -eq 1
check "a wrong prefix is a usage error" expect "exit code" "$(exit_code_of lab_ctl add acl '#0' 192.168.1.0/33)" -eq 2
check "IPv6: may" expect "the answer" "$(client curl -s -m 3 "http://[$VIP6]/")" = node1
check "IPv6: add acl" lab_ctl add acl "$LAB_DIR/deny.lst" fd00:1::/64
check "IPv6: refused" soon refused_at_once "http://[$VIP6]/"
check "del acl" lab_ctl del acl "$LAB_DIR/deny.lst" 192.168.1.2
check "lets it in again" soon gets 192.168.1.2 80 node1

# 10 000 prefixes by reload, the one that counts among them.
{
	awk 'BEGIN { for (i = 0; i < 10000; i++) printf "10.%d.%d.%d/31\n", i / 16384, i / 64 % 256, i % 64 * 4 }'
	echo 192.168.1.4/31
	awk 'BEGIN { for (i = 0; i < 10000; i++) printf "2001:db8:%x::/48\n", i * 2 }'
} >"$LAB_DIR/deny.lst"
check "reload with 20 001 prefixes" reload
check "the list is that long" expect "prefixes" "$(lab_ctl show acl -j | jq '.acls[0].prefixes')" -eq 20001
check "one of many" soon denied 192.168.1.4 80
check "and its neighbour" denied 192.168.1.5 80
check "not the next" gets 192.168.1.3 80 node1
check "clear acl" lab_ctl clear acl '#0'
check "lets all in" soon gets 192.168.1.4 80 node1
check "a reload reads the file again" reload
check "as it says" soon denied 192.168.1.4 80
echo "no address" >>"$LAB_DIR/deny.lst"
check "a wrong list is refused" expect "exit code" "$(exit_code_of reload)" -eq 3
check "and changes nothing" denied 192.168.1.4 80
sed -i '$d' "$LAB_DIR/deny.lst"


# The agent dies: the lists stay in force, and the next agent takes them over.
kill -9 "$(agent_pid)"
wait_until 5 "the agent's end" not agent_is_running
check "without an agent: as before" denied 192.168.1.4 80
check "without an agent: others" gets 192.168.1.3 80 node1
agent_start "$LAB_DIR/agent.cfg" && agent_wait_ready "$READY_S"
check "with the next agent: as before" denied 192.168.1.4 80
check "with the next agent: changed" lab_ctl del acl '#0' 192.168.1.4/31
check "with the next agent: lets it in" soon gets 192.168.1.4 80 node1

# All ports of an address, which nobody owns: the client is told where it is.
client ip route add 192.168.1.60 via "$VIP4"
check "all ports: any" gets 192.168.1.2 80 node2 192.168.1.60
check "all ports: one that has a bind of its own" gets 192.168.1.2 82 node1 192.168.1.60
check "all ports: the server's port is the packet's" expect "the answer at 81" "$(from 192.168.1.2 81 192.168.1.60)" = "failed 7"

# Ten connections an hour.
check "ten of a source's connections are let in" expect "answers" "$(
	for ((i = 0; i < 15; i++)); do from 192.168.1.2 83; done | count_answers node1)" -eq 10
check "the next one is refused" denied 192.168.1.2 83
check "another source's are not" gets 192.168.1.3 83 node1
check "show table: who and how many" expect "the source" "$(lab_ctl show table -j |
	jq -r '.sources[0] | "\(.source) \(.rejected) \(.conn_rate > 10)"')" = "192.168.1.2 true true"
check "a reload forgets nothing" reload
check "still refused" soon denied 192.168.1.2 83
