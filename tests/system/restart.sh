#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# alwayson restart: the agent becomes the program that is installed now. Not a packet is lost, nobody is turned away at
# the control socket or the metrics' port, checks by other processes go on; and a program that can't take its place
# does not.
. "$(dirname "$0")/lib.sh"

readonly PORT=7000 INSTALLED=$LAB_BUILD

config() {
	write_config <<CFG
global
	metrics 127.0.0.1:9599
	external-check
$(quick_defaults)

$(steady_listen nat "$VIP4")

$(steady_listen dsr "$DSR4" "forward dsr" "balance maglev")

backend by-command
	option external-check
	external-check command /bin/true
	server node1 192.168.1.100:$PORT
${1:-}
CFG
}

# The programs as they are installed, in a folder of our own; the version that they tell is ours to change.
install_programs() {
	mkdir "$LAB_DIR/bin"
	cp "$INSTALLED"/{alwaysond,alwayson,alwayson-checker} "$LAB_DIR/bin"
	LAB_BUILD=$LAB_DIR/bin
	VERSION=$("$INSTALLED/alwaysond" --version | cut -d ' ' -f 2)
}

# As a package manager does: a new file in the place of the old one. upgrade VERSION, as long as the one of before.
upgrade() {
	sed "s/$VERSION/$1/g" "$INSTALLED/alwaysond" >"$LAB_DIR/new"
	chmod 755 "$LAB_DIR/new"
	mv "$LAB_DIR/new" "$LAB_DIR/bin/alwaysond"
}

running_version() {
	lab_ctl -j version | jq -r .version
}

# Asks for the agent and its metrics again and again, until it is ended; writes a line for each time that was in vain.
ask_on() {
	while :; do
		lab_ctl version >/dev/null 2>"$LAB_DIR/asked.err" || { echo "control: $(<"$LAB_DIR/asked.err")"; }
		lab_in balancer curl -sf -m 10 -o /dev/null http://127.0.0.1:9599/healthz || echo "metrics: $?"
		echo asked
	done
}

descriptors() {
	find "/proc/$(agent_pid)/fd" -type l | wc -l
}

checks_of_command() {
	lab_ctl -j show servers by-command/node1 | jq -e '.servers[0] | .state == "UP" and .checks > 2'
}

refused() {
	local code

	code=$(exit_code_of lab_ctl restart)
	expect "exit code" "$code" -eq "$1" || { cat "$LAB_DIR/out"; return 1; }
	grep -Eq "$2" "$LAB_DIR/out" || { printf 'it said: '; cat "$LAB_DIR/out"; return 1; }
	[ "$(lab_ctl -j version | jq .pid)" = "$(agent_pid)" ]
}

begin --dsr --backends 2
DSR4=$(lab_state dsr4)
install_programs
config
for i in 1 2; do
	steady_serve "$i" $PORT
done
start
lab_ctl server drain dsr/node2 >/dev/null
wait_until 10 "a check by command" checks_of_command

load_all $PORT
ask_on >"$LAB_DIR/asked" &
asker=$!
load_passes
NEW=$(tr '[:print:]' x <<<"$VERSION")
upgrade "$NEW"
check "restart" lab_ctl restart
check "it is the new program" expect "version" "$(running_version)" = "$NEW"
check "in the same process" agent_is_running
check "it says that it took over" logged 'event=loaded .*taken_over=yes'
check "nobody had to wait for it to be ready" agent_is_ready
load_passes
descriptors_before=$(descriptors)
for i in 1 2; do
	check "and again" lab_ctl restart
done
load_passes
load_check_all "restart"
wait_until 5 "the last question" test -s "$LAB_DIR/asked"
kill "$asker"
wait "$asker" 2>/dev/null
check "somebody asked meanwhile" expect "times" "$(grep -c asked "$LAB_DIR/asked")" -ge 5
check "the agent and its metrics answered all the time" test -z "$(grep -v asked "$LAB_DIR/asked")"
no_descriptor_is_left() {
	test "$(descriptors)" -le "$1"
}
check "no descriptor is left over" wait_until 5 "at most $descriptors_before descriptors" no_descriptor_is_left "$descriptors_before"
check "a drain is remembered" expect "admin state" "$(server_field dsr/node2 admin)" = drain
check "checks by a command go on" wait_until 10 "checks" checks_of_command
server_log=$(wc -l <"$LAB_DIR/agent.log")

# What can't take its place.
load_all $PORT
config "	bogus"
cp "$CONFIG" "$LAB_DIR/agent.cfg"
check "a bad configuration is refused, and why is said" refused 3 'agent.cfg:.*bogus'
config
cp "$CONFIG" "$LAB_DIR/agent.cfg"
# shellcheck disable=SC2016 # for the new program's shell
printf '#!/bin/sh\n[ "$1" != -c ] || { echo "tables of another kind"; exit 1; }\n' >"$LAB_DIR/bin/alwaysond.new"
chmod 755 "$LAB_DIR/bin/alwaysond.new"
mv "$LAB_DIR/bin/alwaysond.new" "$LAB_DIR/bin/alwaysond"
check "a program that refuses" refused 3 'tables of another kind'
cp "$INSTALLED/tests/system/other_layout/alwaysond" "$LAB_DIR/bin/alwaysond.new"
mv "$LAB_DIR/bin/alwaysond.new" "$LAB_DIR/bin/alwaysond"
check "a program whose tables are laid out in another way says so before the old one is stopped" \
	refused 3 'lays its tables out in another way.*systemctl stop and start.*end them'
rm "$LAB_DIR/bin/alwaysond"
check "no program" refused 1 'No such file'
# The check passes; the exec does not.
# shellcheck disable=SC2016
printf '#!/bin/sh\nrm -f "$0"\n' >"$LAB_DIR/bin/alwaysond"
chmod 755 "$LAB_DIR/bin/alwaysond"
check "a program that can't be executed in the end" refused 1 "can't be executed.*nothing has changed"
check "the agent is as it was" agent_is_ready
load_passes
load_check_all "a refused restart"
five_have_failed() {
	expect "restart_failed" "$(tail -n +"$server_log" "$LAB_DIR/agent.log" | grep -c event=restart_failed)" -eq 5
}
check "what it says of itself and others is in the log" wait_until 10 "all of it" five_have_failed

tells() {
	ALWAYSON_SUCCESSOR=$1 "$INSTALLED/alwaysond" -c -f "$CONFIG" >"$LAB_DIR/out" 2>&1
	expect "exit code" $? -eq 1 && grep -q "$2" "$LAB_DIR/out"
}
check "other tables: a program says so itself" tells "1 1" 'lays its tables out in another way.*systemctl stop and start'

# Started all the same, where the old one was killed: it leaves all as it is, unless it is told that it may not.
install_programs 2>/dev/null
kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
load_all $PORT
readonly OTHER=$LAB_DIR/bin/other
cp "$INSTALLED/tests/system/other_layout/alwaysond" "$OTHER"
does_not_start() {
	nsenter --net="$(lab_netns_path balancer)" timeout 20 "$OTHER" -f "$CONFIG" -i eth0 --name "$LAB_NAME" \
		>"$LAB_DIR/out" 2>&1
	expect "exit code" $? -eq 1 || { cat "$LAB_DIR/out"; return 1; }
	grep -q 'it is of ABI .* this is ABI 999.*--discard' <(paste -sd ' ' "$LAB_DIR/out") || { cat "$LAB_DIR/out"; return 1; }
}
check "tables of another layout: a start fails, and names the flag" does_not_start
load_passes
load_check_all "a start that failed"
nsenter --net="$(lab_netns_path balancer)" timeout 60 "$OTHER" -f "$CONFIG" -i eth0 --name "$LAB_NAME" --discard \
	>"$LAB_DIR/out" 2>&1 &
other=$!
check "with the flag it begins anew" wait_until 30 "it to be ready" grep -q 'event=ready' "$LAB_DIR/out"
kill "$other"
wait "$other"
start
lab_ctl restart >/dev/null
check "an agent that was restarted ends as others do" agent_stop
check "and detaches" test "$(ip -n "$(lab_netns balancer)" -j link show eth0 | jq '.[0].xdp // empty')" = ""
