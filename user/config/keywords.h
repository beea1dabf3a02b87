/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of every keyword of HAProxy 2.6 and of our own: what it does here, where it may stand, and who reads its
 * arguments. One table for each place a word can stand in, sorted by word. Read by the parser; the tests hold it
 * against the manual. A word that a later version brings is refused here until it works.
 */
#ifndef CONFIG_KEYWORDS_H
#define CONFIG_KEYWORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parser;
struct config_word;
struct suggest;

enum keyword_class {
	KEYWORD_WORKS,
	KEYWORD_NOTICE,  /* accepted; text says what it does here */
	KEYWORD_REFUSED, /* an error; text says why */
};

enum section {
	SECTION_NONE = 0, /* before the first section */
	SECTION_GLOBAL = 1,
	SECTION_DEFAULTS = 2,
	SECTION_FRONTEND = 4,
	SECTION_LISTEN = 8,
	SECTION_BACKEND = 16,
	SECTION_PEERS = 64,
	SECTION_SKIPPED = 32, /* refused or not understood as a whole: its lines say nothing more */
};

enum { KEYWORD_ANY = 255 }; /* any number of arguments */

struct keyword {
	const char *word;
	enum keyword_class class;
	uint8_t sections;           /* enum section bits; 0 = wherever its table is used */
	uint8_t args_min, args_max;
	bool negatable;             /* may follow `no` and `default` */
	int value;                  /* of an enumeration's word */
	const char *usage;          /* arguments, for messages */
	const char *text;           /* notice or reason */
	void (*parse)(struct parser *p, const struct config_word *args, size_t count);
	const struct keyword_table *sub; /* the next word is looked up there */
};

struct keyword_table {
	const char *what;           /* "keyword", "option": for "unknown ..." */
	const char *before, *after; /* put around the word in messages: "option ", " of a bind" */
	const struct keyword *items;
	size_t count;
};

extern const struct keyword_table keywords_global, keywords_stats, keywords_stats_socket;
extern const struct keyword_table keywords_proxy, keywords_option, keywords_timeout;
extern const struct keyword_table keywords_http_check, keywords_http_check_expect, keywords_http_check_send;
extern const struct keyword_table keywords_external_check;
extern const struct keyword_table keywords_tcp_check, keywords_tcp_check_connect, keywords_tcp_check_expect;
extern const struct keyword_table keywords_mysql_check;
extern const struct keyword_table keywords_bind, keywords_server;
extern const struct keyword_table keywords_peers;
/* Enumerations: the words a value can be. */
extern const struct keyword_table values_mode, values_balance, values_forward, values_hash_type, values_hash_function;
extern const struct keyword_table values_on_agent_death;
extern const struct keyword_table values_on_all_down, values_on_marked_down, values_init_state, values_verify,
	values_via;
extern const struct keyword_table values_xdp;
extern const struct keyword_table values_level, values_facility, values_log_level, values_log_format;
extern const struct keyword_table values_role, values_on_conflict, values_mysql_tls;
extern const struct keyword_table values_section;

/* All of them, for the tests. */
extern const struct keyword_table *const keyword_tables[];
extern const size_t keyword_table_count;

const struct keyword *keyword_find(const struct keyword_table *t, const char *word);
/* Offers the table's words that may stand in `sections` (0 = all); those that are refused only when no other is near.
 */
void keyword_suggest(const struct keyword_table *t, unsigned sections, struct suggest *s);

#endif
