/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/explain_packet.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/thread.h"
#include "base/cleanup.h"

enum { JOIN_MS = 30000 };

/* One request. */
struct job {
	STAILQ_ENTRY(job) link;
	struct explainer *explainer;
	struct control_request *request; /* NULL: the peer is gone */
	struct explain_ask ask;
	uint64_t copy;          /* asked for; 0 = a new one */
	/* Of the run: */
	int result;
	char error[DATAPLANE_ERROR_MAX];
	struct dry_run_result told;
	uint8_t frame[DRY_RUN_PACKET_MAX];
};

struct explainer {
	struct agent *agent;
	struct dry_run *dry;    /* the thread's while it runs */
	bool forget;            /* a reload came meanwhile */
	bool running;
	bool again;             /* the run under way copies the tables first */
	uint64_t copy;          /* number of the copies that dry works on; 0 = none */
	uint64_t copies;        /* made so far */
	pthread_t thread;
	int done_fd;            /* thread -> loop */
	struct event *done, *drop;
	STAILQ_HEAD(, job) jobs; /* the first one is running */
};

static void start_next(struct explainer *e);

/* In the thread. The loop leaves everything of the job and the dry run alone until done_fd says so. */
static void *run(void *arg)
{
	struct explainer *e = arg;
	struct job *j = STAILQ_FIRST(&e->jobs);
	const uint64_t one = 1;

	j->result = e->dry ? 0 : dry_run_open(e->agent->dataplane, &e->dry, j->error);
	if (j->result == 0 && e->again) {
		j->result = dry_run_copy(e->dry);
		if (j->result < 0)
			snprintf(j->error, sizeof(j->error), "cannot copy the tables: %s", strerror(-j->result));
	}
	if (j->result == 0) {
		memcpy(j->frame, j->ask.frame, sizeof(j->ask.frame));
		j->result = dry_run_packet(e->dry, j->ask.ifindex, j->frame, j->ask.length, &j->told);
		if (j->result < 0)
			snprintf(j->error, sizeof(j->error), "the kernel does not take the packet: %s",
				 strerror(-j->result));
	}
	while (write(e->done_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	return NULL;
}

static void drop(struct explainer *e)
{
	dry_run_close(e->dry);
	e->dry = NULL;
	e->copy = 0;
	e->forget = false;
}

static void on_drop(evutil_socket_t fd, short what, void *arg)
{
	struct explainer *e = arg;

	if (!e->running)
		drop(e);
}

static void answer(struct explainer *e, struct job *j)
{
	json_t *reply;

	if (!j->request)
		return;
	if (j->result < 0) {
		control_fail(j->request, CONTROL_FAILED, "%s", j->error);
		return;
	}
	reply = explain_steps_json(e->agent, j->ask.interface, j->ask.frame, j->ask.length, &j->told);
	if (reply)
		json_object_set_new(reply, "copy", json_integer((json_int_t)e->copy));
	control_reply(j->request, reply);
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval keep = { .tv_sec = EXPLAIN_KEEP_S };
	struct explainer *e = arg;
	struct job *j = STAILQ_FIRST(&e->jobs);
	uint64_t n;

	if (read(fd, &n, sizeof(n)) < 0)
		return;
	thread_join(e->thread, JOIN_MS); /* it has nothing left to do */
	e->running = false;
	if (e->again)
		e->copy = j->result < 0 ? 0 : ++e->copies;
	STAILQ_REMOVE_HEAD(&e->jobs, link);
	answer(e, j);
	free(j);
	if (e->forget)
		drop(e);
	evtimer_add(e->drop, &keep);
	start_next(e);
}

static void start_next(struct explainer *e)
{
	struct job *j = STAILQ_FIRST(&e->jobs);
	int r;

	if (!j || e->running)
		return;
	e->again = !j->copy || j->copy != e->copy;
	r = thread_start(&e->thread, "explain", run, e);
	if (r == 0) {
		e->running = true;
		return;
	}
	STAILQ_REMOVE_HEAD(&e->jobs, link);
	if (j->request)
		control_fail(j->request, CONTROL_FAILED, "cannot start a thread: %s", strerror(-r));
	free(j);
	start_next(e);
}

static int explainer_new(struct agent *a, struct explainer **ret)
{
	struct explainer *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->agent = a;
	STAILQ_INIT(&e->jobs);
	e->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e->done_fd < 0) {
		free(e);
		return -errno;
	}
	e->done = event_new(a->base, e->done_fd, EV_READ | EV_PERSIST, on_done, e);
	e->drop = evtimer_new(a->base, on_drop, e);
	if (!e->done || !e->drop || event_add(e->done, NULL)) {
		explainer_free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

void explainer_free(struct explainer *e)
{
	struct job *j;

	if (!e)
		return;
	if (e->running)
		thread_join(e->thread, JOIN_MS);
	while ((j = STAILQ_FIRST(&e->jobs))) {
		STAILQ_REMOVE_HEAD(&e->jobs, link);
		free(j);
	}
	dry_run_close(e->dry);
	if (e->done)
		event_free(e->done);
	if (e->drop)
		event_free(e->drop);
	close(e->done_fd);
	free(e);
}

bool explainer_is_running(const struct explainer *e)
{
	return e && e->running;
}

void explainer_forget(struct explainer *e)
{
	if (!e)
		return;
	if (e->running)
		e->forget = true;
	else
		drop(e);
}

/* A run under way is not broken off; one that waits is not begun. */
static void on_gone(void *ctx)
{
	struct job *j = ctx;
	struct explainer *e = j->explainer;

	j->request = NULL;
	if (e->running && j == STAILQ_FIRST(&e->jobs))
		return;
	STAILQ_REMOVE(&e->jobs, j, job, link);
	free(j);
}

static void ask(struct agent *a, struct control_request *r, const struct explain_ask *what, uint64_t copy)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j || (!a->explainer && explainer_new(a, &a->explainer) < 0)) {
		free(j);
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	j->explainer = a->explainer;
	j->request = r;
	j->ask = *what;
	j->copy = copy;
	STAILQ_INSERT_TAIL(&a->explainer->jobs, j, link);
	control_on_gone(r, on_gone, j);
	start_next(a->explainer);
}

void verb_explain_packet(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	char error[DATAPLANE_ERROR_MAX];
	struct explain_ask what;

	if (explain_build(ctx, argv[0], argv[1], argc > 2 ? argv[2] : "syn", &what, error) < 0)
		control_fail(r, CONTROL_FAILED, "%s", error);
	else
		ask(ctx, r, &what, 0);
}

void verb_explain_frame(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	char error[DATAPLANE_ERROR_MAX], *end = NULL;
	struct explain_ask what;
	uint64_t copy = 0;

	if (argc > 3) {
		errno = 0;
		copy = strtoull(argv[3], &end, 10);
		if (errno || *end || argv[3][0] < '0' || argv[3][0] > '9') {
			control_fail(r, CONTROL_USAGE, "%s: COPY is the number that an earlier reply gave", argv[3]);
			return;
		}
	}
	if (explain_read(ctx, argv[0], argv[1], argv[2], &what, error) < 0)
		control_fail(r, CONTROL_FAILED, "%s", error);
	else
		ask(ctx, r, &what, copy);
}
