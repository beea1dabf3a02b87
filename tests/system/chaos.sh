#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Chaos in short: some faults by chance, from a seed that changes each day, under load. `make chaos` is the long form.
seconds=24
[ -z "${LONG:-}" ] || seconds=120
exec "$(dirname "$0")/../chaos/run" --seconds "$seconds" --every 4 --seed "$((10#$(date +%j)))"
