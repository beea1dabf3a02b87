#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A primary and its replicas behind two addresses: real MariaDB servers, real failovers. The test's driver plays the
# operator: it promotes, demotes and fences; the balancer follows.
#
#   client ── balancer :3306 → the primary   ┌ backend1 (server id 1)
#                      :3307 → the replicas  ┼ backend2 (2)
#                                            └ backend3 (3)
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$ROOT/tools/lab.d/topology.sh"
. "$ROOT/tools/lab.d/mysql.sh"

mysql_programs_are_there || { skip mysql "mariadb-server is not installed"; exit 0; }

# SQL as the application, through a port of the balancer: db_ask PORT SQL
db_ask() {
	client timeout 3 mariadb --no-defaults --connect-timeout=2 -h "$VIP4" -P "$1" -u app -papp-password app --batch \
		--skip-column-names -e "$2" 2>&1
}

# Who answers: server ids over COUNT connections, sorted, on one line.
who_answers() {
	local i

	for ((i = 0; i < $2; i++)); do
		db_ask "$1" 'SELECT @@server_id'
	done | sort -u | paste -sd ,
}

writer_is() {
	[ "$(db_ask 3306 'SELECT @@server_id')" = "$1" ]
}

readers_are() {
	[ "$(who_answers 3307 6)" = "$1" ]
}

wait_writer() {
	wait_until 8 "writes to reach server $1" writer_is "$1"
}

wait_readers() {
	wait_until 8 "reads to reach $1" readers_are "$1"
}

# The text of a server's last check.
last_check() {
	server_field "$1" last_result
}

says() {
	[[ "$(last_check "$1")" == *"$2"* ]]
}

wait_says() {
	wait_until 8 "$1 to say '$2'" says "$1" "$2" && return 0
	printf '%s says: %s\n' "$1" "$(last_check "$1")"
	return 1
}

nothing_is_writable() {
	[[ "$(db_ask 3306 'SELECT 1')" == *ERROR* ]]
}

config() {
	cat <<CFG
defaults
	mode tcp
	timeout connect 1s
	timeout client 1h
	timeout server 1h
	default-server check inter 200ms rise 1 fall 2

frontend writer
	bind *:3306
	default_backend primary

frontend reader
	bind *:3307
	default_backend replicas

backend primary
	option mysql-check user check password-file $(mysql_password_file) role primary
$(database_servers "$1")

backend replicas
	option mysql-check user check password-file $(mysql_password_file) role replica or-primary ${2:-max-lag 2s}
$(database_servers "$1")
CFG
}

database_servers() {
	local i

	for ((i = 1; i <= $1; i++)); do
		printf '\tserver db%d %s:3306\n' "$i" "$(mysql_address "$i")"
	done
}

# --- tests

writes_and_reads() {
	wait_writer 1 && wait_readers 2,3 &&
		expect "where writes go" "$(who_answers 3306 5)" = 1 &&
		db_ask 3306 'INSERT INTO t VALUES (1, 1, @@server_id)' &&
		wait_until 5 "the row on the replicas" row_is_read 1
}

row_is_read() {
	[ "$(db_ask 3307 "SELECT id FROM t WHERE id = $1")" = "$1" ]
}

says_what_they_are() {
	expect "primary/db1" "$(last_check primary/db1)" = "L7OK: primary" &&
		expect "primary/db2" "$(last_check primary/db2)" = "L7STS: replica of server id 1" &&
		expect "replicas/db1" "$(last_check replicas/db1)" = "L7STS: primary; there are replicas" &&
		wait_says replicas/db2 "L7OK: replica, lag 0.0 s" &&
		expect "the role in JSON" "$(server_field replicas/db2 role)" = replica &&
		expect "the lag in JSON" "$(server_field replicas/db2 lag_ms)" -le 2000
}

password_is_nowhere() {
	local pid

	! grep -rl check-password "$LAB_DIR/agent.log" "/var/lib/alwayson/$LAB_NAME"* 2>/dev/null || return 1
	! lab_ctl -j show config | grep check-password || return 1
	for pid in "$(agent_pid)" $(checker_pids checker) $(checker_pids checker-worker); do
		! tr "\0" " " <"/proc/$pid/cmdline" | grep check-password || return 1
		! tr "\0" " " <"/proc/$pid/environ" | grep check-password || return 1
	done
	lab_ctl -j show config | jq -e '.config // . | .backends[0].check.password' >/dev/null
}

threads_stop_and_start() {
	lab_sql 3 'STOP SLAVE SQL_THREAD' && wait_readers 2 &&
		wait_says replicas/db3 'the SQL thread does not run' &&
		lab_sql 3 'START SLAVE' && wait_readers 2,3 &&
		lab_sql 3 'STOP SLAVE IO_THREAD' && wait_readers 2 &&
		wait_says replicas/db3 'the IO thread does not run' &&
		lab_sql 3 'START SLAVE' && wait_readers 2,3
}

primary_reads_for_want_of_replicas() {
	lab_sql 2 'STOP SLAVE' && lab_sql 3 'STOP SLAVE' && wait_readers 1 &&
		lab_sql 2 'START SLAVE' && lab_sql 3 'START SLAVE' && wait_readers 2,3
}

broken_replication_says_why() {
	lab_sql 2 'SET sql_log_bin = 0; INSERT INTO app.t VALUES (2, 1, 99)' &&
		lab_sql 1 'INSERT INTO app.t VALUES (2, 1, 1)' &&
		wait_says replicas/db2 'the SQL thread does not run: ' && wait_readers 3 &&
		lab_sql 2 'SET sql_log_bin = 0; DELETE FROM app.t WHERE id = 2; START SLAVE' && wait_readers 2,3
}

switch_over() {
	local began

	mysql_demote 1 && wait_until 5 "no writer" nothing_is_writable
	began=$(now_ms)
	mysql_promote 2 && wait_writer 2 || return
	printf 'a switch-over took %d ms after the promotion\n' $(($(now_ms) - began)) >>"$LAB_DIR/figures"
	mysql_follow 1 2 && mysql_follow 3 2 && wait_readers 1,3
}

primary_is_killed() {
	local began

	mysql_kill 2 && wait_until 5 "no writer" nothing_is_writable
	began=$(now_ms)
	mysql_promote 3 && wait_writer 3 || return
	printf 'a failover took %d ms after the promotion\n' $(($(now_ms) - began)) >>"$LAB_DIR/figures"
	mysql_follow 1 3 && wait_readers 1
}

old_primary_comes_back_writable() {
	mysql_start 2 && lab_sql 2 'SELECT @@read_only' | grep -qx 0 &&
		wait_says primary/db2 'conflict: 2 servers take writes, and this one was not in service' &&
		expect "where writes go" "$(who_answers 3306 5)" = 3 &&
		logged 'event=writer_conflict backend=primary writers=2 kept=db3' &&
		mysql_follow 2 3 && logged 'event=writer_conflict_over' && wait_readers 1,2
}

# A client that has asked, and waits for the answer: what it says in the end is in $LAB_DIR/waiting.
waiting_client() {
	nsenter --net="$(lab_netns_path client)" bash -c \
		'mariadb --no-defaults -h "$1" -P 3306 -u app -papp-password app -e "SELECT SLEEP(100)" >"$2.new" 2>&1
		mv "$2.new" "$2"' waiting "$VIP4" "$LAB_DIR/waiting" &
	wait_until 5 "the client to wait" statement_runs "$1" SLEEP
}

statement_runs() {
	lab_sql "$1" 'SHOW PROCESSLIST' | grep -q "$2"
}

frozen_primary() {
	local pid began

	pid=$(mysql_pid 3)
	lab_sql 3 'SET GLOBAL max_connect_errors = 3' && waiting_client 3 || return
	kill -STOP "$pid"
	began=$(now_ms)
	wait_down primary/db3 || return
	printf 'a frozen primary was seen after %d ms\n' $(($(now_ms) - began)) >>"$LAB_DIR/figures"
	began=$(now_ms)
	wait_until 5 "the waiting client to be told" test -e "$LAB_DIR/waiting" || return
	printf 'its client, which waited in read(), was reset %d ms later\n' $(($(now_ms) - began)) >>"$LAB_DIR/figures"
	grep -q 'ERROR 2013\|ERROR 2006\|Lost connection' "$LAB_DIR/waiting" || { cat "$LAB_DIR/waiting"; return 1; }
	mysql_promote 1 && wait_writer 1 && mysql_follow 2 1 || return
	# Many checks more: none of them may count against the balancer when the server comes back.
	wait_until 8 "ten more checks" checks_grow primary/db3 $(($(server_field primary/db3 checks) + 10))
	# Ended by a reset: a close would leave a socket waiting for the frozen server's FIN, one a check.
	expect "sockets that checks left behind" \
		"$(lab_in balancer ss -Hatn state fin-wait-1 state fin-wait-2 "dport = :3306" | wc -l)" -eq 0 || return
	kill -CONT "$pid"
	wait_says primary/db3 'conflict: 2 servers' && expect "where writes go" "$(who_answers 3306 5)" = 1 &&
		mysql_follow 3 1 && wait_readers 2,3
}

checks_grow() {
	[ "$(server_field "$1" checks)" -ge "$2" ]
}

checker_pids() {
	local pid

	for pid in $(ip netns pids "$(lab_netns balancer)"); do
		[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && printf '%s\n' "$pid"
	done
}

# As the kernel tells it: nobody's, without a right, and none to be had.
processes_have_no_rights() {
	local name pid words=("checker Seccomp:.[02]" "checker-worker Seccomp:.2") word line

	for word in "${words[@]}"; do
		name=${word%% *}
		[ -n "$(checker_pids "$name")" ] || { printf 'there is no %s\n' "$name"; return 1; }
		for pid in $(checker_pids "$name"); do
			for line in 'CapPrm:.0*' 'CapBnd:.0*' 'NoNewPrivs:.1' 'Groups:\s*' "${word#* }"; do
				grep -qx "$line" "/proc/$pid/status" || { printf '%s: not %s\n' "$name" "$line"; return 1; }
			done
			! grep -q '^[UG]id:.*\b0\b' "/proc/$pid/status" || return
		done
	done
}

state_of_all() {
	lab_ctl -j show servers | jq -c '[.servers[] | [.backend, .server, .state, .transitions]]'
}

workers_killed_and_stopped() {
	local before after round pid

	before=$(state_of_all)
	for round in 9 STOP; do
		for pid in $(checker_pids checker-worker); do
			kill "-$round" "$pid" 2>/dev/null
		done
		after=$(server_field primary/db1 checks)
		wait_until 8 "checks after kill -$round" checks_grow primary/db1 $((after + 3)) || return
	done
	for pid in $(checker_pids checker | head -n 1); do
		kill -9 "$pid"
	done
	after=$(server_field primary/db1 checks)
	wait_until 8 "checks after a template's death" checks_grow primary/db1 $((after + 3)) &&
		expect "the states" "$(state_of_all)" = "$before"
}

late_replica() {
	lab_sql 2 'STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 30; START SLAVE' &&
		lab_sql 1 'INSERT INTO app.t VALUES (10, 1, 1)' &&
		wait_says replicas/db2 ', above 2.0 s' && wait_readers 3 &&
		lab_sql 2 'STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE' && wait_readers 2,3
}

password_file_open_to_others() {
	chmod 644 "$(mysql_password_file)"
	config 3 >"$CONFIG"
	! reload >"$LAB_DIR/out" 2>&1 && grep -q 'others than its owner may read it: chmod 600' "$LAB_DIR/out" &&
		chmod 600 "$(mysql_password_file)" && reload && expect "where writes go" "$(who_answers 3306 3)" = 1
}

# Nothing but the password differs: that is a change, and the next checks log in with it.
password_changes() {
	local kept=$LAB_DIR/kept.password

	cp -p "$(mysql_password_file)" "$kept"
	echo wrong >"$(mysql_password_file)"
	expect "a reload changes something" "$(lab_ctl -j reload | jq -r .changed)" = true || return
	wait_says primary/db1 'Access denied' || return
	cat "$kept" >"$(mysql_password_file)"
	expect "a reload changes something" "$(lab_ctl -j reload | jq -r .changed)" = true && wait_writer 1 &&
		expect "a reload changes something" "$(lab_ctl -j reload | jq -r .changed)" = false
}

# `show config` is a configuration again, the file named, the password not.
shown_as_configured() {
	lab_ctl show config >"$LAB_DIR/shown.cfg" &&
		grep -q "option mysql-check password-file $(mysql_password_file) user check role primary" "$LAB_DIR/shown.cfg" &&
		"$LAB_BUILD/alwaysond" -c -f "$LAB_DIR/shown.cfg"
}

words_the_plugin_refuses() {
	config 3 | sed 's/option mysql-check.*role primary/option plugin-check mysql user/' >"$CONFIG"
	! reload >"$LAB_DIR/out" 2>&1 &&
		grep -q "backend 'primary': mysql: 'user' is not understood, or lacks its value" "$LAB_DIR/out"
}

missing_right_is_named() {
	config 3 | sed 's/user check/user login/' >"$CONFIG"
	reload && wait_says primary/db1 'a right is missing: GRANT SLAVE MONITOR' &&
		config 3 >"$CONFIG" && reload && wait_writer 1
}

# A heartbeat shows what Seconds_Behind_Master does not: a frozen primary.
heartbeat() {
	config 3 'max-lag 2s lag-source heartbeat app.heartbeat' >"$CONFIG"
	lab_sql 1 'REPLACE INTO app.heartbeat VALUES (1, NOW(6))'
	reload && wait_readers 2,3 || return
	kill -STOP "$(mysql_pid 1)"
	wait_says replicas/db2 ', above 2.0 s'
	local result=$?
	kill -CONT "$(mysql_pid 1)"
	lab_sql 1 'REPLACE INTO app.heartbeat VALUES (1, NOW(6))'
	return "$result"
}

restart_keeps_the_writer() {
	lab_sql 2 'STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0'
	wait_says primary/db2 'conflict: 2 servers' || return
	agent_stop && start "$LAB_DIR/agent.cfg" &&
		expect "where writes go after a restart" "$(who_answers 3306 3)" = 1 && mysql_follow 2 1 && wait_readers 2,3
}

begin --backends 3
mysql_up 3 >"$LAB_DIR/mysql-up.log" 2>&1 || give_up mysql_up "$(tail -n 3 "$LAB_DIR/mysql-up.log" | paste -sd ';')"
config 3 | write_config
start
check writes_and_reads writes_and_reads
check says_what_they_are says_what_they_are
check password_is_nowhere password_is_nowhere
check threads_stop_and_start threads_stop_and_start
check primary_reads_for_want_of_replicas primary_reads_for_want_of_replicas
check broken_replication_says_why broken_replication_says_why
check late_replica late_replica
check switch_over switch_over
check no_conflict_was_logged not_logged writer_conflict
check primary_is_killed primary_is_killed
check old_primary_comes_back_writable old_primary_comes_back_writable
check frozen_primary frozen_primary
check processes_have_no_rights processes_have_no_rights
check workers_killed_and_stopped workers_killed_and_stopped
check password_file_open_to_others password_file_open_to_others
check password_changes password_changes
check shown_as_configured shown_as_configured
check words_the_plugin_refuses words_the_plugin_refuses
check missing_right_is_named missing_right_is_named
check heartbeat heartbeat
config 3 | write_config
check reload_back reload
check restart_keeps_the_writer restart_keeps_the_writer

# --- the reference's replication.sql, each half as it stands

halves_are_the_file() {
	expect "the halves" "$( (replication_half master; replication_half slave) | sha256sum)" = \
		"$(sha256sum <"$ROOT/tests/reference/replication.sql")"
}

reference_replicates() {
	wait_writer 1 && wait_readers 2 &&
		expect "the replica's read_only" "$(lab_sql 2 'SELECT @@read_only')" = 0 &&
		expect "primary/db2" "$(last_check primary/db2)" = "L7STS: replica of server id 1 (though it takes writes)" &&
		lab_sql 2 'STOP SLAVE' && wait_readers 1 && expect "where writes go" "$(who_answers 3306 5)" = 1
}

reference_primary_dies() {
	mysql_kill 1 && wait_until 5 "no writer" nothing_is_writable && wait_down primary/db1 &&
		expect "primary/db2, which takes writes" "$(last_check primary/db2)" = \
			"L7STS: replica of server id 1 (though it takes writes)"
}

agent_stop
for i in 1 2 3; do
	mysql_kill "$i"
	rm -rf "$(mysql_dir "$i")"
done
check halves_are_the_file halves_are_the_file
mysql_up 2 reference >"$LAB_DIR/mysql-up.log" 2>&1 ||
	give_up reference_up "$(tail -n 3 "$LAB_DIR/mysql-up.log" | paste -sd ';')"
config 2 | write_config
start
check reference_replicates reference_replicates
check reference_primary_dies reference_primary_dies

# Two that take writes, and nobody who was in service before: neither is.
cold_start_with_two() {
	agent_stop && rm -rf "${LAB_STATE_DIR:?}/$LAB_NAME" "${LAB_STATE_DIR:?}/$LAB_NAME".* && mysql_start 1 &&
		lab_sql 2 'STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0' && start &&
		wait_says primary/db1 'conflict: 2 servers take writes' &&
		wait_says primary/db2 'conflict: 2 servers take writes' &&
		logged 'event=writer_conflict backend=primary writers=2 kept=none' &&
		nothing_is_writable && lab_sql 2 'SET GLOBAL read_only = 1' && wait_writer 1
}

check cold_start_with_two cold_start_with_two
sed 's/^/# /' "$LAB_DIR/figures"
