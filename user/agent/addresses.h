/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ids of the addresses that flows name: those of services, and own ones towards servers. An id names one address as long
 * as a table or a flow may use it. The map itself is the memory: it is pinned. Used by the reconciler and the sweep.
 */
#ifndef AGENT_ADDRESSES_H
#define AGENT_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "dataplane/dataplane.h"

struct addresses {
	struct address *map;
	uint8_t *state; /* enum address_state, by id */
	uint8_t *own;   /* the family of an own address towards servers that the tables have an entry of; else 0 */
};

enum address_state {
	ADDRESS_FREE,
	ADDRESS_WANTED,  /* named by the configuration */
	ADDRESS_UNUSED,  /* no longer named; flows may still do */
};

int addresses_init(struct addresses *a, struct address *map); /* 0 or -ENOMEM */
void addresses_done(struct addresses *a);
/* The id of an address, given one if it has none: marked WANTED. -ENOSPC. */
int addresses_take(struct addresses *a, const struct addr *addr, uint16_t *ret_id);
/* Before a new configuration is laid out: all that are WANTED become UNUSED. */
void addresses_unwant_all(struct addresses *a);
/*
 * After a whole sweep, and a grace period before it, in which no flow named an UNUSED id: it is free. An own address
 * first loses its mark: true = the tables' entries are to be laid out anew.
 */
bool addresses_free_unused(struct addresses *a, const uint8_t *used_by_flows);
struct addr addresses_get(const struct addresses *a, uint16_t id, bool v6);

#endif
