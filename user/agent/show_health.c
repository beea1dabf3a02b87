/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server's object on the control socket says of its health beyond its state; docs/control.md is the contract. */
#include "agent/agent.h"

static const char *const check_states[] = {
	[HEALTH_UNCHECKED] = "NO CHECK", [HEALTH_INIT] = "INIT", [HEALTH_UP] = "UP", [HEALTH_DOWN] = "DOWN",
};
static const char *const admin_states[] = {
	[HEALTH_READY] = "ready", [HEALTH_DRAIN] = "drain", [HEALTH_MAINT] = "maint",
};

static json_t *agent_json(const struct health_view *v)
{
	if (!v->agent)
		return json_null();
	return json_pack("{s:b, s:s, s:I, s:o}", "down", v->agent_down, "admin", admin_states[v->agent_admin],
			 "percent", (json_int_t)v->agent_percent, "last_result",
			 v->agent_result[0] ? control_string(v->agent_result) : json_null());
}

/* What a plugin found out of it; null where nothing tells. */
static void set_role(const struct health_view *v, json_t *to)
{
	json_object_set_new(to, "role", v->has_role ? json_string(v->role) : json_null());
	json_object_set_new(to, "role_text", v->has_role ? control_string(v->role_text) : json_null());
	json_object_set_new(to, "misplaced", json_boolean(v->misplaced));
	json_object_set_new(to, "lag_ms", v->lag_known ? json_integer(v->lag_ms) : json_null());
	json_object_set_new(to, "server_id", v->server_id ? json_integer((json_int_t)v->server_id) : json_null());
}

void show_server_health(const struct health_view *v, json_t *to)
{
	json_object_set_new(to, "up", json_boolean(v->up));
	json_object_set_new(to, "held", json_boolean(v->held));
	json_object_set_new(to, "damped", json_boolean(v->damped));
	json_object_set_new(to, "share_percent", json_integer(v->share_percent));
	json_object_set_new(to, "track", v->track ? json_string(v->track) : json_null());
	json_object_set_new(to, "agent", agent_json(v));
	set_role(v, to);
}

json_t *show_server_history(struct agent *a, size_t backend, size_t server)
{
	struct health_transition all[HEALTH_HISTORY_MAX];
	size_t count = health_history(a->health, backend, server, all, HEALTH_HISTORY_MAX);
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:s, s:b, s:b, s:b, s:o}", "at_ms",
						      (json_int_t)all[i].at_ms, "lasted_ms",
						      (json_int_t)all[i].lasted_ms, "state", check_states[all[i].check],
						      "admin", admin_states[all[i].admin], "up", all[i].up, "held",
						      all[i].held, "accepts_new", all[i].accepts_new, "reason",
						      control_string(all[i].reason)));
	return list;
}
