/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/suggest.h"

enum { CONTROL_VERB_WORD_MAX = 32 };

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* "v1", "v27": not a verb, whatever verbs there will be. */
static bool is_version(const char *word)
{
	return word[0] == 'v' && word[1] && strspn(word + 1, "0123456789") == strlen(word + 1);
}

/* Names are printable ASCII, as HAProxy's are; anything else is a mistake or an attack, and would spoil the JSON. */
static int check_bytes(const char *line, size_t length, char *error)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = line[i];

		if ((c >= 0x20 && c < 0x7f) || c == '\t')
			continue;
		snprintf(error, CONTROL_ERROR_MAX,
			 "byte 0x%02x at column %zu: a request is one line of printable ASCII", c, i + 1);
		return -EINVAL;
	}
	return 0;
}

int control_words_split(char *line, size_t length, struct control_words *ret, char error[static CONTROL_ERROR_MAX])
{
	struct control_words w = {};
	bool versioned = false;
	size_t at = 0;

	if (check_bytes(line, length, error) < 0)
		return -EINVAL;
	line[length] = '\0';
	while (true) {
		char *word;

		while (at < length && is_blank(line[at]))
			at++;
		if (at == length)
			break;
		word = line + at;
		while (at < length && !is_blank(line[at]))
			at++;
		if (at < length)
			line[at++] = '\0';
		if (w.count == 0 && !versioned && is_version(word)) {
			if (strcmp(word, "v1") != 0) {
				snprintf(error, CONTROL_ERROR_MAX,
					 "protocol %.16s is not spoken here; this agent speaks v%d", word,
					 CONTROL_PROTOCOL);
				return -EINVAL;
			}
			versioned = true;
			continue;
		}
		if (w.count == CONTROL_WORDS_MAX) {
			snprintf(error, CONTROL_ERROR_MAX, "more than %d words", CONTROL_WORDS_MAX);
			return -EINVAL;
		}
		w.word[w.count++] = word;
	}
	if (w.count == 0) {
		snprintf(error, CONTROL_ERROR_MAX, "an empty request; try `status`");
		return -EINVAL;
	}
	*ret = w;
	return 0;
}

/* How many words of the request are the verb's name, 0 when they differ; *ret_partial: how many until they do. */
static unsigned match_one(const struct control_words *w, const char *name, unsigned *ret_partial)
{
	unsigned n = 0;

	while (*name) {
		size_t length = strcspn(name, " ");

		if (n == w->count || strlen(w->word[n]) != length || memcmp(w->word[n], name, length) != 0) {
			*ret_partial = n;
			return 0;
		}
		n++;
		name += length;
		name += *name == ' ';
	}
	*ret_partial = n;
	return n;
}

static void append(char *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(char *error, const char *format, ...)
{
	size_t used = strlen(error);
	va_list args;

	va_start(args, format);
	vsnprintf(error + used, CONTROL_ERROR_MAX - used, format, args);
	va_end(args);
}

/* Of a verb's name the word with this number, as text of its own, and where it ends in the name; 0: it has not so many. */
static size_t nth_word(const char *name, unsigned n, char ret[static CONTROL_VERB_WORD_MAX])
{
	const char *at = name;
	size_t length;

	while (n--) {
		at += strcspn(at, " ");
		if (!*at++)
			return 0;
	}
	length = strcspn(at, " ");
	snprintf(ret, CONTROL_VERB_WORD_MAX, "%.*s", (int)length, at);
	return at - name + length;
}

/*
 * What the request's word with the number `from` is like, of the verbs that share all words before it: their words in its
 * place, or those behind it (`drain` for `server drain`). Appends the verb's name up to there; false: it is like none.
 */
static bool append_meant(const struct control_words *w, unsigned from, const struct control_verb *verbs, size_t count,
			 char *error)
{
	char word[CONTROL_VERB_WORD_MAX];
	struct suggest s = { .word = w->word[from] };
	unsigned partial;
	size_t length = 0, end;

	for (unsigned n = from; !s.best && n < CONTROL_WORDS_MAX; n++)
		for (size_t i = 0; i < count; i++) {
			const struct suggest before = s;

			match_one(w, verbs[i].words, &partial);
			end = partial < from ? 0 : nth_word(verbs[i].words, n, word);
			if (!end)
				continue;
			suggest_offer(&s, word);
			if (s.best == before.best)
				continue;
			s.best = verbs[i].words;
			length = end;
		}
	if (s.best)
		append(error, "`; did you mean `%.*s`?", (int)length, s.best);
	return s.best;
}

/* Names the verb that was meant; else those that share the most words with the request: all when the first word is wrong. */
static void explain_unknown(const struct control_words *w, const struct control_verb *verbs, size_t count, char *error)
{
	const char *separator = "";
	unsigned best = 0, partial;

	for (size_t i = 0; i < count; i++) {
		match_one(w, verbs[i].words, &partial);
		if (partial > best)
			best = partial;
	}
	error[0] = '\0';
	append(error, best < w->count ? "unknown command `" : "incomplete command `");
	for (unsigned i = 0; i < w->count && i <= best; i++)
		append(error, "%s%.64s", i ? " " : "", w->word[i]);
	if (best < w->count && append_meant(w, best, verbs, count, error))
		return;
	append(error, "`; there is: ");
	for (size_t i = 0; i < count; i++) {
		match_one(w, verbs[i].words, &partial);
		if (partial < best)
			continue;
		append(error, "%s%s", separator, verbs[i].words);
		separator = ", ";
	}
}

const struct control_verb *control_words_match(const struct control_words *w, const struct control_verb *verbs,
					       size_t count, unsigned *ret_used, char error[static CONTROL_ERROR_MAX])
{
	for (size_t i = 0; i < count; i++) {
		const struct control_verb *v = &verbs[i];
		unsigned partial, used = match_one(w, v->words, &partial);

		if (!used)
			continue;
		if (w->count - used < v->args_min || w->count - used > v->args_max) {
			snprintf(error, CONTROL_ERROR_MAX, "usage: %s%s%s", v->words, *v->arguments ? " " : "",
				 v->arguments);
			return NULL;
		}
		*ret_used = used;
		return v;
	}
	explain_unknown(w, verbs, count, error);
	return NULL;
}
