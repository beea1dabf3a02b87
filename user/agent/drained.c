/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who waits for a server's last connection. A request is answered when a pass of the sweep that began after it found no
 * connection, or its time is over.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"

struct agent_drain_wait {
	struct agent *agent;
	struct agent_drain_wait *next;
	struct control_request *request;
	struct event *deadline;
	uint64_t began_ms;
	uint64_t pass;      /* the first that counts */
	char path[2 * MODEL_NAME_MAX + 2];
};

static void remove_wait(struct agent_drain_wait *w)
{
	struct agent_drain_wait **at = &w->agent->waits;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	event_free(w->deadline);
	free(w);
}

static void on_gone(void *ctx)
{
	remove_wait(ctx);
}

static uint32_t connections_of(const struct agent_drain_wait *w)
{
	size_t b, s;

	if (!agent_find_server(w->agent, w->path, &b, &s))
		return 0;
	return sweep_connections(w->agent->sweep, reconcile_server_id(w->agent->reconcile, b, s));
}

static json_t *answer(const struct agent_drain_wait *w)
{
	return json_pack("{s:s, s:I, s:I}", "server", w->path, "connections", (json_int_t)connections_of(w),
			 "waited_ms", (json_int_t)(agent_monotonic_ms() - w->began_ms));
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct agent_drain_wait *w = ctx;
	uint32_t left = connections_of(w);

	control_fail_with(w->request, CONTROL_TIMED_OUT, answer(w), "%s: %u connection%s left", w->path, left,
			  left == 1 ? " is" : "s are");
	remove_wait(w);
}

static bool accepts_new(const struct agent *a, size_t b, size_t s)
{
	struct health_view v;

	health_view(a->health, b, s, &v);
	return v.admin == HEALTH_READY && v.weight > 0;
}

void drained_wait(struct agent *a, struct control_request *r, const char *path, uint32_t timeout_ms)
{
	const struct timeval t = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
	struct agent_drain_wait *w;
	size_t b, s;

	if (!agent_find_server(a, path, &b, &s)) {
		control_fail(r, CONTROL_FAILED, "there is no server %s", path);
		return;
	}
	if (accepts_new(a, b, s)) {
		control_fail(r, CONTROL_FAILED, "%s takes new connections: `server drain %s` first", path, path);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w || strlen(path) >= sizeof(w->path)) {
		free(w);
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	w->agent = a;
	w->request = r;
	w->began_ms = agent_monotonic_ms();
	w->pass = sweep_next_pass(a->sweep);
	strcpy(w->path, path);
	w->deadline = evtimer_new(a->base, on_deadline, w);
	if (!w->deadline || evtimer_add(w->deadline, &t)) {
		if (w->deadline)
			event_free(w->deadline);
		free(w);
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	w->next = a->waits;
	a->waits = w;
	control_on_gone(r, on_gone, w);
}

void drained_check(struct agent *a)
{
	struct agent_drain_wait *next;

	for (struct agent_drain_wait *w = a->waits; w; w = next) {
		size_t b, s;

		next = w->next;
		if (!agent_find_server(a, w->path, &b, &s))
			control_fail(w->request, CONTROL_FAILED, "%s is no longer in the configuration", w->path);
		else if (accepts_new(a, b, s))
			control_fail(w->request, CONTROL_FAILED, "%s takes new connections again", w->path);
		else if (sweep_counts(a->sweep)->passes >= w->pass && connections_of(w) == 0)
			control_reply(w->request, answer(w));
		else
			continue;
		remove_wait(w);
	}
}

void drained_done(struct agent *a)
{
	while (a->waits) {
		control_fail(a->waits->request, CONTROL_FAILED, "the agent is stopping");
		remove_wait(a->waits);
	}
}
