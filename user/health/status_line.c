/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 9112 section 4: status-line = HTTP-version SP status-code SP [ reason-phrase ] CRLF. Called by attempt.c.
 * As HAProxy does, a bare LF ends the line too and the blank before an empty reason may be missing.
 */
#include "health/status_line.h"

#include <stdbool.h>
#include <string.h>

/* The fixed part. The minor version and the code stand for any digits, the code's first for one that is not 0. */
static const char pattern[] = "HTTP/1.1 200";

enum { PATTERN_LENGTH = sizeof(pattern) - 1, CODE_AT = PATTERN_LENGTH - 3, VERSION_MINOR_AT = 7 };

void status_line_init(struct status_line *l)
{
	memset(l, 0, sizeof(*l));
}

static bool is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool fits(size_t at, unsigned char c)
{
	if (at == VERSION_MINOR_AT || at > CODE_AT)
		return is_digit(c);
	if (at == CODE_AT)
		return is_digit(c) && c != '0';
	return c == (unsigned char)pattern[at];
}

static void take_reason(struct status_line *l, unsigned char c)
{
	if (c == '\r' || l->reason_length >= STATUS_REASON_MAX - 1)
		return;
	if (c == ' ' && !l->reason_length)
		return;
	l->reason[l->reason_length++] = c >= ' ' && c < 0x7f ? (char)c : '?';
}

static enum status_line_state take(struct status_line *l, unsigned char c)
{
	size_t at = l->length++;

	if (at < PATTERN_LENGTH) {
		if (!fits(at, c))
			return STATUS_LINE_BAD;
		if (at >= CODE_AT)
			l->code = (uint16_t)(l->code * 10 + (c - '0'));
		return STATUS_LINE_MORE;
	}
	if (c == '\n')
		return STATUS_LINE_DONE;
	if (at == PATTERN_LENGTH && c != ' ' && c != '\r')
		return STATUS_LINE_BAD;
	if (l->length >= STATUS_LINE_MAX)
		return STATUS_LINE_LONG;
	take_reason(l, c);
	return STATUS_LINE_MORE;
}

enum status_line_state status_line_feed(struct status_line *l, const void *bytes, size_t count)
{
	const unsigned char *in = bytes;
	size_t i;

	for (i = 0; i < count && l->state == STATUS_LINE_MORE; i++)
		l->state = take(l, in[i]);
	return l->state;
}
