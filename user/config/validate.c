/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What must hold between the parts of a model: no two services on the same packets, families and ports that the way of
 * forwarding can serve, sizes within the limits. Called by build.c on the finished model; reports, changes nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/parser.h"

static const char *protocol_name(const struct model_service *s)
{
	return s->protocol == MODEL_UDP ? "UDP" : "TCP";
}

static const char *family_name(uint8_t family)
{
	return family == AF_INET6 ? "IPv6" : "IPv4";
}

struct order {
	const struct model_service *service;
	size_t index;
};

/* Same protocol and address together, then by first port, then by the order of the file. */
static int compare_services(const void *x, const void *y)
{
	const struct order *ox = x, *oy = y;
	const struct model_service *a = ox->service, *b = oy->service;
	int r;

	if (a->protocol != b->protocol)
		return a->protocol < b->protocol ? -1 : 1;
	r = addr_compare(&a->addr, &b->addr);
	if (r)
		return r;
	if (model_service_has_all_ports(a) != model_service_has_all_ports(b))
		return model_service_has_all_ports(a) ? -1 : 1;
	if (a->port_low != b->port_low)
		return a->port_low < b->port_low ? -1 : 1;
	return ox->index < oy->index ? -1 : ox->index > oy->index;
}

static void report_overlap(struct parser *p, size_t first, size_t second)
{
	size_t earlier = first < second ? first : second, later = first < second ? second : first;
	const struct model_service *a = &p->model->services.items[earlier], *b = &p->model->services.items[later];
	const struct service_origin *at = &p->services.items[later], *other = &p->services.items[earlier];
	bool identical = a->port_low == b->port_low && a->port_high == b->port_high;
	char text[ADDR_TEXT_MAX];
	unsigned low = a->port_low > b->port_low ? a->port_low : b->port_low;

	addr_format(&b->addr, text);
	if (identical)
		parser_error_at(p, at->bind->place, "this bind is given twice: %s port %u of %s is taken by '%s' on %s",
				protocol_name(b), low, b->any_addr && b->addr.family == AF_INET ? "*" : text,
				other->frontend->name, parser_where(p, at->bind->place, other->bind->place));
	else
		parser_error_at(p, at->bind->place, "the ports overlap: %s port %u of %s is taken by '%s' on %s",
				protocol_name(b), low, b->any_addr && b->addr.family == AF_INET ? "*" : text,
				other->frontend->name, parser_where(p, at->bind->place, other->bind->place));
}

/* All ports of an address (a, which the order puts first): whoever names ports of it has those. */
static bool beaten_by(const struct model_service *a, const struct model_service *b)
{
	return model_service_has_all_ports(a) && !model_service_has_all_ports(b);
}

/* A specific address beats `*`, so only services of one address can be in each other's way. */
static void validate_overlaps(struct parser *p)
{
	size_t count = p->model->services.count, i, widest = 0;
	struct order *order = arena_alloc(&p->arena, count * sizeof(*order));

	if (!order) {
		p->failed = -ENOMEM;
		return;
	}
	for (i = 0; i < count; i++)
		order[i] = (struct order){ &p->model->services.items[i], i };
	if (count)
		qsort(order, count, sizeof(*order), compare_services);
	for (i = 0; i < count; i++)
		if (order[i].service->any_addr && model_service_has_all_ports(order[i].service))
			parser_error_at(p, p->services.items[order[i].index].bind->place,
					"all ports of every address of this host would leave it none of its own, not "
					"even for its checks: name the address");
	for (i = 1; i < count; i++) { /* widest: reaches furthest up of those before i on this address */
		const struct model_service *a = order[widest].service, *b = order[i].service;

		if (a->protocol != b->protocol || addr_compare(&a->addr, &b->addr) || beaten_by(a, b)) {
			widest = i;
			continue;
		}
		if (b->port_low <= a->port_high)
			report_overlap(p, order[widest].index, order[i].index);
		if (b->port_high > a->port_high)
			widest = i;
	}
}

/* Says at most one thing about each server: what the first service that cannot use it would need. */
static void validate_server(struct parser *p, size_t backend, size_t server)
{
	const struct model_backend *b = &p->model->backends.items[backend];
	const struct endpoint *at = &b->servers.items[server].at;
	const struct server_draft *draft = &p->backends.items[backend]->servers.items[server];
	size_t i;

	for (i = 0; i < p->model->services.count; i++) {
		const struct model_service *s = &p->model->services.items[i];
		const struct place bind = p->services.items[i].bind->place;

		if (s->backend != backend)
			continue;
		if (b->forward != MODEL_IPIP && s->addr.family != at->addr.family) {
			parser_error_at(p, draft->place,
					"server '%s' is %s, but '%s' on %s is %s: '%s' needs one family",
					draft->name, family_name(at->addr.family), s->frontend,
					parser_where(p, draft->place, bind), family_name(s->addr.family),
					forward_words(b->forward));
			return;
		}
		if (b->forward != MODEL_NAT && b->forward != MODEL_TRANSPARENT && at->port && (s->port_low != at->port || s->port_high != at->port)) {
			parser_error_at(p, draft->place,
					"server '%s' has port %u, but '%s' on %s has another: 'forward %s' cannot "
					"rewrite ports; leave the server's out, and give 'port' for its check",
					draft->name, at->port, s->frontend, parser_where(p, draft->place, bind),
					model_forward_name(b->forward));
			return;
		}
	}
}

/* A plain check speaks TCP; that it says little of a UDP service should be no surprise. */
static void note_udp_checks(struct parser *p, size_t backend)
{
	const struct model_backend *b = &p->model->backends.items[backend];
	bool udp = false, tcp = false, checked = false;
	size_t i;

	for (i = 0; i < p->model->services.count; i++) {
		const struct model_service *s = &p->model->services.items[i];

		udp |= s->backend == backend && s->protocol == MODEL_UDP;
		tcp |= s->backend == backend && s->protocol == MODEL_TCP;
	}
	for (i = 0; i < b->servers.count; i++)
		checked |= b->servers.items[i].check;
	if (udp && !tcp && checked && b->check != MODEL_CHECK_DNS && b->check != MODEL_CHECK_EXTERNAL &&
	    !b->check_datagram)
		parser_notice_at(p, p->backends.items[backend]->place,
				 "backend '%s' serves UDP, but its checks connect by TCP: "
				 "its servers must accept that on the port that is checked",
				 b->name);
}

static void validate_limits(struct parser *p)
{
	const struct model *m = p->model;
	const struct place nowhere = {};
	size_t i, servers = 0, ports = 0, prefixes4, prefixes6;

	model_count_prefixes(m, &prefixes4, &prefixes6);
	if (prefixes4 > MODEL_PREFIXES4_MAX || prefixes6 > MODEL_PREFIXES6_MAX)
		parser_error_at(p, nowhere, "the lists of all frontends with different rules hold %zu IPv4 and "
				"%zu IPv6 prefixes; the limits are %d (MODEL_PREFIXES4_MAX) and %d (MODEL_PREFIXES6_MAX)",
				prefixes4, prefixes6, MODEL_PREFIXES4_MAX, MODEL_PREFIXES6_MAX);
	if (m->policies.count > MODEL_POLICIES_MAX)
		parser_error_at(p, nowhere, "%zu different sets of tcp-request rules; the limit is %d "
				"(MODEL_POLICIES_MAX)", m->policies.count, MODEL_POLICIES_MAX);
	for (i = 0; i < m->backends.count; i++)
		servers += m->backends.items[i].servers.count;
	for (i = 0; i < m->services.count; i++) {
		const struct model_service *s = &m->services.items[i];
		const struct model_backend *b = &m->backends.items[s->backend];
		const size_t span = model_service_has_all_ports(s) ? 1u : s->port_high - s->port_low + 1u;

		/* What replies are known by are entries of the same table. */
		ports += b->forward == MODEL_TRANSPARENT ? span * (1 + b->servers.count) : span;
	}
	if (m->backends.count > MODEL_BACKENDS_MAX)
		parser_error_at(p, p->backends.items[MODEL_BACKENDS_MAX]->place, "%zu backends; the limit is %d "
				"(MODEL_BACKENDS_MAX)", m->backends.count, MODEL_BACKENDS_MAX);
	if (servers > MODEL_SERVERS_MAX)
		parser_error_at(p, p->backends.items[m->backends.count - 1]->place,
				"%zu servers in all backends; the limit is %d "
				"(MODEL_SERVERS_MAX)",
				servers, MODEL_SERVERS_MAX);
	if (m->services.count > MODEL_SERVICES_MAX)
		parser_error_at(p, p->services.items[MODEL_SERVICES_MAX].bind->place, "%zu binds; the limit is %d "
				"(MODEL_SERVICES_MAX)", m->services.count, MODEL_SERVICES_MAX);
	else if (ports > MODEL_PORTS_MAX)
		parser_error_at(p, p->services.items[m->services.count - 1].bind->place,
				"%zu ports on all binds, each once more for every server of a backend with 'usesrc clientip'; "
				"the limit is %d "
				"(MODEL_PORTS_MAX)",
				ports, MODEL_PORTS_MAX);
}

void validate_model(struct parser *p)
{
	size_t i, j;

	validate_limits(p);
	if (p->model->services.count > MODEL_SERVICES_MAX || p->model->backends.count > MODEL_BACKENDS_MAX)
		return; /* the rest would only take long */
	validate_overlaps(p);
	validate_announce(p);
	validate_transparent(p);
	for (i = 0; i < p->model->backends.count; i++) {
		for (j = 0; j < p->model->backends.items[i].servers.count; j++)
			validate_server(p, i, j);
		validate_quic(p, i);
		note_udp_checks(p, i);
	}
}
