/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What checking thousands of servers costs one core, and how late it makes the event loop. Called by tests/bench/run;
 * writes JSON to standard output. The servers are addresses of 127.0.0.0/8 behind one listener in a process of its
 * own on another core; the loop that is measured has a core to itself where there are two. Opens no network but
 * loopback.
 */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"
#include "base/cleanup.h"
#include "health/health.h"

enum {
	SERVERS_DEFAULT = 10000,
	SERVERS_MAX = 60000,
	SECONDS_DEFAULT = 10,
	SECONDS_MAX = 600,
	WARM_UP_S = 2,    /* the crowd of the first round is let go by, and is told of apart */
	TICK_MS = 5,      /* how often lateness is looked at */
	LATE_MAX_US = 1000000,
	EVENTS_MAX = 512,
};

enum manner { ANSWERS, SILENT, REFUSES };

static const struct kind {
	const char *name;
	enum model_check check;
	enum manner manner;
} kinds[] = {
	{ "tcp", MODEL_CHECK_TCP, ANSWERS },
	{ "tcp, refused", MODEL_CHECK_TCP, REFUSES },
	{ "http", MODEL_CHECK_HTTP, ANSWERS },
	{ "http, never answered", MODEL_CHECK_HTTP, SILENT },
};

struct bench {
	struct event_base *base;
	struct health *health;
	struct model m;
	size_t servers;
	unsigned seconds;
	uint64_t due_us;                     /* of the next tick */
	uint32_t *late;                      /* ticks by how late they were, in us */
	uint64_t ticks, late_max_us, first_late_max_us;
	bool measuring;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void use_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* --- the servers */

static void answer(int epoll, int fd, enum manner manner)
{
	static const char text[] = "HTTP/1.0 200 OK\r\n\r\n";
	char junk[2048];
	ssize_t n = recv(fd, junk, sizeof(junk), MSG_DONTWAIT);

	if (n > 0 && manner == SILENT)
		return;
	if (n > 0)
		n = send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
	if (n <= 0)
		close(fd);
}

static void serve(int listener, enum manner manner)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = listener }, got[EVENTS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
	for (;;) {
		int n = epoll_wait(epoll, got, EVENTS_MAX, -1);

		for (int i = 0; i < n; i++) {
			int fd = got[i].data.fd;

			if (fd != listener) {
				answer(epoll, fd, manner);
				continue;
			}
			while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
				e.data.fd = fd;
				epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
			}
		}
	}
}

/* Starts the servers. Their process, or -errno. */
static pid_t start_servers(enum manner manner, uint16_t *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || getsockname(fd, (struct sockaddr *)&at, &size) ||
	    (manner != REFUSES && listen(fd, 65535)))
		return -errno;
	*ret_port = ntohs(at.sin_port);
	pid = fork();
	if (pid == 0) {
		use_cpu(1);
		if (manner == REFUSES)
			pause();
		serve(fd, manner);
	}
	close(fd);
	return pid < 0 ? -errno : pid;
}

static void stop_servers(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- the checks */

static int make_model(struct bench *b, const struct kind *k, uint16_t port)
{
	struct model_backend *backend = vec_push(&b->m.backends);

	if (!backend)
		return -ENOMEM;
	backend->name = strdup("b");
	backend->check = k->check;
	strcpy(backend->http.method, "GET");
	strcpy(backend->http.uri, "/");
	strcpy(backend->http.version, "HTTP/1.0");
	for (size_t i = 0; i < b->servers; i++) {
		struct model_server *s = vec_push(&backend->servers);

		if (!s || asprintf(&s->name, "s%zu", i) < 0)
			return -ENOMEM;
		s->at = (struct endpoint){ addr_from_v4(htonl(0x7f010000 + (uint32_t)i)), port };
		s->check_at = s->at;
		s->weight = 1;
		s->check = true;
		s->inter_ms = 1000;
		s->rise = 2;
		s->fall = 3;
	}
	return 0;
}

static void free_model(struct model *m)
{
	for (size_t i = 0; i < m->backends.count; i++) {
		for (size_t s = 0; s < m->backends.items[i].servers.count; s++)
			free(m->backends.items[i].servers.items[s].name);
		vec_done(&m->backends.items[i].servers);
		free(m->backends.items[i].name);
	}
	vec_done(&m->backends);
}

static void set_tick(struct bench *b, struct event *tick)
{
	uint64_t now = now_us(), left = b->due_us > now ? b->due_us - now : 0;
	struct timeval delay = { .tv_sec = (time_t)(left / 1000000), .tv_usec = (suseconds_t)(left % 1000000) };

	event_add(tick, &delay);
}

static struct event *tick_event;

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct bench *b = arg;
	uint64_t now = now_us(), late = now > b->due_us ? now - b->due_us : 0;

	if (b->measuring) {
		b->late[late < LATE_MAX_US ? late : LATE_MAX_US - 1]++;
		b->ticks++;
		b->late_max_us = late > b->late_max_us ? late : b->late_max_us;
	} else {
		b->first_late_max_us = late > b->first_late_max_us ? late : b->first_late_max_us;
	}
	b->due_us = now + TICK_MS * 1000;
	set_tick(b, tick_event);
}

static void run_for(struct bench *b, unsigned seconds)
{
	const struct timeval delay = { .tv_sec = seconds };

	event_base_loopexit(b->base, &delay);
	event_base_dispatch(b->base);
}

static uint64_t sum_checks(const struct bench *b, uint64_t *ret_failures)
{
	uint64_t checks = 0;

	*ret_failures = 0;
	for (size_t i = 0; i < b->servers; i++) {
		struct health_view v;

		health_view(b->health, 0, i, &v);
		checks += v.checks;
		*ret_failures += v.failures;
	}
	return checks;
}

/* How late the tick was that only one in a thousand exceeded. */
static uint64_t late_999_us(const struct bench *b)
{
	uint64_t left = b->ticks / 1000;

	for (uint64_t us = LATE_MAX_US; us-- > 0; ) {
		if (b->late[us] > left)
			return us;
		left -= b->late[us];
	}
	return 0;
}

static json_t *measure(struct bench *b, const struct kind *k)
{
	uint64_t began_us, spent_us, checks, failures, before, failed_before;

	b->due_us = now_us() + TICK_MS * 1000;
	set_tick(b, tick_event);
	run_for(b, WARM_UP_S);
	before = sum_checks(b, &failed_before);
	b->measuring = true;
	b->due_us = now_us() + TICK_MS * 1000;
	began_us = now_us();
	spent_us = cpu_us();
	run_for(b, b->seconds);
	spent_us = cpu_us() - spent_us;
	began_us = now_us() - began_us;
	checks = sum_checks(b, &failures) - before;
	return json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "check", k->name, "servers",
			 (json_int_t)b->servers, "inter_ms", (json_int_t)1000, "checks_per_s",
			 (double)checks * 1e6 / (double)began_us, "failed_per_s",
			 (double)(failures - failed_before) * 1e6 / (double)began_us, "cpu_percent",
			 (double)spent_us * 100 / (double)began_us, "cpu_us_per_check",
			 checks ? (double)spent_us / (double)checks : 0, "late_p999_ms", (double)late_999_us(b) / 1000,
			 "late_max_ms", (double)b->late_max_us / 1000, "first_round_late_max_ms",
			 (double)b->first_late_max_us / 1000);
}

static json_t *bench_kind(const struct kind *k, size_t servers, unsigned seconds)
{
	const struct health_ops ops = {};
	struct bench b = { .servers = servers, .seconds = seconds };
	json_t *row = NULL;
	uint16_t port = 0;
	pid_t pid = start_servers(k->manner, &port);

	if (pid < 0)
		return NULL;
	b.base = loop_new();
	b.late = calloc(LATE_MAX_US, sizeof(*b.late));
	b.health = b.base ? health_new(b.base, &ops) : NULL;
	tick_event = b.base ? event_new(b.base, -1, 0, on_tick, &b) : NULL;
	if (b.late && b.health && tick_event && make_model(&b, k, port) == 0 &&
	    health_configure(b.health, &b.m) == 0)
		row = measure(&b, k);
	health_free(b.health);
	if (tick_event)
		event_free(tick_event);
	if (b.base)
		event_base_free(b.base);
	free_model(&b.m);
	free(b.late);
	stop_servers(pid);
	return row;
}

static int usage(FILE *to, int code)
{
	fprintf(to, "usage: health [--servers N] [--seconds N]\n");
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "servers", required_argument, NULL, 'n' }, { "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' }, {},
	};
	struct rlimit had;
	const struct rlimit files = { SERVERS_MAX + 1024, SERVERS_MAX + 1024 };
	long servers = SERVERS_DEFAULT, seconds = SECONDS_DEFAULT;
	json_t *rows = json_array();
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c == 'n')
			servers = atol(optarg);
		else if (c == 's')
			seconds = atol(optarg);
		else
			return usage(stderr, 2);
	}
	if (servers < 1 || servers > SERVERS_MAX || seconds < 1 || seconds > SECONDS_MAX || optind < argc)
		return usage(stderr, 2);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &had) == 0) {
		had.rlim_cur = had.rlim_max;
		setrlimit(RLIMIT_NOFILE, &had);
		if (had.rlim_max < (rlim_t)servers + 64)
			fprintf(stderr, "health: only %ld files can be open at a time\n", (long)had.rlim_max);
	}
	use_cpu(0);
	/* What else the machine does is not to be measured. The servers do not inherit it. */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &(struct sched_param){ .sched_priority = 1 });
	for (size_t i = 0; i < array_size(kinds); i++) {
		json_t *row = bench_kind(&kinds[i], (size_t)servers, (unsigned)seconds);

		if (!row) {
			fprintf(stderr, "health: %s could not be measured: %s\n", kinds[i].name, strerror(errno));
			json_decref(rows);
			return 1;
		}
		json_array_append_new(rows, row);
	}
	json_dumpf(rows, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	putchar('\n');
	json_decref(rows);
	return 0;
}
