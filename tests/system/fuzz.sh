#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Every parser of strangers' bytes against noise: each fuzzer of tests/fuzz on its seeds, on what it has found earlier
# (tests/fuzz/corpus), and on a few thousand inputs of its own making, the same ones each time. LONG=1: half a minute each.
# `make fuzz SECONDS=n TARGET=name` runs this with FUZZ_SECONDS and FUZZ_TARGET. What finds something stays in $BUILD/fuzz.
set -uo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit

build=${BUILD:-build}
seconds=${FUZZ_SECONDS:-$([ -n "${LONG:-}" ] && echo 30)}
folder=$(mktemp -d)
failed=0
trap 'rm -rf "$folder"' EXIT
export TMPDIR=$folder # theirs
tests/fuzz/seeds "$folder/seeds"
mkdir -p "$build/fuzz/found"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1

for source in tests/fuzz/fuzz_*.c; do
	target=${source##*/fuzz_}
	target=${target%.c}
	[ -z "${FUZZ_TARGET:-}" ] || [ "$FUZZ_TARGET" = "$target" ] || continue
	program=$build/fuzz/fuzz_$target
	if [ ! -x "$program" ]; then
		printf 'not ok %s: %s is not built (make fuzzers)\n' "$target" "$program"
		failed=1
		continue
	fi
	mkdir -p "$folder/new/$target" "$folder/seeds/$target"
	# shellcheck disable=SC2015
	[ -d "tests/fuzz/corpus/$target" ] && cp "tests/fuzz/corpus/$target"/* "$folder/seeds/$target" || true
	limits=(-runs=3000 -seed=1)
	[ -z "$seconds" ] || limits=(-max_total_time="$seconds")
	if "$program" "${limits[@]}" -timeout=10 -rss_limit_mb=1024 -max_len=8192 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix="$build/fuzz/found/$target-" "$folder/new/$target" "$folder/seeds/$target" >"$folder/log" 2>&1 </dev/null; then
		printf 'ok %s\n' "$target"
		sed -n 's/^stat::number_of_executed_units: */  inputs: /p; s/^stat::new_units_added: */  new: /p' "$folder/log"
	else
		printf 'not ok %s: %s\n' "$target" "$(grep -m 1 -E 'not so:|ERROR:|SUMMARY:|runtime error' "$folder/log")"
		tail -n 40 "$folder/log"
		failed=1
	fi
done
exit "$failed"
