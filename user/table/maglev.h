/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consistent-hash table of a backend: which server owns each of its M slots. A pure function of the configured
 * servers and of which of them are up, with no history and integer arithmetic only, so that every balancer of a cluster
 * builds the same table whatever came before. Called by the agent; touches no map.
 *
 * The base is Maglev over all configured servers (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI 2016, section 3.4; weights by turns). A slot whose owner is down goes to the server that is up with
 * the highest rendezvous score (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998;
 * weights by the logarithmic method), so a server that goes or comes moves its own slots and no others. Plain Maglev
 * over the servers that are up would move some of everybody's.
 */
#ifndef TABLE_MAGLEV_H
#define TABLE_MAGLEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

enum maglev_limit {
	MAGLEV_SLOTS_PER_SERVER = 256,
	MAGLEV_SLOTS_PER_SHARE = 64,  /* a share: a server's weight divided by the weights' common divisor */
	MAGLEV_SLOTS_MIN = 509,
	MAGLEV_SLOTS_MAX = 1048573,   /* backends that want more get this, with less even shares */
	MAGLEV_MAKESHIFT = 8191,
	MAGLEV_CACHED_MIN = 16381,    /* smaller tables are computed anew each time: that takes less than a millisecond */
};

struct maglev_server {
	uint64_t key;    /* of its identity, the same on every balancer; unique in the table */
	uint32_t weight; /* configured; 0 owns no slot and gets none */
	bool up;         /* takes new connections now */
	uint8_t without; /* percent of its slots that are given away as if it were down, 0..99: slowstart */
	uint32_t value;  /* what its slots are given: a server id; never 0 */
};

/* How many slots a table over these servers wants: a prime of a ladder that about doubles. 0 when none has weight. */
uint32_t maglev_size(const struct maglev_server *servers, size_t count);

/*
 * Fills slots[0..size). `servers` is sorted by key first. With nobody up every slot is 0.
 * 0, -ENOMEM, or -EEXIST when two servers have the same key.
 */
int maglev_fill(struct maglev_server *servers, size_t count, uint32_t *slots, uint32_t size);

/* What is remembered of a large table, so that a change of few servers costs little. Zeros are an empty one. */
struct maglev_cache {
	uint32_t size;
	size_t count;
	struct maglev_server *servers;   /* sorted */
	uint32_t *first, *owned;         /* owned[first[i] .. first[i + 1]): the slots of server i in the base table */
	uint16_t *current;               /* by slot: index of the server that has it now */
	bool equal_weights;              /* of those that are up */
	bool nobody;                     /* needed it when it was last asked; all else is as it was before that */
};

struct maglev_change {
	uint32_t slot, value;
};

struct maglev_changes vec(struct maglev_change);

/* The same answer as maglev_fill()'s to the bit; what was computed for the same servers and weights is used again. */
int maglev_fill_cached(struct maglev_cache *c, struct maglev_server *servers, size_t count, uint32_t *slots,
		       uint32_t size);
/*
 * Appends only the slots that are not what this or maglev_fill_cached() last said: it looks at those of servers that are
 * down, or were. 0, -ENOMEM, -EEXIST, or -ESTALE: it takes a whole new table, of other servers or for nobody.
 */
int maglev_change(struct maglev_cache *c, struct maglev_server *servers, size_t count, uint32_t size,
		  struct maglev_changes *ret);
/*
 * In place of it, for the time that its base takes: a table of MAGLEV_MAKESHIFT slots, again and again. Takes a millisecond or
 * a few; the same on every balancer as well. size > MAGLEV_MAKESHIFT.
 */
int maglev_fill_makeshift(struct maglev_server *servers, size_t count, uint32_t *slots, uint32_t size);
/* Is the base known? Sorts `servers`. */
bool maglev_cache_fits(const struct maglev_cache *c, struct maglev_server *servers, size_t count, uint32_t size);
void maglev_cache_done(struct maglev_cache *c);

#endif
