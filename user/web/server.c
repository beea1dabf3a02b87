/* SPDX-License-Identifier: BSD-2-Clause */
#include "web/server.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/handover.h"
#include "web/server_internal.h"

enum { BACKLOG = 128, RETRY_MS = 100 };

#define PRIVILEGED "; the agent gives up the right to ports below 1024 when it has started: restart it, or take another"

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static struct addr addr_of(const struct sockaddr_storage *from)
{
	struct addr a = { .family = (uint8_t)from->ss_family };

	if (a.family == AF_INET)
		memcpy(a.bytes, &((const struct sockaddr_in *)from)->sin_addr, 4);
	else if (a.family == AF_INET6)
		memcpy(a.bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	return a;
}

/* Which of two connections that are not being replied to has less to lose by giving way? The states are in that order. */
static struct connection *lesser(struct connection *a, struct connection *b)
{
	return !a || b->state < a->state ? b : a;
}

/*
 * Room for one more connection of this client? Those that wait give way to newer ones: the client's own where it has its
 * share, else anybody's; of equals the one that has waited longest. Replies under way are not broken off.
 */
static bool make_room(struct web_server *s, const struct addr *peer)
{
	struct connection *c, *own = NULL, *any = NULL;
	uint32_t of_peer = 0;

	for (c = TAILQ_FIRST(&s->connections); c; c = TAILQ_NEXT(c, link)) {
		const bool same = addr_equal(&c->peer, peer);

		of_peer += same;
		if (c->state == CONNECTION_REPLYING)
			continue;
		any = lesser(any, c);
		if (same)
			own = lesser(own, c);
	}
	if (of_peer < WEB_PEER_MAX && s->counts.connections < WEB_CONNECTIONS_MAX)
		return true;
	s->counts.evicted++;
	c = of_peer >= WEB_PEER_MAX ? own : any;
	if (c)
		connection_free(c);
	return c;
}

static void on_accept(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval pause = { .tv_usec = RETRY_MS * 1000 };
	struct web_server *s = ctx;

	for (unsigned i = 0; i < WEB_ACCEPTS_MAX; i++) {
		struct sockaddr_storage from = {};
		socklen_t length = sizeof(from);
		int client = accept4(fd, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct addr peer = addr_of(&from);

		if (client >= 0) {
			if (!make_room(s, &peer) || !connection_new(s, client, &peer))
				close(client);
			continue;
		}
		/* No descriptor left: the listening socket stays readable, and the loop would spin. */
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
			event_del(&s->accept);
			event_add(&s->retry, &pause);
		}
		return;
	}
}

static void on_retry(evutil_socket_t fd, short what, void *ctx)
{
	struct web_server *s = ctx;

	if (s->fd >= 0)
		event_add(&s->accept, NULL);
}

/* Streams in turn, for a limited time; each that has had its piece goes behind all others. */
static void on_produce(evutil_socket_t fd, short what, void *ctx)
{
	struct web_server *s = ctx;
	const uint64_t end = now_us() + WEB_TURN_US;
	struct connection *c, *next;
	bool again = false;

	for (c = TAILQ_FIRST(&s->connections); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (!c->reply.next)
			continue;
		TAILQ_REMOVE(&s->connections, c, link);
		TAILQ_INSERT_TAIL(&s->connections, c, link);
		again |= connection_produce(c);
		if (now_us() >= end)
			break;
	}
	if (again)
		web_server_produce_soon(s);
}

/* By a timer that is due at once: an event made active from within its own call would be run before any other I/O. */
void web_server_produce_soon(struct web_server *s)
{
	static const struct timeval at_once;

	if (!event_pending(&s->produce, EV_TIMEOUT, NULL))
		event_add(&s->produce, &at_once);
}

int web_server_new(struct event_base *base, web_answer *answer, void *ctx, struct web_server **ret)
{
	struct web_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->base = base;
	s->answer = answer;
	s->ctx = ctx;
	s->fd = s->prepared_fd = -1;
	TAILQ_INIT(&s->connections);
	event_assign(&s->produce, base, -1, 0, on_produce, s);
	event_assign(&s->retry, base, -1, 0, on_retry, s);
	*ret = s;
	return 0;
}

static void stop_listening(struct web_server *s)
{
	if (s->fd < 0)
		return;
	event_del(&s->accept);
	event_del(&s->retry);
	close(s->fd);
	s->fd = -1;
	s->at = (struct endpoint){};
}

void web_server_free(struct web_server *s)
{
	struct connection *c;

	if (!s)
		return;
	web_server_abandon(s);
	stop_listening(s);
	while ((c = TAILQ_FIRST(&s->connections)))
		connection_free(c);
	event_del(&s->produce);
	text_done(&s->piece);
	free(s);
}

/* A socket that the former program has left us, if it listens there; -1: there is none. */
static int take_inherited(const struct sockaddr_storage *to, socklen_t length)
{
	_cleanup_close_ int fd = handover_take("metrics");
	struct sockaddr_storage at = {};
	socklen_t size = sizeof(at);
	struct addr here, wanted = addr_of(to);
	int r = fd;

	if (fd < 0 || getsockname(fd, (struct sockaddr *)&at, &size) < 0 || size != length)
		return -1;
	here = addr_of(&at);
	/* The port is at the same place for both families. */
	if (!addr_equal(&here, &wanted) ||
	    ((struct sockaddr_in *)&at)->sin_port != ((const struct sockaddr_in *)to)->sin_port)
		return -1;
	fd = -1;
	return r;
}

static int open_socket(const struct endpoint *at)
{
	struct sockaddr_storage to;
	socklen_t length = endpoint_to_sockaddr(at, &to);
	_cleanup_close_ int fd = -1;
	const int on = 1;
	int r = take_inherited(&to, length);

	if (r >= 0)
		return r;
	fd = socket(at->addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -errno;
	if (at->addr.family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&to, length) < 0 || listen(fd, BACKLOG) < 0)
		return -errno;
	r = fd;
	fd = -1;
	return r;
}

static bool is_same_place(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && addr_equal(&a->addr, &b->addr);
}

int web_server_prepare(struct web_server *s, const struct endpoint *at, char error[static WEB_ERROR_MAX])
{
	char text[ENDPOINT_TEXT_MAX];
	int fd = -1;

	web_server_abandon(s);
	if (at && s->fd >= 0 && is_same_place(at, &s->at))
		return 0;
	if (at) {
		fd = open_socket(at);
		if (fd < 0) {
			snprintf(error, WEB_ERROR_MAX, "cannot listen at %s for metrics: %s%s",
				 endpoint_format(at, text), strerror(-fd), fd == -EACCES ? PRIVILEGED : "");
			return fd;
		}
	}
	s->prepared_fd = fd;
	s->prepared_at = at ? *at : (struct endpoint){};
	s->is_prepared = true;
	return 0;
}

void web_server_commit(struct web_server *s)
{
	if (!s->is_prepared)
		return;
	stop_listening(s);
	s->fd = s->prepared_fd;
	s->at = s->prepared_at;
	s->prepared_fd = -1;
	s->is_prepared = false;
	if (s->fd < 0)
		return;
	event_assign(&s->accept, s->base, s->fd, EV_READ | EV_PERSIST, on_accept, s);
	event_add(&s->accept, NULL);
}

void web_server_abandon(struct web_server *s)
{
	if (s->prepared_fd >= 0)
		close(s->prepared_fd);
	s->prepared_fd = -1;
	s->is_prepared = false;
}

void web_server_counts(const struct web_server *s, struct web_counts *ret)
{
	*ret = s->counts;
}

int web_server_listener(const struct web_server *s)
{
	return s->fd;
}

bool web_server_is_quiet(const struct web_server *s)
{
	const struct connection *c;

	TAILQ_FOREACH(c, &s->connections, link)
		if (c->state >= CONNECTION_READING)
			return false;
	return true;
}

void web_server_pause(struct web_server *s, bool pause)
{
	if (s->fd < 0)
		return;
	event_del(&s->retry);
	if (pause)
		event_del(&s->accept);
	else
		event_add(&s->accept, NULL);
}
