/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quantities as people read and write them. Used by the renderers and the verbs; pure.
 */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include <stdint.h>

enum { UNITS_TEXT_MAX = 32 };

/* "250ms", "12s", "3m12s", "3h12m", "4d3h": two units at most. Returns buf. */
const char *units_duration(uint64_t ms, char buf[static UNITS_TEXT_MAX]);
/* The same time as HAProxy writes it, exactly, in the largest unit that divides it: "5s", "2500ms". Returns buf. */
const char *units_time_word(uint64_t ms, char buf[static UNITS_TEXT_MAX]);
/* "512 B", "1.2 MiB". Returns buf. */
const char *units_bytes(uint64_t bytes, char buf[static UNITS_TEXT_MAX]);
/* HAProxy's times: a number and us, ms, s, m, h, d or nothing (ms); us round up. 0, -EINVAL, -ERANGE. */
int units_parse_time(const char *text, uint32_t *ret_ms);

#endif
