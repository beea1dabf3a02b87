/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a check asks of whom: from the model's words to the bytes that are sent. Called by configure.c.
 * Opens no socket; TLS files are read.
 */
#include "health/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/dns.h"

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static int copy_text(const char *text, char **to)
{
	*to = text ? strdup(text) : NULL;
	return text && !*to ? -ENOMEM : 0;
}

/*
 * HTTP/1.1 requires a Host field (RFC 9112 section 3.2); where the configuration gives none, it is the address that is
 * asked, as any client would send it.
 */
static int init_http(struct attempt_target *t, const struct model_http_check *http)
{
	const struct endpoint asked = { .addr = t->via.service.family ? t->via.service : t->at.addr, .port = t->at.port };
	char address[ENDPOINT_TEXT_MAX];
	const char *host = http->host;

	if (!host && !strcmp(http->version, "HTTP/1.1"))
		host = endpoint_format(&asked, address);
	if (asprintf(&t->request, "%s %s %s\r\n%s%s%sConnection: close\r\n\r\n", http->method, http->uri,
		     http->version, host ? "Host: " : "", host ? host : "", host ? "\r\n" : "") < 0) {
		t->request = NULL;
		return -ENOMEM;
	}
	t->request_length = strlen(t->request);
	t->manner = TARGET_HTTP;
	if (!http->expect_count)
		return 0;
	t->expect = calloc(http->expect_count, sizeof(t->expect[0]));
	if (!t->expect)
		return -ENOMEM;
	t->expect_negated = http->expect_negated;
	t->expect_count = http->expect_count;
	memcpy(t->expect, http->expect, t->expect_count * sizeof(t->expect[0]));
	return 0;
}

static int init_script(struct attempt_target *t, const struct model_backend *b, struct target_maker *m)
{
	int r;

	if (m->script_of != b) {
		script_unref(m->script);
		m->script = NULL;
		m->script_of = NULL;
		r = script_new(b, &m->script);
		if (r == -EINVAL)
			snprintf(m->error, sizeof(m->error), "backend '%s': its tcp-check can't be compiled", b->name);
		if (r < 0)
			return r;
		m->script_of = b;
	}
	t->script = script_ref(m->script);
	t->datagram = b->check_datagram;
	t->manner = TARGET_SCRIPT;
	return 0;
}

static int init_dns(struct attempt_target *t, const struct model_dns_check *dns)
{
	uint8_t query[DNS_QUERY_MAX];

	t->request_length = dns_query(dns->name, dns->type, query);
	t->request = t->request_length ? malloc(t->request_length) : NULL;
	if (!t->request)
		return -ENOMEM;
	memcpy(t->request, query, t->request_length);
	t->any_answer = !dns->name;
	t->datagram = true;
	t->manner = TARGET_DNS;
	return 0;
}

/* A context for these words: one that is there, or a new one. */
static int find_context(const struct model_tls *tls, struct target_maker *m, struct tls_context **ret)
{
	struct tls_context **new;
	int r;

	/* Backwards: neighbours in a file are likely to be alike. */
	for (size_t i = m->contexts.count; i-- > 0; )
		if (tls_context_is_for(m->contexts.items[i], tls)) {
			*ret = tls_context_ref(m->contexts.items[i]);
			return 0;
		}
	new = vec_push(&m->contexts);
	if (!new)
		return -ENOMEM;
	r = tls_context_new(tls, new, m->error, sizeof(m->error));
	if (r < 0) {
		m->contexts.count--;
		return r;
	}
	*ret = tls_context_ref(*new);
	return 0;
}

static int init_tls(struct attempt_target *t, const struct model_server *s, struct target_maker *m)
{
	if (copy_text(s->tls.sni, &t->peer.sni) < 0 || copy_text(s->tls.alpn, &t->peer.alpn) < 0 ||
	    copy_text(s->tls.verify_host, &t->peer.verify_host) < 0)
		return -ENOMEM;
	t->tls = s->check_ssl;
	return find_context(&s->tls, m, &t->peer.context);
}

static int init_plugin(struct attempt_target *t, const struct model_plugin_check *plugin)
{
	t->plugin = *plugin;
	t->plugin.words = malloc(plugin->length);
	if (!t->plugin.words)
		return -ENOMEM;
	memcpy(t->plugin.words, plugin->words, plugin->length);
	t->manner = TARGET_ELSEWHERE;
	return 0;
}

static int init_manner(struct attempt_target *t, const struct model_backend *b, const struct model_server *s,
		       struct target_maker *m)
{
	switch (b->check) {
	case MODEL_CHECK_TCP:
		break;
	case MODEL_CHECK_HTTP:
		return init_http(t, &b->http);
	case MODEL_CHECK_SCRIPT:
		return init_script(t, b, m);
	case MODEL_CHECK_DNS:
		return init_dns(t, &b->dns);
	case MODEL_CHECK_PLUGIN:
		return init_plugin(t, &b->plugin);
	case MODEL_CHECK_EXTERNAL:
		return attempt_target_init_command(t, b, s);
	}
	return 0;
}

int attempt_target_init(struct attempt_target *ret, const struct model_backend *b, const struct model_server *s,
			struct target_maker *m)
{
	struct attempt_target t = { .at = s->check_at, .via = s->via, .source = s->check_source,
				    .manner = TARGET_CONNECT,
				    .disable_on_404 = s->check && b->http.disable_on_404 };
	int r = 0;

	m->error[0] = '\0';
	if (s->check)
		r = init_manner(&t, b, s, m);
	if (r == 0 && s->check && s->tls_used)
		r = init_tls(&t, s, m);
	if (r < 0) {
		attempt_target_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

int attempt_target_init_agent(struct attempt_target *ret, const struct model_server *s)
{
	struct attempt_target t = { .at = s->agent_at, .manner = TARGET_AGENT };

	if (copy_text(s->agent_send, &t.request) < 0)
		return -ENOMEM;
	t.request_length = t.request ? strlen(t.request) : 0;
	*ret = t;
	return 0;
}

void attempt_target_done(struct attempt_target *t)
{
	if (t->plugin.words)
		explicit_bzero(t->plugin.words, t->plugin.length);
	free(t->plugin.words);
	free(t->request);
	free(t->expect);
	free(t->peer.sni);
	free(t->peer.alpn);
	free(t->peer.verify_host);
	tls_context_unref(t->peer.context);
	script_unref(t->script);
	*t = (struct attempt_target){};
}

void target_maker_done(struct target_maker *m)
{
	for (size_t i = 0; i < m->contexts.count; i++)
		tls_context_unref(m->contexts.items[i]);
	vec_done(&m->contexts);
	script_unref(m->script);
	m->script = NULL;
	m->script_of = NULL;
}

static bool same_request(const struct attempt_target *a, const struct attempt_target *b)
{
	/* The first two bytes of a DNS query are the id of the last one. */
	const size_t from = a->manner == TARGET_DNS ? 2 : 0;

	return a->argc == b->argc && a->request_length == b->request_length &&
	       (a->request_length <= from || !memcmp(a->request + from, b->request + from, a->request_length - from));
}

static bool same_plugin(const struct model_plugin_check *a, const struct model_plugin_check *b)
{
	return !a->words == !b->words && a->length == b->length &&
	       (!a->words || !memcmp(a->words, b->words, a->length));
}

static bool same_tls(const struct attempt_target *a, const struct attempt_target *b)
{
	const struct tls_peer *x = &a->peer, *y = &b->peer;

	return a->tls == b->tls && !x->context == !y->context && same_text(x->sni, y->sni) &&
	       same_text(x->alpn, y->alpn) && same_text(x->verify_host, y->verify_host) &&
	       (!x->context || tls_context_equal(x->context, y->context));
}

static bool same_via(const struct model_via *a, const struct model_via *b)
{
	return addr_equal(&a->service, &b->service) && a->tunnel == b->tunnel && addr_equal(&a->source, &b->source) &&
	       a->source_bits == b->source_bits;
}

bool attempt_target_equal(const struct attempt_target *a, const struct attempt_target *b)
{
	if (!addr_equal(&a->at.addr, &b->at.addr) || a->at.port != b->at.port || !same_via(&a->via, &b->via) ||
	    !addr_equal(&a->source, &b->source) || a->manner != b->manner ||
	    a->datagram != b->datagram || a->any_answer != b->any_answer || !same_request(a, b) || !same_tls(a, b) ||
	    !script_equal(a->script, b->script) || !same_plugin(&a->plugin, &b->plugin) ||
	    a->disable_on_404 != b->disable_on_404 || a->expect_negated != b->expect_negated || a->expect_count != b->expect_count)
		return false;
	for (size_t i = 0; i < a->expect_count; i++)
		if (a->expect[i].low != b->expect[i].low || a->expect[i].high != b->expect[i].high)
			return false;
	return true;
}
