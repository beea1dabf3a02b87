/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients of a web service, RATE requests a second whatever becomes of them, each over a connection of its own; and how
 * many are answered. A request that fails (refused, reset, closed early, nothing within a second) is made once more after
 * RETRY_MS, as a client with one retry does. Run by http_soak.sh.
 *
 *   http_load ADDRESS PORT RATE SECONDS
 *
 * The last line: requests N first N retried N failed N longest_ms N held_up_ms N
 *   first: answered at the first attempt; retried: at the second; failed: at neither
 *   held_up_ms: how long this process itself was not run on a machine with too much to do; no request is blamed for that
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	ATTEMPT_MS = 1000,  /* for a connection and its answer */
	RETRY_MS = 1000,    /* from the failure to the second attempt */
	REQUESTS_MAX = 8192, /* under way at a time */
	ANSWER_MAX = 1024,
	LATE_MS = 100,      /* a turn of the loop that comes later was held up */
};

enum phase { FREE, CONNECTING, READING, WAITING };

struct request {
	enum phase phase;
	bool again;           /* this is the second attempt */
	int fd;
	uint64_t began_ms, due_ms; /* due: the attempt fails, or begins anew */
	size_t length;
	char answer[ANSWER_MAX];
};

static struct request all[REQUESTS_MAX];
static struct sockaddr_in server;
static unsigned long requests, first, retried, failed, longest_ms, under_way;
static uint64_t start_ms, turn_ms, held_up_ms;
static int loop;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void hang_up(struct request *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static void end(struct request *r, unsigned long *as)
{
	const uint64_t took = now_ms() - r->began_ms;

	hang_up(r);
	++*as;
	if (took > longest_ms)
		longest_ms = took;
	r->phase = FREE;
	under_way--;
}

static void fail(struct request *r)
{
	hang_up(r);
	if (r->again) {
		end(r, &failed);
		return;
	}
	r->again = true;
	r->phase = WAITING;
	r->due_ms = now_ms() + RETRY_MS;
}

static void attempt(struct request *r)
{
	struct epoll_event e = { .events = EPOLLOUT, .data.ptr = r };

	r->length = 0;
	r->phase = CONNECTING;
	r->due_ms = now_ms() + ATTEMPT_MS;
	r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (r->fd < 0) {
		perror("socket");
		exit(1);
	}
	if ((connect(r->fd, (struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS) ||
	    epoll_ctl(loop, EPOLL_CTL_ADD, r->fd, &e) < 0)
		fail(r);
}

static void begin(void)
{
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		if (all[i].phase == FREE) {
			all[i].began_ms = now_ms();
			all[i].again = false;
			requests++;
			under_way++;
			attempt(&all[i]);
			return;
		}
	fprintf(stderr, "more than %d requests under way\n", REQUESTS_MAX);
	exit(1);
}

static void ask(struct request *r)
{
	static const char text[] = "GET / HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n";
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = r };
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(r->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error ||
	    send(r->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) != sizeof(text) - 1 ||
	    epoll_ctl(loop, EPOLL_CTL_MOD, r->fd, &e) < 0) {
		fail(r);
		return;
	}
	r->phase = READING;
}

/* Until the server closes, so that TIME_WAIT is the server's: a client has ports for a minute of 470 a second only. */
static void listen_to(struct request *r)
{
	ssize_t n = recv(r->fd, r->answer + r->length, sizeof(r->answer) - r->length, 0);

	if (n > 0) {
		r->length += (size_t)n;
		return;
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (n < 0 || r->length < 20 || memcmp(r->answer, "HTTP/1.1 200", 12) || r->answer[r->length - 1] != '\n')
		fail(r);
	else
		end(r, r->again ? &retried : &first);
}

static void look_at_the_clock(void)
{
	const uint64_t now = now_ms();

	for (size_t i = 0; i < REQUESTS_MAX; i++) {
		if (all[i].phase == FREE || all[i].due_ms > now)
			continue;
		if (all[i].phase == WAITING)
			attempt(&all[i]);
		else
			fail(&all[i]);
	}
}

/* What was not run could neither ask nor hear: the schedule and all deadlines move on. */
static void excuse(void)
{
	const uint64_t now = now_ms(), late = now - turn_ms;

	turn_ms = now;
	if (late < LATE_MS)
		return;
	held_up_ms += late;
	start_ms += late;
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		all[i].due_ms += late;
}

static void turn(void)
{
	struct epoll_event events[256];
	int n;

	excuse();
	n = epoll_wait(loop, events, 256, 1);
	for (int i = 0; i < n; i++) {
		struct request *r = events[i].data.ptr;

		if (r->phase == CONNECTING)
			ask(r);
		else if (r->phase == READING)
			listen_to(r);
	}
	look_at_the_clock();
}

int main(int argc, char **argv)
{
	unsigned long rate, seconds;

	if (argc != 5) {
		fprintf(stderr, "usage: http_load ADDRESS PORT RATE SECONDS\n");
		return 2;
	}
	server.sin_family = AF_INET;
	inet_pton(AF_INET, argv[1], &server.sin_addr);
	server.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	rate = strtoul(argv[3], NULL, 10);
	seconds = strtoul(argv[4], NULL, 10);
	signal(SIGPIPE, SIG_IGN);
	loop = epoll_create1(0);
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		all[i].fd = -1;
	start_ms = turn_ms = now_ms();
	while (requests < rate * seconds || under_way) {
		while (requests < rate * seconds && requests < (now_ms() - start_ms) * rate / 1000)
			begin();
		turn();
	}
	printf("requests %lu first %lu retried %lu failed %lu longest_ms %lu held_up_ms %llu\n", requests, first, retried, failed,
	       longest_ms, (unsigned long long)held_up_ms);
	return 0;
}
