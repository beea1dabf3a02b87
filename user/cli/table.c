/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "cli/units.h"

struct cell {
	char *text;
	enum tone tone;
};

struct table {
	const struct table_column *columns;
	size_t count;
	bool failed;
	struct vec(struct cell) cells;
};

struct table *table_new(const struct table_column *columns, size_t count)
{
	struct table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->columns = columns;
	t->count = count;
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->cells.count; i++)
		free(t->cells.items[i].text);
	vec_done(&t->cells);
	free(t);
}

static bool is_printable(unsigned char c)
{
	return c >= 0x20 && c != 0x7f;
}

/* In place: control characters, and C1 controls in their UTF-8 form, become '?'. */
static void make_safe(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = '?';
		else if (!is_printable(*c))
			*c = '?';
	}
}

void print_safe(FILE *to, const char *text)
{
	char *safe = strdup(text);

	if (!safe)
		return;
	make_safe(safe);
	fputs(safe, to);
	free(safe);
}

static const char *tone_code(enum tone tone)
{
	static const char *const codes[] = {
		[TONE_PLAIN] = "", [TONE_GOOD] = "\033[32m", [TONE_WARN] = "\033[33m", [TONE_BAD] = "\033[31m",
	};

	return codes[tone];
}

void print_toned(FILE *to, bool colour, enum tone tone, const char *text)
{
	colour = colour && tone != TONE_PLAIN;
	if (colour)
		fputs(tone_code(tone), to);
	print_safe(to, text);
	if (colour)
		fputs("\033[0m", to);
}

void table_cell(struct table *t, enum tone tone, const char *format, ...)
{
	struct cell *c;
	va_list args;

	if (!t)
		return;
	c = vec_push(&t->cells);
	if (!c) {
		t->failed = true;
		return;
	}
	c->tone = tone;
	va_start(args, format);
	if (vasprintf(&c->text, format, args) < 0) {
		c->text = NULL;
		t->failed = true;
	}
	va_end(args);
	if (c->text)
		make_safe(c->text);
}

void table_member(struct table *t, enum tone tone, const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);

	if (json_is_string(v))
		table_cell(t, tone, "%s", *json_string_value(v) ? json_string_value(v) : "-");
	else if (json_is_integer(v))
		table_cell(t, tone, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_boolean(v))
		table_cell(t, tone, "%s", json_is_true(v) ? "yes" : "no");
	else
		table_cell(t, TONE_PLAIN, "-");
}

void table_bytes(struct table *t, const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	char text[UNITS_TEXT_MAX];

	if (json_is_integer(v))
		table_cell(t, TONE_PLAIN, "%s", units_bytes(json_integer_value(v), text));
	else
		table_cell(t, TONE_PLAIN, "-");
}

void table_duration(struct table *t, const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	char text[UNITS_TEXT_MAX];

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		table_cell(t, TONE_PLAIN, "%s", units_duration(json_integer_value(v), text));
	else
		table_cell(t, TONE_PLAIN, "-");
}

void table_age(struct table *t, const json_t *object, const char *key, json_int_t now_ms)
{
	json_int_t at = json_integer_value(json_object_get(object, key));
	char text[UNITS_TEXT_MAX];

	if (at <= 0)
		table_cell(t, TONE_PLAIN, "-");
	else /* a clock that was set back makes no negative ages */
		table_cell(t, TONE_PLAIN, "%s", units_duration(at < now_ms ? now_ms - at : 0, text));
}

/* Columns a text takes on the screen, near enough: its UTF-8 characters. */
static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void print_cell(const struct cell *c, enum table_align align, size_t width, bool last, bool colour, FILE *to)
{
	int pad = width - width_of(c->text);

	if (align == TABLE_RIGHT)
		fprintf(to, "%*s", pad, "");
	print_toned(to, colour, c->tone, c->text);
	if (last)
		fputc('\n', to);
	else
		fprintf(to, "%*s", align == TABLE_LEFT ? pad + 2 : 2, "");
}

static void print_row(const struct table *t, const struct cell *row, const size_t *widths, unsigned indent, bool colour,
		      FILE *to)
{
	fprintf(to, "%*s", (int)indent, "");
	for (size_t i = 0; i < t->count; i++)
		print_cell(&row[i], t->columns[i].align, widths[i], i + 1 == t->count, colour, to);
}

int table_print(const struct table *t, unsigned indent, bool colour, FILE *to)
{
	struct cell *header;
	size_t *widths;

	if (!t || t->failed)
		return -ENOMEM;
	widths = calloc(t->count, sizeof(*widths));
	header = calloc(t->count, sizeof(*header));
	if (!widths || !header) {
		free(widths);
		free(header);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->count; i++) {
		header[i].text = (char *)t->columns[i].title;
		widths[i] = header[i].text ? width_of(header[i].text) : 0;
	}
	for (size_t i = 0; i < t->cells.count; i++) {
		size_t width = width_of(t->cells.items[i].text);

		if (width > widths[i % t->count])
			widths[i % t->count] = width;
	}
	if (header[0].text)
		print_row(t, header, widths, indent, false, to);
	for (size_t i = 0; i + t->count <= t->cells.count; i += t->count)
		print_row(t, &t->cells.items[i], widths, indent, colour, to);
	free(widths);
	free(header);
	return 0;
}
