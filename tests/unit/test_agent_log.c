/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where an event's line goes: stderr, the journal, syslog's sockets; and what happens when nobody takes it.
 */
#include "unit/agent_rig.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "agent/log.h"

enum { HEARD_MAX = 1 << 20 };

/* While it lasts, stderr (or stdout) is a pipe of the test's own. Nothing is asserted in between: it would be lost. */
struct rig {
	struct folder folder;
	struct event_base *base;
	struct log *l;
	int stream, saved, reader;
	char *heard;
	size_t length;
	struct model_global g;
	unsigned seen_count;
	int seen_level;
	char seen[256];
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	unsetenv("JOURNAL_STREAM");
	folder_new(&r->folder);
	r->base = event_base_new();
	r->heard = calloc(1, HEARD_MAX);
	assert_true(r->base && r->heard);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	event_base_free(r->base);
	folder_remove(&r->folder);
	for (size_t i = 0; i < r->g.logs.count; i++)
		free(r->g.logs.items[i].path);
	vec_done(&r->g.logs);
	free(r->heard);
	free(r);
	return 0;
}

static void capture(struct rig *r, int stream, int writer, int reader)
{
	fflush(NULL);
	r->stream = stream;
	r->saved = dup(stream);
	dup2(writer, stream);
	close(writer);
	r->reader = reader;
}

static void capture_pipe(struct rig *r, int stream)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	capture(r, stream, ends[1], ends[0]);
}

static void *read_all(void *arg)
{
	struct rig *r = arg;
	ssize_t n;

	while ((n = read(r->reader, r->heard + r->length, HEARD_MAX - 1 - r->length)) > 0)
		r->length += (size_t)n;
	close(r->reader);
	return NULL;
}

/* Ends the log and the capture; r->heard is all that was written. */
static void release(struct rig *r)
{
	log_free(r->l);
	r->l = NULL;
	dup2(r->saved, r->stream);
	close(r->saved);
	read_all(r);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void writes_to_stderr_at_once(void **state)
{
	struct rig *r = *state;

	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_event(r->l, LOG_WARNING, "server_down", "backend=%s server=%s reason=%s", "nodes", "node1",
		  log_quoted("Connection\nrefused"));
	log_event(r->l, LOG_INFO, "ready", "%s", "");
	log_event(r->l, LOG_DEBUG, "detail", "n=%d", 1);
	log_event(r->l, LOG_NOTICE, "careless", "text=%s", "a\nerr event=forged\033[2J");
	release(r);
	assert_string_equal(r->heard,
			    "warning event=server_down backend=nodes server=node1 reason=\"Connection\\nrefused\"\n"
			    "info event=ready\n"
			    "notice event=careless text=a\\x0aerr event=forged\\x1b[2J\n");
}

static void on_seen(int level, const char *event, const char *pairs, void *ctx)
{
	struct rig *r = ctx;

	r->seen_count++;
	r->seen_level = level;
	snprintf(r->seen, sizeof(r->seen), "%s|%s", event, pairs);
}

/* The level that was set while running is every target's, until it is taken back; new targets get it too. */
static void a_level_set_while_running_wins(void **state)
{
	struct rig *r = *state;
	struct model_log *m = vec_push(&r->g.logs);
	struct log_target_view first, second;
	bool wants[3], one, two;
	uint64_t held;

	*m = (struct model_log){ .kind = MODEL_LOG_STDERR, .length_max = 1024, .level = LOG_WARNING };
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	wants[0] = log_wants(r->l, LOG_DEBUG);
	for (unsigned i = 0; i < LOG_RATE_MAX + 1; i++)
		log_event(r->l, LOG_DEBUG, "a", "%s", "");
	held = log_suppressed(r->l);
	log_set_level(r->l, LOG_DEBUG);
	wants[1] = log_wants(r->l, LOG_DEBUG);
	log_event(r->l, LOG_DEBUG, "a", "n=%d", 1);
	log_configure(r->l, &r->g);
	one = log_target(r->l, 0, &first);
	two = log_target(r->l, 1, &second);
	log_event(r->l, LOG_DEBUG, "a", "n=%d", 2);
	log_set_level(r->l, LOG_ERR);
	log_event(r->l, LOG_WARNING, "a", "n=%d", 3);
	log_set_level(r->l, -1);
	wants[2] = log_wants(r->l, LOG_NOTICE);
	log_event(r->l, LOG_WARNING, "a", "n=%d", 4);
	log_event(r->l, LOG_NOTICE, "a", "n=%d", 5);
	release(r);
	assert_string_equal(r->heard, "debug event=a n=1\ndebug event=a n=2\nwarning event=a n=4\n");
	assert_true(!wants[0] && wants[1] && !wants[2] && held == 0);
	assert_true(one && !two);
	assert_string_equal(first.kind, "stderr");
	assert_true(first.level == LOG_DEBUG && first.level_configured == LOG_WARNING && !first.lost && !first.dropped);
}

static void an_observer_sees_what_is_logged(void **state)
{
	struct rig *r = *state;
	char first[256], second[256];
	unsigned count;

	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_observe(r->l, on_seen, r);
	log_event(r->l, LOG_WARNING, "server_down", "server=%s reason=%s", "node1", log_quoted("a\nb"));
	strcpy(first, r->seen);
	log_event(r->l, LOG_WARNING, "plain", "%s", "");
	strcpy(second, r->seen);
	for (int i = 0; i < LOG_RATE_MAX + 10; i++)
		log_event(r->l, LOG_NOTICE, "many", "n=%d", i);
	count = r->seen_count;
	log_observe(r->l, NULL, NULL);
	log_event(r->l, LOG_ERR, "unseen", "n=%d", 1);
	release(r);
	assert_string_equal(first, "server_down|server=node1 reason=\"a\\nb\"");
	assert_string_equal(second, "plain|");
	/* What the rate holds back is not logged, so not seen. */
	assert_int_equal(count, 2 + LOG_RATE_MAX);
	assert_int_equal(r->seen_count, count);
	assert_int_equal(r->seen_level, LOG_NOTICE);
}

static void the_journal_gets_its_prefix(void **state)
{
	struct rig *r = *state;
	char stream[64];
	struct stat st;

	capture_pipe(r, STDERR_FILENO);
	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_new(r->base, &r->l);
	log_event(r->l, LOG_ERR, "attach_failed", "interface=%s", "eth0");
	release(r);
	assert_string_equal(r->heard, "<3>event=attach_failed interface=eth0\n");
	r->length = 0;
	memset(r->heard, 0, 256);
	/* A stderr that is not the journal although the variable is inherited. */
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_event(r->l, LOG_ERR, "attach_failed", "interface=%s", "eth0");
	release(r);
	assert_string_equal(r->heard, "err event=attach_failed interface=eth0\n");
}

static void cuts_a_line_at_its_limit(void **state)
{
	struct rig *r = *state;
	char text[LOG_LINE_MAX + 1];

	memset(text, 'x', sizeof(text));
	text[LOG_LINE_MAX] = '\0';
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_event(r->l, LOG_ERR, "x", "%s", text + strlen("event=x ") + 1);
	log_event(r->l, LOG_ERR, "x", "%s", text + strlen("event=x "));
	release(r);
	assert_int_equal(r->length, 2 * (strlen("err ") + LOG_LINE_MAX - 1 + 1));
	assert_string_equal(r->heard + r->length - 5, "x...\n");
	assert_memory_equal(r->heard + r->length / 2 - 5, "xxxx\n", 5);
}

/* Fills a pipe that nobody reads: the loop goes on, what does not fit is counted, and told when it is read again. */
static void a_blocked_stderr_blocks_nobody(void **state)
{
	enum { LINES = 4000 };
	struct rig *r = *state;
	char text[500], kind[32];
	uint64_t start, took, dropped;
	int flags_before, flags_after;
	unsigned long long told = 0;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	capture_pipe(r, STDERR_FILENO);
	flags_before = fcntl(STDERR_FILENO, F_GETFL);
	log_new(r->base, &r->l);
	start = now_ms();
	for (int i = 0; i < LINES; i++) {
		snprintf(kind, sizeof(kind), "kind_%d", i % 60);
		log_event(r->l, LOG_ERR, kind, "n=%d text=%s", i, text);
	}
	took = now_ms() - start;
	dropped = log_dropped(r->l);
	flags_after = fcntl(STDERR_FILENO, F_GETFL);
	/* Now somebody reads: the reader sees the end once log_free() and the restored stderr have closed the pipe. */
	{
		pthread_t reader;

		pthread_create(&reader, NULL, read_all, r);
		log_free(r->l);
		r->l = NULL;
		dup2(r->saved, r->stream);
		close(r->saved);
		pthread_join(reader, NULL);
	}
	assert_true(took < 5000);
	assert_int_equal(flags_before, flags_after);
	assert_true(dropped > 0 && dropped < LINES);
	/* Where they are missing: once, or twice when the queue was full before the thread got its first piece. */
	for (const char *at = r->heard; (at = strstr(at, "\nwarning event=log_dropped lines=")); at++)
		told += strtoull(at + strlen("\nwarning event=log_dropped lines="), NULL, 10);
	assert_int_equal(told, dropped);
	assert_non_null(strstr(r->heard, "n=0 "));
}

static void an_end_with_a_blocked_stderr_comes_in_time(void **state)
{
	struct rig *r = *state;
	char text[1000];
	uint64_t start, took;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	for (int i = 0; i < LOG_RATE_MAX; i++)
		log_event(r->l, LOG_ERR, "full", "n=%d text=%s", i, text);
	start = now_ms();
	log_free(r->l);
	took = now_ms() - start;
	dup2(r->saved, r->stream);
	close(r->saved);
	close(r->reader);
	assert_true(took >= LOG_FLUSH_MS - 10 && took < LOG_FLUSH_MS + 2000);
}

static void a_closed_stderr_counts_and_kills_nobody(void **state)
{
	struct rig *r = *state;
	uint64_t until = now_ms() + RIG_PATIENCE_S * 1000, dropped;

	capture_pipe(r, STDERR_FILENO);
	close(r->reader);
	log_new(r->base, &r->l);
	log_event(r->l, LOG_ERR, "lost", "n=%d", 1);
	while (!(dropped = log_dropped(r->l)) && now_ms() < until)
		sched_yield();
	log_free(r->l);
	dup2(r->saved, r->stream);
	close(r->saved);
	assert_int_equal(dropped, 1);
}

static void says_once_what_it_held_back(void **state)
{
	struct rig *r = *state;
	const struct timeval second = { .tv_sec = 1, .tv_usec = 200000 };
	unsigned lines = 0;
	uint64_t suppressed;

	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	for (int i = 0; i < LOG_RATE_MAX + 50; i++)
		log_event(r->l, LOG_WARNING, "server_down", "n=%d", i);
	/* The window's own timer ends it: the log says what it held back without another event. */
	event_base_loopexit(r->base, &second);
	event_base_dispatch(r->base);
	suppressed = log_suppressed(r->l);
	log_event(r->l, LOG_WARNING, "server_down", "n=%s", "next");
	release(r);
	for (const char *at = r->heard; (at = strstr(at, "event=server_down")); at++)
		lines++;
	assert_int_equal(lines, LOG_RATE_MAX + 1);
	assert_int_equal(suppressed, 50);
	assert_non_null(strstr(r->heard, "warning event=log_suppressed kind=server_down lines=50\n"
					 "warning event=server_down n=next\n"));
}

static struct model_log *add_target(struct rig *r, enum model_log_kind kind)
{
	struct model_log *t = vec_push(&r->g.logs);

	t->kind = kind;
	t->length_max = 1024;
	t->facility = 16;
	t->level = LOG_DEBUG;
	return t;
}

static int listen_unix(const struct folder *f, const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", folder_file(f, name));
	unlink(at.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* One datagram, without waiting; "" = none. */
static const char *datagram(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The text behind RFC 3164's head of a line from this process; NULL when the head is another. */
static const char *behind_head(const char *line, unsigned priority, const char *host)
{
	char format[256], month[4];
	int day, hour, minute, second, end = 0;

	snprintf(format, sizeof(format), "<%u>%%3s %%2d %%2d:%%2d:%%2d %s%salwaysond[%d]: %%n", priority, host,
		 *host ? " " : "", (int)getpid());
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (sscanf(line, format, month, &day, &hour, &minute, &second, &end) != 5 || !end)
		return NULL;
#pragma GCC diagnostic pop
	return line + end;
}

static void speaks_to_a_local_daemon(void **state)
{
	struct rig *r = *state;
	struct model_log *t = add_target(r, MODEL_LOG_SOCKET);
	char first[1024], second[1024], third[1024];
	int fd = listen_unix(&r->folder, "log");

	t->path = strdup(folder_file(&r->folder, "log"));
	t->level = LOG_NOTICE;
	t->level_min = LOG_WARNING;
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_configure(r->l, &r->g);
	log_event(r->l, LOG_NOTICE, "server_up", "server=%s", "node1");
	log_event(r->l, LOG_CRIT, "attach_failed", "interface=%s", "eth0");
	log_event(r->l, LOG_INFO, "detail", "n=%d", 1);
	strcpy(first, datagram(fd));
	strcpy(second, datagram(fd));
	strcpy(third, datagram(fd));
	release(r);
	close(fd);
	assert_string_equal(behind_head(first, 16 << 3 | LOG_NOTICE, ""), "event=server_up server=node1");
	/* Graver than the minimum: sent as that. */
	assert_string_equal(behind_head(second, 16 << 3 | LOG_WARNING, ""), "event=attach_failed interface=eth0");
	assert_string_equal(third, "");
	assert_string_equal(r->heard, "");
}

static void a_line_keeps_to_the_length_of_its_target(void **state)
{
	struct rig *r = *state;
	struct model_log *t = add_target(r, MODEL_LOG_SOCKET);
	int fd = listen_unix(&r->folder, "log");
	char text[200], got[1024];

	t->path = strdup(folder_file(&r->folder, "log"));
	t->length_max = 80;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_configure(r->l, &r->g);
	log_event(r->l, LOG_ERR, "long", "text=%s", text);
	strcpy(got, datagram(fd));
	release(r);
	close(fd);
	assert_int_equal(strlen(got), 80);
	assert_string_equal(got + 76, "x...");
}

static void finds_a_restarted_daemon(void **state)
{
	struct rig *r = *state;
	struct model_log *t = add_target(r, MODEL_LOG_SOCKET);
	char got[3][1024];
	uint64_t dropped;
	int fd = listen_unix(&r->folder, "log");

	t->path = strdup(folder_file(&r->folder, "log"));
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_configure(r->l, &r->g);
	log_event(r->l, LOG_ERR, "first", "n=%d", 1);
	strcpy(got[0], datagram(fd));
	/* Restarted between two events: nothing is lost. */
	close(fd);
	fd = listen_unix(&r->folder, "log");
	log_event(r->l, LOG_ERR, "second", "n=%d", 2);
	strcpy(got[1], datagram(fd));
	/* Gone: the events go to stderr, and it is said once. */
	close(fd);
	unlink(t->path);
	log_event(r->l, LOG_ERR, "third", "n=%d", 3);
	log_event(r->l, LOG_ERR, "fourth", "n=%d", 4);
	dropped = log_dropped(r->l);
	fd = listen_unix(&r->folder, "log");
	log_event(r->l, LOG_ERR, "fifth", "n=%d", 5);
	strcpy(got[2], datagram(fd));
	release(r);
	close(fd);
	assert_non_null(strstr(got[0], "event=first n=1"));
	assert_non_null(strstr(got[1], "event=second n=2"));
	assert_non_null(strstr(got[2], "event=fifth n=5"));
	assert_int_equal(dropped, 2);
	{
		char wanted[1024];

		snprintf(wanted, sizeof(wanted),
			 "warning event=log_target_lost target=\"%s\" reason=\"No such file or directory\"\n"
			 "err event=third n=3\nerr event=fourth n=4\n"
			 "notice event=log_target_back target=\"%s\"\n", t->path, t->path);
		assert_string_equal(r->heard, wanted);
	}
}

static void a_full_daemon_blocks_nobody(void **state)
{
	struct rig *r = *state;
	struct model_log *t = add_target(r, MODEL_LOG_SOCKET);
	int fd = listen_unix(&r->folder, "log"), sent = 0;
	uint64_t start, took, dropped;
	char kind[32];

	t->path = strdup(folder_file(&r->folder, "log"));
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_configure(r->l, &r->g);
	start = now_ms();
	/* A queue of max_dgram_qlen datagrams: 10, 512 under systemd. */
	for (; sent < 1000; sent++) {
		snprintf(kind, sizeof(kind), "kind_%d", sent % 20);
		log_event(r->l, LOG_ERR, kind, "n=%d", sent);
	}
	took = now_ms() - start;
	dropped = log_dropped(r->l);
	release(r);
	close(fd);
	assert_true(took < 5000);
	assert_true(dropped > 0 && dropped < 1000);
	/* Not lost: busy. What did not fit is on stderr. */
	assert_null(strstr(r->heard, "log_target_lost"));
	assert_non_null(strstr(r->heard, "n=999\n"));
}

static void speaks_udp(void **state)
{
	struct rig *r = *state;
	struct model_log *t = add_target(r, MODEL_LOG_UDP);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(at);
	char got[1024] = "", host[65] = "";
	uint64_t until;
	bool lost = false;

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	assert_int_equal(addr_parse("127.0.0.1", &t->at.addr), 0);
	t->at.port = ntohs(at.sin_port);
	t->facility = 3;
	capture_pipe(r, STDERR_FILENO);
	log_new(r->base, &r->l);
	log_configure(r->l, &r->g);
	log_event(r->l, LOG_INFO, "ready", "services=%d", 1);
	poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, RIG_PATIENCE_S * 1000);
	strcpy(got, datagram(fd));
	close(fd);
	/* The port is closed now; the answer that says so is seen at a later event. */
	for (until = now_ms() + RIG_PATIENCE_S * 1000; !lost && now_ms() < until; lost = log_dropped(r->l) > 0)
		log_event(r->l, LOG_INFO, "refused", "n=%d", 1);
	release(r);
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	assert_string_equal(behind_head(got, 3 << 3 | LOG_INFO, host), "event=ready services=1");
	assert_true(lost);
	assert_non_null(strstr(r->heard, "event=log_target_lost target=\"127.0.0.1:"));
}

static void writes_to_stdout_when_told(void **state)
{
	struct rig *r = *state;
	struct model_log *t = add_target(r, MODEL_LOG_STDOUT);
	int result;

	t->level = LOG_DEBUG;
	t->length_max = 80;
	capture_pipe(r, STDOUT_FILENO);
	log_new(r->base, &r->l);
	result = log_configure(r->l, &r->g);
	log_event(r->l, LOG_DEBUG, "detail", "text=%0100d", 1);
	/* Back to how it began: debug is not for stderr then. */
	r->g.logs.count = 0;
	result += log_configure(r->l, &r->g);
	log_event(r->l, LOG_DEBUG, "detail", "n=%d", 2);
	release(r);
	assert_int_equal(result, 0);
	assert_int_equal(r->length, strlen("debug ") + 80 + 1);
	assert_string_equal(r->heard + r->length - 5, "0...\n");
}

/* Somebody who shares the stream has made it non-blocking: lines are complete nevertheless. */
static void a_non_blocking_stderr_loses_nothing(void **state)
{
	enum { LINES = 90 };
	struct rig *r = *state;
	char text[1501];
	unsigned lines = 0;
	pthread_t reader;

	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	capture_pipe(r, STDERR_FILENO);
	fcntl(STDERR_FILENO, F_SETFL, fcntl(STDERR_FILENO, F_GETFL) | O_NONBLOCK);
	log_new(r->base, &r->l);
	for (int i = 0; i < LINES; i++)
		log_event(r->l, LOG_ERR, "long", "text=%s", text);
	pthread_create(&reader, NULL, read_all, r);
	log_free(r->l);
	dup2(r->saved, r->stream);
	close(r->saved);
	pthread_join(reader, NULL);
	for (const char *at = r->heard; (at = strstr(at, "err event=long text=x")); at++)
		lines++;
	assert_int_equal(lines, LINES);
	assert_int_equal(r->length, LINES * (strlen("err event=long text=\n") + sizeof(text) - 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(writes_to_stderr_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_level_set_while_running_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(an_observer_sees_what_is_logged, setup, teardown),
		cmocka_unit_test_setup_teardown(the_journal_gets_its_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(cuts_a_line_at_its_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_blocked_stderr_blocks_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(an_end_with_a_blocked_stderr_comes_in_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_closed_stderr_counts_and_kills_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(says_once_what_it_held_back, setup, teardown),
		cmocka_unit_test_setup_teardown(speaks_to_a_local_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(a_line_keeps_to_the_length_of_its_target, setup, teardown),
		cmocka_unit_test_setup_teardown(finds_a_restarted_daemon, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_daemon_blocks_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(speaks_udp, setup, teardown),
		cmocka_unit_test_setup_teardown(writes_to_stdout_when_told, setup, teardown),
		cmocka_unit_test_setup_teardown(a_non_blocking_stderr_loses_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
