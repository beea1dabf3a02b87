/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent of one server: when it is asked, and what its orders change. Called by server.c and configure.c, and by
 * libevent. Goes on in maint, since only the agent can take its own maint back.
 */
#include "health/agent_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "health/server.h"

static void on_timer(evutil_socket_t fd, short what, void *arg);
static void on_answer(struct attempt *a, const struct check_result *r);

int agent_check_new(const struct model_backend *b, const struct model_server *s, struct agent_check **ret)
{
	struct agent_check *a = calloc(1, sizeof(*a));

	if (!a || attempt_target_init_agent(&a->target, s) < 0) {
		free(a);
		return -ENOMEM;
	}
	a->percent = 100;
	a->schedule = (struct schedule){
		.inter_ms = s->agent_inter_ms ? s->agent_inter_ms : 1,
		.connect_timeout_ms = b->connect_timeout_ms,
		.check_timeout_ms = b->check_timeout_ms,
	};
	*ret = a;
	return 0;
}

void agent_check_free(struct agent_check *a)
{
	if (!a)
		return;
	if (a->server) {
		attempt_cancel(&a->attempt);
		event_del(&a->timer);
	}
	attempt_target_done(&a->target);
	free(a);
}

static void arm(struct agent_check *a, uint64_t at_ms)
{
	uint64_t now = attempt_clock_ms();
	uint64_t left = at_ms > now ? at_ms - now : 0;
	struct timeval delay = { .tv_sec = (time_t)(left / 1000), .tv_usec = (suseconds_t)(left % 1000 * 1000) };

	a->next_ms = at_ms;
	if (event_add(&a->timer, &delay) < 0)
		event_active(&a->timer, EV_TIMEOUT, 0);
}

void agent_check_start(struct agent_check *a, struct health_server *s, uint32_t delay_ms)
{
	a->server = s;
	event_assign(&a->timer, s->health->base, -1, 0, on_timer, a);
	arm(a, attempt_clock_ms() + delay_ms);
}

void agent_check_inherit(struct agent_check *a, const struct agent_check *old)
{
	if (!old || !attempt_target_equal(&a->target, &old->target))
		return;
	a->percent = old->percent;
	a->admin = old->admin;
	a->down = old->down;
	snprintf(a->last_result, sizeof(a->last_result), "%s", old->last_result);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct agent_check *a = arg;
	const struct attempt_owner owner = { .base = a->server->health->base, .on_done = on_answer };
	uint64_t now = attempt_clock_ms();

	if (now < a->next_ms) {
		arm(a, a->next_ms);
		return;
	}
	a->started_ms = now;
	attempt_start(&a->attempt, &owner, &a->target, &a->schedule);
}

/* True when the orders change the server's share and nothing that it is told of anyway. */
static bool obey(struct agent_check *a, const struct agent_answer *answer)
{
	const unsigned before = a->percent;

	if (answer->has_percent)
		a->percent = answer->percent;
	if (answer->has_admin)
		a->admin = answer->admin;
	if (answer->has_state)
		a->down = answer->down;
	return a->percent != before;
}

static void on_answer(struct attempt *attempt, const struct check_result *r)
{
	struct agent_check *a = (struct agent_check *)((char *)attempt->place - offsetof(struct agent_check, attempt));
	struct health_server *s = a->server;
	const struct agent_answer *answer = &attempt->talk.agent.answer;
	char reason[HEALTH_REASON_MAX];
	bool moved = false;

	check_result_format(r, a->last_result);
	arm(a, schedule_next_ms(a->started_ms, a->schedule.inter_ms, attempt_clock_ms(), health_random(s->health)));
	if (check_result_outcome(r) != CHECK_PASSED)
		return;
	moved = obey(a, answer);
	snprintf(reason, sizeof(reason), "agent: %s%s%s%s%s", answer->has_state ? answer->word : "",
		 answer->has_admin ? answer->has_state ? " " : "" : "",
		 !answer->has_admin		  ? "" :
		 answer->admin == HEALTH_MAINT ? "maint" :
		 answer->admin == HEALTH_DRAIN ? "drain" :
						 "ready",
		 answer->reason[0] ? " #" : "", answer->reason);
	if (moved)
		snprintf(reason + strlen(reason), sizeof(reason) - strlen(reason), " %u%%", a->percent);
	health_server_moved(s, reason, moved);
}
