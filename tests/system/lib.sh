# SPDX-License-Identifier: BSD-2-Clause
#
# What the system tests are written in: a lab of their own, the agent in it, requests, and results in the words that
# tests/run reads. Sourced by tests/system/*.sh. Waits for events with a deadline, never sleeps for luck.
#
#   begin --topology routed      a lab without agent; taken down whatever happens
#   write_config <<CFG           the agent's configuration, kept in $CONFIG
#   start                        alwaysond, until it is ready
#   check NAME COMMAND...        ok when the command succeeds, else not ok with what it printed and the agent's log
set -uo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$ROOT/tools/lab.d/common.sh"
. "$ROOT/tools/lab.d/servers.sh"
. "$ROOT/tools/lab.d/agent.sh"
. "$ROOT/tools/lab.d/requests.sh"

REFERENCE=$ROOT/tests/reference/haproxy.cfg
READY_S=10
failures=0
log_lines_shown=0

# --- results

ok() {
	printf 'ok %s\n' "$1"
}

# not_ok NAME WHY: below it, what the agent has logged since the last one, at most 15 lines.
not_ok() {
	local lines

	printf 'not ok %s: %s\n' "$1" "$2"
	failures=$((failures + 1))
	[ -e "${LAB_DIR:-}/agent.log" ] || return 0
	lines=$(wc -l <"$LAB_DIR/agent.log")
	if ((lines > log_lines_shown)); then
		agent_log_tail $((lines - log_lines_shown > 15 ? 15 : lines - log_lines_shown))
		log_lines_shown=$lines
	fi
}

skip() {
	printf 'skip %s: %s\n' "$1" "$2"
}

# Runs a command, quietly when it succeeds. Its output is the reason when it does not.
check() {
	local name=$1 output

	shift
	if output=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "$(tail -n 8 <<<"${output:-$*}" | paste -sd ';')"
	fi
}

# The rest of the script makes no sense.
give_up() {
	not_ok "$1" "$2"
	exit 1
}

# Values on both sides of a sign: expect WHAT VALUE OP VALUE, where OP is = or one of -lt -le -ge -gt -eq.
expect() {
	test "$2" "$3" "$4" && return 0
	printf '%s is %s, expected %s %s\n' "$1" "$2" "$3" "$4"
	return 1
}

# --- the agent's log

# A suite may define it anew, to look at less of it.
log_has() {
	grep -Eq -- "$1" "$LAB_DIR/agent.log"
}

# A thread writes the log: a line may be there only after the answer to what it is about.
logged() {
	wait_until 10 "a line with '$1' in the log" log_has "$1"
}

not_logged() {
	! log_has "$1"
}

# --- the lab

finish() {
	local code=$?

	trap - EXIT
	jobs_end
	"$ROOT/tools/lab" --id "$LAB_ID" down >&2 || code=1
	[ "$code" != 0 ] || [ "$failures" = 0 ] || code=1
	exit "$code"
}

# Takes the lab down in the middle of a script that goes on with another.
end() {
	jobs_end
	"$ROOT/tools/lab" --id "$LAB_ID" down || not_ok "down" "tools/lab down fails"
}

# Ends what the script left running in the background.
jobs_end() {
	local pid

	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null
	done
	wait 2>/dev/null
}

# A lab of this process's own, so that suites and people do not get in each other's way.
begin() {
	lab_use "t$(($$ % 10000000))"
	log_lines_shown=0
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	"$ROOT/tools/lab" --id "$LAB_ID" up --no-agent "$@" >/dev/null || give_up lab "tools/lab up fails"
	VIP4=$(lab_state vip4)
	VIP6=$(lab_state vip6)
	CONFIG=$LAB_DIR/test.cfg
	FILES=$LAB_DIR/files
}

write_config() {
	cat >"$CONFIG"
}

# Two servers by dsr.
listen_direct() {
	cat <<CFG
listen direct
	bind $DSR4:80
	forward dsr
	server node1 192.168.1.100:80 check
	server node2 192.168.1.101:80 check
CFG
}

# service_addresses N...: service addresses 192.168.1.N and fd00:1::N more, which the servers own as well.
service_addresses() {
	local n i ns

	for n; do
		ns=$(lab_netns balancer)
		ip -n "$ns" address add "192.168.1.$n/32" dev eth0
		ip -n "$ns" address add "fd00:1::$n/128" dev eth0 nodad preferred_lft 0
		for i in 1 2; do
			ns=$(lab_netns "backend$i")
			ip -n "$ns" address add "192.168.1.$n/32" dev lo
			ip -n "$ns" address add "fd00:1::$n/128" dev lo nodad
		done
	done
}

# The header most tests share: checks that notice within about half a second.
quick_defaults() {
	cat <<CFG
defaults
	mode tcp
	timeout connect 1s
	timeout client 1m
	timeout server 1m
	default-server check inter 200ms rise 2 fall 2
CFG
}

# Server lines node1..nodeN; $2 is put behind each.
servers() {
	local i

	for ((i = 1; i <= $1; i++)); do
		printf '\tserver node%d 192.168.1.%d:80 %s\n' "$i" $((99 + i)) "${2:-}"
	done
}

# Starts the agent with $CONFIG (or $1) and waits until it is ready; without an agent nothing else makes sense.
start() {
	agent_start "${1:-$CONFIG}" || give_up start "alwaysond does not start"
	agent_wait_ready "$READY_S" || give_up start "alwaysond has ended, or is not ready within $READY_S s"
}

# Puts $CONFIG in the agent's place and reloads; prints what alwayson says.
reload() {
	cp "$CONFIG" "$LAB_DIR/agent.cfg"
	lab_ctl reload
}

# Restarts nothing: waits for what the checks find. wait_up nodes/node1 ...
wait_up() {
	wait_until 10 "$1 to be up" server_is_up "$1"
}

wait_down() {
	wait_until 15 "$1 to be down" server_is_down "$1"
}

client() {
	lab_in client "$@"
}

# Prints the exit code of a command; its output is in $LAB_DIR/out.
exit_code_of() {
	"$@" >"$LAB_DIR/out" 2>&1
	printf '%d' $?
}

# The distinct answers to COUNT requests, on one line: answers URL COUNT
answers() {
	get "$1" "$2" | sort -u | paste -sd ,
}

# One request that must be refused, and at once: not after a time-out, not after a retransmission.
refused_at_once() {
	local start_ms code

	start_ms=$(now_ms)
	code=$(exit_code_of client curl -s -m 5 "$1")
	expect "curl's exit code (7: refused)" "$code" -eq 7 || return
	expect "ms until refused (a SYN is sent again after 1000)" $(($(now_ms) - start_ms)) -le 800
}

# A request nobody answers: the client waits for a second in vain.
not_answered() {
	expect "curl's exit code (28: timed out)" "$(exit_code_of client curl -s -m 1 "$1")" -eq 28
}

# --- UDP

# A server in backend$1 on UDP port $2 that answers each datagram with its name and what it got. $3: 4 (default) or 6.
udp_server() {
	local answer=$LAB_DIR/answer

	# One write, one datagram; and in a file, because socat has quoting rules of its own.
	printf '#!/bin/sh\nprintf "%%s %%s\\n" "$1" "$(cat)"\n' >"$answer"
	nsenter --net="$(lab_netns_path "backend$1")" socat -T 1 "UDP${3:-4}-RECVFROM:$2,fork,reuseaddr" \
		EXEC:"sh $answer node$1" >/dev/null 2>&1 &
	wait_until 5 "the UDP server of backend$1" udp_is_bound "$1" "$2" "${3:-4}"
}

udp_is_bound() {
	lab_in "backend$1" ss -Hlun "-$3" "sport = :$2" | grep -q .
}

# COUNT datagrams to ADDRESS PORT, each from a port of its own; prints the answers, `lost` where none came in a second.
udp_ask() {
	client bash -c 'for ((i = 0; i < $3; i++)); do
			exec 3<>"/dev/udp/$1/$2" && printf "hello %d\n" "$i" >&3
			timeout 1 dd bs=2048 count=1 status=none <&3 2>/dev/null || echo lost
		done' udp_ask "$1" "$2" "$3"
}

# --- a steady load (steady.c), that notices each packet which is lost

STEADY=$LAB_BUILD/tests/system/steady
declare -A LOADS STEADY_SERVERS

# The section that it goes through, at the suite's PORT: steady_listen NAME VIP [LINE...]
steady_listen() {
	printf 'listen %s\n' "$1"
	[ $# -lt 3 ] || printf '\t%s\n' "${@:3}"
	printf '\tbind %s:%s\n\tbind udp@%s:%s\n' "$2" "$PORT" "$2" "$PORT"
	printf '\tserver node1 192.168.1.100:%s\n\tserver node2 192.168.1.101:%s\n' "$PORT" "$PORT"
}

# Its server in backend$1, at port $2.
steady_serve() {
	nsenter --net="$(lab_netns_path "backend$1")" "$STEADY" serve "node$1" "$2" >/dev/null &
	STEADY_SERVERS[$1]=$!
	wait_until 5 "the server of backend$1" steady_serves "$1" "$2"
}

steady_serves() {
	lab_in "backend$1" ss -Hltn "sport = :$2" | grep -q .
}

steady_kill() {
	kill -9 "${STEADY_SERVERS[$1]}"
	wait "${STEADY_SERVERS[$1]}" 2>/dev/null
}

# load NAME KIND ADDRESS PORT RATE: from now on, KIND as steady.c has it.
load() {
	nsenter --net="$(lab_netns_path client)" "$STEADY" "$2" "$3" "$4" "$5" >"$LAB_DIR/load.$1" 2>"$LAB_DIR/load.$1.err" &
	LOADS[$1]=$!
	wait_until 5 "load $1" test -e "$LAB_DIR/load.$1"
}

# All kinds at port $1 of VIP4, and of DSR4 where there is one: nat-stream, nat-udp, nat-new, dsr-stream ...
load_all() {
	load nat-stream stream "$VIP4" "$1" 500
	load nat-udp udp "$VIP4" "$1" 500
	load nat-new new "$VIP4" "$1" 200
	[ -n "${DSR4:-}" ] || return 0
	load dsr-stream stream "$DSR4" "$1" 500
	load dsr-udp udp "$DSR4" "$1" 500
	load dsr-new new "$DSR4" "$1" 200
}

# Time goes by: each load gets some answers more.
load_passes() {
	local name
	local -A seen

	for name in "${!LOADS[@]}"; do
		seen[$name]=$(wc -l <"$LAB_DIR/load.$name")
	done
	for name in "${!LOADS[@]}"; do
		wait_until 10 "answers of load $name" stream_has "$LAB_DIR/load.$name" $((${seen[$name]} + 3)) ||
			not_ok "load $name" "gets no answers"
	done
}

# Ends the load NAME; its figures are in $FIGURES then.
load_end() {
	kill "${LOADS[$1]}"
	wait "${LOADS[$1]}"
	FIGURES=$(tail -n 1 "$LAB_DIR/load.$1")
	unset "LOADS[$1]"
}

# A figure of the load that has ended: sent, lost, resent, longest_ms, servers.
figure() {
	awk -v word="$1" '{ for (i = 1; i < NF; i++) if ($i == word) print $(i + 1) }' <<<"$FIGURES"
}

load_is_clean() {
	expect "lines sent" "$(figure sent)" -ge 50 &&
		expect "it ($FIGURES): lost" "$(figure lost)" -eq 0 &&
		expect "it ($FIGURES): resent" "$(figure resent)" -eq 0 || return
	[ -z "${1:-}" ] || expect "it ($FIGURES): servers" "$(figure servers | tr , '\n' | sort | paste -sd ,)" = "$1"
}

# load_check NAME WHEN [SERVERS]: enough was sent, and all of it was answered, by those servers.
load_check() {
	load_end "$1"
	check "$2: $1: nothing is lost, nothing sent twice" load_is_clean "${3:-}"
}

# load_check_all WHEN [SERVERS]: all that are under way; SERVERS are those of the new connections.
load_check_all() {
	local name

	for name in "${!LOADS[@]}"; do
		case $name in
		*-new) load_check "$name" "$1" "${2:-}" ;;
		*) load_check "$name" "$1" ;;
		esac
	done
}
