/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a dry run tells (alwayson/explain.h), in sentences and in the order in which the program decides. Only looks.
 */
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/explain_packet.h"
#include "base/cleanup.h"
#include "base/frame_text.h"

enum { NAME_MAX_TEXT = 2 * MODEL_NAME_MAX + 80 };

struct telling {
	struct agent *agent;
	const struct dataplane_maps *maps;
	const struct dry_run_result *result;
	const struct explanation *e;
	const struct model_service *service; /* NULL: none was found */
	const struct service *entry;
	json_t *steps;
};

static const struct {
	const char *label, *action, *text;
} verdicts[VERDICT_MAX] = {
#define X(name, action, label, text) [VERDICT_##name] = { label, #action, text },
	VERDICTS(X)
#undef X
};

static void __attribute__((format(printf, 3, 4))) say(struct telling *t, const char *step, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		json_array_append_new(t->steps, json_pack("{s:s, s:o}", "step", step, "text", control_string(text)));
}

static bool has(const struct telling *t, uint64_t step)
{
	return t->e->steps & step;
}

/* "nodes/node1", or what can be said of one that is no longer there. */
static const char *server_text(const struct telling *t, uint32_t id, char buf[static NAME_MAX_TEXT])
{
	size_t b, s;

	if (!id)
		snprintf(buf, NAME_MAX_TEXT, "nobody");
	else if (!reconcile_server_of(t->agent->reconcile, id, &b, &s))
		snprintf(buf, NAME_MAX_TEXT, "a server that has been removed");
	else
		snprintf(buf, NAME_MAX_TEXT, "%s/%s", t->agent->model->backends.items[b].name,
			 t->agent->model->backends.items[b].servers.items[s].name);
	return buf;
}

static void find_service(struct telling *t)
{
	const struct model *m = t->agent->model;

	if (!has(t, EXPLAIN_SERVICE))
		return;
	t->entry = &t->maps->services[(t->maps->control->word & CONTROL_HALF) * MAX_SERVICES +
				      t->e->service % MAX_SERVICES];
	for (size_t i = 0; i < m->services.count && !t->service; i++)
		if (reconcile_service_id(t->agent->reconcile, i) == t->e->service)
			t->service = &m->services.items[i];
}

static const char *record_state(uint64_t tag, bool tcp)
{
	const uint8_t state = FLOW_STATE(tag);

	if (!tcp)
		return state & FLOW_PROVEN ? "answered" : "known";
	if (state & FLOW_RST)
		return "reset";
	if (state & (FLOW_FIN | FLOW_BACK_FIN))
		return "closing";
	if (state & FLOW_PROVEN)
		return "established";
	return state & FLOW_OPENED ? "half-open" : "seen once";
}

static uint64_t record_age_s(const struct telling *t)
{
	const uint16_t ticks = dataplane_tick(t->agent->dataplane) - FLOW_TICK(t->e->flow);

	return dataplane_ms_from_ticks(t->agent->dataplane, ticks > INT16_MAX ? 0 : ticks) / 1000;
}

static void tell_service(struct telling *t)
{
	const struct model_backend *b;

	if (!has(t, EXPLAIN_SERVICE))
		return;
	if (!t->service) {
		say(t, "service", "for a service that a reload is taking away");
		return;
	}
	b = &t->agent->model->backends.items[t->service->backend];
	say(t, "service", "for service %s: backend %s, balance %s, forward %s", t->service->name, b->name,
	    model_balance_name(b->balance), model_forward_name(b->forward));
}

static void tell_record(struct telling *t, bool tcp)
{
	char name[NAME_MAX_TEXT];

	if (has(t, EXPLAIN_REPLY))
		say(t, "reply", "it comes %s: %s answers a connection that is recorded", t->e->verdict ==
		    VERDICT_TRANSPARENT_REPLY ? "from the address and port of a server that sees the client's address" :
		    "to an own address and port", server_text(t, FLOW_SERVER(t->e->flow), name));
	if (has(t, EXPLAIN_FRAGMENT))
		say(t, "fragment", has(t, EXPLAIN_FRAGMENT_WAY) ?
		    "a later fragment, without ports: it goes where its datagram's first one went" :
		    "a later fragment, without ports; where its datagram's first one went is not known");
	if (has(t, EXPLAIN_ERROR))
		say(t, "icmp", "an ICMP error: what counts is the packet that it quotes");
	tell_service(t);
	if (!has(t, EXPLAIN_RECORD_ASKED))
		return;
	if (!has(t, EXPLAIN_RECORD_FOUND))
		say(t, "record", "the flow table does not know the connection");
	else
		say(t, "record", "the flow table knows it: to %s, %s, last seen %" PRIu64 " s ago",
		    server_text(t, FLOW_SERVER(t->e->flow), name), record_state(t->e->flow, tcp), record_age_s(t));
	if (has(t, EXPLAIN_RECORD_STALE))
		say(t, "record", "but that server has been removed: the record is not followed");
	else if (has(t, EXPLAIN_REOPENED))
		say(t, "record", "the connection begins anew on its record");
	else if (has(t, EXPLAIN_FORGOTTEN) && has(t, EXPLAIN_QUIC))
		say(t, "record", "of another connection, that had this address and port before: the record is dropped");
	else if (has(t, EXPLAIN_FORGOTTEN))
		say(t, "record", "a new connection: the record is dropped, and a server chosen anew");
}

static void tell_slot(struct telling *t)
{
	const uint64_t slot = t->e->slot, region = t->entry ? t->entry->slots : 0;
	const uint32_t number = t->e->slot_index - (uint32_t)(region >> 32), count = (uint32_t)region;
	char current[NAME_MAX_TEXT], previous[NAME_MAX_TEXT], old[NAME_MAX_TEXT];

	server_text(t, SLOT_CURRENT(slot), current);
	server_text(t, SLOT_PREVIOUS(slot), previous);
	if (has(t, EXPLAIN_QUIC)) {
		say(t, "quic", "its QUIC connection id names %s, whatever address and port it comes from",
		    server_text(t, t->e->server, current));
	} else if (has(t, EXPLAIN_TURN)) {
		say(t, "turn", "round robin: turn %u of %u is that of %s", number + 1, count, current);
	} else if (has(t, EXPLAIN_SLOT) && SLOT_STATE(slot) == SLOT_CLEAN) {
		say(t, "slot", "slot %u of %u is clean: it goes to %s%s", number, count, current,
		    has(t, EXPLAIN_RECORD_ASKED) ? "" : ", and nothing need be remembered");
	} else if (has(t, EXPLAIN_SLOT) && SLOT_STATE(slot) == SLOT_DIRTY) {
		say(t, "slot", "slot %u of %u has changed owner a while ago (dirty): new connections go to %s, others are "
		    "taken to be those of %s", number, count, current,
		    SLOT_PREVIOUS(slot) ? previous : "the table of before");
	} else if (has(t, EXPLAIN_SLOT)) {
		say(t, "slot", "slot %u of %u has changed owner (tracked): what is recorded stays where it is, all else goes to "
		    "%s", number, count, current);
	}
	if (has(t, EXPLAIN_OLD_TABLE))
		say(t, "old_table", t->e->old_server ? "the table of before a reload says %s" :
		    "there is no table of before a reload that could know it%.0s", server_text(t, t->e->old_server, old));
}

static void tell_server(struct telling *t)
{
	char name[NAME_MAX_TEXT], at[ENDPOINT_TEXT_MAX];
	const struct model_server *s;
	struct health_view v = {};
	struct net_hop hop = {};
	size_t b, i;

	if (!t->e->server)
		return;
	server_text(t, t->e->server, name);
	if (!reconcile_server_of(t->agent->reconcile, t->e->server, &b, &i)) {
		say(t, "server", "%s; its connections go on", name);
		return;
	}
	s = &t->agent->model->backends.items[b].servers.items[i];
	health_view(t->agent->health, b, i, &v);
	net_hop(t->agent->net, &s->at.addr, &hop);
	say(t, "server", "%s, %s: %s new connections, next hop %s", name, endpoint_format(&s->at, at),
	    v.accepts_new ? "takes" : "takes no", net_hop_text(&hop));
}

static void tell_insert(struct telling *t, bool v6)
{
	char text[ENDPOINT_TEXT_MAX];

	if (has(t, EXPLAIN_OWN_PORT)) {
		const struct endpoint own = { reconcile_address(t->agent->reconcile, t->e->own_address, v6),
					      ntohs(t->e->own_port) };

		say(t, "own_port", "towards the server it would get the own address and port %s", endpoint_format(&own, text));
	}
	if (has(t, EXPLAIN_UNRECORDED))
		say(t, "insert", "the flow table has no room: it would be steered without a record");
	else if (has(t, EXPLAIN_RECORDED) && t->result->length)
		say(t, "insert", "the connection would be recorded");
	if (has(t, EXPLAIN_ROUTED))
		say(t, "route", "its next hop is not remembered: the kernel's routes are asked");
}

static json_t *hex(const uint8_t *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const size_t count = length < EXPLAIN_BYTES_MAX ? length : EXPLAIN_BYTES_MAX;
	_cleanup_free_ char *text = malloc(2 * count + 1);

	if (!text)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	text[2 * count] = '\0';
	return json_string(text);
}

static json_t *frame_json(const char *interface, const uint8_t *bytes, size_t length, size_t known)
{
	char text[FRAME_TEXT_MAX], macs[FRAME_MACS_MAX];

	return json_pack("{s:s, s:I, s:s, s:s, s:o}", "interface", interface, "length", (json_int_t)length, "macs",
			 frame_macs(bytes, known, macs), "text", frame_text(bytes, known, text), "frame",
			 hex(bytes, known));
}

static bool is_tcp(const uint8_t *frame, size_t length)
{
	char text[FRAME_TEXT_MAX];

	return strstr(frame_text(frame, length, text), " tcp ") != NULL;
}

/* What leaves, and by which way; JSON null when nothing does. */
static json_t *tell_end(struct telling *t, const char *interface)
{
	const struct dry_run_result *r = t->result;
	const bool back = strcmp(verdicts[t->e->verdict].action, "TX") == 0;
	char way[IF_NAMESIZE] = "?", text[FRAME_TEXT_MAX], macs[FRAME_MACS_MAX];
	const struct net_interface *n = net_interface_by_index(t->agent->net, t->e->way_out);

	say(t, "verdict", "%s: %s", verdicts[t->e->verdict].label, verdicts[t->e->verdict].text);
	if (!r->length)
		return json_null();
	snprintf(way, sizeof(way), "%s", back ? interface : n ? n->name : "?");
	say(t, "leaves", "by %s, %s: %s", way, frame_macs(r->packet, r->length, macs),
	    frame_text(r->packet, r->length, text));
	return frame_json(way, r->packet, r->length, r->length);
}

static json_t *name_of(const struct telling *t)
{
	char name[NAME_MAX_TEXT];
	size_t b, s;

	if (!t->e->server || !reconcile_server_of(t->agent->reconcile, t->e->server, &b, &s))
		return json_null();
	return control_string(server_text(t, t->e->server, name));
}

static json_t *step_words(uint64_t steps)
{
	static const struct {
		uint64_t step;
		const char *word;
	} words[] = {
		{ EXPLAIN_REPLY, "reply" }, { EXPLAIN_FRAGMENT, "later_fragment" },
		{ EXPLAIN_FRAGMENT_WAY, "fragment_known" }, { EXPLAIN_ERROR, "icmp_error" },
		{ EXPLAIN_SERVICE, "service" }, { EXPLAIN_RECORD_ASKED, "record_asked" },
		{ EXPLAIN_RECORD_FOUND, "record_found" }, { EXPLAIN_RECORD_STALE, "record_stale" },
		{ EXPLAIN_FORGOTTEN, "record_dropped" }, { EXPLAIN_REOPENED, "record_reopened" },
		{ EXPLAIN_SLOT, "slot" }, { EXPLAIN_TURN, "turn" }, { EXPLAIN_OLD_TABLE, "old_table" },
		{ EXPLAIN_QUIC, "quic" }, { EXPLAIN_OWN_PORT, "own_port" }, { EXPLAIN_RECORDED, "recorded" },
		{ EXPLAIN_UNRECORDED, "unrecorded" }, { EXPLAIN_ROUTED, "routed" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < array_size(words); i++)
		if (steps & words[i].step)
			json_array_append_new(list, json_string(words[i].word));
	return list;
}

json_t *explain_steps_json(struct agent *a, const char *interface, const uint8_t *frame, size_t length,
			   const struct dry_run_result *result)
{
	static const char *const states[] = { [SLOT_CLEAN] = "clean", [SLOT_DIRTY] = "dirty", [SLOT_TRACKED] = "tracked" };
	struct telling t = {
		.agent = a, .maps = dataplane_maps(a->dataplane), .result = result, .e = &result->explanation,
		.steps = json_array(),
	};
	const size_t known = length < EXPLAIN_BYTES_MAX ? length : EXPLAIN_BYTES_MAX;
	const struct explanation *e = t.e;
	char text[FRAME_TEXT_MAX];
	json_t *out;

	if (e->verdict >= VERDICT_MAX || !verdicts[e->verdict].label) {
		json_decref(t.steps);
		return NULL;
	}
	find_service(&t);
	say(&t, "packet", "%s", frame_text(frame, known, text));
	tell_record(&t, is_tcp(frame, known));
	tell_slot(&t);
	tell_server(&t);
	tell_insert(&t, strchr(text, '[') != NULL);
	out = tell_end(&t, interface);
	return json_pack("{s:o, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "in",
			 frame_json(interface, frame, length, known), "verdict", verdicts[e->verdict].label, "action",
			 result->length ? "send" : result->passed ? "pass" : "drop", "meaning",
			 verdicts[e->verdict].text, "service", t.service ? control_string(t.service->name) : json_null(),
			 "server", name_of(&t), "slot",
			 has(&t, EXPLAIN_SLOT) && SLOT_STATE(e->slot) < array_size(states) ?
				 json_string(states[SLOT_STATE(e->slot)]) : json_null(),
			 "took", step_words(e->steps), "out", out, "steps", t.steps);
}
