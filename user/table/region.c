/* SPDX-License-Identifier: BSD-2-Clause */
#include "table/region.h"

#include <errno.h>
#include <string.h>

int region_init(struct region_map *m, uint32_t size)
{
	struct region *all;

	memset(m, 0, sizeof(*m));
	if (!size)
		return 0;
	all = vec_push(&m->free);
	if (!all)
		return -ENOMEM;
	all->size = size;
	return 0;
}

int region_copy(const struct region_map *m, struct region_map *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < m->free.count; i++) {
		struct region *new = vec_push(&ret->free);

		if (!new) {
			region_done(ret);
			return -ENOMEM;
		}
		*new = m->free.items[i];
	}
	return 0;
}

void region_done(struct region_map *m)
{
	vec_done(&m->free);
}

static void remove_at(struct region_map *m, size_t i)
{
	memmove(&m->free.items[i], &m->free.items[i + 1], (m->free.count - i - 1) * sizeof(m->free.items[0]));
	m->free.count--;
}

int region_take(struct region_map *m, uint32_t size, struct region *ret)
{
	if (!size) {
		*ret = (struct region){};
		return 0;
	}
	for (size_t i = 0; i < m->free.count; i++) {
		struct region *f = &m->free.items[i];

		if (f->size < size)
			continue;
		*ret = (struct region){ .offset = f->offset, .size = size };
		f->offset += size;
		f->size -= size;
		if (!f->size)
			remove_at(m, i);
		return 0;
	}
	return -ENOSPC;
}

int region_take_at(struct region_map *m, struct region r)
{
	if (!r.size)
		return 0;
	for (size_t i = 0; i < m->free.count; i++) {
		struct region f = m->free.items[i];
		const uint64_t end = (uint64_t)r.offset + r.size; /* a range read from a map may claim anything */

		if (f.offset > r.offset || (uint64_t)f.offset + f.size < end)
			continue;
		m->free.items[i].size = r.offset - f.offset;
		if (!m->free.items[i].size)
			remove_at(m, i);
		return region_give(m, (struct region){ .offset = end, .size = f.offset + f.size - end });
	}
	return -EBUSY;
}

int region_give(struct region_map *m, struct region r)
{
	size_t i = 0;

	if (!r.size)
		return 0;
	while (i < m->free.count && m->free.items[i].offset < r.offset)
		i++;
	if (!vec_push(&m->free))
		return -ENOMEM;
	memmove(&m->free.items[i + 1], &m->free.items[i], (m->free.count - 1 - i) * sizeof(r));
	m->free.items[i] = r;
	if (i + 1 < m->free.count && r.offset + r.size == m->free.items[i + 1].offset) {
		m->free.items[i].size += m->free.items[i + 1].size;
		remove_at(m, i + 1);
	}
	if (i && m->free.items[i - 1].offset + m->free.items[i - 1].size == m->free.items[i].offset) {
		m->free.items[i - 1].size += m->free.items[i].size;
		remove_at(m, i);
	}
	return 0;
}

uint32_t region_largest(const struct region_map *m)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < m->free.count; i++)
		if (m->free.items[i].size > largest)
			largest = m->free.items[i].size;
	return largest;
}
