/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Talking to a server within a deadline of milliseconds, by libmariadb's calls that can be left in the middle. A TLS
 * handshake blocks inside them nevertheless: then the worker is killed at the deadline, which the agent knows to read.
 * Until the good bye a socket is closed by RST, whatever ends it, this process included: a server that was frozen and
 * comes back would else find a heap of broken handshakes in its queue, and block the balancer (max_connect_errors).
 */
#include <errmsg.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "plugin.h"

/* Server errors that have a meaning of their own here; mysqld_error.h is not in every package. */
enum server_error {
	ERROR_TOO_MANY_CONNECTIONS = 1040,
	ERROR_ACCESS_DENIED = 1045,
	ERROR_SHUTDOWN = 1053,
	ERROR_HOST_BLOCKED = 1129,
	ERROR_HOST_NOT_ALLOWED = 1130,
	ERROR_COMMAND_DENIED = 1142,
	ERROR_COLUMN_DENIED = 1143,
	ERROR_SPECIAL_RIGHT = 1227,
	ERROR_NO_ACCESS_TO_DATABASE = 1044,
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool session_fail(struct session *s, enum plugin_code code, const char *format, ...)
{
	va_list args;

	if (!s->failed) {
		va_start(args, format);
		vsnprintf(s->result->text, sizeof(s->result->text), format, args);
		va_end(args);
		s->result->code = code;
	}
	s->failed = true;
	return false;
}

static void set_linger(struct session *s, bool reset)
{
	struct linger l = { .l_onoff = reset, .l_linger = 0 };
	int fd = mysql_get_socket(s->mysql);

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

/* Waits for what libmariadb wants to wait for. What happened, for its _cont() call; -1 = the deadline is over. */
static int wait_for(struct session *s, int wanted, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = mysql_get_socket(s->mysql) };
	uint64_t now = now_ms();
	int n, happened = 0;

	p.events = (short)((wanted & MYSQL_WAIT_READ ? POLLIN : 0) | (wanted & MYSQL_WAIT_WRITE ? POLLOUT : 0) |
			   (wanted & MYSQL_WAIT_EXCEPT ? POLLPRI : 0));
	do {
		n = poll(&p, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);
		now = now_ms();
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return -1;
	if (p.revents & (POLLIN | POLLHUP | POLLERR))
		happened |= MYSQL_WAIT_READ;
	if (p.revents & (POLLOUT | POLLHUP | POLLERR))
		happened |= MYSQL_WAIT_WRITE;
	if (p.revents & POLLPRI)
		happened |= MYSQL_WAIT_EXCEPT;
	return happened & wanted ? happened & wanted : wanted;
}

static bool is_connected(struct session *s)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);
	int fd = mysql_get_socket(s->mysql);

	return fd >= 0 && !getpeername(fd, (struct sockaddr *)&peer, &length);
}

static bool fail_late(struct session *s, const char *what)
{
	s->broken = true;
	return session_fail(s, PLUGIN_TIMEOUT, "no answer to %s in time", what);
}

/* "... (111)" at the end of libmariadb's message is the errno of connect(). */
static int connect_errno(const char *text)
{
	const char *open = strrchr(text, '(');
	int value = 0;

	if (open)
		sscanf(open, "(%d", &value);
	return value;
}

static bool fail_server(struct session *s, const char *what)
{
	unsigned number = mysql_errno(s->mysql);
	const char *text = mysql_error(s->mysql);
	int error;

	switch (number) {
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
		s->broken = true;
		error = connect_errno(text);
		return session_fail(s, error == ETIMEDOUT ? PLUGIN_CONNECT_TIMEOUT : PLUGIN_CONNECT_FAILED, "%s",
				    error ? strerror(error) : text);
	case CR_OUT_OF_MEMORY:
		s->broken = true;
		return session_fail(s, PLUGIN_TROUBLE, "out of memory");
	case CR_AUTH_PLUGIN_CANNOT_LOAD:
		s->broken = true;
		return session_fail(s, PLUGIN_REFUSED, "the server asks for a kind of login that is not to be had: %s",
				    text);
	case CR_SSL_CONNECTION_ERROR:
		s->broken = true;
		return session_fail(s, PLUGIN_BAD_ANSWER, "TLS: %s", text);
	case ERROR_ACCESS_DENIED:
	case ERROR_NO_ACCESS_TO_DATABASE:
		return session_fail(s, PLUGIN_REFUSED, "%s", text);
	case ERROR_HOST_BLOCKED:
		return session_fail(s, PLUGIN_REFUSED, "the server has blocked this host: FLUSH HOSTS there mends it");
	case ERROR_HOST_NOT_ALLOWED:
	case ERROR_TOO_MANY_CONNECTIONS:
	case ERROR_SHUTDOWN:
		return session_fail(s, PLUGIN_REFUSED, "%s", text);
	default:
		break;
	}
	if (number >= CR_MIN_ERROR) {
		s->broken = true;
		return session_fail(s, PLUGIN_BAD_ANSWER, "%s (%s)", text, what);
	}
	return session_fail(s, PLUGIN_REFUSED, "%s: %s", what, text);
}

static void set_options(struct session *s, const struct mysql_words *w)
{
	static const char logins[] = "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password";
	const unsigned seconds = (unsigned)((s->request->deadline_ms - now_ms()) / 1000 + 2), off = 0;
	const unsigned long packet = MYSQL_PACKET_MAX;
	const my_bool on = 1, verify = w->tls_verify;

	mysql_options(s->mysql, MYSQL_OPT_NONBLOCK, NULL);
	/* A hostile server could ask for our files, or for the password in the clear. */
	mysql_options(s->mysql, MYSQL_OPT_LOCAL_INFILE, &off);
	mysql_options(s->mysql, MARIADB_OPT_RESTRICTED_AUTH, logins);
	mysql_options(s->mysql, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	/* Where libmariadb blocks all the same, it is not for ever. */
	mysql_options(s->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	mysql_options(s->mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
	mysql_options(s->mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	mysql_options4(s->mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "alwayson-checker");
	if (!w->tls)
		return;
	mysql_options(s->mysql, MYSQL_OPT_SSL_ENFORCE, &on);
	mysql_options(s->mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
	if (w->ca_file)
		mysql_options(s->mysql, MYSQL_OPT_SSL_CA, w->ca_file);
	if (w->crt) {
		mysql_options(s->mysql, MYSQL_OPT_SSL_CERT, w->crt);
		mysql_options(s->mysql, MYSQL_OPT_SSL_KEY, w->crt);
	}
}

bool session_open(struct session *s, const struct mysql_words *w)
{
	MYSQL *done = NULL;
	int wanted, happened;

	s->mysql = mysql_init(NULL);
	if (!s->mysql)
		return session_fail(s, PLUGIN_TROUBLE, "out of memory");
	set_options(s, w);
	wanted = mysql_real_connect_start(&done, s->mysql, s->request->address, w->user, w->password, NULL,
					  s->request->port, NULL, 0);
	while (wanted) {
		bool connected = is_connected(s);

		set_linger(s, true);
		happened = wait_for(s, wanted, connected ? s->request->deadline_ms : s->request->connect_deadline_ms);
		if (happened < 0) {
			s->broken = true;
			return connected ? fail_late(s, "the login") :
					   session_fail(s, PLUGIN_CONNECT_TIMEOUT, "no connection in time");
		}
		wanted = mysql_real_connect_cont(&done, s->mysql, happened);
	}
	if (!done)
		return fail_server(s, "login");
	set_linger(s, true);
	return true;
}

void session_close(struct session *s)
{
	int wanted, happened = 0;

	if (!s->mysql)
		return;
	if (s->broken) {
		/* Whatever it still wants to send is lost with the RST. */
		set_linger(s, true);
		mysql_close(s->mysql);
		s->mysql = NULL;
		return;
	}
	set_linger(s, false);
	wanted = mysql_close_start(s->mysql);
	while (wanted && happened >= 0) {
		happened = wait_for(s, wanted, s->request->deadline_ms);
		if (happened >= 0)
			wanted = mysql_close_cont(s->mysql, happened);
	}
	s->mysql = NULL;
}

/* The next row, NULL at the end. False when there was none in time. */
static bool fetch(struct session *s, MYSQL_RES *answer, MYSQL_ROW *ret)
{
	int wanted = mysql_fetch_row_start(ret, answer), happened;

	while (wanted) {
		happened = wait_for(s, wanted, s->request->deadline_ms);
		if (happened < 0)
			return fail_late(s, "a query");
		wanted = mysql_fetch_row_cont(ret, answer, happened);
	}
	return true;
}

static bool read_rows(struct session *s, void (*take)(const struct row *r, void *ctx), void *ctx)
{
	MYSQL_RES *answer = mysql_use_result(s->mysql);
	struct row r = {};
	unsigned rows = 0;

	if (!answer)
		return mysql_errno(s->mysql) ? fail_server(s, "query") :
					       session_fail(s, PLUGIN_BAD_ANSWER, "an answer without rows");
	r.fields = mysql_fetch_fields(answer);
	r.count = mysql_num_fields(answer);
	while (!s->failed && fetch(s, answer, &r.values) && r.values) {
		if (++rows > MYSQL_ROWS_MAX) {
			s->broken = true;
			session_fail(s, PLUGIN_BAD_ANSWER, "an answer of more than %d rows", MYSQL_ROWS_MAX);
		} else {
			take(&r, ctx);
		}
	}
	if (!s->failed && mysql_errno(s->mysql))
		fail_server(s, "query");
	/* An answer that is not read to its end is left to the session's: to free it would read on, without a limit. */
	if (!s->broken)
		mysql_free_result(answer);
	return !s->failed;
}

bool session_query(struct session *s, const char *sql, unsigned tolerated, void (*take)(const struct row *r, void *ctx),
		   void *ctx)
{
	int failed = 0, happened;
	int wanted = mysql_real_query_start(&failed, s->mysql, sql, strlen(sql));

	while (wanted) {
		happened = wait_for(s, wanted, s->request->deadline_ms);
		if (happened < 0)
			return fail_late(s, "a query");
		wanted = mysql_real_query_cont(&failed, s->mysql, happened);
	}
	if (!failed)
		return read_rows(s, take, ctx);
	if (tolerated && mysql_errno(s->mysql) == tolerated)
		return false;
	return fail_server(s, "query");
}

const char *row_get(const struct row *r, const char *name, const char *other)
{
	unsigned i;

	for (i = 0; i < r->count; i++)
		if (!strcasecmp(r->fields[i].name, name) || (other && !strcasecmp(r->fields[i].name, other)))
			return r->values[i];
	return NULL;
}
