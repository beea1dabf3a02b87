/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "agent/agent.h"

static void add(struct agent *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct agent *a, const char *format, ...)
{
	char **new = vec_push(&a->notices);
	va_list args;

	if (!new)
		return;
	va_start(args, format);
	if (vasprintf(new, format, args) < 0) {
		*new = NULL;
		a->notices.count--;
	}
	va_end(args);
}

void notices_done(struct agent *a)
{
	for (size_t i = 0; i < a->notices.count; i++)
		free(a->notices.items[i]);
	vec_done(&a->notices);
}

/* ---- a bind that shadows a listener of the host ---- */

static bool covers(const struct model_service *s, const struct endpoint *at, bool udp)
{
	if ((s->protocol == MODEL_UDP) != udp || s->addr.family != at->addr.family || at->port < s->port_low ||
	    at->port > s->port_high)
		return false;
	return s->any_addr || addr_is_unspecified(&at->addr) || addr_equal(&s->addr, &at->addr);
}

static bool is_loopback(const struct addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return a->family == AF_INET ? a->bytes[0] == 127 : memcmp(a->bytes, one, 16) == 0;
}

static bool visit_listener(const struct endpoint *at, bool udp, void *ctx)
{
	struct agent *a = ctx;
	char text[ENDPOINT_TEXT_MAX];

	/* Never dealt as an own port: its replies would be taken for a server's, if the server's address fits. */
	reconcile_skip_port(a->reconcile, at->port);
	if (is_loopback(&at->addr))
		return true;
	for (size_t i = 0; i < a->model->services.count; i++)
		if (covers(&a->model->services.items[i], at, udp)) {
			add(a, "service %s takes %s port %u, where %s listens on this host: what comes in by the "
			       "steered interfaces goes to the backend and no longer there",
			    a->model->services.items[i].name, udp ? "UDP" : "TCP", at->port,
			    endpoint_format(at, text));
			break;
		}
	return true;
}

/* ---- addresses ---- */

struct owner {
	const struct addr *wanted;
	bool found;
};

static bool visit_owner(const struct addr *addr, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct owner *o = ctx;

	o->found = addr_equal(addr, o->wanted);
	return !o->found;
}

static bool is_owned(const struct agent *a, const struct addr *addr)
{
	struct owner o = { .wanted = addr };

	net_addresses(a->net, 0, visit_owner, &o);
	return o.found;
}

static void check_addresses(struct agent *a)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < a->model->services.count; i++) {
		const struct model_service *s = &a->model->services.items[i];

		if (model_service_has_all_ports(s) && is_owned(a, &s->addr))
			add(a, "service %s takes all ports of %s, an address of this host: answers to connections that "
			       "the host makes from it go to the backend; a second address for the service keeps them "
			       "apart", s->name, addr_format(&s->addr, text));
		if (!s->any_addr && !is_owned(a, &s->addr))
			add(a, "service %s: no interface has the address %s: packets come here only if they are routed "
			       "here, and nobody answers ARP or ND for it", s->name, addr_format(&s->addr, text));
	}
	for (size_t b = 0; b < a->model->backends.count; b++) {
		const struct model_backend *backend = &a->model->backends.items[b];

		for (size_t i = 0; i < backend->sources.count; i++)
			if (backend->sources.items[i].addr.family && !is_owned(a, &backend->sources.items[i].addr))
				add(a, "backend %s: no interface has the source-pool address %s: servers' replies must "
				       "be routed here", backend->name,
				    addr_format(&backend->sources.items[i].addr, text));
		for (size_t i = 0; i < backend->tunnel_sources.count; i++) {
			const struct model_tunnel_source *s = &backend->tunnel_sources.items[i];

			if (!s->bits && !is_owned(a, &s->addr))
				add(a, "backend %s: no interface has the tunnel-source address %s: what routers report "
				       "about the tunnel does not arrive, and a server's strict rp_filter needs a route "
				       "to it", backend->name, addr_format(&s->addr, text));
		}
	}
}

void notices_collect(struct agent *a)
{
	notices_done(a);
	for (size_t i = 0; i < a->report.messages.count; i++) {
		const struct config_message *m = &a->report.messages.items[i];

		add(a, "%s:%u:%u: %s", m->file ? m->file : "-", m->line, m->column, m->text);
	}
	net_listeners(visit_listener, a);
	for (size_t i = 0; i < a->model->services.count; i++) {
		const struct model_service *s = &a->model->services.items[i];

		for (uint32_t port = s->port_low; port <= s->port_high && s->port_high - s->port_low < 1024; port++)
			reconcile_skip_port(a->reconcile, port);
	}
	check_addresses(a);
	for (size_t i = 0; i < a->notices.count; i++)
		log_event(a->log, LOG_NOTICE, "notice", "text=%s", log_quoted(a->notices.items[i]));
}

int notices_check_ports(const struct model *m, char error[AGENT_ERROR_MAX])
{
	uint16_t low, high, own_low, own_high;
	const struct model_backend *backend;

	if (net_port_range(&low, &high) < 0)
		return 0;
	backend = model_find_port_clash(m, low, high, &own_low, &own_high);
	if (!backend)
		return 0;
	snprintf(error, AGENT_ERROR_MAX,
		 "backend %s: own ports %u-%u towards servers overlap net.ipv4.ip_local_port_range, %u-%u: a connection of "
		 "this host's own could be mistaken for one of theirs; give `source-pool` other ports or change the range",
		 backend->name, own_low, own_high, low, high);
	return -EINVAL;
}
