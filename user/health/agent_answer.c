/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HAProxy 2.6, section 5.2, agent-check: words separated by blanks, tabs and commas in any order: N%, maxconn:N, ready,
 * drain, maint, up, down, fail, stopped; the last four may be followed by `#` and a reason, which ends the line. Called
 * by talk.c. Unlike HAProxy, a word that is none makes the whole line void: half an order is not carried out.
 */
#include "health/agent_answer.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static bool is_separator(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

static bool read_digits(const char *text, size_t length, unsigned max, unsigned *ret)
{
	unsigned long n = 0;

	if (!length)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!isdigit((unsigned char)text[i]))
			return false;
		n = n * 10 + (unsigned)(text[i] - '0');
		if (n > max)
			return false;
	}
	*ret = (unsigned)n;
	return true;
}

static bool is_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && !strncasecmp(text, word, length);
}

static bool take_admin(const char *text, size_t length, struct agent_answer *a)
{
	static const char *const words[] = {
		[HEALTH_READY] = "ready", [HEALTH_DRAIN] = "drain", [HEALTH_MAINT] = "maint",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!is_word(text, length, words[i]))
			continue;
		a->has_admin = true;
		a->admin = (enum health_admin_state)i;
		return true;
	}
	return false;
}

static bool take_state(const char *text, size_t length, struct agent_answer *a)
{
	static const char *const words[] = { "up", "down", "fail", "stopped" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!is_word(text, length, words[i]))
			continue;
		a->has_state = true;
		a->down = i > 0;
		strcpy(a->word, words[i]);
		return true;
	}
	return false;
}

static bool take_word(const char *text, size_t length, struct agent_answer *a)
{
	unsigned ignored;

	if (text[length - 1] == '%') {
		if (!read_digits(text, length - 1, AGENT_PERCENT_MAX, &a->percent))
			return false;
		a->has_percent = true;
		return true;
	}
	if (length > 8 && !strncasecmp(text, "maxconn:", 8)) {
		a->has_maxconn = true;
		return read_digits(text + 8, length - 8, 1000000000, &ignored);
	}
	return take_admin(text, length, a) || take_state(text, length, a);
}

static void take_reason(const char *text, size_t length, struct agent_answer *a)
{
	size_t used = 0;

	while (length && is_separator(*text)) {
		text++;
		length--;
	}
	for (; used < length && used < sizeof(a->reason) - 1; used++)
		a->reason[used] = text[used] >= ' ' && text[used] <= '~' ? text[used] : '?';
	a->reason[used] = '\0';
}

static void show_wrong(const char *text, size_t length, char *to, size_t size)
{
	snprintf(to, size, "%.*s", (int)(length < 32 ? length : 32), text);
	for (; *to; to++)
		*to = *to < ' ' || *to > '~' ? '?' : *to;
}

bool agent_answer_read(const char *line, size_t length, struct agent_answer *ret, char *ret_wrong, size_t size)
{
	struct agent_answer a = {};
	size_t at = 0, end;

	while (at < length) {
		if (is_separator(line[at])) {
			at++;
			continue;
		}
		if (line[at] == '#') {
			take_reason(line + at + 1, length - at - 1, &a);
			break;
		}
		for (end = at; end < length && !is_separator(line[end]) && line[end] != '#'; end++)
			;
		if (!take_word(line + at, end - at, &a)) {
			show_wrong(line + at, end - at, ret_wrong, size);
			return false;
		}
		at = end;
	}
	*ret = a;
	return true;
}
