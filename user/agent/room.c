/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Room for the backends' slots: how much a model takes, and whether it is there. A table that changes its size is there
 * twice for a while, and all of them may at once (a new secret, backups in the place of all others); room for that is
 * made when it comes to it (ops.on_short), not kept for the day. Part of the reconciler.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"

enum {
	RESERVE = 8, /* an eighth of what the tables take, or as much as the largest of them, is there before it is needed */
};

/*
 * Slots of backend b's table with every server up; 0 also when out of memory. health: weights by hand are in force; NULL: not
 * known of this model.
 */
static uint32_t backend_slots(const struct model *m, size_t b, const struct health *health)
{
	const struct model_backend *backend = &m->backends.items[b];
	const size_t n = backend->servers.count;
	_cleanup_free_ struct health_view *views = calloc(n + 1, sizeof(*views));
	_cleanup_free_ uint32_t *ids = calloc(n + 1, sizeof(*ids));
	_cleanup_free_ uint64_t *keys = calloc(n + 1, sizeof(*keys));
	struct health_view known;
	struct layout l = {};
	uint32_t size = 0;

	if (!views || !ids || !keys)
		return 0;
	for (size_t s = 0; s < n; s++) {
		views[s].accepts_new = backend->servers.items[s].weight > 0;
		views[s].weight = views[s].weight_configured = backend->servers.items[s].weight;
		if (!health)
			continue;
		health_view(health, b, s, &known);
		if (known.weight)
			views[s].weight = known.weight;
	}
	if (layout_choose(backend, views, ids, keys, &l) == 0)
		size = layout_size(&l, backend->balance);
	layout_done(&l);
	return size;
}

static uint64_t all_slots(const struct model *m, uint32_t *ret_largest)
{
	uint64_t all = 0;

	*ret_largest = 0;
	for (size_t b = 0; b < m->backends.count; b++) {
		const uint32_t size = backend_slots(m, b, NULL);

		all += size;
		if (size > *ret_largest)
			*ret_largest = size;
	}
	return all;
}

static uint32_t at_most(uint64_t slots)
{
	return slots < DATAPLANE_SLOTS_MAX ? slots : DATAPLANE_SLOTS_MAX;
}

uint32_t reconcile_slots_at_start(const struct model *m)
{
	uint32_t largest;
	const uint64_t all = all_slots(m, &largest);
	const uint64_t wanted = all + (all / RESERVE > largest ? all / RESERVE : largest);

	return at_most(wanted > DATAPLANE_SLOTS ? wanted : DATAPLANE_SLOTS);
}

int room_check(const struct model *m, char error[RECONCILE_ERROR_MAX])
{
	uint32_t largest;
	const uint64_t wanted = 2 * all_slots(m, &largest);

	if (wanted <= DATAPLANE_SLOTS_MAX)
		return 0;
	snprintf(error, RECONCILE_ERROR_MAX,
		 "the backends' tables may take %llu slots, and there can be %u at most (DATAPLANE_SLOTS_MAX): use fewer "
		 "servers, or weights with a larger common divisor",
		 (unsigned long long)wanted, (unsigned)DATAPLANE_SLOTS_MAX);
	return -ENOSPC;
}

/* Would all tables that are new, or of another size or shape, find room beside those that are there? */
static bool fits(struct reconcile *r, const struct model *m, const struct health *health, const struct hash_key *secret)
{
	struct region_map room = {};
	bool all = region_copy(&r->slots, &room) == 0;

	for (size_t b = 0; all && b < m->backends.count; b++) {
		const struct model_backend *backend = &m->backends.items[b];
		const struct slots_shape shape = slots_shape_of(backend, secret);
		const uint32_t id = ids_find(&r->backends, reconcile_backend_identity(backend));
		const uint32_t size = backend_slots(m, b, health);
		struct region taken;

		if (id != ID_NONE && r->held[id].region.size == size && slots_same_shape(&shape, &r->held[id].shape))
			continue;
		all = region_take(&room, size, &taken) == 0;
	}
	region_done(&room);
	return all;
}

uint32_t reconcile_slots_for(struct reconcile *r, const struct model *m, const struct health *health,
			     const struct hash_key *secret)
{
	const uint64_t there = r->maps->slot_count;
	uint32_t largest;
	uint64_t more;

	if (fits(r, m, health, secret))
		return there;
	/* All of them at once find room in what is new; a quarter more at least, so that growing is rare. */
	more = all_slots(m, &largest);
	return at_most(there + (more > there / 4 ? more : there / 4));
}

uint32_t reconcile_slots_more(const struct reconcile *r)
{
	const uint64_t there = r->maps->slot_count;
	uint32_t largest;
	const uint64_t all = all_slots(r->model, &largest);

	return at_most(there + (all > there ? all : there));
}

bool room_wanted(struct reconcile *r)
{
	if (!r->ops.on_short || r->maps->slot_count >= DATAPLANE_SLOTS_MAX)
		return false;
	if (!r->short_of_slots)
		r->ops.on_short(r->ops.ctx);
	r->short_of_slots = true;
	return true;
}

int reconcile_slots_grown(struct reconcile *r)
{
	const uint32_t old = r->slot_count, new = r->maps->slot_count;
	uint8_t *foreign;
	int e;

	r->short_of_slots = false;
	if (new == old)
		return 0;
	foreign = realloc(r->foreign, new);
	if (!foreign)
		return -ENOMEM;
	r->foreign = foreign;
	memset(foreign + old, 0, new - old);
	e = region_give(&r->slots, (struct region){ .offset = old, .size = new - old });
	if (e == 0)
		r->slot_count = new;
	return e;
}
