#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson doctor: each thing it looks for is provoked, found with the right level, and no longer found when it is mended.
# Before the agent is started, then with one. tests/unit/test_doctor_docs.c sees to it that none is left out.
. "$(dirname "$0")/lib.sh"

# Words in front of the command that change what it sees: a wrapper of one test.
AROUND=()

examine() {
	nsenter --net="$(lab_netns_path balancer)" "${AROUND[@]}" "$LAB_BUILD/alwayson" -j --name "$LAB_NAME" doctor "$@" \
		>"$LAB_DIR/json" 2>"$LAB_DIR/err"
}

# found LEVEL CHECK WHERE PATTERN: a finding of this level about this, whose text or remedy matches, in the last answer.
found() {
	local level=$1 about=$2 where=$3 pattern=$4

	jq -e --arg level "$level" --arg about "$about" --arg where "$where" --arg pattern "$pattern" '
		.findings[] | select(.level == $level and .check == $about and .where == $where) |
		select((.text | test($pattern)) or (.remedy // "" | test($pattern)))' "$LAB_DIR/json" >/dev/null && return
	jq -c --arg about "$about" '.findings[] | select(.check == $about)' "$LAB_DIR/json"
	head -c 500 "$LAB_DIR/err"
	return 1
}

# finds LEVEL CHECK WHERE PATTERN [ARGUMENT...]: the same in an answer of now.
finds() {
	examine "${@:5}"
	found "${@:1:4}"
}

# finds_under COMMAND... -- LEVEL ...: the same, examined under that command.
finds_under() {
	AROUND=()
	while [ "$1" != -- ]; do
		AROUND+=("$1")
		shift
	done
	shift
	finds "$@"
	local result=$?
	AROUND=()
	return $result
}

balancer_ip() {
	ip -n "$(lab_netns balancer)" "$@"
}

sysctls() {
	lab_in balancer sysctl -q -w "$@"
}

# worst CODE WORST [ARGUMENT...]
worst() {
	local code=$1 level=$2

	shift 2
	expect "exit code" "$(exit_code_of examine "$@")" -eq "$code" || return
	expect "the worst level" "$(jq -r .worst "$LAB_DIR/json")" = "$level"
}

begin --backends 2 --dsr
CFG=$LAB_DIR/doctor.cfg
cat >"$CFG" <<END
$(quick_defaults)
listen web
	bind *:80
$(servers 2)
listen direct
	bind 192.168.1.50:8080
	balance maglev
	forward dsr
	server node1 192.168.1.100 check port 80
	server node2 192.168.1.101 check port 80
END
with() {
	"$@" --file "$CFG"
}

# --- the lab is well, but for what is good to know
check "a host that is well" with worst 0 note
check "its text" with lab_ctl doctor
check "nobody answers" with finds note agent agent 'none answers'
check "servers of dsr have the address" with finds ok vip direct/node1 'answers an echo'
check "of one interface" with worst 0 note eth0
check "without a configuration" finds note configuration configuration 'none is known' eth0
check "no such interface" expect "exit code" "$(exit_code_of examine nosuch)" -eq 1
printf 'listen x\n\tbind *:80\n\tnonsense\n' >"$LAB_DIR/bad.cfg"
check "a bad configuration" expect "exit code" "$(exit_code_of examine --file "$LAB_DIR/bad.cfg")" -eq 3
check "and its first error" grep -q 'bad.cfg:3:2: unknown' "$LAB_DIR/json"

# --- the host
check "an old kernel" with finds_under setarch "$(uname -m)" --uname-2.6 -- fail kernel host 'is too old'
check "no types" with finds_under unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$@"' sh -- \
	note btf host 'no /sys/kernel/btf/vmlinux'
check "no BPF file system" with finds_under unshare -m sh -c 'mount -t tmpfs none /sys/fs/bpf && exec "$@"' sh -- \
	fail bpffs host 'mount -t bpf'
check "a right is missing" with finds_under setpriv --bounding-set -bpf -- fail capabilities host 'lacks CAP_BPF'
check "another" with finds_under setpriv --bounding-set -net_raw -- fail capabilities host 'lacks CAP_NET_RAW'
check "few files" with finds_under prlimit --nofile=128:128 setpriv --bounding-set -sys_resource -- \
	warn limits host 'LimitNOFILE=58'
check "little memory to lock, on an old kernel" with finds_under setarch "$(uname -m)" --uname-2.6 prlimit \
	--memlock=65536:65536 setpriv --bounding-set -sys_resource -- warn limits host '64 KiB may be locked'
sysctls net.ipv4.ip_local_port_range="20000 40000"
check "own ports among the kernel's" with finds fail ports web 'overlap net.ipv4.ip_local_port_range, 20000-40000'
check "which is a failure" with worst 1 fail
sysctls net.ipv4.ip_local_port_range="32768 60999"
check "ports that are well" with finds ok ports host 'outside'
check "no forwarding" with finds note ip_forward eth0 'conf.eth0.forwarding=1'
sysctls net.ipv4.conf.eth0.forwarding=1
check "forwarding" with finds ok ip_forward eth0 'forwards'

# --- the packet filter
check "no filter" with finds ok filter host 'no rule'
lab_in balancer nft -f - <<END
table ip t {
	chain in {
		type filter hook prerouting priority 0;
		ct state invalid drop
		tcp dport 8080 drop
	}
}
END
check "connections are tracked" with finds note conntrack host '1 rules track connections .the first in table t, chain in.'
check "a rule for a service" with finds warn filter direct 'table t, chain in'
check "which is a warning" with worst 6 warn
lab_in balancer nft delete table ip t
check "no connections are tracked" with finds ok conntrack host 'no rule'
echo 90 >"$LAB_DIR/count"
echo 100 >"$LAB_DIR/max"
# shellcheck disable=SC2016
check "a full table of connections" with finds_under unshare -m sh -c '
	mount --bind "$0/count" /proc/sys/net/netfilter/nf_conntrack_count &&
	mount --bind "$0/max" /proc/sys/net/netfilter/nf_conntrack_max && exec "$@"' "$LAB_DIR" -- \
	warn conntrack host '90 of 100 tracked connections'

# --- interfaces
balancer_ip link add v0 type veth peer name v1
check "a link that is down" finds fail link v0 'ip link set dev v0 up' v0
balancer_ip link set v0 up
balancer_ip link set v1 up
check "a link that is up" finds ok link v0 'up, MTU' v0
check "no Ethernet device" finds fail link lo 'no Ethernet' lo
check "a driver without native XDP" finds warn driver lo 'has no native XDP' lo
check "a veth whose peer has no program" finds fail peer v0 'peer v1 has no native XDP' v0
check "a veth whose peer leaves checksums unfilled" finds fail checksum v0 'ethtool -K v1 tx off' v0
lab_in balancer ethtool -K v1 tx off >/dev/null
check "a veth whose peer fills them in" finds ok checksum v0 'v1 fills' v0
balancer_ip link set dev v1 xdpdrv object "$LAB_BUILD/tests/system/pass.bpf.o" section xdp.frags
check "a veth whose peer has a program" finds ok peer v0 'v1 has an XDP program' v0
check "a program of others" finds fail program v1 'another XDP program is attached: pass' v1
balancer_ip link set dev v1 xdp off
check "no program of others" finds ok program v1 'free to take' v1
lab_in switch ethtool -K balancer tx on >/dev/null
check "a peer in another namespace" with finds fail checksum eth0 'in its namespace: ethtool -K balancer tx off'
lab_in switch ethtool -K balancer tx off >/dev/null
check "VLAN tags are taken off, but need not be" finds ok vlan v0 'the agent switches that off' v0
lab_in balancer ethtool -K v0 rxvlan off >/dev/null
check "VLAN tags stay" finds ok vlan v0 'stay' v0
balancer_ip link add q0 numrxqueues 2 numtxqueues 2 type veth peer name q1 numrxqueues 2 numtxqueues 2
lab_in balancer ethtool -L q0 rx 1 tx 1
if [ "$(nproc)" -gt 1 ]; then
	check "one queue of two" finds note queues q0 '1 of 2 receive queues' q0
	lab_in balancer ethtool -L q0 rx 2 tx 2
fi
check "all queues" finds ok queues q0 'receive queues for' q0

generic() {
	sed "1i global\n\tinterface $1 xdp generic\n\tinterface v0" "$CFG" >"$LAB_DIR/generic.cfg"
}
generic eth0
lab_in balancer ethtool -K eth0 gro on
check "generic mode where native would do" finds warn driver eth0 'several times slower' --file "$LAB_DIR/generic.cfg"
check "merged packets in generic mode" finds warn gro eth0 'ethtool -K eth0 gro off' --file "$LAB_DIR/generic.cfg"
lab_in balancer ethtool -K eth0 gro off
check "none merged in generic mode" finds ok gro eth0 'nothing merges' --file "$LAB_DIR/generic.cfg"
sysctls net.ipv4.conf.eth0.rp_filter=1
check "a strict rp_filter and two interfaces" finds warn rp_filter eth0 'conf.eth0.rp_filter=2' --file "$LAB_DIR/generic.cfg"
check "a strict rp_filter and one" with finds ok rp_filter eth0 'does no harm'
sysctls net.ipv4.conf.eth0.rp_filter=0
check "an interface that is not there" finds fail link nosuch 'the configuration names it' \
	--file <(sed '1i global\n\tinterface nosuch' "$CFG")

# --- the ways
balancer_ip address add 192.0.2.77/32 dev v0
lab_in balancer ip route add 198.51.100.0/24 via 192.168.1.100
cat >"$LAB_DIR/ways.cfg" <<END
$(quick_defaults | grep -v default-server)
listen far
	bind 192.0.2.78:80
	server silent 192.168.1.200:80
	server own 192.168.1.10:8080
	server nowhere 203.0.113.1:80
	server tunnel 127.0.0.2:80
listen elsewhere
	bind 192.0.2.77:80
	balance maglev
	forward dsr
	server routed 198.51.100.7
listen tunnel
	bind 192.168.1.50:80
	balance maglev
	forward ipip
	server node1 192.168.1.100
	server node2 192.168.1.101
END
ways() {
	"$@" eth0 --file "$LAB_DIR/ways.cfg"
}
ways examine
check "an address nobody has" found note address far 'no interface has its address 192.0.2.78'
check "an address on another interface" found warn address elsewhere 'is on v0, where nothing is steered'
check "a neighbour that does not answer" found warn neighbour far/silent 'the way to 192.168.1.200 is not known'
check "a server that is this host" found warn neighbour far/own "this host's own address"
check "no route" found warn neighbour far/nowhere 'not known'
check "dsr behind a router" found fail neighbour elsewhere/routed 'is behind a router'
check "a server that does not unwrap" found warn vip tunnel/node1 'alwayson decap load'
check "no room for the outer header" found warn mtu tunnel/node1 'only 1480 fit'
balancer_ip link set v0 mtu 1400
examine v0 --file "$LAB_DIR/ways.cfg"
check "room for the outer header" found ok mtu tunnel/node1 'takes 1500 bytes'
check "an interface that is not steered on" found warn neighbour tunnel/node1 'leads out by eth0, where nothing is steered'

# --- the servers' addresses
ip -n "$(lab_netns backend1)" address del 192.168.1.50/32 dev lo
check "a server without the address" with finds warn vip direct/node1 'ip address add 192.168.1.50/32 dev lo'
ip -n "$(lab_netns backend1)" address add 192.168.1.50/32 dev lo
lab_in backend1 sysctl -q -w net.ipv4.conf.all.arp_ignore=0
check "a server that answers ARP for it" with finds fail vip direct/node1 'answers ARP for 192.168.1.50'
check "and only that one" with finds ok vip direct/node2 'it has 192.168.1.50'
lab_in backend1 sysctl -q -w net.ipv4.conf.all.arp_ignore=1
lab_in backend1 "$LAB_BUILD/alwayson" decap load eth0 --from 192.168.1.10 --address 192.168.1.50 >/dev/null
check "a server that unwraps" ways finds ok vip tunnel/node1 'through the tunnel'
lab_in backend1 "$LAB_BUILD/alwayson" decap unload eth0 >/dev/null
sed -E '/listen direct/,$ {s/192.168.1.50/[fd00:1::50]/; s/192.168.1.(10[01])/[fd00:1::\1]/}' "$CFG" >"$LAB_DIR/v6.cfg"
check "the address in IPv6" finds ok vip direct/node1 'it has fd00:1::50' --file "$LAB_DIR/v6.cfg"

# --- with an agent
write_config <<END
global
	maxconn 100
$(quick_defaults)
listen web
	bind *:80
$(servers 2)
listen small
	bind *:81
	source-pool 192.168.1.10:12000-12003
	server node1 192.168.1.100:80
listen none
	bind *:82
	server node1 192.168.1.100:9 check
END
start
examine
check "the agent answers" found ok agent agent 'instance lab-'
check "the agent's rights" found ok capabilities agent 'the agent has'
check "the agent's files" found ok configuration configuration '3 services, 3 backends'
check "its program" found ok program eth0 'our program'
check "VLAN tags stay in its frames" found ok vlan eth0 'stay'
lab_in balancer ethtool -K eth0 rxvlan on
check "somebody has them taken off again" finds warn vlan eth0 'ethtool -K eth0 rxvlan off'
lab_in balancer ethtool -K eth0 rxvlan off
check "its notices" found note notices agent 'maxconn'
check "a service without a server" found warn agent agent '1 of 3 services'
check "no drops" found ok drops agent 'no packet was dropped'
# Six connections, one after the other, through four ports that a closed one keeps for a while.
client timeout 1 bash -c 'for i in 1 2 3 4 5 6; do exec {fd}<>/dev/tcp/'"$VIP4"'/81; done' 2>/dev/null
dropped() {
	finds warn drops half_open_limit 'half of the own ports' || finds warn drops ports_exhausted 'source-pool'
}
check "dropped for want of ports" dropped
cp "$LAB_DIR/bad.cfg" "$LAB_DIR/agent.cfg"
lab_ctl reload >/dev/null 2>&1
check "a refused reload" finds warn agent agent 'bad.cfg:3:2: unknown|agent.cfg:3:2: unknown' --file "$CONFIG"
cp "$CONFIG" "$LAB_DIR/agent.cfg"
lab_ctl unload eth0 >/dev/null
check "an interface that was left" finds fail agent eth0 'alwayson load eth0'
lab_ctl load eth0 >/dev/null
check "and taken again" finds ok program eth0 'our program'
kill -9 "$(agent_pid)"
wait_until 5 "the agent's end" process_is_gone "$(agent_pid)"
check "a program whose agent is gone" finds warn program eth0 "instance $LAB_NAME of ours" --file "$CONFIG"
