/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MySQL/MariaDB plugin from the inside: mysql.c reads the words and runs a check, session.c talks within a
 * deadline, facts.c finds out what the server is. Nothing here decides what a server is good for: health/ does, over
 * the whole pool.
 */
#ifndef PLUGINS_MYSQL_PLUGIN_H
#define PLUGINS_MYSQL_PLUGIN_H

#include <mysql.h>
#include <stdbool.h>
#include <stdint.h>

#include "alwayson/check.h"

enum mysql_limit {
	MYSQL_ROWS_MAX = 512,         /* rows of an answer: channels, members of a group */
	MYSQL_PACKET_MAX = 1 << 20,   /* bytes of one packet from the server */
	MYSQL_IDENTIFIER_MAX = 64,
};

/* What the words of the check say. */
struct mysql_words {
	char *user, *password;
	bool ask;                     /* role and lag; else the login alone is the check */
	char *heartbeat;              /* "`db`.`table`"; NULL = Seconds_Behind_Source */
	char *channel;                /* NULL = all */
	bool tls, tls_verify;
	char *ca_file, *crt;          /* NULL = none */
};

/* A connection, and by when what it is used for must be over. */
struct session {
	MYSQL *mysql;
	const struct plugin_request *request;
	struct plugin_result *result; /* code and text of the first thing that goes wrong */
	bool failed;
	bool broken;                  /* nothing more can be said over it, not even good bye */
};

/* One row; columns are looked up by name, since their order and number differ from version to version. */
struct row {
	const MYSQL_FIELD *fields;
	unsigned count;
	MYSQL_ROW values;
};

/* Connects and logs in. False: result says why. The session must be closed in either case. */
bool session_open(struct session *s, const struct mysql_words *w);
/* Says good bye, so that the server does not count the connection as broken (max_connect_errors). */
void session_close(struct session *s);
/*
 * Runs a query, calls take() for each row. True when all went well; else the result says why, unless the server's error
 * is `tolerated` (0 = none): then false as well, but the session has not failed.
 */
bool session_query(struct session *s, const char *sql, unsigned tolerated, void (*take)(const struct row *r, void *ctx),
		   void *ctx);
/* Sets code and text of the result unless that was done before, and fails the session. Returns false. */
bool session_fail(struct session *s, enum plugin_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The value of the first of two names that is there; NULL: no such column, or NULL in it. */
const char *row_get(const struct row *r, const char *name, const char *other);

/* Fills role, ids, lag and text of the result. */
bool facts_find(struct session *s, const struct mysql_words *w);

#endif
