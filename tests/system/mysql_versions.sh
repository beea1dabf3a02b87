#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# What the MySQL plugin makes of servers that Debian does not have: a stand-in (mysql_standin.c) plays MySQL 5.7, 8.0,
# 8.4, a replication group, a Galera node, and servers that are broken. One check each, by alwayson-checker --try, in a
# network namespace with a loopback only.
if [ -z "${STANDIN_NETNS:-}" ]; then
	STANDIN_NETNS=1 exec unshare --net bash "$0"
fi
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ip link set lo up
DIR=$(mktemp -d)
PORT=3306
SCRIPT=$DIR/script

clean_up() {
	local code=$?

	jobs_end
	rm -rf "$DIR"
	[ "$failures" = 0 ] || exit 1
	exit "$code"
}
trap clean_up EXIT

standin() {
	cat >"$SCRIPT"
}

# What a check finds out, on one line: code, text, role, ids, lag.
try() {
	ALWAYSON_SECRET=${SECRET:-secret} ALWAYSON_TIMEOUT_MS=${TIMEOUT_MS:-3000} "$LAB_BUILD/alwayson-checker" --try mysql \
		127.0.0.1 "$PORT" user check "$@" 2>&1 | awk '{ key = $1; $1 = ""; sub(/^ /, ""); printf "%s=%s;", key, $0 }'
}

# finds EXPECTED WORDS...: the parts of EXPECTED must all be there.
finds() {
	local part found

	found=$(try "${@:2}")
	while IFS= read -r -d ';' part; do
		[[ ";$found" == *";$part;"* ]] || {
			printf 'lacks %s: %s\n' "$part" "$found"
			return 1
		}
	done <<<"$1;"
}

variables() {
	cat <<SCRIPT
auth ${AUTH:-native}
password secret
version $1
query SHOW GLOBAL VARIABLES
cols Variable_name Value
row server_id 2
row read_only ${READ_ONLY:-ON}
row server_uuid aaaa-2
row version $1
${MORE:-}
SCRIPT
}

mysql57() {
	variables 5.7.44-log
	cat <<'SCRIPT'
query SHOW SLAVE STATUS
cols Slave_IO_State Master_Host Slave_IO_Running Slave_SQL_Running Last_Error Seconds_Behind_Master Last_IO_Error Last_SQL_Error Master_Server_Id Channel_Name
row Waiting 192.0.2.1 Yes Yes . 3 . . 1 .
SCRIPT
}

mysql80() {
	variables "${1:-8.0.36}"
	cat <<SCRIPT
query SHOW REPLICA STATUS
cols Replica_IO_State Source_Host Replica_IO_Running Replica_SQL_Running Last_Error Seconds_Behind_Source Last_IO_Error Last_SQL_Error Source_Server_Id Channel_Name
row Waiting 192.0.2.1 Yes Yes . 0 . . 1 .
${CHANNEL:-}
SCRIPT
}

says_57() {
	mysql57 | standin
	finds 'code=passed;role=replica replicating;server-id=2;source-id=1;lag-ms=3000' ask
}

says_80() {
	mysql80 | standin
	finds 'code=passed;role=replica replicating;server-id=2;source-id=1;lag-ms=0' ask
}

says_84_primary() {
	READ_ONLY=OFF variables 8.4.3 >"$SCRIPT"
	printf 'query SHOW REPLICA STATUS\ncols Replica_IO_State\n' >>"$SCRIPT"
	finds 'code=passed;role=writable;server-id=2' ask
}

super_read_only_counts() {
	READ_ONLY=OFF MORE='row super_read_only ON' mysql80 | standin
	finds 'role=replica replicating' ask
}

channels() {
	CHANNEL='row Waiting 192.0.2.9 Yes Yes . 7 . . 9 dc2' mysql80 | standin
	finds 'source-id=1;lag-ms=7000' ask && finds 'lag-ms=7000' ask channel dc2 &&
		CHANNEL='row Waiting 192.0.2.9 Yes No . \N . dead 9 dc2' mysql80 | standin &&
		finds 'text=channel dc2: the SQL thread does not run: dead;role=replica' ask &&
		finds "text=there is no replication channel 'dc3';role=replica" ask channel dc3
}

connecting() {
	mysql80 | sed 's/^row Waiting 192.0.2.1 Yes Yes . 0 . ./row Connecting 192.0.2.1 Connecting Yes . \\N refused ./' |
		standin
	finds 'code=passed;text=no connection to the source, lag not known: refused;role=replica replicating' ask
}

missing_right() {
	variables 8.0.36 >"$SCRIPT"
	printf 'query SHOW REPLICA STATUS\nerror 1227 Access denied; you need the REPLICATION CLIENT privilege\n' >>"$SCRIPT"
	finds "code=refused;text=a right is missing: GRANT REPLICATION CLIENT ON *.* TO the check's user" ask
}

group_member() {
	printf 'query SELECT * FROM performance_schema.replication_group_members\ncols MEMBER_ID MEMBER_STATE MEMBER_ROLE\n'
	printf 'row aaaa-1 %s PRIMARY\nrow aaaa-2 %s SECONDARY\nrow aaaa-3 %s SECONDARY\n' "$1" "$2" "$3"
	printf 'query SELECT COALESCE(MAX(TIMESTAMPDIFF\ncols lag\nrow 1500000\n'
	printf 'query SHOW REPLICA STATUS\ncols Replica_IO_State Channel_Name Replica_IO_Running Replica_SQL_Running\n'
	printf 'row . group_replication_applier Yes Yes\n'
}

replication_group() {
	export MORE='row group_replication_group_name bbbb'
	(variables 8.0.36 && group_member ONLINE ONLINE ONLINE) | standin
	finds 'code=passed;role=clustered;lag-ms=1500' ask || return
	(variables 8.0.36 && group_member UNREACHABLE ONLINE UNREACHABLE) | standin
	finds 'text=group replication: 1 of 3 members, no quorum;role=cluster-broken' ask || return
	(variables 8.0.36 && group_member ONLINE RECOVERING ONLINE) | standin
	finds 'text=group replication: this member is RECOVERING;role=cluster-broken' ask
}

galera_node() {
	READ_ONLY=OFF MORE='row wsrep_provider /usr/lib/galera/libgalera_smm.so' variables 10.11.6-MariaDB-log
	cat <<SCRIPT
query SHOW GLOBAL STATUS
cols Variable_name Value
row wsrep_cluster_status $1
row wsrep_local_state $2
row wsrep_local_state_comment $3
row wsrep_ready $4
row wsrep_cluster_state_uuid cccc
query SHOW ALL SLAVES STATUS
cols Connection_name
SCRIPT
}

galera() {
	galera_node Primary 4 Synced ON | standin
	finds 'code=passed;role=writable clustered' ask || return
	galera_node Primary 2 Donor/Desynced ON | standin
	finds 'text=Galera: not synced but Donor/Desynced;role=cluster-broken' ask || return
	galera_node non-Primary 4 Synced OFF | standin
	finds "text=Galera: cut off from the cluster's majority (wsrep_cluster_status);role=cluster-broken" ask
}

sha2_logins() {
	AUTH=fast variables 8.0.36 | standin
	finds 'code=passed' && AUTH=full variables 8.0.36 | standin && finds 'code=passed' &&
		SECRET=wrong finds "code=refused;text=Access denied for user 'check'@'127.0.0.1' (using password: YES)"
}

good_bye_is_said() {
	local before

	before=$(grep -c quit "$DIR/out")
	variables 8.0.36 | standin
	finds 'code=passed' && wait_until 3 "COM_QUIT" quits_grow "$before"
}

quits_grow() {
	[ "$(grep -c quit "$DIR/out")" -gt "$1" ]
}

# A broken server costs its own check: bounded in time and size, with the right name.
broken_servers() {
	local start_ms

	start_ms=$(now_ms)
	printf 'behaviour silent\n' | standin
	TIMEOUT_MS=300 finds 'code=timeout;text=no answer to the login in time' || return
	(variables 8.0.36 && printf 'behaviour login-hang\n') | standin
	TIMEOUT_MS=300 finds 'code=timeout;text=no answer to the login in time' || return
	printf 'behaviour garbage\n' | standin
	TIMEOUT_MS=1000 try >"$DIR/garbage"
	grep -Eq '^code=(bad-answer|timeout);' "$DIR/garbage" || { cat "$DIR/garbage"; return 1; }
	(mysql80 && printf 'behaviour flood\n') | standin
	finds 'code=bad-answer;text=an answer of more than 512 rows' ask &&
		expect "ms for all of them" $(($(now_ms) - start_ms)) -le 20000
}

beat() {
	printf 'query SELECT TIMESTAMPDIFF(MICROSECOND, MAX(ts), NOW(6)) FROM `ops`.`beat`\n%b\n' "$1"
}

heartbeat_table() {
	(mysql80 && beat 'cols lag\nrow 2500000') | standin
	finds 'role=replica replicating;lag-ms=2500' ask heartbeat ops.beat &&
		(mysql80 && beat 'error 1142 SELECT command denied') | standin &&
		finds 'code=refused;text=query: SELECT command denied' ask heartbeat ops.beat &&
		(mysql80 && beat 'cols lag\nrow \\N') | standin &&
		finds 'text=the heartbeat table is empty;role=replica replicating' ask heartbeat ops.beat
}

: >"$SCRIPT"
"$LAB_BUILD/tests/system/mysql_standin" "$PORT" "$SCRIPT" >"$DIR/out" 2>&1 &
wait_until 5 "the stand-in" grep -q listening "$DIR/out" || give_up standin "$(cat "$DIR/out")"
for test in says_57 says_80 says_84_primary super_read_only_counts channels connecting missing_right replication_group \
	galera sha2_logins good_bye_is_said heartbeat_table broken_servers; do
	check "$test" "$test"
done
