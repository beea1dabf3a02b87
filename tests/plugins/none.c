/* SPDX-License-Identifier: BSD-2-Clause */
/* A shared object that is no plugin. For tests/unit/test_checker_pool.c. */
#include "alwayson/check.h"

extern int nothing_of_interest;
int nothing_of_interest;
