/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last transitions of one server. Called by server.c. Room is made as it is needed: most servers change seldom.
 */
#ifndef HEALTH_HISTORY_H
#define HEALTH_HISTORY_H

#include <stddef.h>

#include "health/health.h"

struct history {
	struct health_transition *items; /* a ring once it is full */
	size_t count, room, next;
};

void history_done(struct history *h);
/* Without memory for it a transition is not remembered. */
void history_add(struct history *h, const struct health_transition *t);
/* The newest first, at most max of them. Returns how many. */
size_t history_list(const struct history *h, struct health_transition *ret, size_t max);

#endif
