# SPDX-License-Identifier: BSD-2-Clause
#
# What the suites with several balancers share: the clients' load meanwhile, and what became of it. Sourced behind lib.sh.
. "$ROOT/tools/lab.d/cluster.sh"

readonly CONNECTIONS=60 RATE=200 ENOUGH=100

# The clients: RATE requests a second and CONNECTIONS that last, for $1 seconds, into $LAB_DIR/load.
load_start() {
	nsenter --net="$(lab_netns_path client)" "$LAB_BUILD/tests/system/steady_load" "$1" \
		"http:$RATE:$CLUSTER_VIP4:80" "keep:$CONNECTIONS:$CLUSTER_VIP4:80" >"$LAB_DIR/load" 2>&1 &
	LOAD_PID=$!
	wait_until 5 "the load to begin" test -e "$LAB_DIR/load"
}

lines() {
	grep -c ' http ' "$LAB_DIR/load"
}

has_lines() {
	(($(lines) >= $1))
}

# Waits for COUNT more requests.
more() {
	wait_until 15 "$1 more requests" has_lines $(($(lines) + $1))
}

# All requests that were due from FROM_MS until TO_MS have ended, well or not.
have_ended() {
	(($(awk -v from="$1" -v to="$2" '$1 >= from && $1 < to && $2 == "http" { n++ } END { print n + 0 }' "$LAB_DIR/load") >= ($2 - $1) * RATE / 1000 - 1))
}

# all_kept FILE FROM_MS: each of the CONNECTIONS that are kept has had an answer to something it asked since.
all_kept() {
	(($(awk -v from="$2" '$1 >= from && $2 == "kept" && !seen[$3]++ { n++ } END { print n + 0 }' "$1") >= CONNECTIONS))
}

# Since FROM_MS: requests that failed and whose second try failed too.
lost_since() {
	awk -v from="$1" '$1 >= from && $2 == "http" && $3 != "ok" && $6 != "ok" { n++ } END { print n + 0 }' "$LAB_DIR/load"
}

failed_since() {
	awk -v from="$1" '$1 >= from && $2 == "http" && $3 != "ok" { n++ } END { print n + 0 }' "$LAB_DIR/load"
}

broken_since() {
	awk -v from="$1" '$1 >= from && $2 == "hold" { n++ } END { print n + 0 }' "$LAB_DIR/load"
}

# The longest time that a request took to be answered, in ms: a gap shows as a SYN that has to be sent again.
slowest_since() {
	awk -v from="$1" '$1 >= from && $2 == "http" && $4 / 1000 > n { n = $4 / 1000 } END { printf "%d", n }' "$LAB_DIR/load"
}

# How long one balancer's share went nowhere: from the first request whose SYN had to be sent again (1 s) to the last, in ms.
gap_since() {
	awk -v from="$1" '$1 >= from && $2 == "http" && ($3 != "ok" || $4 > 900000) {
		if (!first || $1 < first) first = $1
		if ($1 > last) last = $1
	} END { print first ? last - first + 10 : 0 }' "$LAB_DIR/load"
}

mark() {
	more 20
	since=$(now_ms)
}

load_end() {
	kill "$LOAD_PID"
	wait "$LOAD_PID" 2>/dev/null || true
}

# survives NAME: what became of requests and connections since the mark, once all that began until now has ended.
survives() {
	local until_ms

	more "$ENOUGH"
	until_ms=$(now_ms)
	wait_until 10 "the requests until now to end" have_ended "$since" "$until_ms" || not_ok "$1" "requests neither fail nor succeed"
	check "$1: all connections go on" wait_until 10 "an answer on each of $CONNECTIONS" all_kept "$LAB_DIR/load" "$until_ms"
	check "$1: no connection on a clean slot breaks" expect "broken of $CONNECTIONS" "$(broken_since "$since")" -eq 0
	check "$1: no request is lost that is tried once more" expect "lost" "$(lost_since "$since")" -eq 0
	printf '# %s: %s requests failed at first, %s ms without the balancer\n' "$1" "$(failed_since "$since")" \
		"$(gap_since "$since")"
}
