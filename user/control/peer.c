/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/peer.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/words.h"

/* A refused request may be followed by more; unread, it would turn our close into a reset of the peer. */
enum { DRAIN_READS = 16 };

static const char out_of_memory[] = "{\"ok\":false,\"code\":1,\"error\":\"the agent is out of memory\"}\n";
static const char too_large[] =
	"{\"ok\":false,\"code\":1,\"error\":\"the reply is larger than 64 MiB: ask for less\"}\n";
static const char too_many_unread[] =
	"{\"ok\":false,\"code\":1,\"error\":\"too many replies wait to be read: try again later\"}\n";

static void on_io(evutil_socket_t fd, short what, void *ctx);
static void on_timer(evutil_socket_t fd, short what, void *ctx);

static bool is_root(const struct control_request *p)
{
	return p->peer.uid == 0;
}

static void end_items(struct control_request *p)
{
	if (p->items.next && p->items.done)
		p->items.done(p->items.ctx);
	p->items.next = NULL;
}

/* Watches the descriptor for what the phase needs: in waiting the peer's end only, by edges, since data is not read. */
static int watch(struct control_request *p, enum peer_phase phase)
{
	short what = phase == PEER_READING ? EV_READ | EV_PERSIST :
		     phase == PEER_WAITING ? EV_READ | EV_ET | EV_PERSIST : EV_WRITE | EV_PERSIST;

	if (event_initialized(&p->io))
		event_del(&p->io);
	p->phase = phase;
	event_assign(&p->io, p->control->base, p->fd, what, on_io, p);
	return event_add(&p->io, NULL);
}

static void start_timer(struct control_request *p)
{
	const struct timeval limit = { .tv_sec = CONTROL_TIMEOUT_MS / 1000,
				       .tv_usec = CONTROL_TIMEOUT_MS % 1000 * 1000 };

	p->taken = 0;
	evtimer_add(&p->timer, &limit);
}

int peer_new(struct control *c, int fd)
{
	struct control_request *p = calloc(1, sizeof(*p));
	socklen_t length = sizeof(p->peer);
	int r = -ENOMEM;

	if (!p)
		goto no_peer;
	p->control = c;
	p->fd = fd;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &p->peer, &length) < 0) {
		r = -errno;
		goto no_peer;
	}
	evtimer_assign(&p->timer, c->base, on_timer, p);
	if (watch(p, PEER_READING) < 0)
		goto no_peer;
	start_timer(p);
	LIST_INSERT_HEAD(&c->peers, p, link);
	c->peer_count++;
	return 0;

no_peer:
	free(p);
	close(fd);
	return r;
}

/* Takes the connection away from under the request. */
static void disconnect(struct control_request *p)
{
	struct control *c = p->control;

	if (p->phase == PEER_WAITING && !is_root(p))
		c->waiting_count--;
	event_del(&p->io);
	event_del(&p->timer);
	LIST_REMOVE(p, link);
	close(p->fd);
	p->fd = -1;
	p->control = NULL;
	c->pending -= p->out.capacity;
	c->peer_count--;
	control_peer_left(c);
}

static void peer_free(struct control_request *p)
{
	if (p->control)
		disconnect(p);
	end_items(p);
	control_text_done(&p->out);
	free(p);
}

/* The reply is out: closes cleanly. */
static void finish(struct control_request *p)
{
	char scrap[CONTROL_REQUEST_MAX];

	for (int i = 0; i < DRAIN_READS; i++)
		if (recv(p->fd, scrap, sizeof(scrap), MSG_DONTWAIT) <= 0)
			break;
	peer_free(p);
}

/* The verb that waits is told, or finds out when it answers. */
static void peer_gone(struct control_request *p)
{
	void (*gone)(void *) = p->gone;
	void *ctx = p->gone_ctx;

	if (gone) {
		peer_free(p);
		gone(ctx);
		return;
	}
	disconnect(p);
	p->phase = PEER_ORPHAN;
}

static void send_at_once(int fd, const json_t *reply)
{
	struct control_text text = { .limit = CONTROL_REPLY_MAX };

	/* Best effort: a peer whose buffer is full learns by the end of the connection. */
	if (reply && control_text_add_json(&text, reply) == 0 && control_text_add(&text, "\n", 1) == 0)
		send(fd, text.data, text.length, MSG_NOSIGNAL | MSG_DONTWAIT);
	control_text_done(&text);
}

void peer_abort(struct control_request *p, const char *error)
{
	if (p->phase != PEER_WRITING) {
		json_t *reply = control_failure(CONTROL_FAILED, error, NULL);

		send_at_once(p->fd, reply);
		json_decref(reply);
	}
	if (p->phase == PEER_WAITING)
		peer_gone(p);
	else
		peer_free(p);
}

/* Memory the replies take is counted where it is had, and given back in disconnect(). */
static int grow_to(struct control_request *p, size_t capacity_before)
{
	struct control *c = p->control;

	c->pending += p->out.capacity - capacity_before;
	return c->pending > CONTROL_PENDING_MAX ? -ENOBUFS : 0;
}

static int add_item(struct control_request *p)
{
	json_t *item;
	int r = p->items.next(p->items.ctx, &item);

	if (r < 0)
		return r;
	if (r == 0) {
		end_items(p);
		return control_text_add(&p->out, "]}\n", 3);
	}
	r = p->first_item ? 0 : control_text_add(&p->out, ",", 1);
	p->first_item = false;
	if (r == 0)
		r = control_text_add_json(&p->out, item);
	json_decref(item);
	return r;
}

/* Makes the next piece of a stream, which may be empty. 0 or -errno; the stream has ended when items.next is NULL. */
static int refill(struct control_request *p)
{
	size_t before = p->out.capacity;
	int r = 0, counted;

	start_timer(p); /* the piece before was taken, and a search is not the peer's fault */
	p->out.length = p->sent = 0;
	while (r == 0 && p->items.next && p->out.length < CONTROL_CHUNK)
		r = add_item(p);
	counted = grow_to(p, before);
	return r < 0 && r != -EAGAIN ? r : counted;
}

/* Sends what the socket takes. 1 when all is out, 0 when there is more, -errno when the peer is gone. */
static int push(struct control_request *p)
{
	const char *data = p->last_words ? p->last_words : p->out.data;
	size_t length = p->last_words ? strlen(p->last_words) : p->out.length;
	ssize_t n;

	if (p->sent < length) {
		n = send(p->fd, data + p->sent, length - p->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		p->sent += n;
		p->taken += n;
		if (p->taken >= CONTROL_CHUNK)
			start_timer(p);
	}
	if (p->sent < length)
		return 0;
	return p->items.next ? 0 : 1;
}

/* From here on the event loop has it: the caller may be in the middle of the verb, so nothing is freed. */
static void start_writing(struct control_request *p)
{
	assert(p->phase != PEER_WRITING); /* a request is answered once */
	if (p->phase == PEER_WAITING && !is_root(p))
		p->control->waiting_count--;
	p->gone = NULL;
	watch(p, PEER_WRITING);
	start_timer(p);
	/* At once what fits, for the sake of an agent that ends with this answer; the end is the event's. */
	push(p);
}

static void answer(struct control_request *p, json_t *reply)
{
	size_t before = p->out.capacity;
	int r = reply ? 0 : -ENOMEM;

	if (p->phase == PEER_ORPHAN) {
		json_decref(reply);
		peer_free(p);
		return;
	}
	p->out.limit = CONTROL_REPLY_MAX;
	if (r == 0)
		r = control_text_add_json(&p->out, reply);
	if (r == 0)
		r = control_text_add(&p->out, "\n", 1);
	json_decref(reply);
	if (grow_to(p, before) < 0 && r == 0)
		r = -ENOBUFS;
	if (r == -EFBIG)
		p->last_words = too_large;
	else if (r == -ENOBUFS)
		p->last_words = too_many_unread;
	else if (r < 0)
		p->last_words = out_of_memory;
	start_writing(p);
}

void control_reply(struct control_request *r, json_t *body)
{
	answer(r, body ? control_success(body) : NULL);
}

/* {"head":1,"NAME":[   The document's closing brace comes after the array instead; refill() writes it. */
static int open_array(struct control_text *t, const json_t *head, const char *name)
{
	int r = control_text_add_json(t, head);

	if (r < 0)
		return r;
	t->length--;
	r = control_text_add(t, ",\"", 2);
	if (r == 0)
		r = control_text_add(t, name, strlen(name));
	if (r == 0)
		r = control_text_add(t, "\":[", 3);
	return r;
}

void control_stream(struct control_request *r, json_t *head, const struct control_items *items)
{
	json_t *reply = head ? control_success(head) : NULL;
	size_t before = r->out.capacity;

	r->items = *items;
	if (r->phase == PEER_ORPHAN || !reply) {
		end_items(r);
		answer(r, reply);
		return;
	}
	r->out.limit = CONTROL_REPLY_MAX;
	if (open_array(&r->out, reply, items->name) < 0) {
		end_items(r);
		r->last_words = out_of_memory;
	}
	json_decref(reply);
	grow_to(r, before);
	r->first_item = true;
	start_writing(r);
}

static void __attribute__((format(printf, 4, 0)))
fail(struct control_request *r, enum control_code code, json_t *details, const char *format, va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	if (text)
		answer(r, control_failure(code, text, details));
	else {
		json_decref(details);
		answer(r, NULL);
	}
}

void control_fail(struct control_request *r, enum control_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail(r, code, NULL, format, args);
	va_end(args);
}

void control_fail_with(struct control_request *r, enum control_code code, json_t *details, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail(r, code, details, format, args);
	va_end(args);
}

void control_on_gone(struct control_request *r, void (*gone)(void *ctx), void *ctx)
{
	r->gone = gone;
	r->gone_ctx = ctx;
}

int control_fd(const struct control_request *r)
{
	return r->phase == PEER_ORPHAN ? -1 : r->fd;
}

void control_peer(const struct control_request *r, struct ucred *ret)
{
	*ret = r->peer;
}

/* The verb has not answered: it may take its time, unless those who wait already are too many. */
static void start_waiting(struct control_request *p)
{
	bool too_many = !is_root(p) && ++p->control->waiting_count > CONTROL_WAITING_MAX;

	event_del(&p->timer);
	if (watch(p, PEER_WAITING) < 0)
		peer_abort(p, "the agent is out of memory");
	else if (too_many)
		peer_abort(p, "too many commands wait for something already; try again later");
}

static void run_request(struct control_request *p, size_t length)
{
	struct control *c = p->control;
	char error[CONTROL_ERROR_MAX];
	const struct control_verb *v;
	struct control_words w;
	unsigned used;

	if (control_words_split(p->line, length, &w, error) < 0) {
		control_fail(p, CONTROL_USAGE, "%s", error);
		return;
	}
	v = control_words_match(&w, c->verbs, c->verb_count, &used, error);
	if (!v) {
		control_fail(p, CONTROL_USAGE, "%s", error);
		return;
	}
	if (v->level == MODEL_LEVEL_ADMIN && !is_root(p) && c->level != MODEL_LEVEL_ADMIN) {
		control_fail(p, CONTROL_FAILED,
			     "`%s` needs level admin, and uid %u has level user here: run it as root, or give the "
			     "`stats socket` line `level admin`", v->words, p->peer.uid);
		return;
	}
	v->run(p, w.count - used, w.word + used, c->ctx);
	if (p->phase == PEER_READING)
		start_waiting(p);
}

static void read_request(struct control_request *p)
{
	ssize_t n = recv(p->fd, p->line + p->filled, sizeof(p->line) - p->filled, MSG_DONTWAIT);
	const char *newline;
	size_t length;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && p->filled == 0)) {
		peer_free(p); /* a look whether somebody listens, or a reset */
		return;
	}
	newline = memchr(p->line + p->filled, '\n', n);
	p->filled += n;
	if (newline) {
		length = newline - p->line;
		if (length + 1 < p->filled)
			control_fail(p, CONTROL_USAGE, "bytes after the newline: a connection carries one request");
		else
			run_request(p, length);
	} else if (n == 0) {
		control_fail(p, CONTROL_USAGE, "the request ends without a newline");
	} else if (p->filled == sizeof(p->line)) {
		control_fail(p, CONTROL_USAGE, "no newline within %d bytes: the request is too long",
			     CONTROL_REQUEST_MAX);
	}
}

/* Half-closed is not gone: `echo wait ... | socat - UNIX:...` still listens. */
static bool has_hung_up(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void write_reply(struct control_request *p)
{
	int r;

	if (!p->last_words && p->items.next && p->sent == p->out.length && refill(p) < 0) {
		/* The document has begun: an end in the middle of it is the only way left to say that it failed. */
		peer_free(p);
		return;
	}
	r = push(p);
	if (r > 0)
		finish(p);
	else if (r < 0)
		peer_free(p);
}

static void on_io(evutil_socket_t fd, short what, void *ctx)
{
	struct control_request *p = ctx;

	if (p->phase == PEER_READING)
		read_request(p);
	else if (p->phase == PEER_WRITING)
		write_reply(p);
	else if (has_hung_up(p->fd))
		peer_gone(p);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct control_request *p = ctx;

	if (p->phase == PEER_READING)
		control_fail(p, CONTROL_TIMED_OUT, "the request was not complete after %d s",
			     CONTROL_TIMEOUT_MS / 1000);
	else
		peer_free(p);
}
