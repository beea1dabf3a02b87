/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `source 0.0.0.0 usesrc clientip`: which backends have it, and what must hold then. A reply is known by the server's
 * address and port alone, so those may stand for one address and port of one service only. Called by build.c and
 * validate.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/parser.h"

const char *forward_words(enum model_forward f)
{
	static const char *const words[] = {
		[MODEL_NAT] = "forward nat", [MODEL_DSR] = "forward dsr", [MODEL_IPIP] = "forward ipip",
		[MODEL_TRANSPARENT] = "source 0.0.0.0 usesrc clientip",
	};

	return words[f];
}

/* The place of the section's own words for it, or of a server's; line 0 = neither has any. */
static struct place written_at(const struct proxy *x)
{
	struct place at = x->settings.source_place;

	for (size_t i = 0; !at.line && i < x->servers.count; i++)
		at = x->servers.items[i].settings.source_place;
	return at;
}

void build_transparent(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	const struct server_draft *with = NULL, *without = NULL;
	const struct place at = written_at(x);

	b->forward = x->settings.forward;
	for (size_t i = 0; i < x->servers.count; i++)
		if (x->servers.items[i].settings.transparent)
			with = with ? with : &x->servers.items[i];
		else
			without = without ? without : &x->servers.items[i];
	if (b->forward != MODEL_NAT) {
		if (at.line)
			parser_error_at(p, at, "'source' has no use with '%s': the servers see the client's address",
					forward_words(b->forward));
		return;
	}
	if (x->settings.transparent || with)
		b->forward = MODEL_TRANSPARENT;
	if (!x->settings.transparent && with && without)
		parser_error_at(p, without->place, "server '%s' lacks 'source 0.0.0.0 usesrc clientip', which server '%s' on %s "
				"has: write it in the backend, for all of them, or for none", without->name, with->name,
				parser_where(p, without->place, with->place));
}

/* What replies come from: one server's ports as one service uses them. */
struct answers {
	const struct model_service *service;
	const struct server_draft *server;
	struct addr addr;
	uint16_t low, high;
	size_t index;    /* of the service */
};

static int compare_answers(const void *x, const void *y)
{
	const struct answers *a = x, *b = y;
	int r;

	if (a->service->protocol != b->service->protocol)
		return a->service->protocol < b->service->protocol ? -1 : 1;
	r = addr_compare(&a->addr, &b->addr);
	if (r)
		return r;
	if (a->low != b->low)
		return a->low < b->low ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static bool fits(struct parser *p, size_t index, const struct server_draft *draft)
{
	const struct model_service *s = &p->model->services.items[index];
	const struct place bind = p->services.items[index].bind->place;

	if (!draft->at.port || s->port_low == s->port_high)
		return true;
	parser_error_at(p, draft->place, "server '%s' has port %u, but '%s' on %s has several: with 'usesrc clientip' a reply "
			"could not be told which one it is for; leave the server's port out, and give 'port' for its check",
			draft->name, draft->at.port, s->frontend, parser_where(p, draft->place, bind));
	return false;
}

static size_t collect(struct parser *p, struct answers *to)
{
	const struct model *m = p->model;
	size_t n = 0;

	for (size_t i = 0; i < m->services.count; i++) {
		const struct model_service *s = &m->services.items[i];
		const struct model_backend *b = &m->backends.items[s->backend];

		if (b->forward != MODEL_TRANSPARENT)
			continue;
		if (s->any_addr) {
			if (to)
				parser_error_at(p, p->services.items[i].bind->place, "backend '%s' has 'source 0.0.0.0 usesrc "
						"clientip': a reply of its servers could not be told which of this host's "
						"addresses it is for; name the address", b->name);
			continue;
		}
		for (size_t j = 0; j < b->servers.count; j++) {
			const struct server_draft *draft = &p->backends.items[s->backend]->servers.items[j];

			if (!to) {
				n++;
			} else if (fits(p, i, draft)) {
				to[n++] = (struct answers){
					.service = s, .server = draft, .addr = draft->at.addr, .index = i,
					.low = draft->at.port ? draft->at.port : s->port_low,
					.high = draft->at.port ? draft->at.port : s->port_high,
				};
			}
		}
	}
	return n;
}

void validate_transparent(struct parser *p)
{
	const size_t count = collect(p, NULL);
	struct answers *all = arena_alloc(&p->arena, (count + 1) * sizeof(*all));
	size_t n, widest = 0;

	if (!all) {
		p->failed = -ENOMEM;
		return;
	}
	n = collect(p, all);
	qsort(all, n, sizeof(*all), compare_answers);
	for (size_t i = 1; i < n; i++) {
		const struct answers *a = &all[widest], *b = &all[i];
		const struct service_origin *at = &p->services.items[b->index], *other = &p->services.items[a->index];

		if (a->service->protocol != b->service->protocol || addr_compare(&a->addr, &b->addr)) {
			widest = i;
			continue;
		}
		if (b->low <= a->high && a->index != b->index)
			parser_error_at(p, at->bind->place, "port %u of server '%s' serves '%s' on %s as well: with 'usesrc "
					"clientip' a reply could not be told which of the two it is for; let the servers answer "
					"on another port for one of them", b->low, b->server->name, other->frontend->name,
					parser_where(p, at->bind->place, other->bind->place));
		if (b->high > a->high)
			widest = i;
	}
}
