/* SPDX-License-Identifier: BSD-2-Clause */
#include "web/events.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const level_names[] = {
	"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
};

void events_add(struct events *e, uint64_t at_ms, int level, const char *kind, const char *text)
{
	struct event_line *l = &e->lines[++e->last % EVENTS_KEPT];

	l->number = e->last;
	l->at_ms = at_ms;
	l->level = level & 7;
	snprintf(l->kind, sizeof(l->kind), "%s", kind);
	snprintf(l->text, sizeof(l->text), "%s", text);
}

const struct event_line *events_next(const struct events *e, uint64_t after)
{
	if (e->last > EVENTS_KEPT && after < e->last - EVENTS_KEPT)
		after = e->last - EVENTS_KEPT;
	return after < e->last ? &e->lines[(after + 1) % EVENTS_KEPT] : NULL;
}

/* Takes the backslashes of a quoted value away, as log_quote() put them there; what is behind the closing quote. */
static const char *unquote(const char *from, char to[EVENTS_TEXT_MAX])
{
	size_t n = 0;

	for (; *from && *from != '"'; from++) {
		if (*from == '\\' && (from[1] == '"' || from[1] == '\\'))
			from++;
		to[n++] = *from;
	}
	to[n] = '\0';
	return *from ? from + 1 : from;
}

static const char *plain(const char *from, char to[EVENTS_TEXT_MAX])
{
	const size_t length = strcspn(from, " ");

	memcpy(to, from, length);
	to[length] = '\0';
	return from + length;
}

static void fields_json(const char *text, struct text *t)
{
	bool first = true;

	for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
		char key[EVENTS_TEXT_MAX], value[EVENTS_TEXT_MAX];
		const size_t length = strcspn(text, "= ");

		if (text[length] != '=' || !length) {
			text += length + (text[length] == '=');
			continue;
		}
		memcpy(key, text, length);
		key[length] = '\0';
		text += length + 1;
		text = *text == '"' ? unquote(text + 1, value) : plain(text, value);
		if (!first)
			text_lit(t, ",");
		first = false;
		text_json(t, key);
		text_lit(t, ":");
		text_json(t, value);
	}
}

void events_json(const struct event_line *l, struct text *t)
{
	text_lit(t, "{\"number\":");
	text_u64(t, l->number);
	text_lit(t, ",\"at_ms\":");
	text_u64(t, l->at_ms);
	text_lit(t, ",\"level\":");
	text_json(t, level_names[l->level]);
	text_lit(t, ",\"event\":");
	text_json(t, l->kind);
	text_lit(t, ",\"fields\":{");
	fields_json(l->text, t);
	text_lit(t, "}}");
}
