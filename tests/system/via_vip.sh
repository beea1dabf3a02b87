#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `check via vip`: a server that clients' packets can't reach is seen as down, though a check of its own address passes:
# one that has lost the service's address, one that does not unwrap. And up again once it is mended.
#
#     client 10.0.0.2 ── router .1 ──┬── balancer .10, service addresses .50 .51 (its own, or nobody's here)
#                                    └── servers .100, .101: the addresses on lo; decap on eth0 for ipip
. "$(dirname "$0")/lib.sh"
. "$ROOT/tools/lab.d/topology.sh"
. "$ROOT/tools/lab.d/mysql.sh"

decap() {
	local backend=$1

	shift
	lab_in "backend$backend" "$LAB_BUILD/alwayson" decap "$@"
}

decap_on() {
	decap "$1" load eth0 --from 192.168.1.10 --from fd00:1::10 --from 198.18.0.0/24 >/dev/null
}

decap_off() {
	decap "$1" unload eth0 >/dev/null 2>&1
}

# config FORWARD: the backends with the checks on trial, and one of the same servers with plain ones.
config() {
	write_config <<CFG
global
	metrics 127.0.0.1:9100
$(quick_defaults)
	forward $1

frontend web
	bind $DSR4:80
	default_backend via
frontend web6
	bind [$DSR6]:80
	default_backend via6
frontend plain
	bind $DSR4:81
	default_backend plain

backend via
	option httpchk GET /
	default-server check via vip
	server node1 192.168.1.100:80
	server node2 192.168.1.101:80
backend via6
	default-server check via vip
	server node1 [fd00:1::100]:80
	server node2 [fd00:1::101]
frontend database
	bind $DSR4:3306
	default_backend database

backend database
	option mysql-check user check password-file $(mysql_password_file) role primary
	default-server check via vip
	server node1 192.168.1.100

backend plain
	default-server check
	server node1 192.168.1.100 port 80
	server node2 192.168.1.101 port 80
CFG
}

# The other servers' checks have all passed since.
stays_up() {
	local name

	for name in "$@"; do
		expect "$name" "$(server_field "$name" state)" = UP || return
	done
}

last_result() {
	server_field "$1" last_result
}

checks_of() {
	server_field "$1" checks
}

# One more check of each has ended.
checked_again() {
	local name before

	for name in "$@"; do
		before=$(checks_of "$name")
		wait_until 5 "another check of $name" checks_beyond "$name" "$before" || return
	done
}

checks_beyond() {
	[ "$(checks_of "$1")" -gt "$2" ]
}

goes_down_alone() {
	wait_down via/node1 || return
	expect "the result" "$(last_result via/node1)" = L4TOUT || return
	checked_again plain/node1 via/node2 || return
	stays_up plain/node1 plain/node2 via/node2
}

comes_back() {
	wait_up via/node1 && stays_up via/node2 plain/node1
}

address_gone() {
	ip -n "$(lab_netns backend1)" address del "$DSR4/32" dev lo
}

address_back() {
	ip -n "$(lab_netns backend1)" address add "$DSR4/32" dev lo
}

address6_gone() {
	ip -n "$(lab_netns backend1)" address del "$DSR6/128" dev lo
}

address6_back() {
	ip -n "$(lab_netns backend1)" address add "$DSR6/128" dev lo nodad
}

# A server with two NICs and routes by policy: what it sends by itself leaves by eth0, by the source's rule for its own
# address, by a mark for the service's, which packets that come in do not have. Strict rp_filter drops those then, loose
# does not.
second_nic() {
	lab_in backend1 bash -e <<SETUP
ip link add rp0 type veth peer name rp1
ip link set rp0 up
ip link set rp1 up
ip route add 192.168.1.0/24 dev eth0 table 77
ip rule add from 192.168.1.100 lookup 77
ip rule add fwmark 77 lookup 77
nft add table ip back
nft add chain ip back out "{ type route hook output priority -150; }"
nft add rule ip back out ip saddr $DSR4 meta mark set 77
ip route add 192.168.1.10/32 dev rp0
SETUP
}

# rp_filter 1 (strict) or 2 (loose)
rp_filter() {
	lab_in backend1 sysctl -qw net.ipv4.conf.all.rp_filter=0 "net.ipv4.conf.eth0.rp_filter=$1"
}

one_nic_again() {
	lab_in backend1 bash -e <<SETUP
sysctl -qw net.ipv4.conf.eth0.rp_filter=0
ip link del rp0
ip rule del fwmark 77
ip rule del from 192.168.1.100
nft delete table ip back
SETUP
}

rp_filter_is_seen() {
	second_nic && rp_filter 2 && checked_again via/node1 plain/node1 && stays_up via/node1 plain/node1 || return
	rp_filter 1 && goes_down_alone || return
	rp_filter 2 && comes_back && one_nic_again
}

# The plugin's socket is made by the agent: what libmariadb says over it goes the way of clients, too.
database_is_checked() {
	wait_up database/node1 && result_is database/node1 'L7OK: primary' &&
		expect "where it goes" "$(server_field database/node1 check_via)" = "$DSR4:3306" || return
	address_gone
	wait_down database/node1 && result_is database/node1 L4 || return
	expect "its own address answers" "$(lab_in balancer timeout 5 mariadb --no-defaults -h 192.168.1.100 -u check \
		-pcheck-password --skip-column-names -e 'SELECT 1')" -eq 1 || return
	address_back
	wait_up database/node1 && wait_up via/node1
}

suite() {
	check "$1: all are up" stays_up via/node1 via/node2 via6/node1 via6/node2 plain/node1
	check "$1: the check is one of the service's address" expect "where it goes" \
		"$(server_field via/node1 check_via)" = "$DSR4:80"
	address_gone
	check "$1: a server without the address is down, its own still answers" goes_down_alone
	check "$1: IPv6 is not concerned" stays_up via6/node1
	address_back
	check "$1: the address is there again" comes_back
	address6_gone
	check "$1: IPv6: without the address" wait_down via6/node1
	check "$1: IPv4 is not concerned" stays_up via/node1 via6/node2
	address6_back
	check "$1: IPv6: the address is there again" wait_up via6/node1
}

result_is() {
	[[ $(last_result "$1") = "$2"* ]]
}

# Where the program is not in place, a check's packets would reach the server's own address: that is no result.
off_the_interface() {
	lab_ctl unload eth0 >/dev/null && wait_until 5 "the check to say nothing" result_is via/node1 SOCKERR &&
		stays_up via/node1 &&
		wait_until 5 "the database's check to say nothing" result_is database/node1 SOCKERR
}

on_the_interface() {
	lab_ctl load eth0 >/dev/null && wait_until 5 "the check to pass" result_is via/node1 L7OK
}

explains() {
	lab_ctl explain server via/node1 | grep -q "its check goes to $DSR4:80, the service's address"
}

shown_as_configured() {
	lab_ctl show config | grep "server node1 192.168.1.100" | grep -q "check via vip addr $DSR4 port 80"
}

scraped() {
	lab_in balancer curl -sf "http://127.0.0.1:9100/metrics" >"$LAB_DIR/metrics" &&
		grep -q '^alwayson_server_check_via_vip{backend="via",server="node1"} 1' "$LAB_DIR/metrics" &&
		grep -q '^alwayson_server_check_via_vip{backend="plain",server="node1"} 0' "$LAB_DIR/metrics"
}

# The last of them gone, no program is left at tc; and back.
reloaded() {
	sed -i 's/check via vip/check port 80/' "$CONFIG"
	reload >/dev/null && checked_again via/node1 plain/node1 || return
	expect "programs at tc" "$(tc_programs)" -eq 0 || return
	sed -i 's/check port 80$/check via vip/; s/server check port 80/server check/' "$CONFIG"
	reload >/dev/null && checked_again via/node1 && expect "programs at tc" "$(tc_programs)" -eq 2 &&
		result_is via/node1 L7OK
}

# Links of tcx, or on kernels before 6.6 filters of clsact: bpftool of Debian 12 knows only the latter.
tc_programs() {
	local links filters

	links=$(cat "/proc/$(agent_pid)/fdinfo/"* 2>/dev/null | grep -c '^link_type:.*tcx')
	filters=$(lab_in balancer tc filter show dev eth0 egress 2>/dev/null | grep -c 'probe_out')
	echo $((links + 2 * filters))
}

mysql_programs_are_there || { skip via_vip "mariadb-server is not installed"; exit 0; }
begin --dsr
DSR4=$(lab_state dsr4)
DSR6=$(lab_state dsr6)
mysql_start 1 >"$LAB_DIR/mysql-up.log" 2>&1 || give_up database "$(tail -n 3 "$LAB_DIR/mysql-up.log" | paste -sd ';')"
config dsr
start
suite dsr
check "dsr: strict rp_filter is seen, loose does no harm" rp_filter_is_seen
check "dsr: a database without the address is down, and up with it" database_is_checked
check "explain says where the check goes" explains
check "show config writes it as it is" shown_as_configured
check "it is scraped" scraped
check "an interface without the program: no result, the state is kept" off_the_interface
check "with it again" on_the_interface
check "a reload without it, and with it" reloaded
end

begin --topology routed --dsr
DSR4=$(lab_state dsr4)
DSR6=$(lab_state dsr6)
trap 'decap_off 1; decap_off 2; finish' EXIT
for i in 1 2; do
	decap_on "$i" || give_up decap "backend$i: it does not load"
done
mysql_start 1 >"$LAB_DIR/mysql-up.log" 2>&1 || give_up database "$(tail -n 3 "$LAB_DIR/mysql-up.log" | paste -sd ';')"
config ipip
start
suite ipip
check "ipip: a database without the address is down, and up with it" database_is_checked
decap_off 1
check "ipip: a server that does not unwrap is down" goes_down_alone
decap_on 1
check "ipip: it unwraps again" comes_back
