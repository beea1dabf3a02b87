/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/ids.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTITY_TEXT_MAX = 512 };

static void index_put(struct ids *ids, uint64_t identity, uint32_t id)
{
	uint32_t at = hash_mix(identity) & ids->mask;

	while (ids->index[at])
		at = (at + 1) & ids->mask;
	ids->index[at] = id + 1;
}

static void index_build(struct ids *ids)
{
	memset(ids->index, 0, ((size_t)ids->mask + 1) * sizeof(*ids->index));
	for (uint32_t i = ids->first; i < ids->count; i++)
		if (ids->table[i].identity)
			index_put(ids, ids->table[i].identity, i);
	ids->stale = false;
}

int ids_init(struct ids *ids, struct dataplane_identity *table, uint32_t first, uint32_t count)
{
	uint32_t size = 1;

	while (size < 2 * count)
		size *= 2;
	*ids = (struct ids){ .table = table, .first = first, .count = count, .hint = first, .mask = size - 1 };
	ids->index = calloc(size, sizeof(*ids->index));
	if (!ids->index)
		return -ENOMEM;
	index_build(ids);
	return 0;
}

void ids_done(struct ids *ids)
{
	free(ids->index);
	ids->index = NULL;
}

uint64_t identity_of(const char *format, ...)
{
	static const struct hash_key key = { { 0x616c776179736f6eULL, 0x6964656e74697479ULL } };
	char text[IDENTITY_TEXT_MAX] = {};
	uint64_t h = 0;
	va_list args;
	size_t length;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	length = strlen(text);
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word;

		memcpy(&word, text + i, sizeof(word));
		h = hash_2(&key, h, word);
	}
	h = hash_2(&key, h, length);
	return h ? h : 1;
}

uint32_t ids_find(struct ids *ids, uint64_t identity)
{
	if (ids->stale)
		index_build(ids);
	for (uint32_t at = hash_mix(identity) & ids->mask; ids->index[at]; at = (at + 1) & ids->mask)
		if (ids->table[ids->index[at] - 1].identity == identity)
			return ids->index[at] - 1;
	return ID_NONE;
}

int ids_take(struct ids *ids, uint64_t identity, uint32_t *ret_id)
{
	uint32_t span = ids->count - ids->first;

	for (uint32_t n = 0; n < span; n++) {
		uint32_t id = ids->first + (ids->hint - ids->first + n) % span;
		struct dataplane_identity *e = &ids->table[id];

		if (e->identity)
			continue;
		e->generation++;
		e->state = ID_ACTIVE;
		e->identity = identity;
		ids->hint = id + 1 < ids->count ? id + 1 : ids->first;
		if (!ids->stale)
			index_put(ids, identity, id);
		*ret_id = id;
		return 0;
	}
	return -ENOSPC;
}

void ids_free(struct ids *ids, uint32_t id)
{
	ids->table[id].state = ID_FREE;
	ids->table[id].identity = 0;
	ids->stale = true;
}
