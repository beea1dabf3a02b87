/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plugin behind `option mysql-check`: logs in, asks what the server is when the check's words want to know, says
 * good bye. The words come from config/parse_mysql.c, which has looked at what users write. docs/mysql.md is the
 * manual.
 *
 *   user U [ask] [heartbeat DB.TABLE] [channel NAME] [tls verify|noverify] [ca-file F] [crt F]
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin.h"

static void release(void *state)
{
	struct mysql_words *w = state;

	if (!w)
		return;
	if (w->password)
		explicit_bzero(w->password, strlen(w->password));
	free(w->password);
	free(w->user);
	free(w->heartbeat);
	free(w->channel);
	free(w->ca_file);
	free(w->crt);
	free(w);
}

/* "db.table" to "`db`.`table`". Only letters, digits, $ and _: nothing that could end the quotes. NULL: it is none. */
static char *quote_table(const char *text)
{
	const char *dot = strchr(text, '.');
	size_t i, database = dot ? (size_t)(dot - text) : 0, table = dot ? strlen(dot + 1) : 0;
	char *quoted;

	if (!database || !table || database > MYSQL_IDENTIFIER_MAX || table > MYSQL_IDENTIFIER_MAX)
		return NULL;
	for (i = 0; text[i]; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '_' && text[i] != '$' && text + i != dot)
			return NULL;
	if (asprintf(&quoted, "`%.*s`.`%s`", (int)database, text, dot + 1) < 0)
		return NULL;
	return quoted;
}

/* One word and its value. False when it is none of ours. */
static bool take_word(struct mysql_words *w, const char *word, const char *value)
{
	if (!value)
		return false;
	if (!strcmp(word, "user"))
		return !w->user && (w->user = strdup(value));
	if (!strcmp(word, "heartbeat"))
		return !w->heartbeat && (w->heartbeat = quote_table(value));
	if (!strcmp(word, "channel"))
		return !w->channel && (w->channel = strdup(value));
	if (!strcmp(word, "ca-file"))
		return !w->ca_file && (w->ca_file = strdup(value));
	if (!strcmp(word, "crt"))
		return !w->crt && (w->crt = strdup(value));
	if (strcmp(word, "tls"))
		return false;
	w->tls = true;
	w->tls_verify = !strcmp(value, "verify");
	return w->tls_verify || !strcmp(value, "noverify");
}

static int configure(size_t argc, const char *const *argv, const char *secret, void **ret_state,
		     char error[PLUGIN_ERROR_MAX])
{
	struct mysql_words *w = calloc(1, sizeof(*w));
	size_t i;

	if (!w || !(w->password = strdup(secret))) {
		snprintf(error, PLUGIN_ERROR_MAX, "out of memory");
		free(w);
		return -1;
	}
	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "ask")) {
			w->ask = true;
			continue;
		}
		if (!take_word(w, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
			snprintf(error, PLUGIN_ERROR_MAX, "mysql: '%.64s' is not understood, or lacks its value", argv[i]);
			release(w);
			return -1;
		}
		i++;
	}
	if (!w->user) {
		snprintf(error, PLUGIN_ERROR_MAX, "mysql: 'user' is missing");
		release(w);
		return -1;
	}
	*ret_state = w;
	return 0;
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void check(void *state, const struct plugin_request *request, struct plugin_result *ret)
{
	const struct mysql_words *w = state;
	struct session s = { .request = request, .result = ret };
	uint64_t began_us = now_us();

	if (session_open(&s, w) && w->ask)
		facts_find(&s, w);
	ret->latency_us = (uint32_t)(now_us() - began_us);
	session_close(&s);
}

const struct plugin alwayson_plugin = {
	.abi = PLUGIN_ABI, .name = "mysql", .summary = "MySQL and MariaDB: login, role, replication, lag",
	.configure = configure, .check = check, .release = release,
};
