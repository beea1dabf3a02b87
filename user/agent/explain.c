/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's verbs `explain ...`: why a thing is as it is, in sentences. docs/control.md is their contract.
 * Only looks. What it says must be what health/ and layout.c decide by.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "base/cleanup.h"

/* What is known of one server, while its reasons are put together. */
struct reasons {
	struct agent *agent;
	size_t backend, server;
	const struct model_backend *b;
	const struct model_server *s;
	struct health_view view;
	json_t *list;
	bool against;           /* one of them keeps new connections away */
};

static void __attribute__((format(printf, 4, 5)))
say(struct reasons *r, const char *about, bool good, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	r->against |= !good;
	if (text) /* a list that is short for want of memory is still true */
		json_array_append_new(r->list, json_pack("{s:s, s:b, s:o}", "about", about, "ok", good, "text",
							 control_string(text)));
}

static const char *times(unsigned n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

static void say_up(struct reasons *r)
{
	const struct health_view *v = &r->view;

	if (v->track)
		say(r, "check", true, "up: it shares the state of %s", v->track);
	else if (v->fall_count)
		say(r, "check", true, "up, but its last check failed: %s; %u in a row make it down, this is %u",
		    v->last_result, r->s->fall, v->fall_count);
	else
		say(r, "check", true, "up: its last check says %s", v->last_result[0] ? v->last_result : "nothing yet");
}

static void say_down(struct reasons *r)
{
	const struct health_view *v = &r->view;

	if (v->track)
		say(r, "check", v->held, "down: it shares the state of %s", v->track);
	else if (v->misplaced)
		say(r, "check", v->held, "it is well, but not what its backend wants: %s", v->role_text);
	else if (v->damped)
		say(r, "check", v->held, "kept down, as it went up and down too often: it must be well for %" PRIu32
		    " ms before it is up; its last check says %s", r->s->flap_ms, v->last_result);
	else
		say(r, "check", v->held, "down: its last check says %s; %u good %s in a row (so far %u) bring it back",
		    v->last_result[0] ? v->last_result : "nothing yet", r->s->rise,
		    times(r->s->rise, "check", "checks"), v->rise_count);
	if (v->held)
		say(r, "held", true, "kept in service all the same: too few others are up");
}

/* Where its check goes, where that is not its own address. */
static void explain_via(struct reasons *r)
{
	const struct endpoint at = { .addr = r->s->via.service, .port = r->s->check_at.port };
	char text[ENDPOINT_TEXT_MAX];

	if (r->s->via.service.family)
		say(r, "check_via", true, "its check goes to %s, the service's address, by way of this server, as clients' "
		    "packets do", endpoint_format(&at, text));
}

static void explain_check(struct reasons *r)
{
	switch (r->view.check) {
	case HEALTH_UNCHECKED:
		say(r, "check", true, "no check is configured: it counts as up");
		break;
	case HEALTH_INIT:
		say(r, "check", false, r->view.admin == HEALTH_MAINT ? "it is not checked in maint" :
		    "its first check has not ended: no traffic before");
		break;
	case HEALTH_UP:
		say_up(r);
		break;
	case HEALTH_DOWN:
		say_down(r);
		break;
	}
}

static void explain_agent(struct reasons *r)
{
	const struct health_view *v = &r->view;
	const char *said = v->agent_result[0] ? v->agent_result : "nothing yet";

	if (!v->agent)
		return;
	if (v->agent_down)
		say(r, "agent", v->held, "its own agent says that it is down: %s", said);
	else if (v->agent_admin != HEALTH_READY)
		say(r, "agent", false, "its own agent asks for no new connections: %s", said);
	else
		say(r, "agent", true, "its own agent says %s", said);
}

static void explain_admin(struct reasons *r)
{
	static const char *const names[] = {
		[HEALTH_READY] = "ready", [HEALTH_DRAIN] = "drain", [HEALTH_MAINT] = "maint",
	};
	const struct health_view *v = &r->view;

	if (v->admin == HEALTH_READY)
		say(r, "admin", true, v->admin_is_override ? "ready: set at run time, whatever the file says" :
							     "ready: nobody has taken it out of service");
	else if (v->admin_is_override)
		say(r, "admin", false, "%s: set at run time; `alwayson server ready %s/%s` ends it", names[v->admin],
		    v->backend, v->server);
	else if (v->agent && v->agent_admin != HEALTH_READY)
		say(r, "admin", false, "%s: by its own agent", names[v->admin]);
	else
		say(r, "admin", false, "%s: `disabled` in the file; `alwayson server ready %s/%s` overrides it",
		    names[v->admin], v->backend, v->server);
}

static void explain_weight(struct reasons *r)
{
	const struct health_view *v = &r->view;
	const char *from = v->weight_is_override ? "set at run time" : "the file's";

	if (!v->weight)
		say(r, "weight", false, "weight 0 (%s): no new connections", from);
	else if (v->share_percent < 100)
		say(r, "weight", true, "weight %u (%s), of which it has %u %% for now: slowstart, or its agent says so",
		    v->weight, from, v->share_percent);
	else
		say(r, "weight", true, "weight %u (%s)", v->weight, from);
}

/* How many servers that are no backups take connections; and the first backup that could. */
static unsigned count_first_choice(const struct reasons *r, size_t *ret_backup)
{
	unsigned count = 0;

	*ret_backup = SIZE_MAX;
	for (size_t s = 0; s < r->b->servers.count; s++) {
		struct health_view v;

		health_view(r->agent->health, r->backend, s, &v);
		if (!v.accepts_new)
			continue;
		if (!r->b->servers.items[s].backup)
			count++;
		else if (*ret_backup == SIZE_MAX)
			*ret_backup = s;
	}
	return count;
}

static void explain_backup(struct reasons *r)
{
	size_t first;
	unsigned others;

	if (!r->s->backup)
		return;
	others = count_first_choice(r, &first);
	if (others)
		say(r, "backup", false, "a backup: %u %s no backup %s connections", others,
		    times(others, "server that is", "servers that are"), times(others, "takes", "take"));
	else if (!r->b->all_backups && first != SIZE_MAX && first != r->server)
		say(r, "backup", false, "a backup: the first one that is well, %s, takes the connections (`option "
		    "allbackups` would share them)", r->b->servers.items[first].name);
	else
		say(r, "backup", true, "a backup, which is its turn: no other server takes connections");
}

static void explain_way(struct reasons *r)
{
	const struct net_interface *n;
	struct net_hop hop = {};

	net_hop(r->agent->net, &r->s->at.addr, &hop);
	n = hop.ifindex ? net_interface_by_index(r->agent->net, hop.ifindex) : NULL;
	if (hop.state != NET_HOP_RESOLVED)
		say(r, "way", false, "packets can't be sent to it: %s", net_hop_text(&hop));
	else
		say(r, "way", true, "reached by %s, %02x:%02x:%02x:%02x:%02x:%02x", n ? n->name : "an interface",
		    hop.mac[0], hop.mac[1], hop.mac[2], hop.mac[3], hop.mac[4], hop.mac[5]);
}

static void explain_services(struct reasons *r)
{
	char names[256] = "";
	size_t used = 0, count = 0;

	for (size_t i = 0; i < r->agent->model->services.count; i++) {
		const struct model_service *s = &r->agent->model->services.items[i];

		if (s->backend != r->backend)
			continue;
		if (used < sizeof(names))
			used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", count ? ", " : "",
						 s->name);
		count++;
	}
	if (!count)
		say(r, "service", false, "no frontend sends anything to backend %s", r->b->name);
	else
		say(r, "service", true, "%zu %s to its backend: %s%s", count,
		    times((unsigned)count, "service sends", "services send"), names,
		    used >= sizeof(names) ? " ..." : "");
}

static json_t *place_json(const struct model_place *p)
{
	return p->line ? json_pack("{s:o, s:I}", "file", control_string(p->file), "line", (json_int_t)p->line) :
			 json_null();
}

void verb_explain_server(struct control_request *request, unsigned argc, const char *const *argv, void *ctx)
{
	struct reasons r = { .agent = ctx };
	json_t *server;

	if (!agent_find_server(r.agent, argv[0], &r.backend, &r.server)) {
		control_fail(request, CONTROL_FAILED, "there is no server %s", argv[0]);
		return;
	}
	r.b = &r.agent->model->backends.items[r.backend];
	r.s = &r.b->servers.items[r.server];
	r.list = json_array();
	health_view(r.agent->health, r.backend, r.server, &r.view);
	explain_check(&r);
	explain_via(&r);
	explain_agent(&r);
	explain_admin(&r);
	explain_weight(&r);
	explain_backup(&r);
	explain_way(&r);
	explain_services(&r);
	server = show_server(r.agent, r.backend, r.server);
	json_object_set_new(server, "history", show_server_history(r.agent, r.backend, r.server));
	control_reply(request, json_pack("{s:b, s:o, s:o, s:o}", "takes_new", !r.against && r.view.accepts_new,
					 "reasons", r.list, "place", place_json(&r.s->place), "server", server));
}
