/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a check's figures to what its server and the others of its backend are good for. Called by server.c after each
 * check, and when a server comes, goes, or begins to be under maintenance. Decides nothing itself: roles.c does.
 */
#include <stdio.h>
#include <string.h>

#include "health/server.h"

static struct health_pool *pool_of(const struct health_server *s)
{
	return &s->health->pools[s->settings.index];
}

static void look_at(struct health_server *s)
{
	struct role_member *m = s->role;
	bool counts = health_server_is_checked(s);

	if (!counts) {
		/* What was known is as old as the maintenance. */
		*m = (struct role_member){ .id = m->id };
		return;
	}
	m->counts = true;
	m->up = s->tally.state == HEALTH_UP;
}

/* Without a role there is nothing to decide: what a plugin hints at is all. */
static void serve_anyway(struct health_server *s)
{
	const struct role_facts *f = &s->role->facts;

	look_at(s);
	s->role->serves = true;
	s->role->weight_percent = 100;
	if (s->role->knows && (f->figures & PLUGIN_HAS_WEIGHT) && f->weight_percent < 100)
		s->role->weight_percent = f->weight_percent ? f->weight_percent : 1;
	snprintf(s->role->text, sizeof(s->role->text), "%s", s->role->knows ? f->text : "");
}

/*
 * A promotion looks like a conflict until the old writer has been checked again: that is done at once, and nothing is
 * said before all writers have been heard anew.
 */
static void follow_conflict(struct health *h, struct health_pool *p, bool conflict)
{
	bool confirmed = true;

	if (conflict && !p->conflict) {
		p->conflict_ms = attempt_clock_ms();
		for (size_t i = p->first; i < p->first + p->servers; i++) {
			h->servers[i]->role->confirmed = false;
			if (h->servers[i]->role->serves)
				health_server_check_soon(h->servers[i]);
		}
	}
	for (size_t i = p->first; i < p->first + p->servers; i++)
		confirmed &= !h->servers[i]->role->up || h->servers[i]->role->confirmed;
	p->conflict = conflict;
	if (conflict != p->conflict_told && (!conflict || confirmed)) {
		p->conflict_told = conflict;
		p->conflict_untold = true;
		health_ripple_soon(h);
	}
}

void health_roles_decide(struct health *h, size_t backend, struct health_server *but)
{
	struct role_member *members[MODEL_ROLE_SERVERS_MAX];
	bool served[MODEL_ROLE_SERVERS_MAX];
	unsigned percent[MODEL_ROLE_SERVERS_MAX];
	struct health_pool *p = &h->pools[backend];
	struct roles_outcome o;

	if (!p->plugin)
		return;
	if (p->roles.role == MODEL_ROLE_ANY) {
		for (size_t i = 0; i < p->servers; i++)
			serve_anyway(h->servers[p->first + i]);
		return;
	}
	for (size_t i = 0; i < p->servers; i++) {
		struct health_server *s = h->servers[p->first + i];

		look_at(s);
		members[i] = s->role;
		served[i] = s->role->serves;
		percent[i] = s->role->weight_percent;
	}
	roles_decide(&p->roles, members, p->servers, &o);
	p->writers = o.writers;
	follow_conflict(h, p, o.conflict);
	for (size_t i = 0; i < p->servers; i++) {
		struct health_server *s = h->servers[p->first + i];

		if (s != but && (s->role->serves != served[i] || s->role->weight_percent != percent[i]))
			health_server_ripple(s);
	}
}

void health_roles_result(struct health_server *s, bool passed, const struct role_facts *facts)
{
	if (!health_server_has_role(s))
		return;
	s->role->heard = true;
	s->role->passed = passed;
	/* What was under way when the conflict began may tell of the time before it. */
	s->role->confirmed = s->role->confirmed || s->started_ms > pool_of(s)->conflict_ms;
	if (facts) {
		s->role->knows = true;
		s->role->facts = *facts;
		if (facts->figures & PLUGIN_HAS_SERVER_ID)
			s->role->id = facts->server_id;
	}
	health_roles_decide(s->health, s->settings.index, s);
}

bool health_server_has_role(const struct health_server *s)
{
	return s->settings.check && pool_of(s)->plugin;
}

bool health_server_is_misplaced(const struct health_server *s)
{
	return health_server_has_role(s) && pool_of(s)->roles.role != MODEL_ROLE_ANY && !s->role->serves;
}

void health_server_show_role(struct health_server *s)
{
	char text[CHECK_TEXT_MAX];

	if (!health_server_has_role(s) || !s->role->passed || !s->role->text[0])
		return;
	snprintf(text, sizeof(text), "%s: %s", s->role->serves ? "L7OK" : "L7STS", s->role->text);
	health_server_set_last(s, text);
}

static const char *role_name(const struct role_facts *f)
{
	if (!(f->figures & PLUGIN_HAS_ROLE))
		return "unknown";
	if (f->role & (PLUGIN_CLUSTERED | PLUGIN_CLUSTER_BROKEN))
		return "cluster";
	if (f->role & PLUGIN_REPLICA)
		return "replica";
	return f->role & PLUGIN_WRITABLE ? "primary" : "unknown";
}

void health_server_view_role(const struct health_server *s, struct health_view *ret)
{
	const struct role_facts *f;

	ret->has_role = health_server_has_role(s);
	ret->role = "unknown";
	if (!ret->has_role || !s->role->knows)
		return;
	f = &s->role->facts;
	ret->misplaced = s->tally.state == HEALTH_UP && health_server_is_misplaced(s);
	ret->role = role_name(f);
	ret->lag_known = f->figures & PLUGIN_HAS_LAG;
	ret->lag_ms = f->lag_ms;
	ret->server_id = f->figures & PLUGIN_HAS_SERVER_ID ? f->server_id : 0;
	_Static_assert(sizeof(ret->role_text) == sizeof(s->role->text), "a role's text fits");
	memcpy(ret->role_text, s->role->text, sizeof(ret->role_text));
}

bool health_conflict(const struct health *h, size_t backend, size_t *ret_writers)
{
	*ret_writers = h->pools[backend].writers;
	return h->pools[backend].conflict_told;
}

bool health_next_conflict(struct health *h, struct health_conflict *ret)
{
	for (size_t b = 0; b < h->backends; b++) {
		struct health_pool *p = &h->pools[b];

		if (!p->conflict_untold)
			continue;
		p->conflict_untold = false;
		*ret = (struct health_conflict){ .begins = p->conflict_told, .writers = p->writers };
		for (size_t i = 0; i < p->servers; i++) {
			const struct health_server *s = h->servers[p->first + i];
			size_t used = strlen(ret->kept);

			ret->backend = s->settings.backend;
			if (s->role->serves)
				snprintf(ret->kept + used, sizeof(ret->kept) - used, "%s%s", used ? "," : "",
					 s->settings.server);
		}
		return true;
	}
	return false;
}
