/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The backends' slots in the map. A region is written before anything refers to it; the old one is given back after a
 * grace period. Part of the reconciler.
 */
#include "agent/slots.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"
#include "table/states.h"

static uint64_t *slot_at(const struct reconcile *r, uint32_t index)
{
	return &r->maps->slots[index];
}

void held_done(struct held *h)
{
	layout_done(&h->layout);
	maglev_cache_done(&h->cache);
	maglev_cache_done(&h->next);
	maglev_cache_done(&h->spare);
	free(h->notes);
	free(h->shares.counts);
	memset(h, 0, sizeof(*h));
}

bool slots_same_shape(const struct slots_shape *a, const struct slots_shape *b)
{
	return a->balance == b->balance && a->records == b->records && memcmp(&a->key, &b->key, sizeof(a->key)) == 0;
}

struct slots_shape slots_shape_of(const struct model_backend *backend, const struct hash_key *secret)
{
	struct slots_shape shape = { .balance = backend->balance, .key = *secret };

	shape.records = backend->forward == MODEL_NAT || backend->forward == MODEL_TRANSPARENT ||
			model_balance_deals(backend->balance);
	for (size_t s = 0; s < backend->servers.count; s++)
		shape.records |= backend->servers.items[s].shutdown_sessions;
	return shape;
}

/* May the connections of this server go on? Not those of one that is gone for good. */
static bool keeps_connections(const struct reconcile *r, uint32_t id)
{
	const struct dataplane_identity *e = &r->servers.table[id];

	return id < MAX_SERVERS && e->identity && e->state != ID_DYING;
}

static int throw_away(struct reconcile *r, struct region region)
{
	struct region *old;

	if (!region.size)
		return 0;
	old = vec_push(&r->named);
	if (!old)
		return -ENOMEM;
	*old = region;
	return 0;
}

/* A clean slot has no time: most backends need no notes most of the time. */
static void drop_notes(struct held *h)
{
	if (h->unsettled)
		return;
	free(h->notes);
	h->notes = NULL;
}

static void count_unsettled(struct reconcile *r, struct held *h)
{
	h->unsettled = 0;
	for (uint32_t i = 0; !h->shape.records && i < h->region.size; i++)
		h->unsettled += SLOT_STATE(*slot_at(r, h->region.offset + i)) != SLOT_CLEAN;
	drop_notes(h);
}

static int need_notes(struct held *h)
{
	if (!h->notes && h->region.size)
		h->notes = calloc(h->region.size, sizeof(*h->notes));
	return h->notes || !h->region.size ? 0 : -ENOMEM;
}

/* Another owner for slot i of the region that is there. */
static void put_owner(struct reconcile *r, struct held *h, uint32_t i, uint32_t owner, uint64_t window_ms)
{
	uint64_t *at = slot_at(r, h->region.offset + i);
	const uint64_t old = *at;
	uint64_t new;
	bool began;

	if (old == SLOT(owner, 0, SLOT_CLEAN))
		return; /* most of a large table */
	if (h->shape.records) {
		new = SLOT(owner, 0, SLOT_CLEAN);
	} else {
		new = slot_assign(old, owner, keeps_connections(r, SLOT_CURRENT(old)), &began);
		if (SLOT_PREVIOUS(new) && !keeps_connections(r, SLOT_PREVIOUS(new)))
			new = slot_forget(new, SLOT_PREVIOUS(new));
		if (began || (SLOT_STATE(new) == SLOT_DIRTY && h->notes[i] == SLOTS_TIME_UNKNOWN))
			h->notes[i] = r->now_ms + window_ms;
		else if (SLOT_STATE(new) == SLOT_TRACKED && SLOT_STATE(old) != SLOT_TRACKED)
			h->notes[i] = r->next_pass;
		h->unsettled += (SLOT_STATE(new) != SLOT_CLEAN) - (SLOT_STATE(old) != SLOT_CLEAN);
	}
	if (new != old)
		store_word(at, new);
}

/* Owners change in the region that is there. */
static int put_in_place(struct reconcile *r, struct held *h, const uint32_t *owners, uint64_t window_ms)
{
	int e = h->shape.records ? 0 : need_notes(h);

	if (e < 0)
		return e;
	h->changes++;
	for (uint32_t i = 0; i < h->region.size; i++)
		put_owner(r, h, i, owners[i], window_ms);
	drop_notes(h);
	return 0;
}

/*
 * The same where the owners of before are known: of a large table only the slots that change are looked at. -ESTALE:
 * they are not known, or it is not as simple as that.
 */
static int put_changes(struct reconcile *r, struct held *h, const struct layout *wanted, uint64_t window_ms)
{
	struct maglev_changes changes = {};
	int e;

	if (!h->cache_is_put || h->shape.records)
		return -ESTALE;
	e = need_notes(h);
	if (e == 0)
		e = layout_change(wanted, &h->cache, h->region.size, &changes);
	for (size_t i = 0; e == 0 && i < changes.count; i++)
		put_owner(r, h, changes.items[i].slot, changes.items[i].value, window_ms);
	h->changes += e == 0;
	vec_done(&changes);
	drop_notes(h);
	return e;
}

/* A region of its own for another size or shape. What the present one decided stays known for X, where it must. */
static int put_anew(struct reconcile *r, struct held *h, const struct slots_shape *shape, const uint32_t *owners,
		    uint32_t size, uint64_t window_ms)
{
	const bool was_hashed = h->region.size && !h->shape.records;
	const uint32_t state = shape->records || !h->region.size ? SLOT_CLEAN : was_hashed ? SLOT_DIRTY : SLOT_TRACKED;
	_cleanup_free_ uint64_t *notes = shape->records ? NULL : calloc(size + 1, sizeof(*notes));
	struct region region;
	int e = notes || shape->records ? region_take(&r->slots, size, &region) : -ENOMEM;

	if (e < 0)
		return e;
	e = was_hashed ? 0 : throw_away(r, h->region);
	if (e < 0) {
		region_give(&r->slots, region);
		return e;
	}
	for (uint32_t i = 0; i < size; i++) {
		if (notes)
			notes[i] = state == SLOT_DIRTY ? r->now_ms + window_ms : r->next_pass;
		store_word(slot_at(r, region.offset + i), SLOT(owners[i], 0, state));
	}
	if (was_hashed) {
		h->old_region = h->region;
		h->old_shape = h->shape;
		h->moved_ms = r->now_ms + window_ms;
	}
	r->unread += !h->unread;
	h->unread = true;
	h->window_ms = window_ms;
	free(h->notes);
	h->notes = take_ptr(notes);
	h->changes++;
	h->region = region;
	h->shape = *shape;
	count_unsettled(r, h);
	return 0;
}

/* How a layout goes into the map. */
struct put {
	const struct slots_shape *shape;
	uint32_t size;
	bool resize_waits, in_place, makeshift;
};

/* Every slot of a backend's new layout. */
static int put_all(struct reconcile *r, struct held *h, const struct layout *wanted, const struct put *p, uint64_t window_ms)
{
	_cleanup_free_ uint32_t *owners = NULL;
	int e = 0;

	if (!p->in_place && p->size > region_largest(&r->slots))
		return -ENOSPC;
	owners = calloc(p->size + 1, sizeof(*owners));
	if (!owners)
		return -ENOMEM;
	h->cache_is_put = false;
	if (p->makeshift)
		e = layout_fill_makeshift(wanted, owners, p->size);
	else if (p->size)
		e = layout_fill(wanted, p->shape->balance, &h->cache, owners, p->size);
	if (e == 0)
		e = p->in_place ? put_in_place(r, h, owners, window_ms) :
				  put_anew(r, h, p->shape, owners, p->size, window_ms);
	h->cache_is_put = e == 0 && !p->makeshift && !model_balance_deals(p->shape->balance) && h->cache.size == p->size;
	return e;
}

static struct put plan_put(const struct reconcile *r, const struct held *h, const struct layout *wanted,
			   const struct slots_shape *shape)
{
	/*
	 * While one change of shape is under way, or the tables can't be flipped, or there is no room, the next one waits:
	 * owners change in the table that is there, which is the one that the program reads.
	 */
	const bool moving = h->region.size && (h->old_region.size || r->flipped || r->short_of_slots);
	struct put p = { .shape = moving ? &h->shape : shape };
	const bool deals = model_balance_deals(p.shape->balance);

	p.size = layout_size(wanted, p.shape->balance);
	p.resize_waits = moving && !deals && p.size != h->region.size;
	if (p.resize_waits)
		p.size = h->region.size;
	p.in_place = !deals && p.size == h->region.size && slots_same_shape(p.shape, &h->shape);
	return p;
}

/* What was laid out beside the loop, unless something else is wanted by now; or what served before. */
static void take_next(struct held *h, const struct layout *wanted, uint32_t size)
{
	const struct maglev_cache cache = h->cache;

	/* When it is the other side's turn again, its base is there. */
	if (wanted->two_sides && wanted->backups != h->backups) {
		h->cache = h->spare;
		h->spare = cache;
		h->backups = wanted->backups;
		h->cache_is_put = false;
	} else if (!wanted->two_sides) {
		maglev_cache_done(&h->spare);
		h->backups = false;
	}
	if (h->next.size == size && layout_is_quick(wanted, &h->next, size)) {
		maglev_cache_done(&h->cache);
		h->cache = h->next;
		h->cache_is_put = false;
		h->next = (struct maglev_cache){};
	}
	maglev_cache_done(&h->next);
}

/*
 * A large base that is not known would hold the loop. Where the weights of before would not do (is_laid_later()), as backups
 * take the place of all others, new connections can't wait for it: they go by a small table meanwhile.
 */
static bool is_makeshift(struct reconcile *r, const struct held *h, size_t b, const struct layout *wanted, const struct put *p)
{
	if (!r->ops.on_slow || h->lay_here || model_balance_deals(p->shape->balance) || !layout_needs_base(wanted) ||
	    layout_is_quick(wanted, &h->cache, p->size))
		return false;
	return r->laying ||
	       bases_add(r, r->backends.table[r->at.backends[b]].identity, p->shape->balance, wanted, p->size) == 0;
}

/*
 * Other weights are another base, and a large one would hold the loop: it is laid out beside it. Until then `wanted` has the
 * weights of before, and whoever goes or comes meanwhile does so in the table that is there. False: it is done here and now.
 */
static bool is_laid_later(struct reconcile *r, const struct held *h, size_t b, struct layout *wanted, const struct put *p)
{
	if (!r->ops.on_slow || h->lay_here || !h->region.size || model_balance_deals(h->shape.balance) ||
	    model_balance_deals(p->shape->balance) || layout_is_quick(wanted, &h->cache, p->size) ||
	    !layout_can_have_weights(wanted, &h->layout, &h->cache, h->region.size))
		return false;
	if (!r->laying &&
	    bases_add(r, r->backends.table[r->at.backends[b]].identity, p->shape->balance, wanted, p->size) < 0)
		return false;
	layout_take_weights(wanted, &h->layout);
	return true;
}

/* Puts a backend's new layout into the map. */
static int put_slots(struct reconcile *r, struct held *h, size_t b, struct layout *wanted,
		     const struct slots_shape *shape, uint64_t window_ms)
{
	struct put p = plan_put(r, h, wanted, shape);
	struct layout swap;
	int e;

	take_next(h, wanted, p.size);
	if (is_laid_later(r, h, b, wanted, &p)) {
		if (layout_equal(wanted, &h->layout))
			return 0;
		p = (struct put){ .shape = &h->shape, .size = h->region.size, .in_place = true };
	} else {
		p.makeshift = is_makeshift(r, h, b, wanted, &p);
	}
	if (p.makeshift && h->makeshift && p.in_place && layout_equal(wanted, &h->layout))
		return 0; /* it is there */
	h->lay_here = false;
	e = p.in_place && !p.makeshift ? put_changes(r, h, wanted, window_ms) : -ESTALE;
	if (e == -ESTALE)
		e = put_all(r, h, wanted, &p, window_ms);
	if (e == -ENOSPC && room_wanted(r)) {
		p = plan_put(r, h, wanted, shape);
		if (!p.in_place)
			return 0; /* as it was, until there is room */
		p.makeshift = is_makeshift(r, h, b, wanted, &p);
		e = put_all(r, h, wanted, &p, window_ms);
	}
	if (e < 0)
		return e;
	h->resize_waits = p.resize_waits;
	h->makeshift = p.makeshift;
	swap = h->layout;
	h->layout = *wanted;
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

bool slots_differ(struct reconcile *r, size_t b, const struct layout *wanted)
{
	const struct model_backend *backend = &r->model->backends.items[b];
	const struct slots_shape shape = slots_shape_of(backend, &r->secret);
	struct held *held = &r->held[r->at.backends[b]];
	bool reshape;

	if (held->moved_ms == SLOTS_TIME_UNKNOWN)
		held->moved_ms = r->now_ms + backend->idle_timeout_ms;
	reshape = (!slots_same_shape(&shape, &held->shape) || held->resize_waits) && !held->old_region.size;
	if (reshape && r->flipped)
		r->again = true;
	if (!layout_equal(wanted, &held->layout) || held->makeshift || (reshape && !r->flipped))
		return true;
	maglev_cache_done(&held->next); /* wanted no more */
	return false;
}

int slots_put(struct reconcile *r, size_t b, struct layout *wanted)
{
	const struct model_backend *backend = &r->model->backends.items[b];
	const struct slots_shape shape = slots_shape_of(backend, &r->secret);

	return put_slots(r, &r->held[r->at.backends[b]], b, wanted, &shape, backend->idle_timeout_ms);
}

/* ---- time goes by ---- */

void slots_are_read(struct reconcile *r)
{
	for (uint32_t id = 0; r->unread && id < MAX_BACKENDS; id++) {
		struct held *h = &r->held[id];

		if (!h->unread)
			continue;
		r->unread--;
		h->unread = false;
		h->begin_ms = r->now_ms;
		h->begin_pass = r->next_pass;
		if (h->old_region.size)
			h->moved_ms = r->now_ms + h->window_ms;
	}
}

static void settle(struct reconcile *r, struct held *h, uint64_t pass)
{
	for (uint32_t i = 0; i < h->region.size; i++) {
		const uint32_t index = h->region.offset + i;
		uint64_t *at = slot_at(r, index);
		const uint64_t old = *at;

		if (SLOT_STATE(old) == SLOT_DIRTY && r->now_ms >= h->notes[i] && r->now_ms >= h->begin_ms + h->window_ms) {
			store_word(at, slot_settle(old));
			h->notes[i] = pass + 2;
		} else if (SLOT_STATE(old) == SLOT_TRACKED && pass >= h->notes[i] &&
			   pass >= h->begin_pass && !r->foreign[index]) {
			store_word(at, slot_clean(old));
		}
	}
	count_unsettled(r, h);
}

bool slots_after_sweep(struct reconcile *r, uint64_t pass)
{
	bool changed = false;

	r->unsettled = false;
	for (uint32_t id = 0; id < MAX_BACKENDS; id++) {
		struct held *h = &r->held[id];

		if (h->unsettled && !h->unread)
			settle(r, h, pass);
		r->unsettled |= h->unsettled > 0;
		if (h->old_region.size && !h->unread && r->now_ms >= h->moved_ms && !r->flipped &&
		    throw_away(r, h->old_region) == 0) {
			h->old_region.size = 0;
			changed = true;
		}
	}
	return changed;
}

void slots_mark_previous(const struct reconcile *r, uint8_t *marks)
{
	for (uint32_t id = 0; id < MAX_BACKENDS; id++) {
		const struct held *h = &r->held[id];

		for (uint32_t i = 0; h->unsettled && i < h->region.size; i++)
			marks[SLOT_PREVIOUS(*slot_at(r, h->region.offset + i)) % MAX_SERVERS] = 1;
		for (uint32_t i = 0; i < h->old_region.size; i++) {
			const uint64_t slot = *slot_at(r, h->old_region.offset + i);

			marks[SLOT_CURRENT(slot) % MAX_SERVERS] = 1;
			marks[SLOT_PREVIOUS(slot) % MAX_SERVERS] = 1;
		}
	}
}

void slots_forget_server(struct reconcile *r, uint32_t server)
{
	for (uint32_t id = 0; id < MAX_BACKENDS; id++) {
		struct held *h = &r->held[id];

		for (uint32_t i = 0; h->unsettled && i < h->region.size; i++) {
			uint64_t *at = slot_at(r, h->region.offset + i);
			const uint64_t new = slot_forget(*at, server);

			if (new != *at) {
				store_word(at, new);
				h->notes[i] = r->next_pass;
			}
		}
		/* The table of before answers nobody: the packet goes to the present owner. */
		for (uint32_t i = 0; i < h->old_region.size; i++) {
			uint64_t *at = slot_at(r, h->old_region.offset + i);

			if (SLOT_PREVIOUS(*at) == server)
				store_word(at, SLOT(SLOT_CURRENT(*at), 0, SLOT_TRACKED));
			if (SLOT_CURRENT(*at) == server)
				store_word(at, SLOT(0, SLOT_PREVIOUS(*at), SLOT_STATE(*at)));
		}
	}
}

static uint64_t flow_slot_hash(const struct slots_shape *shape, const struct flow_view *f, const struct addr *local)
{
	const uint8_t protocol = f->kind & ~FLOW_REPLY;
	__u64 source[2], destination[2];

	memcpy(source, f->remote.bytes, sizeof(source));
	memcpy(destination, local->bytes, sizeof(destination));
	if (f->v6)
		return shape->balance == MODEL_SOURCE ?
			       hash_source6(&shape->key, source) :
			       hash_tuple6(&shape->key, source, destination, htons(f->remote_port),
					   htons(f->local_port), protocol);
	return shape->balance == MODEL_SOURCE ?
		       hash_source4(&shape->key, source[0]) :
		       hash_tuple4(&shape->key, source[0], destination[0], htons(f->remote_port),
				   htons(f->local_port), protocol);
}

bool reconcile_record_is_needless(struct reconcile *r, const struct flow_view *f, size_t service)
{
	const struct addr local = addresses_get(&r->addresses, f->local, f->v6);
	struct held *h;
	uint32_t index;
	uint64_t slot;

	/* Slots are TCP's: a datagram's record is there for `udp-persist`, or as every flow is recorded. */
	if (service == SIZE_MAX || f->from || (f->kind & ~FLOW_REPLY) == IPPROTO_UDP)
		return false;
	h = &r->held[r->at.backends[r->model->services.items[service].backend]];
	if (h->shape.records || !h->region.size || h->unread)
		return false;
	index = h->region.offset + hash_slot(flow_slot_hash(&h->shape, f, &local), h->region.size);
	slot = *slot_at(r, index);
	if (SLOT_CURRENT(slot) != FLOW_SERVER(f->value)) {
		r->foreign[index] = 1;
		return SLOT_STATE(slot) == SLOT_CLEAN; /* nobody looks there */
	}
	return SLOT_STATE(slot) != SLOT_DIRTY;
}

/*
 * What an earlier agent left of a backend: its slots go on in the states they are in. When they got there is not known,
 * so X begins anew.
 */
int held_adopt(struct reconcile *r, const struct service *s, struct region region, struct region old_region)
{
	struct held *h = &r->held[s->backend];
	static const enum model_balance balances[] = {
		[BALANCE_ROUNDROBIN] = MODEL_ROUNDROBIN, [BALANCE_MAGLEV] = MODEL_MAGLEV,
		[BALANCE_SOURCE] = MODEL_SOURCE, [BALANCE_LEASTCONN] = MODEL_LEASTCONN,
	};

	h->changes++;
	h->region = region;
	h->shape.balance = balances[s->balance % array_size(balances)];
	h->shape.records = s->flags & SERVICE_RECORDS && !(s->flags & SERVICE_PERSISTS);
	h->shape.key = (struct hash_key){ { s->key[0], s->key[1] } };
	h->old_region = old_region;
	h->old_shape.balance = balances[s->old_balance % array_size(balances)];
	h->old_shape.key = (struct hash_key){ { s->old_key[0], s->old_key[1] } };
	if (old_region.size)
		h->moved_ms = SLOTS_TIME_UNKNOWN;
	if (h->shape.records)
		return 0;
	if (need_notes(h) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < region.size; i++)
		h->notes[i] = SLOT_STATE(*slot_at(r, region.offset + i)) == SLOT_DIRTY ? SLOTS_TIME_UNKNOWN :
											  r->next_pass;
	count_unsettled(r, h);
	return 0;
}
