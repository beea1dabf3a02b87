#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# The files that users' expectations are written in must stay what they are, byte for byte.
. "$(dirname "$0")/lib.sh"

unchanged() {
	printf '%s  %s\n' "$2" "$ROOT/tests/reference/$1" | sha256sum --check --strict --quiet
}

check "haproxy.cfg is unchanged" unchanged haproxy.cfg \
	d3821737828d75596f59923d89bcb26747568a1111eed9304f79c9718cc103d1
check "deployment.yml is unchanged" unchanged deployment.yml \
	15a9b50b012c4b358c0a1611b7178b6460a708b4c25e2b5905c23510db08cfeb
check "replication.sql is unchanged" unchanged replication.sql \
	e8046434d1fdf0a730d478f617a332dd3a9467c56c773f49a58c6f992c2d3b49
exit "$failures"
