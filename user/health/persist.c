/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What outlives the agent: overrides set at run time, and the last check states. To and from JSON; the agent writes and
 * reads the file. Must not trust what it reads: the file may be old, damaged or of another configuration.
 *
 * {"version": 1, "servers": {"BACKEND/SERVER": {"address": "192.0.2.1:80", "admin": "drain", "weight": 5,
 *                                               "check": "down", "changed_at_ms": 1700000000000,
 *                                               "result": "L4CON: Connection refused", "held": true,
 *                                               "serves": true, "server_id": 7}}}
 */
#include "health/health.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "health/server.h"

enum { PERSIST_VERSION = 1 };

static const char *const admin_words[] = {
	[HEALTH_READY] = "ready",
	[HEALTH_DRAIN] = "drain",
	[HEALTH_MAINT] = "maint",
};

static const char *const check_words[] = {
	[HEALTH_UP] = "up",
	[HEALTH_DOWN] = "down",
};

/* Index of the word, or -1. */
static int word_index(const char *const *words, size_t count, const char *word)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (words[i] && !strcmp(words[i], word))
			return (int)i;
	return -1;
}

/* NULL when out of memory. */
static json_t *save_server(const struct health_server *s)
{
	char at[ENDPOINT_TEXT_MAX];
	json_t *o = json_pack("{s:s}", "address", endpoint_format(&s->settings.at, at));
	int error = !o;

	if (s->admin_is_override)
		error |= json_object_set_new(o, "admin", json_string(admin_words[s->admin_override]));
	if (s->weight_is_override)
		error |= json_object_set_new(o, "weight", json_integer(s->weight_override));
	if (s->settings.check && s->tally.state != HEALTH_INIT) {
		error |= json_object_set_new(o, "check", json_string(check_words[s->tally.state]));
		error |= json_object_set_new(o, "changed_at_ms", json_integer((json_int_t)s->changed_at_ms));
		error |= json_object_set_new(o, "result", json_string(health_server_last(s)));
	}
	if (s->told.held)
		error |= json_object_set_new(o, "held", json_true());
	if (health_server_has_role(s) && s->role->serves)
		error |= json_object_set_new(o, "serves", json_true());
	if (health_server_has_role(s) && s->role->id)
		error |= json_object_set_new(o, "server_id", json_integer((json_int_t)s->role->id));
	if (error) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int health_save(const struct health *h, json_t **ret)
{
	json_t *servers = json_object();
	json_t *top;
	size_t i;

	for (i = 0; i < h->count; i++) {
		json_t *o = save_server(h->servers[i]);

		/* Nothing but the address: nothing to remember. */
		if (o && json_object_size(o) == 1) {
			json_decref(o);
			continue;
		}
		if (json_object_set_new(servers, h->servers[i]->settings.path, o) < 0) {
			json_decref(servers);
			return -ENOMEM;
		}
	}
	top = json_pack("{s:i, s:o}", "version", PERSIST_VERSION, "servers", servers);
	if (!top)
		return -ENOMEM;
	*ret = top;
	return 0;
}

struct saved {
	const char *address, *admin, *check, *result;
	json_int_t weight, changed_at_ms, server_id;
	int admin_state, check_state; /* -1 = not saved */
	int held, serves;
};

/* False when it is no entry that health_save() can have written. */
static bool read_saved(json_t *o, struct saved *ret)
{
	struct saved v = { .weight = -1, .admin_state = -1, .check_state = -1, .result = "" };

	if (json_unpack(o, "{s:s, s?s, s?I, s?s, s?I, s?s, s?b, s?b, s?I}", "address", &v.address, "admin", &v.admin, "weight",
			&v.weight, "check", &v.check, "changed_at_ms", &v.changed_at_ms, "result", &v.result,
			"held", &v.held, "serves", &v.serves, "server_id", &v.server_id) < 0)
		return false;
	if (v.admin && (v.admin_state = word_index(admin_words, array_size(admin_words), v.admin)) < 0)
		return false;
	if (v.check && (v.check_state = word_index(check_words, array_size(check_words), v.check)) < 0)
		return false;
	if ((v.weight < 0 && json_object_get(o, "weight")) || v.weight > MODEL_WEIGHT_MAX || v.changed_at_ms < 0)
		return false;
	*ret = v;
	return true;
}

static void restore_overrides(struct health_server *s, const struct saved *v)
{
	bool was_maint = health_server_status(s).admin == HEALTH_MAINT;

	if (v->admin_state >= 0) {
		s->admin_override = (enum health_admin_state)v->admin_state;
		s->admin_is_override = v->admin_state != HEALTH_READY || s->settings.disabled;
	}
	if (v->weight >= 0) {
		s->weight_override = (unsigned)v->weight;
		s->weight_is_override = s->weight_override != s->settings.weight;
	}
	if (health_server_follow_maint(s, was_maint) && s->settings.check) {
		health_server_check_in(s, 0);
		health_server_await(s);
	}
}

static void restore(struct health_server *s, const struct saved *v)
{
	char at[ENDPOINT_TEXT_MAX], text[CHECK_TEXT_MAX];
	char *c;

	if (strcmp(endpoint_format(&s->settings.at, at), v->address))
		return;
	restore_overrides(s, v);
	if (health_server_has_role(s) && !s->role->id)
		s->role->id = (uint64_t)v->server_id;
	/* What this agent has found out itself is newer. */
	if (v->check_state < 0 || !s->settings.check || s->checks)
		return;
	tally_assume(&s->tally, (enum health_check_state)v->check_state);
	/* Who was kept in service goes on being kept, if there is still reason to keep anybody. */
	/* A writer that was in service has the older right, should there be two now. */
	if (health_server_has_role(s))
		s->role->serves = v->serves;
	if (v->held)
		s->down_ms = attempt_clock_ms();
	s->changed_at_ms = (uint64_t)v->changed_at_ms;
	snprintf(text, sizeof(text), "%s", v->result);
	for (c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	health_server_set_last(s, text);
}

int health_restore(struct health *h, const json_t *from)
{
	json_t *top = (json_t *)from; /* jansson reads through non-const pointers */
	json_t *servers, *o;
	struct saved v;
	const char *path;
	int version;

	if (json_unpack(top, "{s:i, s:o}", "version", &version, "servers", &servers) < 0 ||
	    version != PERSIST_VERSION || !json_is_object(servers))
		return -EINVAL;
	json_object_foreach(servers, path, o) {
		if (!read_saved(o, &v))
			return -EINVAL;
	}
	json_object_foreach(servers, path, o) {
		struct health_server *s = health_index_find(&h->index, path);

		if (s && read_saved(o, &v))
			restore(s, &v);
	}
	health_settle(h);
	return 0;
}

void health_assume(struct health *h, const struct health_witness *w)
{
	bool serves;

	for (size_t b = 0; b < h->backends; b++)
		for (size_t i = 0; i < h->pools[b].servers; i++) {
			struct health_server *s = h->servers[h->pools[b].first + i];
			struct health_view v;

			if (!s->settings.check || s->checks || health_server_has_role(s) ||
			    !w->saw(b, i, &serves, w->ctx))
				continue;
			health_server_view(s, &v);
			if (v.accepts_new == serves || v.admin != HEALTH_READY || !v.weight)
				continue;
			tally_assume(&s->tally, serves ? HEALTH_UP : HEALTH_DOWN);
			health_server_set_last(s, "as an earlier agent left it");
		}
	health_settle(h);
}
