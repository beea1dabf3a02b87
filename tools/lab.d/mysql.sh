# SPDX-License-Identifier: BSD-2-Clause
#
# The lab's databases: one private MariaDB in each backend, port 3306, private in every path. backend1 is the primary to
# begin with, the others replicate from it. Sourced by tools/lab and the system tests; needs a lab that is up.
#
#   accounts   check / check-password    may ask for roles and lags, and read the heartbeat (SLAVE MONITOR)
#              app / app-password        everything in the database app
#              repl / repl-password      replicates
#              root                      by the socket, all rights: lab_sql NUMBER 'SQL'
#   tables     app.t (id, term, server), app.heartbeat (ts)
#
# The base image with these is made once a lab and copied: it is in no server's binary log.

MYSQL_PORT=3306

mysql_dir() {
	printf '%s/mysql%d' "$LAB_DIR" "$1"
}

mysql_address() {
	printf '%s.%d' "$LAB_LAN4" $((LAB_FIRST_BACKEND + $1 - 1))
}

mysql_programs_are_there() {
	command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null && command -v mariadb >/dev/null
}

mysql_base_sql() {
	cat <<'SQL'
USE mysql;
FLUSH PRIVILEGES;
CREATE DATABASE app;
CREATE TABLE app.t (id BIGINT PRIMARY KEY, term INT NOT NULL, server INT NOT NULL) ENGINE=InnoDB;
CREATE TABLE app.heartbeat (id INT PRIMARY KEY, ts TIMESTAMP(6) NOT NULL) ENGINE=InnoDB;
CREATE USER 'check'@'%' IDENTIFIED BY 'check-password';
GRANT SLAVE MONITOR ON *.* TO 'check'@'%';
GRANT SELECT ON app.heartbeat TO 'check'@'%';
CREATE USER 'login'@'%' IDENTIFIED BY 'check-password';
CREATE USER 'plain'@'%';
CREATE USER 'app'@'%' IDENTIFIED BY 'app-password';
GRANT ALL ON app.* TO 'app'@'%';
CREATE USER 'repl'@'%' IDENTIFIED BY 'repl-password';
GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';
SQL
}

# The data directory that the servers begin with. Made in about 2 s, and kept in build/ for the next lab with this
# version of the server and this SQL: there it is only copied, as the user mysql may not even look into build/.
mysql_make_base() {
	local base=$LAB_DIR/mysql-base kept

	[ ! -d "$base" ] || return 0
	kept=$LAB_BUILD/mysql-base-$( (mariadbd --version; mysql_base_sql) | sha256sum | cut -c 1-12)
	if [ -d "$kept" ]; then
		cp -a "$kept" "$base"
		return
	fi
	mkdir -p "$base.new"
	chown mysql: "$base.new"
	if ! mariadb-install-db --no-defaults --user=mysql --datadir="$base.new" --skip-test-db \
		--auth-root-authentication-method=socket >"$LAB_DIR/mysql-base.log" 2>&1 ||
		! mysql_base_sql | mariadbd --no-defaults --user=mysql --datadir="$base.new" --bootstrap \
			>>"$LAB_DIR/mysql-base.log" 2>&1; then
		tail -n 5 "$LAB_DIR/mysql-base.log" >&2
		return 1
	fi
	mv "$base.new" "$base"
	# Of two labs at a time one is first; the other's is not needed.
	{ cp -a "$base" "$kept.$$" && mv -T "$kept.$$" "$kept"; } 2>/dev/null || rm -rf "$kept.$$"
}

# Starts server $1; further arguments are mariadbd's. Answers when this returns. It runs in a mount namespace of its
# own, where a hosts file gives the names that tests/reference/replication.sql uses.
mysql_start() {
	local i=$1 dir

	shift
	dir=$(mysql_dir "$i")
	mysql_make_base || return 1
	[ -d "$dir/data" ] || {
		mkdir -p "$dir"
		cp -a "$LAB_DIR/mysql-base" "$dir/data"
		chown mysql: "$dir"
	}
	printf '127.0.0.1 localhost\n%s master_server_ip\n' "$(mysql_address 1)" >"$dir/hosts"
	chmod 644 "$dir/hosts"
	rm -f "$dir/pid"
	# shellcheck disable=SC2016
	setsid nsenter --net="$(lab_netns_path "backend$i")" unshare --mount --propagation private sh -c '
		mount --bind "$0/hosts" /etc/hosts && exec mariadbd "$@"' "$dir" \
		--no-defaults --user=mysql --datadir="$dir/data" --socket="$dir/sock" --pid-file="$dir/pid" \
		--port="$MYSQL_PORT" --bind-address='*' --server-id="$i" --log-bin=mysql-bin --log-slave-updates \
		--log-error="$dir/error.log" --skip-name-resolve --innodb-buffer-pool-size=16M --innodb-log-file-size=8M \
		--innodb-flush-log-at-trx-commit=0 --sync-binlog=0 --slave-net-timeout=10 --table-open-cache=64 \
		--max-connections=100 --skip-slave-start "$@" </dev/null >>"$dir/error.log" 2>&1 9>&- &
	lab_keep_state "mysql$i.pid" $!
	disown $! 2>/dev/null || true
	wait_until 20 "database $i" mysql_answers "$i"
}

mysql_pid() {
	cat "$(mysql_dir "$1")/pid" 2>/dev/null
}

mysql_answers() {
	lab_sql "$1" 'SELECT 1'
}

mysql_is_running() {
	local pid

	pid=$(mysql_pid "$1") && ! process_is_gone "$pid"
}

mysql_stop() {
	local pid

	pid=$(mysql_pid "$1") || return 0
	kill -CONT "$pid" 2>/dev/null || true
	end_process "$pid" 10
}

mysql_kill() {
	local pid

	pid=$(mysql_pid "$1") || return 0
	kill -9 "$pid" 2>/dev/null || true
	wait_until 5 "the end of database $1" process_is_gone "$pid"
}

# SQL as root on server $1, over its socket; prints rows without a header.
lab_sql() {
	mariadb --no-defaults --socket="$(mysql_dir "$1")/sock" --user=root --batch --skip-column-names -e "$2"
}

# Server $1 takes writes and follows nobody.
mysql_promote() {
	lab_sql "$1" "STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0"
}

mysql_demote() {
	lab_sql "$1" "SET GLOBAL read_only = 1"
}

# Server $1 follows server $2, by GTID.
mysql_follow() {
	lab_sql "$1" "SET GLOBAL read_only = 1; STOP SLAVE;
		CHANGE MASTER TO MASTER_HOST='$(mysql_address "$2")', MASTER_PORT=$MYSQL_PORT, MASTER_USER='repl',
			MASTER_PASSWORD='repl-password', MASTER_USE_GTID=${3:-slave_pos}, MASTER_CONNECT_RETRY=1;
		START SLAVE"
}

# The halves of the reference's replication.sql, as they stand: master or slave.
replication_half() {
	local file=$LAB_ROOT/tests/reference/replication.sql

	case $1 in
	master) sed -n '/^-- On the master/,/^-- On the slave/p' "$file" | sed '$d' ;;
	slave) sed -n '/^-- On the slave/,$p' "$file" ;;
	esac
}

# Server 1 is the primary, 2..$1 replicate from it: by GTID, or with $2 = reference as replication.sql says.
mysql_up() {
	local count=$1 how=${2:-gtid} i

	mysql_make_base || return 1
	for ((i = 1; i <= count; i++)); do
		mysql_start "$i" || return 1
	done
	if [ "$how" = reference ]; then
		replication_half master | mariadb --no-defaults --socket="$(mysql_dir 1)/sock" --user=root || return 1
	fi
	for ((i = 2; i <= count; i++)); do
		if [ "$how" = reference ]; then
			replication_half slave | mariadb --no-defaults --socket="$(mysql_dir "$i")/sock" --user=root
		else
			mysql_follow "$i" 1
		fi || return 1
	done
	lab_keep_state mysql "$count"
	for ((i = 2; i <= count; i++)); do
		wait_until 20 "replication of database $i" mysql_replicates "$i" || return 1
	done
}

# Column  of server 's replication, such as Slave_IO_Running.
mysql_replication() {
	mariadb --no-defaults --socket="$(mysql_dir "$1")/sock" --user=root --vertical -e "SHOW SLAVE STATUS" |
		sed -n "s/^ *$2: //p"
}

mysql_replicates() {
	[ "$(mysql_replication "$1" Slave_IO_Running)" = Yes ] && [ "$(mysql_replication "$1" Slave_SQL_Running)" = Yes ]
}

mysql_down() {
	local i

	for ((i = 1; i <= $(lab_state mysql || echo 0); i++)); do
		mysql_stop "$i"
	done
	rm -rf "$LAB_DIR"/mysql[0-9]* "$LAB_DIR"/mysql-base* "$LAB_DIR/state/mysql"
}

# The password file of the check's user, as the agent wants it; prints its path.
mysql_password_file() {
	local file=$LAB_DIR/mysql.password

	[ -e "$file" ] || (umask 077 && printf 'check-password\n' >"$file")
	printf '%s' "$file"
}

# Writes to one address, reads from another: the configuration that `tools/lab mysql up` runs.
mysql_config() {
	local i servers=''

	for ((i = 1; i <= $1; i++)); do
		servers+="	server db$i $(mysql_address "$i"):$MYSQL_PORT"$'\n'
	done
	cat <<CFG
defaults
	mode tcp
	timeout connect 2s
	default-server check inter 500ms rise 2 fall 3

frontend writer
	bind *:3306
	default_backend primary

frontend reader
	bind *:3307
	default_backend replicas

backend primary
	option mysql-check user check password-file $(mysql_password_file) role primary
$servers
backend replicas
	option mysql-check user check password-file $(mysql_password_file) role replica or-primary max-lag 10s
$servers
CFG
}

# One line a server: what it is, and what it says of its replication.
mysql_show() {
	local i state

	for ((i = 1; i <= $(lab_state mysql || echo 0); i++)); do
		state='does not run'
		if mysql_is_running "$i"; then
			state=$(timeout 2 mariadb --no-defaults --socket="$(mysql_dir "$i")/sock" --user=root --batch \
				--skip-column-names -e "SELECT IF(@@read_only, 'read only', 'takes writes')" 2>&1) ||
				state='does not answer'
			[ -z "$(mysql_replication "$i" Master_Host 2>/dev/null)" ] ||
				state+=", replicates: IO $(mysql_replication "$i" Slave_IO_Running), SQL $(mysql_replication "$i" \
					Slave_SQL_Running), $(mysql_replication "$i" Seconds_Behind_Master) s behind"
		fi
		printf 'mariadb %-3d %-21s %s\n' "$i" "$(mysql_address "$i"):$MYSQL_PORT" "$state"
	done
	printf "socket      %s/mysqlN/sock, user root; users app, check, repl: see tools/lab.d/mysql.sh\n" "$LAB_DIR"
}
