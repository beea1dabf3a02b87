/* SPDX-License-Identifier: BSD-2-Clause */
/* Beside the reconciler: the loop plans and takes, the thread sees nothing but what was planned. */
#include "agent/bases.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "agent/reconcile_internal.h"
#include "agent/thread.h"
#include "base/cleanup.h"

enum { JOIN_MS = 30000 };

struct base {
	uint64_t backend;         /* its identity */
	enum model_balance balance;
	uint32_t size;
	struct layout layout;
	struct maglev_cache cache;
};

struct bases {
	struct vec(struct base) items;
	pthread_t thread;
	bool threaded;
	atomic_bool stop;
	int done_fd;
	struct event *event;
	void (*done)(void *ctx);
	void *ctx;
};

/* Where a server stands in the model that is in force: mostly in the same place. SIZE_MAX: nowhere. */
static size_t find_server(const struct model_backend *b, const char *name, size_t there)
{
	if (there < b->servers.count && strcmp(b->servers.items[there].name, name) == 0)
		return there;
	for (size_t s = 0; s < b->servers.count; s++)
		if (strcmp(b->servers.items[s].name, name) == 0)
			return s;
	return SIZE_MAX;
}

static size_t find_backend(const struct model *m, const char *name, size_t there)
{
	if (there < m->backends.count && strcmp(m->backends.items[there].name, name) == 0)
		return there;
	for (size_t b = 0; b < m->backends.count; b++)
		if (strcmp(m->backends.items[b].name, name) == 0)
			return b;
	return SIZE_MAX;
}

/* Up, unless it is known to be otherwise. */
static void guess(const struct model_server *s, const struct health_view *known, struct health_view *ret)
{
	*ret = (struct health_view){
		.weight = s->weight, .weight_configured = s->weight, .share_percent = 100,
		.up = true, .accepts_new = s->weight > 0 && !s->disabled,
	};
	if (!known)
		return;
	ret->share_percent = known->share_percent;
	if (known->weight_is_override)
		ret->weight = known->weight;
	if (known->check == HEALTH_DOWN || known->admin != HEALTH_READY)
		ret->accepts_new = known->accepts_new;
}

static int plan_backend(struct reconcile *r, const struct model_backend *backend, const struct model *known, size_t at,
			const struct health *h, struct base *ret)
{
	const size_t count = backend->servers.count, before = find_backend(known, backend->name, at);
	_cleanup_free_ struct health_view *views = calloc(count + 1, sizeof(*views));
	_cleanup_free_ uint32_t *ids = calloc(count + 1, sizeof(*ids));
	_cleanup_free_ uint64_t *keys = calloc(count + 1, sizeof(*keys));
	int e;

	if (!views || !ids || !keys)
		return -ENOMEM;
	for (size_t s = 0; s < count; s++) {
		const struct model_server *server = &backend->servers.items[s];
		const size_t there = before == SIZE_MAX ? SIZE_MAX :
					 find_server(&known->backends.items[before], server->name, s);
		struct health_view view;

		if (there != SIZE_MAX)
			health_view(h, before, there, &view);
		guess(server, there == SIZE_MAX ? NULL : &view, &views[s]);
		keys[s] = reconcile_server_identity(backend, server);
	}
	ret->backend = reconcile_backend_identity(backend);
	ret->balance = backend->balance;
	e = layout_choose(backend, views, ids, keys, &ret->layout);
	if (e == 0)
		ret->size = layout_size(&ret->layout, backend->balance);
	return e;
}

struct bases *bases_plan(struct reconcile *r, const struct model *m, const struct model *known, const struct health *h)
{
	struct bases *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->done_fd = -1;
	for (size_t i = 0; i < m->backends.count; i++) {
		const struct model_backend *backend = &m->backends.items[i];
		struct base planned = {}, *new;
		uint32_t id;

		if (model_balance_deals(backend->balance))
			continue;
		if (plan_backend(r, backend, known, i, h, &planned) < 0) {
			layout_done(&planned.layout);
			break;
		}
		id = ids_find(&r->backends, planned.backend);
		if (layout_is_quick(&planned.layout, id == ID_NONE ? NULL : &r->held[id].cache, planned.size) ||
		    !(new = vec_push(&b->items))) {
			layout_done(&planned.layout);
			continue;
		}
		*new = planned;
	}
	if (b->items.count)
		return b;
	bases_free(b);
	return NULL;
}

int bases_add(struct reconcile *r, uint64_t backend, enum model_balance balance, const struct layout *l, uint32_t size)
{
	struct base *new;

	if (!r->bases) {
		r->bases = calloc(1, sizeof(*r->bases));
		if (!r->bases)
			return -ENOMEM;
		r->bases->done_fd = -1;
	}
	new = vec_push(&r->bases->items);
	if (!new)
		return -ENOMEM;
	*new = (struct base){ .backend = backend, .balance = balance, .size = size };
	if (layout_copy(l, &new->layout) == 0)
		return 0;
	r->bases->items.count--;
	return -ENOMEM;
}

void bases_hand_over(struct reconcile *r)
{
	struct bases *b = take_ptr(r->bases);

	if (!b)
		return;
	r->laying = true;
	r->ops.on_slow(b, r->ops.ctx);
}

static void *build_thread(void *arg)
{
	struct bases *b = arg;

	for (size_t i = 0; i < b->items.count && !atomic_load(&b->stop); i++) {
		struct base *t = &b->items.items[i];
		_cleanup_free_ uint32_t *slots = calloc(t->size + 1, sizeof(*slots));

		if (!layout_needs_base(&t->layout))
			layout_choose_all(&t->layout); /* soon there will be more */
		/* What fails here is left to the reconciler. */
		if (!slots || layout_fill(&t->layout, t->balance, &t->cache, slots, t->size) < 0)
			maglev_cache_done(&t->cache);
	}
	eventfd_write(b->done_fd, 1);
	return NULL;
}

static void on_done(evutil_socket_t fd, short what, void *ctx)
{
	struct bases *b = ctx;

	thread_join(b->thread, JOIN_MS);
	b->threaded = false;
	b->done(b->ctx);
}

int bases_start(struct bases *b, struct event_base *base, void (*done)(void *ctx), void *ctx)
{
	int r;

	b->done = done;
	b->ctx = ctx;
	b->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b->done_fd < 0)
		return -errno;
	b->event = event_new(base, b->done_fd, EV_READ, on_done, b);
	if (!b->event || event_add(b->event, NULL))
		return -ENOMEM;
	r = thread_start(&b->thread, "tables", build_thread, b);
	b->threaded = r == 0;
	return r;
}

void bases_take(struct bases *b, struct reconcile *r)
{
	r->laying = false;
	for (size_t i = 0; b && i < b->items.count; i++) {
		struct base *t = &b->items.items[i];
		const uint32_t id = ids_find(&r->backends, t->backend);

		if (id == ID_NONE)
			continue;
		maglev_cache_done(&r->held[id].next);
		r->held[id].next = t->cache;
		r->held[id].lay_here = !t->cache.size;
		t->cache = (struct maglev_cache){};
	}
}

void bases_free(struct bases *b)
{
	if (!b)
		return;
	atomic_store(&b->stop, true);
	if (b->threaded && thread_join(b->thread, JOIN_MS) < 0)
		return; /* what it may still touch is left to it; the process is about to end */
	if (b->event)
		event_free(b->event);
	cleanup_close(&b->done_fd);
	for (size_t i = 0; i < b->items.count; i++) {
		layout_done(&b->items.items[i].layout);
		maglev_cache_done(&b->items.items[i].cache);
	}
	vec_done(&b->items);
	free(b);
}
