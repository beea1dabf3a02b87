/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection of the control socket, from accept to close: it reads a request, has it run, sends the reply. What the
 * connections share is struct control, which control.c owns. Internal to this room.
 */
#ifndef CONTROL_PEER_H
#define CONTROL_PEER_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "control/control.h"
#include "control/reply.h"
#include "control/socket.h"

enum peer_phase {
	PEER_READING, /* the request is not complete; it may be running */
	PEER_WAITING, /* the verb has put off its answer */
	PEER_WRITING, /* answered */
	PEER_ORPHAN,  /* the peer is gone, the answer still to come: fd is closed, no list holds it */
};

/* A connection carries one request, so that they are one object. */
struct control_request {
	LIST_ENTRY(control_request) link;
	struct control *control; /* NULL for an orphan */
	int fd;
	enum peer_phase phase;
	struct event io, timer;
	struct ucred peer;
	char line[CONTROL_REQUEST_MAX];
	size_t filled;
	void (*gone)(void *ctx);
	void *gone_ctx;
	struct control_text out;
	const char *last_words; /* sent instead of out when there is no memory for it */
	size_t sent, taken;     /* of out; since the timer was set */
	struct control_items items; /* next is NULL unless it streams */
	bool first_item;
};

LIST_HEAD(peer_list, control_request);

struct control {
	struct event_base *base;
	struct control_socket socket;
	struct event listener;
	struct event breather; /* out of descriptors: accepts again a moment later */
	bool paused;           /* accepts nobody */
	char *default_path;
	enum model_level level;
	const struct control_verb *verbs;
	size_t verb_count;
	void *ctx;
	struct peer_list peers;
	unsigned peer_count, waiting_count; /* the latter without root's */
	size_t pending;                     /* bytes of all replies in memory */
};

/* Takes over fd. 0 or -errno; fd is closed then. */
int peer_new(struct control *c, int fd);
/* Ends a connection whatever it is at: a deferred verb is told, the peer gets the error if it can be had at once. */
void peer_abort(struct control_request *p, const char *error);
/* A connection has ended: there is room for another. In control.c. */
void control_peer_left(struct control *c);

#endif
