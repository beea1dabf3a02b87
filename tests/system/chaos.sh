#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Chaos in short: some faults by chance, from a seed that changes each day, under load. `make chaos` is the long form.
seconds=19 every=3
[ -z "${LONG:-}" ] || seconds=120 every=4
exec "$(dirname "$0")/../chaos/run" --seconds "$seconds" --every "$every" --seed "$((10#$(date +%j)))"
