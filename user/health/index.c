/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Servers by "BACKEND/SERVER": a hash table with chains through the servers themselves. Called by health.c, configure.c
 * and persist.c. Built anew with each configuration; names come from the configuration, so no keyed hash is needed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "health/server.h"

/* FNV-1a. */
static size_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return (size_t)(h ^ (h >> 32));
}

int health_index_init(struct health_index *i, size_t count)
{
	size_t size = 16;

	while (size < count * 2)
		size *= 2;
	i->buckets = calloc(size, sizeof(i->buckets[0]));
	if (!i->buckets)
		return -ENOMEM;
	i->mask = size - 1;
	return 0;
}

void health_index_done(struct health_index *i)
{
	free(i->buckets);
	i->buckets = NULL;
}

void health_index_add(struct health_index *i, struct health_server *s)
{
	struct health_server **bucket = &i->buckets[hash(s->settings.path) & i->mask];

	s->hash_next = *bucket;
	*bucket = s;
}

struct health_server *health_index_find(const struct health_index *i, const char *path)
{
	struct health_server *s = i->buckets[hash(path) & i->mask];

	while (s && strcmp(s->settings.path, path))
		s = s->hash_next;
	return s;
}
