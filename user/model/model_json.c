/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model as JSON: the effective configuration, with every default filled in, as `alwayson show config` gives it.
 * Called by the agent. Names of fields are those of the configuration's words, units in them.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/model_internal.h"

/* A path may hold any bytes; JSON may not: what is not UTF-8 is shown with question marks. */
json_t *model_path_json(const char *path)
{
	json_t *text;
	char *copy, *c;

	if (!path)
		return json_null();
	text = json_string(path);
	if (text)
		return text;
	copy = strdup(path);
	if (!copy)
		return NULL;
	for (c = copy; *c; c++) {
		if (*c & 0x80)
			*c = '?';
	}
	text = json_string(copy);
	free(copy);
	return text;
}

/* An object with the place a thing was written at, or NULL (jansson's packers then fail as a whole). */
static json_t *place_json(const struct model_place *p)
{
	if (!p->line)
		return json_null();
	return json_pack("{s:o, s:i}", "file", model_path_json(p->file), "line", (int)p->line);
}

static json_t *endpoint_json(const struct endpoint *e)
{
	char text[ENDPOINT_TEXT_MAX];

	if (!e->addr.family)
		return json_null();
	if (e->port)
		return json_string(endpoint_format(e, text));
	return json_string(addr_format(&e->addr, text));
}

/* Appends; takes the value in either case. 0 or -1. */
static int append(json_t *array, json_t *value)
{
	return json_array_append_new(array, value);
}

static json_t *quic_id_json(const struct model_server *s, unsigned length)
{
	char text[2 * MODEL_QUIC_ID_MAX + 1];

	for (unsigned i = 0; i < length; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", s->quic_id[i]);
	return length ? json_string(text) : json_null();
}

static json_t *server_json(const struct model_backend *b, const struct model_server *s)
{
	json_t *j = json_pack("{s:s, s:o, s:i, s:b, s:b, s:b, s:s, s:b, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:o}",
			 "name", s->name,
			 "address", endpoint_json(&s->at),
			 "weight", (int)s->weight,
			 "backup", s->backup,
			 "disabled", s->disabled,
			 "check", s->check,
			 "init_state", model_init_state_name(s->init_state),
			 "shutdown_sessions", s->shutdown_sessions,
			 "check_address", endpoint_json(&s->check_at),
			 "quic_id", quic_id_json(s, b->quic_length),
			 "inter_ms", (int)s->inter_ms,
			 "fastinter_ms", (int)(s->fastinter_ms ? s->fastinter_ms : s->inter_ms),
			 "downinter_ms", (int)(s->downinter_ms ? s->downinter_ms : s->inter_ms),
			 "rise", (int)s->rise,
			 "fall", (int)s->fall,
			 "place", place_json(&s->place));

	if (j && model_server_check_json(s, j)) {
		json_decref(j);
		j = NULL;
	}
	return j;
}

static json_t *quic_json(const struct model_backend *b)
{
	if (!b->quic_length)
		return json_null();
	return json_pack("{s:i, s:i}", "server_id_length", (int)b->quic_length, "config_id", (int)b->quic_config);
}

static json_t *source_json(const struct model_source *s)
{
	char text[ADDR_TEXT_MAX];

	return json_pack("{s:s, s:i, s:i, s:o}", "address", s->addr.family ? addr_format(&s->addr, text) : "*",
			 "port_low", s->port_low, "port_high", s->port_high, "place", place_json(&s->place));
}

static json_t *tunnel_source_json(const struct model_tunnel_source *s)
{
	char text[ADDR_TEXT_MAX];

	return json_pack("{s:s, s:i, s:o}", "address", addr_format(&s->addr, text), "length",
			 (int)(addr_bits(&s->addr) - s->bits), "place", place_json(&s->place));
}

static json_t *backend_json(const struct model_backend *b)
{
	json_t *servers = json_array(), *sources = json_array(), *tunnel_sources = json_array();
	size_t i;
	int r = 0;

	for (i = 0; i < b->servers.count; i++)
		r |= append(servers, server_json(b, &b->servers.items[i]));
	for (i = 0; i < b->sources.count; i++)
		r |= append(sources, source_json(&b->sources.items[i]));
	for (i = 0; i < b->tunnel_sources.count; i++)
		r |= append(tunnel_sources, tunnel_source_json(&b->tunnel_sources.items[i]));
	if (r) {
		json_decref(servers);
		json_decref(sources);
		json_decref(tunnel_sources);
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:i, s:o, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o}",
			 "name", b->name,
			 "mode", b->mode == MODEL_MODE_HTTP ? "http" : "tcp",
			 "balance", model_balance_name(b->balance),
			 "forward", model_forward_name(b->forward),
			 "on_all_down", model_all_down_name(b->on_all_down),
			 "allbackups", b->all_backups,
			 "flow_peers", b->flow_peers,
			 "panic_threshold", (int)b->panic_percent,
			 "quic_lb", quic_json(b),
			 "udp_persist_ms", (int)b->udp_persist_ms,
			 "timeout_connect_ms", (int)b->connect_timeout_ms,
			 "timeout_server_ms", (int)b->server_timeout_ms,
			 "timeout_tunnel_ms", (int)b->tunnel_timeout_ms,
			 "timeout_check_ms", (int)b->check_timeout_ms,
			 "idle_ms", (int)b->idle_timeout_ms,
			 "check", model_check_json(b),
			 "servers", servers,
			 "source_pool", sources,
			 "tunnel_source", tunnel_sources,
			 "place", place_json(&b->place));
}

static json_t *rules_json(const struct model *m, const struct model_service *s)
{
	json_t *j = json_array();

	for (size_t i = 0; s->policy && i < m->policies.items[s->policy - 1].rules.count; i++) {
		const struct model_rule *rule = &m->policies.items[s->policy - 1].rules.items[i];

		json_array_append_new(j, json_pack("{s:s, s:o, s:o}", "action", "reject", "condition",
						   model_path_json(rule->text), "place", place_json(&rule->place)));
	}
	return j;
}

static json_t *rate_json(const struct model_rate *r)
{
	if (!r->used)
		return json_null();
	return json_pack("{s:s, s:i, s:i, s:i, s:i, s:o}", "type", r->v6 ? "ipv6" : "ip", "max", (int)r->max, "period_ms",
			 (int)r->period_ms, "length4", r->length4, "length6", r->length6, "place",
			 place_json(&r->place));
}

/* A list by its name, size and content; who wants the addresses asks `show acl`. */
static json_t *acl_json(const struct model_acl *a)
{
	uint64_t digest = 0x9e3779b97f4a7c15ULL;

	for (size_t i = 0; i < a->prefixes.count; i++) {
		const uint8_t *bytes = (const uint8_t *)&a->prefixes.items[i];

		for (size_t b = 0; b < sizeof(a->prefixes.items[i]); b++)
			digest = (digest ^ bytes[b]) * 0x100000001b3ULL; /* FNV-1a */
	}
	return json_pack("{s:o, s:b, s:I, s:o}", "name", model_path_json(a->name), "file", a->file, "prefixes",
			 (json_int_t)a->prefixes.count, "digest", json_sprintf("%016llx", (unsigned long long)digest));
}

static json_t *announce_json(const struct model_announce *a)
{
	if (!a->interface[0])
		return json_null();
	return json_pack("{s:s, s:i, s:i}", "interface", a->interface, "need", (int)a->need, "wait_ms", (int)a->wait_ms);
}

static json_t *service_json(const struct model *m, const struct model_service *s)
{
	char text[ADDR_TEXT_MAX];

	return json_pack("{s:s, s:s, s:s, s:b, s:s, s:i, s:i, s:s, s:i, s:i, s:o, s:o, s:o, s:o}",
			 "name", s->name,
			 "frontend", s->frontend,
			 "address", addr_format(&s->addr, text),
			 "any_address", s->any_addr,
			 "protocol", model_protocol_name(s->protocol),
			 "port_low", s->port_low,
			 "port_high", s->port_high,
			 "backend", m->backends.items[s->backend].name,
			 "timeout_client_ms", (int)s->client_timeout_ms,
			 "idle_ms", (int)model_idle_timeout_ms(m, s),
			 "rules", rules_json(m, s),
			 "rate", rate_json(&s->rate),
			 "announce", announce_json(&s->announce),
			 "place", place_json(&s->place));
}

static json_t *log_json(const struct model_log *l)
{
	char text[ENDPOINT_TEXT_MAX];
	const char *to = l->kind == MODEL_LOG_SOCKET ? "" : l->kind == MODEL_LOG_STDOUT ? "stdout" :
			 l->kind == MODEL_LOG_STDERR ? "stderr" : endpoint_format(&l->at, text);

	return json_pack("{s:o, s:i, s:i, s:i, s:i, s:o}", "to", l->path ? model_path_json(l->path) : json_string(to),
			 "length", (int)l->length_max, "facility", (int)l->facility, "level", (int)l->level, "minimum",
			 (int)l->level_min, "place", place_json(&l->place));
}

static json_t *interface_json(const struct model_interface *i)
{
	return json_pack("{s:s, s:s, s:o, s:o}", "name", i->name, "xdp", model_xdp_mode_name(i->mode), "xdp_priority",
			 i->mode == MODEL_XDP_SHARED ? json_integer(i->priority) : json_null(), "place", place_json(&i->place));
}

static json_t *stats_json(const struct model_stats_socket *s)
{
	return json_pack("{s:o, s:o, s:I, s:I, s:s}", "path", model_path_json(s->path),
			 "mode", json_sprintf("%04o", (unsigned)s->mode),
			 "uid", s->uid == (uid_t)-1 ? (json_int_t)-1 : (json_int_t)s->uid, /* -1 = unchanged */
			 "gid", s->gid == (gid_t)-1 ? (json_int_t)-1 : (json_int_t)s->gid,
			 "level", s->level == MODEL_LEVEL_ADMIN ? "admin" : "user");
}

static json_t *peers_json(const struct model_peers *p)
{
	json_t *all = json_array();

	for (size_t i = 0; p->name && i < p->all.count; i++) {
		const struct model_peer *peer = &p->all.items[i];
		json_t *sources = json_array();

		for (size_t s = 0; s < peer->sources.count; s++)
			append(sources, source_json(&peer->sources.items[s]));
		append(all, json_pack("{s:s, s:o, s:b, s:o, s:o}", "name", peer->name, "address",
				      endpoint_json(&peer->at), "local", i == p->local, "source_pool", sources, "place",
				      place_json(&peer->place)));
	}
	if (p->name)
		return json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", p->name, "peers", all, "bind",
				 endpoint_json(&p->bind), "bind_place", place_json(&p->bind_place), "place",
				 place_json(&p->place));
	json_decref(all);
	return json_null();
}

static json_t *global_json(const struct model_global *g)
{
	json_t *interfaces = json_array(), *logs = json_array();
	size_t i;
	int r = 0;

	for (i = 0; i < g->interfaces.count; i++)
		r |= append(interfaces, interface_json(&g->interfaces.items[i]));
	for (i = 0; i < g->logs.count; i++)
		r |= append(logs, log_json(&g->logs.items[i]));
	if (r) {
		json_decref(interfaces);
		json_decref(logs);
		return NULL;
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:s, s:I, s:{s:I, s:I}, s:o, s:o, s:o, s:s?, s:o}", "interfaces", interfaces, "logs", logs, "stats_socket",
			 stats_json(&g->stats), "hash_secret", model_path_json(g->hash_secret_file), "external_check",
			 g->external_check, "on_agent_death",
			 model_death_name(g->on_agent_death), "watchdog_ms", (json_int_t)g->watchdog_ms, "flow_table",
			 "ipv4", (json_int_t)g->flows4, "ipv6", (json_int_t)g->flows6, "state_dir",
			 model_path_json(g->state_dir), "metrics", g->metrics.port ? endpoint_json(&g->metrics) : json_null(),
			 "announce", announce_json(&g->announce), "localpeer", g->localpeer, "peers", peers_json(&g->peers));
}

/* Adds "origins" to what describes one thing. 0 or -1. */
static int explain(json_t *thing, const struct model_origins *origins)
{
	json_t *j = json_object();
	char words[128];
	int r = 0;

	for (size_t i = 0; i < origins->count && !r; i++) {
		const struct model_origin *o = &origins->items[i];

		snprintf(words, sizeof(words), "%s%s", o->before, o->word);
		r = json_object_set_new(j, words, place_json(&o->place));
	}
	return json_object_set_new(thing, "origins", j) | r;
}

static int explain_backend(json_t *backend, const struct model_backend *b)
{
	const json_t *servers = json_object_get(backend, "servers");
	int r = explain(backend, &b->origins);

	for (size_t i = 0; i < b->servers.count && !r; i++)
		r = explain(json_array_get(servers, i), &b->servers.items[i].origins);
	return r;
}

json_t *model_backend_to_json(const struct model *m, size_t backend, bool explained)
{
	const struct model_backend *b = &m->backends.items[backend];
	json_t *j = backend_json(b);

	if (j && explained && explain_backend(j, b)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static int explain_head(json_t *head, const struct model *m)
{
	const json_t *services = json_object_get(head, "services");
	int r = explain(json_object_get(head, "global"), &m->global.origins);

	for (size_t i = 0; i < m->services.count && !r; i++)
		r = explain(json_array_get(services, i), &m->services.items[i].origins);
	return r;
}

json_t *model_head_to_json(const struct model *m, bool explained)
{
	json_t *services = json_array(), *files = json_array(), *acls = json_array(), *head;
	int r = 0;

	for (size_t i = 0; i < m->services.count; i++)
		r |= append(services, service_json(m, &m->services.items[i]));
	for (size_t i = 0; i < m->acls.count; i++)
		r |= append(acls, acl_json(&m->acls.items[i]));
	for (size_t i = 0; i < m->files.count; i++)
		r |= append(files, model_path_json(m->files.items[i]));
	head = json_pack("{s:o, s:o, s:o, s:o}", "acls", acls, "files", files, "global", global_json(&m->global),
			 "services", services);
	if (head && (r || (explained && explain_head(head, m)))) {
		json_decref(head);
		return NULL;
	}
	return head;
}

static json_t *whole(const struct model *m, bool explained)
{
	json_t *j = model_head_to_json(m, explained), *backends = json_array();
	int r = 0;

	for (size_t i = 0; i < m->backends.count; i++)
		r |= append(backends, model_backend_to_json(m, i, explained));
	if (json_object_set_new(j, "backends", backends) || r) {
		json_decref(j);
		return NULL;
	}
	return j;
}

json_t *model_to_json(const struct model *m)
{
	return whole(m, false);
}

json_t *model_to_json_explained(const struct model *m)
{
	return whole(m, true);
}
