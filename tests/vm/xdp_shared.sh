#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# `xdp shared` on kernels that load extension programs: tests/system/xdp_shared.sh as it is.
VM_OPTIONS=(--memory 3072)
. "$(dirname "$0")/lib.sh"

bash "$ROOT/tests/system/xdp_shared.sh" | sed -u "s/^ok /ok $VM_KERNEL /; s/^not ok /not ok $VM_KERNEL /"
exit "${PIPESTATUS[0]}"
