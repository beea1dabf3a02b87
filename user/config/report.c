/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What there is to say about a configuration: collected with its places while it is read and checked, sorted by place
 * at the end and handed over as a report. Notices of one keyword are given once, with a count.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/parser.h"

bool parser_suggests(const struct parser *p)
{
	return p->errors < 100;
}

const char *parser_keep(struct parser *p, const char *text)
{
	const char *copy = arena_strdup(&p->arena, text);

	if (!copy)
		p->failed = -ENOMEM;
	return copy ? copy : "";
}

char *parser_model_string(struct parser *p, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		p->failed = -ENOMEM;
	return copy;
}

struct model_place parser_model_place(const struct parser *p, struct place at)
{
	return (struct model_place){ .file = p->model->files.items[at.file], .line = at.line };
}

struct place parser_place(const struct parser *p, const struct config_word *at)
{
	struct place place = p->at;

	place.column = at ? at->column : 1;
	return place;
}

/* What comes from the file may hold anything, and ends on a terminal and in JSON: only visible ASCII goes there as it
 * is. */
static void append_visible(char *to, size_t size, const char *text)
{
	size_t used = 0;

	for (; *text && used + 5 < size; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= ' ' && c < 0x7f)
			to[used++] = (char)c;
		else
			used += (size_t)snprintf(to + used, size - used, "\\x%02x", c);
	}
	to[used] = '\0';
}

static void __attribute__((format(printf, 4, 0))) say(struct parser *p, enum config_severity severity, struct place at,
						     const char *format, va_list args)
{
	struct message_draft *m;
	char text[1024], visible[2048];

	p->errors += severity == CONFIG_ERROR;
	if (severity == CONFIG_ERROR && p->proxy)
		p->proxy->broken = true;
	/* Notices get at most half of the room, so that they never crowd the errors out. */
	if (p->messages.count >= CONFIG_MESSAGES_MAX - 1 ||
	    (severity == CONFIG_NOTICE && p->messages.count - p->errors_kept >= CONFIG_MESSAGES_MAX / 2)) {
		p->left_out++;
		return;
	}
	p->errors_kept += severity == CONFIG_ERROR;
	vsnprintf(text, sizeof(text), format, args);
	append_visible(visible, sizeof(visible), text);
	m = vec_push(&p->messages);
	if (!m) {
		p->failed = -ENOMEM;
		return;
	}
	m->severity = severity;
	m->place = at;
	m->sequence = p->messages.count;
	m->text = parser_keep(p, visible);
}

void parser_error(struct parser *p, const struct config_word *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(p, CONFIG_ERROR, parser_place(p, at), format, args);
	va_end(args);
}

void parser_notice(struct parser *p, const struct config_word *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(p, CONFIG_NOTICE, parser_place(p, at), format, args);
	va_end(args);
}

void parser_error_at(struct parser *p, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(p, CONFIG_ERROR, at, format, args);
	va_end(args);
}

void parser_notice_at(struct parser *p, struct place at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(p, CONFIG_NOTICE, at, format, args);
	va_end(args);
}

void parser_notice_keyword(struct parser *p, const struct keyword_table *t, const struct keyword *k,
			   const struct config_word *at)
{
	struct notice_count *n;
	char text[512];
	size_t i;

	for (i = 0; i < p->notices.count; i++) {
		if (p->notices.items[i].keyword == k) {
			p->notices.items[i].count++;
			return;
		}
	}
	n = vec_push(&p->notices);
	if (!n) {
		p->failed = -ENOMEM;
		return;
	}
	snprintf(text, sizeof(text), "'%s%s'%s: %s", t->before, k->word, t->after, k->text);
	n->keyword = k;
	n->place = parser_place(p, at);
	n->text = parser_keep(p, text);
	n->count = 1;
}

const char *parser_where(struct parser *p, struct place from, struct place at)
{
	char text[512];

	if (at.file == from.file)
		snprintf(text, sizeof(text), "line %u", at.line);
	else
		snprintf(text, sizeof(text), "%s:%u", p->model->files.items[at.file], at.line);
	return parser_keep(p, text);
}

static int compare_messages(const void *a, const void *b)
{
	const struct message_draft *x = a, *y = b;

	if (x->place.file != y->place.file)
		return x->place.file < y->place.file ? -1 : 1;
	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	if (x->place.column != y->place.column)
		return x->place.column < y->place.column ? -1 : 1;
	return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static void flush_notices(struct parser *p)
{
	size_t i;

	for (i = 0; i < p->notices.count; i++) {
		const struct notice_count *n = &p->notices.items[i];

		if (n->count == 1)
			parser_notice_at(p, n->place, "%s", n->text);
		else
			parser_notice_at(p, n->place, "%s (%u places)", n->text, n->count);
	}
}

static int hand_over(struct config_report *report, enum config_severity severity, const char *file, struct place at,
		     const char *text)
{
	struct config_message *m = vec_push(&report->messages);

	if (!m)
		return -ENOMEM;
	m->severity = severity;
	m->line = at.line;
	m->column = at.column;
	m->file = strdup(file);
	m->text = strdup(text);
	return m->file && m->text ? 0 : -ENOMEM;
}

int parser_report(struct parser *p, struct config_report *report)
{
	size_t i;
	int r = 0;

	flush_notices(p);
	if (p->failed)
		return p->failed;
	if (p->messages.count)
		qsort(p->messages.items, p->messages.count, sizeof(*p->messages.items), compare_messages);
	for (i = 0; i < p->messages.count && !r; i++) {
		const struct message_draft *m = &p->messages.items[i];

		r = hand_over(report, m->severity, p->model->files.items[m->place.file], m->place, m->text);
	}
	if (p->left_out && !r) {
		char text[64];

		snprintf(text, sizeof(text), "%zu more messages are not shown", p->left_out);
		r = hand_over(report, CONFIG_NOTICE, p->model->files.items[0], (struct place){}, text);
	}
	report->errors += p->errors;
	return r;
}

void config_report_print(const struct config_report *report, FILE *to)
{
	size_t i;

	for (i = 0; i < report->messages.count; i++) {
		const struct config_message *m = &report->messages.items[i];
		const char *severity = m->severity == CONFIG_ERROR ? "error" : "notice";

		if (m->line)
			fprintf(to, "%s:%u:%u: %s: %s\n", m->file, m->line, m->column, severity, m->text);
		else
			fprintf(to, "%s: %s: %s\n", m->file, severity, m->text);
	}
}

void config_report_done(struct config_report *report)
{
	size_t i;

	for (i = 0; i < report->messages.count; i++) {
		free(report->messages.items[i].file);
		free(report->messages.items[i].text);
	}
	vec_done(&report->messages);
	report->errors = 0;
}
