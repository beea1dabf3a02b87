#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Checks of every kind against real servers: https with its certificates, a script of steps, udp, DNS, agents; what they
# find is seen in `show servers`, and clients notice. Node 1 has all services, node 2 lacks some.
. "$(dirname "$0")/lib.sh"

# A certificate for the name $2 in file $1.pem (with its key), issued by itself.
certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$2" \
		-addext "subjectAltName=DNS:$2" -keyout "$1.key" -out "$1.crt" 2>/dev/null || return 1
	cat "$1.crt" "$1.key" >"$1.pem"
}

# An https server in backend$1 on port 443 with the certificate $2; $3: further lines of its server block.
https_server() {
	local dir=$LAB_DIR/https$1

	mkdir -p "$dir"
	cat >"$dir/nginx.conf" <<CONF
user root; worker_processes 1; pid $dir/nginx.pid; error_log $dir/error.log warn;
events {}
http {
	access_log off;
	client_body_temp_path $dir/b; proxy_temp_path $dir/p;
	fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
	server {
		listen 443 ssl; ssl_certificate $2; ssl_certificate_key $2; ${3:-}
		location / { return 200 "node$1\n"; }
	}
}
CONF
	lab_in "backend$1" nginx -c "$dir/nginx.conf" -e "$dir/error.log"
}

# An agent in backend$1 on port 8000 that says what $LAB_DIR/agent$1 holds.
agent_server() {
	printf '%s\n' "$2" >"$LAB_DIR/agent$1"
	nsenter --net="$(lab_netns_path "backend$1")" socat TCP-LISTEN:8000,fork,reuseaddr \
		SYSTEM:"cat $LAB_DIR/agent$1" >/dev/null 2>&1 &
	wait_until 5 "the agent of backend$1" tcp_is_bound "$1" 8000
}

tcp_is_bound() {
	lab_in "backend$1" ss -Hltn "sport = :$2" | grep -q .
}

agent_says() {
	printf '%s\n' "$2" >"$LAB_DIR/agent$1.new"
	mv "$LAB_DIR/agent$1.new" "$LAB_DIR/agent$1"
}

field_is() {
	[ "$(server_field "$1" "$2")" = "$3" ]
}

wait_field() {
	wait_until 10 "$2 of $1 to be $3" field_is "$@"
}

# A share of slots, as a whole number of percent.
slots_percent() {
	lab_ctl -j show servers "$1" | jq '.servers[0].slots_share * 100 | round'
}

slots_are() {
	[ "$(slots_percent "$1")" -eq "$2" ]
}

begin --backends 2
certificate "$LAB_DIR/good" good.example || give_up certificates "openssl makes none"
certificate "$LAB_DIR/other" other.example || give_up certificates "openssl makes none"
https_server 1 "$LAB_DIR/good.pem" "ssl_verify_client on; ssl_client_certificate $LAB_DIR/other.crt;"
https_server 2 "$LAB_DIR/other.pem"
udp_server 1 5000
nsenter --net="$(lab_netns_path backend1)" dnsmasq --keep-in-foreground --no-resolv --no-hosts --bind-interfaces \
	--pid-file= --user=root --address=/www.example/192.0.2.7 >/dev/null 2>&1 &
wait_until 5 "the DNS server" udp_is_bound 1 53 4
agent_server 1 "up ready 100%"
# What a command gets is what HAProxy gives it; node 2 is none of its.
cat >"$LAB_DIR/command" <<'SH'
#!/bin/sh
who=$(id -u alwayson 2>/dev/null || id -u nobody)
[ "$HAPROXY_SERVER_NAME $1 $3 $4 $(id -u)" = "node1 0.0.0.0 192.168.1.100 80 $who" ] || exit 3
SH
chmod 755 "$LAB_DIR" "$LAB_DIR/command"
# Ports of backend1 that let in one of the balancer's addresses alone.
ip -n "$(lab_netns balancer)" address add 192.168.1.9/24 dev eth0
lab_in backend1 nft -f - <<'NFT'
table ip pool { chain in { type filter hook input priority 0; tcp dport { 8086, 8087 } ip saddr != 192.168.1.9 reject with tcp reset; }; }
NFT
printf 'SSH-2.0-it\r\n' >"$LAB_DIR/banner"
for port in 8086 8087; do
	nsenter --net="$(lab_netns_path backend1)" socat TCP-LISTEN:$port,fork,reuseaddr \
		SYSTEM:"cat $LAB_DIR/banner" >/dev/null 2>&1 &
	wait_until 5 "port $port" tcp_is_bound 1 $port
done
write_config <<CFG
global
	external-check
$(quick_defaults)

listen web
	bind *:80
	option httpchk GET /
	default-server port 443 check-ssl ca-file $LAB_DIR/good.crt check-sni good.example
	server node1 192.168.1.100:80 crt $LAB_DIR/other.pem
	server node2 192.168.1.101:80
listen nocert
	bind *:81
	server node1 192.168.1.100:80 port 443 check-ssl verify none
listen script
	bind *:82
	option tcp-check
	tcp-check send "GET / HTTP/1.0\r\n\r\n"
	tcp-check expect rstring '^HTTP/1\.[01] 200'
	tcp-check expect string node1 comment "is it the first?"
$(servers 2)
listen udp
	bind udp@*:5000
	option udp-check send hello expect string "node1 hello"
	server node1 192.168.1.100:5000
	server node2 192.168.1.101:5000
listen dns
	bind udp@*:53
	option dns-check name www.example
	server node1 192.168.1.100:53
listen nodns
	bind udp@*:54
	option dns-check name nobody.invalid
	server node1 192.168.1.100:53
listen orders
	bind *:83
	default-server agent-port 8000 agent-inter 200ms
	server node1 192.168.1.100:80 agent-check
	server node2 192.168.1.101:80
listen command
	bind *:85
	option external-check
	timeout check 2s
	external-check command $LAB_DIR/command
	external-check path /usr/bin:/bin
$(servers 2)
listen pool
	bind *:86
	source-pool 192.168.1.9
	server node1 192.168.1.100:8086
listen poolssh
	bind *:87
	source-pool 192.168.1.9
	option plugin-check ssh
	server node1 192.168.1.100:8087
listen nopool
	bind *:88
	server node1 192.168.1.100:8086
listen strangers
	bind *:89
	source-pool 192.168.1.8
	server node1 192.168.1.101:80
listen follower
	bind *:84
	default-server no-check
	server node1 192.168.1.100:80 track orders/node1
CFG
start

check "https: SNI, authority and client certificate agree: up" wait_up web/node1
check "https: what it found is shown" expect "last result" "$(server_field web/node1 last_result)" = "L7OK/200"
check "https: a foreign certificate is down" expect "last result" "$(server_field web/node2 last_result)" = \
	"L6RSP: certificate: self-signed certificate"
check "https: a client goes to the good one alone" expect "answers by" "$(answers "http://$VIP4/" 10)" = node1
check "https: without the client certificate the handshake alone is good" expect "last result" \
	"$(server_field nocert/node1 last_result)" = L6OK
check "tcp-check: the right answer is up" expect "last result" "$(server_field script/node1 last_result)" = L7OK
check "tcp-check: another one is down" wait_down script/node2
check "tcp-check: a client goes to the good one alone" expect "answers by" "$(answers "http://$VIP4:82/" 10)" = node1
check "udp-check: an answer is up" expect "last result" "$(server_field udp/node1 last_result)" = L7OK
check "udp-check: a closed port is down" expect "last result" "$(server_field udp/node2 last_result)" = \
	"L4CON: Connection refused"
check "udp-check: datagrams reach the good one" expect "answers" \
	"$(udp_ask "$VIP4" 5000 3 | cut -d' ' -f1 | sort -u | paste -sd,)" = node1
check "dns-check: a record is up" expect "last result" "$(server_field dns/node1 last_result)" = L7OK
check "dns-check: no such name is down" expect "state" "$(server_field nodns/node1 state)" = DOWN

check "external-check: exit code 0 is up" expect "last result" "$(server_field command/node1 last_result)" = PROCOK
check "external-check: another is down" expect "last result" "$(server_field command/node2 last_result)" = \
	"PROCERR: exit code 3"
check "external-check: a client goes to the good one alone" expect "answers by" \
	"$(answers "http://$VIP4:85/" 10)" = node1

check "source-pool: the check comes from it" expect "last result" "$(server_field pool/node1 last_result)" = L4OK
check "source-pool: a plugin's does too" expect "last result" "$(server_field poolssh/node1 last_result)" = "L7OK: SSH-2.0-it"
check "source-pool: without it the server lets no check in" expect "last result" \
	"$(server_field nopool/node1 last_result)" = "L4CON: Connection refused"
check "source-pool: an address that is nobody's is no obstacle" expect "last result" \
	"$(server_field strangers/node1 last_result)" = L4OK

check "agent: both answer while it says up" expect "answers by" "$(answers "http://$VIP4:83/" 20)" = node1,node2
agent_says 1 "up 25%"
check "agent: a percentage is taken" wait_field orders/node1 share_percent 25
check "agent: it has a share of the slots" wait_until 5 "its share" slots_are orders/node1 20
agent_says 1 "drain"
check "agent: drain is taken" wait_field orders/node1 admin drain
check "agent: the client goes elsewhere" expect "answers by" "$(answers "http://$VIP4:83/" 10)" = node2
check "track: who follows it drains too" expect "admin state" "$(server_field follower/node1 admin)" = drain
check "track: and refuses" refused_at_once "http://$VIP4:84/"
agent_says 1 "ready down#disk full"
check "agent: down is taken" wait_field orders/node1 up false
check "agent: its reason is shown" expect "what it said" \
	"$(lab_ctl -j show servers orders/node1 | jq -r '.servers[0].agent.last_result')" = "L7OK: down #disk full"
check "agent: its reason is remembered" expect "reason" \
	"$(lab_ctl -j show servers orders/node1 | jq -r '.servers[0].history[0].reason')" = \
	"agent: down ready #disk full"
check "agent: people are told as well" expect "lines" \
	"$(lab_ctl show servers orders/node1 | grep -c 'disk full')" -ge 2
agent_says 1 "up 100%"
check "agent: up is taken" wait_field orders/node1 up true
check "agent: both answer again" expect "answers by" "$(answers "http://$VIP4:83/" 20)" = node1,node2
check "track: and its follower answers" expect "answers by" "$(answers "http://$VIP4:84/" 3)" = node1

sed -i "s,ca-file $LAB_DIR/good.crt,ca-file $LAB_DIR/gone.crt," "$CONFIG"
check "reload: a file that is gone is refused" expect "exit code" "$(exit_code_of reload)" -eq 3
check "reload: it is named" grep -q "gone.crt': No such file" "$LAB_DIR/out"
check "reload: nothing has changed" expect "answers by" "$(answers "http://$VIP4/" 5)" = node1
check "reload: -c refuses it too" expect "exit code" "$(exit_code_of "$LAB_BUILD/alwaysond" -c -f "$CONFIG")" -eq 1
sed -i "s,ca-file $LAB_DIR/gone.crt,ca-file $LAB_DIR/other.crt," "$CONFIG"
check "reload: another authority is taken" reload
check "reload: by it the first server is down" wait_down web/node1
