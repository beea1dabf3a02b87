#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Connections that the balancer ends: both ends learn it at once, also one that waits and sends nothing. A server whose
# processes are frozen says nothing either; its kernel still has the connection.
. "$(dirname "$0")/lib.sh"

# A download at 256 KiB/s in the background: $1 file, $2 URL. curl's exit code is written to $1.code when it has ended.
slow_download() {
	nsenter --net="$(lab_netns_path client)" bash -c \
		'curl -sf -m 60 -o "$1" "$2"; echo $? >"$1.code.new"; mv "$1.code.new" "$1.code"' slow "$1" "$2" &
}

# A client that connects, sends nothing and waits: $1 holds the shell's words about the reset when it has come.
idle_client() {
	nsenter --net="$(lab_netns_path client)" bash -c \
		'exec 3<>"/dev/tcp/$2/8080"; read -r -t 50 -u 3 line 2>"$1.error"; mv "$1.error" "$1"' idle "$1" "$VIP4" &
}

was_reset() {
	grep -q 'reset by peer' "$1"
}

freeze() {
	local pid

	pid=$(cat "$LAB_DIR/backend$1/nginx.pid")
	kill -STOP "$pid" $(pgrep -P "$pid")
}

thaw() {
	local pid

	pid=$(cat "$LAB_DIR/backend$1/nginx.pid")
	kill -CONT "$pid" $(pgrep -P "$pid")
}

# Backend $1's kernel has $3 established connections with $2 (an address) at an own port; checks have others.
has_connections() {
	[ "$(lab_in "backend$1" ss -Hatn state established "sport = :80 and dst $2 and dport < :32768" | wc -l)" = "$3" ]
}

has_counted() {
	[ "$(lab_ctl -j status | jq .flows.reset)" = "$1" ]
}

curl_ended_with() {
	[ "$(cat "$1.code" 2>/dev/null)" = "$2" ]
}

has_begun() {
	test -s "$1"
}

# Frozen, and found out: the clients, which wait in read(), are reset (curl's 56) before anything thaws.
reset_when_down() {
	local file=$LAB_DIR/$1 url=$2

	slow_download "$file" "$url/slow/8M"
	wait_until 5 "the download to begin" has_begun "$file" || return
	freeze 1
	wait_down "$1/node1" || return
	wait_until 3 "curl to end by a reset" curl_ended_with "$file" 56
}

begin --topology one-armed --dsr
DSR4=$(lab_state dsr4)
server_file 8M >/dev/null
write_config <<CFG
$(quick_defaults)
	option httpchk GET /status/200

listen stays
	bind *:8081
	server node1 192.168.1.100:80
listen idle
	timeout client 4s
	timeout server 4s
	bind *:8080
	server node1 192.168.1.101:80

$(quick_defaults)
	option httpchk GET /status/200
	default-server on-marked-down shutdown-sessions

listen web
	bind *:80
	server node1 192.168.1.100:80
listen web6
	bind :::80
	server node1 [fd00:1::100]:80
listen direct
	forward dsr
	bind $DSR4:80
	server node1 192.168.1.100:80
CFG
start
idle_client "$LAB_DIR/idle"

slow_download "$LAB_DIR/stays" "http://$VIP4:8081/slow/8M"
wait_until 5 "the download to begin" has_begun "$LAB_DIR/stays"
check "nat: a client that waits on a frozen server is reset" reset_when_down web "http://$VIP4"
check "nat: so is the server's end, frozen as it is" wait_until 3 "only the one that stays" has_connections 1 192.168.1.10 1
check "without shutdown-sessions it stays" test ! -e "$LAB_DIR/stays.code"
thaw 1
wait_up web/node1
wait_up web6/node1
check "nat, IPv6: the same" reset_when_down web6 "http://[$VIP6]"
thaw 1
wait_up direct/node1
check "dsr: the client is reset" reset_when_down direct "http://$DSR4"
thaw 1
check "a nat connection that was silent for too long: its client is reset" wait_until 30 "the reset" was_reset "$LAB_DIR/idle"
check "... and its server's end" wait_until 3 "no connection" has_connections 2 192.168.1.10 0
check "all four are counted" wait_until 3 "four resets" has_counted 4
