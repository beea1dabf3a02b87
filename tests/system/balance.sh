#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Who gets how much: weights in round robin, maglev and source hashing, and weights changed while running.
. "$(dirname "$0")/lib.sh"

# share PORT COUNT NAME [curl's options]: answers by NAME out of COUNT requests
share() {
	local port=$1 count=$2 name=$3

	shift 3
	get "http://$VIP4:$port/" "$count" "$@" | count_answers "$name"
}

between() {
	expect "$1" "$2" -ge "$3" && expect "$1" "$2" -le "$4"
}

# All requests of one client address go to one server.
source_sticks() {
	local address names

	for address in 2 3 4 5; do
		names=$(get "http://$VIP4:82/" 30 --interface "192.168.1.$address" | sort -u)
		expect "servers that answer .$address" "$(wc -l <<<"$names")" -eq 1 || return
		[[ $names == node? ]] || { printf 'answer: %s\n' "$names"; return 1; }
	done
}

server_has_connections() {
	[ "$(server_field "$1" connections)" = "$2" ]
}

begin --backends 3
write_config <<CFG
$(quick_defaults)

frontend rr
	bind *:80
	default_backend rr
frontend maglev
	bind *:81
	default_backend maglev
frontend source
	bind *:82
	default_backend source
listen least
	bind *:83
	balance leastconn
$(servers 2)

backend rr
	balance roundrobin
	server node1 192.168.1.100:80 weight 1
	server node2 192.168.1.101:80 weight 2
	server node3 192.168.1.102:80 weight 3
backend maglev
	balance maglev
	server node1 192.168.1.100:80 weight 10
	server node2 192.168.1.101:80 weight 10
	server node3 192.168.1.102:80 weight 20
backend source
	balance source
$(servers 3)
CFG
start

get "http://$VIP4/" 600 >"$LAB_DIR/rr"
check "round robin, weights 1 2 3: node1" between "of 600" "$(count_answers node1 <"$LAB_DIR/rr")" 99 101
check "round robin, weights 1 2 3: node2" between "of 600" "$(count_answers node2 <"$LAB_DIR/rr")" 199 201
check "round robin, weights 1 2 3: node3" between "of 600" "$(count_answers node3 <"$LAB_DIR/rr")" 299 301
# 3 2 3 1 2 3: smooth means that the heaviest, who has half, never has three in a row.
check "round robin is smooth" expect "longest run of node3" \
	"$(awk '{ n = $1 == "node3" ? n + 1 : 0; if (n > m) m = n } END { print m }' "$LAB_DIR/rr")" -le 2

# 2000 random ports: the binomial's standard deviation is 22; five of them.
get "http://$VIP4:81/" 2000 >"$LAB_DIR/maglev"
check "maglev, weights 10 10 20: node3" between "of 2000" "$(count_answers node3 <"$LAB_DIR/maglev")" 890 1110
check "maglev, weights 10 10 20: node1" between "of 2000" "$(count_answers node1 <"$LAB_DIR/maglev")" 400 600
check "maglev: no failure" expect failures "$(count_answers failed <"$LAB_DIR/maglev")" -eq 0

check "source: a client's address sticks to a server" source_sticks

# Three connections that last at node1, none at node2: the next three are node2's.
lab_ctl server drain least/node2 >/dev/null
for _ in 1 2 3; do
	nsenter --net="$(lab_netns_path client)" bash -c 'exec 3<>"/dev/tcp/$1/83"; read -r -t 30 -u 3' idle "$VIP4" &
done
wait_until 5 "three connections" server_has_connections least/node1 3
check "leastconn: a server is back, and has none" lab_ctl server ready least/node2
wait_up least/node2
check "leastconn: it gets the next three" expect "answers by node2 of 3" "$(share 83 3 node2)" -eq 3

check "weight 0 by hand is accepted" lab_ctl server weight rr/node3 0
check "weight 0 takes no new connections" expect "answers by node3" "$(share 80 60 node3)" -eq 0
check "weight by hand is accepted" lab_ctl server weight rr/node3 6
check "weight by hand counts: 6 of 9" between "answers by node3 of 90" "$(share 80 90 node3)" 59 61
check "a weight above 256 is refused" expect "exit code" \
	"$(lab_ctl server weight rr/node3 257 >/dev/null 2>&1; echo $?)" -ne 0
