/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/pools.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include <alwayson/hash.h>

#include "base/cleanup.h"

int pools_init(struct pools *p, struct own_port *map, uint32_t size)
{
	memset(p, 0, sizeof(*p));
	p->map = map;
	p->skip = calloc(65536 / 8, 1);
	if (!p->skip)
		return -ENOMEM;
	return region_init(&p->regions, size);
}

void pools_done(struct pools *p)
{
	for (size_t i = 0; i < p->pools.count; i++)
		vec_done(&p->pools.items[i].sources);
	vec_done(&p->pools);
	region_done(&p->regions);
	free(p->skip);
	p->skip = NULL;
}

void pools_skip(struct pools *p, uint16_t port)
{
	p->skip[port / 8] |= 1 << port % 8;
}

static bool is_skipped(const struct pools *p, uint32_t port)
{
	return p->skip[port / 8] >> port % 8 & 1;
}

static bool same_sources(const struct pool *pool, const struct pool_source *sources, size_t count)
{
	if (pool->sources.count != count)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct pool_source *a = &pool->sources.items[i], *b = &sources[i];

		if (!addr_equal(&a->addr, &b->addr) || a->low != b->low || a->high != b->high)
			return false;
	}
	return true;
}

/* Deals them in random order: who sees one own port can't tell the next. */
static void shuffle(struct own_port *ports, uint32_t count)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return;
	for (uint32_t i = count; i > 1; i--) {
		uint32_t j = hash_slot(hash_mix(seed += 0x9e3779b97f4a7c15ULL), i);
		struct own_port swap = ports[i - 1];

		ports[i - 1] = ports[j];
		ports[j] = swap;
	}
}

static int lay_out(struct pools *p, struct pool *pool, struct addresses *addresses)
{
	uint32_t count = 0, n = 0;
	int r;

	for (size_t i = 0; i < pool->sources.count; i++)
		for (uint32_t port = pool->sources.items[i].low; port <= pool->sources.items[i].high; port++)
			count += !is_skipped(p, port);
	r = region_take(&p->regions, count + 1, &pool->region);
	if (r < 0)
		return r;
	memset(&p->map[pool->region.offset], 0, sizeof(*p->map)); /* the program's counter */
	for (size_t i = 0; i < pool->sources.count; i++) {
		const struct pool_source *s = &pool->sources.items[i];
		uint16_t id;

		r = addresses_take(addresses, &s->addr, &id);
		if (r < 0) {
			region_give(&p->regions, pool->region);
			return r;
		}
		for (uint32_t port = s->low; port <= s->high; port++)
			if (!is_skipped(p, port))
				p->map[pool->region.offset + 1 + n++] =
					(struct own_port){ .address = id, .port = htons(port) };
	}
	shuffle(p->map + pool->region.offset + 1, count);
	return 0;
}

int pools_take(struct pools *p, const struct pool_source *sources, size_t count, struct addresses *addresses,
	       struct region *ret)
{
	struct pool *pool;
	int r;

	for (size_t i = 0; count && i < p->pools.count; i++) {
		pool = &p->pools.items[i];
		if (!same_sources(pool, sources, count))
			continue;
		for (size_t s = 0; s < count; s++) {
			uint16_t id;

			r = addresses_take(addresses, &sources[s].addr, &id);
			if (r < 0)
				return r;
		}
		pool->wanted = true;
		*ret = pool->region;
		return 0;
	}
	pool = vec_push(&p->pools);
	if (!pool)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct pool_source *s = vec_push(&pool->sources);

		if (!s) {
			r = -ENOMEM;
			goto fail;
		}
		*s = sources[i];
	}
	r = lay_out(p, pool, addresses);
	if (r < 0)
		goto fail;
	pool->wanted = true;
	*ret = pool->region;
	return 0;
fail:
	vec_done(&pool->sources);
	p->pools.count--;
	return r;
}

int pools_adopt(struct pools *p, struct region region)
{
	struct pool *pool = vec_push(&p->pools);

	if (!pool)
		return -ENOMEM;
	pool->region = region; /* no sources: nobody asks for it again */
	return 0;
}

void pools_unwant_all(struct pools *p)
{
	for (size_t i = 0; i < p->pools.count; i++)
		p->pools.items[i].wanted = false;
}

void pools_free_unwanted(struct pools *p)
{
	for (size_t i = 0; i < p->pools.count;) {
		struct pool *pool = &p->pools.items[i];

		if (pool->wanted) {
			i++;
			continue;
		}
		region_give(&p->regions, pool->region);
		vec_done(&pool->sources);
		*pool = p->pools.items[--p->pools.count];
	}
}
