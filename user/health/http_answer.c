/* SPDX-License-Identifier: BSD-2-Clause */
#include "health/http_answer.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "health/status_line.h"

/* A line of a buffer, without its end. NULL: the end is not there. */
static const char *next_line(const char **at, const char *end, size_t *ret_length)
{
	const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));

	if (!newline)
		return NULL;
	*at = newline + 1;
	*ret_length = (size_t)(newline - line);
	if (*ret_length && line[*ret_length - 1] == '\r')
		--*ret_length;
	return line;
}

struct framing {
	bool chunked, has_length;
	size_t length;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Decimal digits and nothing else; false beyond any answer that is looked at. */
static bool read_length(const char *text, size_t length, size_t *ret)
{
	size_t value = 0;

	if (!length || length > 12)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (size_t)(text[i] - '0');
	}
	*ret = value;
	return true;
}

/* One header line. False: it says what can't be. */
static bool read_header(const char *line, size_t length, struct framing *f)
{
	const char *colon = memchr(line, ':', length), *value = colon ? colon + 1 : NULL;
	size_t name, rest, said;

	if (!colon)
		return true;
	name = (size_t)(colon - line);
	rest = length - name - 1;
	while (rest && is_blank(*value)) {
		value++;
		rest--;
	}
	while (rest && is_blank(value[rest - 1]))
		rest--;
	if (name == 14 && !strncasecmp(line, "Content-Length", 14)) {
		if (!read_length(value, rest, &said) || (f->has_length && said != f->length))
			return false;
		f->has_length = true;
		f->length = said;
	}
	/* Of several codings the last must be `chunked`; none other is offered to the server. */
	if (name == 17 && !strncasecmp(line, "Transfer-Encoding", 17))
		f->chunked = rest >= 7 && !strncasecmp(value + rest - 7, "chunked", 7);
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A chunk's size, in front of extensions. SIZE_MAX: none. */
static size_t chunk_size(const char *line, size_t length)
{
	size_t size = 0, i;

	for (i = 0; i < length && hex(line[i]) >= 0; i++) {
		if (i == 8)
			return SIZE_MAX;
		size = size << 4 | (size_t)hex(line[i]);
	}
	return i && (i == length || line[i] == ';' || is_blank(line[i])) ? size : SIZE_MAX;
}

static void read_chunks(const char *at, const char *end, char *body, struct http_answer *a)
{
	for (;;) {
		size_t length, size, there;
		const char *line = next_line(&at, end, &length);

		if (!line)
			return;
		size = chunk_size(line, length);
		if (size == SIZE_MAX) {
			a->bad = true;
			return;
		}
		if (!size) { /* trailers, if any, are nobody's matter; an empty line ends them */
			while ((line = next_line(&at, end, &length)) && length)
				;
			a->complete = line;
			return;
		}
		there = (size_t)(end - at) < size ? (size_t)(end - at) : size;
		memcpy(body + a->body_length, at, there);
		a->body_length += there;
		at += there;
		if (there < size || !next_line(&at, end, &length))
			return;
		if (length) {
			a->bad = true;
			return;
		}
	}
}

static void read_body(const char *at, const char *end, bool to_head, const struct framing *f, char *body,
		      struct http_answer *a)
{
	size_t there = (size_t)(end - at);

	if (to_head || a->status == 204 || a->status == 304 || a->status < 200) {
		a->complete = true;
		return;
	}
	if (f->chunked) {
		read_chunks(at, end, body, a);
		return;
	}
	if (f->has_length && there >= f->length) {
		there = f->length;
		a->complete = true;
	}
	memcpy(body, at, there);
	a->body_length = there;
}

void http_answer_read(const char *bytes, size_t count, bool to_head, char *body, struct http_answer *ret)
{
	const char *at = bytes, *end = bytes + count, *line;
	struct framing f = {};
	struct status_line status;
	size_t length;

	*ret = (struct http_answer){};
	status_line_init(&status);
	switch (status_line_feed(&status, bytes, count)) {
	case STATUS_LINE_MORE:
		return;
	case STATUS_LINE_BAD:
	case STATUS_LINE_LONG:
		ret->bad = true;
		return;
	case STATUS_LINE_DONE:
		break;
	}
	ret->status = status.code;
	snprintf(ret->reason, sizeof(ret->reason), "%s", status.reason);
	next_line(&at, end, &length);
	while ((line = next_line(&at, end, &length))) {
		if (length && read_header(line, length, &f))
			continue;
		ret->bad = length;
		ret->head = !length;
		break;
	}
	if (ret->head)
		read_body(at, end, to_head, &f, body, ret);
}
