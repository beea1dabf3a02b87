#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Records of connections travel between two balancers: what a flow table alone knows (round robin, nat) outlives the
# balancer that recorded it. keepalived moves the service addresses and nat's source address.
#
#     client ── router ──┬── balancer1 .11, balancer2 .12        10.99.0.1, 10.99.0.2, fd00:99::1, 192.168.1.50, .60 on one
#                        └── backend1 .100 ... backend3 .102     10.99.0.1, 10.99.0.2, fd00:99::1 on lo, silently
#
#     told   10.99.0.1:80      dsr, round robin, `flows peers`
#     told6  [fd00:99::1]:80   the same
#     alone  10.99.0.2:80      the same without: what becomes of connections otherwise
#     nat    10.99.0.1:82      nat from 192.168.1.50, `flows peers`
#     clear  10.99.0.1:84      servers that see the client's address and answer by way of 192.168.1.60, `flows peers`
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cluster_lib.sh"

readonly ALONE=10.99.0.2 SOURCE=192.168.1.50 GATEWAY=192.168.1.60 LONELY=10.1.1.1 TOLD=(told told6 nat clear)

config() {
	cat >"$LAB_DIR/peers$1.cfg" <<CFG
global
	localpeer lb$1
	hash-secret $LAB_DIR/secret
	metrics 127.0.0.1:9101

peers balancers
	peer lb1 192.168.1.11:10000
	peer lb2 192.168.1.12:10000

$(quick_defaults)
	balance roundrobin
listen told
	bind $CLUSTER_VIP4:80
	forward dsr
	flows peers balancers
$(servers 3)
listen told6
	bind [$CLUSTER_VIP6]:80
	forward dsr
	flows peers balancers
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]:80
listen alone
	bind $ALONE:80
	forward dsr
$(servers 3)
listen nat
	bind $CLUSTER_VIP4:82
	forward nat
	flows peers balancers
	source-pool $SOURCE:20000-29999
$(servers 3)
listen clear
	bind $CLUSTER_VIP4:84
	source 0.0.0.0 usesrc clientip
	flows peers balancers
$(servers 3)
CFG
}

balancer_start() {
	cluster_agent_start "$1" "$LAB_DIR/peers$1.cfg"
}

other() {
	printf '%d' $((3 - $1))
}

# hold NAME ADDRESS:PORT: CONNECTIONS that last, a request each 250 ms.
hold() {
	nsenter --net="$(lab_netns_path client)" "$LAB_BUILD/tests/system/steady_load" 120 "hold:$CONNECTIONS:$2" \
		>"$LAB_DIR/hold.$1" 2>&1 &
	HOLDS+=($!)
}

# How many of service $2's connections balancer $1 knows.
known() {
	cluster_ctl "$1" -j show services | jq --arg n "$2" '[.services[] | select(.backend == $n) | .connections] | add'
}

knows() {
	expect "connections of $2" "$(known "$1" "$2")" -eq "$3"
}

broken() {
	awk '$2 == "hold" { n++ } END { print n + 0 }' "$LAB_DIR/hold.$1"
}

all_broken() {
	(($(broken "$1") >= $2))
}

peer_is() {
	[ "$(cluster_ctl "$1" -j show peers | jq -r '.peers[0] | select(.copied) | .up')" = "$2" ]
}

peer_is_down() {
	[ "$(cluster_ctl "$1" -j show peers | jq -r '.peers[0].up')" = false ]
}

# No datagram of a peer comes through to balancer $1.
deafen() {
	lab_in "balancer$1" nft -f - <<-NFT
		table ip deaf {
			chain in {
				type filter hook input priority 0;
				udp dport 10000 drop
			}
		}
	NFT
}

hear_again() {
	lab_in "balancer$1" nft delete table ip deaf
}

has_told() {
	(($(peer_figure "$1" .sent_records) >= $2))
}

ended_well() {
	[ "$(cat "$LAB_DIR/down.code" 2>/dev/null)" = 0 ] && cmp -s "$LAB_DIR/down" "$LAB_DIR/files/1M"
}

was_told_again() {
	(($(peer_figure "$1" .records.updated) > $2))
}

is_not_believed() {
	(($(peer_figure "$1" .dropped.authentication) > 0))
}

peer_figure() {
	cluster_ctl "$1" -j show peers | jq ".peers[0] | $2"
}

# The share of CONNECTIONS that survived, of service $1, $2 of which had been broken before.
share() {
	printf '%d' $((100 * (CONNECTIONS - ($(broken "$1") - $2)) / CONNECTIONS))
}

# The one that is cut off keeps them, for itself.
has_addresses() {
	[[ $(cluster_holders) = *$1* ]]
}

# Takes the balancer that has the addresses away; what became of the connections. $3, where there is one, is there when a
# download has ended, which must not be before.
dies() {
	local master=$1 when=$2 name alone
	local -A before

	for name in "${TOLD[@]}"; do
		before[$name]=$(broken "$name")
	done
	alone=$(broken alone)
	cut_off "balancer$master" # frozen or dead: it says nothing any more
	[ -z "${3:-}" ] || check "$when: a download is under way" test ! -e "$3"
	kill -STOP "$(cluster_agent_pid "$master")"
	check "$when: the addresses move" wait_until 10 "the other balancer to have them" has_addresses "$(other "$master")"
	check "$when: without peers no connection survives" wait_until 20 "all of them to break" all_broken alone \
		$((alone + CONNECTIONS))
	for name in "${TOLD[@]}"; do
		check "$when: every connection of $name survives" expect "% survived" "$(share "$name" "${before[$name]}")" -eq 100
		printf '# %s: survived: %s %s %%\n' "$when" "$name" "$(share "$name" "${before[$name]}")"
	done
	printf '# %s: survived: without peers %s %%\n' "$when" "$(share alone "$alone")"
}

# Servers answer who comes from elsewhere by way of the balancer, from their own address only: dsr's answers go by themselves.
answer_by_way_of_the_balancer() {
	local ns

	ns=$(lab_netns "backend$1")
	ip -n "$ns" route add 192.168.1.0/24 dev eth0 table 60
	ip -n "$ns" route add default via "$GATEWAY" table 60
	ip -n "$ns" rule add from "192.168.1.$((99 + $1))" table 60
}

begin --topology vrrp --backends 3 --balancers 2
for i in 1 2 3; do
	ip -n "$(lab_netns "backend$i")" address add "$ALONE/32" dev lo
	answer_by_way_of_the_balancer "$i"
done
(umask 077; printf '%s\n' 0123456789abcdef0123456789abcdef >"$LAB_DIR/secret")
HOLDS=()
for i in 1 2; do
	config "$i"
	balancer_start "$i"
done
for i in 1 2; do
	cluster_agent_wait_ready "$i" || give_up start "balancer$i is not ready"
	keepalived_start "$i" "$ALONE/32" "$SOURCE/32" "$GATEWAY/32"
done
wait_until 15 "one balancer to have the service address" cluster_is_held || give_up vrrp "$(cluster_holders)"
for i in 1 2; do
	check "balancer$i hears the other one" wait_until 10 "the peer to be up" peer_is "$i" true
done

# What is told while nothing of it comes through is missed later.
master=$(cluster_holders)
deafen "$(other "$master")"
hold told "$CLUSTER_VIP4:80"
hold told6 "[$CLUSTER_VIP6]:80"
hold alone "$ALONE:80"
hold nat "$CLUSTER_VIP4:82"
hold clear "$CLUSTER_VIP4:84"
wait_until 10 "records to be sent" has_told "$master" "$CONNECTIONS"
hear_again "$(other "$master")"
for name in "${TOLD[@]}" alone; do
	wait_until 15 "all connections of $name" knows "$master" "$name" "$CONNECTIONS" || give_up load "$name"
done
for name in "${TOLD[@]}"; do
	wait_until 10 "them to travel" knows "$(other "$master")" "$name" "$CONNECTIONS" || :
	check "the passive balancer knows the connections of $name" knows "$(other "$master")" "$name" "$CONNECTIONS"
done
check "what is not to travel does not" knows "$(other "$master")" alone 0
check "what was lost on the way was asked for" expect "copies" "$(peer_figure "$(other "$master")" .copies)" -ge 2
check "nothing else was lost" expect "dropped" "$(peer_figure "$(other "$master")" '.dropped | add')" -eq 0
check "nothing was refused" expect "refused" \
	"$(peer_figure "$(other "$master")" '.records | .unknown_service + .unknown_server + .unknown_source')" -eq 0

# In a download the client says nothing while nothing comes: the server's packet is the first on the other balancer. Nobody
# else is of this client's network, and its connection is told of once: the way back is found behind that.
ip -n "$(lab_netns client)" address add "$LONELY/32" dev lo
ip -n "$(lab_netns router)" route add "$LONELY/32" via 10.0.0.2
nsenter --net="$(lab_netns_path client)" bash -c 'curl -sf -m 60 --interface "$3" -o "$1" "$2"; echo $? >"$1.code"' download \
	"$LAB_DIR/down" "http://$CLUSTER_VIP4:82/slow/$(server_file 1M)" "$LONELY" &
wait_until 10 "the download to be told of" knows "$(other "$master")" nat $((CONNECTIONS + 1))
dies "$master" dead "$LAB_DIR/down.code"
check "dead: a download in nat ends as it ought to" wait_until 40 "its end" ended_well
check "a peer that is gone is noticed" wait_until 10 "it to be down" peer_is_down "$(other "$master")"
check "... and logged" wait_until 10 "the log to tell" grep -q 'event=peer_down peer=lb' "$LAB_DIR/balancer$(other "$master")/agent.log"

# It comes back as from a crash, with an empty table and no address: its agent, its program and keepalived are gone.
gone=("$(keepalived_pid "$master")" "$(cat "$LAB_DIR/balancer$master/vrrp.pid")")
kill -9 "${gone[@]}"
for pid in "${gone[@]}"; do
	wait_until 10 "keepalived to be gone" process_is_gone "$pid"
done
for address in "$CLUSTER_VIP4/32" "$ALONE/32" "$SOURCE/32" "$GATEWAY/32" "$CLUSTER_VIP6/128"; do
	ip -n "$(lab_netns "balancer$master")" address del "$address" dev eth0
done
kill -CONT "$(cluster_agent_pid "$master")"
cluster_agent_stop "$master"
rejoin "balancer$master"
balancer_start "$master"
cluster_agent_wait_ready "$master" || give_up back "balancer$master is not ready"
check "back: it is not ready before it knows what its peer knows" expect "its copy" \
	"$(peer_figure "$master" .copied)" = true
for name in "${TOLD[@]}"; do
	wait_until 10 "connections of $name" knows "$master" "$name" "$CONNECTIONS" || :
	check "back: it was told of the connections of $name that were there before it" \
		knows "$master" "$name" "$CONNECTIONS"
done
keepalived_start "$master" "$ALONE/32" "$SOURCE/32" "$GATEWAY/32"
new=$(other "$master")
check "back: the addresses stay where they are" cluster_is_held_by "$new"
wait_until 10 "connections of alone" knows "$new" alone "$CONNECTIONS"
for name in "${TOLD[@]}"; do
	wait_until 10 "all to know $name" knows "$(other "$new")" "$name" "$CONNECTIONS"
done
updated=$(peer_figure "$(other "$new")" .records.updated)
check "connections that go on are told of again" wait_until 25 "a refresh" was_told_again "$(other "$new")" "$updated"
dies "$new" "dead again"
kill "${HOLDS[@]}"

kill -CONT "$(cluster_agent_pid "$new")"
cluster_agent_stop "$new"
rejoin "balancer$new"
printf '%s\n' 00112233445566778899aabbccddeeff >"$LAB_DIR/other"
chmod 600 "$LAB_DIR/other"
sed -i 's|hash-secret .*|hash-secret '"$LAB_DIR/other"'|' "$LAB_DIR/peers$new.cfg"
balancer_start "$new"
check "who has another secret is not believed" wait_until 15 "datagrams to be dropped" is_not_believed "$(other "$new")"
check "... and is down" wait_until 10 "it to be down" peer_is_down "$(other "$new")"
