#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The suite driver itself: it must see every way in which a suite can fail, or all else here proves nothing.
# Runs a copy of tests/run over made-up suites; needs no lab.
. "$(dirname "$0")/lib.sh"

house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
mkdir -p "$house/tests/system"
cp "$ROOT/tests/run" "$house/tests/run"

# One made-up suite, its body from standard input, and the driver over it; the result is in $said and $code.
run_suite() {
	{ printf '#!/bin/sh\n'; cat; } >"$house/tests/system/made.sh"
	chmod +x "$house/tests/system/made.sh"
	said=$(BUILD="$house/build" "$house/tests/run" --timeout 1 system 2>&1)
	code=$?
}

ends_with() {
	expect "the last line" "$(tail -n 1 <<<"$said")" = "$1" && expect "exit code" "$code" -eq "$2" && return
	printf '%s\n' "$said"
	return 1
}

contains() {
	grep -qF -- "$1" <<<"$said" || { printf '%s\n' "$said"; return 1; }
}

run_suite <<<'echo "ok a"; echo "ok b"'
check "all passed" ends_with "2 passed, 0 failed, 0 skipped" 0
run_suite <<<'echo "ok a"; echo "not ok b: it broke"; echo "its log"; exit 1'
check "a failure" ends_with "1 passed, 1 failed, 0 skipped" 1
check "with what was printed after it" contains "its log"
run_suite <<<'echo "ok a"; exit 3'
check "an exit code without a failure" ends_with "1 passed, 1 failed, 0 skipped" 1
run_suite <<<'exit 0'
check "no result at all" ends_with "0 passed, 1 failed, 0 skipped" 1
run_suite <<<'echo "ok a"; exec sleep 30'
check "a suite that hangs" ends_with "1 passed, 1 failed, 0 skipped" 1
run_suite <<<'echo "1..3"; echo "ok 1 - a"; kill -SEGV $$'
check "a binary that crashes" ends_with "1 passed, 1 failed, 0 skipped" 1
check "names what was planned" contains "planned 3 tests and told of 1"
run_suite <<<'echo "ok a"; echo "skip b: no hardware"'
check "a skip that is not listed fails" ends_with "1 passed, 1 failed, 0 skipped" 1
echo "system/made b: no hardware" >"$house/tests/skips.allowed"
run_suite <<<'echo "ok a"; echo "skip b: no hardware"'
check "a skip that is listed" ends_with "1 passed, 0 failed, 1 skipped" 0
check "is shown with its reason" contains "skip b: no hardware"
run_suite <<<'echo "ok a"; echo "skip b: no time"'
check "a skip for another reason fails" ends_with "1 passed, 1 failed, 0 skipped" 1
run_suite <<<'echo "1..2"; echo "ok 1 - a"; echo "not ok 2 # SKIP b"'
check "cmocka's skip" ends_with "1 passed, 0 failed, 1 skipped" 0
# Two at a time: one that fails beside another and not alone, and one that fails always.
run_suite <<<"[ -e $house/once ] && echo 'ok a' && exit; : >$house/once; echo 'not ok a: late'; exit 1"
rm "$house/once"
said=$(BUILD="$house/build" "$house/tests/run" --jobs 2 system 2>&1)
code=$?
check "what failed beside another is run again alone" ends_with "1 passed, 0 failed, 0 skipped" 0
check "and is told of" contains "system/made failed beside another suite; again, alone:"
run_suite <<<'echo "ok b"; echo "not ok a: broken"; exit 1'
said=$(BUILD="$house/build" "$house/tests/run" --jobs 2 system 2>&1)
code=$?
check "what fails alone as well has failed" ends_with "1 passed, 1 failed, 0 skipped" 1
# Four, two at a time: the two that tests/longest names wait for each other, and the others must come after both.
made() {
	{ printf '#!/bin/sh\ncd %s\n' "$house"; cat; } >"$house/tests/system/$1.sh"
	chmod +x "$house/tests/system/$1.sh"
}
rm "$house/tests/system/made.sh"
made a <<<'[ -e d ] && [ -e b ] && echo "ok a" || echo "not ok a: too early"'
made b <<<': >b; until [ -e d ]; do sleep 0.01; done; echo "ok b"'
made c <<<'[ -e d ] && [ -e b ] && echo "ok c" || echo "not ok c: too early"'
made d <<<': >d; until [ -e b ]; do sleep 0.01; done; echo "ok d"'
printf '# long\nsystem/d\nsystem/gone\nsystem/b\n' >"$house/tests/longest"
said=$(BUILD="$house/build" "$house/tests/run" --jobs 2 system 2>&1)
code=$?
check "the longest begin first" ends_with "4 passed, 0 failed, 0 skipped" 0
check "what ends is told of, whatever is still running" expect "suites told of" "$(grep -c '^system/[a-d] ' <<<"$said")" -eq 4
BUILD="$house/build" "$house/tests/run" system/made >/dev/null 2>&1
check "an unknown suite: 2" expect "exit code" $? -eq 2
exit "$failures"
