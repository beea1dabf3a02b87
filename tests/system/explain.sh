#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson explain: the reasons that are given for a server are those that steer, and the configuration's settings come
# from the lines where they stand.
. "$(dirname "$0")/lib.sh"

# takes SERVER true|false [ABOUT]: whether it takes new connections, and what alone keeps them away.
takes() {
	lab_ctl -j explain server "$1" >"$LAB_DIR/json" || return
	expect "takes_new of $1" "$(jq .takes_new "$LAB_DIR/json")" = "$2" || return
	expect "what speaks against $1" "$(jq -r '[.reasons[] | select(.ok | not) | .about] | join(",")' \
		"$LAB_DIR/json")" = "${3:-}"
}

says() {
	lab_ctl explain server "$1" >"$LAB_DIR/out" || return
	grep -qE -- "$2" "$LAB_DIR/out" || { cat "$LAB_DIR/out"; return 1; }
}

config_says() {
	lab_ctl explain config >"$LAB_DIR/out" || return
	grep -qE -- "$1" "$LAB_DIR/out" || { cat "$LAB_DIR/out"; return 1; }
}

begin --backends 3
write_config <<CFG
$(quick_defaults)

listen web
	bind *:80
	balance maglev
$(servers 2)
	server node3 192.168.1.102:80 backup
backend idle
	server node1 192.168.1.100:80
CFG
start

check "a server that is well" takes web/node1 true
check "and so says the text" says web/node1 'takes new connections:'
check "a backup whose turn it is not" takes web/node3 false backup
check "a backend nobody uses" takes idle/node1 false service
lab_ctl server drain web/node1 >/dev/null
check "a drain" takes web/node1 false admin
check "how it ends is said" says web/node1 \
	'NO +admin +drain: set at run time; .alwayson server ready web/node1. ends it'
lab_ctl server ready web/node1 >/dev/null
lab_ctl server weight web/node1 0 >/dev/null
check "a weight of 0" takes web/node1 false weight
check "traffic agrees" expect "answers by" "$(answers "http://$VIP4/" 10)" = node2
lab_ctl server weight web/node1 1 >/dev/null
server_stop 1
server_stop 2
wait_down web/node1
wait_down web/node2
check "a server that is down" takes web/node1 false check
check "and its check's word" says web/node1 'NO +check +down: its last check says L4CON'
check "its past" says web/node1 'DOWN +ready +L4CON'
check "the backup's turn" takes web/node3 true
check "traffic agrees with that too" expect "answers by" "$(answers "http://$VIP4/" 5)" = node3
check "no such server" expect "exit code" "$(exit_code_of lab_ctl explain server web/nobody)" -eq 1

check "a setting of the section" config_says 'balance maglev  # .*:10$'
check "one that is inherited" config_says 'timeout connect 1s  # .*:3$'
check "a default" config_says 'forward nat  # default$'
check "a server's words" config_says '# default: weight fastinter downinter; .*:6: check inter rise fall$'
