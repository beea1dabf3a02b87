/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backends' slots in the map. A region is written before anything refers to it; the old one is given back after a
 * grace period. Part of the reconciler.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"

static uint64_t *slot_at(const struct reconcile *r, uint32_t index)
{
	return &r->maps->slots[index];
}

/* Puts a backend's new layout into the map: in place where its region does, else in a new one. */
static int put_slots(struct reconcile *r, struct held *held, struct layout *wanted)
{
	uint32_t size = layout_size(wanted);
	_cleanup_free_ uint32_t *slots = calloc(size + 1, sizeof(*slots));
	/* A hash's region is changed slot by slot; a round robin's order is replaced as a whole. */
	const bool in_place = size == held->region.size && wanted->balance != MODEL_ROUNDROBIN &&
			      held->layout.balance == wanted->balance;
	struct region region = held->region, *old;
	struct layout swap;
	int e;

	if (!slots)
		return -ENOMEM;
	e = size ? layout_fill(wanted, slots, size) : 0;
	if (e < 0)
		return e;
	if (!in_place) {
		e = region_take(&r->slots, size, &region);
		if (e < 0)
			return e;
		old = vec_push(&r->next_garbage);
		if (!old) {
			region_give(&r->slots, region);
			return -ENOMEM;
		}
		*old = held->region;
	}
	for (uint32_t i = 0; i < size; i++)
		if (!in_place || *slot_at(r, region.offset + i) != SLOT(slots[i], 0, 0))
			store_word(slot_at(r, region.offset + i), SLOT(slots[i], 0, 0));
	held->region = region;
	swap = held->layout;
	held->layout = *wanted;
	*wanted = swap;
	return 0;
}

int slots_choose(struct reconcile *r, const struct health *h, size_t b, struct layout *ret)
{
	const struct model_backend *backend = &r->model->backends.items[b];
	_cleanup_free_ struct health_view *views = calloc(backend->servers.count + 1, sizeof(*views));

	if (!views)
		return -ENOMEM;
	for (size_t s = 0; s < backend->servers.count; s++) {
		struct net_hop hop;

		health_view(h, b, s, &views[s]);
		/* Who can't be sent to gets nothing new, whatever its check says. */
		if (!reconcile_has_way(r, r->at.servers[r->at.first[b] + s], &hop))
			views[s].accepts_new = false;
	}
	return layout_choose(backend, views, &r->at.servers[r->at.first[b]], &r->at.keys[r->at.first[b]], ret);
}

int slots_put(struct reconcile *r, const struct health *h)
{
	int first = 0;

	for (size_t b = 0; b < r->model->backends.count; b++) {
		struct held *held = &r->held[r->at.backends[b]];
		struct layout wanted = {};
		int e = slots_choose(r, h, b, &wanted);

		if (e == 0 && !layout_equal(&wanted, &held->layout))
			e = put_slots(r, held, &wanted);
		layout_done(&wanted);
		if (e < 0 && !first)
			first = e;
	}
	return first;
}

double reconcile_slots_share(const struct reconcile *r, size_t backend, size_t server)
{
	const struct held *held = &r->held[r->at.backends[backend]];
	const uint32_t id = reconcile_server_id(r, backend, server);
	uint32_t mine = 0;

	if (!held->region.size)
		return -1;
	for (uint32_t i = 0; i < held->region.size; i++)
		mine += SLOT_CURRENT(*slot_at(r, held->region.offset + i)) == id;
	return (double)mine / held->region.size;
}
