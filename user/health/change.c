/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server is, all things taken together, and what follows when that changes: for its pool, for the servers that
 * track it, for its ramp, its history, and for those who are told. Called by server.c, agent_check.c, health.c and
 * configure.c. Starts no check.
 */
#include "health/server.h"

#include <stdio.h>
#include <string.h>

#include "health/ramp.h"

static enum health_admin_state stricter(enum health_admin_state a, enum health_admin_state b)
{
	return a > b ? a : b;
}

struct server_status health_server_status(const struct health_server *s)
{
	struct server_status now = {}, other;

	now.admin = s->settings.disabled ? HEALTH_MAINT : HEALTH_READY;
	if (s->admin_is_override)
		now.admin = s->admin_override;
	if (s->agent)
		now.admin = stricter(now.admin, s->agent->admin);
	if (s->disabled_by_404 && s->tally.state == HEALTH_UP)
		now.admin = stricter(now.admin, HEALTH_DRAIN);
	now.check = s->settings.check ? s->tally.state : HEALTH_UNCHECKED;
	if (now.check == HEALTH_UP && health_server_is_misplaced(s))
		now.check = HEALTH_DOWN;
	now.up = now.check == HEALTH_UNCHECKED || now.check == HEALTH_UP;
	if (s->tracked) {
		/* As HAProxy: its maint and its drain are inherited. */
		other = health_server_status(s->tracked);
		now.admin = stricter(now.admin, other.admin);
		now.check = other.check;
		now.up = other.up;
	}
	now.weight = s->weight_is_override ? s->weight_override : s->settings.weight;
	if (s->agent) {
		now.up &= !s->agent->down;
		if (!s->agent->percent)
			now.weight = 0;
		else if (s->agent->percent > 100)
			now.weight = (unsigned)(((uint64_t)now.weight * s->agent->percent + 99) / 100);
		if (now.weight > MODEL_WEIGHT_MAX)
			now.weight = MODEL_WEIGHT_MAX;
	}
	now.up &= now.admin != HEALTH_MAINT;
	now.held = s->held && !now.up;
	now.accepts_new = (now.up || now.held) && now.admin == HEALTH_READY && now.weight > 0;
	return now;
}

/* Up to 100 the agent's percentage and the ramp thin out the server's slots; above, the weight itself grows. */
static unsigned share_percent(const struct health_server *s)
{
	unsigned share = 100, percent;

	if (s->agent && s->agent->percent && s->agent->percent < 100)
		share = s->agent->percent;
	if (health_server_has_role(s) && s->role->weight_percent)
		share = (share * s->role->weight_percent + 99) / 100;
	if (s->ramp_ms) {
		percent = ramp_percent(attempt_clock_ms() - s->ramp_ms, s->settings.slowstart_ms);
		share = (share * percent + 99) / 100;
	}
	return share;
}

void health_server_view(const struct health_server *s, struct health_view *ret)
{
	const struct server_status now = health_server_status(s);

	*ret = (struct health_view){
		.backend = s->settings.backend,
		.server = s->settings.server,
		.check = now.check,
		.admin = now.admin,
		.admin_is_override = s->admin_is_override,
		.weight = now.weight,
		.weight_is_override = s->weight_is_override,
		.weight_configured = s->settings.weight,
		.share_percent = share_percent(s),
		.up = now.up,
		.held = now.held,
		.accepts_new = now.accepts_new,
		.damped = s->damping.active && s->tally.state == HEALTH_DOWN,
		.track = s->settings.track,
		.rise_count = s->settings.check && s->tally.state == HEALTH_DOWN ? s->tally.count : 0,
		.fall_count = s->settings.check && s->tally.state == HEALTH_UP ? s->tally.count : 0,
		.changed_at_ms = s->changed_at_ms,
		.checks = s->checks,
		.failures = s->failures,
		.transitions = s->transitions,
		.last_duration_ms = s->last_duration_us / 1000,
		.last_duration_us = s->last_duration_us,
		.agent_percent = 100,
	};
	_Static_assert(sizeof(ret->last_result) == CHECK_TEXT_MAX, "a result's text fits");
	snprintf(ret->last_result, sizeof(ret->last_result), "%s", health_server_last(s));
	health_server_view_role(s, ret);
	if (!s->agent)
		return;
	ret->agent = true;
	ret->agent_down = s->agent->down;
	ret->agent_admin = s->agent->admin;
	ret->agent_percent = s->agent->percent;
	memcpy(ret->agent_result, s->agent->last_result, sizeof(ret->agent_result));
}

/* --- its pool */

static struct health_pool *pool_of(const struct health_server *s)
{
	return &s->health->pools[s->settings.index];
}

static struct pool_part part_of(const struct health_server *s, const struct server_status *st)
{
	return (struct pool_part){
		.backup = s->settings.backup,
		.wanted = st->admin == HEALTH_READY && st->weight > 0,
		.up = st->up,
	};
}

/* How long checks take to find out that it is down. */
static uint64_t detect_ms(const struct health_server *s)
{
	const struct schedule *c = &s->settings.schedule;

	return c->inter_ms +
	       (uint64_t)(s->settings.fall - 1) * schedule_interval_ms(c, TALLY_TRANSITION) + c->inter_ms;
}

static bool ought_to_be_held(const struct health_server *s)
{
	return pool_keeps(pool_of(s), s->down_ms, detect_ms(s)) && !(s->agent && s->agent->down) &&
	       !health_server_is_misplaced(s);
}

void health_ripple_soon(struct health *h)
{
	event_active(&h->ripple, EV_TIMEOUT, 0);
}

void health_server_ripple(struct health_server *s)
{
	struct health *h = s->health;

	if (s->rippling)
		return;
	s->rippling = true;
	s->ripple_next = h->ripples;
	h->ripples = s;
	health_ripple_soon(h);
}

static void hold_or_release(struct health_server *s)
{
	struct health *h = s->health;
	struct health_pool *p = pool_of(s);

	if (pool_judge(p, attempt_clock_ms())) {
		for (size_t i = p->first; i < p->first + p->servers; i++) {
			struct health_server *other = h->servers[i];
			bool held = ought_to_be_held(other);

			if (held != other->held && other != s)
				health_server_ripple(other);
			other->held = held;
		}
	}
	s->held = ought_to_be_held(s);
}

/* --- slowstart */

static void on_ramp(evutil_socket_t fd, short what, void *arg);

static bool ramp_wait(struct health_server *s, uint64_t left_ms)
{
	const struct timeval delay = { .tv_sec = (time_t)(left_ms / 1000), .tv_usec = (suseconds_t)(left_ms % 1000 * 1000) };

	if (!s->ramp)
		s->ramp = evtimer_new(s->health->base, on_ramp, s);
	return s->ramp && event_add(s->ramp, &delay) == 0;
}

/* Sets the timer of the next step. True when the share has moved since the last one: timers can come early. */
static bool ramp_step(struct health_server *s)
{
	const uint64_t elapsed = attempt_clock_ms() - s->ramp_ms;
	const uint64_t left = ramp_next_ms(elapsed, s->settings.slowstart_ms);
	const unsigned percent = ramp_percent(elapsed, s->settings.slowstart_ms), before = s->ramp_told;

	/* Without memory for a timer it has its whole share at once, rather than a part of it for ever. */
	s->ramp_told = percent;
	if (!left || !ramp_wait(s, left))
		s->ramp_ms = 0;
	return percent != before;
}

static void on_ramp(evutil_socket_t fd, short what, void *arg)
{
	struct health_server *s = arg;
	const struct health_ops *ops = &s->health->ops;

	if (ramp_step(s) && ops->on_share)
		ops->on_share(ops->ctx);
}

static void follow_ramp(struct health_server *s, const struct server_status *before, const struct server_status *now)
{
	if (!now->up) {
		if (s->ramp)
			event_del(s->ramp);
		s->ramp_ms = 0;
		s->cold |= now->check != HEALTH_INIT || now->admin == HEALTH_MAINT;
		return;
	}
	if (!before->up && s->cold && s->settings.slowstart_ms) {
		s->ramp_ms = attempt_clock_ms();
		ramp_step(s);
	}
	s->cold = false;
}

/* --- telling */

static bool same_status(const struct server_status *a, const struct server_status *b)
{
	return a->check == b->check && a->admin == b->admin && a->weight == b->weight && a->up == b->up &&
	       a->held == b->held && a->accepts_new == b->accepts_new;
}

static void remember(struct health_server *s, const struct server_status *before, const struct server_status *now,
		     const char *reason)
{
	struct health_transition t = {
		.at_ms = health_wall_ms(), .check = now->check, .admin = now->admin,
		.up = now->up, .held = now->held, .accepts_new = now->accepts_new,
	};

	if (now->check != before->check || now->admin != before->admin)
		s->changed_at_ms = t.at_ms;
	/* A weight is no state: an agent that changes it every second must not push everything else out. */
	if (now->check == before->check && now->admin == before->admin && now->up == before->up &&
	    now->held == before->held)
		return;
	snprintf(t.reason, sizeof(t.reason), "%s", reason);
	history_add(&s->history, &t);
}

/* Last act: what is called may bring a new configuration. */
static void tell(struct health_server *s, const struct server_status *before, const struct server_status *now,
		 const char *reason)
{
	const struct health_ops *ops = &s->health->ops;
	struct health_event e = {};
	struct health_view view;

	if (!ops->on_change)
		return;
	health_server_view(s, &view);
	e.backend = view.backend;
	e.server = view.server;
	e.view = &view;
	e.went_up = now->up && !before->up;
	e.went_down = !(now->up || now->held) && (before->up || before->held);
	snprintf(e.reason, sizeof(e.reason), "%s", reason);
	ops->on_change(&e, ops->ctx);
}

/* What changed it, where it was not itself. */
static void explain(const struct health_server *s, char *buf, size_t size)
{
	if (s->held != s->told.held)
		pool_reason(pool_of(s), buf, size);
	else if (s->tracked)
		snprintf(buf, size, "follows %s: %.100s", s->settings.track, health_server_last(s->tracked));
	else if (health_server_has_role(s))
		snprintf(buf, size, "%s", s->role->text);
	else
		buf[0] = '\0';
}

void health_server_notify(struct health_server *s, const char *reason)
{
	const struct server_status before = s->told;
	struct server_status now = health_server_status(s);
	char text[HEALTH_REASON_MAX];
	struct pool_part part;

	if (now.admin != before.admin) {
		health_roles_decide(s->health, s->settings.index, s);
		now = health_server_status(s);
	}
	if (same_status(&now, &before))
		return;
	if (!*reason) {
		explain(s, text, sizeof(text));
		reason = text;
	}
	if (before.up && !now.up)
		s->down_ms = attempt_clock_ms();
	else if (now.up)
		s->down_ms = 0;
	part = part_of(s, &before);
	pool_remove(pool_of(s), &part);
	part = part_of(s, &now);
	pool_add(pool_of(s), &part);
	hold_or_release(s);
	now = health_server_status(s);
	s->told = now;
	follow_ramp(s, &before, &now);
	remember(s, &before, &now, reason);
	for (struct health_server *t = s->trackers; t; t = t->tracker_next)
		health_server_ripple(t);
	tell(s, &before, &now, reason);
}

void health_server_moved(struct health_server *s, const char *reason, bool share)
{
	const struct server_status now = health_server_status(s);
	const struct health_ops *ops = &s->health->ops;

	if (!same_status(&now, &s->told))
		health_server_notify(s, reason);
	else if (share && ops->on_share)
		ops->on_share(ops->ctx);
}

void health_on_ripple(evutil_socket_t fd, short what, void *arg)
{
	struct health *h = arg;
	struct health_conflict conflict;

	/* What is told may bring a new configuration: it empties the list. */
	while (h->ripples) {
		struct health_server *s = h->ripples;

		h->ripples = s->ripple_next;
		s->rippling = false;
		health_server_show_role(s);
		health_server_moved(s, "", health_server_has_role(s));
	}
	while (health_next_conflict(h, &conflict))
		if (h->ops.on_conflict)
			h->ops.on_conflict(&conflict, h->ops.ctx);
}

void health_settle(struct health *h)
{
	h->ripples = NULL;
	for (size_t i = 0; i < h->backends; i++)
		h->pools[i].wanted = h->pools[i].up = h->pools[i].backups_up = 0;
	for (size_t i = 0; i < h->count; i++) {
		struct health_server *s = h->servers[i];
		const struct server_status now = health_server_status(s);
		const struct pool_part part = part_of(s, &now);

		s->rippling = false;
		pool_add(pool_of(s), &part);
	}
	for (size_t i = 0; i < h->backends; i++)
		pool_judge(&h->pools[i], attempt_clock_ms());
	for (size_t i = 0; i < h->count; i++) {
		struct health_server *s = h->servers[i];
		struct server_status before = s->told, now;

		s->held = ought_to_be_held(s);
		now = health_server_status(s);
		if (now.up)
			s->down_ms = 0;
		follow_ramp(s, &before, &now);
		s->told = now;
	}
}
