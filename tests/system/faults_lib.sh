# SPDX-License-Identifier: BSD-2-Clause
#
# What the suites share that do harm to the agent while a steady load (lib.sh) goes through it. Sourced behind lib.sh.

# What the agent logs counts from now on.
from_here() {
	LOG_FROM=$(($(wc -l <"$LAB_DIR/agent.log") + 1))
}

log_has() {
	tail -n +"$LOG_FROM" "$LAB_DIR/agent.log" | grep -Eq "$1"
}

# The value of a metric without labels; the suite's configuration says `metrics 127.0.0.1:9599`.
metric() {
	lab_in balancer curl -sf -m 10 http://127.0.0.1:9599/metrics | awk -v name="$1" '$1 == name { print $2 }'
}
