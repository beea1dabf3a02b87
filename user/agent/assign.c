/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new model: everything in it gets its id, what is no longer in it begins to leave. Part of the reconciler.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"
#include "dataplane/counters.h"

void assignment_done(struct assignment *a)
{
	free(a->first);
	free(a->servers);
	free(a->keys);
	free(a->services);
	free(a->backends);
	memset(a, 0, sizeof(*a));
}

static size_t count_servers(const struct model *m)
{
	size_t n = 0;

	for (size_t b = 0; b < m->backends.count; b++)
		n += m->backends.items[b].servers.count;
	return n;
}

static int assignment_new(const struct model *m, struct assignment *ret)
{
	size_t n = 0;

	memset(ret, 0, sizeof(*ret));
	ret->first = calloc(m->backends.count + 1, sizeof(*ret->first));
	ret->servers = calloc(count_servers(m) + 1, sizeof(*ret->servers));
	ret->keys = calloc(count_servers(m) + 1, sizeof(*ret->keys));
	ret->services = calloc(m->services.count + 1, sizeof(*ret->services));
	ret->backends = calloc(m->backends.count + 1, sizeof(*ret->backends));
	if (!ret->first || !ret->servers || !ret->keys || !ret->services || !ret->backends) {
		assignment_done(ret);
		return -ENOMEM;
	}
	for (size_t b = 0; b < m->backends.count; b++) {
		ret->first[b] = n;
		n += m->backends.items[b].servers.count;
	}
	return 0;
}

uint64_t reconcile_server_identity(const struct model_backend *b, const struct model_server *s)
{
	char at[ENDPOINT_TEXT_MAX];

	/* Records of one forwarding mode mean nothing in another. */
	return identity_of("server %s/%s %s %s", b->name, s->name, endpoint_format(&s->at, at),
			   model_forward_name(b->forward));
}

uint64_t reconcile_backend_identity(const struct model_backend *b)
{
	return identity_of("backend %s", b->name);
}

static uint64_t service_identity(const struct model_service *s)
{
	struct endpoint at = { .addr = s->addr, .port = s->port_low };
	char text[ENDPOINT_TEXT_MAX];

	return identity_of("service %s %s-%u/%d", s->name, endpoint_format(&at, text), s->port_high, s->protocol);
}

/* The id of an identity, taken if need be; a server that was leaving is back. */
static int take_id(const struct reconcile *r, struct ids *ids, uint64_t identity, uint32_t *ret_id,
		   void (*clear)(const struct dataplane_maps *m, uint32_t id))
{
	int e;

	uint32_t id = ids_find(ids, identity);

	if (id != ID_NONE && ids->table[id].state != ID_DYING) {
		*ret_id = id;
		return 0;
	}
	e = ids_take(ids, identity, ret_id);
	if (e == 0 && clear)
		clear(r->maps, *ret_id);
	return e;
}

/* Ids for everything in the model. On failure the new ones are given back by the caller. */
static int assign_ids(struct reconcile *r, const struct model *m, struct assignment *a, char error[RECONCILE_ERROR_MAX])
{
	for (size_t b = 0; b < m->backends.count; b++) {
		const struct model_backend *backend = &m->backends.items[b];

		if (take_id(r, &r->backends, reconcile_backend_identity(backend), &a->backends[b], NULL) < 0) {
			snprintf(error, RECONCILE_ERROR_MAX, "backend %s: more than %u backends", backend->name,
				 (unsigned)MAX_BACKENDS);
			return -ENOSPC;
		}
		for (size_t s = 0; s < backend->servers.count; s++) {
			const struct model_server *server = &backend->servers.items[s];
			size_t n = a->first[b] + s;

			a->keys[n] = reconcile_server_identity(backend, server);
			if (take_id(r, &r->servers, a->keys[n], &a->servers[n], counters_clear_server) < 0) {
				snprintf(error, RECONCILE_ERROR_MAX,
					 "server %s/%s: more than %u servers, those that a reload took away and whose "
					 "connections go on included", backend->name, server->name,
					 (unsigned)MAX_SERVERS - 1);
				return -ENOSPC;
			}
		}
	}
	for (size_t i = 0; i < m->services.count; i++)
		if (take_id(r, &r->services, service_identity(&m->services.items[i]), &a->services[i],
			    counters_clear_service) < 0) {
			snprintf(error, RECONCILE_ERROR_MAX, "service %s: more than %u services",
				 m->services.items[i].name, (unsigned)MAX_SERVICES);
			return -ENOSPC;
		}
	return 0;
}

static uint8_t *mark_ids(const uint32_t *ids, size_t count, uint32_t max)
{
	uint8_t *marks = calloc(max, 1);

	for (size_t i = 0; marks && i < count; i++)
		marks[ids[i]] = 1;
	return marks;
}

/* Ids in use that the assignment does not name: servers begin to leave, services and backends are free at once. */
static int release_others(struct reconcile *r, const struct model *m, const struct assignment *a)
{
	_cleanup_free_ uint8_t *servers = mark_ids(a->servers, count_servers(m), MAX_SERVERS);
	_cleanup_free_ uint8_t *services = mark_ids(a->services, m->services.count, MAX_SERVICES);
	_cleanup_free_ uint8_t *backends = mark_ids(a->backends, m->backends.count, MAX_BACKENDS);

	if (!servers || !services || !backends)
		return -ENOMEM;
	for (uint32_t id = 1; id < MAX_SERVERS; id++) {
		struct dataplane_identity *e = &r->servers.table[id];

		if (!e->identity || e->state == ID_DYING)
			continue;
		e->state = servers[id] ? ID_ACTIVE : ID_LEAVING;
	}
	for (uint32_t id = 0; id < MAX_SERVICES; id++)
		if (r->services.table[id].identity && !services[id])
			ids_free(&r->services, id);
	for (uint32_t id = 0; id < MAX_BACKENDS; id++)
		if (r->backends.table[id].identity && !backends[id]) {
			struct region *given = vec_push(&r->named);

			if (given)
				*given = r->held[id].region;
			given = vec_push(&r->named);
			if (given)
				*given = r->held[id].old_region;
			r->unread -= r->held[id].unread;
			held_done(&r->held[id]);
			ids_free(&r->backends, id);
		}
	return 0;
}

void reconcile_watch(struct reconcile *r, uint32_t id, const struct addr *addr)
{
	struct tracked *t = &r->tracked[id];

	if (addr_equal(&t->watched, addr))
		return;
	if (t->watched.family)
		net_unwatch(r->net, &t->watched);
	memset(&t->watched, 0, sizeof(t->watched));
	if (net_watch(r->net, addr) == 0)
		t->watched = *addr;
}

static void track_servers(struct reconcile *r)
{
	for (size_t b = 0; b < r->model->backends.count; b++) {
		const struct model_backend *backend = &r->model->backends.items[b];

		for (size_t s = 0; s < backend->servers.count; s++) {
			uint32_t id = r->at.servers[r->at.first[b] + s];

			r->tracked[id].backend = b;
			r->tracked[id].server = s;
			reconcile_watch(r, id, &backend->servers.items[s].at.addr);
		}
	}
}

/* What assign_ids() newly took and nobody else has. */
static void give_back(struct reconcile *r, const struct model *m, const struct assignment *a,
		      const struct dataplane_identity *before)
{
	for (size_t n = 0; n < count_servers(m); n++)
		if (a->servers[n] && !before[a->servers[n]].identity)
			ids_free(&r->servers, a->servers[n]);
}

int reconcile_set_model(struct reconcile *r, const struct model *m, const struct hash_key *secret,
			char error[RECONCILE_ERROR_MAX])
{
	_cleanup_free_ struct dataplane_identity *before = malloc(MAX_SERVERS * sizeof(*before));
	struct assignment a;
	int e;

	snprintf(error, RECONCILE_ERROR_MAX, "out of memory");
	if (!before)
		return -ENOMEM;
	memcpy(before, r->servers.table, MAX_SERVERS * sizeof(*before));
	e = room_check(m, error);
	if (e < 0)
		return e;
	e = assignment_new(m, &a);
	if (e < 0)
		return e;
	e = assign_ids(r, m, &a, error);
	if (e == 0)
		e = acls_set_model(&r->acls, m);
	if (e == 0)
		e = release_others(r, m, &a);
	if (e < 0) {
		give_back(r, m, &a, before);
		assignment_done(&a);
		return e;
	}
	queue_drop(&r->queue);
	assignment_done(&r->at);
	r->at = a;
	r->model = m;
	r->models++;
	r->secret = *secret;
	r->entries_stale = true;
	track_servers(r);
	return 0;
}

