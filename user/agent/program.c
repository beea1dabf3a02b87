/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue of replacements: the first one is under way. */
#include "agent/program.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>

#include "agent/explain_packet.h"
#include "agent/thread.h"
#include "base/cleanup.h"

enum { JOIN_MS = 30000, LATER_MS = 20 };

struct program {
	struct agent *agent;
	struct program *after;
	uint32_t slots;
	struct dataplane_switches switches;
	bool switches_stay;
	void (*done)(int r, const char *error, void *ctx);
	void *ctx;
	pthread_t thread;
	bool threaded;
	struct event *loaded;
	int done_fd;
	/* The thread's until it has said that it is done. */
	struct dataplane_next *next;
	int result;
	char error[DATAPLANE_ERROR_MAX];
};

static void program_free(struct program *p)
{
	if (p->loaded)
		event_free(p->loaded);
	cleanup_close(&p->done_fd);
	dataplane_next_free(p->next);
	free(p);
}

static void *load_thread(void *arg)
{
	struct program *p = arg;

	p->result = dataplane_prepare(p->agent->dataplane, p->slots, &p->switches, &p->next, p->error);
	eventfd_write(p->done_fd, 1);
	return NULL;
}

static void on_loaded(evutil_socket_t fd, short what, void *ctx);

static int begin(struct program *p)
{
	int r;

	if (p->switches_stay)
		p->switches = *dataplane_switches(p->agent->dataplane);
	p->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->done_fd < 0)
		return -errno;
	p->loaded = event_new(p->agent->base, p->done_fd, EV_READ, on_loaded, p);
	if (!p->loaded || event_add(p->loaded, NULL))
		return -ENOMEM;
	r = thread_start(&p->thread, "load", load_thread, p);
	p->threaded = r == 0;
	return r;
}

/* The first of the queue is over; the next one begins before anybody is told, who may ask for more. */
static void finish(struct program *p, int r)
{
	struct agent *a = p->agent;

	for (a->program = p->after; a->program; ) {
		struct program *next = a->program;
		int e = begin(next);

		if (e == 0)
			break;
		a->program = next->after;
		next->done(e, strerror(-e), next->ctx);
		program_free(next);
	}
	p->done(r, p->error, p->ctx);
	program_free(p);
}

static int put_in_place(struct program *p)
{
	struct agent *a = p->agent;
	int r = dataplane_commit(a->dataplane, p->next, p->error);

	if (r < 0)
		return r;
	if (p->error[0])
		log_event(a->log, LOG_WARNING, "program_replaced", "text=%s", log_quoted(p->error));
	else
		log_event(a->log, LOG_NOTICE, "program_replaced", "slots=%u", dataplane_maps(a->dataplane)->slot_count);
	r = reconcile_slots_grown(a->reconcile);
	if (r < 0)
		snprintf(p->error, sizeof(p->error), "out of memory");
	/* Whoever has waited for room has it. */
	agent_run_soon(a);
	return r;
}

static void on_loaded(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval later = { .tv_usec = LATER_MS * 1000 };
	eventfd_t count;
	struct program *p = ctx;

	eventfd_read(p->done_fd, &count);
	if (p->threaded)
		thread_join(p->thread, JOIN_MS);
	p->threaded = false;
	event_del(p->loaded);
	/* A dry run that is being opened reads the old program: it is let finish. */
	if (explainer_is_running(p->agent->explainer))
		event_add(p->loaded, &later);
	else
		finish(p, p->result < 0 ? p->result : put_in_place(p));
}

int program_replace(struct agent *a, uint32_t slots, const struct dataplane_switches *switches,
		    void (*done)(int r, const char *error, void *ctx), void *ctx)
{
	struct program *p = calloc(1, sizeof(*p)), **last = &a->program;
	int r;

	if (!p)
		return -ENOMEM;
	*p = (struct program){ .agent = a, .slots = slots, .switches_stay = !switches, .done = done, .ctx = ctx,
			       .done_fd = -1 };
	if (switches)
		p->switches = *switches;
	r = a->program ? 0 : begin(p);
	if (r < 0) {
		program_free(p);
		return r;
	}
	while (*last)
		last = &(*last)->after;
	*last = p;
	return 0;
}

static void on_grown(int r, const char *error, void *ctx)
{
	struct agent *a = ctx;

	if (r == 0)
		return;
	reconcile_slots_grown(a->reconcile);
	if (!a->running)
		agent_run_soon(a); /* the start has waited for it */
	log_event(a->log, LOG_ERR, "slots_short", "error=%s text=%s", log_quoted(error),
		  log_quoted("some backend's table has no room to change; it is tried again at the next change"));
}

void program_grow(struct agent *a)
{
	int r = program_replace(a, reconcile_slots_more(a->reconcile), NULL, on_grown, a);

	if (r < 0)
		on_grown(r, strerror(-r), a);
}

void program_stop(struct agent *a)
{
	while (a->program) {
		struct program *p = a->program;

		a->program = p->after;
		if (p->threaded && thread_join(p->thread, JOIN_MS) < 0)
			continue; /* what it may still touch is left to it; the process is about to end */
		program_free(p);
	}
}
