/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * announce: the handler, and what it means for each service. Called through the keyword table, by
 * build.c for a service and by validate.c on the finished model.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/parser.h"

/* announce INTERFACE|none [need N] [wait TIME], of global or of a frontend */
void parse_announce(struct parser *p, const struct config_word *args, size_t count)
{
	struct announce_setting *to = p->proxy ? &p->proxy->announce : &p->announce;
	struct model_announce a = { .need = 1, .wait_ms = MODEL_ANNOUNCE_WAIT_MS };
	const bool none = !strcmp(args[0].text, "none");
	size_t i;

	if (to->place.line) {
		parser_error(p, &args[-1], "a second 'announce': there is one, on %s",
			     parser_where(p, p->at, to->place));
		return;
	}
	to->place = parser_place(p, &args[-1]);
	if (!none && !parser_interface_name_valid(args[0].text)) {
		parser_error(p, &args[0], "'%s' cannot be the name of an interface; write lo, another one, or none",
			     args[0].text);
		return;
	}
	if (none && count > 1) {
		parser_error(p, &args[1], "unexpected '%s' after 'announce none'", args[1].text);
		return;
	}
	for (i = 1; i < count; i += 2) {
		const bool need = !strcmp(args[i].text, "need");

		if (!need && strcmp(args[i].text, "wait")) {
			parser_error(p, &args[i], "unexpected '%s'; it is written: announce INTERFACE [need N] [wait TIME]",
				     args[i].text);
			return;
		}
		if (i + 1 == count) {
			parser_error(p, &args[i], "'%s' lacks its value", args[i].text);
			return;
		}
		if (need && !statement_number(p, &args[i + 1], 0, MODEL_ANNOUNCE_NEED_MAX, "MODEL_ANNOUNCE_NEED_MAX",
					      &a.need))
			return;
		if (!need && !statement_time(p, &args[i + 1], &a.wait_ms))
			return;
		if (a.wait_ms > MODEL_ANNOUNCE_WAIT_MAX_MS) {
			parser_error(p, &args[i + 1], "'%s': the agent waits at most %d s (MODEL_ANNOUNCE_WAIT_MAX_MS)",
				     args[i + 1].text, MODEL_ANNOUNCE_WAIT_MAX_MS / 1000);
			return;
		}
	}
	if (!none)
		strcpy(a.interface, args[0].text);
	to->announce = a;
	if (!p->proxy)
		p->model->global.announce = a;
}

void build_announce(struct parser *p, const struct proxy *x, struct model_service *s)
{
	const struct announce_setting *own = &x->announce;

	if (s->any_addr) {
		if (own->announce.interface[0])
			parser_error_at(p, own->place,
					"'announce' needs an address, but the bind on %s takes every one: "
					"write the service's address there",
					parser_where(p, own->place, p->services.items[p->services.count - 1].bind->place));
		return;
	}
	s->announce = own->place.line ? own->announce : p->announce.announce;
}

struct announced {
	const struct model_service *service;
	size_t index;
};

/* Same address together, in the order of the file. */
static int compare_announced(const void *x, const void *y)
{
	const struct announced *a = x, *b = y;
	int r = addr_compare(&a->service->addr, &b->service->addr);

	return r ? r : a->index < b->index ? -1 : a->index > b->index;
}

static struct place place_of(const struct parser *p, size_t service)
{
	const struct proxy *x = p->services.items[service].frontend;

	return x->announce.place.line ? x->announce.place : p->announce.place.line ? p->announce.place : x->place;
}

/* How many servers the services of one address have, each backend counted once. */
static size_t count_servers(const struct model *m, const struct announced *of, size_t count)
{
	size_t servers = 0;

	for (size_t i = 0; i < count; i++) {
		bool seen = false;

		for (size_t j = 0; j < i && !seen; j++)
			seen = of[j].service->backend == of[i].service->backend;
		if (!seen)
			servers += m->backends.items[of[i].service->backend].servers.count;
	}
	return servers;
}

/* An address is up or down as a whole: all its services must say the same, and it must be possible. */
static void validate_address(struct parser *p, const struct announced *of, size_t count)
{
	const struct model_announce *first = &of[0].service->announce;
	const size_t servers = count_servers(p->model, of, count);
	char text[ADDR_TEXT_MAX];

	addr_format(&of[0].service->addr, text);
	for (size_t i = 1; i < count; i++) {
		const struct model_announce *a = &of[i].service->announce;
		const struct place at = p->services.items[of[i].index].bind->place;

		if (strcmp(a->interface, first->interface) || a->need != first->need) {
			parser_error_at(p, at, "%s is announced in two ways: here as 'announce %s need %u', for '%s' as "
					"'announce %s need %u'; an address is up or down for all its services", text,
					a->interface[0] ? a->interface : "none", a->need, of[0].service->frontend,
					first->interface[0] ? first->interface : "none", first->need);
			return;
		}
	}
	if (first->interface[0] && first->need > servers)
		parser_error_at(p, place_of(p, of[0].index), "%s needs %u servers, but its services have %zu: it would "
				"never be announced", text, first->need, servers);
}

void validate_announce(struct parser *p)
{
	const size_t count = p->model->services.count;
	struct announced *all = arena_alloc(&p->arena, count * sizeof(*all));
	size_t n = 0, end;
	bool any = false;

	if (!all) {
		p->failed = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		any |= p->model->services.items[i].announce.interface[0];
		if (!p->model->services.items[i].any_addr)
			all[n++] = (struct announced){ &p->model->services.items[i], i };
	}
	if (!any)
		return;
	qsort(all, n, sizeof(*all), compare_announced);
	for (size_t i = 0; i < n; i = end) {
		for (end = i + 1; end < n && addr_equal(&all[i].service->addr, &all[end].service->addr); end++)
			;
		validate_address(p, &all[i], end - i);
	}
}
