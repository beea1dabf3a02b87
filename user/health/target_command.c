/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an external command is called with: HAProxy's arguments and environment (section 4.2, external-check command).
 * Called by target.c. Starts nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/target.h"

/* Texts one after the other, each with its NUL. */
struct texts {
	char *bytes;
	size_t length;
	FILE *to;
};

static void add(struct texts *t, const char *name, const char *value)
{
	fprintf(t->to, "%s%s%s%c", name, *name ? "=" : "", value, '\0');
}

static void add_number(struct texts *t, const char *name, size_t value)
{
	fprintf(t->to, "%s=%zu%c", name, value, '\0');
}

/* HAProxy's words for a section without a listener. */
static const char *or_unused(const char *text)
{
	return text ? text : "NOT_USED";
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

int attempt_target_init_command(struct attempt_target *t, const struct model_backend *b, const struct model_server *s)
{
	const struct model_external_check *x = &b->external;
	char addr[ADDR_TEXT_MAX], port[8];
	struct texts e = {};

	e.to = open_memstream(&e.bytes, &e.length);
	if (!e.to)
		return -ENOMEM;
	addr_format(&s->check_at.addr, addr);
	snprintf(port, sizeof(port), "%u", s->check_at.port);
	add(&e, "", x->command);
	add(&e, "", or_unused(x->proxy_addr));
	add(&e, "", or_unused(x->proxy_port));
	add(&e, "", addr);
	add(&e, "", port);
	t->argc = 5;
	add(&e, "PATH", or_empty(x->path));
	add(&e, "HAPROXY_PROXY_NAME", b->name);
	add_number(&e, "HAPROXY_PROXY_ID", x->proxy_id);
	add(&e, "HAPROXY_PROXY_ADDR", or_empty(x->proxy_addr));
	add(&e, "HAPROXY_PROXY_PORT", or_empty(x->proxy_port));
	add(&e, "HAPROXY_SERVER_NAME", s->name);
	add_number(&e, "HAPROXY_SERVER_ID", (size_t)(s - b->servers.items) + 1);
	add(&e, "HAPROXY_SERVER_ADDR", addr);
	add(&e, "HAPROXY_SERVER_PORT", port);
	add(&e, "HAPROXY_SERVER_MAXCONN", "0");
	add(&e, "HAPROXY_SERVER_CURCONN", "0");
	add(&e, "HAPROXY_SERVER_SSL", "0");
	add(&e, "HAPROXY_SERVER_PROTO", "tcp");
	t->envc = 13;
	if (fclose(e.to)) {
		free(e.bytes);
		return -ENOMEM;
	}
	t->request = e.bytes;
	t->request_length = e.length;
	t->manner = TARGET_ELSEWHERE;
	return 0;
}
