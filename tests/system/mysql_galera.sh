#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# A Galera cluster of real MariaDB nodes behind two addresses: one of them takes the writes, all of them read. A node
# that is a donor, or cut off from the majority, is out with the reason in words, and its writes go to another.
#
#   client ── balancer :3306 → one node       ┬ backend1 (server id 1, two votes in the cluster)
#                      :3307 → all good nodes ┴ backend2 (2, one vote)       nodes talk at port 4567
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$ROOT/tools/lab.d/topology.sh"
. "$ROOT/tools/lab.d/mysql.sh"

readonly PROVIDER=/usr/lib/galera/libgalera_smm.so NODES=2
# A majority without a member decides within about two seconds, instead of five and more.
readonly TIMING="evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1.5S"
readonly OPTIONS="$TIMING;evs.inactive_timeout=PT6S;evs.install_timeout=PT3S;gcache.size=8M"

mysql_programs_are_there || { skip mysql_galera "mariadb-server is not installed"; exit 0; }
[ -e "$PROVIDER" ] || { skip mysql_galera "galera-4 is not installed"; exit 0; }

# Further arguments are mariadbd's: --wsrep-new-cluster.
node_start() {
	local i=$1 address

	shift
	address=$(mysql_address "$i")
	mysql_start "$i" --binlog-format=ROW --innodb-autoinc-lock-mode=2 --wsrep-on=ON --wsrep-provider="$PROVIDER" \
		--wsrep-cluster-name="$LAB_NAME" --wsrep-node-name="db$i" --wsrep-node-address="$address" \
		--wsrep-cluster-address="gcomm://$(mysql_address 1),$(mysql_address 2)" \
		--wsrep-sst-method=rsync --wsrep-provider-options="base_host=$address;gmcast.listen_addr=tcp://$address:4567;pc.weight=$((NODES + 1 - i));$OPTIONS" \
		"$@"
}

# The first of them is the cluster; the other one gets all its data from it, by rsync.
cluster_up() {
	node_start 1 --wsrep-new-cluster && node_start 2 && wait_until 20 "the cluster to be whole" cluster_is_whole
}

status_of() {
	lab_sql "$1" "SHOW GLOBAL STATUS LIKE '$2'" | cut -f 2
}

cluster_is_whole() {
	local i

	for ((i = 1; i <= NODES; i++)); do
		[ "$(status_of "$i" wsrep_cluster_size)" = "$NODES" ] && [ "$(status_of "$i" wsrep_local_state)" = 4 ] || return
	done
}

config() {
	cat <<CFG
defaults
	mode tcp
	timeout connect 1s
	default-server check inter 200ms rise 1 fall 2

frontend writer
	bind *:3306
	default_backend primary

frontend reader
	bind *:3307
	default_backend nodes

backend primary
	option mysql-check user check password-file $(mysql_password_file) role primary
$(database_servers)

backend nodes
	option mysql-check user check password-file $(mysql_password_file) role replica max-lag 2s
$(database_servers)
CFG
}

database_servers() {
	local i

	for ((i = 1; i <= NODES; i++)); do
		printf '\tserver db%d %s:3306\n' "$i" "$(mysql_address "$i")"
	done
}

db_ask() {
	client timeout 3 mariadb --no-defaults --connect-timeout=2 -h "$VIP4" -P "$1" -u app -papp-password app --batch \
		--skip-column-names -e "$2" 2>&1
}

writer_is() {
	[ "$(db_ask 3306 'SELECT @@server_id')" = "$1" ]
}

readers_are() {
	[ "$(for i in 1 2 3 4; do db_ask 3307 'SELECT @@server_id'; done | sort -u | paste -sd ,)" = "$1" ]
}

wait_writer() {
	wait_until 10 "writes to reach server $1" writer_is "$1"
}

wait_readers() {
	wait_until 10 "reads to reach $1" readers_are "$1"
}

says() {
	[ "$(server_field "$1" last_result)" = "$2" ]
}

wait_says() {
	wait_until 10 "$1 to say '$2'" says "$1" "$2" && return 0
	printf '%s says: %s\n' "$1" "$(server_field "$1" last_result)"
	return 1
}

# --- tests

one_writes_all_read() {
	wait_writer 1 && wait_readers 1,2 &&
		wait_says primary/db1 'L7OK: primary, by choice among the cluster'"'"'s' &&
		wait_says primary/db2 "L7STS: not the cluster's chosen writer" &&
		wait_says nodes/db2 'L7OK: whole member of the cluster' &&
		db_ask 3306 'INSERT INTO t VALUES (1, 1, @@server_id)' &&
		expect "the row on node 2" "$(lab_sql 2 'SET wsrep_sync_wait = 1; SELECT server FROM app.t WHERE id = 1')" = 1
}

no_conflict_is_logged() {
	! grep 'event=writer_conflict' "$LAB_DIR/agent.log"
}

# The state of a node that sends its data to another one, or is backed up: it falls behind, and may.
donor() {
	lab_sql 2 'SET GLOBAL wsrep_desync = ON' && expect "the node's state" "$(status_of 2 wsrep_local_state)" -eq 2 &&
		wait_says nodes/db2 'L7STS: Galera: not synced but Donor/Desynced' && wait_readers 1 &&
		lab_sql 2 'SET GLOBAL wsrep_desync = OFF' && wait_readers 1,2
}

donor_gives_up_the_writes() {
	lab_sql 1 'SET GLOBAL wsrep_desync = ON' && wait_says primary/db1 'L7STS: Galera: not synced but Donor/Desynced' &&
		wait_writer 2 && lab_sql 1 'SET GLOBAL wsrep_desync = OFF' &&
		wait_says primary/db1 "L7STS: not the cluster's chosen writer" && expect "where writes go" \
		"$(db_ask 3306 'SELECT @@server_id')" = 2
}

# Other nodes do not reach it; the balancer and its clients do.
cut_off() {
	lab_in "backend$1" nft -f - <<'NFT'
table inet cut {
	chain in { type filter hook input priority 0; tcp dport 4567 drop; tcp sport 4567 drop; }
	chain out { type filter hook output priority 0; tcp dport 4567 drop; tcp sport 4567 drop; }
}
NFT
}

joined_again() {
	lab_in "backend$1" nft delete table inet cut
}

readonly CUT="L7STS: Galera: cut off from the cluster's majority (wsrep_cluster_status)"

writer_is_cut_off() {
	cut_off 2 && wait_says primary/db2 "$CUT" && wait_says nodes/db2 "$CUT" || return
	expect "the node's own word" "$(status_of 2 wsrep_cluster_status)" = non-Primary || return
	wait_writer 1 && wait_readers 1 && db_ask 3306 'INSERT INTO t VALUES (2, 1, @@server_id)' || return
	joined_again 2
	wait_until 20 "the cluster to be whole" cluster_is_whole && wait_readers 1,2 && writer_is 1
}

# The one that is left has no majority, and is no writer, though its read_only is off. The one that wakes up tells at first
# what it knew before: whoever it is, one takes the writes in the end.
majority_hangs() {
	local pid

	pid=$(mysql_pid 1)
	kill -STOP "$pid"
	wait_says primary/db2 "$CUT" && wait_down primary/db1 && wait_until 15 "nobody to take writes" nobody_writes
	local result=$?
	kill -CONT "$pid"
	((result == 0)) || return "$result"
	wait_until 20 "the cluster to be whole" cluster_is_whole && wait_readers 1,2 &&
		wait_until 10 "a write" writes
}

# Until it knows that it is alone, the one that is left is the whole cluster to itself.
nobody_writes() {
	[[ "$(db_ask 3306 'SELECT 1')" == *ERROR* ]]
}

writes() {
	db_ask 3306 "REPLACE INTO t VALUES (3, 1, @@server_id); SELECT 'written'" | grep -qx written
}

begin --backends "$NODES"
cluster_up >"$LAB_DIR/cluster-up.log" 2>&1 || give_up cluster_up "$(tail -n 3 "$LAB_DIR"/mysql*/error.log | paste -sd ';')"
config | write_config
start
for test in one_writes_all_read donor donor_gives_up_the_writes writer_is_cut_off majority_hangs no_conflict_is_logged; do
	check "$test" "$test"
done
