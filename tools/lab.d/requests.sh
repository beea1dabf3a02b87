# SPDX-License-Identifier: BSD-2-Clause
#
# Real requests by the lab's client, and counting their answers. Sourced by the demo and the system tests.
# An answer is one line: the server's name (node1), or `failed N` with curl's exit code (7 refused, 28 timed out,
# 56 reset). Every request has a connection of its own.

# COUNT requests one after the other: get URL COUNT [curl's options]
get() {
	local url=$1 count=$2

	shift 2
	lab_in client curl -sf --connect-timeout 3 -m 5 -H 'Connection: close' "$@" \
		-w '%{onerror}failed %{exitcode}\n' "$url?[1-$count]" 2>/dev/null || true
}

# Requests in the background, RATE a second at most, one after the other; each answer is a line of FILE when it is
# there: MS ANSWER, where MS is when the request began, in milliseconds since the epoch. stream FILE RATE COUNT URL
# ends by itself or with stream_end.
stream() {
	local file=$1 rate=$2 count=$3 url=$4

	: >"$file"
	nsenter --net="$(lab_netns_path client)" stdbuf -oL curl -sf --rate "$rate/s" --connect-timeout 3 -m 5 \
		-H 'Connection: close' -w '%{exitcode} %{time_total}\n' "$url?[1-$count]" \
		> >(stream_stamp >>"$file") 2>/dev/null 9>&- &
	# curl itself, not the reader: without one it would go on, it ignores SIGPIPE.
	STREAM_PID=$!
}

# From curl's lines, the body NAME and then EXITCODE SECONDS.MICROSECONDS, to the stream's.
stream_stamp() {
	local word took name=nobody began_ms

	while read -r word took; do
		if [ -z "$took" ]; then
			name=$word
			continue
		fi
		began_ms=$(((${EPOCHREALTIME/[.,]/} - 10#${took/[.,]/}) / 1000))
		if [ "$word" = 0 ]; then
			printf '%d %s\n' "$began_ms" "$name"
		else
			printf '%d failed %s\n' "$began_ms" "$word"
		fi
		name=nobody
	done
}

# Harmless when none runs.
stream_end() {
	[ -n "${STREAM_PID:-}" ] || return 0
	kill "$STREAM_PID" 2>/dev/null || true
	wait "$STREAM_PID" 2>/dev/null || true
}

# For wait_until: the stream has at least $2 answers.
stream_has() {
	local lines

	lines=$(wc -l <"$1")
	((lines >= $2))
}

# Waits for $2 more answers of stream FILE, at most $3 seconds.
stream_wait_more() {
	local lines

	lines=$(wc -l <"$1")
	wait_until "$3" "$2 more answers" stream_has "$1" $((lines + $2))
}

# How many requests that began after FROM_MS and not after TO_MS have the answer WORD; an empty word counts all.
# stream_count FILE FROM_MS TO_MS [WORD]
stream_count() {
	awk -v from="$2" -v to="$3" -v word="${4:-}" \
		'$1 > from && $1 <= to && (word == "" || $2 == word) { n++ } END { print n + 0 }' "$1"
}

# The longest time between the beginnings of two requests, in ms: a SYN that got lost is repeated after 1000.
stream_longest_gap() {
	awk 'NR > 1 && $1 - last > longest { longest = $1 - last } { last = $1 } END { print longest + 0 }' "$1"
}

# How many lines of standard input begin with the word $1.
count_answers() {
	awk -v word="$1" '$1 == word { n++ } END { print n + 0 }'
}
