/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/reconcile.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/bases.h"
#include "agent/reconcile_internal.h"

static uint64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void reconcile_begin_pass(struct reconcile *r, uint64_t passes)
{
	r->now_ms = monotonic_ms();
	r->next_pass = passes + 3;
	if (r->unsettled)
		memset(r->foreign, 0, r->slot_count);
}

/* A part of a map that the active half refers to; several may refer to the same. 0 or -ENOMEM. */
static int adopt_region(struct region_map *m, uint32_t offset, uint32_t size, struct region *ret)
{
	struct region region = { .offset = offset, .size = size };
	int e = region_take_at(m, region);

	if (e == -EBUSY)
		region.size = 0;
	*ret = region;
	return e == -ENOMEM ? e : 0;
}

static void adopt_own_addresses(struct reconcile *r)
{
	for (uint32_t i = 0; i < SERVICE_TABLE_MAX; i++) {
		const struct service_entry4 *e4 = &r->maps->services4[r->half * SERVICE_TABLE_MAX + i];
		const struct service_entry6 *e6 = &r->maps->services6[r->half * SERVICE_TABLE_MAX + i];

		if (e4->kind == ENTRY_OWN)
			r->addresses.own[e4->address] = AF_INET;
		if (e6->kind == ENTRY_OWN)
			r->addresses.own[e6->address] = AF_INET6;
	}
}

/* Parts of access lists. Of which family a service is, and so where its part lies, only its entry says. */
static int adopt_access(struct reconcile *r)
{
	int e = 0;

	for (uint32_t i = 0; e == 0 && i < SERVICE_TABLE_MAX; i++) {
		const struct service_entry4 *e4 = &r->maps->services4[r->half * SERVICE_TABLE_MAX + i];
		const struct service_entry6 *e6 = &r->maps->services6[r->half * SERVICE_TABLE_MAX + i];
		const struct service *s = &r->maps->services[r->half * MAX_SERVICES];

		if (e4->kind == ENTRY_SERVICE || e4->kind == ENTRY_ALL_PORTS)
			e = acls_adopt(&r->acls, false, s[e4->service % MAX_SERVICES].access);
		if (e == 0 && (e6->kind == ENTRY_SERVICE || e6->kind == ENTRY_ALL_PORTS))
			e = acls_adopt(&r->acls, true, s[e6->service % MAX_SERVICES].access);
	}
	return e;
}

/*
 * Maps of an earlier agent: what their active half refers to stays as it is until the first flip, and is given back
 * after it; ids and addresses were kept by the maps themselves.
 */
static int adopt(struct reconcile *r)
{
	struct region region;
	int e = 0;

	r->half = r->maps->control->word & CONTROL_HALF;
	r->nat_low = r->maps->control->nat_low;
	r->nat_high = r->maps->control->nat_high;
	adopt_own_addresses(r);
	e = adopt_access(r);
	for (uint32_t id = 0; e == 0 && id < MAX_SERVICES; id++) {
		const struct service *s = &r->maps->services[r->half * MAX_SERVICES + id];
		struct region old = {};

		/* Several services may have one backend: the first to be seen brings its regions. */
		e = adopt_region(&r->slots, s->slots >> 32, (uint32_t)s->slots, &region);
		if (e == 0 && region.size)
			e = adopt_region(&r->slots, s->old_slots >> 32, (uint32_t)s->old_slots, &old);
		if (e == 0 && region.size && s->backend < MAX_BACKENDS)
			e = held_adopt(r, s, region, old);
	}
	for (uint32_t id = 1; e == 0 && id < MAX_SERVERS; id++) {
		const struct server *s = active_server(r, id);
		struct addr addr = { .family = AF_INET };

		if (!r->servers.table[id].identity)
			continue;
		e = adopt_region(&r->pools.regions, s->pool_offset, s->pool_count ? s->pool_count + 1 : 0, &region);
		if (e == 0 && region.size)
			e = pools_adopt(&r->pools, region);
		if (s->addr[1] || s->addr[0] >> 32)
			addr.family = AF_INET6;
		memcpy(addr.bytes, s->addr, sizeof(s->addr));
		reconcile_watch(r, id, &addr);
	}
	return e;
}

int reconcile_new(struct dataplane *d, struct grace *grace, struct net *net, const struct reconcile_ops *ops,
		  struct reconcile **ret)
{
	struct dataplane_maps *maps = dataplane_maps(d);
	struct reconcile *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->dataplane = d;
	r->maps = maps;
	r->grace = grace;
	r->net = net;
	r->ops = *ops;
	r->entries_stale = true;
	r->held = calloc(MAX_BACKENDS, sizeof(*r->held));
	r->tracked = calloc(MAX_SERVERS, sizeof(*r->tracked));
	r->server_image = calloc(MAX_SERVERS, sizeof(*r->server_image));
	r->service_image = calloc(MAX_SERVICES, sizeof(*r->service_image));
	r->foreign = calloc(maps->slot_count, 1);
	r->now_ms = monotonic_ms();
	r->next_pass = 3;
	e = r->foreign && r->held && r->tracked && r->server_image && r->service_image ? 0 : -ENOMEM;
	if (e == 0)
		e = ids_init(&r->servers, maps->server_ids, 1, MAX_SERVERS);
	if (e == 0)
		e = ids_init(&r->services, maps->service_ids, 0, MAX_SERVICES);
	if (e == 0)
		e = ids_init(&r->backends, maps->backend_ids, 0, MAX_BACKENDS);
	if (e == 0)
		e = addresses_init(&r->addresses, maps->addresses);
	if (e == 0)
		e = pools_init(&r->pools, maps->ports, maps->port_count);
	if (e == 0)
		e = region_init(&r->slots, maps->slot_count);
	if (e == 0)
		e = acls_init(&r->acls, maps->access4, maps->access6);
	r->slot_count = maps->slot_count;
	if (e == 0 && maps->taken_over)
		e = adopt(r);
	if (e < 0) {
		reconcile_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

void reconcile_free(struct reconcile *r)
{
	if (!r)
		return;
	for (size_t b = 0; r->held && b < MAX_BACKENDS; b++)
		held_done(&r->held[b]);
	for (size_t s = 0; r->tracked && s < MAX_SERVERS; s++)
		if (r->tracked[s].watched.family)
			net_unwatch(r->net, &r->tracked[s].watched);
	assignment_done(&r->at);
	ids_done(&r->servers);
	ids_done(&r->services);
	ids_done(&r->backends);
	addresses_done(&r->addresses);
	pools_done(&r->pools);
	acls_done(&r->acls);
	region_done(&r->slots);
	bases_free(r->bases);
	queue_drop(&r->queue);
	vec_done(&r->entries);
	vec_done(&r->named);
	vec_done(&r->garbage);
	vec_done(&r->next_garbage);
	free(r->held);
	free(r->tracked);
	free(r->foreign);
	free(r->server_image);
	free(r->service_image);
	free(r);
}


/* Nobody sends by this entry: it is new, or its next hop is not known. */
static bool is_unsent(const struct server *s)
{
	return !(SERVER_FLAGS(s->word) & SERVER_RESOLVED);
}

/* Everything but the word that changes in place. */
static bool same_but_word(const struct server *a, const struct server *b)
{
	return memcmp(&a->own_mac, &b->own_mac, sizeof(*a) - sizeof(a->word)) == 0;
}

static bool gains(uint64_t old, uint64_t new)
{
	return SERVER_FLAGS(new) & ~SERVER_FLAGS(old);
}

/*
 * Who comes back while connections that he had go on has own ports again before a slot names him, which may be long before the
 * flip. Until then nobody asks for them, so that two stores do.
 */
static void give_pool(struct server *active, const struct server *image)
{
	struct server with = *active;

	with.pool_offset = image->pool_offset;
	with.pool_count = image->pool_count;
	if (active->pool_count || !image->pool_count || !same_but_word(&with, image))
		return;
	__atomic_store_n(&active->pool_offset, image->pool_offset, __ATOMIC_RELAXED);
	__atomic_store_n(&active->pool_count, image->pool_count, __ATOMIC_RELEASE);
}

/* Entries that nobody sends by are written straight into the active half; words that gain before the slots change. */
static bool put_servers(struct reconcile *r, bool gaining)
{
	bool structural = false;

	for (uint32_t id = 1; id < MAX_SERVERS; id++) {
		struct server *active = active_server(r, id);
		const struct server *image = &r->server_image[id];

		if (!r->servers.table[id].identity)
			continue;
		if (is_unsent(active)) {
			memcpy(&active->own_mac, &image->own_mac, sizeof(*active) - sizeof(active->word));
			store_word((uint64_t *)&active->word, image->word);
		} else if (active->word != image->word && gains(active->word, image->word) == gaining) {
			/* A MAC belongs to the NIC it is reached by: both change together, by the flip. */
			if (active->ifindex == image->ifindex)
				store_word((uint64_t *)&active->word, image->word);
		}
		give_pool(active, image);
		structural |= !same_but_word(active, image);
	}
	return structural;
}

static bool put_service_words(struct reconcile *r)
{
	const size_t rest = sizeof(struct service) - offsetof(struct service, key);
	bool structural = false;

	for (uint32_t id = 0; id < r->service_count; id++) {
		struct service *active = &r->maps->services[r->half * MAX_SERVICES + id];
		const struct service *image = &r->service_image[id];

		/* Where nothing else changes, one word does it. */
		if (active->slots != image->slots && memcmp(&active->key, &image->key, rest) == 0)
			store_word((uint64_t *)&active->slots, image->slots);
		structural |= memcmp(active, image, sizeof(*active)) != 0;
	}
	return structural;
}

static void widen_nat_range(struct reconcile *r, uint16_t low, uint16_t high)
{
	if (!r->nat_high || low < r->nat_low)
		r->nat_low = low;
	if (high > r->nat_high)
		r->nat_high = high;
}

/*
 * The range only grows: connections may live on with own ports that no pool deals any more. What it costs a packet in it
 * is one look-up.
 */
static void nat_range(struct reconcile *r)
{
	const struct model_peers *peers = &r->model->global.peers;

	for (size_t i = 0; i < r->pools.pools.count; i++)
		for (size_t s = 0; s < r->pools.pools.items[i].sources.count; s++) {
			const struct pool_source *source = &r->pools.pools.items[i].sources.items[s];

			widen_nat_range(r, source->low, source->high);
		}
	for (size_t i = 0; model_moves_sources(r->model) && i < peers->all.count; i++)
		for (size_t s = 0; s < peers->all.items[i].sources.count; s++) {
			const struct model_source *source = &peers->all.items[i].sources.items[s];

			widen_nat_range(r, source->port_low, source->port_high);
		}
}

static bool has_all_ports(const struct reconcile *r)
{
	for (size_t i = 0; i < r->entries.count; i++)
		if (r->entries.items[i].kind == ENTRY_ALL_PORTS)
			return true;
	return false;
}

/* Fills the inactive half and makes it the active one. */
static int flip(struct reconcile *r)
{
	static const struct server nobody;
	const uint64_t other = r->half ^ 1;
	struct dataplane_maps *m = r->maps;
	unsigned log4, log6;
	int e = services_layout4(r->entries.items, r->entries.count, m->services4 + other * SERVICE_TABLE_MAX, &log4);

	if (e == 0)
		e = services_layout6(r->entries.items, r->entries.count, m->services6 + other * SERVICE_TABLE_MAX,
				     &log6);
	if (e < 0)
		return e;
	for (uint32_t id = 1; id < MAX_SERVERS; id++)
		if (!r->servers.table[id].identity && memcmp(&r->server_image[id], &nobody, sizeof(nobody)))
			r->server_image[id] = nobody; /* not where it is so already: that would take memory */
	memcpy(m->servers + other * MAX_SERVERS, r->server_image, MAX_SERVERS * sizeof(*m->servers));
	memcpy(m->services + other * MAX_SERVICES, r->service_image, MAX_SERVICES * sizeof(*m->services));
	nat_range(r);
	m->control->nat_low = r->nat_low;
	m->control->nat_high = r->nat_high;
	r->half = other;
	r->size4_log2 = log4;
	r->size6_log2 = log6;
	for (size_t i = 0; i < CONTROL_MACS_NEAR; i++)
		store_word((uint64_t *)&m->control->macs[i], r->near_macs[i]);
	store_word((uint64_t *)&m->control->word, other | (m->control->word & CONTROL_TRACE) |
		   (has_all_ports(r) ? CONTROL_ALL_PORTS : 0) | (r->has_macs ? CONTROL_MACS : 0) |
							  (uint64_t)log4 << CONTROL_SIZE4_SHIFT |
							  (uint64_t)log6 << CONTROL_SIZE6_SHIFT);
	r->epoch++;
	r->flipped = true;
	return 0;
}

static void on_grace(void *ctx);

static void begin_waiting(struct reconcile *r)
{
	struct vec_regions swap = r->garbage;

	const bool ending = r->ending && !r->untrue;

	if (r->waiting || (!r->flipped && !r->next_garbage.count && !ending))
		return;
	r->garbage = r->next_garbage;
	r->next_garbage = swap;
	r->next_garbage.count = 0;
	if (grace_call(r->grace, on_grace, r) == 0) {
		r->waiting = true;
		r->waiting_for_flip = r->flipped;
		for (uint32_t id = 1; ending && id < MAX_SERVERS; id++)
			if (r->tracked[id].ending == ENDING_ASKED)
				r->tracked[id].ending = ENDING_WAITING;
	}
}

/* The slots have not named them for a grace period: no packet can record anything anew with the new generation. */
static void end_connections(struct reconcile *r)
{
	bool ended = false;

	r->ending = false;
	for (uint32_t id = 1; id < MAX_SERVERS; id++) {
		if (r->tracked[id].ending == ENDING_WAITING) {
			r->tracked[id].ending = ENDING_NO;
			reconcile_bump_generation(r, id);
			ended = true;
		}
		r->ending |= r->tracked[id].ending != ENDING_NO;
	}
	if (ended && r->ops.on_ended)
		r->ops.on_ended(r->ops.ctx);
}

static void on_grace(void *ctx)
{
	struct reconcile *r = ctx;

	for (size_t i = 0; i < r->garbage.count; i++)
		region_give(&r->slots, r->garbage.items[i]);
	r->garbage.count = 0;
	r->waiting = false;
	if (r->ending)
		end_connections(r);
	if (r->waiting_for_flip) {
		r->flipped = r->waiting_for_flip = false;
		r->epoch++;
		if (!r->untrue)
			pools_free_unwanted(&r->pools);
		if (!r->untrue)
			acls_free_unwanted(&r->acls);
	}
	if (r->again) {
		r->again = false;
		reconcile_run(r, r->health);
	} else {
		begin_waiting(r);
	}
}

/* Services whose table is another; one word where no more than that is. *ret_structural: it takes a flip. 0 or -errno. */
static int put_services(struct reconcile *r, bool *ret_structural)
{
	const int e = image_services(r);

	if (e == 0)
		*ret_structural = put_service_words(r);
	return e;
}

/* All else follows the tables: what they name must be there before them, and is there after them. */
static int put_rest(struct reconcile *r, bool structural)
{
	int e = 0;

	if (!r->entries_stale && !structural)
		return 0;
	if (r->flipped) {
		r->again = true;
		return -EAGAIN;
	}
	if (r->entries_stale)
		e = entries_collect(r);
	if (e < 0)
		return e;
	r->entries_stale = false;
	return flip(r);
}

/* The active half names nothing any more that was thrown away. */
static int is_true(struct reconcile *r)
{
	for (size_t i = 0; i < r->named.count; i++) {
		struct region *old = vec_push(&r->next_garbage);

		if (!old) {
			r->named.count -= i;
			memmove(r->named.items, r->named.items + i, r->named.count * sizeof(*r->named.items));
			return -ENOMEM;
		}
		*old = r->named.items[i];
	}
	r->named.count = 0;
	r->untrue = false;
	slots_are_read(r);
	return 0;
}

/* Looks at the tables, and puts as many as there is time for; takes the layouts over, unless it is -ENOMEM. */
static int put_tables(struct reconcile *r, struct layout **layouts, int *ret_error)
{
	const int e = queue_renew(r, *layouts);

	if (e < 0)
		return e;
	*layouts = NULL;
	*ret_error = queue_put(r);
	return 0;
}

/* `last`: all tables have had their turn. */
static int run(struct reconcile *r, const struct health *h, bool last, struct layout **layouts)
{
	bool structural, structural_services = false;
	int slots_error = 0;
	int e = image_servers(r, h, *layouts);

	if (e < 0)
		return e;
	structural = put_servers(r, true);
	if (!last)
		e = put_tables(r, layouts, &slots_error);
	if (e == 0)
		e = put_services(r, &structural_services);
	if (e < 0)
		return e;
	structural |= put_servers(r, false);
	if (!queue_is_empty(&r->queue))
		return slots_error;
	e = put_rest(r, structural || structural_services);
	if (e == 0)
		e = is_true(r);
	return e < 0 && e != -EAGAIN ? e : slots_error;
}

static void tell_error(struct reconcile *r, int e)
{
	char text[RECONCILE_ERROR_MAX];

	r->entries_stale = true;
	snprintf(text, sizeof(text), "the tables could not be brought up to date: %s",
		 e == -ENOSPC ? "one of them is full (see docs/limits.md)" : strerror(-e));
	r->ops.on_error(text, r->ops.ctx);
}

static void end_turn(struct reconcile *r, int e, bool more)
{
	if (e < 0)
		tell_error(r, e);
	begin_waiting(r);
	bases_hand_over(r);
	r->more = more;
	if (more)
		r->ops.on_more(r->ops.ctx);
}

static void run_turn(struct reconcile *r, const struct health *h, bool last)
{
	struct layout *layouts;
	int e;

	r->health = h;
	r->now_ms = monotonic_ms();
	if (!r->model)
		return;
	r->untrue = true;
	layouts = calloc(r->model->backends.count + 1, sizeof(*layouts));
	e = layouts ? run(r, h, last, &layouts) : -ENOMEM;
	for (size_t b = 0; layouts && b < r->model->backends.count; b++)
		layout_done(&layouts[b]);
	free(layouts);
	end_turn(r, e, !queue_is_empty(&r->queue));
}

void reconcile_run(struct reconcile *r, const struct health *h)
{
	run_turn(r, h, false);
}

void reconcile_go_on(struct reconcile *r)
{
	bool structural;
	int e;

	if (!r->more)
		return;
	/* What is known of the servers is newer than the run that it began with. */
	if (queue_is_empty(&r->queue)) {
		run_turn(r, r->health, true);
		return;
	}
	r->now_ms = monotonic_ms();
	e = queue_put(r);
	put_services(r, &structural); /* a failure is told of by the last turn */
	end_turn(r, e, true);
}

bool reconcile_has_more(const struct reconcile *r)
{
	return r->more;
}

bool reconcile_is_settled(const struct reconcile *r)
{
	return !r->waiting && !r->again && !r->more;
}

uint32_t reconcile_server_id(const struct reconcile *r, size_t backend, size_t server)
{
	return r->at.servers[r->at.first[backend] + server];
}

uint32_t reconcile_service_id(const struct reconcile *r, size_t service)
{
	return r->at.services[service];
}

bool reconcile_server_of(const struct reconcile *r, uint32_t id, size_t *ret_backend, size_t *ret_server)
{
	if (!id || id >= MAX_SERVERS || !r->servers.table[id].identity || r->servers.table[id].state != ID_ACTIVE)
		return false;
	*ret_backend = r->tracked[id].backend;
	*ret_server = r->tracked[id].server;
	return true;
}

bool reconcile_served(const struct reconcile *r, size_t backend, size_t server, bool *ret_serves)
{
	const uint64_t word = active_server(r, reconcile_server_id(r, backend, server))->word;

	if (!(SERVER_FLAGS(word) & SERVER_RESOLVED))
		return false;
	*ret_serves = SERVER_FLAGS(word) & SERVER_ACCEPTS;
	return true;
}

struct addr reconcile_address(const struct reconcile *r, uint16_t id, bool v6)
{
	return addresses_get(&r->addresses, id, v6);
}

void reconcile_end_connections(struct reconcile *r, uint32_t id)
{
	r->tracked[id].ending = ENDING_ASKED;
	r->ending = true;
}

void reconcile_bump_generation(struct reconcile *r, uint32_t id)
{
	struct server *active = active_server(r, id);
	uint8_t generation = ++r->servers.table[id].generation;

	store_word((uint64_t *)&active->word,
		   (active->word & ~(0xffULL << 56)) | (uint64_t)generation << 56);
}

void reconcile_addresses_changed(struct reconcile *r)
{
	r->entries_stale = true;
}

void reconcile_skip_port(struct reconcile *r, uint16_t port)
{
	pools_skip(&r->pools, port);
}

struct acls *reconcile_acls(struct reconcile *r)
{
	return &r->acls;
}

uint64_t reconcile_epoch(const struct reconcile *r)
{
	return r->epoch;
}

