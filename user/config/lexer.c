/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lexer: a cursor over one line, and the buffer its words are written to. Stricter than HAProxy in three things,
 * as docs/configuration.md says: an unset variable without default, an unknown escape and a control character are
 * errors instead of being taken for something else.
 */
#include "config/lexer.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VARIABLE_NAME_MAX = 128, VARIABLE_DEFAULT_MAX = 1024 };

struct lexer {
	const char *line;
	size_t length, at;
	const struct lexer_context *context;
	struct lexer_line *out;
	struct lexer_error *error;
	bool in_word;
	unsigned column;     /* of the word being read */
	size_t start;        /* of its text in out->text */
};

static int __attribute__((format(printf, 3, 4))) fail(struct lexer *l, size_t at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->error->text, sizeof(l->error->text), format, args);
	va_end(args);
	l->error->column = (unsigned)at + 1;
	return -EINVAL;
}

static int begin_word(struct lexer *l)
{
	if (l->in_word)
		return 0;
	if (l->out->count == CONFIG_WORDS_MAX)
		return fail(l, l->at, "more than %d words in a line (CONFIG_WORDS_MAX)", CONFIG_WORDS_MAX);
	l->in_word = true;
	l->column = (unsigned)l->at + 1;
	l->start = l->out->used;
	return 0;
}

static void end_word(struct lexer *l)
{
	if (!l->in_word)
		return;
	l->out->text[l->out->used++] = '\0';
	l->out->words[l->out->count++] = (struct config_word){ &l->out->text[l->start], l->column };
	l->in_word = false;
}

/* Appends a byte to the word. The buffer has room for CONFIG_WORDS_MAX terminators beside CONFIG_LINE_MAX bytes. */
static int put(struct lexer *l, char c)
{
	int r;

	r = begin_word(l); /* a variable's [*] may have ended the word inside the quotes */
	if (r)
		return r;
	if (l->out->used - l->out->count >= CONFIG_LINE_MAX)
		return fail(l, l->at,
			    "the line is longer than %d bytes once its variables are expanded (CONFIG_LINE_MAX)",
			    CONFIG_LINE_MAX);
	l->out->text[l->out->used++] = c;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* At a backslash: reads the escape and leaves the cursor behind it. */
static int read_escape(struct lexer *l)
{
	size_t begin = l->at;
	int high, low;
	char c;

	if (begin + 1 >= l->length)
		return fail(l, begin,
			    "a backslash at the end of the line escapes nothing (there are no continued lines)");
	c = l->line[begin + 1];
	l->at = begin + 2;
	switch (c) {
	case 'n':
		return put(l, '\n');
	case 'r':
		return put(l, '\r');
	case 't':
		return put(l, '\t');
	case ' ':
	case '\t':
	case '#':
	case '\\':
	case '\'':
	case '"':
	case '$':
		return put(l, c);
	case 'x':
		high = begin + 2 < l->length ? hex_digit(l->line[begin + 2]) : -1;
		low = begin + 3 < l->length ? hex_digit(l->line[begin + 3]) : -1;
		if (high < 0 || low < 0)
			return fail(l, begin, "'\\x' needs two hexadecimal digits, as in \\x20");
		if (!high && !low)
			return fail(l, begin, "'\\x00' is refused: a word cannot hold a NUL byte");
		l->at = begin + 4;
		return put(l, (char)(high << 4 | low));
	}
	if (isgraph((unsigned char)c))
		return fail(l, begin, "unknown escape '\\%c'; write '\\\\' for a backslash, or use single quotes", c);
	return fail(l, begin, "unknown escape; write '\\\\' for a backslash, or use single quotes");
}

static bool is_name_byte(char c, bool first)
{
	return c == '_' || isalpha((unsigned char)c) || (!first && isdigit((unsigned char)c));
}

static const char *pseudo_variable(const struct lexer_context *c, const char *name, char number[static 16])
{
	if (!strcmp(name, ".FILE"))
		return c->file;
	if (!strcmp(name, ".SECTION"))
		return c->section;
	if (!strcmp(name, ".LINE")) {
		snprintf(number, 16, "%u", c->line);
		return number;
	}
	return NULL;
}

struct variable {
	char name[VARIABLE_NAME_MAX + 1];
	char fallback[VARIABLE_DEFAULT_MAX + 1];
	bool has_fallback, several;
};

/* Reads up to `end` into `to`; false when there is none or it does not fit. */
static bool read_until(struct lexer *l, char end, char *to, size_t size)
{
	const char *stop = memchr(&l->line[l->at], end, l->length - l->at);
	size_t length = stop ? (size_t)(stop - &l->line[l->at]) : 0;

	if (!stop || length >= size || memchr(&l->line[l->at], '\0', length))
		return false;
	memcpy(to, &l->line[l->at], length);
	to[length] = '\0';
	l->at += length + 1;
	return true;
}

/* At a dollar sign inside double quotes: reads NAME, {NAME}, {NAME[*]}, {NAME-default}. */
static int read_variable(struct lexer *l, struct variable *ret)
{
	size_t begin = l->at++, length = 0;
	bool braced = l->at < l->length && l->line[l->at] == '{';

	l->at += braced;
	while (l->at < l->length && (is_name_byte(l->line[l->at], length == 0) || (l->line[l->at] == '.' && !length))) {
		if (length == VARIABLE_NAME_MAX)
			return fail(l, begin, "the name of a variable is longer than %d bytes", VARIABLE_NAME_MAX);
		ret->name[length++] = l->line[l->at++];
	}
	ret->name[length] = '\0';
	if (!length)
		return fail(l, begin, "'$' must be followed by a variable's name; write '\\$' for a dollar sign");
	if (!braced)
		return 0;
	if (l->length - l->at >= 3 && !memcmp(&l->line[l->at], "[*]", 3)) {
		ret->several = true;
		l->at += 3;
	}
	if (l->at < l->length && l->line[l->at] == '-') {
		l->at++;
		ret->has_fallback = true;
		if (!read_until(l, '}', ret->fallback, sizeof(ret->fallback)))
			return fail(l, begin, "the default of '${%s-...}' does not end in '}' within %d bytes",
				    ret->name, VARIABLE_DEFAULT_MAX);
		return 0;
	}
	if (l->at >= l->length || l->line[l->at] != '}')
		return fail(l, begin, "'${%s' lacks its closing '}'", ret->name);
	l->at++;
	return 0;
}

static int expand_variable(struct lexer *l)
{
	struct variable v = {};
	size_t begin = l->at;
	char number[16];
	const char *value;
	int r;

	r = read_variable(l, &v);
	if (r)
		return r;
	value = v.name[0] == '.' ? pseudo_variable(l->context, v.name, number) : getenv(v.name);
	if (!value && v.has_fallback)
		value = v.fallback;
	if (!value)
		return fail(l, begin, "the environment variable '%s' is not set; a default is written ${%s-value}",
			    v.name, v.name);
	for (; *value; value++) {
		if (v.several && (*value == ' ' || *value == '\t')) {
			if (l->in_word && l->out->used > l->start)
				end_word(l);
			continue;
		}
		r = put(l, *value);
		if (r)
			return r;
	}
	if (v.several && l->in_word && l->out->used == l->start)
		l->in_word = false; /* an empty list is no word at all */
	return 0;
}

/* At an opening double quote: reads up to and with the closing one. */
static int read_weak(struct lexer *l)
{
	size_t begin = l->at++;
	int r;

	while (l->at < l->length) {
		char c = l->line[l->at];

		if (c == '"') {
			l->at++;
			return 0;
		}
		if (c == '\\')
			r = read_escape(l);
		else if (c == '$')
			r = expand_variable(l);
		else if (!(r = put(l, c)))
			l->at++;
		if (r)
			return r;
	}
	return fail(l, begin, "this '\"' is never closed");
}

static int read_strong(struct lexer *l)
{
	size_t begin = l->at++;
	int r;

	while (l->at < l->length && l->line[l->at] != '\'') {
		r = put(l, l->line[l->at]);
		if (r)
			return r;
		l->at++;
	}
	if (l->at == l->length)
		return fail(l, begin, "this single quote is never closed");
	l->at++;
	return 0;
}

/* Reads what stands at the cursor, a byte of a word or something quoted. */
static int read_piece(struct lexer *l)
{
	char c = l->line[l->at];
	int r;

	r = begin_word(l);
	if (r)
		return r;
	switch (c) {
	case '"':
		return read_weak(l);
	case '\'':
		return read_strong(l);
	case '\\':
		return read_escape(l);
	}
	r = put(l, c);
	if (!r)
		l->at++;
	return r;
}

/* A line must be text: a NUL or another control character in it is a damaged file, not a word. */
static int check_bytes(struct lexer *l)
{
	size_t i;

	if (l->length > CONFIG_LINE_MAX)
		return fail(l, CONFIG_LINE_MAX, "the line is longer than %d bytes (CONFIG_LINE_MAX)", CONFIG_LINE_MAX);
	for (i = 0; i < l->length; i++) {
		unsigned char c = (unsigned char)l->line[i];

		if (c == '\r' && i + 1 == l->length)
			l->length--; /* a file with DOS line ends */
		else if (c == '\0')
			return fail(l, i, "a NUL byte; this is not a text file");
		else if ((c < ' ' && c != '\t') || c == 0x7f)
			return fail(l, i, "control character 0x%02x; write it as \\x%02x if it is meant", c, c);
	}
	return 0;
}

int lexer_split(const char *line, size_t length, const struct lexer_context *context, struct lexer_line *ret,
		struct lexer_error *ret_error)
{
	struct lexer l = { .line = line, .length = length, .context = context, .out = ret, .error = ret_error };
	int r;

	ret->count = 0;
	ret->used = 0;
	r = check_bytes(&l);
	if (r)
		return r;
	while (l.at < l.length && l.line[l.at] != '#') {
		if (l.line[l.at] == ' ' || l.line[l.at] == '\t') {
			end_word(&l);
			l.at++;
			continue;
		}
		r = read_piece(&l);
		if (r)
			return r;
	}
	end_word(&l);
	return 0;
}
