/* SPDX-License-Identifier: BSD-2-Clause */
#include "web/status.h"

#include <errno.h>
#include <string.h>

#include "dataplane/counters.h"

/* A member's name must be a literal; what stands before it is a value or an opening brace. */
#define MEMBER(t, name) text_lit(t, ",\"" name "\":")
#define MEMBER_U64(t, name, value) (MEMBER(t, name), text_u64(t, value))
#define MEMBER_BOOL(t, name, value) (MEMBER(t, name), text_puts(t, (value) ? "true" : "false"))
#define MEMBER_TEXT(t, name, value) (MEMBER(t, name), text_json(t, value))

static void put_traffic(struct text *t, const struct traffic *traffic)
{
	MEMBER_U64(t, "connections_total", traffic->connections);
	MEMBER_U64(t, "packets_in", traffic->packets_in);
	MEMBER_U64(t, "bytes_in", traffic->bytes_in);
	MEMBER_U64(t, "packets_out", traffic->packets_out);
	MEMBER_U64(t, "bytes_out", traffic->bytes_out);
}

static void put_table(struct text *t, const struct snapshot_table *table)
{
	text_lit(t, "{\"used\":");
	text_u64(t, table->used);
	MEMBER_U64(t, "capacity", table->capacity);
	MEMBER_U64(t, "connections", table->connections);
	text_lit(t, "}");
}

static void put_interfaces(struct text *t, const struct snapshot_agent *a)
{
	MEMBER(t, "interfaces");
	text_lit(t, "[");
	for (size_t i = 0; i < a->interface_count; i++) {
		if (i)
			text_lit(t, ",");
		text_lit(t, "{\"name\":");
		text_json(t, a->interfaces[i].name);
		MEMBER_TEXT(t, "mode", a->interfaces[i].mode);
		text_lit(t, "}");
	}
	text_lit(t, "]");
}

static void put_reload(struct text *t, const struct snapshot_agent *a)
{
	MEMBER(t, "last_reload");
	if (!a->reload_at_ms) {
		text_lit(t, "null");
		return;
	}
	text_lit(t, "{\"at_ms\":");
	text_u64(t, a->reload_at_ms);
	MEMBER_BOOL(t, "ok", a->reload_ok);
	MEMBER(t, "error");
	if (a->reload_ok)
		text_lit(t, "null");
	else
		text_json(t, a->reload_error);
	text_lit(t, "}");
}

static void put_totals(struct text *t, const struct snapshot *s)
{
	struct traffic sum = {};
	uint64_t dropped = 0;

	for (size_t i = 0; i < s->names->service_count; i++) {
		const struct traffic *one = &s->services[i].traffic;

		sum.packets_in += one->packets_in;
		sum.bytes_in += one->bytes_in;
		sum.packets_out += one->packets_out;
		sum.bytes_out += one->bytes_out;
		sum.connections += one->connections;
		sum.refused += one->refused;
	}
	for (enum verdict v = VERDICT_CONTINUE + 1; v < VERDICT_MAX; v++)
		if (strcmp(verdict_action(v), "drop") == 0)
			dropped += s->agent.verdicts[v].packets;
	MEMBER(t, "totals");
	text_lit(t, "{\"connections\":");
	text_u64(t, s->agent.flows4.connections + s->agent.flows6.connections);
	put_traffic(t, &sum);
	MEMBER_U64(t, "refused_total", sum.refused);
	MEMBER_U64(t, "dropped_packets", dropped);
	text_lit(t, "}");
}

static void put_agent(struct text *t, const struct snapshot *s)
{
	const struct snapshot_agent *a = &s->agent;

	MEMBER_TEXT(t, "version", a->version);
	MEMBER_TEXT(t, "name", a->name);
	MEMBER_BOOL(t, "ready", a->ready);
	MEMBER_U64(t, "started_at_ms", a->started_at_ms);
	put_interfaces(t, a);
	put_reload(t, a);
	MEMBER(t, "flows");
	text_lit(t, "{\"v4\":");
	put_table(t, &a->flows4);
	MEMBER(t, "v6");
	put_table(t, &a->flows6);
	text_lit(t, "}");
	put_totals(t, s);
}

static void put_service(struct text *t, const struct snapshot *s, size_t i)
{
	const struct snapshot_service *service = &s->services[i];
	const size_t b = s->names->service_backend[i];

	text_lit(t, "{");
	text_puts(t, s->names->services[i].json);
	MEMBER_TEXT(t, "state", s->backends[b].accepting ? "up" : "down");
	MEMBER_U64(t, "connections", service->connections);
	put_traffic(t, &service->traffic);
	MEMBER_U64(t, "refused_total", service->traffic.refused);
	text_lit(t, "}");
}

static void put_check(struct text *t, const struct snapshot_server *v)
{
	MEMBER(t, "last_result");
	if (v->result[0])
		text_json(t, v->result);
	else
		text_lit(t, "null");
	MEMBER(t, "last_duration_us");
	if (v->result[0])
		text_u64(t, v->duration_us);
	else
		text_lit(t, "null");
	MEMBER_U64(t, "checks", v->checks);
	MEMBER_U64(t, "failures", v->failures);
	MEMBER_U64(t, "transitions", v->transitions);
}

static void put_role(struct text *t, const struct snapshot_server *v)
{
	MEMBER(t, "role");
	if (!v->role) {
		text_lit(t, "null");
		return;
	}
	text_json(t, v->role);
	MEMBER_TEXT(t, "role_text", v->role_text);
	MEMBER_BOOL(t, "misplaced", v->misplaced);
	MEMBER(t, "lag_ms");
	if (v->lag_known)
		text_u64(t, v->lag_ms);
	else
		text_lit(t, "null");
}

static void put_server(struct text *t, const struct snapshot *s, size_t backend, size_t i)
{
	const struct snapshot_server *v = &s->servers[i];

	text_lit(t, "{");
	text_puts(t, s->names->servers[i].json);
	MEMBER_TEXT(t, "state", snapshot_checks[v->check]);
	MEMBER_U64(t, "since_ms", v->changed_at_ms);
	MEMBER_TEXT(t, "admin", snapshot_admins[v->admin]);
	MEMBER_BOOL(t, "admin_override", v->admin_is_override);
	MEMBER_U64(t, "weight", v->weight);
	MEMBER_U64(t, "weight_configured", v->weight_configured);
	MEMBER_BOOL(t, "up", v->up);
	MEMBER_BOOL(t, "accepting", v->accepts_new);
	MEMBER_BOOL(t, "backup", v->backup);
	MEMBER_BOOL(t, "next_hop_resolved", v->resolved);
	MEMBER_BOOL(t, "held", v->held);
	MEMBER_BOOL(t, "damped", v->damped);
	put_role(t, v);
	put_check(t, v);
	MEMBER_U64(t, "connections", v->connections);
	put_traffic(t, &v->traffic);
	MEMBER(t, "share");
	if (s->backends[backend].slots)
		text_ratio(t, v->slots, s->backends[backend].slots);
	else
		text_lit(t, "null");
	MEMBER_U64(t, "ports_used", v->ports_used);
	MEMBER_U64(t, "ports", v->ports);
	text_lit(t, "}");
}

/* One server, or the head of a backend before its first one, or the end behind its last. */
static void put_backend_piece(struct status *s, struct text *t)
{
	const struct names *n = s->snapshot->names;
	const struct snapshot_backend *b = &s->snapshot->backends[s->item];
	const size_t first = n->first[s->item], count = n->first[s->item + 1] - first;

	if (!s->server) {
		if (s->item)
			text_lit(t, ",");
		text_lit(t, "{");
		text_puts(t, n->backends[s->item].json);
		MEMBER_U64(t, "servers_total", count);
		MEMBER_U64(t, "servers_up", b->up);
		MEMBER_U64(t, "servers_accepting", b->accepting);
		MEMBER_BOOL(t, "conflict", b->conflict);
		MEMBER(t, "servers");
		text_lit(t, "[");
	}
	if (s->server < count) {
		if (s->server)
			text_lit(t, ",");
		put_server(t, s->snapshot, s->item, first + s->server++);
	}
	if (s->server == count) {
		text_lit(t, "]}");
		s->server = 0;
		s->item++;
	}
}

static void put_verdict(struct text *t, const struct snapshot *s, enum verdict v)
{
	text_lit(t, "{\"name\":");
	text_json(t, verdict_label(v));
	MEMBER_TEXT(t, "action", strcmp(verdict_action(v), "tx/redirect") == 0 ? "forward" : verdict_action(v));
	MEMBER_TEXT(t, "help", verdict_text(v));
	MEMBER_U64(t, "packets", s->agent.verdicts[v].packets);
	MEMBER_U64(t, "bytes", s->agent.verdicts[v].bytes);
	text_lit(t, "}");
}

static void put_event(struct status *s, struct text *t)
{
	const struct event_line *l = events_next(s->events, s->after);

	if (!l)
		return;
	if (s->item++)
		text_lit(t, ",");
	events_json(l, t);
	s->after = l->number;
}

static void put_item(struct status *s, struct text *t)
{
	switch (s->part) {
	case STATUS_SERVICES:
		if (s->item)
			text_lit(t, ",");
		put_service(t, s->snapshot, s->item++);
		break;
	case STATUS_BACKENDS:
		put_backend_piece(s, t);
		break;
	case STATUS_VERDICTS:
		if (s->item)
			text_lit(t, ",");
		put_verdict(t, s->snapshot, (enum verdict)(VERDICT_CONTINUE + 1 + s->item++));
		break;
	default:
		put_event(s, t);
		break;
	}
}

static bool has_item(const struct status *s)
{
	switch (s->part) {
	case STATUS_SERVICES:
		return s->item < s->snapshot->names->service_count;
	case STATUS_BACKENDS:
		return s->item < s->snapshot->names->backend_count;
	case STATUS_VERDICTS:
		return s->item < VERDICT_MAX - 1;
	case STATUS_EVENTS:
		return events_next(s->events, s->after);
	default:
		return false;
	}
}

static void open_part(const struct status *s, struct text *t)
{
	switch (s->part) {
	case STATUS_AGENT:
		put_agent(t, s->snapshot);
		break;
	case STATUS_SERVICES:
		MEMBER(t, "services");
		break;
	case STATUS_BACKENDS:
		MEMBER(t, "backends");
		break;
	case STATUS_VERDICTS:
		MEMBER(t, "verdicts");
		break;
	default:
		MEMBER_U64(t, "last_event", s->events->last);
		MEMBER(t, "events");
		break;
	}
	if (s->part != STATUS_AGENT)
		text_lit(t, "[");
}

static void close_part(struct status *s, struct text *t)
{
	if (s->part != STATUS_AGENT)
		text_lit(t, "]");
	s->item = s->server = 0;
	s->part <<= 1;
}

int status_next(struct status *s, struct text *t, size_t length)
{
	const size_t end = t->length + length;

	if (!s->part) {
		s->part = STATUS_AGENT;
		text_lit(t, "{\"now_ms\":");
		text_u64(t, s->snapshot->agent.now_ms);
		if (s->parts & s->part)
			open_part(s, t);
	}
	while (s->part <= STATUS_EVENTS) {
		const bool wanted = s->parts & s->part;

		while (wanted && has_item(s)) {
			put_item(s, t);
			if (t->length >= end)
				return t->failed ? -ENOMEM : 1;
		}
		if (wanted)
			close_part(s, t);
		else
			s->part <<= 1;
		if (s->part <= STATUS_EVENTS && s->parts & s->part)
			open_part(s, t);
	}
	text_lit(t, "}\n");
	return t->failed ? -ENOMEM : 0;
}
