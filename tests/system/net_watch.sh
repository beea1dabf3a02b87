#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# net/ (interfaces, routes, neighbours) against the real kernel; the tests are in net_watch.c, built by make. Those that wait
# for a silent neighbour take ten seconds each and nothing else: they run beside the others. With an argument: one of them.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD:-build}
case $build in
/*) ;;
*) build=$here/../../$build ;;
esac
[ $# = 0 ] || exec "$build/tests/system/net_watch" "$@"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
code=0 pids=()
for part in follows_a_silent_mac 'tells_of_a_silent_*' '!*_a_silent_*'; do
	"$build/tests/system/net_watch" "$part" >"$folder/${#pids[@]}" 2>&1 &
	pids+=($!)
done
for ((i = 0; i < ${#pids[@]}; i++)); do
	wait "${pids[i]}" || code=1
	cat "$folder/$i"
done
exit "$code"
