/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's verb about peers; docs/control.md is its contract. */
#include "agent/agent.h"
#include "agent/peers.h"

static json_t *counters(const char *const *names, const uint64_t *values, size_t count)
{
	json_t *j = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_set_new(j, names[i], json_integer((json_int_t)values[i]));
	return j;
}

static void add_view(const struct peers_view *v, void *ctx)
{
	char text[ENDPOINT_TEXT_MAX];

	json_array_append_new(ctx, json_pack(
		"{s:s, s:s, s:b, s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "name", v->name, "address",
		endpoint_format(&v->at, text), "up", v->up, "copied", v->copied, "heard_ms",
		v->heard_ms == UINT64_MAX ? json_null() : json_integer((json_int_t)v->heard_ms),
		"sent", (json_int_t)v->sent, "sent_bytes", (json_int_t)v->sent_bytes,
		"sent_records", (json_int_t)v->sent_records, "send_failures", (json_int_t)v->send_failures,
		"received", (json_int_t)v->received, "received_bytes", (json_int_t)v->received_bytes,
		"missing", (json_int_t)v->missing, "copies", (json_int_t)v->copies,
		"records", counters(peers_results, v->results, PEERS_RESULT_MAX),
		"dropped", counters(peers_drops, v->drops, PEERS_DROP_MAX)));
}

void verb_show_peers(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const struct model_peers *m = &a->model->global.peers;
	json_t *all = json_array();

	peers_each(a->peers, add_view, all);
	control_reply(r, json_pack("{s:s?, s:s?, s:I, s:o}", "section", m->name, "local",
				   m->name ? m->all.items[m->local].name : NULL, "strangers",
				   (json_int_t)peers_strangers(a->peers), "peers", all));
}
