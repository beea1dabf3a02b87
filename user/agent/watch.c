/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's verb `watch`: the events that the agent logs, for whoever follows them. A request that has seen
 * all of them is put off until the next one, so that a client asks again and again and misses nothing: events have
 * numbers, and monitor.c keeps the last ones. Called by monitor.c and agent.c; must not log, which would be an event.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/monitor.h"
#include "agent/watch.h"
#include "metrics/text.h"
#include "web/events.h"

struct watch {
	struct watches *all;
	struct watch *next;
	struct control_request *request;
	struct event *deadline;
	uint64_t after;
};

struct watches {
	struct agent *agent;
	struct event *wake;     /* answers in the loop's next turn: a burst of events is one reply */
	struct watch *first;
};

static void remove_watch(struct watch *w)
{
	struct watch **at = &w->all->first;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	event_free(w->deadline);
	free(w);
}

static void on_gone(void *ctx)
{
	remove_watch(ctx);
}

static json_t *event_json(const struct event_line *l)
{
	struct text text = {};
	json_t *j = NULL;

	events_json(l, &text);
	if (!text.failed)
		j = json_loadb(text.data, text.length, 0, NULL);
	text_done(&text);
	return j;
}

/* What is kept above `after`; a number that is yet to come is one of an earlier run: all are news then. */
static json_t *answer(const struct agent *a, uint64_t after, bool from_start)
{
	const struct events *events = monitor_events(a->monitor);
	uint64_t lost = 0;
	json_t *list = json_array();

	if (after > events->last)
		after = 0;
	if (!from_start && events->last - after > EVENTS_KEPT)
		lost = events->last - after - EVENTS_KEPT;
	for (const struct event_line *l = events_next(events, after); l; l = events_next(events, after)) {
		if (json_array_append_new(list, event_json(l)) < 0) {
			json_decref(list);
			return NULL;
		}
		after = l->number;
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "run", (json_int_t)a->started_ms, "last", (json_int_t)events->last,
			 "lost", (json_int_t)lost, "events", list);
}

static void end_watch(struct watch *w)
{
	control_reply(w->request, answer(w->all->agent, w->after, false));
	remove_watch(w);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	end_watch(ctx);
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
	struct watches *all = ctx;
	const uint64_t last = monitor_events(all->agent->monitor)->last;
	struct watch *next;

	for (struct watch *w = all->first; w; w = next) {
		next = w->next;
		if (w->after != last)
			end_watch(w);
	}
}

static int wait_for_event(struct watches *all, struct control_request *r, uint64_t after, uint64_t wait_ms)
{
	const struct timeval t = { .tv_sec = (time_t)(wait_ms / 1000), .tv_usec = wait_ms % 1000 * 1000 };
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->all = all;
	w->request = r;
	w->after = after;
	w->deadline = evtimer_new(all->agent->base, on_deadline, w);
	if (!w->deadline || evtimer_add(w->deadline, &t)) {
		if (w->deadline)
			event_free(w->deadline);
		free(w);
		return -ENOMEM;
	}
	w->next = all->first;
	all->first = w;
	control_on_gone(r, on_gone, w);
	return 0;
}

static bool read_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && !*end && *ret <= max;
}

void verb_watch(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	uint64_t after = 0, wait_ms = WATCH_WAIT_DEFAULT_MS;

	if (argc > 0 && !read_number(argv[0], INT64_MAX, &after))
		control_fail(r, CONTROL_USAGE, "%s: AFTER is an event's number", argv[0]);
	else if (argc > 1 && !read_number(argv[1], WATCH_WAIT_MAX_MS, &wait_ms))
		control_fail(r, CONTROL_USAGE, "%s: WAIT_MS is a number of milliseconds up to %d", argv[1],
			     WATCH_WAIT_MAX_MS);
	else if (!argc || after != monitor_events(a->monitor)->last)
		control_reply(r, answer(a, after, !argc));
	else if (wait_for_event(a->watches, r, after, wait_ms) < 0)
		control_fail(r, CONTROL_FAILED, "out of memory");
}

int watches_new(struct agent *a, struct watches **ret)
{
	struct watches *all = calloc(1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	all->agent = a;
	all->wake = event_new(a->base, -1, 0, on_wake, all);
	if (!all->wake) {
		free(all);
		return -ENOMEM;
	}
	*ret = all;
	return 0;
}

void watches_wake(struct watches *all)
{
	if (all && all->first)
		event_active(all->wake, 0, 0);
}

void watches_free(struct watches *all)
{
	if (!all)
		return;
	while (all->first)
		end_watch(all->first);
	event_free(all->wake);
	free(all);
}
