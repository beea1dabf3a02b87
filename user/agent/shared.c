/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/shared.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "agent/agent.h"

struct waiting {
	struct shared *shared;
	struct waiting *next;
	struct shared_wait wait;
	char failed[DATAPLANE_ERROR_MAX]; /* "" = nothing has */
};

struct shared {
	struct agent *agent;
	struct event *answer, *late;
	struct waiting *waiting;
};

static void waiting_free(struct waiting *w)
{
	struct waiting **at = &w->shared->waiting;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	json_decref(w->wait.reply);
	free(w);
}

/* Who asked has gone; what was asked for is done all the same. */
static void on_gone(void *ctx)
{
	waiting_free(ctx);
}

bool shared_wait(struct shared *s, const struct shared_wait *wait)
{
	struct waiting *w = s ? calloc(1, sizeof(*w)) : NULL;

	if (!w)
		return false;
	w->shared = s;
	w->wait = *wait;
	w->next = s->waiting;
	s->waiting = w;
	control_on_gone(wait->request, on_gone, w);
	return true;
}

/* name "": of whichever. */
static void note_failure(struct shared *s, const char *name, const char *text)
{
	for (struct waiting *w = s->waiting; w; w = w->next)
		if (!w->failed[0] && (!name[0] || !w->wait.name[0] || strcmp(w->wait.name, name) == 0))
			snprintf(w->failed, sizeof(w->failed), "%s", text);
}

static void answer_waiting(struct shared *s)
{
	while (s->waiting) {
		struct waiting *w = s->waiting;

		w->wait.done(s->agent, &w->wait, w->failed[0] ? w->failed : NULL);
		w->wait.reply = NULL;
		waiting_free(w);
	}
}

static void on_late(evutil_socket_t fd, short what, void *ctx)
{
	const struct shared *s = ctx;

	log_event(s->agent->log, LOG_WARNING, "attach_late", "waited_ms=%d text=%s", SHARED_LATE_MS,
		  log_quoted("libxdp does not answer: does another tool hold its lock (fuser -v /sys/fs/bpf/xdp)? What it "
			     "is asked is done when it can"));
}

static void lose(struct shared *s)
{
	static const char text[] = "the process that asks libxdp (alwaysond-xdp) has ended: `xdp shared` interfaces can neither be "
				   "attached nor taken out of its dispatcher; start the agent anew";

	event_del(s->answer);
	note_failure(s, "", text);
	agent_attach_failed(s->agent, text);
}

static void on_answer(evutil_socket_t fd, short what, void *ctx)
{
	struct dataplane_heard h;
	struct shared *s = ctx;
	struct agent *a = s->agent;
	bool heard = false;
	int r;

	while ((r = dataplane_hear(a->dataplane, &h)) > 0) {
		heard = true;
		interfaces_heard(a, &h);
		if (h.r < 0)
			note_failure(s, h.name, h.error);
	}
	if (r < 0)
		lose(s);
	if (!heard && r == 0)
		return;
	interfaces_go_on(a);
	reconcile_addresses_changed(a->reconcile);
	agent_run_soon(a);
	if (!dataplane_is_asking(a->dataplane))
		answer_waiting(s);
}

void shared_expect(struct shared *s)
{
	const struct timeval late = { .tv_sec = SHARED_LATE_MS / 1000, .tv_usec = SHARED_LATE_MS % 1000 * 1000 };

	if (!s)
		return;
	if (!dataplane_is_asking(s->agent->dataplane))
		event_del(s->late);
	else if (!evtimer_pending(s->late, NULL))
		evtimer_add(s->late, &late);
}

int shared_new(struct agent *a, struct shared **ret)
{
	const int fd = dataplane_sharing(a->dataplane);
	struct shared *s;

	*ret = NULL;
	if (fd < 0)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->agent = a;
	s->answer = event_new(a->base, fd, EV_READ | EV_PERSIST, on_answer, s);
	s->late = evtimer_new(a->base, on_late, s);
	if (!s->answer || !s->late || event_add(s->answer, NULL)) {
		shared_free(s);
		return -ENOMEM;
	}
	*ret = s;
	return 0;
}

void shared_free(struct shared *s)
{
	if (!s)
		return;
	while (s->waiting) {
		control_fail(s->waiting->wait.request, CONTROL_FAILED, "the agent is stopping");
		waiting_free(s->waiting);
	}
	if (s->answer)
		event_free(s->answer);
	if (s->late)
		event_free(s->late);
	free(s);
}

static const char *first_shared(const struct model *m)
{
	for (size_t i = 0; i < m->global.interfaces.count; i++)
		if (m->global.interfaces.items[i].mode == MODEL_XDP_SHARED)
			return m->global.interfaces.items[i].name;
	return NULL;
}

int shared_check(const struct agent *a, const struct model *m, char *error, size_t size)
{
	const char *name = first_shared(m), *refused = dataplane_sharing_refused(a->dataplane);

	if (!name || first_shared(a->model) || !refused)
		return 0;
	if (dataplane_sharing(a->dataplane) >= 0) {
		snprintf(error, size, "interface %s: %.400s; nothing has changed", name, refused);
		return -EPERM;
	}
	snprintf(error, size, "interface %s: the first `xdp shared` takes a process with CAP_SYS_ADMIN, which this agent has "
			      "given up and can't start any more; nothing has changed. Let another agent take over, and no "
			      "connection ends: kill -USR2 %d, and start it (systemctl restart; the unit needs a drop-in, see "
			      "\"An interface that others share\" in the manual)", name, (int)getpid());
	return -EPERM;
}
