/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backend's slots as they are in the map, and the changes under way: states of slots that have changed owner
 * (table/states.h), and the table of before while connections may still go by it. Part of the reconciler.
 */
#ifndef AGENT_SLOTS_H
#define AGENT_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include <alwayson/abi.h>
#include <alwayson/hash.h>

#include "agent/layout.h"
#include "table/region.h"

/* What decides where a hash falls. Two shapes that differ give a connection another slot. */
struct slots_shape {
	enum model_balance balance;
	bool records;            /* every flow is in the flow table: slots need no states */
	struct hash_key key;
};

/* Who owns how many of the slots, as shares.c last counted them: when `changes` and `models` were these. */
struct shares {
	uint64_t changes, models;
	uint32_t digest;
	uint32_t *counts;        /* nobody's, then by the backend's servers; NULL = never counted */
};

/* By backend id. */
struct held {
	struct layout layout;    /* what the region says */
	struct maglev_cache cache; /* of it, where it is large */
	bool cache_is_put;       /* the region's owners are the cache's */
	struct maglev_cache next; /* laid out beside the loop: taken by the next run, if it is still what is wanted */
	bool lay_here;           /* it could not be: the run does it itself */
	bool makeshift;          /* the region's owners are those of a small table, until the base is laid out */
	struct maglev_cache spare; /* of the side that does not serve, backups or the others */
	bool backups;            /* whose base `cache` is, where there are two sides */
	struct region region;
	bool resize_waits;       /* the layout wants another size, once the change under way is over */
	struct slots_shape shape;
	uint64_t *notes;         /* by slot: dirty: monotonic ms when X is over; tracked: the first pass that may clean it */
	size_t unsettled;        /* slots that are not clean */
	uint64_t changes;        /* of owners */
	struct shares shares;
	/* After a change of shape, until `moved_ms`: connections without a record go by these. */
	struct region old_region;
	struct slots_shape old_shape;
	uint64_t moved_ms;
	/* A table that takes another's place is read only when all else is true as well: its times begin then. */
	bool unread;
	uint64_t begin_ms, begin_pass;
	uint64_t window_ms;      /* X, when it was laid out */
};

#define SLOTS_TIME_UNKNOWN UINT64_MAX

struct reconcile;

void held_done(struct held *h);
/* Takes over a backend's regions that the active half refers to by this service; both taken already. 0 or -ENOMEM. */
int held_adopt(struct reconcile *r, const struct service *s, struct region region, struct region old_region);

#endif
