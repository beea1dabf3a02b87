# SPDX-License-Identifier: BSD-2-Clause
#
# `make demo`: the reference configuration, byte for byte, under real requests; one server is killed and comes back.
# Sourced by tools/lab, which has the verbs it is made of. Ends with a table, and fails when that is not as promised.

readonly DEMO_REQUESTS=1000 DEMO_RATE=100 DEMO_STREAM_MAX=3000 DEMO_FILE=100M

demo_broken=0

# A promise: promise WHAT LEFT OP RIGHT (test's operators).
promise() {
	test "$2" "$3" "$4" && return
	demo_table+=$(printf '\nNOT AS PROMISED: %s is %s, promised %s %s' "$1" "$2" "$3" "$4")
	demo_broken=1
}

# One line of the table: row LABEL REQUESTS NODE1 NODE2 FAILED SECONDS_IN_MS
row() {
	demo_table+=$(printf '\n%-34s %9d %7d %7d %7d %7d.%d s %7d/s' "$1" "$2" "$3" "$4" "$5" \
		$(($6 / 1000)) $(($6 % 1000 / 100)) $(($2 * 1000 / ($6 > 0 ? $6 : 1))))
}

# Phase of the stream between two moments: stream_row LABEL FROM_MS TO_MS
stream_row() {
	local counts=() word

	for word in "" node1 node2 failed; do
		counts+=("$(stream_count "$demo_stream" "$2" "$3" "$word")")
	done
	row "$1" "${counts[@]}" $(($3 - $2))
}

demo() {
	demo_table=$(printf '%-34s %9s %7s %7s %7s %11s %9s' '' requests node1 node2 failed time rate)
	check_machine
	agent_is_built || die "$EXIT_FAILED" "$LAB_BUILD/alwaysond is not built; run: make"
	lock
	! lab_is_whole || die "$EXIT_FAILED" "lab $LAB_ID is up already; take it down first, or use another --id"
	! lab_exists || tear_down
	trap demo_end EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP

	bring_up
	lab_say "192.168.1.0/24: client .2, balancer .10, node1 .100, node2 .101, each a network namespace"
	lab_say "running in the balancer: alwaysond -f $config -i eth0 --name $LAB_NAME"
	demo_balance
	demo_failover
	demo_transfer
	printf '\n'
	lab_ctl show servers
	printf '\n%s\n\n' "$demo_table"
	[ "$demo_broken" = 0 ] || exit "$EXIT_FAILED"
}

# Always cleans up; when something went wrong, the agent's log says what.
demo_end() {
	local code=$?

	trap - EXIT
	if [ "$code" != 0 ] && lab_is_whole; then
		agent_log_tail 30 >&2
	fi
	stream_end
	tear_down || code=$EXIT_FAILED
	remove_lock
	exit "$code"
}

demo_balance() {
	local answers=$LAB_DIR/answers start_ms took_ms node1 node2 failed

	lab_say "$DEMO_REQUESTS requests to http://$(lab_state vip4)/, one after the other, a connection each"
	start_ms=$(now_ms)
	get "http://$(lab_state vip4)/" "$DEMO_REQUESTS" >"$answers"
	took_ms=$(($(now_ms) - start_ms))
	node1=$(count_answers node1 <"$answers")
	node2=$(count_answers node2 <"$answers")
	failed=$(count_answers failed <"$answers")
	row "all is well" "$((node1 + node2 + failed))" "$node1" "$node2" "$failed" "$took_ms"
	promise "the number of answers" $((node1 + node2)) -eq "$DEMO_REQUESTS"
	promise "node1's share of $DEMO_REQUESTS" "$node1" -ge $((DEMO_REQUESTS / 2 - 1))
	promise "node1's share of $DEMO_REQUESTS" "$node1" -le $((DEMO_REQUESTS / 2 + 1))
}

demo_failover() {
	local start_ms kill_ms down_ms back_ms up_ms end_ms

	demo_stream=$LAB_DIR/stream
	lab_say "$DEMO_RATE requests a second; meanwhile node1's web server is stopped"
	start_ms=$(now_ms)
	stream "$demo_stream" "$DEMO_RATE" "$DEMO_STREAM_MAX" "http://$(lab_state vip4)/"
	stream_wait_more "$demo_stream" 200 10
	# A request that is under way at the moment of the stop belongs to what comes after it.
	kill_ms=$(($(now_ms) - 20))
	server_stop 1
	wait_until 15 "the check to notice that node1 is down" server_is_down nodes/node1
	down_ms=$(now_ms)
	lab_say "noticed after $((down_ms - kill_ms)) ms"
	stream_wait_more "$demo_stream" 200 10
	lab_say "node1's web server is started again"
	back_ms=$(now_ms)
	server_start 1 9>&-
	wait_until 15 "the check to notice that node1 is back" server_is_up nodes/node1
	up_ms=$(server_since_ms nodes/node1)
	lab_say "noticed after $((up_ms - back_ms)) ms"
	stream_wait_more "$demo_stream" 400 10
	end_ms=$(now_ms)
	stream_end

	stream_row "$DEMO_RATE a second, all is well" "$start_ms" "$kill_ms"
	stream_row "node1 stopped, not noticed yet" "$kill_ms" "$down_ms"
	stream_row "node1 noticed as down" "$down_ms" "$up_ms"
	stream_row "node1 noticed as up again" "$up_ms" "$end_ms"
	demo_failover_promises "$start_ms" "$kill_ms" "$down_ms" "$back_ms" "$up_ms" "$end_ms"
}

# The moments, in order: start, kill, down, back, up, end.
demo_failover_promises() {
	local all half

	promise "the number of failures before the stop" "$(stream_count "$demo_stream" "$1" "$2" failed)" -eq 0
	promise "the number of failures after detection" "$(stream_count "$demo_stream" "$3" "$6" failed)" -eq 0
	promise "node1's share while it was stopped" "$(stream_count "$demo_stream" "$3" "$4" node1)" -eq 0
	all=$(stream_count "$demo_stream" "$5" "$6")
	half=$((all / 2))
	promise "node1's share of $all at the end" "$(stream_count "$demo_stream" "$5" "$6" node1)" -ge $((half - 2))
	promise "node1's share of $all at the end" "$(stream_count "$demo_stream" "$5" "$6" node1)" -le $((half + 2))
}

demo_transfer() {
	local name start_ms took_ms

	name=$(server_file "$DEMO_FILE")
	start_ms=$(now_ms)
	lab_in client curl -sf -m 20 -o "$LAB_DIR/download" "http://$(lab_state vip4)/file/$name" || true
	took_ms=$(($(now_ms) - start_ms))
	demo_table+=$(printf '\n%-34s %58s' "a file of ${DEMO_FILE}B" "$took_ms ms, $((105 * 1000 / took_ms)) MB/s")
	promise "its checksum" "$(sha256_of "$LAB_DIR/download")" = "$(sha256_of "$LAB_DIR/files/$name")"
}
