/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the words of a line to the handler of its keyword: look-up, section, class, number of arguments. Also the checks
 * of values that many handlers share. Called by parser.c and by handlers whose lines hold options.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"
#include "config/parser.h"
#include "config/value.h"

static const char *section_kind(enum section s)
{
	switch (s) {
	case SECTION_GLOBAL:
		return "global";
	case SECTION_DEFAULTS:
		return "defaults";
	case SECTION_FRONTEND:
		return "frontend";
	case SECTION_LISTEN:
		return "listen";
	case SECTION_BACKEND:
		return "backend";
	case SECTION_PEERS:
		return "peers";
	default:
		return "?";
	}
}

static const char *section_list(unsigned sections, char *buf, size_t size)
{
	static const enum section order[] = { SECTION_DEFAULTS, SECTION_FRONTEND, SECTION_LISTEN, SECTION_BACKEND };
	size_t i, used = 0;

	buf[0] = '\0';
	for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (sections & order[i] && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
						 section_kind(order[i]));
	}
	return buf;
}

/* The keyword is not in this table: is it one of the other kind of section, or mistyped? Returns what was meant. */
static const struct keyword *unknown_keyword(struct parser *p, const struct keyword_table *t,
					     const struct config_word *word)
{
	struct suggest suggest = { .word = word->text };
	const char *where = t == &keywords_global || t == &keywords_proxy ? section_kind(p->section) : NULL;

	if (t == &keywords_global && keyword_find(&keywords_proxy, word->text)) {
		char list[64];

		parser_error(p, word, "'%s' does not belong in a global section; it may stand in: %s", word->text,
			     section_list(keyword_find(&keywords_proxy, word->text)->sections, list, sizeof(list)));
		return NULL;
	}
	if (t == &keywords_proxy && keyword_find(&keywords_global, word->text)) {
		parser_error(p, word, "'%s' does not belong in a %s section; it may stand in: global", word->text,
			     where);
		return NULL;
	}
	if (parser_suggests(p))
		keyword_suggest(t, p->section, &suggest);
	if (suggest.best)
		parser_error(p, word, "unknown %s '%s'%s; did you mean '%s'?", t->what, word->text, t->after,
			     suggest.best);
	else if (where)
		parser_error(p, word, "unknown %s '%s' in a %s section", t->what, word->text, where);
	else
		parser_error(p, word, "unknown %s '%s'%s", t->what, word->text, t->after);
	return suggest.best ? keyword_find(t, suggest.best) : NULL;
}

/* Finds the word and says what there is to say about it; NULL unless its handler is to be called. */
static const struct keyword *admit(struct parser *p, const struct keyword_table *t, const struct keyword *k,
				   const struct config_word *word)
{
	char list[64];

	if (k->sections && !(k->sections & p->section)) {
		parser_error(p, word, "'%s%s' does not belong in a %s section; it may stand in: %s", t->before, k->word,
			     section_kind(p->section), section_list(k->sections, list, sizeof(list)));
		return NULL;
	}
	if (p->form != FORM_PLAIN && !k->negatable && !k->sub) {
		parser_error(p, word, "'%s%s' cannot follow '%s'", t->before, k->word,
			     p->form == FORM_NO ? "no" : "default");
		return NULL;
	}
	if (k->class == KEYWORD_REFUSED && p->form == FORM_PLAIN) {
		parser_error(p, word, "'%s%s'%s is refused: %s", t->before, k->word, t->after, k->text);
		return NULL;
	}
	if (k->class == KEYWORD_NOTICE) {
		parser_notice_keyword(p, t, k, word);
		return NULL;
	}
	return k->class == KEYWORD_WORKS ? k : NULL; /* `no` of what is refused: it is off */
}

static bool enough_arguments(struct parser *p, const struct keyword_table *t, const struct keyword *k,
			     const struct config_word *word, size_t count)
{
	if (count >= k->args_min)
		return true;
	if (k->usage)
		parser_error(p, word, "'%s%s'%s lacks an argument: %s%s %s", t->before, k->word, t->after, t->before,
			     k->word, k->usage);
	else
		parser_error(p, word, "'%s%s'%s lacks an argument", t->before, k->word, t->after);
	return false;
}

void statement_run(struct parser *p, const struct keyword_table *t, const struct config_word *words, size_t count)
{
	const struct keyword *k = keyword_find(t, words[0].text);

	if (!k) {
		unknown_keyword(p, t, &words[0]);
		return;
	}
	if (!admit(p, t, k, &words[0]))
		return;
	if (k->sub) {
		if (count < 2)
			parser_error(p, &words[0], "'%s' needs a word after it", k->word);
		else
			statement_run(p, k->sub, words + 1, count - 1);
		return;
	}
	if (!enough_arguments(p, t, k, &words[0], count - 1))
		return;
	if (k->args_max != KEYWORD_ANY && count - 1 > k->args_max) {
		parser_error(p, &words[1 + k->args_max], "unexpected '%s' after '%s%s'", words[1 + k->args_max].text,
			     t->before, k->word);
		return;
	}
	origin_note(p, t, k);
	k->parse(p, words + 1, count - 1);
}

void statement_options(struct parser *p, const struct keyword_table *t, const struct config_word *words, size_t count)
{
	size_t i = 0;

	while (i < count) {
		const struct keyword *k = keyword_find(t, words[i].text);
		size_t rest = count - i - 1, take;
		bool known = k;

		if (!k)
			k = unknown_keyword(p, t, &words[i]);
		take = !k ? 0 : k->args_max == KEYWORD_ANY ? k->args_min : k->args_max;
		if (take > rest)
			take = rest;
		if (known && admit(p, t, k, &words[i]) && enough_arguments(p, t, k, &words[i], rest)) {
			if (t == &keywords_server)
				origin_note(p, t, k);
			k->parse(p, &words[i + 1], take);
		}
		i += 1 + take;
		/* After a word that means nothing, what follows may be its arguments: one error is enough. */
		while (!k && i < count && !keyword_find(t, words[i].text))
			i++;
	}
}

/* "a, b or c": the words of an enumeration that work. */
static const char *working_words(const struct keyword_table *t, char *buf, size_t size)
{
	size_t i, used = 0;

	buf[0] = '\0';
	for (i = 0; i < t->count; i++) {
		if (t->items[i].class != KEYWORD_REFUSED && used < size)
			used += (size_t)snprintf(buf + used, size - used, "%s%s", used ? ", " : "", t->items[i].word);
	}
	return buf;
}

bool statement_choice(struct parser *p, const struct keyword_table *t, const struct config_word *word, int *ret)
{
	struct suggest suggest = { .word = word->text };
	const struct keyword *k = keyword_find(t, word->text);
	char list[256];

	if (k && k->class == KEYWORD_REFUSED) {
		parser_error(p, word, "'%s%s'%s is refused: %s", t->before, k->word, t->after, k->text);
		return false;
	}
	if (k) {
		if (k->class == KEYWORD_NOTICE)
			parser_notice_keyword(p, t, k, word);
		*ret = k->value;
		return true;
	}
	if (parser_suggests(p))
		keyword_suggest(t, 0, &suggest);
	working_words(t, list, sizeof(list));
	if (suggest.best)
		parser_error(p, word, "unknown %s '%s'; did you mean '%s'?", t->what, word->text, suggest.best);
	else
		parser_error(p, word, "unknown %s '%s'; it is one of: %s", t->what, word->text, list);
	return false;
}

bool statement_number(struct parser *p, const struct config_word *word, unsigned low, unsigned high,
		      const char *limit, unsigned *ret)
{
	if (value_number(word->text, low, high, ret))
		return true;
	parser_error(p, word, "'%s' is no number from %u to %u%s%s%s", word->text, low, high, limit ? " (" : "",
		     limit ? limit : "", limit ? ")" : "");
	return false;
}

bool statement_time(struct parser *p, const struct config_word *word, uint32_t *ret_ms)
{
	uint32_t ms;
	const char *why = value_time(word->text, &ms);

	if (why) {
		parser_error(p, word, "'%s': %s", word->text, why);
		return false;
	}
	if (ms > MODEL_TIME_MAX_MS) {
		parser_error(p, word, "'%s' is above the limit of 24h (MODEL_TIME_MAX_MS)", word->text);
		return false;
	}
	*ret_ms = ms;
	return true;
}

bool statement_name(struct parser *p, const struct config_word *word, const char *what)
{
	size_t length = strlen(word->text), i;

	if (!length) {
		parser_error(p, word, "the name of a %s cannot be empty", what);
		return false;
	}
	if (length > MODEL_NAME_MAX) {
		parser_error(p, word, "the name of a %s has at most %d bytes (MODEL_NAME_MAX); this one has %zu", what,
			     MODEL_NAME_MAX, length);
		return false;
	}
	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)word->text[i];

		if (isascii(c) && (isalnum(c) || strchr("-_.:", c)))
			continue;
		parser_error(p, word, "the name '%s' may hold letters, digits and - _ . : only", word->text);
		return false;
	}
	return true;
}
