/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ring that grows up to HEALTH_HISTORY_MAX. Called by server.c; knows nothing of what it keeps.
 */
#include "health/history.h"

#include <stdlib.h>

void history_done(struct history *h)
{
	free(h->items);
	*h = (struct history){};
}

static bool grow(struct history *h)
{
	size_t room = h->room ? h->room * 2 : 2;
	struct health_transition *items;

	if (room > HEALTH_HISTORY_MAX)
		room = HEALTH_HISTORY_MAX;
	items = reallocarray(h->items, room, sizeof(*items));
	if (!items)
		return false;
	h->items = items;
	h->room = room;
	return true;
}

void history_add(struct history *h, const struct health_transition *t)
{
	if (h->count == h->room && h->room < HEALTH_HISTORY_MAX && !grow(h) && !h->room)
		return;
	/* Whatever room there is, the newest is kept. */
	if (h->next >= h->room)
		h->next = 0;
	h->items[h->next++] = *t;
	if (h->count < h->room)
		h->count++;
}

size_t history_list(const struct history *h, struct health_transition *ret, size_t max)
{
	size_t i;

	for (i = 0; i < h->count && i < max; i++)
		ret[i] = h->items[(h->next + h->room - 1 - i) % h->room];
	return i;
}
