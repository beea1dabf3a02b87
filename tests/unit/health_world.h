/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small world for the tests of health: an event loop, a model built by hand, servers of every manner on loopback that
 * run on the same loop, and a record of what health tells. Included by tests/unit/test_health_*.c only.
 * Waits for what a test waits for, with a deadline; never sleeps.
 */
#ifndef TESTS_UNIT_HEALTH_WORLD_H
#define TESTS_UNIT_HEALTH_WORLD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/addr.h"
#include "base/loop.h"
#include "health/health.h"

/* Servers have WORLD_ANSWER_MS to answer, that a busy machine breaks nothing; tests of time-outs set others. */
enum { WORLD_ANSWER_MS = 2000, WORLD_DEADLINE_MS = 10000, WORLD_WAKE_MS = 20, WORLD_PEERS_MAX = 16, WORLD_CLIENTS_MAX = 64 };

/* What a test's server does with a connection. */
enum manner {
	HOLD,   /* accepts, says nothing, keeps it open */
	ANSWER, /* sends `text` once something was asked */
	DRIP,   /* sends `text` one byte every drip_ms */
	FLOOD,  /* sends 'x' for as long as it is taken */
	CLOSE,  /* closes at once */
	RESET,  /* closes by RST once something was asked */
	FULL,   /* its accept queue is full: nobody gets in */
	SPEAK,  /* sends `text` unasked and closes */
};

struct world;

struct peer {
	struct world *w;
	enum manner manner;
	const char *text;
	unsigned drip_ms;
	int fd;
	uint16_t port;
	struct event *accepting;
	unsigned accepted, asked;
	char last_request[512];
	int fillers[4]; /* FULL */
};

struct client {
	struct peer *peer;
	int fd;
	size_t sent;
	struct event *event;
};

struct world {
	struct event_base *base;
	struct event *wake;
	struct health *h;
	struct model m;
	struct peer peers[WORLD_PEERS_MAX];
	size_t peer_count;
	struct client clients[WORLD_CLIENTS_MAX];
	bool cut_off; /* the balancer itself: its interface has no carrier */
	unsigned changes, ups, downs, first_rounds, shares;
	char reason[192], server[64];
	bool last_up, last_accepts;
};

static inline void client_close(struct client *c)
{
	if (!c->event)
		return;
	event_free(c->event);
	close(c->fd);
	memset(c, 0, sizeof(*c));
}

static inline void client_on_event(evutil_socket_t fd, short what, void *arg)
{
	struct client *c = arg;
	struct peer *p = c->peer;
	struct linger rst = { .l_onoff = 1 };
	char junk[4096];
	ssize_t n;

	if (what & EV_READ) {
		n = recv(fd, p->last_request, sizeof(p->last_request) - 1, MSG_DONTWAIT);
		if (n <= 0) {
			client_close(c);
			return;
		}
		p->last_request[n] = '\0';
		p->asked++;
	}
	if (p->manner == RESET) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &rst, sizeof(rst));
		client_close(c);
	} else if (p->manner == ANSWER) {
		n = send(fd, p->text, strlen(p->text), MSG_NOSIGNAL);
		client_close(c);
	} else if (p->manner == DRIP && (what & EV_TIMEOUT) && p->text[c->sent]) {
		if (send(fd, p->text + c->sent++, 1, MSG_NOSIGNAL) < 0)
			client_close(c);
	} else if (p->manner == FLOOD) {
		memset(junk, 'x', sizeof(junk));
		while ((n = send(fd, junk, sizeof(junk), MSG_NOSIGNAL | MSG_DONTWAIT)) > 0)
			;
	}
}

static inline void peer_on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct peer *p = arg;
	struct timeval drip = { .tv_usec = (suseconds_t)p->drip_ms * 1000 };
	struct client *c = NULL;
	size_t i;
	int conn = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (conn < 0)
		return;
	p->accepted++;
	for (i = 0; i < WORLD_CLIENTS_MAX && !c; i++)
		if (!p->w->clients[i].event)
			c = &p->w->clients[i];
	if (p->manner == CLOSE || !c) {
		close(conn);
		return;
	}
	if (p->manner == SPEAK) {
		send(conn, p->text, strlen(p->text), MSG_NOSIGNAL);
		close(conn);
		return;
	}
	c->peer = p;
	c->fd = conn;
	c->event = event_new(p->w->base, conn, EV_READ | EV_PERSIST, client_on_event, c);
	event_add(c->event, p->manner == DRIP ? &drip : NULL);
}

static inline int listen_on(const struct endpoint *at, int backlog, uint16_t *ret_port)
{
	struct sockaddr_storage a;
	struct endpoint e = *at;
	socklen_t length = endpoint_to_sockaddr(&e, &a);
	int fd = socket(e.addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	assert_return_code(bind(fd, (struct sockaddr *)&a, length), 0);
	assert_return_code(listen(fd, backlog), 0);
	length = sizeof(a);
	assert_return_code(getsockname(fd, (struct sockaddr *)&a, &length), 0);
	*ret_port = ntohs(e.addr.family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port :
						     ((struct sockaddr_in6 *)&a)->sin6_port);
	return fd;
}

static inline struct endpoint loopback(const char *address, uint16_t port)
{
	struct endpoint e = { .port = port };

	assert_return_code(addr_parse(address, &e.addr), 0);
	return e;
}

/* Opens (again) on the given port, 0 = any. */
static inline void peer_open(struct peer *p, const char *address, uint16_t port)
{
	struct endpoint at = loopback(address, port);
	struct sockaddr_storage to;
	socklen_t length;
	size_t i;

	p->fd = listen_on(&at, p->manner == FULL ? 0 : 128, &p->port);
	for (i = 0; p->manner == FULL && i < 4; i++) {
		at.port = p->port;
		length = endpoint_to_sockaddr(&at, &to);
		p->fillers[i] = socket(at.addr.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(p->fillers[i], (struct sockaddr *)&to, length);
	}
	if (p->manner == FULL)
		return;
	p->accepting = event_new(p->w->base, p->fd, EV_READ | EV_PERSIST, peer_on_accept, p);
	event_add(p->accepting, NULL);
}

static inline void peer_close(struct peer *p)
{
	size_t i;

	for (i = 0; i < WORLD_CLIENTS_MAX; i++)
		if (p->w->clients[i].peer == p)
			client_close(&p->w->clients[i]);
	for (i = 0; p->manner == FULL && i < 4; i++)
		close(p->fillers[i]);
	if (p->accepting)
		event_free(p->accepting);
	p->accepting = NULL;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

static inline struct peer *peer_new_on(struct world *w, const char *address, enum manner manner, const char *text)
{
	struct peer *p = &w->peers[w->peer_count++];

	*p = (struct peer){ .w = w, .manner = manner, .text = text, .drip_ms = 5, .fd = -1 };
	peer_open(p, address, 0);
	return p;
}

static inline struct peer *peer_new(struct world *w, enum manner manner, const char *text)
{
	return peer_new_on(w, "127.0.0.1", manner, text);
}

static inline void world_on_change(const struct health_event *e, void *ctx)
{
	struct world *w = ctx;

	w->changes++;
	w->ups += e->went_up;
	w->downs += e->went_down;
	w->last_up = e->view->up;
	w->last_accepts = e->view->accepts_new;
	snprintf(w->reason, sizeof(w->reason), "%s", e->reason);
	snprintf(w->server, sizeof(w->server), "%s/%s", e->backend, e->server);
}

static inline void world_on_first_round(void *ctx)
{
	((struct world *)ctx)->first_rounds++;
}

static inline void world_on_share(void *ctx)
{
	((struct world *)ctx)->shares++;
}

static inline bool world_was_cut_off(const struct addr *address, uint64_t since_ms, void *ctx)
{
	return ((struct world *)ctx)->cut_off;
}

static inline void world_start_health(struct world *w)
{
	struct health_ops ops = { .on_change = world_on_change, .on_first_round = world_on_first_round,
				  .on_share = world_on_share, .was_cut_off = world_was_cut_off, .ctx = w };

	w->h = health_new(w->base, &ops);
	assert_non_null(w->h);
}

static inline void world_on_wake(evutil_socket_t fd, short what, void *arg)
{
}

static inline int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct timeval wake = { .tv_usec = WORLD_WAKE_MS * 1000 };

	w->base = loop_new();
	w->wake = event_new(w->base, -1, EV_PERSIST, world_on_wake, NULL);
	event_add(w->wake, &wake);
	world_start_health(w);
	*state = w;
	return 0;
}

static inline void server_clear(struct model_server *s)
{
	free(s->name);
	free(s->track);
	free(s->agent_send);
	free(s->tls.ca_file);
	free(s->tls.crt);
	free(s->tls.sni);
	free(s->tls.alpn);
	free(s->tls.verify_host);
}

static inline void model_clear(struct model *m)
{
	size_t b, i;

	for (b = 0; b < m->backends.count; b++) {
		for (i = 0; i < m->backends.items[b].servers.count; i++)
			server_clear(&m->backends.items[b].servers.items[i]);
		for (i = 0; i < m->backends.items[b].steps.count; i++) {
			free(m->backends.items[b].steps.items[i].data);
			free(m->backends.items[b].steps.items[i].comment);
		}
		vec_done(&m->backends.items[b].servers);
		vec_done(&m->backends.items[b].steps);
		free(m->backends.items[b].name);
		free(m->backends.items[b].http.host);
		free(m->backends.items[b].dns.name);
	}
	vec_done(&m->backends);
}

static inline int world_teardown(void **state)
{
	struct world *w = *state;
	size_t i;

	health_free(w->h);
	for (i = 0; i < w->peer_count; i++)
		peer_close(&w->peers[i]);
	event_free(w->wake);
	event_base_free(w->base);
	model_clear(&w->m);
	free(w);
	return 0;
}

static inline struct model_backend *backend_new(struct world *w, const char *name, enum model_check check)
{
	struct model_backend *b = vec_push(&w->m.backends);

	b->name = strdup(name);
	b->check = check;
	b->check_timeout_ms = WORLD_ANSWER_MS;
	strcpy(b->http.method, "OPTIONS");
	strcpy(b->http.uri, "/");
	strcpy(b->http.version, "HTTP/1.0");
	return b;
}

/* A further step of a backend's tcp-check. */
static inline struct model_check_step *step_add(struct model_backend *b, enum model_step kind, const char *text)
{
	struct model_check_step *s = vec_push(&b->steps);

	s->kind = kind;
	s->data = (uint8_t *)strdup(text);
	s->length = strlen(text);
	return s;
}

/* A server checked every 20 ms, rise 2, fall 3. */
static inline struct model_server *server_new_at(struct model_backend *b, const char *name, struct endpoint at)
{
	struct model_server *s = vec_push(&b->servers);

	s->name = strdup(name);
	s->at = s->check_at = at;
	s->weight = 1;
	s->check = true;
	s->inter_ms = 20;
	s->rise = 2;
	s->fall = 3;
	return s;
}

static inline struct model_server *server_new(struct model_backend *b, const char *name, const struct peer *p)
{
	return server_new_at(b, name, loopback("127.0.0.1", p->port));
}

static inline void world_configure(struct world *w)
{
	assert_return_code(health_configure(w->h, &w->m), 0);
}

static inline struct health_view view(struct world *w, size_t backend, size_t server)
{
	struct health_view v;

	health_view(w->h, backend, server, &v);
	return v;
}

static inline long long clock_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* One turn of the loop: waits for any event, WORLD_WAKE_MS at most. */
static inline void world_turn(struct world *w)
{
	event_base_loop(w->base, EVLOOP_ONCE);
}

/* Runs the loop until the condition holds; fails the test when it does not within WORLD_DEADLINE_MS. */
#define world_until(w, condition)                                                  \
	do {                                                                       \
		long long end_ = clock_now_ms() + WORLD_DEADLINE_MS;               \
		while (!(condition)) {                                             \
			world_turn(w);                                             \
			if (clock_now_ms() > end_)                                 \
				fail_msg("timed out waiting for: %s", #condition); \
		}                                                                  \
	} while (0)

/* Runs the loop for a while, to see that something does NOT happen. */
static inline void world_run_ms(struct world *w, unsigned ms)
{
	long long end = clock_now_ms() + ms;

	while (clock_now_ms() < end)
		world_turn(w);
}

#endif
