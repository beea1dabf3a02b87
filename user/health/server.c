/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server's life between configurations: when its checks start, and the one funnel all their results go through.
 * Called by libevent and by the other files of health/. One timer and at most one attempt a server: two checks of one
 * server never overlap, since the timer is set when the attempt has ended.
 */
#include "health/server.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_result(struct attempt *a, const struct check_result *r);

uint64_t health_wall_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct health_server *health_server_new(struct health *h, struct server_settings *settings)
{
	struct health_server *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->settings = *settings;
	memset(settings, 0, sizeof(*settings));
	s->health = h;
	tally_start(&s->tally, s->settings.init_state);
	s->agent = take_ptr(s->settings.agent);
	s->role = take_ptr(s->settings.role);
	event_assign(&s->timer, h->base, -1, 0, on_timer, s);
	return s;
}

void server_settings_done(struct server_settings *s)
{
	free(s->path);
	free(s->track);
	free(s->role);
	attempt_target_done(&s->target);
	agent_check_free(s->agent);
}

void health_server_free(struct health_server *s)
{
	if (!s)
		return;
	health_server_stop_checks(s);
	if (s->ramp)
		event_free(s->ramp);
	agent_check_free(s->agent);
	free(s->role);
	free(s->last_result);
	damping_done(&s->damping);
	history_done(&s->history);
	server_settings_done(&s->settings);
	free(s);
}

const char *health_server_last(const struct health_server *s)
{
	return s->last_result ? s->last_result : "";
}

void health_server_set_last(struct health_server *s, const char *text)
{
	char *copy;

	if (strcmp(text, health_server_last(s)) == 0)
		return;
	copy = strdup(text);
	if (!copy)
		return;
	free(s->last_result);
	s->last_result = copy;
}

bool health_server_is_checked(const struct health_server *s)
{
	return s->settings.check && health_server_status(s).admin != HEALTH_MAINT;
}

/* Sets the timer; what is due, or overdue, starts with the next turn of the loop. */
static void arm(struct health_server *s, uint64_t at_ms)
{
	uint64_t now = attempt_clock_ms();
	uint64_t left = at_ms > now ? at_ms - now : 0;
	struct timeval delay = { .tv_sec = (time_t)(left / 1000), .tv_usec = (suseconds_t)(left % 1000 * 1000) };

	s->next_ms = at_ms;
	/* Out of memory: the next turn of the loop tries again, so that no server is ever left unchecked. */
	if (event_add(&s->timer, &delay) < 0)
		event_active(&s->timer, EV_TIMEOUT, 0);
}

static void stop_awaiting(struct health_server *s)
{
	struct health *h = s->health;

	if (!s->awaited)
		return;
	s->awaited = false;
	if (!--h->awaited && h->round_open)
		event_active(&h->round, EV_TIMEOUT, 0);
}

void health_server_check_in(struct health_server *s, uint32_t delay_ms)
{
	attempt_cancel(&s->attempt);
	arm(s, attempt_clock_ms() + delay_ms);
}

void health_server_check_soon(struct health_server *s)
{
	if (evtimer_pending(&s->timer, NULL))
		arm(s, attempt_clock_ms());
}

void health_server_await(struct health_server *s)
{
	if (s->awaited)
		return;
	s->awaited = true;
	s->health->awaited++;
}

void health_server_stop_checks(struct health_server *s)
{
	attempt_cancel(&s->attempt);
	event_del(&s->timer);
	stop_awaiting(s);
}

bool health_server_follow_maint(struct health_server *s, bool was_maint)
{
	bool is_maint = health_server_status(s).admin == HEALTH_MAINT;

	if (is_maint && !was_maint)
		health_server_stop_checks(s);
	if (is_maint || !was_maint)
		return false;
	/* What was known is as old as the maintenance. HAProxy applies init-state here too. */
	tally_start(&s->tally, s->settings.init_state);
	return true;
}

static uint32_t interval_ms(const struct health_server *s)
{
	return schedule_interval_ms(&s->settings.schedule, tally_pace(&s->tally));
}

void health_server_hasten(struct health_server *s)
{
	uint64_t latest = s->started_ms + interval_ms(s);

	if (s->started_ms && evtimer_pending(&s->timer, NULL) && latest < s->next_ms)
		arm(s, latest);
}

/* How long a check takes on a LAN is a matter of less than a ms. */
static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct health_server *s = arg;
	const struct attempt_owner owner = { .base = s->health->base, .on_done = on_result,
					     .elsewhere = s->health->elsewhere, .via = s->health->via };
	uint64_t now = attempt_clock_ms();

	/* libevent counts in ticks of a coarse clock, and may be early by one. */
	if (now < s->next_ms) {
		arm(s, s->next_ms);
		return;
	}
	s->started_ms = now;
	s->started_us = clock_us();
	attempt_start(&s->attempt, &owner, &s->settings.target, &s->settings.schedule);
}

static void schedule_next(struct health_server *s, uint64_t now)
{
	uint32_t random = health_random(s->health);

	if (s->settling)
		arm(s, schedule_settle_ms(s->started_ms, interval_ms(s), now, random));
	else
		arm(s, schedule_next_ms(s->started_ms, interval_ms(s), now, random));
	s->settling = false;
}

/* "L4CON: Connection refused; 3 of 3 checks failed" */
static void describe(const struct health_server *s, const struct check_result *r, bool first, char *buf, size_t size)
{
	bool passed = check_result_outcome(r) == CHECK_PASSED;
	unsigned needed = passed ? s->settings.rise : s->settings.fall;

	if (first)
		snprintf(buf, size, "%s; first check", health_server_last(s));
	else
		snprintf(buf, size, "%s; %u consecutive check%s %s", health_server_last(s), needed,
			 needed == 1 ? "" : "s", passed ? "passed" : "failed");
}

/* What a server is decides as well, and is the reason where its checks did not change its state. */
static void add_role(const struct health_server *s, char *reason, size_t size)
{
	size_t used = strlen(reason);

	if (s->tally.state == HEALTH_UP && s->role->text[0])
		snprintf(reason + used, size - used, "%s%s", used ? "; " : "", s->role->text);
}

/* disable-on-404, as in HAProxy: for a server that is up 404 is no failure, but the wish to be left alone. */
static void judge_404(struct health_server *s, struct check_result *r)
{
	const bool disabled = s->settings.target.disable_on_404 && r->code == CHECK_L7STS && r->http_status == 404 &&
			      s->tally.state == HEALTH_UP;

	if (disabled)
		r->code = CHECK_L7OKC;
	if (check_result_outcome(r) != CHECK_UNKNOWN)
		s->disabled_by_404 = disabled;
}

/* Without a carrier the balancer itself is cut off, not the server. */
static void judge_cut_off(const struct health_server *s, uint64_t started_ms, struct check_result *r)
{
	const struct health_ops *ops = &s->health->ops;

	if (check_result_outcome(r) == CHECK_FAILED && ops->was_cut_off &&
	    ops->was_cut_off(&s->settings.target.at.addr, started_ms, ops->ctx))
		check_result_set(r, CHECK_SOCKERR, "the interface towards it has no carrier");
}

/* The funnel: whatever a check was and however it ended, its result comes by here. */
static void on_result(struct attempt *a, const struct check_result *found)
{
	struct health_server *s = (struct health_server *)((char *)a->place - offsetof(struct health_server, attempt));
	struct check_result judged = *found;
	const struct check_result *r = &judged;
	enum check_outcome outcome;
	const bool first = s->tally.first_decides, was_disabled = s->disabled_by_404;
	const uint64_t now = attempt_clock_ms();
	char reason[HEALTH_REASON_MAX] = "", text[CHECK_TEXT_MAX];
	unsigned rise = s->settings.rise, percent = s->role ? s->role->weight_percent : 0;

	judge_404(s, &judged);
	judge_cut_off(s, s->started_ms, &judged);
	outcome = check_result_outcome(r);
	s->checks++;
	if (outcome == CHECK_FAILED) {
		s->failures++;
		damping_failed(&s->damping, now);
	}
	/* Good checks are counted all the while, so that the first one after it is over is enough. */
	if (damping_holds(&s->damping, s->settings.flap_count, s->settings.flap_ms, now))
		rise = UINT_MAX;
	s->last_duration_us = (uint32_t)(clock_us() - s->started_us);
	health_server_set_last(s, check_result_format(r, text));
	if (s->health->ops.on_result)
		s->health->ops.on_result(s->settings.index, s->settings.server, text,
					outcome == CHECK_UNKNOWN, s->last_duration_us, s->health->ops.ctx);
	if (tally_count(&s->tally, outcome, rise, s->settings.fall)) {
		s->transitions++;
		s->changed_at_ms = health_wall_ms();
		if (s->tally.state == HEALTH_DOWN)
			damping_went_down(&s->damping, s->settings.flap_count, s->settings.flap_ms, now);
		describe(s, r, first, reason, sizeof(reason));
	}
	if (was_disabled != s->disabled_by_404 && !reason[0])
		snprintf(reason, sizeof(reason), "%s%s", text, was_disabled ? "" : "; disable-on-404");
	health_roles_result(s, outcome == CHECK_PASSED, r->facts);
	schedule_next(s, now);
	stop_awaiting(s);
	if (!health_server_has_role(s)) {
		health_server_notify(s, reason);
		return;
	}
	health_server_show_role(s);
	add_role(s, reason, sizeof(reason));
	health_server_moved(s, reason, s->role->weight_percent != percent);
}
