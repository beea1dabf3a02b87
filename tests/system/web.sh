#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The status page's port: what it answers, what hostile clients do to it (nothing that anybody notices), and the page itself
# in a real browser.
. "$(dirname "$0")/lib.sh"

ask() {
	client curl -s -m 5 "$@"
}

url() {
	printf 'http://%s:9101%s' "$VIP4" "$1"
}

status_of() {
	ask -o /dev/null -w '%{http_code}' "$@"
}

header_is() {
	local found

	found=$(ask -D - -o /dev/null "$(url "$1")" | tr -d '\r' | sed -n "s/^$2: //Ip")
	expect "$2" "$found" = "$3"
}

policy_is_strict() {
	local policy

	policy=$(ask -D - -o /dev/null "$(url /)" | grep -i '^content-security-policy:')
	grep -q "default-src 'none'" <<<"$policy" || { printf '%s\n' "$policy"; return 1; }
	! grep -q "unsafe\|\*" <<<"$policy" || { printf '%s\n' "$policy"; return 1; }
}

not_modified() {
	local etag

	etag=$(ask -D - -o /dev/null "$(url /app.js)" | tr -d '\r' | sed -n 's/^etag: //Ip')
	expect "status with the tag" "$(status_of -H "If-None-Match: $etag" "$(url /app.js)")" -eq 304 &&
		expect "status with another" "$(status_of -H 'If-None-Match: "no"' "$(url /app.js)")" -eq 200
}

json_holds() {
	ask -f "$(url "$1")" | jq -e "$2" >/dev/null
}

# Everything the page is made of is served, and nothing in it points elsewhere.
page_is_whole() {
	local name

	ask -f "$(url /)" >"$LAB_DIR/index.html"
	while read -r name; do
		case $name in *//*) printf 'points elsewhere: %s\n' "$name"; return 1 ;; esac
		expect "status of $name" "$(status_of "$(url "/$name")")" -eq 200 || return
	done < <(grep -oE '(src|href)="[^"#]+"' "$LAB_DIR/index.html" | cut -d '"' -f 2 | sort -u)
}

# --- hostile clients, from the client's namespace

# 300 connections that begin a request and never end it.
hang() {
	local i fds=()

	for ((i = 0; i < 300; i++)); do
		exec {fd}<>"/dev/tcp/$1/9101" || break
		printf 'GET / HTTP/1.1\r\nX-%d: ' "$i" >&"$fd"
		fds+=("$fd")
	done
	echo hanging
	read -r _
}

connections_now() {
	json_holds /api/v1/agent .ready && lab_in balancer ss -Htn state established "sport = :9101" | wc -l
}

served_while() {
	local i

	for ((i = 0; i < 20; i++)); do
		expect "status of /healthz" "$(status_of "$(url /healthz)")" -eq 200 || return
	done
}

hanging_does_no_harm() {
	local result

	mkfifo "$LAB_DIR/go"
	nsenter --net="$(lab_netns_path client)" bash -c "$(declare -f hang); hang $VIP4" <"$LAB_DIR/go" >"$LAB_DIR/hang" 2>&1 &
	exec 7>"$LAB_DIR/go"
	wait_until 15 "the hanging connections" grep -q hanging "$LAB_DIR/hang" || return
	served_while && expect "connections" "$(connections_now)" -le 17
	result=$?
	exec 7>&-
	rm -f "$LAB_DIR/go"
	return "$result"
}

rubbish_does_no_harm() {
	local i

	for ((i = 0; i < 10; i++)); do
		head -c 20000 /dev/urandom | client socat -T 0.2 - "TCP:$VIP4:9101" >/dev/null 2>&1
	done
	served_while
}

# The checks go on in time while the port is stormed.
storm_does_not_delay_checks() {
	local before after late

	before=$(server_field web/node1 checks)
	client timeout 20 ab -q -n 6000 -c 4 "$(url /metrics)" >"$LAB_DIR/ab" 2>&1 || { tail -n 3 "$LAB_DIR/ab"; return 1; }
	after=$(server_field web/node1 checks)
	late=$(sed -n 's/^Time taken for tests: *\([0-9]*\).*/\1/p' "$LAB_DIR/ab")
	! grep -q '^Non-2xx' "$LAB_DIR/ab" || { grep '^Non-2xx' "$LAB_DIR/ab"; return 1; }
	# One every 200 ms; a third of them must have been made whatever else this machine had to do.
	expect "checks in $late s" $((after - before)) -ge $((late * 5 / 3)) &&
		expect "state" "$(server_field web/node1 state)" = UP
}

no_descriptor_is_left() {
	wait_until 15 "connections to end" bash -c \
		"[ \"\$(nsenter --net=$(lab_netns_path balancer) ss -Htn 'sport = :9101' state established | wc -l)\" -le 1 ]"
}

# --- the page

browser() {
	node "$ROOT/tests/web/page.mjs" "$(url /)" "$LAB_DIR/browser" "$(lab_netns_path client)" 2>&1
}

# The browser's test says when it wants something to happen: it makes a file and waits for what follows from it.
helper() {
	wait_until 60 "the browser to ask for it" test -e "$LAB_DIR/browser/kill" && server_stop 2
	wait_until 60 "the browser to ask for it" test -e "$LAB_DIR/browser/revive" && server_start 2
	wait_until 60 "the browser to ask for it" test -e "$LAB_DIR/browser/stop" && agent_stop
}

begin
write_config <<CFG
global
	metrics *:9101
$(quick_defaults)

listen web
	bind *:80
$(servers 2)
CFG
start

check "the page" expect "status" "$(status_of "$(url /)")" = 200
check "and all that belongs to it" page_is_whole
check "its policy lets nothing in" policy_is_strict
check "nothing is guessed" header_is / x-content-type-options nosniff
check "data is not kept" header_is /api/v1/status cache-control no-store
check "files that are the same are not sent again" not_modified
check "HEAD" expect "status" "$(status_of -I "$(url /)")" = 200
check "what is not there" expect "status" "$(status_of "$(url /etc/passwd)")" = 404
check "nothing can be changed: POST" expect "status" "$(status_of -X POST -d x "$(url /api/v1/status)")" = 405
check "DELETE" expect "status" "$(status_of -X DELETE "$(url /)")" = 405
check "the status" json_holds /api/v1/status '.ready and .services[0].name == "web" and (.backends[0].servers | length) == 2'
check "its parts" json_holds /api/v1/backends '.backends[0].servers[0].state == "up" and (has("services") | not)'
check "the events" json_holds /api/v1/events '[.events[].event] | index("ready")'
check "only newer ones" json_holds '/api/v1/events?after=99999' '.events == [] and .last_event > 0'
check "a number that is none" expect "status" "$(status_of "$(url '/api/v1/events?after=x')")" = 400

check "300 requests that never end" hanging_does_no_harm
check "rubbish" rubbish_does_no_harm
check "a storm of scrapes does not delay the checks" storm_does_not_delay_checks
check "nothing is left of them" no_descriptor_is_left
check "the agent is the same process" agent_is_running

if command -v chromium >/dev/null && command -v node >/dev/null; then
	mkdir -p "$LAB_DIR/browser"
	stream "$LAB_DIR/stream" 20 2000 "http://$VIP4/"
	helper >/dev/null 2>&1 &
	browser >"$LAB_DIR/page" || not_ok "browser" "the browser's test has failed"
	cat "$LAB_DIR/page"
	failures=$((failures + $(grep -c '^not ok ' "$LAB_DIR/page")))
	grep -q '^ok ' "$LAB_DIR/page" || not_ok "browser" "it has said nothing"
	stream_end
else
	skip browser "chromium or node is not installed"
fi
