/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The chained hash table behind net/: doubles at one node a bucket, never shrinks. Called by links.c, neighbour.c and
 * destination.c. A failed doubling costs speed only; nothing but the first allocation can make an insert fail.
 */
#include "net/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_FIRST_SIZE = 64 };

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ull;
	return h ^ (h >> 29);
}

static uint64_t mix_addr(uint64_t h, const struct addr *a)
{
	uint64_t words[2];

	memcpy(words, a->bytes, sizeof(words));
	return mix(mix(mix(h, a->family), words[0]), words[1]);
}

static uint32_t key_hash(const struct table *t, const struct table_key *key)
{
	uint64_t h = mix(t->seed, (uint64_t)key->ifindex << 32 | key->prefix);

	h = mix_addr(h, &key->addr);
	if (key->peer.family)
		h = mix_addr(h, &key->peer);
	return h >> 32;
}

static bool key_equal(const struct table_key *a, const struct table_key *b)
{
	return a->ifindex == b->ifindex && a->prefix == b->prefix && addr_equal(&a->addr, &b->addr) &&
	       addr_equal(&a->peer, &b->peer);
}

static void table_grow(struct table *t)
{
	size_t size = t->size ? t->size * 2 : TABLE_FIRST_SIZE;
	struct table_node **buckets = calloc(size, sizeof(*buckets));

	if (!buckets)
		return;
	for (size_t i = 0; i < t->size; i++) {
		struct table_node *node = t->buckets[i], *next;

		for (; node; node = next) {
			struct table_node **bucket = &buckets[node->hash & (size - 1)];

			next = node->next;
			node->next = *bucket;
			*bucket = node;
		}
	}
	free(t->buckets);
	t->buckets = buckets;
	t->size = size;
}

int table_insert(struct table *t, struct table_node *node)
{
	struct table_node **bucket;

	if (t->count >= t->size)
		table_grow(t);
	if (!t->size)
		return -ENOMEM;
	node->hash = key_hash(t, &node->key);
	bucket = &t->buckets[node->hash & (t->size - 1)];
	node->next = *bucket;
	*bucket = node;
	t->count++;
	return 0;
}

void table_remove(struct table *t, struct table_node *node)
{
	struct table_node **at = &t->buckets[node->hash & (t->size - 1)];

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->next = NULL;
	t->count--;
}

struct table_node *table_find(const struct table *t, const struct table_key *key)
{
	struct table_node *node;
	uint32_t hash;

	if (!t->size)
		return NULL;
	hash = key_hash(t, key);
	for (node = t->buckets[hash & (t->size - 1)]; node; node = node->next)
		if (node->hash == hash && key_equal(&node->key, key))
			return node;
	return NULL;
}

void table_done(struct table *t)
{
	free(t->buckets);
	t->buckets = NULL;
	t->size = t->count = 0;
}
