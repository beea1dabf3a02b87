/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A writer and some readers at work on a database through the balancer, and a record of what they were told. For
 * tests/system/mysql_soak.sh, whose driver breaks things meanwhile. Ends on SIGTERM.
 *
 *   mysql_load ADDRESS WRITE-PORT READ-PORT READERS
 *
 * Prints a line for each thing that counts, times in ms since the epoch:
 *   ack TIME SENT ID SERVER      the server says that it has kept row ID; SENT is when it was asked to
 *   read TIME AGE-MS SERVER      a read over a new connection; AGE is that of the newest heartbeat it saw
 *   lost TIME WHAT               a connection or statement that failed (w or r)
 */
#include <mysql.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WRITE_PAUSE_MS = 10, READ_PAUSE_MS = 25, BEAT_EVERY = 5, TIMEOUT_S = 1, READERS_MAX = 32 };

static const char *address;
static unsigned write_port, read_port;
static atomic_bool stop;

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void lost(const char *who)
{
	printf("lost %lld %s\n", now_ms(), who);
	pause_ms(WRITE_PAUSE_MS);
}

static MYSQL *open_connection(unsigned port)
{
	const unsigned timeout = TIMEOUT_S;
	MYSQL *m = mysql_init(NULL);

	if (!m)
		return NULL;
	mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
	mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &timeout);
	mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
	if (mysql_real_connect(m, address, "app", "app-password", "app", port, NULL, 0))
		return m;
	mysql_close(m);
	return NULL;
}

/* Two columns of a one-row answer as numbers. */
static bool ask(MYSQL *m, const char *sql, long long *ret_first, long long *ret_second)
{
	MYSQL_RES *r;
	MYSQL_ROW row;
	bool good;

	if (mysql_query(m, sql) || !(r = mysql_store_result(m)))
		return false;
	row = mysql_fetch_row(r);
	good = row && row[0] && (!ret_second || row[1]);
	if (good)
		*ret_first = strtoll(row[0], NULL, 10);
	if (good && ret_second)
		*ret_second = strtoll(row[1], NULL, 10);
	mysql_free_result(r);
	return good;
}

/* One connection's life. Ids are never used twice: whether a lost statement was kept is not known. */
static void write_on(MYSQL *m, long long *id)
{
	long long server, sent;
	char sql[128];

	if (!ask(m, "SELECT @@server_id", &server, NULL))
		return;
	while (!stop) {
		++*id;
		sent = now_ms();
		snprintf(sql, sizeof(sql), "INSERT INTO t VALUES (%lld, 0, @@server_id)", *id);
		if (mysql_query(m, sql))
			return;
		printf("ack %lld %lld %lld %lld\n", now_ms(), sent, *id, server);
		if (*id % BEAT_EVERY == 0 && mysql_query(m, "REPLACE INTO heartbeat VALUES (1, NOW(6))"))
			return;
		pause_ms(WRITE_PAUSE_MS);
	}
}

static void *writer(void *arg)
{
	long long id = 1000000;

	while (!stop) {
		MYSQL *m = open_connection(write_port);

		if (m) {
			write_on(m, &id);
			mysql_close(m);
		}
		if (!stop)
			lost("w");
	}
	return NULL;
}

static void *reader(void *arg)
{
	while (!stop) {
		MYSQL *m = open_connection(read_port);
		long long age, server;

		if (m && ask(m, "SELECT TIMESTAMPDIFF(MICROSECOND, MAX(ts), NOW(6)) DIV 1000, @@server_id FROM heartbeat",
			     &age, &server))
			printf("read %lld %lld %lld\n", now_ms(), age, server);
		else if (!stop)
			lost("r");
		if (m)
			mysql_close(m);
		pause_ms(READ_PAUSE_MS);
	}
	return NULL;
}

static void on_term(int number)
{
	stop = true;
}

int main(int argc, char **argv)
{
	pthread_t threads[READERS_MAX + 1];
	int readers, i;

	if (argc != 5 || (readers = atoi(argv[4])) < 0 || readers > READERS_MAX)
		return 2;
	address = argv[1];
	write_port = (unsigned)atoi(argv[2]);
	read_port = (unsigned)atoi(argv[3]);
	signal(SIGTERM, on_term);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	mysql_library_init(0, NULL, NULL);
	pthread_create(&threads[0], NULL, writer, NULL);
	for (i = 1; i <= readers; i++)
		pthread_create(&threads[i], NULL, reader, NULL);
	for (i = 0; i <= readers; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
