#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The state directory fails under a running agent: its disk is full, its directory is gone, its file can't be written.
# Nothing of that concerns packets, checks or the operator; it is said and counted, and made good as soon as it can be,
# without anybody asking.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/faults_lib.sh"

readonly PORT=7000

config() {
	write_config <<CFG
global
	state-dir $STATE
	metrics 127.0.0.1:9599
$(quick_defaults)

$(steady_listen dsr "$DSR4" "forward dsr" "balance maglev")
${1:-}
CFG
}

finish_disk() {
	local code=$?

	umount -l "$STATE" 2>/dev/null
	(exit "$code")
	finish
}

metric_grows() {
	[ "$(metric "$1")" -gt "$2" ]
}

saved_is() {
	grep -q "\"$1\"" "$STATE/$LAB_NAME.json"
}

# Fills what is left of the disk.
fill_disk() {
	! dd if=/dev/zero of="$STATE/filler" bs=4096 2>"$LAB_DIR/dd.err"
	grep -q 'No space left' "$LAB_DIR/dd.err"
}

digest() {
	metric 'alwayson_backend_table_digest{backend="dsr"}'
}

begin --dsr --backends 2
DSR4=$(lab_state dsr4)
STATE=$LAB_DIR/disk/state
mkdir -p "$STATE"
mount -t tmpfs -o size=64k,mode=700 alwayson-test "$STATE" || give_up disk "no tmpfs can be mounted"
trap finish_disk EXIT
config
for i in 1 2; do
	steady_serve "$i" $PORT
done
start
load stream stream "$DSR4" $PORT 500
load new new "$DSR4" $PORT 200
before=$(digest)

from_here
check "the disk is full" fill_disk
lab_ctl server drain dsr/node2 >/dev/null
check "a full disk is said" logged 'err event=state_save .*No space left'
check "and counted" wait_until 10 "failures" metric_grows alwayson_state_save_failures_total 0
check "the change is in force all the same" expect "admin state" "$(server_field dsr/node2 admin)" = drain
config "	server node3 192.168.1.101:$PORT disabled"
check "a reload too" reload
check "what was saved before is whole" jq -e . "$STATE/$LAB_NAME.json"
rm "$STATE/filler"
check "there is room again: it is saved without a further change" wait_until 10 "drain in the file" saved_is drain
check "and said" logged 'notice event=state_save .*written again'

# The directory goes, with the secret in it: that of the agent must stay, or all connections would go elsewhere.
from_here
secret=$(cat "$STATE/secret")
umount -l "$STATE" # the agent has it open
rmdir "$STATE"
config
check "a reload without a state directory" reload
lab_ctl server ready dsr/node2 >/dev/null
wait_until 10 "both servers to be up" server_is_up dsr/node2
check "the directory is made anew" wait_until 10 "the state" test -e "$STATE/$LAB_NAME.json"
check "and that is said" logged 'notice event=state_save .*directory of before is gone'
check "with the secret in it" wait_until 5 "the secret" test -e "$STATE/secret"
check "the same secret" expect "secret" "$(cat "$STATE/secret")" = "$secret"
check "a reload leaves the table as it was" reload
check "as the digest says" wait_until 10 "the digest of before" eval '[ "$(digest)" = "$before" ]'
second_agent() {
	expect "exit code" "$(exit_code_of timeout 10 nsenter --net="$(lab_netns_path balancer)" "$LAB_BUILD/alwaysond" \
		-f "$CONFIG" -i eth0 --name "$LAB_NAME")" -eq 1 && grep -q 'already running' "$LAB_DIR/out"
}
check "the lock is there too: no second agent" second_agent

# Root writes whatever the mode is: a directory in the file's way is what it can't write over.
from_here
mkdir "$STATE/$LAB_NAME.json.tmp"
lab_ctl server weight dsr/node2 7 >/dev/null
check "a file that can't be written is said" logged "err event=state_save"
rmdir "$STATE/$LAB_NAME.json.tmp"
check "and made good" logged 'notice event=state_save .*written again'
load_passes
load_check stream "the disk's faults"
load_check new "the disk's faults"

kill -9 "$(agent_pid)"
wait_until 10 "the agent's end" process_is_gone "$(agent_pid)"
start
check "the next agent knows what was set meanwhile" expect "weight" "$(server_field dsr/node2 weight)" -eq 7
agent_stop

# A start.
mv "$STATE" "$STATE.kept"
touch "$STATE"
from_here
start
check "a start without a usable directory works, and says so" logged 'warning event=no_state'
check "its metric says so" expect "alwayson_state_kept" "$(metric alwayson_state_kept)" -eq 0
first=$(digest)
check "a reload keeps the secret that is in memory alone" reload
check "as the digest says" expect "digest" "$(digest)" = "$first"
