/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From what was written about checks to the model: which check a backend has, what each server's line adds, and who
 * tracks whom. Called by build.c; reports what does not fit together.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "config/parser.h"

static const char *kind(const struct proxy *x)
{
	return x->section == SECTION_LISTEN ? "listen" : "backend";
}

static char *copy(struct parser *p, const char *text)
{
	return text ? parser_model_string(p, text) : NULL;
}

static void build_steps(struct parser *p, const struct script_settings *from, struct model_backend *b)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct step_setting *s = &from->steps[i];
		struct model_check_step *to = vec_push(&b->steps);

		if (to)
			to->data = malloc(s->length + 1);
		if (!to || !to->data) {
			p->failed = -ENOMEM;
			return;
		}
		if (s->length)
			memcpy(to->data, s->data, s->length);
		to->data[s->length] = '\0';
		to->length = s->length;
		to->kind = s->kind;
		to->comment = copy(p, s->comment);
		to->server_options = s->server_options;
		to->addr = s->addr;
		to->port = s->port;
		to->tls = s->tls;
		to->linger = s->linger;
		to->sni = copy(p, s->sni);
		to->alpn = copy(p, s->alpn);
		to->match = s->match;
		to->negated = s->negated;
		to->min_recv = s->min_recv;
	}
}

/* Where the clients of a listen section are, as HAProxy tells a command: the first bind. */
static void build_listener(struct parser *p, const struct proxy *x, struct model_external_check *e)
{
	char addr[ADDR_TEXT_MAX], port[8];

	if (!x->binds.count)
		return;
	snprintf(port, sizeof(port), "%u", x->binds.items[0].port_low);
	e->proxy_addr = copy(p, addr_format(&x->binds.items[0].addr, addr));
	e->proxy_port = copy(p, port);
}

static void build_external(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	const struct external_settings *set = &x->settings.external;

	if (!p->model->global.external_check)
		parser_error_at(p, set->place, "'option external-check' needs 'external-check' in the global section");
	if (!set->command)
		parser_error_at(p, set->place, "'option external-check' needs 'external-check command PATH'");
	b->external.command = copy(p, set->command);
	b->external.path = copy(p, set->path);
	b->external.proxy_id = (unsigned)x->backend + 1;
	build_listener(p, x, &b->external);
}

void build_check(struct parser *p, const struct proxy *x, struct model_backend *b)
{
	const struct proxy_settings *s = &x->settings;
	const struct http_settings *h = &s->http;

	b->check = s->check_kind;
	b->panic_percent = s->panic_percent;
	if (b->check != MODEL_CHECK_HTTP && (h->expect_place.line || h->send_place.line))
		parser_error_at(p, h->expect_place.line ? h->expect_place : h->send_place,
				"'http-check' needs 'option httpchk' in %s '%s'", kind(x), x->name);
	if (!s->tcp_check && s->script.own)
		parser_error_at(p, s->script.place, "'tcp-check' needs 'option tcp-check' in %s '%s'", kind(x),
				x->name);
	switch (b->check) {
	case MODEL_CHECK_HTTP:
		build_http(p, x, b);
		break;
	case MODEL_CHECK_TCP:
		if (!s->tcp_check || !s->script.count)
			break;
		b->check = MODEL_CHECK_SCRIPT;
		build_steps(p, &s->script, b);
		break;
	case MODEL_CHECK_SCRIPT:
		b->check_datagram = true;
		build_steps(p, &s->datagram, b);
		break;
	case MODEL_CHECK_PLUGIN:
		build_plugin_check(p, x, b);
		break;
	case MODEL_CHECK_DNS:
		b->dns.name = copy(p, s->dns.name);
		b->dns.type = s->dns.type;
		break;
	case MODEL_CHECK_EXTERNAL:
		build_external(p, x, b);
		break;
	}
}

static bool has_tls_step(const struct model_backend *b)
{
	for (size_t i = 0; i < b->steps.count; i++)
		if (b->steps.items[i].tls)
			return true;
	return false;
}

static void build_tls(struct parser *p, const struct server_draft *draft, const struct model_backend *b,
		      struct model_server *s)
{
	const struct server_settings *set = &draft->settings;

	s->check_ssl = set->check_ssl;
	s->tls_used = set->check_ssl || has_tls_step(b);
	if (!s->tls_used) {
		if (set->tls_place.line)
			parser_notice_at(p, set->tls_place,
					 "this has no effect: server '%s' is not checked over TLS; add 'check-ssl'",
					 draft->name);
		return;
	}
	if (b->check == MODEL_CHECK_PLUGIN) {
		parser_error_at(p, draft->place, "server '%s' has 'check-ssl', but its check is a plugin's: 'option "
				"mysql-check' has a word 'tls' of its own", draft->name);
		return;
	}
	if (b->check == MODEL_CHECK_DNS || b->check_datagram || b->check == MODEL_CHECK_EXTERNAL) {
		parser_error_at(p, draft->place, "server '%s' has 'check-ssl', but its check makes no TCP connection",
				draft->name);
		return;
	}
	/* HAProxy verifies unless it is told not to, and then needs to know by whom a certificate may be issued. */
	if (!set->verify_none && !set->ca_file)
		parser_error_at(p, draft->place,
				"server '%s' is checked over TLS, and its certificate is verified unless 'verify none' "
				"is written: add 'ca-file FILE' (or '@system-ca')", draft->name);
	if ((b->check == MODEL_CHECK_HTTP || b->check_http) && set->check_alpn && strcmp(set->check_alpn, "http/1.1") &&
	    strcmp(set->check_alpn, "http/1.0"))
		parser_error_at(p, set->tls_place, "the check of server '%s' speaks HTTP/1: 'check-alpn http/1.1'",
				draft->name);
	s->tls = (struct model_tls){
		.verify_none = set->verify_none,
		.ca_file = copy(p, set->ca_file),
		.crt = copy(p, set->crt),
		.sni = copy(p, set->check_sni),
		.alpn = copy(p, set->check_alpn),
		.verify_host = copy(p, set->verify_host),
	};
}

static void build_agent(struct parser *p, const struct server_draft *draft, struct model_server *s)
{
	const struct server_settings *set = &draft->settings;

	if (!set->agent) {
		if (set->agent_place.line)
			parser_notice_at(p, set->agent_place,
					 "this has no effect: server '%s' has no agent; add 'agent-check'",
					 draft->name);
		return;
	}
	if (!set->agent_port) {
		parser_error_at(p, draft->place, "server '%s' has 'agent-check', which needs 'agent-port PORT'",
				draft->name);
		return;
	}
	s->agent = true;
	s->agent_at.addr = set->agent_addr.family ? set->agent_addr : draft->at.addr;
	s->agent_at.port = set->agent_port;
	s->agent_inter_ms = set->agent_inter_ms;
	s->agent_send = copy(p, set->agent_send);
}

void build_server_check(struct parser *p, const struct server_draft *draft, const struct model_backend *b,
			struct model_server *s)
{
	const struct server_settings *set = &draft->settings;

	s->slowstart_ms = set->slowstart_ms;
	s->flap_count = set->flap_count;
	s->flap_ms = set->flap_ms;
	build_agent(p, draft, s);
	if (set->track.name && set->check) {
		parser_error_at(p, set->track.place,
				"server '%s' has 'check' and 'track': it has one state or another's", draft->name);
		return;
	}
	if (set->track.name && strchr(set->track.name, '/'))
		s->track = parser_model_string(p, set->track.name);
	else if (set->track.name && asprintf(&s->track, "%s/%s", b->name, set->track.name) < 0)
		p->failed = -ENOMEM;
	if (set->check)
		build_tls(p, draft, b, s);
}

/* The server at the end of the chain that begins with s; NULL: one of it is not there, or the chain has no end. */
static const struct model_server *end_of_chain(const struct model *m, const struct model_server *s)
{
	for (size_t i = 0; s && s->track; i++) {
		if (i == MODEL_TRACK_DEPTH_MAX)
			return NULL;
		s = model_find_server(m, s->track, NULL);
	}
	return s;
}

static void validate_track(struct parser *p, const struct server_draft *draft, const struct model_server *s)
{
	const struct place place = draft->settings.track.place;
	const struct model_server *end;

	if (!model_find_server(p->model, s->track, NULL)) {
		parser_error_at(p, place,
				"there is no server '%s' to track: write BACKEND/SERVER, or SERVER of the same backend",
				draft->settings.track.name);
		return;
	}
	end = end_of_chain(p->model, s);
	if (!end)
		parser_error_at(p, place, "server '%s' tracks itself in the end, or one that is not there, or through "
				"more than %d others (MODEL_TRACK_DEPTH_MAX)", draft->name, MODEL_TRACK_DEPTH_MAX);
	else if (!end->check && !end->agent)
		parser_error_at(p, place, "the server that '%s' tracks in the end, '%s', is not checked", draft->name,
				end->name);
}

void build_tracks(struct parser *p)
{
	const struct model *m = p->model;

	for (size_t b = 0; b < m->backends.count; b++)
		for (size_t i = 0; i < m->backends.items[b].servers.count; i++)
			if (m->backends.items[b].servers.items[i].track)
				validate_track(p, &p->backends.items[b]->servers.items[i],
					       &m->backends.items[b].servers.items[i]);
}
