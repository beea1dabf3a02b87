/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's verbs about being announced and being ready; docs/control.md is their contract. They only show.
 */
#include <string.h>

#include "agent/agent.h"
#include "agent/announce.h"
#include "agent/peers.h"

static void add_view(const struct announce_view *v, void *ctx)
{
	char text[ADDR_TEXT_MAX];

	json_array_append_new(ctx, json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:I}", "address",
					     addr_format(&v->addr, text), "interface", v->interface, "state", v->state,
					     "why", v->why, "up", v->up, "need", (json_int_t)v->need, "fit",
					     (json_int_t)v->fit, "since_ms", (json_int_t)v->since_ms, "changes",
					     (json_int_t)v->changes));
}

void verb_show_announce(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	json_t *all = json_array();

	announce_each(a->announce, add_view, all);
	control_reply(r, json_pack("{s:b, s:s, s:o}", "withdrawn", announce_is_withdrawn(a->announce), "on_agent_death",
				   model_death_name(a->model->global.on_agent_death), "addresses", all));
}

static bool takes_connections(const struct agent *a, const struct model_service *s)
{
	for (size_t i = 0; i < a->model->backends.items[s->backend].servers.count; i++) {
		struct health_view v;

		health_view(a->health, s->backend, i, &v);
		if (v.accepts_new)
			return true;
	}
	return false;
}

/* Should traffic be sent here? For VRRP's check script, load balancers in front, and people. */
void verb_ready(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const struct dataplane_attachment *all;
	size_t services = 0, up = 0;

	for (size_t i = 0; i < a->model->services.count; i++) {
		const struct model_service *s = &a->model->services.items[i];

		if (argc && strcmp(s->frontend, argv[0]))
			continue;
		services++;
		up += takes_connections(a, s);
	}
	if (argc && !services)
		control_fail(r, CONTROL_FAILED, "there is no frontend %s", argv[0]);
	/* One that has taken over steers as the one before it did. */
	else if (!a->running && !dataplane_maps(a->dataplane)->taken_over)
		control_fail(r, CONTROL_FAILED, "not ready: the first round of checks is not over");
	else if (a->stop_timer)
		control_fail(r, CONTROL_FAILED, "not ready: the agent stops");
	else if (announce_is_withdrawn(a->announce))
		control_fail(r, CONTROL_FAILED, "not ready: withdrawn by the operator; `alwayson announce` ends that");
	else if (a->running && !dataplane_attachments(a->dataplane, &all))
		control_fail(r, CONTROL_FAILED, "not ready: no interface is steered on");
	else if (peers_are_awaited(a->peers))
		control_fail(r, CONTROL_FAILED, "not ready: the peers' records are awaited");
	else if (!up)
		control_fail(r, CONTROL_FAILED, "not ready: no server%s%s takes new connections",
			     argc ? " of " : "", argc ? argv[0] : "");
	else
		control_reply(r, json_pack("{s:b, s:I, s:I}", "ready", true, "services", (json_int_t)services, "up",
					   (json_int_t)up));
}
