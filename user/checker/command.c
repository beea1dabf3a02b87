/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * External commands, the agent's end. The process that runs them is made when the first one is wanted, and anew when it
 * has died; what it was asked for then is UNKNOWN. Called by agent/; the templates are link.c's.
 */
#include "checker/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "checker/pool_internal.h"

enum { LOOK_MS = 200 };

static void drop(struct command_runner *r, bool kill)
{
	if (r->socket < 0)
		return;
	if (kill)
		checker_link_kill(r->checker, r->pidfd);
	event_del(&r->io);
	event_del(&r->timer);
	close(r->socket);
	if (r->pidfd >= 0)
		close(r->pidfd);
	r->socket = r->pidfd = -1;
	r->birth = 0;
}

static void forget(struct command_job *j)
{
	struct command_job **at = &j->runner->jobs;

	while (*at != j)
		at = &(*at)->next;
	*at = j->next;
	j->runner->running--;
}

/* Nothing of the job may be used after this; done() may begin and cancel others. */
static void finish(struct command_job *j, enum command_end end, int value)
{
	void (*done)(enum command_end, int, void *) = j->done;
	void *arg = j->arg;

	forget(j);
	free(j);
	done(end, value, arg);
}

static void lose(struct command_runner *r, bool kill, const char *why)
{
	struct command_job *j;

	drop(r, kill);
	r->backoff_ms = r->backoff_ms ? r->backoff_ms * 2 : CHECKER_BACKOFF_MIN_MS;
	if (r->backoff_ms > CHECKER_BACKOFF_MAX_MS)
		r->backoff_ms = CHECKER_BACKOFF_MAX_MS;
	r->begin_after_ms = checker_clock_ms() + r->backoff_ms;
	checker_tell(r->checker, LOG_WARNING, "the process that runs commands %s; it is replaced", why);
	/* Not one that done() begins: it would have to wait for the new process. */
	while ((j = r->jobs) != NULL)
		finish(j, COMMAND_UNKNOWN, EPIPE);
}

static void on_packet(evutil_socket_t fd, short what, void *arg)
{
	struct command_runner *r = arg;
	struct command_ran m;
	struct command_job *j;
	ptrdiff_t n = checker_receive(fd, &m, sizeof(m), NULL);

	if (n == -EAGAIN)
		return;
	if (n != (ptrdiff_t)sizeof(m) || m.head.kind != CHECKER_RAN || m.end > COMMAND_UNKNOWN) {
		lose(r, true, n > 0 ? "talks nonsense" : "has died");
		return;
	}
	r->backoff_ms = 0;
	for (j = r->jobs; j && j->ticket != m.head.ticket; j = j->next)
		;
	if (j) /* else it was cancelled meanwhile */
		finish(j, m.end, m.value);
}

/* It keeps the deadlines itself; here only whether it still does. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct command_runner *r = arg;
	uint64_t now = checker_clock_ms();

	for (struct command_job *j = r->jobs; j; j = j->next)
		if (now >= j->give_up_ms) {
			lose(r, true, "does not answer");
			return;
		}
}

void command_runner_init(struct checker *c)
{
	c->runner = (struct command_runner){ .checker = c, .socket = -1, .pidfd = -1 };
}

void command_runner_done(struct checker *c)
{
	struct command_job *j;

	while ((j = c->runner.jobs) != NULL) {
		forget(j);
		free(j);
	}
	drop(&c->runner, false);
}

bool command_runner_spawned(struct checker *c, uint32_t ticket, int pid, int pidfd)
{
	struct command_runner *r = &c->runner;

	if (r->socket < 0 || r->birth != ticket)
		return false;
	r->birth = 0;
	r->pidfd = pidfd;
	if (pid < 0)
		lose(r, false, "can't be made");
	return true;
}

static int ensure(struct command_runner *r)
{
	const struct timeval look = { .tv_usec = LOOK_MS * 1000 };
	struct checker *c = r->checker;
	uint32_t ticket;
	int e;

	if (r->socket >= 0)
		return 0;
	if (checker_clock_ms() < r->begin_after_ms)
		return -ENOTCONN;
	ticket = checker_next_ticket(c);
	e = checker_link_spawn(c, CHECKER_MAKE_RUNNER, ticket, &r->socket);
	if (e < 0)
		return e;
	r->birth = ticket;
	event_assign(&r->io, c->base, r->socket, EV_READ | EV_PERSIST, on_packet, r);
	event_assign(&r->timer, c->base, -1, EV_PERSIST, on_timer, r);
	event_add(&r->io, NULL);
	event_add(&r->timer, &look);
	return 0;
}

static int ask(struct command_runner *r, const struct command_line *line, uint32_t ticket, uint64_t deadline_ms)
{
	char bytes[sizeof(struct command_run) + COMMAND_BYTES_MAX] = {};
	struct command_run *m = (void *)bytes;

	*m = (struct command_run){
		.head = { .kind = CHECKER_RUN, .ticket = ticket }, .deadline_ms = deadline_ms, .argc = line->argc,
		.envc = line->envc, .length = (uint32_t)line->length,
	};
	memcpy(bytes + sizeof(*m), line->bytes, line->length);
	return checker_send(r->socket, bytes, sizeof(*m) + line->length, -1);
}

int command_begin(struct checker *c, const struct command_line *line, uint32_t total_ms,
		  void (*done)(enum command_end end, int value, void *arg), void *arg, struct command_job **ret_job)
{
	struct command_runner *r = &c->runner;
	const uint64_t deadline_ms = checker_clock_ms() + 1 + total_ms; /* from the next whole ms */
	struct command_job *j;
	int e;

	if (line->length > COMMAND_BYTES_MAX || line->argc + line->envc > COMMAND_WORDS_MAX)
		return -E2BIG;
	if (r->running == COMMANDS_MAX)
		return -EAGAIN;
	e = ensure(r);
	if (e < 0)
		return e;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	*j = (struct command_job){ .runner = r, .ticket = checker_next_ticket(c), .done = done, .arg = arg,
				   .give_up_ms = deadline_ms + COMMAND_GRACE_MS };
	e = ask(r, line, j->ticket, deadline_ms);
	if (e < 0) {
		free(j);
		return e;
	}
	j->next = r->jobs;
	r->jobs = j;
	r->running++;
	*ret_job = j;
	return 0;
}

void command_cancel(struct command_job *job)
{
	const struct checker_head m = { .kind = CHECKER_CANCEL, .ticket = job->ticket };

	if (job->runner->socket >= 0)
		checker_send(job->runner->socket, &m, sizeof(m), -1);
	forget(job);
	free(job);
}
