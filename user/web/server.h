/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small HTTP/1.1 server that only ever answers GET and HEAD, on the agent's loop, and costs it a bounded amount
 * whoever connects: connections, bytes, time and work a turn all have their limit. Owned by site.c. Knows nothing of
 * what is served.
 *
 * It stands on libevent's buffers, not on its evhttp: that one (2.1) neither tells when a connection ends, so that they
 * can be counted, nor limits the time a request may take as a whole, nor lets one be closed to make room for another.
 */
#ifndef WEB_SERVER_H
#define WEB_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "metrics/text.h"
#include "web/request.h"

struct event_base;
struct web_server;

enum web_limit {
	WEB_CONNECTIONS_MAX = 64,     /* of all clients */
	WEB_PEER_MAX = 16,            /* of one client's address */
	WEB_STREAMS_MAX = 16,         /* replies under way that are made while they are sent; more are answered 503 */
	WEB_PEER_STREAMS_MAX = 4,
	WEB_ACCEPTS_MAX = 16,         /* connections taken in one turn of the loop */
	WEB_REQUEST_MS = 5000,        /* from its first byte, or from accept, until a head is complete */
	WEB_IDLE_MS = 120000,         /* between requests; ends earlier when others need the room */
	WEB_REPLY_MS = 30000,         /* for a reply to be taken */
	WEB_LINGER_MS = 1000,         /* after a refusal, until the client has read it and closed */
	WEB_PENDING = 512 * 1024,     /* bytes of a reply that wait for its client */
	WEB_PIECE = 32 * 1024,        /* a stream is made in pieces of about this size ... */
	WEB_TURN_US = 1000,           /* ... for so long in one turn of the loop, all streams together */
	WEB_ERROR_MAX = 256,
};

/* What a request is answered with. Strings are literals, or live as long as the server. */
struct web_reply {
	int status;
	const char *type;             /* Content-Type */
	const char *fields;           /* further header lines, each with its CRLF; NULL = none */
	const void *body;             /* static; or */
	size_t length;
	/*
	 * made while it is sent: 1 there is more, 0 that was all, -EAGAIN go on in the next turn, else it is broken
	 * off.
	 */
	int (*next)(void *stream, struct text *t);
	void (*done)(void *stream);   /* called once, however it ends */
	void *stream;
};

struct web_counts {
	uint64_t requests;            /* answered by the site */
	uint64_t refused;             /* by the server: malformed, too large, too late */
	uint64_t evicted;             /* connections closed to make room, or not taken */
	uint32_t connections;
};

/* Fills *ret; called from the loop. */
typedef void web_answer(const struct web_request *q, struct web_reply *ret, void *ctx);

/* 0 or -ENOMEM. */
int web_server_new(struct event_base *base, web_answer *answer, void *ctx, struct web_server **ret);
void web_server_free(struct web_server *s); /* takes NULL; what is under way is broken off */

/*
 * A new place to listen, in two steps so that a reload can still be refused: prepare opens the socket (NULL = listen
 * nowhere) and may fail, -errno with a line for people; commit puts it in the old one's place, abandon drops it. The
 * place it listens at already is no change. Connections that are there stay.
 */
int web_server_prepare(struct web_server *s, const struct endpoint *at, char error[static WEB_ERROR_MAX]);
void web_server_commit(struct web_server *s);
void web_server_abandon(struct web_server *s);

/* The listening socket, -1: none. One handed over as "metrics" (base/handover.h) is taken where it listens there. */
int web_server_listener(const struct web_server *s);
/* True when no request is being read and no reply is under way. */
bool web_server_is_quiet(const struct web_server *s);
/* New connections wait, those that are there go on. */
void web_server_pause(struct web_server *s, bool pause);
void web_server_counts(const struct web_server *s, struct web_counts *ret);

#endif
