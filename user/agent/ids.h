/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stable ids: a server, service or backend keeps its id as long as it is what it was, across reloads and agents (the
 * table is pinned). A server's id that is given to another server has another generation, so it inherits no flows.
 * Used by the reconciler.
 */
#ifndef AGENT_IDS_H
#define AGENT_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/dataplane.h"

#define ID_NONE UINT32_MAX

enum id_state {
	ID_FREE,
	ID_ACTIVE,
	ID_LEAVING, /* servers: out of the configuration, but connections go on */
	ID_DYING,   /* generation bumped; free when no flow can name it any more */
};

struct ids {
	struct dataplane_identity *table; /* pinned memory */
	uint32_t first, count; /* ids first .. count-1 */
	uint32_t hint;
	uint32_t *index;       /* identity -> id + 1, open addressing; 0 = empty */
	uint32_t mask;
	bool stale;            /* an id was freed: the index is rebuilt at the next look-up */
};

/* 0 or -ENOMEM. What the table holds already keeps its ids. */
int ids_init(struct ids *ids, struct dataplane_identity *table, uint32_t first, uint32_t count);
void ids_done(struct ids *ids);
/* A 64-bit name for text, never 0. The same on every machine: consistent-hash tables are built from it. */
uint64_t identity_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The id of an identity, or ID_NONE. */
uint32_t ids_find(struct ids *ids, uint64_t identity);
/* Gives it a free id: ACTIVE, its generation one further. -ENOSPC. */
int ids_take(struct ids *ids, uint64_t identity, uint32_t *ret_id);
void ids_free(struct ids *ids, uint32_t id);

#endif
