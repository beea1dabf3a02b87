/* SPDX-License-Identifier: BSD-2-Clause */
/* A plugin built for another ABI: it must be refused by name, and never called. For tests/unit/test_checker_pool.c. */
#include "alwayson/check.h"

const struct plugin alwayson_plugin = { .abi = PLUGIN_ABI + 1, .name = "newer" };
