/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/layout.h"

#include <errno.h>
#include <string.h>

#include <alwayson/hash.h>

#include "base/cleanup.h"
#include "table/smooth.h"

int layout_choose(const struct model_backend *b, const struct health_view *views, const uint32_t *ids,
		  const uint64_t *keys, struct layout *ret)
{
	bool use_backups = false, first = true;

	ret->members.count = 0;
	ret->two_sides = ret->backups = false;
	/*
	 * Backups take over only when one of them can: while nobody is up, the base stays that of the others, or the table
	 * would change its size and forget to whom the connections belong that were there before.
	 */
	for (size_t i = 0; i < b->servers.count; i++)
		use_backups |= b->servers.items[i].backup && views[i].accepts_new;
	for (size_t i = 0; i < b->servers.count; i++)
		use_backups &= b->servers.items[i].backup || !views[i].accepts_new;
	ret->backups = use_backups;
	for (size_t i = 0; i < b->servers.count; i++) {
		struct layout_member *m = vec_push(&ret->members);

		if (!m)
			return -ENOMEM;
		ret->two_sides |= b->servers.items[i].backup != b->servers.items[0].backup;
		m->key = keys[i];
		m->id = ids[i];
		m->chosen = views[i].accepts_new && b->servers.items[i].backup == use_backups;
		if (m->chosen && use_backups && !b->all_backups) {
			m->chosen = first;
			first = false;
		}
		/* The base is the configured weight: a drain or a failure moves the server's own slots only. */
		m->weight = b->servers.items[i].backup != use_backups ? 0 :
			    views[i].weight			      ? views[i].weight :
									views[i].weight_configured;
		m->share = (uint8_t)views[i].share_percent;
		m->down = !views[i].up && !views[i].held && views[i].admin == HEALTH_READY;
		if (m->chosen && !m->weight)
			m->weight = views[i].weight;
	}
	return 0;
}

bool layout_equal(const struct layout *a, const struct layout *b)
{
	if (a->members.count != b->members.count)
		return false;
	for (size_t i = 0; i < a->members.count; i++) {
		const struct layout_member *x = &a->members.items[i], *y = &b->members.items[i];

		if (x->key != y->key || x->id != y->id || x->weight != y->weight || x->chosen != y->chosen ||
		    x->share != y->share)
			return false;
	}
	return true;
}

uint64_t layout_digest(const struct layout *l)
{
	uint64_t digest = 1;

	for (size_t i = 0; i < l->members.count; i++) {
		const struct layout_member *m = &l->members.items[i];

		digest = hash_mix(digest ^ m->key);
		digest = hash_mix(digest ^ ((uint64_t)m->id << 32 | m->weight));
		digest = hash_mix(digest ^ (m->chosen ? 1 + m->share : 0));
	}
	return digest | 1;
}

static struct maglev_server *maglev_members(const struct layout *l)
{
	struct maglev_server *servers = calloc(l->members.count + 1, sizeof(*servers));

	for (size_t i = 0; servers && i < l->members.count; i++) {
		const struct layout_member *m = &l->members.items[i];

		servers[i] = (struct maglev_server){
			.key = m->key, .weight = m->weight, .up = m->chosen,
			.without = (uint8_t)(100 - m->share), .value = m->id,
		};
	}
	return servers;
}

static struct smooth_server *smooth_members(const struct layout *l)
{
	struct smooth_server *servers = calloc(l->members.count + 1, sizeof(*servers));

	for (size_t i = 0; servers && i < l->members.count; i++) {
		const struct layout_member *m = &l->members.items[i];

		servers[i] = (struct smooth_server){
			.weight = m->chosen ? m->weight * m->share : 0, .value = m->id,
		};
	}
	return servers;
}

uint32_t layout_size(const struct layout *l, enum model_balance balance)
{
	if (model_balance_deals(balance)) {
		_cleanup_free_ struct smooth_server *servers = smooth_members(l);

		return servers ? smooth_size(servers, l->members.count) : 0;
	}
	_cleanup_free_ struct maglev_server *servers = maglev_members(l);

	return servers ? maglev_size(servers, l->members.count) : 0;
}

bool layout_needs_base(const struct layout *l)
{
	size_t chosen = 0;

	for (size_t i = 0; i < l->members.count; i++)
		chosen += l->members.items[i].chosen;
	return chosen > 1;
}

void layout_choose_all(struct layout *l)
{
	for (size_t i = 0; i < l->members.count; i++)
		l->members.items[i].chosen = l->members.items[i].weight > 0;
}

bool layout_is_quick(const struct layout *l, const struct maglev_cache *cache, uint32_t size)
{
	_cleanup_free_ struct maglev_server *servers = maglev_members(l);

	return size < MAGLEV_CACHED_MIN || !servers ||
	       (cache && maglev_cache_fits(cache, servers, l->members.count, size));
}

int layout_fill(const struct layout *l, enum model_balance balance, struct maglev_cache *cache, uint32_t *slots,
		uint32_t size)
{
	if (model_balance_deals(balance)) {
		_cleanup_free_ struct smooth_server *servers = smooth_members(l);

		return servers ? smooth_fill(servers, l->members.count, slots) : -ENOMEM;
	}
	_cleanup_free_ struct maglev_server *servers = maglev_members(l);

	return servers ? maglev_fill_cached(cache, servers, l->members.count, slots, size) : -ENOMEM;
}

int layout_fill_makeshift(const struct layout *l, uint32_t *slots, uint32_t size)
{
	_cleanup_free_ struct maglev_server *servers = maglev_members(l);

	return servers ? maglev_fill_makeshift(servers, l->members.count, slots, size) : -ENOMEM;
}

int layout_change(const struct layout *l, struct maglev_cache *cache, uint32_t size, struct maglev_changes *ret)
{
	_cleanup_free_ struct maglev_server *servers = maglev_members(l);

	return servers ? maglev_change(cache, servers, l->members.count, size, ret) : -ENOMEM;
}

bool layout_can_have_weights(const struct layout *l, const struct layout *before, const struct maglev_cache *cache,
			     uint32_t size)
{
	bool served = false;

	if (l->members.count != before->members.count)
		return false;
	for (size_t i = 0; i < l->members.count; i++) {
		const struct layout_member *x = &l->members.items[i], *y = &before->members.items[i];

		if (x->key != y->key || x->id != y->id)
			return false;
		served |= x->chosen && y->weight;
	}
	return served && layout_is_quick(before, cache, size);
}

void layout_take_weights(struct layout *l, const struct layout *before)
{
	for (size_t i = 0; i < l->members.count; i++)
		l->members.items[i].weight = before->members.items[i].weight;
}

int layout_copy(const struct layout *l, struct layout *ret)
{
	for (size_t i = 0; i < l->members.count; i++) {
		struct layout_member *m = vec_push(&ret->members);

		if (!m) {
			layout_done(ret);
			return -ENOMEM;
		}
		*m = l->members.items[i];
	}
	ret->two_sides = l->two_sides;
	ret->backups = l->backups;
	return 0;
}

void layout_done(struct layout *l)
{
	vec_done(&l->members);
}
