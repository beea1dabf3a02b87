/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chained hash table of nodes embedded in the things they find, keyed by interface and address. Used inside net/ for
 * interfaces, addresses, neighbours and destinations. It owns the buckets, never the nodes.
 */
#ifndef NET_TABLE_H
#define NET_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* What a kind of thing does not need of it stays zero. */
struct table_key {
	uint32_t ifindex;
	uint32_t prefix;
	struct addr addr;
	struct addr peer;
};

struct table_node {
	struct table_node *next;
	struct table_key key;
	uint32_t hash;
};

struct table {
	struct table_node **buckets;
	size_t size; /* a power of two, or 0 */
	size_t count;
	uint64_t seed; /* random, so that who chooses addresses on the wire can't choose collisions */
};

/* node->key must be set and not be in the table yet. 0 or -ENOMEM. */
int table_insert(struct table *t, struct table_node *node);
void table_remove(struct table *t, struct table_node *node);
struct table_node *table_find(const struct table *t, const struct table_key *key);
void table_done(struct table *t);

#endif
