#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# All packet suites on the older kernels: what the program does with a packet must not depend on the kernel.
VM_OPTIONS=(--memory 3072)
. "$(dirname "$0")/lib.sh"

# LONG is for fast machines: this one is emulated.
unset LONG
for source in "$ROOT"/tests/packet/test_*.c; do
	name=${source##*/test_packet_}
	name=${name%.c}
	output=$(CMOCKA_MESSAGE_OUTPUT=TAP timeout 300 "$BUILD/tests/packet/test_packet_$name" 2>&1)
	code=$?
	printf '%s\n' "$output" | sed -n "s/^ok [0-9]* - /ok $VM_KERNEL $name: /p; s/^not ok [0-9]* - /not ok $VM_KERNEL $name: /p"
	if [ $code != 0 ]; then
		not_ok "$name" "exit code $code"
		printf '%s\n' "$output" | grep -v '^ok'
	fi
done
done_testing
