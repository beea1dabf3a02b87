/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyword table against itself, the manual and the test files: sorted, complete, documented, tested. Runs in the
 * root of the source tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/keywords.h"

/* Where the manual speaks of a table, and what its test files are called by; files NULL = an enumeration. */
static const struct {
	const struct keyword_table *table;
	const char *heading, *files;
} places[] = {
	{ &keywords_global, "\n## global\n", "global" },
	{ &keywords_stats, "\n### stats\n", "stats" },
	{ &keywords_stats_socket, "\n### stats socket\n", "stats_socket" },
	{ &keywords_proxy, "\n## defaults, frontend, listen, backend\n", "proxy" },
	{ &keywords_option, "\n### option\n", "option" },
	{ &keywords_timeout, "\n### timeout\n", "timeout" },
	{ &keywords_http_check, "\n### http-check\n", "http-check" },
	{ &keywords_http_check_expect, "\n### http-check expect\n", "http-check-expect" },
	{ &keywords_http_check_send, "\n### http-check send\n", "http-check-send" },
	{ &keywords_external_check, "\n### external-check\n", "external-check" },
	{ &keywords_tcp_check, "\n### tcp-check\n", "tcp-check" },
	{ &keywords_tcp_check_connect, "\n### tcp-check connect\n", "tcp-check-connect" },
	{ &keywords_tcp_check_expect, "\n### tcp-check expect\n", "tcp-check-expect" },
	{ &keywords_mysql_check, "\n### mysql-check\n", "mysql-check" },
	{ &keywords_bind, "\n## bind\n", "bind" },
	{ &keywords_server, "\n## server\n", "server" },
	{ &keywords_peers, "\n## peers\n", "peers" },
	{ &values_mode, "\n### mode\n", NULL },
	{ &values_balance, "\n### balance\n", NULL },
	{ &values_forward, "\n### forward\n", NULL },
	{ &values_hash_type, "\n### hash-type\n", NULL },
	{ &values_hash_function, "\n### hash function\n", NULL },
	{ &values_on_all_down, "\n### on-all-down\n", NULL },
	{ &values_on_marked_down, "\n### on-marked-down\n", NULL },
	{ &values_init_state, "\n### init-state\n", NULL },
	{ &values_verify, "\n### verify\n", NULL },
	{ &values_xdp, "\n### xdp\n", NULL },
	{ &values_level, "\n### level\n", NULL },
	{ &values_facility, "\n### log facility\n", NULL },
	{ &values_log_level, "\n### log level\n", NULL },
	{ &values_log_format, "\n### log format\n", NULL },
	{ &values_role, "\n### role\n", NULL },
	{ &values_on_conflict, "\n### on-conflict\n", NULL },
	{ &values_via, "\n### via\n", NULL },
	{ &values_mysql_tls, "\n### tls of mysql-check\n", NULL },
	{ &values_section, "\n## Sections\n", NULL },
};

static const char *const class_names[] = { "works", "notice", "refused" };

static char *read_text(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	if (!f || !text)
		fail_msg("%s cannot be read: run this in the root of the source tree", path);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	return text;
}

static void every_table_has_its_place_here(void **state)
{
	size_t i, j;

	assert_int_equal(array_size(places), keyword_table_count);
	for (i = 0; i < keyword_table_count; i++) {
		for (j = 0; j < array_size(places) && places[j].table != keyword_tables[i]; j++)
			;
		assert_true(j < array_size(places));
	}
}

static void tables_are_sorted_without_duplicates(void **state)
{
	size_t i, j;

	for (i = 0; i < keyword_table_count; i++) {
		const struct keyword_table *t = keyword_tables[i];

		for (j = 1; j < t->count; j++) {
			if (strcmp(t->items[j - 1].word, t->items[j].word) >= 0)
				fail_msg("%s: '%s' must come before '%s'", t->what, t->items[j].word,
					 t->items[j - 1].word);
		}
		for (j = 0; j < t->count; j++)
			assert_ptr_equal(keyword_find(t, t->items[j].word), &t->items[j]);
	}
}

/* What works has a handler; what does not says why. */
static void every_row_is_complete(void **state)
{
	size_t i, j;

	for (i = 0; i < array_size(places); i++) {
		for (j = 0; j < places[i].table->count; j++) {
			const struct keyword *k = &places[i].table->items[j];

			if (k->class != KEYWORD_WORKS)
				assert_true(k->text && *k->text);
			else if (places[i].files)
				assert_true(!k->parse != !k->sub);
		}
	}
}

/* Of the many words of HAProxy 2.6, those that users are most likely to have, and in which class they must be. */
static void words_of_haproxy_are_classed(void **state)
{
	static const struct {
		const struct keyword_table *table;
		const char *word;
		enum keyword_class class;
	} words[] = {
		{ &keywords_global, "maxconn", KEYWORD_NOTICE },
		{ &keywords_global, "ssl-default-bind-ciphers", KEYWORD_NOTICE },
		{ &keywords_global, "tune.ssl.default-dh-param", KEYWORD_NOTICE },
		{ &keywords_global, "metrics", KEYWORD_WORKS },
		{ &keywords_proxy, "errorfile", KEYWORD_NOTICE },
		{ &keywords_proxy, "acl", KEYWORD_REFUSED },
		{ &keywords_proxy, "http-request", KEYWORD_REFUSED },
		{ &keywords_proxy, "stick", KEYWORD_REFUSED },
		{ &keywords_proxy, "udp-persist", KEYWORD_WORKS },
		{ &keywords_option, "httplog", KEYWORD_NOTICE },
		{ &keywords_option, "forwardfor", KEYWORD_REFUSED },
		{ &keywords_option, "mysql-check", KEYWORD_WORKS },
		{ &keywords_bind, "ssl", KEYWORD_REFUSED },
		{ &keywords_server, "maxconn", KEYWORD_REFUSED },
		{ &keywords_server, "send-proxy", KEYWORD_REFUSED },
		{ &keywords_server, "observe", KEYWORD_REFUSED },
		{ &values_balance, "leastconn", KEYWORD_WORKS },
		{ &values_forward, "ipip", KEYWORD_WORKS },
	};
	size_t i;

	for (i = 0; i < array_size(words); i++) {
		const struct keyword *k = keyword_find(words[i].table, words[i].word);

		if (!k || k->class != words[i].class)
			fail_msg("'%s' is not %s", words[i].word, class_names[words[i].class]);
	}
}

/* Is there a line of the section with the word, its class and, where it has one, its text? */
static bool section_says(const char *section, const struct keyword *k)
{
	const char *end = strstr(section + 1, "\n## ") ? strstr(section + 1, "\n## ") : section + strlen(section);
	char word[128], class[32], text[512], *to = text;
	const char *line, *next, *c;

	snprintf(word, sizeof(word), "`%s`", k->word);
	snprintf(class, sizeof(class), "| %s |", class_names[k->class]);
	for (c = k->text ? k->text : ""; *c && to < text + sizeof(text) - 2; c++) {
		if (*c == '|')
			*to++ = '\\';
		*to++ = *c;
	}
	*to = '\0';
	for (line = section + 1; line < end; line = next + 1) {
		char copy[8192];

		next = strchr(line, '\n');
		if (!next)
			break;
		snprintf(copy, sizeof(copy), "%.*s", (int)(next - line), line);
		if (strstr(copy, word) && strstr(copy, class) && strstr(copy, text))
			return true;
	}
	return false;
}

static void the_manual_has_every_word(void **state)
{
	_cleanup_free_ char *manual = read_text("docs/configuration.md");
	size_t i, j;

	for (i = 0; i < array_size(places); i++) {
		const char *section = strstr(manual, places[i].heading);

		if (!section)
			fail_msg("docs/configuration.md lacks the heading %s", places[i].heading);
		for (j = 0; j < places[i].table->count; j++) {
			const struct keyword *k = &places[i].table->items[j];

			if (!section_says(section, k))
				fail_msg("docs/configuration.md:%slacks the row | `%s` | %s | %s |", places[i].heading,
					 k->word, class_names[k->class], k->text ? k->text : "...");
		}
	}
}

/* `!status` is tested by not-status.cfg */
static void file_name(const char *directory, const char *files, const char *word, char *buf, size_t size)
{
	bool not = word[0] == '!';

	snprintf(buf, size, "tests/config/%s/%s.%s%s%s.cfg", directory, files, not ? "not" : "",
		 not &&word[1] ? "-" : "", word + not );
}

static void every_word_that_works_has_its_files(void **state)
{
	static const char *const directories[] = { "good", "bad" };
	char path[256];
	size_t i, j, d;

	for (i = 0; i < array_size(places); i++) {
		for (j = 0; places[i].files && j < places[i].table->count; j++) {
			if (places[i].table->items[j].class != KEYWORD_WORKS)
				continue;
			for (d = 0; d < array_size(directories); d++) {
				file_name(directories[d], places[i].files, places[i].table->items[j].word, path,
					  sizeof(path));
				if (access(path, R_OK))
					fail_msg("%s is missing", path);
			}
			/* `stats` and `option` alone say nothing: the files are those of the words after them */
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_table_has_its_place_here),
		cmocka_unit_test(tables_are_sorted_without_duplicates),
		cmocka_unit_test(every_row_is_complete),
		cmocka_unit_test(words_of_haproxy_are_classed),
		cmocka_unit_test(the_manual_has_every_word),
		cmocka_unit_test(every_word_that_works_has_its_files),
	};

	return cmocka_run_group_tests_name("config_keywords", tests, NULL, NULL);
}
