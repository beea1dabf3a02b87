/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last events, as they were logged: a ring with numbers that never repeat. Filled by agent/ from the place that
 * logs, read by web/status.c and whoever else wants to follow. Pure, bounded; the oldest go.
 */
#ifndef WEB_EVENTS_H
#define WEB_EVENTS_H

#include <stdint.h>

#include "metrics/text.h"

enum events_limit {
	EVENTS_KEPT = 256,
	EVENTS_KIND_MAX = 32,
	EVENTS_TEXT_MAX = 512,  /* of a line's key=value pairs; the rest is cut off */
};

struct event_line {
	uint64_t number;        /* from 1 */
	uint64_t at_ms;         /* wall clock */
	int level;              /* syslog's */
	char kind[EVENTS_KIND_MAX];
	char text[EVENTS_TEXT_MAX];
};

struct events {
	struct event_line lines[EVENTS_KEPT];
	uint64_t last;          /* number of the newest; 0 = none yet */
};

void events_add(struct events *e, uint64_t at_ms, int level, const char *kind, const char *text);
/* The first one that is kept and has a number above `after`; NULL = none. */
const struct event_line *events_next(const struct events *e, uint64_t after);
/* One as a JSON object: number, at_ms, level, event, and its pairs as members of "fields". */
void events_json(const struct event_line *l, struct text *t);

#endif
