# SPDX-License-Identifier: BSD-2-Clause
#
# alwaysond in the lab's balancer, and what is asked of it through alwayson. Sourced by tools/lab and the system tests.
# One agent a lab: instance name lab-ID, log in agent.log, configuration agent.cfg.

agent_is_built() {
	[ -x "$LAB_BUILD/alwaysond" ] && [ -x "$LAB_BUILD/alwayson" ]
}

# The command line interface, aimed at this lab's agent. -j goes in front of the verb: lab_ctl -j show servers.
lab_ctl() {
	lab_in balancer "$LAB_BUILD/alwayson" --name "$LAB_NAME" "$@"
}

# Starts the agent with configuration file $1 (copied, byte for byte) and further arguments; does not wait.
agent_start() {
	local config=$1 nic nics=()

	shift
	for nic in $(lab_state nics); do
		nics+=(-i "$nic")
	done
	[ "$config" = "$LAB_DIR/agent.cfg" ] || cp "$config" "$LAB_DIR/agent.cfg"
	if mkdir -m 700 "$LAB_STATE_DIR" 2>/dev/null; then
		touch "$LAB_STATE_DIR/.lab"
	fi
	setsid nsenter --net="$(lab_netns_path balancer)" "$LAB_BUILD/alwaysond" -f "$LAB_DIR/agent.cfg" "${nics[@]}" \
		--name "$LAB_NAME" "$@" </dev/null >>"$LAB_DIR/agent.log" 2>&1 9>&- &
	lab_keep_state agent.pid $!
	disown $! 2>/dev/null || true
}

agent_pid() {
	lab_state agent.pid
}

agent_is_running() {
	local pid

	pid=$(agent_pid) && ! process_is_gone "$pid"
}

# Ready: the agent answers, steers, and every server that is checked has its first result. jq takes more time than all
# else together, and has none while a look at the answer is enough.
agent_is_ready() {
	local status servers

	status=$(lab_ctl -j status) && [[ $status == *'"ready":true'* ]] && servers=$(lab_ctl -j show servers) || return
	printf '%s\n' "$status" "$servers" | jq -es '
		([.[0].interfaces[] | select(.mode != "detached")] | length > 0) and
		([.[1].servers[] | select(.state == "INIT" and .admin != "maint")] | length == 0)'
}

agent_is_ready_or_gone() {
	agent_is_ready || ! agent_is_running
}

# Waits at most $1 seconds; on failure shows the end of the log.
agent_wait_ready() {
	wait_until "$1" "the agent's readiness" agent_is_ready_or_gone && agent_is_running && return 0
	agent_is_running || lab_warn "the agent has ended; the end of its log:"
	agent_log_tail >&2
	return 1
}

# Ends the agent with SIGTERM and waits.
agent_stop() {
	local pid

	pid=$(agent_pid) || return 0
	end_process "$pid" 10
}

agent_log_tail() {
	tail -n "${1:-20}" "$LAB_DIR/agent.log" 2>/dev/null | cut -c 1-200 | sed 's/^/    alwaysond: /'
}

# One field of a server: server_field BACKEND/SERVER FIELD
server_field() {
	lab_ctl -j show servers "$1" | jq -r --arg field "$2" '.servers[0][$field]'
}

# server_is BACKEND/SERVER STATE, for who waits for it: without jq.
server_is() {
	[[ $(lab_ctl -j show servers "$1") =~ \"state\":\"([A-Z]+)\" ]] && [ "${BASH_REMATCH[1]}" = "$2" ]
}

server_is_up() {
	server_is "$1" UP
}

# When its state last changed, as the agent has it: exact, where asking again and again is not. Milliseconds.
server_since_ms() {
	server_field "$1" since_ms
}

server_is_down() {
	server_is "$1" DOWN
}

# What a killed agent leaves behind: pins, socket, lock, state. Only for an instance whose namespaces are going away.
# The secret is shared by all instances: it goes when the lab made the directory and nobody else has used it.
agent_remove_traces() {
	local other

	[ -n "$LAB_ID" ] || return 0
	# Those of several balancers are called NAME-1 and so on; no lab's id has a dash.
	rm -rf "/sys/fs/bpf/alwayson/$LAB_NAME" "/sys/fs/bpf/alwayson/$LAB_NAME"-[0-9]
	rm -f "/run/alwayson/$LAB_NAME"{.,-[0-9].}* "$LAB_STATE_DIR/$LAB_NAME"{.,-[0-9].}*
	other=$(find "$LAB_STATE_DIR" -mindepth 1 ! -name secret ! -name .lab -print -quit 2>/dev/null) || true
	if [ -e "$LAB_STATE_DIR/.lab" ] && [ -z "$other" ]; then
		rm -f "$LAB_STATE_DIR/.lab" "$LAB_STATE_DIR/secret"
	fi
	rmdir /sys/fs/bpf/alwayson /run/alwayson "$LAB_STATE_DIR" 2>/dev/null || true
}
