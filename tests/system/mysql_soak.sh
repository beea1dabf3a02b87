#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A writer and eight readers at work through the two addresses of a primary and two replicas, while the primary is
# killed, frozen, demoted, and replicas are stopped, delayed, broken and restarted, in random order. The driver is the
# operator: it fences before it promotes. LONG=1: ten minutes, or SOAK_SECONDS; else each of these once. SEED=N repeats an
# order. The figures are in one line that begins with `soak:`.
#
# What must hold, by what the clients were told (tests/system/mysql_load.c) and what the servers have kept:
#   - no write is acknowledged by another server than the term's primary;
#   - no acknowledged write is missing on the server that acknowledged it;
#   - no read is older than max-lag and one check round.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$ROOT/tools/lab.d/topology.sh"
. "$ROOT/tools/lab.d/mysql.sh"

mysql_programs_are_there || { skip mysql_soak "mariadb-server is not installed"; exit 0; }

readonly READERS=8 MAX_LAG_MS=3000 INTER_MS=200
# One check round, and what a busy machine adds to it: checks, the read itself, the clocks of three threads.
readonly ROUND_MS=$((2 * INTER_MS)) NOISE_MS=1500
readonly LAG_WORDS="max-lag ${MAX_LAG_MS}ms lag-source heartbeat app.heartbeat"
SECONDS_TO_RUN=0 # each once
[ -z "${LONG:-}" ] || SECONDS_TO_RUN=${SOAK_SECONDS:-600}
RANDOM=${SEED:-$$}
seed=${SEED:-$$}

config() {
	cat <<CFG
defaults
	mode tcp
	timeout connect 1s
	default-server check inter ${INTER_MS}ms rise 1 fall 2

frontend writer
	bind *:3306
	default_backend primary

frontend reader
	bind *:3307
	default_backend replicas

backend primary
	option mysql-check user check password-file $(mysql_password_file) role primary
$(database_servers)

backend replicas
	option mysql-check user check password-file $(mysql_password_file) role replica $LAG_WORDS
$(database_servers)
CFG
}

database_servers() {
	local i

	for i in 1 2 3; do
		printf '\tserver db%d %s:3306\n' "$i" "$(mysql_address "$i")"
	done
}

# --- the driver

primary=1

others() {
	local i

	for i in 1 2 3; do
		[ "$i" = "$primary" ] || printf '%d\n' "$i"
	done
}

# term TIME SERVER: from then on, and no earlier, that server may acknowledge. no-term TIME: nobody may from then on.
note() {
	printf '%s %s %s\n' "$1" "$(now_ms)" "${2:-}" >>"$TERMS"
}

# Where a replica is: the sequence number of its last transaction.
position() {
	lab_sql "$1" "SELECT SUBSTRING_INDEX(@@gtid_slave_pos, '-', -1)"
}

has_applied_all() {
	[[ "$(mysql_replication "$1" Slave_SQL_Running_State)" == "Slave has read all relay log"* ]]
}

# The replica that has got furthest takes over; the other one follows it.
promote_another() {
	local candidate other

	mapfile -t rest < <(others)
	for other in "${rest[@]}"; do
		lab_sql "$other" "STOP SLAVE IO_THREAD"
		wait_until 5 "database $other to apply what it has" has_applied_all "$other"
	done
	candidate=${rest[$((RANDOM % 2))]}
	for other in "${rest[@]}"; do
		[ "$(position "$other")" -le "$(position "$candidate")" ] || candidate=$other
	done
	for other in "${rest[@]}"; do
		[ "$other" = "$candidate" ] || mysql_follow "$other" "$candidate"
	done
	note term "$candidate"
	mysql_promote "$candidate"
	note promoted "$candidate"
	primary=$candidate
}

# An old primary that may hold what nobody else has: it stays as a replica of the new one from where that one is.
rejoin() {
	lab_sql "$1" "STOP SLAVE; SET GLOBAL read_only = 1; RESET MASTER;
		SET GLOBAL gtid_slave_pos = '$(lab_sql "$primary" 'SELECT @@gtid_current_pos')'" && mysql_follow "$1" "$primary"
}

server_up_again() {
	mysql_start "$1" --innodb-flush-log-at-trx-commit=2 --sync-binlog=0 --read-only=1
}

act_kill() {
	local old=$primary

	mysql_kill "$old"
	note no-term
	promote_another
	server_up_again "$old" && rejoin "$old"
}

act_freeze() {
	local old=$primary pid

	pid=$(mysql_pid "$old")
	kill -STOP "$pid"
	wait_down "primary/db$old"
	# The fence: what it received and has not done yet, it never will.
	kill -9 "$pid"
	wait_until 5 "the end of database $old" process_is_gone "$pid"
	note no-term
	promote_another
	server_up_again "$old" && rejoin "$old"
}

act_demote() {
	local old=$primary

	mysql_demote "$old"
	note no-term
	promote_another
	rejoin "$old"
}

act_stop_threads() {
	mapfile -t rest < <(others)
	lab_sql "${rest[$((RANDOM % 2))]}" 'STOP SLAVE'
	sleep 1
	lab_sql "${rest[0]}" 'START SLAVE'
	lab_sql "${rest[1]}" 'START SLAVE'
}

act_delay() {
	local which

	mapfile -t rest < <(others)
	which=${rest[$((RANDOM % 2))]}
	lab_sql "$which" 'STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 20; START SLAVE'
	wait_until 10 "the late replica to be out" server_is_down "replicas/db$which"
	lab_sql "$which" 'STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE'
}

# A table that is there no more: replication stops with an error, as it does for a row that differs.
act_break() {
	local which

	mapfile -t rest < <(others)
	which=${rest[$((RANDOM % 2))]}
	lab_sql "$primary" 'CREATE TABLE IF NOT EXISTS app.broken (id INT PRIMARY KEY)' &&
		wait_until 10 "the table on database $which" lab_sql "$which" 'SELECT 1 FROM app.broken LIMIT 1' &&
		lab_sql "$which" 'SET sql_log_bin = 0; DROP TABLE app.broken' &&
		lab_sql "$primary" 'REPLACE INTO app.broken VALUES (1)' &&
		wait_until 10 "the broken replica to be out" server_is_down "replicas/db$which" &&
		lab_sql "$which" 'SET sql_log_bin = 0; CREATE TABLE app.broken (id INT PRIMARY KEY); START SLAVE'
}

act_restart_replica() {
	mapfile -t rest < <(others)
	mysql_kill "${rest[0]}"
	server_up_again "${rest[0]}" && lab_sql "${rest[0]}" 'START SLAVE'
}

all_is_well() {
	local i

	server_is_up "primary/db$primary" || return
	for i in $(others); do
		server_is_up "replicas/db$i" || return
	done
}

# Does it, and waits until it is over.
act() {
	"$1" || { printf "%s fails\n" "$1"; return 1; }
	printf '%s\n' "${1#act_}" >>"$ACTS"
	wait_until 20 "all to be well after $1" all_is_well
}

drive() {
	local actions=(act_kill act_freeze act_demote act_stop_threads act_delay act_break act_restart_replica) end action

	end=$(($(now_ms) + SECONDS_TO_RUN * 1000))
	# Each at least once in a short run, in random order; then at random.
	for action in $(printf '%s\n' "${actions[@]}" | shuf --random-source=<(yes "$seed")); do
		act "$action" || return
	done
	while (($(now_ms) < end)); do
		action=${actions[$((RANDOM % ${#actions[@]}))]}
		act "$action" || return
	done
}

# --- what must hold

# Every acknowledgement is of the server whose term it was when the statement was sent, or acknowledged.
acks_of_the_terms_primary() {
	awk '
		FILENAME == ARGV[1] && $1 == "term" { n++; from[n] = $2; server[n] = $3 }
		FILENAME == ARGV[1] && $1 == "no-term" { to[n] = $2 }
		FILENAME == ARGV[2] && $1 == "ack" {
			good = 0
			for (i = 1; i <= n; i++)
				if (server[i] == $5 && $2 >= from[i] && (!(i in to) || $3 <= to[i]))
					good = 1
			if (!good && bad++ < 5)
				print "server " $5 " acknowledged " $4 " sent " $3 ", acknowledged " $2
			acks++
		}
		END { print acks + 0 " acknowledgements, " bad + 0 " of the wrong server"; exit bad > 0 || !acks }' "$TERMS" "$LOAD"
}

acks_are_kept() {
	local i missing bad=0

	for i in 1 2 3; do
		lab_sql "$i" 'SELECT id FROM app.t WHERE id > 1000000' | sort >"$LAB_DIR/kept"
		awk -v server="$i" '$1 == "ack" && $5 == server { print $4 }' "$LOAD" | sort >"$LAB_DIR/acked"
		missing=$(comm -13 "$LAB_DIR/kept" "$LAB_DIR/acked" | wc -l)
		((missing == 0)) || { printf 'server %d has not kept %d rows that it acknowledged\n' "$i" "$missing"; bad=1; }
	done
	return "$bad"
}

reads_are_fresh() {
	awk -v limit=$((MAX_LAG_MS + ROUND_MS + NOISE_MS)) '
		$1 == "read" { reads++; if ($3 > oldest) oldest = $3; if ($3 > limit) bad++ }
		END {
			print reads + 0 " reads, the oldest " oldest + 0 " ms, " bad + 0 " beyond " limit " ms"
			exit bad > 0 || !reads
		}' "$LOAD"
}

# How long after each promotion the first acknowledgement came: a number of milliseconds, or `never`, a line each.
failover_ms() {
	awk '
		FILENAME == ARGV[1] && $1 == "promoted" { n++; at[n] = $2; server[n] = $3 }
		FILENAME == ARGV[2] && $1 == "ack" {
			for (i = 1; i <= n; i++)
				if (!(i in took) && server[i] == $5 && $2 >= at[i])
					took[i] = $2 - at[i]
		}
		END { for (i = 1; i <= n; i++) print ((i in took) ? took[i] : "never") }' "$TERMS" "$LOAD"
}

each_failover_found_its_writer() {
	! failover_ms | grep never
}

# All figures in one line. The goal of a failover's time is told, not asserted: the machine has its share in it.
report() {
	local failovers

	failovers=$(failover_ms | sort -n | awk '
		{ ms[NR] = $1; late += $1 == "never" || $1 > 1000 }
		END { if (NR) printf "%d failovers, median %s ms, longest %s ms, %d beyond 1 s", NR, ms[int((NR + 1) / 2)], ms[NR], late }')
	printf 'soak: %d s, %d faults (%s); %s; %s; without a writer after a promotion: %s; %d writes and %d reads got no answer\n' \
		"$((($(now_ms) - started_ms) / 1000))" "$(wc -l <"$ACTS")" \
		"$(sort "$ACTS" | uniq -c | awk '{ printf "%s%s %d", (NR > 1 ? ", " : ""), $2, $1 }')" \
		"$(acks_of_the_terms_primary | tail -n 1)" "$(reads_are_fresh)" "$failovers" \
		"$(grep -c '^lost.*w$' "$LOAD")" "$(grep -c '^lost.*r$' "$LOAD")"
}

no_writer_conflict() {
	! grep 'event=writer_conflict ' "$LAB_DIR/agent.log"
}

begin --backends 3
TERMS=$LAB_DIR/terms LOAD=$LAB_DIR/load ACTS=$LAB_DIR/acts
: >"$ACTS"
mysql_up 3 >"$LAB_DIR/mysql-up.log" 2>&1 || give_up mysql_up "$(tail -n 3 "$LAB_DIR/mysql-up.log" | paste -sd ';')"
for i in 1 2 3; do
	lab_sql "$i" 'SET GLOBAL innodb_flush_log_at_trx_commit = 2'
done
lab_sql 1 'REPLACE INTO app.heartbeat VALUES (1, NOW(6))'
config | write_config
start
wait_until 10 "all to be well" all_is_well || give_up all_is_well "the servers do not come up"
note term 1
started_ms=$(now_ms)
nsenter --net="$(lab_netns_path client)" "$LAB_BUILD/tests/system/mysql_load" "$VIP4" 3306 3307 "$READERS" >"$LOAD" 2>&1 &
load=$!
wait_until 10 "the first write" grep -q '^ack' "$LOAD" || give_up load "no write is acknowledged"
check "drive_seed_$seed" drive
end_process "$load" 10
check acks_of_the_terms_primary acks_of_the_terms_primary
check acks_are_kept acks_are_kept
check reads_are_fresh reads_are_fresh
check each_failover_found_its_writer each_failover_found_its_writer
check no_writer_conflict no_writer_conflict
report
