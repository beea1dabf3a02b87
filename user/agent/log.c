/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From events to lines and on to their targets. The line is made once; each target takes it by level and length.
 * log_rate.c knows how many of a kind a second may have; log_writer.c and log_datagram.c know how not to block.
 */
#include "agent/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "agent/log_datagram.h"
#include "agent/log_rate.h"
#include "agent/log_text.h"
#include "agent/log_writer.h"

struct target {
	enum model_log_kind kind;
	int level, level_min;
	size_t length_max;
	struct log_datagram datagram; /* of the kinds SOCKET and UDP */
	char name[MODEL_SOCKET_PATH_MAX + 1];
	int error;                    /* why it was lost, as told; 0 = it is there */
	uint64_t dropped;
};

struct log {
	struct event_base *base;
	struct event *timer;          /* to the end of the second, pending while something is held back */
	struct log_rate rate;
	struct log_writer *err, *out; /* out: only once a target wants it */
	struct target *targets;       /* none: stderr, LOG_INFO and graver */
	size_t target_count;
	int level;                    /* instead of the targets' own; -1 = none */
	uint64_t dropped_before;      /* of targets that are no more */
	void (*seen)(int level, const char *event, const char *pairs, void *ctx);
	void *seen_ctx;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Whether the stream is the journal's, as systemd says it in $JOURNAL_STREAM: device:inode of it. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

static bool is_stream(const struct target *t)
{
	return t->kind == MODEL_LOG_STDERR || t->kind == MODEL_LOG_STDOUT;
}

static bool to_stderr(struct log *l, int level, const char *line, size_t length)
{
	return log_writer_put(l->err, level, line, length);
}

/* A target is told lost or back on stderr, once each. */
static void tell_target(struct log *l, struct target *t, int error)
{
	char line[LOG_LINE_MAX];
	int length;

	if (!error == !t->error)
		return;
	t->error = error;
	if (error)
		length = snprintf(line, sizeof(line), "event=log_target_lost target=%s reason=%s", log_quoted(t->name),
				  log_quoted(strerror(-error)));
	else
		length = snprintf(line, sizeof(line), "event=log_target_back target=%s", log_quoted(t->name));
	to_stderr(l, error ? LOG_WARNING : LOG_NOTICE, line, (size_t)length);
}

static bool to_target(struct log *l, struct target *t, int level, const char *line, size_t length)
{
	char shorter[LOG_LINE_MAX];
	int r;

	if (level < t->level_min)
		level = t->level_min;
	if (length > t->length_max) {
		memcpy(shorter, line, t->length_max);
		line = shorter;
		length = log_text_mark_cut(shorter, t->length_max);
	}
	if (is_stream(t))
		return log_writer_put(t->kind == MODEL_LOG_STDERR ? l->err : l->out, level, line, length);
	r = log_datagram_send(&t->datagram, level, line, length);
	if (r != -EAGAIN)
		tell_target(l, t, r);
	t->dropped += r < 0;
	return r == 0;
}

/* What a target takes: up to which level. */
static int level_of(const struct log *l, const struct target *t)
{
	return l->level >= 0 ? l->level : t ? t->level : LOG_INFO;
}

static void deliver(struct log *l, int level, const char *line, size_t length)
{
	bool wanted = false, taken = false;

	if (l->target_count == 0) {
		if (level <= level_of(l, NULL))
			to_stderr(l, level, line, length);
		return;
	}
	for (size_t i = 0; i < l->target_count; i++) {
		struct target *t = &l->targets[i];

		if (level > level_of(l, t))
			continue;
		wanted = true;
		if (to_target(l, t, level, line, length) || t->kind == MODEL_LOG_STDERR)
			taken = true;
	}
	if (wanted && !taken)
		to_stderr(l, level, line, length);
}

/* Says how many lines the second that is over held back, kind by kind. */
static void tell_suppressed(struct log *l)
{
	struct log_held held;

	while (log_rate_held(&l->rate, &held)) {
		char line[LOG_LINE_MAX];
		int length = snprintf(line, sizeof(line), "event=log_suppressed kind=%s lines=%llu", held.kind,
				      (unsigned long long)held.count);

		deliver(l, held.level, line, (size_t)length);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	tell_suppressed(ctx);
}

/* True when this line may be written. */
static bool admit(struct log *l, const char *kind, int level)
{
	uint64_t now = now_ms();
	struct timeval rest;

	if (log_rate_expired(&l->rate, now)) {
		/* The loop may be late with the timer. */
		evtimer_del(l->timer);
		tell_suppressed(l);
		log_rate_start(&l->rate, now);
	}
	if (log_rate_admit(&l->rate, kind, level))
		return true;
	if (!evtimer_pending(l->timer, NULL)) {
		uint64_t ms = log_rate_rest(&l->rate, now);

		rest = (struct timeval){ .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };
		evtimer_add(l->timer, &rest);
	}
	return false;
}

static bool is_kind(const char *event)
{
	return *event && strlen(event) <= LOG_KIND_NAME_MAX &&
	       strspn(event, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(event);
}

void log_event(struct log *l, int level, const char *event, const char *format, ...)
{
	char raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	va_list args;
	size_t head, written;
	int length;

	assert(level >= LOG_EMERG && level <= LOG_DEBUG && is_kind(event));
	/* What nobody wants costs nothing, and uses up no line that somebody does. */
	if (level == LOG_DEBUG && !log_wants(l, level))
		return;
	if (!admit(l, event, level))
		return;
	head = (size_t)snprintf(raw, sizeof(raw), "event=%s%s", event, *format ? " " : "");
	va_start(args, format);
	length = vsnprintf(raw + head, sizeof(raw) - head, format, args);
	va_end(args);
	/* Nothing to say, or a conversion that fails (EILSEQ of %ls): the event itself, without a blank behind it. */
	if (length <= 0) {
		raw[head -= *format != '\0'] = '\0';
		length = 0;
	}
	written = log_text_line(line, sizeof(line), raw, head + (size_t)length >= sizeof(raw));
	if (l->seen && level < LOG_DEBUG)
		l->seen(level, event, written > head ? line + head : "", l->seen_ctx);
	deliver(l, level, line, written);
}

void log_beside_loop(struct log *l, int level, const char *line, unsigned wait_ms)
{
	const struct timespec moment = { .tv_nsec = 10000000 };

	log_writer_put(l->err, level, line, strlen(line));
	for (unsigned ms = 0; ms < wait_ms && !log_writer_is_idle(l->err); ms += 10)
		nanosleep(&moment, NULL);
}

static int take_target(struct log *l, struct target *t, const struct model_log *from)
{
	char text[ENDPOINT_TEXT_MAX];

	t->kind = from->kind;
	t->level = (int)from->level;
	t->level_min = (int)from->level_min;
	t->length_max = from->length_max;
	if (!is_stream(t)) {
		log_datagram_init(&t->datagram, from);
		/* The whole datagram has that length, log_datagram.c sees to it. */
		t->length_max = LOG_LINE_MAX;
		snprintf(t->name, sizeof(t->name), "%s",
			 from->kind == MODEL_LOG_UDP ? endpoint_format(&from->at, text) : from->path);
	}
	if (t->kind == MODEL_LOG_STDOUT && !l->out)
		return log_writer_new(STDOUT_FILENO, is_journal(STDOUT_FILENO), LOG_QUEUE_MAX, &l->out);
	return 0;
}

static void drop_targets(struct log *l)
{
	for (size_t i = 0; i < l->target_count; i++) {
		l->dropped_before += l->targets[i].dropped;
		if (!is_stream(&l->targets[i]))
			log_datagram_done(&l->targets[i].datagram);
	}
	free(l->targets);
	l->targets = NULL;
	l->target_count = 0;
}

int log_configure(struct log *l, const struct model_global *g)
{
	struct target *targets = NULL;
	size_t count = g->logs.count;

	if (count > 0) {
		targets = calloc(count, sizeof(*targets));
		if (!targets)
			return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		int r = take_target(l, &targets[i], &g->logs.items[i]);

		/* Nothing is connected before its first line: there is nothing else to undo. */
		if (r < 0) {
			free(targets);
			return r;
		}
	}
	drop_targets(l);
	l->targets = targets;
	l->target_count = count;
	return 0;
}

int log_new(struct event_base *base, struct log **ret)
{
	struct log *l = calloc(1, sizeof(*l));
	int r = -ENOMEM;

	if (!l)
		return r;
	l->base = base;
	l->level = -1;
	l->timer = evtimer_new(base, on_timer, l);
	if (l->timer)
		r = log_writer_new(STDERR_FILENO, is_journal(STDERR_FILENO), LOG_QUEUE_MAX, &l->err);
	if (r < 0) {
		if (l->timer)
			event_free(l->timer);
		free(l);
		return r;
	}
	/* Otherwise the first line would read the time zone's file. */
	tzset();
	*ret = l;
	return 0;
}

void log_free(struct log *l)
{
	if (!l)
		return;
	tell_suppressed(l);
	drop_targets(l);
	log_writer_free(l->out, LOG_FLUSH_MS);
	log_writer_free(l->err, LOG_FLUSH_MS);
	event_free(l->timer);
	free(l);
}

void log_set_level(struct log *l, int level)
{
	assert(level >= -1 && level <= LOG_DEBUG);
	l->level = level;
}

int log_level(const struct log *l)
{
	return l->level;
}

bool log_wants(const struct log *l, int level)
{
	if (l->target_count == 0)
		return level <= level_of(l, NULL);
	for (size_t i = 0; i < l->target_count; i++)
		if (level <= level_of(l, &l->targets[i]))
			return true;
	return false;
}

bool log_target(struct log *l, size_t i, struct log_target_view *ret)
{
	static const char *const kinds[] = {
		[MODEL_LOG_SOCKET] = "socket", [MODEL_LOG_UDP] = "udp", [MODEL_LOG_STDOUT] = "stdout",
		[MODEL_LOG_STDERR] = "stderr",
	};
	const struct target *t = i < l->target_count ? &l->targets[i] : NULL;
	struct log_writer *w = !t || t->kind == MODEL_LOG_STDERR ? l->err : t->kind == MODEL_LOG_STDOUT ? l->out : NULL;

	if (!t && (l->target_count || i))
		return false;
	*ret = (struct log_target_view){
		.kind = kinds[t ? t->kind : MODEL_LOG_STDERR], .level = level_of(l, t),
		.level_configured = t ? t->level : LOG_INFO, .lost = t && t->error,
		.dropped = w ? log_writer_dropped(w) : t->dropped,
	};
	ret->name = t && !is_stream(t) ? t->name : ret->kind;
	return true;
}

const char *log_level_name(int level)
{
	static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

	return level >= LOG_EMERG && level <= LOG_DEBUG ? names[level] : "-";
}

void log_observe(struct log *l, void (*seen)(int level, const char *event, const char *pairs, void *ctx), void *ctx)
{
	l->seen = seen;
	l->seen_ctx = ctx;
}

uint64_t log_dropped(struct log *l)
{
	uint64_t dropped = l->dropped_before + log_writer_dropped(l->err);

	if (l->out)
		dropped += log_writer_dropped(l->out);
	for (size_t i = 0; i < l->target_count; i++)
		dropped += l->targets[i].dropped;
	return dropped;
}

uint64_t log_suppressed(const struct log *l)
{
	return l->rate.suppressed;
}

bool log_is_written(struct log *l)
{
	return log_writer_is_idle(l->err) && (!l->out || log_writer_is_idle(l->out));
}
