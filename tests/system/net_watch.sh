#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# net/ (interfaces, routes, neighbours) against the real kernel; the tests are in net_watch.c, built by make.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD:-build}
case $build in
/*) ;;
*) build=$here/../../$build ;;
esac
exec "$build/tests/system/net_watch" "$@"
