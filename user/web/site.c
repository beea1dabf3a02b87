/* SPDX-License-Identifier: BSD-2-Clause */
#include "web/site.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "metrics/prometheus.h"
#include "web/assets.h"
#include "web/status.h"

/*
 * Nothing may be loaded but the page's own files, and nobody may frame it. Data is never stored: it is old at once.
 * Files are asked for again each time, and answered 304 while they are the same.
 */
#define SAFE_FIELDS "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
#define PAGE_FIELDS                                                                                       \
	SAFE_FIELDS "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "  \
		    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "           \
		    "frame-ancestors 'none'\r\nCross-Origin-Resource-Policy: same-origin\r\n"            \
		    "Cache-Control: no-cache\r\n"
#define DATA_FIELDS SAFE_FIELDS "Cache-Control: no-store\r\n"
#define TEXT_TYPE "text/plain; charset=utf-8"
#define JSON_TYPE "application/json; charset=utf-8"

struct site {
	struct web_server *server;
	struct site_ops ops;
	const struct events *events;
};

/* A reply that is made of a snapshot. */
struct document {
	struct site *site;
	struct snapshot snapshot;
	bool is_whole;
	bool is_json;
	struct prometheus metrics;
	struct status status;
};

static int document_next(void *stream, struct text *t)
{
	struct document *d = stream;

	if (!d->is_whole) {
		int r = d->site->ops.gather(&d->snapshot, d->site->ops.ctx);

		if (r < 0)
			return r;
		d->is_whole = true;
		d->metrics.snapshot = d->status.snapshot = &d->snapshot;
		return -EAGAIN;
	}
	return d->is_json ? status_next(&d->status, t, WEB_PIECE) : prometheus_next(&d->metrics, t, WEB_PIECE);
}

static void document_done(void *stream)
{
	struct document *d = stream;

	snapshot_done(&d->snapshot);
	free(d);
}

static struct document *document_reply(struct site *s, struct web_reply *ret, const char *type)
{
	struct document *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->site = s;
	*ret = (struct web_reply){ .status = 200, .type = type, .fields = DATA_FIELDS, .next = document_next,
				   .done = document_done, .stream = d };
	return d;
}

static void say(struct web_reply *ret, int status, const char *text)
{
	*ret = (struct web_reply){ .status = status, .type = TEXT_TYPE, .fields = DATA_FIELDS, .body = text,
				   .length = strlen(text) };
}

static void answer_metrics(struct site *s, const struct web_request *q, unsigned parts, struct web_reply *ret)
{
	const enum metrics_format format = prometheus_negotiate(q->accept);
	struct document *d = document_reply(s, ret, format == METRICS_OPENMETRICS ? METRICS_OPENMETRICS_TYPE :
										   METRICS_TEXT_TYPE);

	if (d)
		d->metrics.format = format;
}

/* ?after=N: only events that are newer. */
static void answer_status(struct site *s, const struct web_request *q, unsigned parts, struct web_reply *ret)
{
	size_t length = 0;
	const char *after = web_query_find(q->query, "after", &length);
	uint64_t number = 0;
	struct document *d;

	for (size_t i = 0; i < length; i++) {
		if (after[i] < '0' || after[i] > '9' || length > 18) {
			say(ret, 400, "after must be the number of an event\n");
			return;
		}
		number = number * 10 + (uint64_t)(after[i] - '0');
	}
	d = document_reply(s, ret, JSON_TYPE);
	if (!d)
		return;
	d->is_json = true;
	d->status = (struct status){ .events = s->events, .after = number, .parts = parts };
}

static void answer_alive(struct site *s, const struct web_request *q, unsigned parts, struct web_reply *ret)
{
	say(ret, 200, "ok\n");
}

static void answer_ready(struct site *s, const struct web_request *q, unsigned parts, struct web_reply *ret)
{
	if (s->ops.is_ready(s->ops.ctx))
		say(ret, 200, "ready\n");
	else
		say(ret, 503, "not ready: not all servers are checked yet, or no interface is steered on\n");
}

static const struct {
	const char *path;
	void (*answer)(struct site *s, const struct web_request *q, unsigned parts, struct web_reply *ret);
	unsigned parts;
} routes[] = {
	{ "/metrics", answer_metrics, 0 },
	{ "/healthz", answer_alive, 0 },
	{ "/readyz", answer_ready, 0 },
	{ "/api/v1/status", answer_status, STATUS_ALL },
	{ "/api/v1/agent", answer_status, STATUS_AGENT },
	{ "/api/v1/services", answer_status, STATUS_SERVICES },
	{ "/api/v1/backends", answer_status, STATUS_BACKENDS },
	{ "/api/v1/verdicts", answer_status, STATUS_VERDICTS },
	{ "/api/v1/events", answer_status, STATUS_EVENTS },
};

static void answer_asset(const struct asset *a, const struct web_request *q, struct web_reply *ret)
{
	static char fields[sizeof(PAGE_FIELDS) + ASSET_ETAG_MAX + 16];
	char etag[ASSET_ETAG_MAX];
	const bool same = q->if_none_match && strstr(q->if_none_match, asset_etag(a, etag));

	/* Sent before the next request is looked at. */
	strcpy(stpcpy(stpcpy(stpcpy(fields, PAGE_FIELDS "ETag: "), asset_etag(a, etag)), "\r\n"), "");
	*ret = (struct web_reply){ .status = same ? 304 : 200, .type = a->type, .fields = fields,
				   .body = a->data, .length = same ? 0 : a->length };
}

static void answer(const struct web_request *q, struct web_reply *ret, void *ctx)
{
	const struct asset *a;

	for (size_t i = 0; i < array_size(routes); i++)
		if (strcmp(q->path, routes[i].path) == 0) {
			routes[i].answer(ctx, q, routes[i].parts, ret);
			return;
		}
	a = asset_find(q->path);
	if (a)
		answer_asset(a, q, ret);
	else
		say(ret, 404, "there is no such page; see /, /metrics, /healthz, /readyz and /api/v1/status\n");
}

int site_new(struct event_base *base, const struct site_ops *ops, const struct events *events, struct site **ret)
{
	struct site *s = calloc(1, sizeof(*s));

	if (!s || web_server_new(base, answer, s, &s->server) < 0) {
		free(s);
		return -ENOMEM;
	}
	s->ops = *ops;
	s->events = events;
	*ret = s;
	return 0;
}

void site_free(struct site *s)
{
	if (!s)
		return;
	web_server_free(s->server);
	free(s);
}

struct web_server *site_server(struct site *s)
{
	return s->server;
}
