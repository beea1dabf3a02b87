# SPDX-License-Identifier: BSD-2-Clause
#
# The lab of the system tests and its agent, in a guest: sourced after lib.sh by those suites of tests/vm that want it. Its
# words are those of tests/system/lib.sh; a result's name has the kernel before it. Emulated, all takes some ten times longer.
. "$ROOT/tests/system/lib.sh"
. "$ROOT/tools/lab.d/topology.sh"

READY_S=300

ok() {
	printf 'ok %s %s\n' "$VM_KERNEL" "$1"
}

eval "system_$(declare -f not_ok)"
not_ok() {
	system_not_ok "$VM_KERNEL $1" "$2"
}

# Two servers by nat, of either family.
listen_web() {
	cat <<CFG
listen web
	bind $VIP4:80
	server node1 192.168.1.100:80 check
	server node2 192.168.1.101:80 check
listen web6
	bind [$VIP6]:80
	server node1 [fd00:1::100]:80 check
	server node2 [fd00:1::101]:80 check
CFG
}

# How the program is attached to NIC $1.
vm_mode() {
	lab_ctl -j status | jq -r --arg nic "$1" '.interfaces[] | select(.name == $nic) | .mode'
}
