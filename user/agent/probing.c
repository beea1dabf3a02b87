/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/probing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "dataplane/probe.h"
#include "health/attempt.h"

struct probing {
	struct probe *probe;  /* NULL: no server is checked so */
	struct attempt_via via;
	bool told;            /* that attaching fails */
};

static struct probe_path path_of(const struct addr *server, const struct model_via *v)
{
	struct probe_path p = {
		.kind = v->tunnel ? PROBE_IPIP : PROBE_DSR,
		.family = server->family == AF_INET6 ? 6 : 4,
		.outer_bits = (uint8_t)v->source_bits,
	};
	const size_t bytes = server->family == AF_INET6 ? 16 : 4;

	memcpy(p.server, server->bytes, bytes);
	memcpy(p.service, v->service.bytes, bytes);
	if (v->source.family)
		memcpy(p.outer_source, v->source.bytes, bytes);
	return p;
}

static uint32_t mark(const struct attempt_target *t, void *ctx)
{
	const struct probing *p = ctx;
	const struct probe_path path = path_of(&t->at.addr, &t->via);

	return p->probe ? probe_mark(p->probe, &path) : 0;
}

static uint64_t sent(uint32_t m, void *ctx)
{
	const struct probing *p = ctx;

	return p->probe ? probe_sent(p->probe, m) : 0;
}

int probing_new(struct probing **ret)
{
	struct probing *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->via = (struct attempt_via){ .mark = mark, .sent = sent, .ctx = p };
	*ret = p;
	return 0;
}

void probing_free(struct probing *p)
{
	if (!p)
		return;
	probe_close(p->probe);
	free(p);
}

const struct attempt_via *probing_via(struct probing *p)
{
	return &p->via;
}

static int attach(struct agent *a, char error[AGENT_ERROR_MAX])
{
	unsigned ifindexes[MODEL_INTERFACES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < a->interfaces.count && count < array_size(ifindexes); i++) {
		const struct net_interface *n = net_interface_by_name(a->net, a->interfaces.items[i].name);

		if (a->interfaces.items[i].wanted && n)
			ifindexes[count++] = n->ifindex;
	}
	return probe_attach(a->probing->probe, ifindexes, count, error);
}

void probing_follow(struct agent *a)
{
	char error[AGENT_ERROR_MAX];
	int r;

	if (!a->probing || !a->probing->probe)
		return;
	r = attach(a, error);
	if (r < 0 && !a->probing->told)
		log_event(a->log, LOG_ERR, "attach_failed", "error=%s", log_quoted(error));
	a->probing->told = r < 0;
}

static bool is_used(const struct model *m)
{
	for (size_t b = 0; b < m->backends.count; b++)
		for (size_t i = 0; i < m->backends.items[b].servers.count; i++)
			if (m->backends.items[b].servers.items[i].via.service.family)
				return true;
	return false;
}

static int want_paths(struct probe *p, const struct model *m)
{
	int r = 0;

	for (size_t b = 0; b < m->backends.count; b++)
		for (size_t i = 0; i < m->backends.items[b].servers.count && r == 0; i++) {
			const struct model_server *s = &m->backends.items[b].servers.items[i];
			const struct probe_path path = path_of(&s->at.addr, &s->via);

			if (s->via.service.family)
				r = probe_want(p, &path);
		}
	return r;
}

int probing_prepare(struct agent *a, const struct model *m, char error[AGENT_ERROR_MAX])
{
	struct probing *p = a->probing;
	int r;

	if (p->probe)
		probe_begin(p->probe);
	if (!is_used(m))
		return 0;
	if (!p->probe) {
		r = probe_open(true, &p->probe, error);
		if (r == 0)
			r = attach(a, error);
		if (r < 0) {
			probe_close(p->probe);
			p->probe = NULL;
			return r;
		}
	}
	r = want_paths(p->probe, m);
	if (r < 0)
		snprintf(error, AGENT_ERROR_MAX, "the paths of checks via a service's address: %s%s", strerror(-r),
			 r == -ENOSPC ? ", the limit is 16383 of the old and the new configuration (PROBE_PATHS_MAX)" : "");
	return r;
}

void probing_commit(struct agent *a)
{
	struct probing *p = a->probing;

	if (!p->probe)
		return;
	if (is_used(a->model)) {
		probe_settle(p->probe);
		return;
	}
	probe_close(p->probe);
	p->probe = NULL;
}
