/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/text.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 4096, DIGITS_MAX = 20 };

void text_done(struct text *t)
{
	free(t->data);
	*t = (struct text){};
}

char *text_reserve(struct text *t, size_t more)
{
	size_t wanted = t->capacity ? t->capacity : FIRST_CAPACITY;
	char *grown;

	if (more <= t->capacity - t->length)
		return t->data + t->length;
	while (wanted - t->length < more)
		wanted *= 2;
	grown = realloc(t->data, wanted);
	if (!grown) {
		t->failed = true;
		return NULL;
	}
	t->data = grown;
	t->capacity = wanted;
	return t->data + t->length;
}

void text_puts(struct text *t, const char *string)
{
	text_add(t, string, strlen(string));
}

/* printf is the larger part of a scrape's time otherwise. */
void text_u64(struct text *t, uint64_t value)
{
	char digits[DIGITS_MAX], *at = digits + sizeof(digits);

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	text_add(t, at, (size_t)(digits + sizeof(digits) - at));
}

void text_i64(struct text *t, int64_t value)
{
	if (value < 0)
		text_lit(t, "-");
	text_u64(t, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void text_decimal(struct text *t, uint64_t value, unsigned digits)
{
	char fraction[DIGITS_MAX];
	uint64_t scale = 1, rest;
	unsigned length = digits;

	for (unsigned i = 0; i < digits; i++)
		scale *= 10;
	text_u64(t, value / scale);
	rest = value % scale;
	if (!rest)
		return;
	for (unsigned i = digits; i-- > 0; rest /= 10)
		fraction[i] = (char)('0' + rest % 10);
	while (fraction[length - 1] == '0')
		length--;
	text_lit(t, ".");
	text_add(t, fraction, length);
}

void text_ratio(struct text *t, uint64_t part, uint64_t whole)
{
	text_decimal(t, (uint64_t)((double)part / (double)whole * 1e6 + 0.5), 6);
}

/*
 * Length of the UTF-8 sequence that begins here; 0 = none. Overlong forms, surrogates and what is above U+10FFFF too.
 */
static unsigned utf8_length(const unsigned char *s)
{
	unsigned length = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 :
			  s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	for (unsigned i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

void text_label(struct text *t, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	unsigned length;

	for (; *s; s += length ? length : 1) {
		length = utf8_length(s);
		if (*s == '\n')
			text_lit(t, "\\n");
		else if (*s == '\\' || *s == '"')
			text_add(t, (char[]){ '\\', (char)*s }, 2);
		else if (length)
			text_add(t, (const char *)s, length);
		else
			text_lit(t, "?");
	}
}

static void json_escape(struct text *t, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";

	text_lit(t, "\\u00");
	text_add(t, (char[]){ hex[c >> 4], hex[c & 15] }, 2);
}

void text_json(struct text *t, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	unsigned length;

	text_lit(t, "\"");
	for (; *s; s += length ? length : 1) {
		length = utf8_length(s);
		if (*s == '\\' || *s == '"')
			text_add(t, (char[]){ '\\', (char)*s }, 2);
		else if (*s < 0x20 || *s == 0x7f)
			json_escape(t, *s);
		else if (length)
			text_add(t, (const char *)s, length);
		else
			text_lit(t, "?");
	}
	text_lit(t, "\"");
}
