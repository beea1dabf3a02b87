/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Look-ups in the keyword tables. The rows are in keywords_*.c. Called by statement.c and the tests; knows no grammar.
 */
#include "config/keywords.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/suggest.h"

const struct keyword_table *const keyword_tables[] = {
	&keywords_global,
	&keywords_stats,
	&keywords_stats_socket,
	&keywords_proxy,
	&keywords_option,
	&keywords_timeout,
	&keywords_http_check,
	&keywords_http_check_expect,
	&keywords_http_check_send,
	&keywords_external_check,
	&keywords_tcp_check,
	&keywords_tcp_check_connect,
	&keywords_tcp_check_expect,
	&keywords_mysql_check,
	&keywords_bind,
	&keywords_server,
	&keywords_peers,
	&values_mode,
	&values_balance,
	&values_forward,
	&values_hash_type,
	&values_hash_function,
	&values_on_all_down,
	&values_on_marked_down,
	&values_init_state,
	&values_verify,
	&values_via,
	&values_xdp,
	&values_level,
	&values_facility,
	&values_log_level,
	&values_log_format,
	&values_role,
	&values_on_conflict,
	&values_mysql_tls,
	&values_section,
};
const size_t keyword_table_count = array_size(keyword_tables);

static int compare(const void *word, const void *keyword)
{
	return strcmp(word, ((const struct keyword *)keyword)->word);
}

const struct keyword *keyword_find(const struct keyword_table *t, const char *word)
{
	return bsearch(word, t->items, t->count, sizeof(*t->items), compare);
}

static void offer(const struct keyword_table *t, unsigned sections, bool refused, struct suggest *s)
{
	size_t i;

	for (i = 0; i < t->count; i++) {
		const struct keyword *k = &t->items[i];

		if ((k->class == KEYWORD_REFUSED) == refused && (!k->sections || !sections || (k->sections & sections)))
			suggest_offer(s, k->word);
	}
}

void keyword_suggest(const struct keyword_table *t, unsigned sections, struct suggest *s)
{
	offer(t, sections, false, s);
	if (!s->best)
		offer(t, sections, true, s);
}
