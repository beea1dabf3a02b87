#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Do the programs pass the verifiers of the kernels that they are promised for, and with how much room left? Prints what
# tests/bench/verified says.
. "$(dirname "$0")/lib.sh"

for object in lb decap clock shared dispatcher; do
	"$BUILD/tests/bench/verified" "$BUILD/bpf/$object.bpf.o"
	check "the verifier takes $object.bpf.o" test $? = 0
done
done_testing
