/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a check asks of whom: from the model's words to the bytes that are sent. Called by configure.c.
 * Opens nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/attempt.h"

/*
 * HTTP/1.1 requires a Host field (RFC 9112 section 3.2); where the configuration gives none, it is the address that is
 * asked, as any client would send it.
 */
static int build_request(const struct model_http_check *http, const struct endpoint *at, char **ret)
{
	char address[ENDPOINT_TEXT_MAX];
	const char *host = http->host;
	char *text;

	if (!host && !strcmp(http->version, "HTTP/1.1"))
		host = endpoint_format(at, address);
	if (asprintf(&text, "%s %s %s\r\n%s%s%sConnection: close\r\n\r\n", http->method, http->uri, http->version,
		     host ? "Host: " : "", host ? host : "", host ? "\r\n" : "") < 0)
		return -ENOMEM;
	*ret = text;
	return 0;
}

int attempt_target_init(struct attempt_target *ret, const struct model_backend *b, const struct model_server *s)
{
	struct attempt_target t = { .at = s->check_at, .kind = b->check };

	if (s->check && b->check == MODEL_CHECK_HTTP) {
		if (build_request(&b->http, &s->check_at, &t.request) < 0)
			return -ENOMEM;
		t.request_length = strlen(t.request);
		t.expect_negated = b->http.expect_negated;
		t.expect_count = b->http.expect_count;
		memcpy(t.expect, b->http.expect, t.expect_count * sizeof(t.expect[0]));
	}
	*ret = t;
	return 0;
}

void attempt_target_done(struct attempt_target *t)
{
	free(t->request);
	t->request = NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool attempt_target_equal(const struct attempt_target *a, const struct attempt_target *b)
{
	size_t i;

	if (!addr_equal(&a->at.addr, &b->at.addr) || a->at.port != b->at.port || a->kind != b->kind ||
	    !same_text(a->request, b->request) || a->expect_negated != b->expect_negated ||
	    a->expect_count != b->expect_count)
		return false;
	for (i = 0; i < a->expect_count; i++)
		if (a->expect[i].low != b->expect[i].low || a->expect[i].high != b->expect[i].high)
			return false;
	return true;
}
