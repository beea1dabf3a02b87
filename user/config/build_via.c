/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `check via vip`: which service's address the check of a server goes to, and on which port. Called by build.c once all
 * services are there; reports what can't be checked so.
 */
#include <string.h>

#include "config/parser.h"

/* Why a backend's checks can't go that way; NULL = they can. */
static const char *unfit(const struct model_backend *b)
{
	if (b->forward == MODEL_NAT || b->forward == MODEL_TRANSPARENT)
		return "with 'forward nat' no server holds the service's address: clients' packets go to its own, and so "
		       "does a plain 'check'";
	if (b->check == MODEL_CHECK_EXTERNAL)
		return "a command makes its connections itself, and without the right to mark them: 'via server', or a check of "
		       "another kind";
	for (size_t i = 0; i < b->steps.count; i++)
		if (b->steps.items[i].kind == MODEL_STEP_CONNECT && b->steps.items[i].addr.family)
			return "a 'tcp-check connect' of its backend goes to an address of its own";
	return NULL;
}

/* How well a service suits the check of a server; 0 = not at all. */
static unsigned rank(const struct model_service *s, const struct model_backend *b, const struct server_settings *set,
		     const struct addr *server)
{
	const bool datagram = b->check_datagram || b->check == MODEL_CHECK_DNS;

	if (s->addr.family != server->family)
		return 0;
	if (set->check_addr.family && !s->any_addr && !addr_equal(&s->addr, &set->check_addr))
		return 0;
	if (!set->check_addr.family && s->any_addr)
		return 1;
	return (s->protocol == MODEL_UDP) == datagram ? 3 : 2;
}

static void build_via(struct parser *p, size_t backend, const struct server_draft *draft, struct model_server *s)
{
	const struct model_backend *b = &p->model->backends.items[backend];
	const struct server_settings *set = &draft->settings;
	const struct model_service *best = NULL;
	const char *why = unfit(b);
	unsigned best_rank = 0;

	if (why) {
		parser_error_at(p, draft->place, "the check of server '%s' can't go 'via vip': %s", draft->name, why);
		return;
	}
	for (size_t i = 0; i < p->model->services.count; i++) {
		const struct model_service *service = &p->model->services.items[i];
		unsigned r = service->backend == backend ? rank(service, b, set, &s->at.addr) : 0;

		if (r > best_rank) {
			best = service;
			best_rank = r;
		}
	}
	if (!best) {
		parser_error_at(p, draft->place, "the check of server '%s' can't go 'via vip': no bind of '%s' has %s", draft->name,
				b->name, set->check_addr.family ? "the address that 'addr' names, in the family of the server's" :
								  "an address in the family of the server's");
		return;
	}
	if (best_rank == 1) {
		parser_error_at(p, draft->place, "the check of server '%s' can't go 'via vip': the bind has no address of its own; "
				"say with 'addr ADDRESS' which one the servers hold", draft->name);
		return;
	}
	s->via.service = set->check_addr.family ? set->check_addr : best->addr;
	s->via.tunnel = b->forward == MODEL_IPIP;
	for (size_t i = 0; i < b->tunnel_sources.count; i++)
		if (b->tunnel_sources.items[i].addr.family == s->at.addr.family) {
			s->via.source = b->tunnel_sources.items[i].addr;
			s->via.source_bits = b->tunnel_sources.items[i].bits;
		}
	s->check_at.addr = s->at.addr;
	s->check_at.port = set->check_port ? set->check_port : best->port_low;
}

void build_vias(struct parser *p)
{
	for (size_t b = 0; b < p->model->backends.count; b++)
		for (size_t i = 0; i < p->model->backends.items[b].servers.count; i++) {
			const struct server_draft *draft = &p->backends.items[b]->servers.items[i];

			if (draft->settings.via && draft->settings.check)
				build_via(p, b, draft, &p->model->backends.items[b].servers.items[i]);
		}
}
