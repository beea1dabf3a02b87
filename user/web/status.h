/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A snapshot as JSON, a piece at a time: what the status page lives on, and anybody's programs. Called by site.c. Pure.
 * docs/status-page.md says what each member means; members may be added, never taken away or changed.
 */
#ifndef WEB_STATUS_H
#define WEB_STATUS_H

#include "metrics/snapshot.h"
#include "metrics/text.h"
#include "web/events.h"

/* Which parts a document has. */
enum status_part {
	STATUS_AGENT = 1,     /* the instance, its interfaces, flow table, reload, totals */
	STATUS_SERVICES = 2,
	STATUS_BACKENDS = 4,  /* with their servers */
	STATUS_VERDICTS = 8,
	STATUS_EVENTS = 16,
	STATUS_ALL = 31,
};

struct status {
	const struct snapshot *snapshot;
	const struct events *events;
	uint64_t after;       /* only events with a higher number */
	unsigned parts;
	/* What comes next; zero at the beginning. */
	unsigned part;
	size_t item, server;
};

/* Appends about `length` bytes at most. 1: there is more; 0: that was all; -ENOMEM. */
int status_next(struct status *s, struct text *t, size_t length);

#endif
