/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `explain config`: where the words came from that stand together on one line, as comments below it. Called by
 * render_config.c; prints nothing for `show config`, whose reply has no "origins".
 */
#include <string.h>

#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render_config.h"
#include "cli/table.h"

enum { WORDS_MAX = 64 };

struct word {
	const char *text;
	const json_t *place; /* NULL = a default */
	bool told;
};

static bool same_place(const json_t *a, const json_t *b)
{
	if (!a || !b)
		return a == b;
	return field_number(a, "line") == field_number(b, "line") && field_is(a, "file", field_text(b, "file"));
}

static void print_place(FILE *to, const json_t *place)
{
	if (!place) {
		fputs("default", to);
		return;
	}
	print_safe(to, field_text(place, "file"));
	fprintf(to, ":%" JSON_INTEGER_FORMAT, field_number(place, "line"));
}

/* "    # lb.cfg:4: check inter rise; default: fastinter fall" */
static void print_words(FILE *to, struct word *words, size_t count)
{
	bool first = true;

	fputs("        # ", to);
	for (size_t i = 0; i < count; i++) {
		if (words[i].told)
			continue;
		fputs(first ? "" : "; ", to);
		first = false;
		print_place(to, words[i].place);
		fputc(':', to);
		for (size_t j = i; j < count; j++) {
			if (words[j].told || !same_place(words[i].place, words[j].place))
				continue;
			fputc(' ', to);
			print_safe(to, words[j].text);
			words[j].told = true;
		}
	}
	fputc('\n', to);
}

static bool is_among(const char *text, const struct word *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i].text, text) == 0)
			return true;
	return false;
}

void explain_server_line(FILE *to, const json_t *server)
{
	/* What the line says in any case; the rest is on it only because it was written. */
	static const char *const always[] = { "weight", "check", "inter", "fastinter", "downinter", "rise", "fall" };
	const size_t shown = field_true(server, "check") ? array_size(always) : 1;
	const json_t *origins = json_object_get(server, "origins");
	struct word words[WORDS_MAX];
	size_t count = 0;
	const char *key;
	json_t *value;

	if (!json_is_object(origins))
		return;
	for (; count < shown; count++)
		words[count] = (struct word){ .text = always[count], .place = json_object_get(origins, always[count]) };
	json_object_foreach((json_t *)origins, key, value)
		if (count < WORDS_MAX && !is_among(key, words, count))
			words[count++] = (struct word){ .text = key, .place = value };
	print_words(to, words, count);
}

static bool is_about_check(const char *words)
{
	static const char *const begins[] = { "http-check ", "tcp-check ", "external-check " };
	const size_t length = strlen(words);

	for (size_t i = 0; i < array_size(begins); i++)
		if (strncmp(words, begins[i], strlen(begins[i])) == 0)
			return true;
	return strcmp(words, "option httpchk") == 0 ||
	       (strncmp(words, "option ", 7) == 0 && length > 6 && strcmp(words + length - 6, "-check") == 0);
}

void explain_check_lines(FILE *to, const json_t *backend)
{
	const json_t *origins = json_object_get(backend, "origins");
	struct word words[WORDS_MAX];
	size_t count = 0;
	const char *key;
	json_t *value;

	if (!json_is_object(origins))
		return;
	json_object_foreach((json_t *)origins, key, value)
		if (count < WORDS_MAX && is_about_check(key))
			words[count++] = (struct word){ .text = key, .place = value };
	if (!count)
		words[count++] = (struct word){ .text = "check by a TCP connection" };
	print_words(to, words, count);
}
