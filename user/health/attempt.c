/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sockets of the checks. Called by server.c, and by libevent. What it reads comes from a server that may be broken
 * or hostile: no more than STATUS_LINE_MAX bytes are looked at and no more time than the deadline is spent on it.
 * A check ends by RST, as HAProxy's of TCP do: no TIME_WAIT here, and, since the handshake's last ACK is held back,
 * a plain TCP check is never seen by the server's application.
 */
#include "health/attempt.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"

static void attempt_step(struct attempt *a);

uint64_t attempt_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Closes by RST: whatever the peer still has to say is not wanted, and a TIME_WAIT per check would eat the ports. */
static void attempt_close(struct attempt *a)
{
	struct linger rst = { .l_onoff = 1, .l_linger = 0 };

	if (a->fd >= 0) {
		event_del(&a->io);
		setsockopt(a->fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
		close(a->fd);
	}
	a->fd = -1;
	a->phase = ATTEMPT_IDLE;
}

void attempt_cancel(struct attempt *a)
{
	attempt_close(a);
}

/* Nothing may touch the attempt after this: on_done may start it again or free it. */
static void attempt_finish(struct attempt *a, const struct check_result *r)
{
	attempt_close(a);
	a->on_done(a, r);
}

static void attempt_finish_as(struct attempt *a, enum check_code code, const char *detail)
{
	struct check_result r;

	check_result_set(&r, code, detail);
	attempt_finish(a, &r);
}

static void attempt_finish_connect(struct attempt *a, int error, bool came_late)
{
	struct check_result r;

	check_result_from_connect(&r, error, came_late);
	attempt_finish(a, &r);
}

static void attempt_finish_io(struct attempt *a, int error)
{
	struct check_result r;

	check_result_from_io(&r, error);
	attempt_finish(a, &r);
}

static void attempt_expire(struct attempt *a)
{
	if (a->phase == ATTEMPT_CONNECTING)
		attempt_finish_as(a, CHECK_L4TOUT, NULL);
	else
		attempt_finish_as(a, CHECK_L7TOUT, a->line.length ? "status line incomplete" : "no answer");
}

static void attempt_on_io(evutil_socket_t fd, short what, void *arg);

static void attempt_wait(struct attempt *a, short what)
{
	uint64_t now = attempt_clock_ms();
	struct timeval left;

	if (now >= a->deadline_ms) {
		attempt_expire(a);
		return;
	}
	left.tv_sec = (time_t)((a->deadline_ms - now) / 1000);
	left.tv_usec = (suseconds_t)((a->deadline_ms - now) % 1000 * 1000);
	event_assign(&a->io, a->base, a->fd, what, attempt_on_io, a);
	if (event_add(&a->io, &left) < 0)
		attempt_finish_as(a, CHECK_SOCKERR, "cannot wait for the socket");
}

static bool is_ready(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what & EV_READ ? POLLIN : POLLOUT };

	return poll(&p, 1, 0) > 0;
}

static void attempt_on_io(evutil_socket_t fd, short what, void *arg)
{
	struct attempt *a = arg;
	short wanted = a->phase == ATTEMPT_RECEIVING ? EV_READ : EV_WRITE;

	/*
	 * libevent tells of a time-out alone even if the socket became ready in the same turn, and counts from a cached
	 * time: an answer that came in time while the loop was busy must not be taken for none.
	 */
	if (!(what & wanted) && !is_ready(fd, wanted))
		attempt_wait(a, wanted);
	else
		attempt_step(a);
}

static bool is_expected(const struct attempt_target *t, unsigned code)
{
	size_t i;

	if (!t->expect_count)
		return code >= 200 && code <= 399;
	for (i = 0; i < t->expect_count; i++)
		if (code >= t->expect[i].low && code <= t->expect[i].high)
			return !t->expect_negated;
	return t->expect_negated;
}

static void attempt_judge(struct attempt *a)
{
	bool good = is_expected(a->target, a->line.code);
	struct check_result r;

	check_result_set(&r, good ? CHECK_L7OK : CHECK_L7STS, good ? NULL : a->line.reason);
	r.http_status = a->line.code;
	attempt_finish(a, &r);
}

static void attempt_receive(struct attempt *a)
{
	char buf[STATUS_LINE_MAX];
	ssize_t n;

	/* Ends: each round takes at least a byte, and the line is full after STATUS_LINE_MAX of them. */
	while (a->line.state == STATUS_LINE_MORE) {
		n = recv(a->fd, buf, sizeof(buf), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			attempt_wait(a, EV_READ);
			return;
		}
		if (n < 0) {
			attempt_finish_io(a, errno);
			return;
		}
		if (!n) {
			attempt_finish_as(a, CHECK_L7RSP,
					  a->line.length ? "closed within the status line" : "no answer, closed");
			return;
		}
		status_line_feed(&a->line, buf, (size_t)n);
	}
	if (a->line.state == STATUS_LINE_DONE)
		attempt_judge(a);
	else
		attempt_finish_as(a, CHECK_L7RSP,
				  a->line.state == STATUS_LINE_LONG ? "status line too long" : "not HTTP/1.x");
}

static void attempt_send(struct attempt *a)
{
	const struct attempt_target *t = a->target;
	ssize_t n;

	while (a->sent < t->request_length) {
		n = send(a->fd, t->request + a->sent, t->request_length - a->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			attempt_wait(a, EV_WRITE);
			return;
		}
		if (n < 0) {
			attempt_finish_io(a, errno);
			return;
		}
		a->sent += (size_t)n;
	}
	a->phase = ATTEMPT_RECEIVING;
	attempt_wait(a, EV_READ);
}

static void attempt_connected(struct attempt *a)
{
	int error = 0;
	socklen_t length = sizeof(error);

	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		error = errno;
	if (error) {
		attempt_finish_connect(a, error, true);
	} else if (a->target->kind == MODEL_CHECK_TCP) {
		attempt_finish_as(a, CHECK_L4OK, NULL);
	} else {
		a->deadline_ms = schedule_answer_deadline_ms(a->schedule, a->started_ms, attempt_clock_ms());
		a->phase = ATTEMPT_SENDING;
		attempt_send(a);
	}
}

static void attempt_step(struct attempt *a)
{
	switch (a->phase) {
	case ATTEMPT_CONNECTING:
		attempt_connected(a);
		break;
	case ATTEMPT_SENDING:
		attempt_send(a);
		break;
	case ATTEMPT_RECEIVING:
		attempt_receive(a);
		break;
	case ATTEMPT_IDLE:
		break;
	}
}

void attempt_init(struct attempt *a, struct event_base *base,
		  void (*on_done)(struct attempt *a, const struct check_result *r))
{
	*a = (struct attempt){ .base = base, .on_done = on_done, .fd = -1, .phase = ATTEMPT_IDLE };
	event_assign(&a->io, base, -1, 0, attempt_on_io, a);
}

void attempt_start(struct attempt *a, const struct attempt_target *target, const struct schedule *schedule)
{
	struct sockaddr_storage to;
	socklen_t length = endpoint_to_sockaddr(&target->at, &to);
	int off = 0;

	a->target = target;
	a->schedule = schedule;
	a->sent = 0;
	a->started_ms = attempt_clock_ms();
	a->deadline_ms = schedule_connect_deadline_ms(schedule, a->started_ms);
	status_line_init(&a->line);
	a->phase = ATTEMPT_CONNECTING;
	a->fd = socket(target->at.addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0) {
		attempt_finish_connect(a, errno, false);
		return;
	}
	/* Holds the handshake's ACK back: it leaves with the request, or is replaced by the RST. */
	setsockopt(a->fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
	if (!connect(a->fd, (struct sockaddr *)&to, length))
		attempt_connected(a);
	else if (errno == EINPROGRESS || errno == EINTR)
		attempt_wait(a, EV_WRITE);
	else
		attempt_finish_connect(a, errno, false);
}
