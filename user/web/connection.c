/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One client: a head is read, an answer is asked for, a reply is sent, and so on until either side has enough. Called
 * by libevent and server.c. While a reply is under way nothing is read, so that requests sent ahead wait in the kernel.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "web/server_internal.h"

enum { HEAD_MAX = 1024 };

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" }, { 304, "Not Modified" }, { 400, "Bad Request" }, { 404, "Not Found" },
	{ 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 413, "Content Too Large" },
	{ 414, "URI Too Long" }, { 431, "Request Header Fields Too Large" }, { 500, "Internal Server Error" },
	{ 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

static void set_deadline(struct connection *c, uint32_t ms)
{
	const struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(&c->deadline, &after);
}

static void stream_done(struct connection *c)
{
	if (!c->reply.next)
		return;
	c->server->streams--;
	if (c->reply.done)
		c->reply.done(c->reply.stream);
	c->reply.next = NULL;
}

void connection_free(struct connection *c)
{
	stream_done(c);
	TAILQ_REMOVE(&c->server->connections, c, link);
	c->server->counts.connections--;
	event_del(&c->deadline);
	bufferevent_free(c->io);
	free(c);
}

uint32_t connection_peer_streams(const struct web_server *s, const struct addr *peer)
{
	const struct connection *c;
	uint32_t count = 0;

	TAILQ_FOREACH(c, &s->connections, link)
		count += c->reply.next && addr_equal(&c->peer, peer);
	return count;
}

/* To the end of those that wait. */
static void wait_anew(struct connection *c, enum connection_state state, uint32_t ms)
{
	c->state = state;
	TAILQ_REMOVE(&c->server->connections, c, link);
	TAILQ_INSERT_TAIL(&c->server->connections, c, link);
	set_deadline(c, ms);
}

static void put_head(struct connection *c, bool http10)
{
	struct evbuffer *out = bufferevent_get_output(c->io);
	const struct web_reply *r = &c->reply;
	const time_t now = time(NULL);
	char date[64] = "";
	struct tm tm;

	if (gmtime_r(&now, &tm))
		strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n%s", r->status, reason_of(r->status), date);
	if (r->type)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", r->type);
	if (c->chunked)
		evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
	else if (!r->next && r->status != 304)
		evbuffer_add_printf(out, "Content-Length: %zu\r\n", r->length);
	if (r->fields)
		evbuffer_add(out, r->fields, strlen(r->fields));
	if (!c->keep_alive)
		evbuffer_add_printf(out, "Connection: close\r\n");
	else if (http10)
		evbuffer_add_printf(out, "Connection: keep-alive\r\n");
	evbuffer_add(out, "\r\n", 2);
}

static void start_reply(struct connection *c)
{
	bufferevent_disable(c->io, EV_READ);
	c->state = CONNECTION_REPLYING;
	set_deadline(c, WEB_REPLY_MS);
}

/* Of our own, before the site is asked: then the connection ends, as nobody knows where the next request begins. */
static void refuse(struct connection *c, int status)
{
	c->server->counts.refused++;
	start_reply(c);
	evbuffer_drain(bufferevent_get_input(c->io), evbuffer_get_length(bufferevent_get_input(c->io)));
	c->keep_alive = c->chunked = false;
	c->ended = true;
	c->reply = (struct web_reply){
		.status = status,
		.type = "text/plain; charset=utf-8",
		.fields = status == 405 ? "Allow: GET, HEAD\r\n" : NULL,
		.body = reason_of(status),
		.length = strlen(reason_of(status)),
	};
	put_head(c, false);
	evbuffer_add(bufferevent_get_output(c->io), c->reply.body, c->reply.length);
}

static void answer(struct connection *c, const struct web_request *q)
{
	struct web_server *s = c->server;

	s->counts.requests++;
	start_reply(c);
	c->reply = (struct web_reply){ .status = 500 };
	s->answer(q, &c->reply, s->ctx);
	if (c->reply.next)
		s->streams++;
	if (s->streams > WEB_STREAMS_MAX || connection_peer_streams(s, &c->peer) > WEB_PEER_STREAMS_MAX) {
		stream_done(c);
		c->reply = (struct web_reply){ .status = 503, .type = "text/plain; charset=utf-8",
					       .fields = "Retry-After: 1\r\n", .body = "too many at a time\n",
					       .length = strlen("too many at a time\n") };
	}
	c->keep_alive = q->keep_alive && (!c->reply.next || !q->http10);
	c->chunked = c->reply.next && !q->http10;
	put_head(c, q->http10);
	if (q->head)
		stream_done(c);
	c->ended = !c->reply.next;
	if (c->ended && !q->head)
		evbuffer_add(bufferevent_get_output(c->io), c->reply.body, c->reply.length);
	bufferevent_setwatermark(c->io, EV_WRITE, c->ended ? 0 : WEB_PENDING / 2, 0);
	if (!c->ended)
		web_server_produce_soon(s);
}

/* A head that is complete? True: it is dealt with. */
static bool take_request(struct connection *c)
{
	struct evbuffer *in = bufferevent_get_input(c->io);
	size_t length = evbuffer_get_length(in);
	char head[WEB_REQUEST_MAX + 1];
	struct web_request q;
	int status;

	if (length > WEB_REQUEST_MAX)
		length = WEB_REQUEST_MAX;
	evbuffer_copyout(in, head, length);
	status = (int)web_request_length(head, length);
	if (!status) {
		if (length == WEB_REQUEST_MAX)
			refuse(c, 431);
		return length == WEB_REQUEST_MAX;
	}
	length = (size_t)status;
	head[length] = '\0';
	status = web_request_parse(head, length, &q);
	if (status) {
		refuse(c, status);
	} else {
		evbuffer_drain(in, length);
		answer(c, &q);
	}
	return true;
}

static void on_read(struct bufferevent *io, void *ctx)
{
	struct evbuffer *in = bufferevent_get_input(io);
	struct connection *c = ctx;

	if (c->state == CONNECTION_LINGERING) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	/* Empty lines ahead of a request are to be passed over (RFC 9112, 2.2). */
	while (evbuffer_get_length(in) && strchr("\r\n", *evbuffer_pullup(in, 1)))
		evbuffer_drain(in, 1);
	if (!evbuffer_get_length(in) || take_request(c))
		return;
	if (c->state == CONNECTION_IDLE) {
		c->state = CONNECTION_READING;
		set_deadline(c, WEB_REQUEST_MS);
	}
}

bool connection_produce(struct connection *c)
{
	struct evbuffer *out = bufferevent_get_output(c->io);
	struct text *t = &c->server->piece;
	int r;

	if (evbuffer_get_length(out) >= WEB_PENDING)
		return false;
	t->length = 0;
	t->failed = false;
	r = c->reply.next(c->reply.stream, t);
	if (r < 0 && r != -EAGAIN) {
		/* The reader must see that it is not whole: no last chunk. */
		connection_free(c);
		return true;
	}
	if (t->length) {
		if (c->chunked)
			evbuffer_add_printf(out, "%zx\r\n", t->length);
		evbuffer_add(out, t->data, t->length);
		if (c->chunked)
			evbuffer_add(out, "\r\n", 2);
	}
	if (r)
		return true;
	if (c->chunked)
		evbuffer_add(out, "0\r\n\r\n", 5);
	c->ended = true;
	stream_done(c);
	bufferevent_setwatermark(c->io, EV_WRITE, 0, 0);
	/* Made of nothing more: no write event would come. */
	if (!evbuffer_get_length(out))
		bufferevent_trigger(c->io, EV_WRITE, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
	return true;
}

static void on_written(struct bufferevent *io, void *ctx)
{
	struct connection *c = ctx;

	if (c->state != CONNECTION_REPLYING)
		return;
	if (!c->ended) {
		web_server_produce_soon(c->server);
		return;
	}
	if (evbuffer_get_length(bufferevent_get_output(io)))
		return;
	if (!c->keep_alive) {
		/*
		 * Closing at once would answer what the client still sends with a reset, which may overtake the reply.
		 */
		shutdown(bufferevent_getfd(io), SHUT_WR);
		wait_anew(c, CONNECTION_LINGERING, WEB_LINGER_MS);
		bufferevent_enable(io, EV_READ);
		return;
	}
	wait_anew(c, CONNECTION_IDLE, WEB_IDLE_MS);
	bufferevent_enable(io, EV_READ);
	/* The next request may be here already. */
	if (evbuffer_get_length(bufferevent_get_input(io)))
		bufferevent_trigger(io, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void on_event(struct bufferevent *io, short what, void *ctx)
{
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		connection_free(ctx);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct connection *c = ctx;

	if (c->state == CONNECTION_READING)
		refuse(c, 408);
	else
		connection_free(c);
}

bool connection_new(struct web_server *s, int fd, const struct addr *peer)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return false;
	c->io = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!c->io) {
		free(c);
		return false;
	}
	c->server = s;
	c->peer = *peer;
	c->state = CONNECTION_READING;
	s->counts.connections++;
	TAILQ_INSERT_TAIL(&s->connections, c, link);
	event_assign(&c->deadline, s->base, -1, 0, on_deadline, c);
	set_deadline(c, WEB_REQUEST_MS);
	bufferevent_setcb(c->io, on_read, on_written, on_event, c);
	/* No more than a head is ever read ahead; one write may take all that waits. */
	bufferevent_setwatermark(c->io, EV_READ, 0, WEB_REQUEST_MAX);
	bufferevent_set_max_single_write(c->io, WEB_PENDING * 2);
	bufferevent_enable(c->io, EV_READ | EV_WRITE);
	return true;
}
