/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What there is at the port that `metrics` opens: /metrics, /healthz, /readyz, /api/v1/..., and the status page. Owned
 * by agent/monitor.c, which gathers the numbers. Read-only: nothing here changes anything, whoever asks.
 */
#ifndef WEB_SITE_H
#define WEB_SITE_H

#include "metrics/snapshot.h"
#include "web/events.h"
#include "web/server.h"

struct site;

struct site_ops {
	/*
	 * Gathers a part of a snapshot, small enough for one turn of the loop. 0: it is whole; -EAGAIN: call again;
	 * -ENOMEM. A snapshot that is zero is begun; one that a reload has overtaken is begun anew.
	 */
	int (*gather)(struct snapshot *s, void *ctx);
	bool (*is_ready)(void *ctx);
	void *ctx;
};

/* events must outlive the site. 0 or -ENOMEM. */
int site_new(struct event_base *base, const struct site_ops *ops, const struct events *events, struct site **ret);
void site_free(struct site *s); /* takes NULL */
/* Where it listens: web_server_prepare(), _commit() and _abandon() are called on it. */
struct web_server *site_server(struct site *s);

#endif
