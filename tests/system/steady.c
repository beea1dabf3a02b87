/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A steady load that counts every loss, and its servers. For the system tests that take the agent away under it: what
 * curl does not see (a datagram that is gone, a segment that is sent twice) is counted here.
 *
 *   steady serve NAME PORT               answers each line (TCP) and datagram (UDP) with "NAME LINE", until it is killed
 *   steady stream ADDRESS PORT RATE      one TCP connection, RATE lines a second
 *   steady udp ADDRESS PORT RATE         one UDP flow, RATE datagrams a second
 *   steady new ADDRESS PORT RATE         a TCP connection for each of RATE lines a second, one after the other
 *
 * The last three print a line for every TELL_EVERY answers. They end on SIGTERM, and their last line is
 *   sent N lost N resent N longest_ms N servers NAME[,NAME...]
 * lost: lines without an answer, after a second of waiting; resent: segments that TCP had to send twice, but for those
 * that the other side says it had already (a busy machine is late, and TCP impatient).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
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

enum { WINDOW = 1 << 16, TELL_EVERY = 20, LINE_MAX_BYTES = 128, NAMES_MAX = 8, NAME_BYTES = 32, LAST_WAIT_MS = 1000, REQUEST_MS = 5000 };

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
	stopped = 1;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static socklen_t address_of(const char *text, unsigned port, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
		die(text);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	return sizeof(*v6);
}

/* ---- servers ---- */

/* A machine that stands still for a moment is no reason to lose a datagram. */
static void make_room(int fd)
{
	const int bytes = 8 << 20;

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		perror("SO_RCVBUFFORCE");
}

static int listen_on(int type, unsigned port)
{
	const int off = 0, on = 1;
	struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	make_room(fd);
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		die("socket");
	/* The answer must come from the address that was asked: it may be one of several. */
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0)
		die("pktinfo");
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || (type == SOCK_STREAM && listen(fd, 4096) < 0))
		die("bind");
	return fd;
}

static void answer_datagrams(int fd, const char *name)
{
	char text[LINE_MAX_BYTES], out[2 * LINE_MAX_BYTES], control[256];
	struct sockaddr_storage from;

	for (;;) {
		struct iovec in = { text, sizeof(text) }, back = { out, 0 };
		struct msghdr m = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &in, .msg_iovlen = 1,
				    .msg_control = control, .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(fd, &m, 0);

		if (n < 0)
			return;
		back.iov_len = snprintf(out, sizeof(out), "%s %.*s", name, (int)n, text);
		m.msg_iov = &back;
		/* What told the address that was asked says where to answer from; of the interface only the routes know. */
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
			if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
				((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
		if (sendmsg(fd, &m, 0) < 0)
			perror("sendmsg");
	}
}

/* Lines come whole: each is one segment. False: the connection is over. */
static bool answer_lines(int fd, const char *name)
{
	char text[4096], out[2 * sizeof(text)];
	ssize_t n = read(fd, text, sizeof(text) - 1);
	size_t used = 0;

	if (n < 0)
		return errno == EAGAIN;
	if (n == 0)
		return false;
	text[n] = '\0';
	for (char *line = strtok(text, "\n"); line && used < sizeof(out) - LINE_MAX_BYTES; line = strtok(NULL, "\n"))
		used += snprintf(out + used, sizeof(out) - used, "%s %s\n", name, line);
	return write(fd, out, used) == (ssize_t)used;
}

static void __attribute__((noreturn)) serve(const char *name, unsigned port)
{
	int tcp = listen_on(SOCK_STREAM, port), udp = listen_on(SOCK_DGRAM, port), set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event e = { .events = EPOLLIN, .data.fd = tcp };

	if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, tcp, &e) < 0)
		die("epoll");
	e.data.fd = udp;
	if (epoll_ctl(set, EPOLL_CTL_ADD, udp, &e) < 0)
		die("epoll");
	for (;;) {
		if (epoll_wait(set, &e, 1, -1) < 1)
			continue;
		if (e.data.fd == udp) {
			answer_datagrams(udp, name);
		} else if (e.data.fd == tcp) {
			int fd = accept4(tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
			const int on = 1;

			e.data.fd = fd;
			if (fd >= 0 && (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
					epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) < 0))
				close(fd);
		} else if (!answer_lines(e.data.fd, name)) {
			close(e.data.fd);
		}
	}
}

/* ---- clients ---- */

struct count {
	uint64_t sent, answered, resent, longest_us;
	char names[NAMES_MAX][NAME_BYTES];
};

static void see_name(struct count *c, const char *name)
{
	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (!c->names[i][0])
			snprintf(c->names[i], NAME_BYTES, "%s", name);
		if (!strcmp(c->names[i], name))
			return;
	}
}

/* "NAME NUMBER": the answer to line NUMBER. */
static void take_answer(struct count *c, const char *line, uint64_t *sent_us)
{
	char name[NAME_BYTES];
	unsigned long long number;
	uint64_t took;

	if (sscanf(line, "%31s %llu", name, &number) != 2 || number >= c->sent || !sent_us[number % WINDOW])
		return; /* a second answer to one line is none */
	took = now_us() - sent_us[number % WINDOW];
	sent_us[number % WINDOW] = 0;
	if (++c->answered % TELL_EVERY == 0) {
		printf("answered %llu\n", (unsigned long long)c->answered);
		fflush(stdout);
	}
	if (took > c->longest_us)
		c->longest_us = took;
	see_name(c, name);
}

static void read_answers(int fd, bool lines, struct count *c, uint64_t *sent_us)
{
	static char text[1 << 16];
	static size_t length;
	ssize_t n;
	char *end;

	while ((n = read(fd, text + length, sizeof(text) - 1 - length)) > 0) {
		text[length += n] = '\0';
		if (!lines) {
			take_answer(c, text, sent_us);
			length = 0;
			continue;
		}
		while ((end = strchr(text, '\n'))) {
			*end = '\0';
			take_answer(c, text, sent_us);
			length -= end + 1 - text;
			memmove(text, end + 1, length + 1);
		}
	}
}

/* What was sent twice and was really gone. */
static uint32_t resent_on(int fd)
{
	struct tcp_info info = {};
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return 0;
	return info.tcpi_total_retrans - info.tcpi_dsack_dups;
}

static int connect_to(const struct sockaddr_storage *at, socklen_t length, int type)
{
	const int on = 1;
	const struct timeval limit = { .tv_sec = REQUEST_MS / 1000 };
	int fd = socket(at->ss_family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		die("setsockopt");
	if (type == SOCK_DGRAM)
		make_room(fd);
	if (type == SOCK_STREAM && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		die("setsockopt");
	if (connect(fd, (const struct sockaddr *)at, length) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One connection or flow for all. */
static void keep(const struct sockaddr_storage *at, socklen_t length, int type, uint64_t pause_us, struct count *c)
{
	static uint64_t sent_us[WINDOW];
	int fd = connect_to(at, length, type);
	uint64_t next = now_us(), end = 0;

	if (fd < 0)
		die("connect");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (!end || (now_us() < end && c->answered < c->sent)) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		const uint64_t now = now_us();
		char line[LINE_MAX_BYTES];
		uint64_t wait_us;

		if (stopped && !end)
			end = now + LAST_WAIT_MS * 1000;
		if (!end && now >= next) {
			int n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)c->sent);

			sent_us[c->sent++ % WINDOW] = now;
			if (write(fd, line, n) != n && type == SOCK_STREAM)
				break;
			next = now + pause_us; /* what was missed is not made up for */
		}
		wait_us = end ? 10000 : next > now ? next - now : 0;
		/* In whole milliseconds the last one would be spent in asking again and again. */
		ppoll(&p, 1, &(struct timespec){ .tv_nsec = wait_us % 1000000 * 1000, .tv_sec = wait_us / 1000000 }, NULL);
		if (p.revents)
			read_answers(fd, type == SOCK_STREAM, c, sent_us);
	}
	if (type == SOCK_STREAM)
		c->resent = resent_on(fd);
	close(fd);
}

/* A connection for each. */
static void renew(const struct sockaddr_storage *at, socklen_t length, uint64_t pause_us, struct count *c)
{
	static uint64_t sent_us[WINDOW];
	uint64_t next = now_us();
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	while (!stopped) {
		const uint64_t began = now_us();
		char line[LINE_MAX_BYTES];
		int fd, n;

		/* The end waits for the answer: a read that it interrupts would be a loss. */
		sigprocmask(SIG_BLOCK, &end, NULL);
		fd = connect_to(at, length, SOCK_STREAM);
		sent_us[c->sent % WINDOW] = began;
		n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)c->sent++);
		if (fd >= 0 && write(fd, line, n) == n && (n = read(fd, line, sizeof(line) - 1)) > 0) {
			line[n] = '\0';
			take_answer(c, line, sent_us);
		} else {
			fprintf(stderr, "request %llu: %s\n", (unsigned long long)c->sent - 1, strerror(errno));
		}
		if (fd >= 0) {
			c->resent += resent_on(fd);
			close(fd);
		}
		sigprocmask(SIG_UNBLOCK, &end, NULL);
		next += pause_us;
		if (next > now_us())
			usleep(next - now_us());
		else
			next = now_us();
	}
}

static void print(const struct count *c)
{
	printf("sent %llu lost %llu resent %llu longest_ms %llu servers ", (unsigned long long)c->sent,
	       (unsigned long long)(c->sent - c->answered), (unsigned long long)c->resent,
	       (unsigned long long)c->longest_us / 1000);
	for (size_t i = 0; i < NAMES_MAX && c->names[i][0]; i++)
		printf("%s%s", i ? "," : "", c->names[i]);
	printf("\n");
}

int main(int argc, char **argv)
{
	const struct sigaction stop = { .sa_handler = on_stop };
	struct sockaddr_storage at;
	struct count c = {};
	uint64_t pause_us;
	socklen_t length;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		serve(argv[2], strtoul(argv[3], NULL, 10));
	if (argc != 5 || !strtoul(argv[4], NULL, 10)) {
		fprintf(stderr, "usage: steady serve NAME PORT | steady stream|udp|new ADDRESS PORT RATE\n");
		return 2;
	}
	sigaction(SIGTERM, &stop, NULL);
	length = address_of(argv[2], strtoul(argv[3], NULL, 10), &at);
	pause_us = 1000000 / strtoul(argv[4], NULL, 10);
	if (!strcmp(argv[1], "new"))
		renew(&at, length, pause_us, &c);
	else
		keep(&at, length, strcmp(argv[1], "udp") ? SOCK_STREAM : SOCK_DGRAM, pause_us, &c);
	print(&c);
	return 0;
}
