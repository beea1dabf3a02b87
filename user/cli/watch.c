/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `alwayson watch`: what the agent logs, a line an event, until the reader has enough. Called through the verb table.
 * Asks for what is newer than the last event seen, again and again; goes on when the agent was restarted meanwhile, and
 * says so by events of its own. Must not miss an event without saying so.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "cli/ask.h"
#include "cli/fields.h"
#include "cli/follow.h"
#include "cli/render.h"
#include "cli/table.h"

enum { WAIT_MS = 5000 /* so often it looks whether somebody still reads */, RETRY_MS = 500 };

/* Is this about the backend, or BACKEND/SERVER, that was asked for? */
static bool is_wanted(const struct cli_options *o, const json_t *event)
{
	const json_t *fields = json_object_get(event, "fields");
	const char *path, *slash, *backend = field_text(fields, "backend");
	size_t length;

	if (o->word_count == o->verb_words)
		return true;
	path = o->words[o->verb_words];
	slash = strchr(path, '/');
	length = slash ? (size_t)(slash - path) : strlen(path);
	return strlen(backend) == length && strncmp(path, backend, length) == 0 &&
	       (!slash || field_is(fields, "server", slash + 1));
}

static void print_time(FILE *to, json_int_t at_ms)
{
	const time_t s = at_ms / 1000;
	char text[32];
	struct tm t;

	if (!localtime_r(&s, &t) || !strftime(text, sizeof(text), "%F %T", &t))
		strcpy(text, "-");
	fprintf(to, "%s.%03d", text, (int)(at_ms % 1000));
}

static enum tone tone_of(const json_t *event)
{
	static const char *const bad[] = { "emerg", "alert", "crit", "err" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (field_is(event, "level", bad[i]))
			return TONE_BAD;
	if (field_is(event, "level", "warning"))
		return TONE_WARN;
	return field_is(event, "event", "server_up") ? TONE_GOOD : TONE_PLAIN;
}

/* What it is about stands first, and is not said again among the pairs. */
static bool is_subject(const char *key)
{
	return strcmp(key, "backend") == 0 || strcmp(key, "server") == 0 || strcmp(key, "interface") == 0;
}

static bool is_sentence(const char *key)
{
	return strcmp(key, "reason") == 0 || strcmp(key, "text") == 0 || strcmp(key, "error") == 0;
}

static void print_subject(FILE *to, const json_t *fields)
{
	const char *parts[] = { "backend", "server", "interface" };
	bool any = false;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *text = field_text(fields, parts[i]);

		if (strcmp(text, "-") == 0)
			continue;
		fputc(any ? '/' : ' ', to);
		print_safe(to, text);
		any = true;
	}
}

static void print_fields(FILE *to, const json_t *fields)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)fields, key, value) {
		if (is_subject(key) || is_sentence(key) || !json_is_string(value))
			continue;
		fputc(' ', to);
		print_safe(to, key);
		fputc('=', to);
		print_safe(to, json_string_value(value));
	}
	json_object_foreach((json_t *)fields, key, value) {
		if (!is_sentence(key) || !json_is_string(value))
			continue;
		fputs(": ", to);
		print_safe(to, json_string_value(value));
	}
}

static void print_event(const json_t *event, bool colour, FILE *to)
{
	const json_t *fields = json_object_get(event, "fields");

	print_time(to, field_number(event, "at_ms"));
	fputc(' ', to);
	print_toned(to, colour, tone_of(event), field_text(event, "level"));
	fputc(' ', to);
	print_toned(to, colour, tone_of(event), field_text(event, "event"));
	print_subject(to, fields);
	print_fields(to, fields);
	fputc('\n', to);
}

int render_watch(const json_t *reply, const struct render *to)
{
	const json_t *list = json_object_get(reply, "events"), *event;
	size_t i;

	if (json_array_size(list) == 0)
		fputs("no events\n", to->out);
	json_array_foreach(list, i, event)
		print_event(event, to->colour, to->out);
	return 0;
}

static void put(const struct cli_options *o, const struct cli_output *to, const json_t *event)
{
	if (o->json) {
		json_dumpf(event, to->out, JSON_COMPACT);
		fputc('\n', to->out);
	} else {
		print_event(event, to->colour, to->out);
	}
}

/* An event of our own, in the shape of the agent's: number 0. */
static void put_own(const struct cli_options *o, const struct cli_output *to, const char *name, json_t *fields)
{
	struct timeval now;
	json_t *event;

	gettimeofday(&now, NULL);
	event = json_pack("{s:i, s:I, s:s, s:s, s:o}", "number", 0, "at_ms",
			  (json_int_t)now.tv_sec * 1000 + now.tv_usec / 1000, "level", "warning", "event", name,
			  "fields", fields);
	if (event)
		put(o, to, event);
	json_decref(event);
}

/* The reply's events; of the first reply the last `limit` that are wanted. */
static void put_events(const struct cli_options *o, const struct cli_output *to, const json_t *reply, size_t limit)
{
	const json_t *list = json_object_get(reply, "events"), *event;
	size_t i, wanted = 0;

	json_array_foreach(list, i, event)
		wanted += is_wanted(o, event);
	json_array_foreach(list, i, event)
		if (is_wanted(o, event) && wanted-- <= limit)
			put(o, to, event);
}

struct watched {
	json_int_t run, last;   /* of the agent; last = -1: nothing seen of it yet */
	size_t limit;
	bool gone;
};

/* The agent has gone. Waits for it to come back; its first start may be a while off, so there is no limit. */
static void wait_for_agent(const struct cli_options *o, const struct cli_output *to, struct watched *w)
{
	const struct timespec pause = { .tv_nsec = RETRY_MS * 1000000 };

	if (!w->gone)
		put_own(o, to, "agent_gone", json_pack("{s:s}", "text", "waiting for it to come back"));
	w->gone = true;
	fflush(to->out);
	nanosleep(&pause, NULL);
}

/* One question. 0, or an error of ask(); *ret_code is the exit code when the agent refuses, else as it was. */
static int watch_once(const struct cli_options *o, const struct cli_output *to, struct watched *w, int *ret_code)
{
	char line[64] = "v1 watch\n";
	struct ask_reply reply;
	json_int_t run;
	int r;

	if (w->last >= 0)
		snprintf(line, sizeof(line), "v1 watch %" JSON_INTEGER_FORMAT " %d\n", w->last, WAIT_MS);
	r = ask(o, line, WAIT_MS + CLI_ANSWER_MS, &reply);
	if (r < 0)
		return r;
	run = field_number(reply.json, "run");
	if (!field_true(reply.json, "ok")) {
		*ret_code = ask_refused(o, to, reply.json);
	} else if (w->last >= 0 && run != w->run) {
		/* Its numbers have begun anew: what it says is no continuation, so it is asked for all. */
		put_own(o, to, "agent_restarted", json_object());
		*w = (struct watched){ .run = run, .last = -1, .limit = SIZE_MAX };
	} else {
		if (w->gone)
			put_own(o, to, "agent_back", json_object());
		if (field_number(reply.json, "lost") > 0)
			put_own(o, to, "events_lost", json_pack("{s:o}", "count",
				json_sprintf("%" JSON_INTEGER_FORMAT, field_number(reply.json, "lost"))));
		put_events(o, to, reply.json, w->limit);
		*w = (struct watched){ .run = run, .last = field_number(reply.json, "last"), .limit = SIZE_MAX };
	}
	ask_reply_done(&reply);
	return 0;
}

/* The other end of a pipe is closed: nothing that could be told will be read. */
static bool reader_is_gone(FILE *to)
{
	struct pollfd p = { .fd = fileno(to) };

	return p.fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

int follow_watch(const struct cli_options *o, const struct cli_output *to)
{
	struct watched w = { .last = -1, .limit = strtoul(o->value, NULL, 10) };
	bool first = true;

	while (true) {
		int code = -1, r = watch_once(o, to, &w, &code);

		if (code >= 0)
			return code;
		if (first && r < 0)
			return ask_explain(o, to, r, CLI_ANSWER_MS);
		/* EPROTO: it ended in the middle of its answer. */
		if (r == -ENOENT || r == -ECONNREFUSED || r == -EPROTO)
			wait_for_agent(o, to, &w);
		else if (r < 0)
			return ask_explain(o, to, r, WAIT_MS + CLI_ANSWER_MS);
		first = false;
		if (fflush(to->out) != 0)
			return CONTROL_FAILED; /* the caller says why */
		if (reader_is_gone(to->out))
			return CONTROL_DONE;
	}
}
