/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A control socket with made-up verbs, and clients of it, all on one event loop: a test says what must come true and
 * the loop turns until it has. Used by the test_control_* files.
 */
#ifndef TESTS_UNIT_CONTROL_RIG_H
#define TESTS_UNIT_CONTROL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/loop.h"
#include "control/control.h"
#include "control/peer.h"

enum { RIG_HELD_MAX = 64, RIG_PATIENCE_S = 20 };

struct rig {
	char folder[32], path[64];
	struct event_base *base;
	struct control *control;
	struct model_stats_socket where;
	struct control_request *held[RIG_HELD_MAX];
	unsigned held_count, gone_count, done_count;
	unsigned left, calls; /* items of the stream; calls of its source */
	bool broken;          /* it fails before its last item */
	bool late;     /* the patience is over */
};

struct client {
	int fd;
	struct event *event;
	char *data;
	size_t length, capacity;
	bool ended;
};

static inline void rig_echo(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	json_t *args = json_array();

	for (unsigned i = 0; i < argc; i++)
		json_array_append_new(args, json_string(argv[i]));
	control_reply(r, json_pack("{s:o}", "args", args));
}

static inline void rig_change(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	control_reply(r, json_object());
}

static inline void rig_count_gone(void *ctx)
{
	((struct rig *)ctx)->gone_count++;
}

static inline void rig_hold(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct rig *rig = ctx;

	rig->held[rig->held_count++] = r;
	if (argc == 0)
		control_on_gone(r, rig_count_gone, rig);
}

static inline void rig_big(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	size_t length = strtoul(argv[0], NULL, 10);
	char *data = malloc(length + 1);

	memset(data, 'x', length);
	data[length] = '\0';
	control_reply(r, json_pack("{s:s}", "data", data));
	free(data);
}

/* Like a search: every seventh call has found nothing yet. */
static inline int rig_next(void *ctx, json_t **ret)
{
	struct rig *rig = ctx;

	if (rig->broken && rig->left == 1)
		return -EIO;
	if (rig->left == 0)
		return 0;
	if (++rig->calls % 7 == 0)
		return -EAGAIN;
	*ret = json_integer(rig->left--);
	return 1;
}

static inline void rig_done(void *ctx)
{
	((struct rig *)ctx)->done_count++;
}

static inline void rig_stream(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct rig *rig = ctx;
	const struct control_items items = { .name = "items", .next = rig_next, .done = rig_done, .ctx = rig };

	rig->left = strtoul(argv[0], NULL, 10);
	control_stream(r, json_pack("{s:i}", "total", (int)rig->left), &items);
}

static inline void rig_bad(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	control_fail_with(r, CONTROL_BAD_CONFIG, json_pack("{s:[s]}", "messages", "one"), "bad \xff file");
}

static const struct control_verb rig_verbs[] = {
	{ "echo", "[WORD ...]", 0, 31, MODEL_LEVEL_USER, rig_echo },
	{ "change", "", 0, 0, MODEL_LEVEL_ADMIN, rig_change },
	{ "hold", "[blindly]", 0, 1, MODEL_LEVEL_USER, rig_hold },
	{ "show big", "N", 1, 1, MODEL_LEVEL_USER, rig_big },
	{ "show stream", "N", 1, 1, MODEL_LEVEL_USER, rig_stream },
	{ "bad", "", 0, 0, MODEL_LEVEL_USER, rig_bad },
};

static inline int rig_open(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	strcpy(r->folder, "/tmp/alwayson-ctl-XXXXXX");
	assert_non_null(mkdtemp(r->folder));
	assert_int_equal(chmod(r->folder, 0755), 0);
	snprintf(r->path, sizeof(r->path), "%s/c.sock", r->folder);
	r->base = loop_new();
	r->where = (struct model_stats_socket){ .mode = 0666, .uid = -1, .gid = -1, .level = MODEL_LEVEL_USER };
	assert_int_equal(control_new(r->base, &r->where, r->path, rig_verbs, array_size(rig_verbs), r, &r->control), 0);
	*state = r;
	return 0;
}

static inline int rig_close(void **state)
{
	struct rig *r = *state;

	control_free(r->control);
	event_base_free(r->base);
	assert_int_equal(rmdir(r->folder), 0); /* nothing was left behind */
	free(r);
	return 0;
}

static inline void rig_too_late(evutil_socket_t fd, short what, void *ctx)
{
	((struct rig *)ctx)->late = true;
}

/* Turns the loop until the condition holds; fails loudly when it never does. */
#define rig_until(r, condition)                                                                        \
	do {                                                                                           \
		struct event *guard_ = evtimer_new((r)->base, rig_too_late, (r));                      \
		const struct timeval patience_ = { .tv_sec = RIG_PATIENCE_S };                         \
		evtimer_add(guard_, &patience_);                                                       \
		while (!(condition)) {                                                                 \
			event_base_loop((r)->base, EVLOOP_ONCE);                                       \
			if ((r)->late)                                                                 \
				fail_msg("never came true: %s", #condition);                           \
		}                                                                                      \
		event_free(guard_);                                                                    \
	} while (0)

static inline void rig_set(evutil_socket_t fd, short what, void *ctx)
{
	*(bool *)ctx = true;
}

/* How often the loop turns within some time; an idle one turns for the timer only. */
static inline unsigned rig_turns(struct rig *r, unsigned ms)
{
	const struct timeval limit = { .tv_usec = ms * 1000 };
	unsigned turns = 0;
	bool over = false;
	struct event *end = evtimer_new(r->base, rig_set, &over);

	evtimer_add(end, &limit);
	while (!over) {
		event_base_loop(r->base, EVLOOP_ONCE);
		turns++;
	}
	event_free(end);
	return turns;
}

static inline int connect_path(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		close(fd);
		return -errno;
	}
	return fd;
}

static inline void client_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct client *c = ctx;
	ssize_t n;

	if (c->capacity < c->length + 65537) {
		c->capacity = 2 * c->capacity + 65537;
		c->data = realloc(c->data, c->capacity);
		assert_non_null(c->data);
	}
	n = recv(fd, c->data + c->length, 65536, 0);
	if (n <= 0) {
		assert_int_equal(n, 0); /* never a reset: it would eat a reply */
		c->ended = true;
		event_del(c->event);
		return;
	}
	c->length += n;
	c->data[c->length] = '\0';
}

static inline void client_read(struct client *c)
{
	event_add(c->event, NULL);
}

static inline void client_open_idle(struct client *c, struct rig *r)
{
	*c = (struct client){ .fd = connect_path(r->path) };
	assert_true(c->fd >= 0);
	c->event = event_new(r->base, c->fd, EV_READ | EV_PERSIST, client_readable, c);
}

static inline void client_open(struct client *c, struct rig *r)
{
	client_open_idle(c, r);
	client_read(c);
}

static inline void client_send(struct client *c, const char *data, size_t length)
{
	assert_int_equal(send(c->fd, data, length, MSG_NOSIGNAL), length);
}

static inline void client_say(struct client *c, const char *text)
{
	client_send(c, text, strlen(text));
}

static inline void client_close(struct client *c)
{
	event_free(c->event);
	close(c->fd);
	free(c->data);
}

/* What the client has got, as JSON; the document must be whole and one line. */
static inline json_t *client_json(const struct client *c)
{
	json_error_t error;
	json_t *j;

	assert_true(c->length > 0);
	assert_int_equal(c->data[c->length - 1], '\n');
	assert_ptr_equal(memchr(c->data, '\n', c->length), c->data + c->length - 1);
	j = json_loadb(c->data, c->length, JSON_REJECT_DUPLICATES, &error);
	if (!j)
		fail_msg("not JSON: %s", error.text);
	return j;
}

/* One whole exchange. */
static inline json_t *rig_ask_bytes(struct rig *r, const char *data, size_t length)
{
	struct client c;
	json_t *j;

	client_open(&c, r);
	client_send(&c, data, length);
	rig_until(r, c.ended);
	j = client_json(&c);
	client_close(&c);
	return j;
}

static inline json_t *rig_ask(struct rig *r, const char *text)
{
	return rig_ask_bytes(r, text, strlen(text));
}

static inline void assert_refused(json_t *j, enum control_code code, const char *part)
{
	const char *error = json_string_value(json_object_get(j, "error"));

	assert_true(json_is_false(json_object_get(j, "ok")));
	assert_int_equal(json_integer_value(json_object_get(j, "code")), code);
	assert_non_null(error);
	if (!strstr(error, part))
		fail_msg("`%s` does not say `%s`", error, part);
	json_decref(j);
}

static inline void assert_done(json_t *j)
{
	assert_true(json_is_true(json_object_get(j, "ok")));
	assert_true(json_integer_value(json_object_get(j, "now_ms")) > 1600000000000);
	json_decref(j);
}

/* Runs play in a child that is nobody; what it writes to fd comes back. The loop turns meanwhile. */
static inline char *rig_as_nobody(struct rig *r, void (*play)(const struct rig *r, int to))
{
	struct client c = {};
	int ends[2];
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(1);
		play(r, ends[1]);
		_exit(0);
	}
	close(ends[1]);
	c.fd = ends[0];
	c.event = event_new(r->base, c.fd, EV_READ | EV_PERSIST, client_readable, &c);
	client_read(&c);
	rig_until(r, c.ended);
	assert_int_equal(waitpid(child, NULL, 0), child);
	event_free(c.event);
	close(c.fd);
	return c.data;
}

#endif
