/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/log_text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/log.h"

static const char dots[] = "...";

enum { DOTS = sizeof(dots) - 1, ESCAPED_MAX = 4 };

/*
 * Bytes of the character at text that may stand in a line as it is; 0 when its first byte must be escaped. Well-formed
 * UTF-8 by table 3-7 of the Unicode standard; C1 control characters (U+0080 .. U+009F) steer terminals too. The end of
 * the text is a NUL, which no sequence goes on with.
 */
static size_t printable(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (s[0] >= 0x20 && s[0] < 0x7f)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	length = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xc2 || s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return length;
}

/* The character at *text as it is written, which is moved past it. quoted: within quotes. */
static size_t escape(char ret[static ESCAPED_MAX + 1], const char **text, bool quoted)
{
	const char *s = *text;
	size_t length = printable(s);
	char shorthand = '\0';

	if (quoted)
		shorthand = *s == '"' || *s == '\\' ? *s : *s == '\n' ? 'n' : *s == '\t' ? 't' : '\0';
	if (shorthand) {
		ret[0] = '\\';
		ret[1] = shorthand;
		*text += 1;
		return 2;
	}
	if (length) {
		memcpy(ret, s, length);
		*text += length;
		return length;
	}
	snprintf(ret, ESCAPED_MAX + 1, "\\x%02x", (unsigned char)*s);
	*text += 1;
	return ESCAPED_MAX;
}

/* Escapes text into room bytes; what does not fit ends in dots. Returns what was written, without a NUL. */
static size_t escape_all(char *to, size_t room, const char *text, bool quoted, bool was_cut)
{
	size_t length = 0, kept = 0; /* kept: where the dots would go */

	while (*text) {
		char piece[ESCAPED_MAX + 1];
		size_t n = escape(piece, &text, quoted);

		if (length + n > room) {
			was_cut = true;
			break;
		}
		memcpy(to + length, piece, n);
		length += n;
		if (length + DOTS <= room)
			kept = length;
	}
	if (!was_cut)
		return length;
	memcpy(to + kept, dots, DOTS);
	return kept + DOTS;
}

size_t log_text_line(char *line, size_t size, const char *text, bool was_cut)
{
	size_t length = escape_all(line, size - 1, text, false, was_cut);

	line[length] = '\0';
	return length;
}

size_t log_text_mark_cut(char *line, size_t length)
{
	size_t at = length > DOTS ? length - DOTS : 0;

	/* The dots must not stand behind half a character. */
	while (at > 0 && ((unsigned char)line[at] & 0xc0) == 0x80)
		at--;
	memcpy(line + at, dots, DOTS);
	return at + DOTS;
}

const char *log_quote(char *buf, size_t size, const char *value)
{
	size_t length;

	assert(size >= 8);
	length = escape_all(buf + 1, size - 3, value ? value : "", true, false);
	buf[0] = '"';
	buf[length + 1] = '"';
	buf[length + 2] = '\0';
	return buf;
}
