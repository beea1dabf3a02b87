/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what `option httpchk` and the http-check lines say to the model: one request and one status, the usual case, or a
 * script of requests and expectations by HAProxy's rules. Called by build_check.c; requests are written out here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/parser.h"

static const char *kind(const struct proxy *x)
{
	return x->section == SECTION_LISTEN ? "listen" : "backend";
}

static char *copy(struct parser *p, const char *text)
{
	return text ? parser_model_string(p, text) : NULL;
}

/* One request; the status of its answer. */
static void build_single(struct parser *p, const struct http_settings *h, struct model_backend *b)
{
	snprintf(b->http.method, sizeof(b->http.method), "%s", h->request.method);
	snprintf(b->http.uri, sizeof(b->http.uri), "%s", h->request.uri);
	snprintf(b->http.version, sizeof(b->http.version), "%s", h->request.version);
	b->http.host = copy(p, h->request.host.name);
	if (!h->script.count)
		return;
	b->http.expect_negated = h->script.steps[0].negated;
	b->http.expect_count = h->script.steps[0].length / sizeof(b->http.expect[0]);
	if (b->http.expect_count)
		memcpy(b->http.expect, h->script.steps[0].data, h->script.steps[0].length);
}

static struct model_check_step *add_step(struct parser *p, struct model_backend *b, enum model_step step)
{
	struct model_check_step *s = vec_push(&b->steps);

	if (s)
		s->kind = step;
	else
		p->failed = -ENOMEM;
	return s;
}

/* last: nothing more is asked over its connection. */
static void add_request(struct parser *p, struct model_backend *b, const struct request_setting *r, bool last)
{
	struct model_check_step *s = add_step(p, b, MODEL_STEP_SEND);
	char length[40] = "";
	char *text = NULL;
	int n;

	if (!s)
		return;
	if (r->body)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(r->body));
	n = asprintf(&text, "%s %s %s\r\n%s%s%s%s%s%s\r\n%s", r->method, r->uri, r->version, r->host.name ? "Host: " : "",
		     r->host.name ? r->host.name : "", r->host.name ? "\r\n" : "", r->headers ? r->headers : "", length,
		     last ? "Connection: close\r\n" : "", r->body ? r->body : "");
	if (n < 0) {
		p->failed = -ENOMEM;
		return;
	}
	s->data = (uint8_t *)text;
	s->length = (size_t)n;
	s->match = MODEL_MATCH_STRING;
}

static void add_other(struct parser *p, struct model_backend *b, const struct step_setting *from)
{
	struct model_check_step *s = add_step(p, b, from->kind);

	if (s)
		s->data = malloc(from->length + 1);
	if (!s || !s->data) {
		p->failed = -ENOMEM;
		return;
	}
	if (from->length)
		memcpy(s->data, from->data, from->length);
	s->data[from->length] = '\0';
	s->length = from->length;
	s->comment = copy(p, from->comment);
	s->server_options = from->server_options;
	s->addr = from->addr;
	s->port = from->port;
	s->tls = from->tls;
	s->linger = from->linger;
	s->sni = copy(p, from->sni);
	s->alpn = copy(p, from->alpn);
	s->match = from->match;
	s->negated = from->negated;
}

/* Is a further request made before the next connection? */
static bool goes_on(const struct script_settings *s, size_t from)
{
	for (; from < s->count && s->steps[from].kind != MODEL_STEP_CONNECT; from++)
		if (s->steps[from].kind == MODEL_STEP_SEND)
			return true;
	return false;
}

/* As in HAProxy: the first request comes first, behind a `connect` that does; a last one without `expect` wants 200-399. */
static void build_sequence(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	static const struct model_status_range usual = { 200, 399 };
	const struct script_settings *s = &x->settings.http.script;
	const struct step_setting fallback = { .kind = MODEL_STEP_EXPECT, .match = MODEL_MATCH_STATUS,
					       .data = (const uint8_t *)&usual, .length = sizeof(usual) };
	size_t i = 0;

	b->check = MODEL_CHECK_SCRIPT;
	b->check_http = true;
	for (; i < s->count && s->steps[i].kind == MODEL_STEP_CONNECT; i++)
		add_other(p, b, &s->steps[i]);
	add_request(p, b, &x->settings.http.request, !goes_on(s, i));
	for (; i < s->count; i++) {
		if (s->steps[i].kind == MODEL_STEP_SEND)
			add_request(p, b, s->steps[i].request, !goes_on(s, i + 1));
		else
			add_other(p, b, &s->steps[i]);
	}
	if (!p->failed && b->steps.items[b->steps.count - 1].kind == MODEL_STEP_SEND)
		add_other(p, b, &fallback);
	for (i = 0; i < b->steps.count; i++)
		if (b->steps.items[i].length > MODEL_CHECK_DATA_MAX + MODEL_HTTP_URI_MAX)
			parser_error_at(p, x->settings.http.send_place.line ? x->settings.http.send_place : x->place,
					"a request of this check has more than %d bytes (MODEL_CHECK_DATA_MAX, "
					"MODEL_HTTP_URI_MAX)", MODEL_CHECK_DATA_MAX + MODEL_HTTP_URI_MAX);
}

void build_http(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	const struct http_settings *h = &x->settings.http;

	b->http.disable_on_404 = h->disable_on_404;
	if (h->sequence)
		build_sequence(p, x, b);
	else
		build_single(p, h, b);
	if (!h->request.host.name && !strcmp(h->request.version, "HTTP/1.1"))
		parser_notice_at(p, x->place,
				 "the checks of %s '%s' speak HTTP/1.1 without a Host header, which servers may "
				 "refuse: add 'http-check send hdr Host NAME'",
				 kind(x), x->name);
}
