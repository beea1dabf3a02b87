/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs and workers. A worker's life: STARTING until it says HELLO and its pidfd is here, IDLE, ASKED from a request to
 * its ACK, BUSY until DONE; it is dropped whenever anything else happens. All judgement of time looks into the socket
 * first: when this process was the slow one, nobody is blamed for it.
 */
#include "checker/pool.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checker/pool_internal.h"

enum { TICK_MS = 100 };

static void advance(struct checker *c);
static void on_io(evutil_socket_t fd, short what, void *arg);

void checker_tell(struct checker *c, int level, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (c->ops.on_event)
		c->ops.on_event(level, text, c->ops.ctx);
}

uint32_t checker_next_ticket(struct checker *c)
{
	if (!++c->ticket)
		++c->ticket;
	return c->ticket;
}

static struct timeval until(uint64_t at_ms)
{
	uint64_t now = checker_clock_ms(), left = at_ms > now ? at_ms - now : 0;

	return (struct timeval){ .tv_sec = (time_t)(left / 1000), .tv_usec = (suseconds_t)(left % 1000 * 1000) };
}

static void expire_at(struct checker_worker *w, uint64_t at_ms)
{
	struct timeval t = until(at_ms);

	w->expires_ms = at_ms;
	event_add(&w->timer, &t);
}

/* ---- jobs ---- */

static void job_free(struct checker_job *j)
{
	if (j->socket >= 0)
		close(j->socket);
	explicit_bzero(&j->request + 1, j->request.words_length);
	free(j);
}

static void enqueue(struct checker *c, struct checker_job *j)
{
	j->previous = c->last;
	j->next = NULL;
	if (c->last)
		c->last->next = j;
	else
		c->first = j;
	c->last = j;
	c->queued++;
}

static void dequeue(struct checker *c, struct checker_job *j)
{
	if (j->previous)
		j->previous->next = j->next;
	else
		c->first = j->next;
	if (j->next)
		j->next->previous = j->previous;
	else
		c->last = j->previous;
	c->queued--;
}

/* Nothing of the job may be used after this; done() may begin and cancel others. */
static void finish(struct checker_job *j, enum checker_outcome outcome, const struct plugin_result *r, const char *text)
{
	struct checker *c = j->checker;

	c->counts.checks++;
	c->counts.late += outcome == CHECKER_JOB_LATE;
	c->counts.unknown += outcome == CHECKER_JOB_UNKNOWN;
	j->done(outcome, r, text, j->arg);
	job_free(j);
}

/* ---- workers ---- */

static void drop_worker(struct checker_worker *w)
{
	struct checker *c = w->checker;

	event_del(&w->io);
	event_del(&w->timer);
	close(w->socket);
	if (w->pidfd >= 0)
		close(w->pidfd);
	*w = (struct checker_worker){ .checker = c, .socket = -1, .pidfd = -1 };
}

/* Takes a worker away, with its job if it has one. */
static struct checker_job *end_worker(struct checker_worker *w, bool kill)
{
	struct checker_job *j = w->job;

	if (kill) {
		checker_link_kill(w->checker, w->pidfd);
		w->checker->counts.killed++;
	}
	if (j)
		j->worker = NULL;
	drop_worker(w);
	return j;
}

/* It has ended by itself: the next one is not made at once, should it be a habit. */
static void on_death(struct checker_worker *w)
{
	struct checker *c = w->checker;
	bool was_busy = w->phase == WORKER_BUSY || w->phase == WORKER_ASKED;
	struct checker_job *j = end_worker(w, false);

	c->counts.died++;
	c->spawn_after_ms = checker_clock_ms() + c->backoff_ms;
	c->backoff_ms = c->backoff_ms ? c->backoff_ms * 2 : CHECKER_BACKOFF_MIN_MS;
	if (c->backoff_ms > CHECKER_BACKOFF_MAX_MS)
		c->backoff_ms = CHECKER_BACKOFF_MAX_MS;
	checker_tell(c, LOG_WARNING, "a worker of the checks has died%s; it is replaced",
		     was_busy ? " in the middle of a check" : "");
	if (j)
		finish(j, CHECKER_JOB_UNKNOWN, NULL, "the check's process has died");
	advance(c);
}

static void become_idle(struct checker_worker *w)
{
	if (w->jobs >= CHECKER_JOBS_MAX) {
		end_worker(w, false);
		return;
	}
	w->phase = WORKER_IDLE;
	w->job = NULL;
	w->idle_since_ms = checker_clock_ms();
	event_del(&w->timer);
}

static void on_done(struct checker_worker *w, struct checker_done *m)
{
	struct checker_job *j = w->job;

	w->checker->backoff_ms = 0;
	if (j)
		j->worker = NULL;
	w->job = NULL;
	become_idle(w);
	if (!j)
		return;
	m->result.text[PLUGIN_TEXT_MAX - 1] = '\0';
	if (m->result.code >= PLUGIN_CODE_COUNT)
		finish(j, CHECKER_JOB_UNKNOWN, NULL, "the plugin returned an unknown code");
	else
		finish(j, CHECKER_JOB_DONE, &m->result, NULL);
}

/* One packet of a worker. False when there is none, or the worker is gone. */
static bool take_packet(struct checker_worker *w)
{
	char bytes[CHECKER_MESSAGE_MAX];
	struct checker_head *head = (void *)bytes;
	ptrdiff_t n = checker_receive(w->socket, bytes, sizeof(bytes), NULL);

	if (n == -EAGAIN)
		return false;
	if (n < (ptrdiff_t)sizeof(*head)) {
		on_death(w);
		return false;
	}
	if (head->kind == CHECKER_HELLO && w->phase == WORKER_STARTING && !w->hello) {
		w->hello = true;
		if (w->pidfd >= 0)
			become_idle(w);
	} else if (head->kind == CHECKER_ACK && w->phase == WORKER_ASKED && head->ticket == w->ticket) {
		w->phase = WORKER_BUSY;
	} else if (head->kind == CHECKER_DONE && w->phase == WORKER_BUSY && head->ticket == w->ticket &&
		   n == (ptrdiff_t)sizeof(struct checker_done)) {
		on_done(w, (struct checker_done *)bytes);
	} else {
		/* A plugin has written into our socket: whatever it says now, it is not to be believed. */
		struct checker_job *j = end_worker(w, true);

		checker_tell(w->checker, LOG_ERR, "a worker of the checks talks nonsense; it is replaced");
		if (j)
			finish(j, CHECKER_JOB_UNKNOWN, NULL, "the check's process talks nonsense");
		return false;
	}
	return w->socket >= 0;
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
	struct checker_worker *w = arg;
	struct checker *c = w->checker;
	unsigned packets = 0;

	/* Bounded: one that floods us has its turn, no more. */
	while (packets++ < 4 && w->socket == fd && take_packet(w))
		;
	if (w->phase == WORKER_BUSY)
		expire_at(w, w->deadline_ms + CHECKER_GRACE_MS);
	advance(c);
}

static bool has_packet(const struct checker_worker *w)
{
	struct pollfd p = { .fd = w->socket, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct checker_worker *w = arg;
	struct checker *c = w->checker;
	enum worker_phase phase = w->phase;
	struct checker_job *j;

	if (w->socket < 0 || phase == WORKER_IDLE)
		return;
	if (checker_clock_ms() < w->expires_ms) {
		expire_at(w, w->expires_ms);
		return;
	}
	if (has_packet(w)) {
		on_io(w->socket, EV_READ, w);
		return;
	}
	j = end_worker(w, true);
	if (phase == WORKER_STARTING)
		checker_tell(c, LOG_WARNING, "a worker of the checks does not start; it is replaced");
	else if (phase == WORKER_ASKED)
		checker_tell(c, LOG_WARNING, "a worker of the checks does not begin within %d ms; it is replaced",
			     CHECKER_ACK_MS);
	if (j && phase == WORKER_ASKED)
		finish(j, CHECKER_JOB_UNKNOWN, NULL, "the check's process did not begin in time");
	else if (j)
		finish(j, CHECKER_JOB_LATE, NULL, "no end within the time-out; the check's process was killed");
	advance(c);
}

static bool spawn_worker(struct checker *c)
{
	struct checker_worker *w = NULL;
	uint32_t ticket = checker_next_ticket(c);
	int socket;
	size_t i;

	for (i = 0; i < CHECKER_WORKERS_MAX && !w; i++)
		if (c->workers[i].phase == WORKER_FREE)
			w = &c->workers[i];
	if (!w || checker_clock_ms() < c->spawn_after_ms || checker_link_spawn(c, CHECKER_MAKE_WORKER, ticket, &socket) < 0)
		return false;
	*w = (struct checker_worker){
		.checker = c, .phase = WORKER_STARTING, .socket = socket, .pidfd = -1, .ticket = ticket,
	};
	event_assign(&w->io, c->base, socket, EV_READ | EV_PERSIST, on_io, w);
	event_assign(&w->timer, c->base, -1, 0, on_timer, w);
	event_add(&w->io, NULL);
	expire_at(w, checker_clock_ms() + CHECKER_SPAWN_MS);
	c->counts.spawned++;
	return true;
}

void checker_worker_spawned(struct checker *c, uint32_t ticket, int pid, int pidfd)
{
	size_t i;

	for (i = 0; i < CHECKER_WORKERS_MAX; i++) {
		struct checker_worker *w = &c->workers[i];

		if (w->phase != WORKER_STARTING || w->ticket != ticket)
			continue;
		if (pid < 0) {
			checker_tell(c, LOG_ERR, "no further worker for the checks can be made: %s", strerror(-pid));
			c->spawn_after_ms = checker_clock_ms() + CHECKER_BACKOFF_MAX_MS;
			drop_worker(w);
			break;
		}
		w->pidfd = pidfd;
		if (w->hello)
			become_idle(w);
		advance(c);
		return;
	}
	if (pidfd >= 0)
		close(pidfd);
}

/* ---- who does what ---- */

/* The one that has worked last: its plugin is warm, and the others get old enough to go. */
static struct checker_worker *idle_worker(struct checker *c)
{
	struct checker_worker *best = NULL;
	size_t i;

	for (i = 0; i < CHECKER_WORKERS_MAX; i++) {
		struct checker_worker *w = &c->workers[i];

		if (w->phase == WORKER_IDLE && (!best || w->idle_since_ms > best->idle_since_ms))
			best = w;
	}
	return best;
}

static void dispatch(struct checker_worker *w, struct checker_job *j)
{
	uint64_t now = checker_clock_ms();
	int r;

	j->request.head = (struct checker_head){ .kind = CHECKER_CHECK, .ticket = checker_next_ticket(w->checker) };
	/* From the next whole ms: the one that runs has begun already. */
	j->request.connect_deadline_ms = now + 1 + j->connect_ms;
	j->request.deadline_ms = now + 1 + j->total_ms;
	j->request.steered = j->socket >= 0;
	r = checker_send(w->socket, &j->request, sizeof(j->request) + j->request.words_length, j->socket);
	/* The worker's copy is the only one: its end is the connection's. */
	if (j->socket >= 0)
		close(j->socket);
	j->socket = -1;
	w->job = j;
	w->jobs++;
	w->deadline_ms = j->request.deadline_ms;
	w->ticket = j->request.head.ticket;
	j->worker = w;
	w->phase = WORKER_ASKED;
	/* A failed send is a dead worker: its socket's end is read next. */
	expire_at(w, now + (r < 0 ? 0 : CHECKER_ACK_MS));
}

static unsigned count_phase(const struct checker *c, enum worker_phase phase)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < CHECKER_WORKERS_MAX; i++)
		n += c->workers[i].phase == phase;
	return n;
}

/* Gives queued jobs to idle workers, and makes workers for the rest. */
static void advance(struct checker *c)
{
	struct checker_worker *w;
	unsigned starting;

	while (c->first && (w = idle_worker(c))) {
		struct checker_job *j = c->first;

		dequeue(c, j);
		dispatch(w, j);
	}
	if (!c->first)
		return;
	starting = count_phase(c, WORKER_STARTING);
	while (starting < c->queued && spawn_worker(c))
		starting++;
}

static void give_up_queued(struct checker *c, uint64_t now)
{
	/* Those at the front have waited longest, but not all are as patient: a full pass, in slices of one tick each. */
	struct checker_job *j = c->first, *next;
	unsigned left = c->queued;

	for (; j && left; j = next, left--) {
		next = j->next;
		if (now < j->give_up_ms)
			continue;
		dequeue(c, j);
		finish(j, CHECKER_JOB_UNKNOWN, NULL, "no process had time for the check");
		/* done() may have changed the queue: start over. */
		next = c->first;
		left = c->queued;
	}
}

static void retire_idle(struct checker *c, uint64_t now)
{
	unsigned idle = count_phase(c, WORKER_IDLE);
	size_t i;

	for (i = 0; i < CHECKER_WORKERS_MAX && idle > 1; i++) {
		struct checker_worker *w = &c->workers[i];

		if (w->phase != WORKER_IDLE || now - w->idle_since_ms < CHECKER_IDLE_MS)
			continue;
		end_worker(w, false);
		idle--;
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct checker *c = arg;
	uint64_t now = checker_clock_ms();

	checker_link_mend(c, now);
	give_up_queued(c, now);
	retire_idle(c, now);
	advance(c);
}

/* ---- the pool ---- */

int checker_new(struct event_base *base, const char *program, const struct checker_ops *ops, struct checker **ret,
		char error[CHECKER_POOL_ERROR_MAX])
{
	const struct timeval tick = { .tv_usec = TICK_MS * 1000 };
	struct checker *c = calloc(1, sizeof(*c));
	size_t i;
	int r;

	if (!c) {
		snprintf(error, CHECKER_POOL_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	c->base = base;
	c->ops = *ops;
	c->ticket = (uint32_t)checker_clock_ms() << 8; /* answers to a former program's requests are nobody's */
	for (i = 0; i < CHECKER_WORKERS_MAX; i++)
		c->workers[i] = (struct checker_worker){ .checker = c, .socket = -1, .pidfd = -1 };
	event_assign(&c->tick, base, -1, EV_PERSIST, on_tick, c);
	command_runner_init(c);
	r = checker_link_start(c, program, error);
	if (r < 0) {
		free(c);
		return r;
	}
	event_add(&c->tick, &tick);
	*ret = c;
	return 0;
}

void checker_free(struct checker *c)
{
	size_t i;

	if (!c)
		return;
	event_del(&c->tick);
	for (i = 0; i < CHECKER_WORKERS_MAX; i++) {
		struct checker_job *j;

		if (c->workers[i].phase == WORKER_FREE)
			continue;
		j = end_worker(&c->workers[i], c->workers[i].phase != WORKER_IDLE);
		if (j)
			job_free(j);
	}
	while (c->first) {
		struct checker_job *j = c->first;

		dequeue(c, j);
		job_free(j);
	}
	command_runner_done(c);
	checker_link_stop(c);
	free(c);
}

static struct checker_job *make_job(const struct checker_check *check)
{
	const struct checker_words *words = &check->words;
	struct checker_job *j = calloc(1, sizeof(*j) + words->length);

	if (!j)
		return NULL;
	j->connect_ms = check->connect_ms;
	j->total_ms = check->total_ms;
	j->give_up_ms = checker_clock_ms() + check->total_ms + CHECKER_SPAWN_MS;
	j->socket = check->socket;
	j->request.port = check->at.port;
	j->request.family = check->at.addr.family;
	memcpy(j->request.address, check->at.addr.bytes, sizeof(j->request.address));
	j->request.words_length = (uint32_t)words->length;
	j->request.word_count = words->count;
	memcpy(&j->request + 1, words->bytes, words->length);
	return j;
}

int checker_begin(struct checker *c, const struct checker_check *check,
		  void (*done)(enum checker_outcome outcome, const struct plugin_result *result, const char *text,
			       void *arg),
		  void *arg, struct checker_job **ret_job)
{
	struct checker_job *j = NULL;
	int r = 0;

	if (c->queued >= CHECKER_QUEUE_MAX)
		r = -ENOSPC;
	else if (check->words.length > CHECKER_WORDS_MAX)
		r = -E2BIG;
	else if (!checker_link_is_up(c) && !idle_worker(c))
		r = -ENOTCONN;
	else if (!(j = make_job(check)))
		r = -ENOMEM;
	if (!j) {
		if (check->socket >= 0)
			close(check->socket);
		return r;
	}
	j->checker = c;
	j->done = done;
	j->arg = arg;
	enqueue(c, j);
	*ret_job = j;
	advance(c);
	return 0;
}

void checker_cancel(struct checker_job *j)
{
	if (j->worker)
		j->worker->job = NULL;
	else
		dequeue(j->checker, j);
	job_free(j);
}

void checker_count(const struct checker *c, struct checker_counts *ret)
{
	size_t i;

	*ret = c->counts;
	ret->busy = count_phase(c, WORKER_BUSY) + count_phase(c, WORKER_ASKED);
	ret->workers = ret->busy + count_phase(c, WORKER_IDLE) + count_phase(c, WORKER_STARTING);
	ret->queued = c->queued;
	for (i = 0; i < CHECKER_TEMPLATES; i++)
		ret->templates += c->templates[i].socket >= 0;
}
