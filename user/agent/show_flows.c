/* SPDX-License-Identifier: BSD-2-Clause */
/* `show flows`: what the flow table holds, a slice in a turn of the loop. docs/control.md is its contract. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "dataplane/flows.h"

enum { FLOWS_DEFAULT = 1000, FLOWS_MAX = 1000000, FLOWS_SLICE = 4096 /* buckets looked at in one turn */ };

struct flow_walk {
	struct agent *agent;
	unsigned long left;
	bool v6;
	uint32_t bucket;
	unsigned way;
	uint16_t tick;
};

static const char *flow_state(const struct flow_view *f, const struct flow_view *reply)
{
	const uint8_t state = FLOW_STATE(f->value), back = reply ? FLOW_STATE(reply->value) : 0;

	if ((f->kind & ~FLOW_REPLY) == IPPROTO_UDP)
		return state & FLOW_PROVEN ? "answered" : "one_way";
	if (flows_is_transparent(f)) {
		if (state & FLOW_RST || (state & FLOW_FIN && state & FLOW_BACK_FIN))
			return "closed";
		if (state & (FLOW_FIN | FLOW_BACK_FIN))
			return "closing";
	} else if ((state | back) & FLOW_RST || (reply ? state & back : state) & FLOW_FIN) {
		return "closed";
	} else if ((state | back) & FLOW_FIN) {
		return "closing";
	}
	return state & FLOW_PROVEN ? "established" : "half_open";
}

static json_t *server_name(const struct agent *a, uint32_t id, const struct model_server **ret)
{
	size_t b, s;

	*ret = NULL;
	if (!reconcile_server_of(a->reconcile, id, &b, &s))
		return json_null();
	*ret = &a->model->backends.items[b].servers.items[s];
	return json_sprintf("%s/%s", a->model->backends.items[b].name, (*ret)->name);
}

static json_t *flow_json(const struct flow_walk *w, const struct flow_view *f)
{
	struct agent *a = w->agent;
	struct flow_view reply;
	const bool nat = f->from != 0, paired = nat && flows_find_other(dataplane_maps(a->dataplane), f, &reply);
	const size_t service = reconcile_service_of(a->reconcile, f->local, f->v6, f->local_port, f->kind);
	const struct endpoint client = { f->remote, f->remote_port }, to = { f->to, f->to_port };
	const struct endpoint own = { reconcile_address(a->reconcile, f->from, f->v6), f->from_port };
	char client_text[ENDPOINT_TEXT_MAX], to_text[ENDPOINT_TEXT_MAX], own_text[ENDPOINT_TEXT_MAX];
	uint16_t idle = w->tick - FLOW_TICK(f->value);
	const struct model_server *server;
	json_t *name = server_name(a, FLOW_SERVER(f->value), &server);

	if (paired && (uint16_t)(w->tick - FLOW_TICK(reply.value)) < idle)
		idle = w->tick - FLOW_TICK(reply.value);
	endpoint_format(f->to_port ? &to : server ? &server->at : &to, to_text);
	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:s, s:o, s:s, s:I}", "family", f->v6 ? "v6" : "v4", "protocol",
			 f->kind == IPPROTO_UDP ? "udp" : "tcp", "service",
			 service == SIZE_MAX ? json_null() : json_string(a->model->services.items[service].name),
			 "client", endpoint_format(&client, client_text), "server", name, "server_address", to_text,
			 "own", nat ? json_string(endpoint_format(&own, own_text)) : json_null(), "state",
			 flow_state(f, paired ? &reply : NULL), "idle_s",
			 (json_int_t)(dataplane_ms_from_ticks(a->dataplane, idle > INT16_MAX ? 0 : idle) / 1000));
}

static int next_flow(void *ctx, json_t **ret)
{
	struct flow_walk *w = ctx;
	const struct dataplane_maps *m = dataplane_maps(w->agent->dataplane);
	unsigned budget = FLOWS_SLICE;

	if (!w->left)
		return 0;
	for (; budget; w->way++) {
		struct flow_view f;

		if (w->way == FLOW_WAYS) {
			w->way = 0;
			w->bucket++;
			budget--;
		}
		if (w->bucket >= flows_buckets(m, w->v6)) {
			if (w->v6)
				return 0;
			w->v6 = true;
			w->bucket = 0;
		}
		if (!flows_read(m, w->v6, w->bucket, w->way, &f) || f.kind & FLOW_REPLY)
			continue;
		*ret = flow_json(w, &f);
		w->way++;
		w->left--;
		return *ret ? 1 : -ENOMEM;
	}
	return -EAGAIN;
}

void verb_show_flows(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const struct sweep_counts *c = sweep_counts(a->sweep);
	const unsigned long limit = argc ? strtoul(argv[0], NULL, 10) : FLOWS_DEFAULT;
	struct flow_walk *w;

	if (!limit || limit > FLOWS_MAX || (argc && strspn(argv[0], "0123456789") != strlen(argv[0]))) {
		control_fail(r, CONTROL_USAGE, "%s: a limit is a number from 1 to %d", argc ? argv[0] : "", FLOWS_MAX);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	w->agent = a;
	w->left = limit;
	w->tick = dataplane_tick(a->dataplane);
	control_stream(r, json_pack("{s:I, s:I}", "total", (json_int_t)(c->connections4 + c->connections6), "limit",
				    (json_int_t)limit),
		       &(struct control_items){ "flows", next_flow, free, w });
}
