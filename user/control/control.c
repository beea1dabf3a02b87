/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/peer.h"

enum {
	ACCEPTS_A_TURN = 16, /* then the loop's other events have a turn */
	BREATHER_MS = 100,
};

/* Listens for connections while there is room for them; a level-triggered event must not stay on otherwise. */
static void accept_when_room(struct control *c)
{
	if (c->socket.fd < 0 || c->paused || evtimer_pending(&c->breather, NULL))
		return;
	if (c->peer_count < CONTROL_CLIENTS_MAX)
		event_add(&c->listener, NULL);
	else
		event_del(&c->listener);
}

void control_peer_left(struct control *c)
{
	accept_when_room(c);
}

static void on_breather(evutil_socket_t fd, short what, void *ctx)
{
	accept_when_room(ctx);
}

static void on_connection(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval breather = { .tv_usec = BREATHER_MS * 1000 };
	struct control *c = ctx;

	for (int i = 0; i < ACCEPTS_A_TURN && c->peer_count < CONTROL_CLIENTS_MAX; i++) {
		int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (peer >= 0) {
			peer_new(c, peer); /* a failure has closed it: the peer sees that */
			continue;
		}
		if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
			break;
		/* EMFILE, ENFILE, ENOMEM: the connection stays in the backlog and would wake us at once again. */
		event_del(&c->listener);
		evtimer_add(&c->breather, &breather);
		return;
	}
	accept_when_room(c);
}

static void use_socket(struct control *c, const struct control_socket *s)
{
	c->socket = *s;
	event_assign(&c->listener, c->base, c->socket.fd, EV_READ | EV_PERSIST, on_connection, c);
	accept_when_room(c);
}

static int open_socket(const struct control *c, const struct model_stats_socket *where, struct control_socket *ret)
{
	return control_socket_open(ret, where->path ? where->path : c->default_path, where->mode,
				   where->uid == (uid_t)-1 ? geteuid() : where->uid,
				   where->gid == (gid_t)-1 ? getegid() : where->gid);
}

int control_new(struct event_base *base, const struct model_stats_socket *where, const char *default_path,
		const struct control_verb *verbs, size_t count, void *ctx, struct control **ret)
{
	struct control *c = calloc(1, sizeof(*c));
	struct control_socket s;
	int r = -ENOMEM;

	if (!c)
		return -ENOMEM;
	c->base = base;
	c->verbs = verbs;
	c->verb_count = count;
	c->ctx = ctx;
	c->level = where->level;
	c->socket.fd = -1;
	LIST_INIT(&c->peers);
	evtimer_assign(&c->breather, base, on_breather, c);
	c->default_path = strdup(default_path);
	if (!c->default_path)
		goto fail;
	r = open_socket(c, where, &s);
	if (r < 0)
		goto fail;
	use_socket(c, &s);
	*ret = c;
	return 0;

fail:
	free(c->default_path);
	free(c);
	return r;
}

int control_configure(struct control *c, const struct model_stats_socket *where)
{
	const char *path = where->path ? where->path : c->default_path;
	struct control_socket s;
	int r;

	if (strcmp(path, c->socket.path) == 0 && control_socket_is_ours(&c->socket)) {
		r = control_socket_permit(&c->socket, where->mode, where->uid == (uid_t)-1 ? geteuid() : where->uid,
					  where->gid == (gid_t)-1 ? getegid() : where->gid);
		if (r < 0)
			return r;
	} else {
		r = open_socket(c, where, &s);
		if (r < 0)
			return r;
		event_del(&c->listener);
		control_socket_close(&c->socket);
		use_socket(c, &s);
	}
	c->level = where->level;
	return 0;
}

void control_pause(struct control *c, bool pause)
{
	c->paused = pause;
	if (pause && c->socket.fd >= 0)
		event_del(&c->listener);
	accept_when_room(c);
}

int control_listener(const struct control *c)
{
	return c->socket.fd;
}

bool control_is_quiet(const struct control *c)
{
	const struct control_request *p;

	LIST_FOREACH(p, &c->peers, link)
		if (p->phase != PEER_WAITING)
			return false;
	return true;
}

void control_free(struct control *c)
{
	struct control_request *p, *next;

	if (!c)
		return;
	event_del(&c->listener);
	control_socket_close(&c->socket);
	/* Each abort calls accept_when_room(), which leaves a closed socket alone. */
	for (p = LIST_FIRST(&c->peers); p; p = next) {
		next = LIST_NEXT(p, link);
		peer_abort(p, "the agent is stopping");
	}
	event_del(&c->breather);
	free(c->default_path);
	free(c);
}
