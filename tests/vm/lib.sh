# SPDX-License-Identifier: BSD-2-Clause
#
# What the suites for virtual machines share; sourced first by tests/vm/*.sh. On the host it runs the suite again in a
# guest of each kernel, and the suite ends there; in the guest it returns, and what follows is the test, in the words of
# tests/run. A result's name has its kernel before it: `ok 6.1 NAME`.
#
#   VM_OPTIONS=(--nics 3)   set before this file is sourced: options for tests/vm/run
#   VM_KERNELS="6.1 6.12"   in the environment: on which
set -uo pipefail
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

VM_HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=${VM_HERE%/*/*}
failures=0

ok() {
	printf 'ok %s %s\n' "$VM_KERNEL" "$1"
}

# not_ok NAME WHY
not_ok() {
	printf 'not ok %s %s: %s\n' "$VM_KERNEL" "$1" "$2"
	failures=$((failures + 1))
}

# Runs a command, quietly when it succeeds. Its output is the reason when it does not.
check() {
	local name=$1 output

	shift
	if output=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "$(tail -n 8 <<<"${output:-$*}" | paste -sd ';')"
	fi
}

# The last line of a suite.
done_testing() {
	exit $((failures > 0))
}

vm_run_in_guests() {
	local kernel code result=0

	"$VM_HERE/../../tools/deps" --for check,vm || exit 1
	for kernel in ${VM_KERNELS:-6.1 6.12}; do
		# In the background, so that a signal to this script reaches its trap at once.
		"$VM_HERE/run" --kernel "$kernel" --timeout 1500 "${VM_OPTIONS[@]}" "$0" &
		trap 'kill %1; wait; exit 143' TERM INT
		wait $!
		code=$?
		trap - TERM INT
		# 1: a test failed, and said so.
		((code <= 1)) || printf 'not ok %s: exit code %s, see above\n' "$kernel" "$code"
		((code == 0)) || result=1
	done
	exit "$result"
}

if [ -z "${VM_KERNEL:-}" ]; then
	[ -n "${VM_OPTIONS+set}" ] || VM_OPTIONS=()
	vm_run_in_guests
fi
