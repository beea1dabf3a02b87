/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP server over loopback: what it answers, and what hostile clients cost it. Clients are plain sockets in the
 * same process; between their steps the loop is turned until what is awaited has happened.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "web/server.h"

enum { PATIENCE_MS = 20000, BIG_PIECES = 2000 };

static struct world {
	struct event_base *base;
	struct web_server *server;
	struct endpoint at;
	unsigned streams, streams_done, pieces;
	bool break_off;
} w;

/*
 * The clock of this process, libevent's included: minutes pass without anybody waiting for them. It is the kernel's, and
 * what was added to it.
 */
static time_t skipped_s;

int clock_gettime(clockid_t clock, struct timespec *t)
{
	const long r = syscall(SYS_clock_gettime, clock, t);

	if (r == 0 && clock != CLOCK_REALTIME)
		t->tv_sec += skipped_s;
	return (int)r;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct stream {
	unsigned left;
};

static int stream_next(void *ctx, struct text *t)
{
	struct stream *s = ctx;

	w.pieces++;
	if (s->left % 7 == 3 && s->left-- > 1)
		return -EAGAIN;
	for (unsigned i = 0; i < 1024; i++)
		text_lit(t, "0123456789abcde\n");
	if (w.break_off && s->left < 10)
		return -EIO;
	return s->left-- > 1;
}

static void stream_done(void *ctx)
{
	w.streams_done++;
	free(ctx);
}

static void answer(const struct web_request *q, struct web_reply *ret, void *ctx)
{
	struct stream *s;

	if (strcmp(q->path, "/") == 0) {
		*ret = (struct web_reply){ .status = 200, .type = "text/plain", .body = "hello\n", .length = 6 };
		return;
	}
	s = calloc(1, sizeof(*s));
	s->left = strcmp(q->path, "/big") == 0 ? BIG_PIECES : 3;
	w.streams++;
	*ret = (struct web_reply){ .status = 200, .type = "text/plain", .next = stream_next, .done = stream_done,
				   .stream = s };
}

static int setup(void **state)
{
	char error[WEB_ERROR_MAX];

	memset(&w, 0, sizeof(w));
	w.base = event_base_new();
	if (web_server_new(w.base, answer, NULL, &w.server) < 0)
		return -1;
	w.at.addr = addr_from_v4(htonl(INADDR_LOOPBACK));
	for (w.at.port = 20000 + getpid() % 10000; w.at.port < 40000; w.at.port++)
		if (web_server_prepare(w.server, &w.at, error) == 0)
			break;
	web_server_commit(w.server);
	return 0;
}

static int teardown(void **state)
{
	web_server_free(w.server);
	event_base_free(w.base);
	return w.streams == w.streams_done ? 0 : -1;
}

static void turn(void)
{
	struct timespec nap = { .tv_nsec = 500000 };

	event_base_loop(w.base, EVLOOP_NONBLOCK);
	nanosleep(&nap, NULL);
}

/* From 127.0.0.HOST: every address of the loopback is a client of its own. */
static int dial_from(unsigned host)
{
	struct endpoint from = { .addr = addr_from_v4(htonl(INADDR_LOOPBACK - 1 + host)) };
	struct sockaddr_storage to, own;
	socklen_t length = endpoint_to_sockaddr(&w.at, &to);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&own, endpoint_to_sockaddr(&from, &own)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, length), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int dial(void)
{
	return dial_from(1);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until the peer closes, until `until` has come, or limit bytes: what came, to be freed. */
static char *hear(int fd, const char *until, size_t limit)
{
	const uint64_t end = now_ms() + PATIENCE_MS;
	char *all = calloc(1, limit + 1);
	size_t length = 0;

	while (length < limit && !(until && strstr(all, until))) {
		ssize_t n = recv(fd, all + length, limit - length, 0);

		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			length += (size_t)n;
		else
			turn();
		if (now_ms() > end)
			fail_msg("waited in vain; so far: %s", all);
	}
	return all;
}

static bool is_closed(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, MSG_PEEK);

	return n == 0 || (n < 0 && errno != EAGAIN);
}

static void assert_ends(int fd)
{
	const uint64_t end = now_ms() + PATIENCE_MS;
	char scrap[4096];

	while (!is_closed(fd)) {
		while (recv(fd, scrap, sizeof(scrap), 0) > 0)
			;
		turn();
		assert_true(now_ms() < end);
	}
}

static struct web_counts counts(void)
{
	struct web_counts c;

	web_server_counts(w.server, &c);
	return c;
}

static void wait_connections(uint32_t number)
{
	const uint64_t end = now_ms() + PATIENCE_MS;

	while (counts().connections != number) {
		turn();
		if (now_ms() > end)
			fail_msg("%u connections, expected %u", counts().connections, number);
	}
}

#define ASK(fd, request, until)                                  \
	({                                                       \
		say(fd, request);                                \
		hear(fd, until, 1 << 16);                        \
	})

static void get_and_head(void **state)
{
	int fd = dial();
	_cleanup_free_ char *got = ASK(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n"), *head = NULL, *last = NULL;

	assert_non_null(strstr(got, "HTTP/1.1 200 OK\r\n"));
	assert_non_null(strstr(got, "Content-Length: 6\r\n"));
	/* The same connection: the answer to HEAD has no body. */
	head = ASK(fd, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n");
	assert_non_null(strstr(head, "Content-Length: 6\r\n"));
	assert_null(strstr(head, "hello"));
	last = ASK(fd, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", NULL);
	assert_non_null(strstr(last, "Connection: close\r\n"));
	assert_non_null(strstr(last, "hello\n"));
	close(fd);
	wait_connections(0);
	assert_int_equal(counts().requests, 3);
}

static void requests_sent_ahead_are_answered_in_order(void **state)
{
	static const char ahead[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n"
				    "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"
				    "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	int fd = dial();
	_cleanup_free_ char *got = ASK(fd, ahead, NULL);
	const char *stream = strstr(got, "chunked"), *end = stream ? strstr(stream, "\r\n0\r\n\r\n") : NULL;

	assert_non_null(end);
	assert_non_null(strstr(end, "hello\n"));
	assert_int_equal(counts().requests, 4);
	close(fd);
}

static void old_clients_get_streams_until_the_end(void **state)
{
	int fd = dial();
	_cleanup_free_ char *got = ASK(fd, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", NULL);

	assert_null(strstr(got, "chunked"));
	assert_non_null(strstr(got, "Connection: close\r\n"));
	assert_string_equal(got + strlen(got) - 16, "0123456789abcde\n");
	close(fd);
}

static void refusals_end_the_connection(void **state)
{
	static const struct {
		const char *text, *status;
	} cases[] = {
		{ "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 405" },
		{ "nonsense\r\n\r\n", "HTTP/1.1 400" },
		{ "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		  "HTTP/1.1 413" },
		{ "GET / HTTP/3\r\n\r\n", "HTTP/1.1 505" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		int fd = dial();
		_cleanup_free_ char *got = ASK(fd, cases[i].text, NULL);

		assert_memory_equal(got, cases[i].status, strlen(cases[i].status));
		assert_non_null(strstr(got, "Connection: close\r\n"));
		close(fd);
	}
	wait_connections(0);
	assert_int_equal(counts().refused, array_size(cases));
	assert_int_equal(counts().requests, 0);
}

/* A head without an end: 431 at the limit, and no more of it is kept. */
static void huge_heads_are_refused(void **state)
{
	_cleanup_free_ char *junk = malloc(4096), *got = NULL;
	int fd = dial(), sent = 0;

	memset(junk, 'a', 4096);
	say(fd, "GET / HTTP/1.1\r\nX: ");
	while (sent < 1 << 20 && !is_closed(fd)) {
		ssize_t n = send(fd, junk, 4096, MSG_NOSIGNAL);

		if (n > 0)
			sent += n;
		else if (errno != EAGAIN)
			break;
		turn();
		if (!got && counts().refused) {
			got = hear(fd, "\r\n\r\n", 4096);
			break;
		}
	}
	assert_non_null(got);
	assert_memory_equal(got, "HTTP/1.1 431", 12);
	assert_ends(fd);
	close(fd);
	wait_connections(0);
}

/* Slow requests end after a time, however steadily they drip. */
static void dripping_requests_end(void **state)
{
	const uint64_t began = now_ms();
	_cleanup_free_ char *got = NULL;
	int fd = dial(), silent = dial();
	const char *at = "GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	uint64_t next = began;

	while (!counts().refused && now_ms() < began + PATIENCE_MS) {
		if (now_ms() >= next && *at) {
			if (send(fd, at++, 1, MSG_NOSIGNAL) < 0)
				break;
			next += 100;
		}
		turn();
	}
	assert_true(now_ms() - began >= WEB_REQUEST_MS - 100);
	got = hear(fd, NULL, 4096);
	assert_memory_equal(got, "HTTP/1.1 408", 12);
	assert_ends(silent);
	close(fd);
	close(silent);
	wait_connections(0);
}

/* One address has its share and no more; the one that has waited longest makes room, and service goes on. */
static void many_connections_are_capped(void **state)
{
	int fds[200];
	_cleanup_free_ char *got = NULL;
	unsigned open = 0;

	for (size_t i = 0; i < array_size(fds); i++) {
		fds[i] = dial();
		say(fds[i], "GET");
		turn();
		assert_true(counts().connections <= WEB_PEER_MAX);
	}
	while (counts().evicted < array_size(fds) - WEB_PEER_MAX)
		turn();
	for (size_t i = 0; i < array_size(fds); i++)
		open += !is_closed(fds[i]);
	assert_int_equal(open, WEB_PEER_MAX);
	assert_false(is_closed(fds[array_size(fds) - 1]));
	got = ASK(fds[array_size(fds) - 1], " / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n");
	assert_non_null(strstr(got, "200 OK"));
	for (size_t i = 0; i < array_size(fds); i++)
		close(fds[i]);
	wait_connections(0);
}

/* Many addresses together have no more than there is; whoever comes last is served. */
static void many_addresses_share_the_room(void **state)
{
	int fds[6 * WEB_PEER_MAX];
	_cleanup_free_ char *got = NULL;
	unsigned open = 0;

	_Static_assert(sizeof(fds) / sizeof(fds[0]) > WEB_CONNECTIONS_MAX, "more than there is room for");
	for (size_t i = 0; i < array_size(fds); i++) {
		fds[i] = dial_from(1 + i / WEB_PEER_MAX);
		say(fds[i], "GET");
		turn();
		assert_true(counts().connections <= WEB_CONNECTIONS_MAX);
	}
	while (counts().evicted < array_size(fds) - WEB_CONNECTIONS_MAX)
		turn();
	for (size_t i = 0; i < array_size(fds); i++)
		open += !is_closed(fds[i]);
	assert_int_equal(open, WEB_CONNECTIONS_MAX);
	got = ASK(fds[array_size(fds) - 1], " / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n");
	assert_non_null(strstr(got, "200 OK"));
	for (size_t i = 0; i < array_size(fds); i++)
		close(fds[i]);
	wait_connections(0);
}

/* The same for replies that are made while they are sent: the next one is told to come back, the others go on. */
static void streams_of_many_addresses_are_capped(void **state)
{
	int fds[WEB_STREAMS_MAX + 1];
	_cleanup_free_ char *got = NULL, *whole = NULL;

	for (size_t i = 0; i < array_size(fds); i++) {
		fds[i] = dial_from(1 + i / WEB_PEER_STREAMS_MAX);
		say(fds[i], "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
		while (counts().requests <= i)
			turn();
	}
	got = hear(fds[WEB_STREAMS_MAX], "\r\n\r\n", 4096);
	assert_memory_equal(got, "HTTP/1.1 503", 12);
	whole = hear(fds[0], "\r\n0\r\n\r\n", 64 << 20);
	assert_non_null(strstr(whole, "\r\n0\r\n\r\n"));
	for (size_t i = 0; i < array_size(fds); i++)
		close(fds[i]);
	wait_connections(0);
	assert_int_equal(w.streams, w.streams_done);
}

/* A client that asks for much and reads nothing: what is made for it stops at a limit. */
static void slow_readers_cost_little(void **state)
{
	uint64_t end = now_ms() + 1500;
	int fd = dial(), other = dial();
	_cleanup_free_ char *got = NULL, *rest = NULL;
	unsigned pieces;

	say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	while (now_ms() < end)
		turn();
	pieces = w.pieces;
	/* 16 KiB each: the socket's own buffers, and WEB_PENDING. */
	assert_true(pieces > 3 && pieces < 1000);
	got = ASK(other, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n");
	assert_non_null(strstr(got, "200 OK"));
	assert_in_range(w.pieces, pieces, pieces + 16);
	rest = hear(fd, "\r\n0\r\n\r\n", 64 << 20);
	assert_non_null(strstr(rest, "\r\n0\r\n\r\n"));
	close(fd);
	close(other);
	wait_connections(0);
}

/* Time passes; whoever is due then has had his turn, and whoever is not is still there. */
static void pass_time(uint32_t ms)
{
	skipped_s += ms / 1000;
	for (unsigned i = 0; i < 20; i++)
		turn();
}

/* A connection that is kept open is closed some time after its last reply, not before. */
static void idle_clients_are_let_go(void **state)
{
	_cleanup_free_ char *got = NULL, *again = NULL;
	int fd = dial();

	got = ASK(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n");
	pass_time(WEB_IDLE_MS - 20000);
	assert_int_equal(counts().connections, 1);
	again = ASK(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n");
	assert_non_null(strstr(again, "200 OK"));
	/* The time begins anew with each reply. */
	pass_time(WEB_IDLE_MS - 20000);
	assert_int_equal(counts().connections, 1);
	pass_time(21000);
	assert_ends(fd);
	close(fd);
	wait_connections(0);
	assert_int_equal(counts().refused, 0);
}

/* Who never reads his reply has it broken off, be it short or made while it is sent. */
static void who_never_reads_is_let_go(void **state)
{
	int fd = dial();

	say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	while (!counts().requests)
		turn();
	pass_time(WEB_REPLY_MS - 10000);
	assert_int_equal(counts().connections, 1);
	assert_int_equal(w.streams_done, 0);
	pass_time(11000);
	wait_connections(0);
	assert_int_equal(w.streams_done, 1);
	close(fd);
}

/* A slow reader that gets on gets all of it, if it takes no longer than a reply may. */
static void a_slow_reader_is_waited_for(void **state)
{
	_cleanup_free_ char *first = NULL, *rest = NULL;
	int fd = dial();

	say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
	first = hear(fd, NULL, 1 << 20);
	pass_time(WEB_REPLY_MS / 3);
	rest = hear(fd, "\r\n0\r\n\r\n", 64 << 20);
	assert_non_null(strstr(rest, "\r\n0\r\n\r\n"));
	/* The connection is kept, and its idle time is what counts now. */
	pass_time(WEB_REPLY_MS);
	assert_int_equal(counts().connections, 1);
	close(fd);
	wait_connections(0);
}

/* After a refusal a client that neither reads nor closes is gone soon. */
static void who_lingers_is_let_go(void **state)
{
	int fd = dial();

	say(fd, "POST / HTTP/1.1\r\nHost: x\r\n\r\n");
	while (!counts().refused)
		turn();
	pass_time(WEB_LINGER_MS + 1000);
	wait_connections(0);
	close(fd);
}

static void streams_are_capped(void **state)
{
	int fds[WEB_PEER_STREAMS_MAX + 1];
	_cleanup_free_ char *got = NULL;

	for (size_t i = 0; i < array_size(fds); i++) {
		fds[i] = dial();
		say(fds[i], "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
		while (counts().requests <= i)
			turn();
	}
	got = hear(fds[WEB_PEER_STREAMS_MAX], "\r\n\r\n", 4096);
	assert_memory_equal(got, "HTTP/1.1 503", 12);
	assert_non_null(strstr(got, "Retry-After: 1\r\n"));
	for (size_t i = 0; i < array_size(fds); i++)
		close(fds[i]);
	wait_connections(0);
	assert_int_equal(w.streams, w.streams_done);
}

/* A reply that cannot be finished must not look as if it were whole. */
static void broken_streams_show(void **state)
{
	int fd = dial();
	_cleanup_free_ char *got = NULL;

	w.break_off = true;
	got = ASK(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", NULL);
	assert_null(strstr(got, "\r\n0\r\n\r\n"));
	close(fd);
	wait_connections(0);
}

static void place_can_change(void **state)
{
	struct endpoint other = w.at, taken;
	char error[WEB_ERROR_MAX] = "";
	int kept = dial(), fd;
	_cleanup_free_ char *got = NULL, *again = NULL;
	struct web_server *second;

	/* Those in the backlog of the old place are lost, those that are there are not. */
	wait_connections(1);
	/* What is taken is refused, and nothing has changed. */
	assert_int_equal(web_server_new(w.base, answer, NULL, &second), 0);
	assert_int_equal(web_server_prepare(second, &w.at, error), -EADDRINUSE);
	assert_non_null(strstr(error, "cannot listen at 127.0.0.1:"));
	web_server_free(second);
	for (taken = other; web_server_prepare(w.server, &other, error) < 0 || other.port == taken.port;)
		other.port++;
	web_server_commit(w.server);
	got = ASK(kept, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n");
	assert_non_null(strstr(got, "200 OK"));
	w.at = other;
	fd = dial();
	again = ASK(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello\n");
	assert_non_null(strstr(again, "200 OK"));
	/* Nowhere. */
	assert_int_equal(web_server_prepare(w.server, NULL, error), 0);
	web_server_commit(w.server);
	close(fd);
	close(kept);
	wait_connections(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(get_and_head),
		TEST(requests_sent_ahead_are_answered_in_order),
		TEST(old_clients_get_streams_until_the_end),
		TEST(refusals_end_the_connection),
		TEST(huge_heads_are_refused),
		TEST(dripping_requests_end),
		TEST(many_connections_are_capped),
		TEST(many_addresses_share_the_room),
		TEST(streams_of_many_addresses_are_capped),
		TEST(slow_readers_cost_little),
		TEST(idle_clients_are_let_go),
		TEST(who_never_reads_is_let_go),
		TEST(a_slow_reader_is_waited_for),
		TEST(who_lingers_is_let_go),
		TEST(streams_are_capped),
		TEST(broken_streams_show),
		TEST(place_can_change),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
