/* SPDX-License-Identifier: BSD-2-Clause */
#include "web/request.h"

#include <string.h>
#include <strings.h>

/* What may stand in a method or a field's name (RFC 9110, token). */
static bool is_token(const char *s, size_t length)
{
	static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return length && strspn(s, token) >= length;
}

size_t web_request_length(const char *data, size_t length)
{
	const char *at = data, *end = data + length;

	/* A lone LF ends a line too (RFC 9112, 2.2): people type requests into nc. */
	while ((at = memchr(at, '\n', (size_t)(end - at)))) {
		at++;
		if (at < end && *at == '\n')
			return (size_t)(at + 1 - data);
		if (at + 1 < end && at[0] == '\r' && at[1] == '\n')
			return (size_t)(at + 2 - data);
	}
	return 0;
}

/* The next line without its end; NULL at the blank one. */
static char *next_line(char **at)
{
	char *line = *at, *end = strchr(line, '\n');

	*at = end + 1;
	if (end > line && end[-1] == '\r')
		end--;
	*end = '\0';
	return *line ? line : NULL;
}

static int parse_version(const char *text, struct web_request *ret)
{
	if (strncmp(text, "HTTP/", 5) != 0)
		return 400;
	if (strcmp(text + 5, "1.1") && strcmp(text + 5, "1.0"))
		return 505;
	ret->http10 = strcmp(text + 5, "1.0") == 0;
	return 0;
}

/* METHOD SP TARGET SP VERSION */
static int parse_request_line(char *line, struct web_request *ret)
{
	char *target = strchr(line, ' '), *version = target ? strchr(target + 1, ' ') : NULL, *query;
	int status;

	if (!version || !is_token(line, (size_t)(target - line)) || strchr(version + 1, ' '))
		return 400;
	*target++ = '\0';
	*version++ = '\0';
	status = parse_version(version, ret);
	if (status)
		return status;
	if (strlen(target) > WEB_TARGET_MAX)
		return 414;
	if (strcmp(line, "GET") && strcmp(line, "HEAD"))
		return 405;
	ret->head = line[0] == 'H';
	for (const char *c = target; *c; c++)
		if (*c < 0x21 || *c > 0x7e)
			return 400;
	if (target[0] != '/')
		return 400;
	query = strchr(target, '?');
	if (query)
		*query++ = '\0';
	ret->path = target;
	ret->query = query ? query : "";
	return 0;
}

static bool has_word(const char *list, const char *word)
{
	const size_t length = strlen(word);

	for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',') {
		at += strspn(at, " \t");
		if (strncasecmp(at, word, length) == 0 && strchr(", \t", at[length]))
			return true;
	}
	return false;
}

struct fields {
	bool host, length;
	bool close, keep_alive;
};

static int parse_field(char *line, struct web_request *ret, struct fields *seen)
{
	char *value = strchr(line, ':'), *end;

	/* A line that begins with a blank continues the one before it: obsolete, and refused. */
	if (!value || !is_token(line, (size_t)(value - line)))
		return 400;
	*value++ = '\0';
	value += strspn(value, " \t");
	for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); end--)
		;
	*end = '\0';
	for (const unsigned char *c = (unsigned char *)value; *c; c++)
		if ((*c < 0x20 && *c != '\t') || *c == 0x7f)
			return 400;
	if (strcasecmp(line, "Host") == 0) {
		if (seen->host)
			return 400;
		seen->host = true;
	} else if (strcasecmp(line, "Content-Length") == 0) {
		if (seen->length || !*value || strspn(value, "0123456789") != strlen(value))
			return 400;
		seen->length = true;
		if (strspn(value, "0") != strlen(value))
			return 413;
	} else if (strcasecmp(line, "Transfer-Encoding") == 0) {
		return 413;
	} else if (strcasecmp(line, "Connection") == 0) {
		seen->close |= has_word(value, "close");
		seen->keep_alive |= has_word(value, "keep-alive");
	} else if (strcasecmp(line, "Accept") == 0) {
		ret->accept = value;
	} else if (strcasecmp(line, "If-None-Match") == 0) {
		ret->if_none_match = value;
	}
	return 0;
}

int web_request_parse(char *head, size_t length, struct web_request *ret)
{
	struct web_request q = {};
	struct fields seen = {};
	char *at = head, *line;
	unsigned count = 0;
	int status;

	if (memchr(head, '\0', length))
		return 400;
	line = next_line(&at);
	status = line ? parse_request_line(line, &q) : 400;
	while (!status && (line = next_line(&at)))
		status = ++count > WEB_FIELDS_MAX ? 431 : parse_field(line, &q, &seen);
	if (status)
		return status;
	if (!q.http10 && !seen.host)
		return 400;
	q.keep_alive = !seen.close && (!q.http10 || seen.keep_alive);
	*ret = q;
	return 0;
}

const char *web_query_find(const char *query, const char *name, size_t *ret_length)
{
	const size_t length = strlen(name);

	for (const char *at = query; *at; at += strcspn(at, "&"), at += *at == '&')
		if (strncmp(at, name, length) == 0 && at[length] == '=') {
			*ret_length = strcspn(at + length + 1, "&");
			return at + length + 1;
		}
	return NULL;
}
