/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server from the inside: listening and making room (server.c), the life of one connection (connection.c).
 * Not for others.
 */
#ifndef WEB_SERVER_INTERNAL_H
#define WEB_SERVER_INTERNAL_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "web/server.h"

struct bufferevent;

/* In the order in which they give way to others. */
enum connection_state {
	CONNECTION_LINGERING, /* has had its last reply; what else the client sends is thrown away */
	CONNECTION_IDLE,      /* between requests */
	CONNECTION_READING,   /* a head is not complete */
	CONNECTION_REPLYING,
};

struct connection {
	TAILQ_ENTRY(connection) link; /* the longest waiting first */
	struct web_server *server;
	struct bufferevent *io;
	struct event deadline;
	struct addr peer;
	enum connection_state state;
	bool keep_alive;      /* after this reply */
	bool chunked;
	bool ended;           /* the whole reply is in the buffer */
	struct web_reply reply; /* .next set: a stream under way */
};

TAILQ_HEAD(connection_list, connection);

struct web_server {
	struct event_base *base;
	web_answer *answer;
	void *ctx;
	struct connection_list connections;
	struct event accept, retry, produce;
	int fd, prepared_fd;          /* -1 = none */
	bool is_prepared;
	struct endpoint at, prepared_at;
	uint32_t streams;
	struct text piece;
	struct web_counts counts;
};

/* Streams are asked for more in the loop's next turn. */
void web_server_produce_soon(struct web_server *s);

/* Takes the socket over. False when out of memory. */
bool connection_new(struct web_server *s, int fd, const struct addr *peer);
void connection_free(struct connection *c);
/* Makes at most one piece of a stream. False when it wants nothing now. */
bool connection_produce(struct connection *c);
/* How many streams of this client are under way. */
uint32_t connection_peer_streams(const struct web_server *s, const struct addr *peer);

#endif
