/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/text.h"

static void label(struct text *t, const char *name, const char *value)
{
	if (t->length)
		text_lit(t, ",");
	text_puts(t, name);
	text_lit(t, "=\"");
	text_label(t, value);
	text_lit(t, "\"");
}

static void member(struct text *t, const char *name, const char *value)
{
	if (t->length)
		text_lit(t, ",");
	text_json(t, name);
	text_lit(t, ":");
	text_json(t, value);
}

/* Ends the text and hands it over. NULL when out of memory. */
static char *take(struct text *t)
{
	char *data;

	text_add(t, "", 1);
	if (t->failed) {
		text_done(t);
		return NULL;
	}
	/* A text grows by pages; there are tens of thousands of these, and they stay: each as long as it is. */
	data = strdup(t->data);
	text_done(t);
	return data;
}

static const char *service_address(const struct model_service *s, char text[static ADDR_TEXT_MAX])
{
	if (s->any_addr)
		return s->addr.family == AF_INET6 ? "::" : "*";
	return addr_format(&s->addr, text);
}

static bool name_service(struct named *n, const struct model *m, const struct model_service *s)
{
	const char *backend = m->backends.items[s->backend].name, *protocol = model_protocol_name(s->protocol);
	char text[ADDR_TEXT_MAX], ports[16];
	const char *address = service_address(s, text);
	struct text labels = {}, info = {}, json = {};

	snprintf(ports, sizeof(ports), s->port_low == s->port_high ? "%u" : "%u-%u", s->port_low, s->port_high);
	label(&labels, "service", s->name);
	label(&info, "service", s->name);
	label(&info, "frontend", s->frontend);
	label(&info, "backend", backend);
	label(&info, "protocol", protocol);
	label(&info, "address", address);
	label(&info, "ports", ports);
	member(&json, "name", s->name);
	member(&json, "frontend", s->frontend);
	member(&json, "backend", backend);
	member(&json, "protocol", protocol);
	member(&json, "address", address);
	member(&json, "ports", ports);
	n->labels = take(&labels);
	n->info = take(&info);
	n->json = take(&json);
	return n->labels && n->info && n->json;
}

static bool name_backend(struct named *n, const struct model_backend *b)
{
	struct text labels = {}, info = {}, json = {};

	label(&labels, "backend", b->name);
	label(&info, "backend", b->name);
	label(&info, "balance", model_balance_name(b->balance));
	label(&info, "forward", model_forward_name(b->forward));
	member(&json, "name", b->name);
	member(&json, "balance", model_balance_name(b->balance));
	member(&json, "forward", model_forward_name(b->forward));
	n->labels = take(&labels);
	n->info = take(&info);
	n->json = take(&json);
	return n->labels && n->info && n->json;
}

static bool name_server(struct named *n, const struct model_backend *b, const struct model_server *s)
{
	char text[ENDPOINT_TEXT_MAX];
	const char *address = s->at.port ? endpoint_format(&s->at, text) : addr_format(&s->at.addr, text);
	struct text labels = {}, info = {}, json = {};

	label(&labels, "backend", b->name);
	label(&labels, "server", s->name);
	label(&info, "backend", b->name);
	label(&info, "server", s->name);
	label(&info, "address", address);
	member(&json, "name", s->name);
	member(&json, "address", address);
	n->labels = take(&labels);
	n->info = take(&info);
	n->json = take(&json);
	return n->labels && n->info && n->json;
}

static bool name_all(struct names *n, const struct model *m)
{
	size_t server = 0;

	for (size_t i = 0; i < n->service_count; i++) {
		n->service_backend[i] = m->services.items[i].backend;
		if (!name_service(&n->services[i], m, &m->services.items[i]))
			return false;
	}
	for (size_t b = 0; b < n->backend_count; b++) {
		const struct model_backend *backend = &m->backends.items[b];

		n->first[b] = server;
		if (!name_backend(&n->backends[b], backend))
			return false;
		for (size_t s = 0; s < backend->servers.count; s++)
			if (!name_server(&n->servers[server++], backend, &backend->servers.items[s]))
				return false;
	}
	n->first[n->backend_count] = server;
	return true;
}

static void measure(struct named *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		items[i].labels_length = strlen(items[i].labels);
}

struct names *names_new(const struct model *m)
{
	struct names *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->references = 1;
	n->service_count = m->services.count;
	n->backend_count = m->backends.count;
	for (size_t b = 0; b < m->backends.count; b++)
		n->server_count += m->backends.items[b].servers.count;
	/* One more than needed: calloc(0) may give NULL. */
	n->services = calloc(n->service_count + 1, sizeof(*n->services));
	n->backends = calloc(n->backend_count + 1, sizeof(*n->backends));
	n->servers = calloc(n->server_count + 1, sizeof(*n->servers));
	n->first = calloc(n->backend_count + 1, sizeof(*n->first));
	n->service_backend = calloc(n->service_count + 1, sizeof(*n->service_backend));
	if (!n->services || !n->backends || !n->servers || !n->first || !n->service_backend || !name_all(n, m)) {
		names_unref(n);
		return NULL;
	}
	measure(n->services, n->service_count);
	measure(n->backends, n->backend_count);
	measure(n->servers, n->server_count);
	return n;
}

struct names *names_ref(struct names *n)
{
	n->references++;
	return n;
}

static void named_done(struct named *items, size_t count)
{
	for (size_t i = 0; items && i < count; i++) {
		free(items[i].labels);
		free(items[i].info);
		free(items[i].json);
	}
	free(items);
}

void names_unref(struct names *n)
{
	if (!n || --n->references)
		return;
	named_done(n->services, n->service_count);
	named_done(n->backends, n->backend_count);
	named_done(n->servers, n->server_count);
	free(n->first);
	free(n->service_backend);
	free(n);
}
