#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `source 0.0.0.0 usesrc clientip`: the servers see the client's address, and their default route is the balancer.
. "$(dirname "$0")/lib.sh"

# What nginx says the client's address is, asked from one of the client's addresses: seen FROM URL
seen() {
	client curl -sf -m 5 --interface "$1" "$2/address"
}

# A download at 256 KiB/s in the background: $1 file, $2 URL. curl's exit code is written to $1.code when it has ended.
slow_download() {
	nsenter --net="$(lab_netns_path client)" bash -c \
		'curl -sf -m 60 -o "$1" "$2"; echo $? >"$1.code.new"; mv "$1.code.new" "$1.code"' slow "$1" "$2" &
	wait_until 5 "the download to begin" test -s "$1"
}

curl_ended_with() {
	[ "$(cat "$1.code" 2>/dev/null)" = "$2" ]
}

# A client that connects, sends nothing and waits: $1 holds the shell's words about the reset when it has come.
idle_client() {
	nsenter --net="$(lab_netns_path client)" bash -c \
		'exec 3<>"/dev/tcp/$2/8080"; read -r -t 50 -u 3 line 2>"$1.error"; mv "$1.error" "$1"' idle "$1" "$VIP4" &
}

was_reset() {
	grep -q 'reset by peer' "$1"
}

nginx_signal() {
	local pid

	pid=$(cat "$LAB_DIR/backend$2/nginx.pid")
	kill "-$1" "$pid" $(pgrep -P "$pid")
}

# Backend $1's kernel has $2 established connections of the client's.
has_connections() {
	[ "$(lab_in "backend$1" ss -Hatn state established "sport = :80 and ( dst 10.0.0.0/24 or dst [fd00:2::/64] )" | wc -l)" = "$2" ]
}

connection() {
	lab_ctl -j show flows | jq -r "$1" | sort -u
}

# How often the whole flow table has been looked through.
passes() {
	lab_in balancer curl -sf -m 5 http://127.0.0.1:9599/metrics | awk '$1 == "alwayson_sweep_passes_total" { print $2 }'
}

passes_reached() {
	(($(passes) >= $1))
}

# With $1 as the web backend's servers.
config() {
	cat <<CFG
global
	metrics 127.0.0.1:9599
$(quick_defaults)
	source 0.0.0.0 usesrc clientip
	option httpchk GET /status/200
	default-server on-marked-down shutdown-sessions

listen web
	bind $VIP4:80
$1
listen web6
	balance maglev
	bind [$VIP6]:80
	server node1 [fd00:1::100]:80
listen idle
	timeout client 4s
	timeout server 4s
	bind $VIP4:8080
	server node3 192.168.1.102:80

$(quick_defaults)
listen echo
	source 0.0.0.0 usesrc clientip
	bind udp@$VIP4:9000
	server node1 192.168.1.100:9001 no-check
CFG
}

begin --topology two-nics --backends 3
for i in 1 2 3; do
	ip -n "$(lab_netns "backend$i")" route add default via 192.168.1.10
	ip -n "$(lab_netns "backend$i")" -6 route add default via fd00:1::10
done
ip -n "$(lab_netns client)" route add 192.168.1.0/24 via 10.0.0.10
lab_in balancer sysctl -q -w net.ipv4.ip_forward=1
server_file 8M >/dev/null
server_file 1536k >/dev/null
config "$(servers 2)" | write_config
udp_server 1 9001
start

check "nginx sees the client's address" expect "address" "$(seen 10.0.0.3 "http://$VIP4")" = 10.0.0.3
check "... whichever it is" expect "address" "$(seen 10.0.0.5 "http://$VIP4")" = 10.0.0.5
check "IPv6, by a consistent hash: the same" expect "address" "$(seen fd00:2::3 "http://[$VIP6]")" = fd00:2::3
check "both servers have their turn" expect "answers by" "$(answers "http://$VIP4/" 20)" = node1,node2
check "UDP, and another port than the client's" expect "answer" "$(udp_ask "$VIP4" 9000 1)" = "node1 hello 0"
check "a server's own address, by the balancer as a router, is as it was" expect "address" \
	"$(client curl -sf -m 5 http://192.168.1.100/address)" = 10.0.0.2
check "a download is right" client curl -sf -m 20 -o "$LAB_DIR/whole" "http://$VIP4/file/8M"
check "... to the last byte" cmp "$LAB_DIR/whole" "$FILES/8M"
check "its way of forwarding is named" expect "forward" \
	"$(lab_ctl -j show config | jq -r '[.backends[] | .forward] | unique | join(",")')" = transparent

idle_client "$LAB_DIR/idle"
lab_ctl server maint web/node2 >/dev/null
slow_download "$LAB_DIR/drained" "http://$VIP4/slow/1536k"
check "show flows: the server's address, no own one" expect "connection" \
	"$(connection '.flows[] | select(.server == "web/node1" and .state == "established") | "\(.server_address) \(.own)"')" = "192.168.1.100:80 null"
lab_ctl server ready web/node2 >/dev/null
wait_up web/node2
lab_ctl server drain web/node1 >/dev/null
check "drained: new connections go elsewhere" expect "answers by" "$(answers "http://$VIP4/" 10)" = node2
check "... and the one it has goes on" lab_ctl wait drained web/node1 --timeout 15s
check "... to its end" wait_until 2 "curl" curl_ended_with "$LAB_DIR/drained" 0
lab_ctl server ready web/node1 >/dev/null
wait_up web/node1

lab_ctl server drain web/node1 >/dev/null
slow_download "$LAB_DIR/removed" "http://$VIP4/slow/1536k"
lab_ctl server ready web/node1 >/dev/null
wait_up web/node1
config "$(servers 1)" | write_config
check "a reload takes node2 away" reload
check "another program takes over" lab_ctl restart
check "the connection to node2 goes on" wait_until 15 "curl" curl_ended_with "$LAB_DIR/removed" 0
check "... and was right" cmp "$LAB_DIR/removed" "$FILES/1536k"
check "new ones go to node1" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1

slow_download "$LAB_DIR/reset" "http://$VIP4/slow/8M"
slow_download "$LAB_DIR/reset6" "http://[$VIP6]/slow/8M"
nginx_signal STOP 1
wait_down web/node1
check "shutdown-sessions: a client that waits on a frozen server is reset" wait_until 3 "curl" curl_ended_with "$LAB_DIR/reset" 56
check "... IPv6 as well" wait_until 3 "curl" curl_ended_with "$LAB_DIR/reset6" 56
check "... so is the server's end, frozen as it is" wait_until 3 "no connection" has_connections 1 0
nginx_signal CONT 1
wait_up web/node1
check "it serves again" expect "address" "$(seen 10.0.0.4 "http://$VIP4")" = 10.0.0.4

# Nothing but the program can tell the server's end here: the balancer is no router for what it does not know.
lab_in balancer sysctl -q -w net.ipv4.ip_forward=0
slow_download "$LAB_DIR/late" "http://$VIP4/slow/8M"
nginx_signal STOP 1
ip -n "$(lab_netns backend1)" route add blackhole 10.0.0.0/24
wait_down web/node1
check "shutdown-sessions, and nothing comes from the server: the client is reset" wait_until 3 "curl" curl_ended_with "$LAB_DIR/late" 56
looked=$(passes)
wait_until 10 "the table to be looked through twice" passes_reached $((looked + 2))
check "... the server's end knows nothing of it" has_connections 1 1
ip -n "$(lab_netns backend1)" route del blackhole 10.0.0.0/24
nginx_signal CONT 1
check "... and is reset as soon as it is heard of again" wait_until 5 "no connection" has_connections 1 0
lab_in balancer sysctl -q -w net.ipv4.ip_forward=1
wait_up web/node1
check "silent for too long: the client is reset" wait_until 30 "the reset" was_reset "$LAB_DIR/idle"
check "... and the server's end" wait_until 3 "no connection" has_connections 3 0
