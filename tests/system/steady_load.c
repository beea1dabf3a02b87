/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients at a steady rate, for tests that break things meanwhile: each request has a connection of its own and begins
 * when it is due, whatever became of those before; one that fails is tried once more, RETRY_AFTER_MS later. Each is a line of
 * standard output:
 *
 *     BEGAN_MS KIND RESULT MICROSECONDS SERVER RETRY      (RETRY: - where the first try was good)
 *     BEGAN_MS hold CAUSE AGE_MS                          (a connection that lasted so long and broke)
 *     BEGAN_MS kept NUMBER                                (`keep`: a request that connection NUMBER of the kept ones answered)
 *
 * RESULT, CAUSE, RETRY: ok, refused, reset, closed, timeout, unreachable, wrong (answered, but not what was asked).
 * Run by the system tests and tests/chaos; knows nothing of balancers.
 *
 *     steady_load SECONDS KIND:RATE:ADDRESS:PORT ...      KIND http, https, mysql, dns; RATE a second
 *     steady_load SECONDS hold:COUNT:ADDRESS:PORT         COUNT connections kept, a request each 250 ms
 *     steady_load SECONDS keep:COUNT:ADDRESS:PORT         the same, and each answer is told of
 * An IPv6 address stands in brackets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <mysql.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 256, LIMIT_MS = 3000, DNS_LIMIT_MS = 1000, RETRY_AFTER_MS = 250, HOLD_MS = 250, LOADS_MAX = 16, NAME_MAX_BYTES = 32 };

enum kind { HTTP, HTTPS, MYSQL_KIND, DNS, HOLD, KEEP, KINDS };
static const char *const kind_names[KINDS] = { "http", "https", "mysql", "dns", "hold", "keep" };

struct load {
	enum kind kind;
	unsigned rate;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} at;
	char address[INET6_ADDRSTRLEN];
	unsigned port;
	atomic_ullong next; /* number of the next request, or of the next connection that is kept */
};

static uint64_t start_us, end_us, wall_ms;
static SSL_CTX *tls;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void sleep_until(uint64_t us)
{
	const struct timespec t = { .tv_sec = (time_t)(us / 1000000), .tv_nsec = (long)(us % 1000000 * 1000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static const char *cause(int error)
{
	switch (error) {
	case ECONNREFUSED: return "refused";
	case ECONNRESET: case EPIPE: return "reset";
	case EHOSTUNREACH: case ENETUNREACH: return "unreachable";
	case 0: return "closed";
	default: return "timeout";
	}
}

/* A connected socket whose calls end after limit_ms, or -1 and errno. */
static int connect_to(const struct load *l, int type, unsigned limit_ms)
{
	const struct timeval limit = { .tv_sec = limit_ms / 1000, .tv_usec = limit_ms % 1000 * 1000 };
	const bool v6 = l->at.any.sa_family == AF_INET6;
	int fd = socket(l->at.any.sa_family, type | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* connect() too */
	if (connect(fd, &l->at.any, v6 ? sizeof(l->at.v6) : sizeof(l->at.v4)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* The name in the last line of an answer with status 200: "node3". False: it is not such an answer. */
static bool read_name(const char *answer, char *name)
{
	const char *body = strstr(answer, "\r\n\r\n");

	return !strncmp(answer, "HTTP/1.1 200", 12) && body && sscanf(body + 4, "node%30[0-9]", name + 4) == 1 &&
	       memcpy(name, "node", 4);
}

static const char request_once[] = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
static const char request_again[] = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n";

static bool whole(const char *answer)
{
	const char *body = strstr(answer, "\r\n\r\n");

	return body && strchr(body + 4, '\n');
}

/* Sends a request and reads its answer. "ok" or what went wrong. */
static const char *talk(int fd, SSL *s, const char *request, char *name)
{
	char answer[2048] = "";
	size_t length = 0;
	ssize_t n = s ? SSL_write(s, request, (int)strlen(request)) : send(fd, request, strlen(request), MSG_NOSIGNAL);

	if (n < 0)
		return cause(errno);
	while (length < sizeof(answer) - 1 && !whole(answer)) {
		errno = 0;
		n = s ? SSL_read(s, answer + length, (int)(sizeof(answer) - 1 - length)) :
			recv(fd, answer + length, sizeof(answer) - 1 - length, 0);
		if (n <= 0)
			return n == 0 ? "closed" : cause(errno);
		length += (size_t)n;
		answer[length] = '\0';
	}
	return read_name(answer, name) ? "ok" : "wrong";
}

static const char *try_http(const struct load *l, char *name)
{
	int fd = connect_to(l, SOCK_STREAM, LIMIT_MS);
	const char *result;

	if (fd < 0)
		return cause(errno);
	result = talk(fd, NULL, request_once, name);
	close(fd);
	return result;
}

static const char *try_https(const struct load *l, char *name)
{
	int fd = connect_to(l, SOCK_STREAM, LIMIT_MS);
	const char *result;
	SSL *s;

	if (fd < 0)
		return cause(errno);
	s = SSL_new(tls);
	SSL_set_fd(s, fd);
	errno = 0;
	result = SSL_connect(s) == 1 ? talk(fd, s, request_once, name) : cause(errno);
	SSL_free(s);
	close(fd);
	return result;
}

static const char *try_mysql(const struct load *l, char *name)
{
	const unsigned limit_s = LIMIT_MS / 1000;
	MYSQL *m = mysql_init(NULL);
	const char *result = "ok";
	MYSQL_RES *rows = NULL;
	MYSQL_ROW row;

	mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &limit_s);
	mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &limit_s);
	mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &limit_s);
	errno = 0;
	if (!mysql_real_connect(m, l->address, "app", "app-password", NULL, l->port, NULL, 0) ||
	    mysql_query(m, "SELECT @@server_id") || !(rows = mysql_store_result(m)))
		result = errno == ECONNREFUSED || errno == ECONNRESET ? cause(errno) :
			 strstr(mysql_error(m), "refused") ? "refused" : strstr(mysql_error(m), "(104") ? "reset" : "timeout";
	else if (!(row = mysql_fetch_row(rows)) || !row[0])
		result = "wrong";
	else
		snprintf(name, NAME_MAX_BYTES, "db%.20s", row[0]);
	if (rows)
		mysql_free_result(rows);
	mysql_close(m);
	return result;
}

/* The text of the one TXT record in an answer to ask, whose question has length bytes (RFC 1035 section 4). */
static bool read_txt(const uint8_t *ask, size_t length, const uint8_t *answer, size_t got, char *name)
{
	const uint8_t *record = answer + length; /* the question is repeated; a pointer to its name, type, class, TTL, length */
	size_t text;

	if (got < length + 13 || memcmp(ask, answer, 2) || (answer[3] & 15) || answer[7] < 1)
		return false;
	text = record[12];
	if (!text || text >= NAME_MAX_BYTES || got < length + 13 + text)
		return false;
	memcpy(name, record + 13, text);
	name[text] = '\0';
	return !strncmp(name, "node", 4);
}

/* Asks for the TXT record of name.lab, which is the server's name. */
static const char *try_dns(const struct load *l, char *name)
{
	static const char question[] = "\4name\3lab\0\0\20\0\1"; /* TXT, IN */
	static atomic_uint number;
	uint8_t ask[12 + sizeof(question) - 1] = { [2] = 1, [5] = 1 }, answer[512]; /* recursion desired, one question */
	const unsigned id = atomic_fetch_add(&number, 1);
	int fd = connect_to(l, SOCK_DGRAM, DNS_LIMIT_MS);
	const char *result = "ok";
	ssize_t n;

	if (fd < 0)
		return cause(errno);
	ask[0] = (uint8_t)(id >> 8);
	ask[1] = (uint8_t)id;
	memcpy(ask + 12, question, sizeof(question) - 1);
	if (send(fd, ask, sizeof(ask), 0) < 0 || (n = recv(fd, answer, sizeof(answer), 0)) < 0)
		result = cause(errno);
	else if (!read_txt(ask, sizeof(ask), answer, (size_t)n, name))
		result = "wrong";
	close(fd);
	return result;
}

static const char *try_once(const struct load *l, char *name)
{
	switch (l->kind) {
	case HTTP: return try_http(l, name);
	case HTTPS: return try_https(l, name);
	case MYSQL_KIND: return try_mysql(l, name);
	default: return try_dns(l, name);
	}
}

static void *requests(void *ctx)
{
	struct load *l = ctx;

	mysql_thread_init();
	for (;;) {
		const uint64_t due = start_us + atomic_fetch_add(&l->next, 1) * 1000000 / l->rate;
		char name[NAME_MAX_BYTES] = "-", ignored[NAME_MAX_BYTES];
		const char *result, *again = "-";
		uint64_t took;

		if (due >= end_us)
			break;
		sleep_until(due);
		result = try_once(l, name);
		took = now_us() - due; /* of when it was due: a client that is late itself does not look quick */
		if (strcmp(result, "ok")) {
			sleep_until(now_us() + RETRY_AFTER_MS * 1000);
			again = try_once(l, ignored);
		}
		printf("%llu %s %s %llu %s %s\n", (unsigned long long)(wall_ms + (due - start_us) / 1000),
		       kind_names[l->kind], result, (unsigned long long)took, name, again);
	}
	mysql_thread_end();
	return NULL;
}

/* One connection that is kept. */
static void *hold(void *ctx)
{
	struct load *l = ctx;
	const unsigned long long number = atomic_fetch_add(&l->next, 1);
	uint64_t next = now_us() + (uint64_t)rand() % (HOLD_MS * 1000), since = 0;
	int fd = -1;

	for (; next < end_us; next += HOLD_MS * 1000) {
		char name[NAME_MAX_BYTES];
		const char *result;

		sleep_until(next);
		if (fd < 0) {
			fd = connect_to(l, SOCK_STREAM, LIMIT_MS);
			since = now_us();
		}
		if (fd < 0)
			continue;
		result = talk(fd, NULL, request_again, name);
		if (!strcmp(result, "ok")) {
			if (l->kind == KEEP)
				printf("%llu kept %llu\n", (unsigned long long)(wall_ms + (next - start_us) / 1000), number);
			continue;
		}
		printf("%llu hold %s %llu\n", (unsigned long long)(wall_ms + (now_us() - start_us) / 1000), result,
		       (unsigned long long)((now_us() - since) / 1000));
		close(fd);
		fd = -1;
	}
	return NULL;
}

static void parse(const char *text, struct load *l)
{
	char kind[8];
	bool v6;

	v6 = sscanf(text, "%7[a-z]:%u:[%45[0-9a-f:]]:%u", kind, &l->rate, l->address, &l->port) == 4;
	if ((!v6 && sscanf(text, "%7[a-z]:%u:%15[0-9.]:%u", kind, &l->rate, l->address, &l->port) != 4) || !l->rate)
		goto bad;
	if (v6)
		l->at.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)l->port) };
	else
		l->at.v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)l->port) };
	for (l->kind = 0; l->kind < KINDS && strcmp(kind, kind_names[l->kind]); l->kind++)
		;
	if (l->kind < KINDS &&
	    inet_pton(l->at.any.sa_family, l->address, v6 ? (void *)&l->at.v6.sin6_addr : (void *)&l->at.v4.sin_addr) == 1)
		return;
bad:
	fprintf(stderr, "steady_load: %s: expected KIND:RATE:ADDRESS:PORT\n", text);
	exit(2);
}

int main(int argc, char **argv)
{
	static struct load loads[LOADS_MAX];
	static pthread_t threads[LOADS_MAX * THREADS + 4096];
	pthread_attr_t small;
	struct timespec wall;
	size_t count = 0;

	if (argc < 3 || argc - 2 > LOADS_MAX) {
		fprintf(stderr, "usage: steady_load SECONDS KIND:RATE:ADDRESS:PORT ...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	mysql_library_init(0, NULL, NULL);
	tls = SSL_CTX_new(TLS_client_method());
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 * 1024);
	clock_gettime(CLOCK_REALTIME, &wall);
	start_us = now_us();
	wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000;
	end_us = start_us + (uint64_t)(atof(argv[1]) * 1000000);
	for (int i = 2; i < argc; i++) {
		struct load *l = &loads[i - 2];
		unsigned wanted;
		bool held;

		parse(argv[i], l);
		held = l->kind == HOLD || l->kind == KEEP;
		wanted = !held ? THREADS : l->rate < 4096 / LOADS_MAX ? l->rate : 4096 / LOADS_MAX;
		for (unsigned t = 0; t < wanted; t++)
			if (pthread_create(&threads[count], &small, held ? hold : requests, l) == 0)
				count++;
	}
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
