#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The same over IPv6: `::`, `v4v6`, a literal address; balance, failover, refusal.
. "$(dirname "$0")/lib.sh"

begin
write_config <<CFG
$(quick_defaults)

listen six
	bind :::80
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
listen literal
	bind [$VIP6]:81
	server node1 [fd00:1::100]:80
listen four
	bind *:80
$(servers 2)
CFG
start

check "IPv6, round robin" expect "answers by" "$(answers "http://[$VIP6]/" 20)" = node1,node2
check "IPv6, even shares" expect "answers by node1 of 100" "$(get "http://[$VIP6]/" 100 | count_answers node1)" -eq 50
check "IPv6, a bind of one address" expect "answers by" "$(answers "http://[$VIP6]:81/" 20)" = node1
check "IPv4 beside it" expect "answers by" "$(answers "http://$VIP4/" 20)" = node1,node2
server_stop 1
wait_down six/node1
wait_down literal/node1
check "IPv6, the other server takes over" expect "answers by" "$(answers "http://[$VIP6]/" 20)" = node2
check "IPv6, nobody left: refused at once" refused_at_once "http://[$VIP6]:81/"
