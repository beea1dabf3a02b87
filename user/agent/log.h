/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's log: one line an event, to stderr or to where the configuration's `log` lines say. Called by agent/ alone
 * (library code does not log), from the loop's thread alone. Never blocks: stdout and stderr are written by a thread
 * behind a bounded queue, sockets without waiting; what nobody takes in time is dropped and counted.
 *
 * A line is  event=server_down backend=nodes server=node1 reason="Connection refused"
 * and on stderr carries its level in front: `<4>` for the journal, `warning ` for people. A datagram carries RFC 3164's
 * priority, time and tag; a UDP one the host's name too.
 */
#ifndef AGENT_LOG_H
#define AGENT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

#include "model/model.h"

struct event_base;
struct log;

enum log_limit {
	LOG_LINE_MAX = 2048,   /* bytes of an event's text; the rest is cut off, which "..." at the end tells */
	LOG_QUOTE_MAX = 512,   /* bytes of a quoted value with its quotes and NUL; cut off in the same way */
	LOG_RATE_MAX = 100,    /* lines of one kind of event a second; more are suppressed, counted, and told of once */
	LOG_KINDS_MAX = 64,    /* kinds that are told apart; any further ones share one limit */
	LOG_QUEUE_MAX = 256 * 1024, /* bytes that wait for stderr, and as much again that are being written */
	LOG_FLUSH_MS = 1000,   /* how long log_free() lets stdout and stderr take what waits */
};

/*
 * Logs to stderr, LOG_INFO and graver, until log_configure() says otherwise. base: for the timer that tells of
 * suppressed lines. 0 or -errno (no memory, no thread).
 */
int log_new(struct event_base *base, struct log **ret);
/* Takes NULL. Says what was suppressed and lets stdout and stderr take what waits, LOG_FLUSH_MS at most. */
void log_free(struct log *l);
/*
 * For a thread that finds the loop stuck: a whole line, event=... and all, to stderr, whatever the targets are. Never blocks
 * on the stream; waits wait_ms at most until it is taken. The one function here that is not the loop's.
 */
void log_beside_loop(struct log *l, int level, const char *line, unsigned wait_ms);
/* Have stdout and stderr taken what was logged? */
bool log_is_written(struct log *l);

/*
 * Takes the targets of a configuration; without any, all is as after log_new(). A socket that is not there yet is tried
 * again with each event. An event that none of the targets that wanted it took goes to stderr, so that a missing
 * /dev/log silences nothing; that a target is lost or back is said there too. 0; -ENOMEM, and nothing has changed.
 */
int log_configure(struct log *l, const struct model_global *g);

/*
 * Logs an event. level: LOG_EMERG .. LOG_DEBUG; event: its kind, a literal of a-z, 0-9 and _; format: the rest of the
 * line, key=value pairs. Bytes that would not stay in the line or steer a terminal are escaped whatever they came by,
 * but only log_quote() keeps a stranger's text from looking like a key of ours.
 */
void log_event(struct log *l, int level, const char *event, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Writes value to buf as a quoted string and returns buf: `"` and `\` with a `\` in front; control characters and bytes
 * that are not UTF-8 as \xNN, newline and tab as \n and \t. NULL gives "". size >= 8; what does not fit is cut off.
 */
const char *log_quote(char *buf, size_t size, const char *value);
/* The same in a buffer that lives to the end of the block: log_event(l, LOG_INFO, "x", "why=%s", log_quoted(text)). */
#define log_quoted(value) log_quote((char[LOG_QUOTE_MAX]){ "" }, LOG_QUOTE_MAX, (value))

/*
 * The least important level that is logged, whatever the configuration says for its targets; -1 = as it says. Kept by
 * log_configure().
 */
void log_set_level(struct log *l, int level);
int log_level(const struct log *l);
/* Would any target take an event of this level? For those that cost something to make. */
bool log_wants(const struct log *l, int level);

/* What `show log` shows of a target. */
struct log_target_view {
	const char *kind;   /* "stderr", "stdout", "socket", "udp" */
	const char *name;   /* its path or address; as kind for the streams */
	int level;          /* in force */
	int level_configured;
	bool lost;          /* it was not there at the last event */
	uint64_t dropped;   /* lines it did not take in time */
};

/* The i-th target, from 0; false behind the last. Without `log` lines stderr is the only one. */
bool log_target(struct log *l, size_t i, struct log_target_view *ret);
/* "emerg" .. "debug" for LOG_EMERG .. LOG_DEBUG. */
const char *log_level_name(int level);

/*
 * Has every event that is logged, but those of LOG_DEBUG, told to seen too: its kind, and the key=value pairs behind it. One observer; NULL =
 * none. seen must not log.
 */
void log_observe(struct log *l, void (*seen)(int level, const char *event, const char *pairs, void *ctx), void *ctx);

/* Lines that went nowhere, since log_new(): a full queue, a failed write. Those of stderr are told there afterwards. */
uint64_t log_dropped(struct log *l);
/* Lines that LOG_RATE_MAX held back, since log_new(). */
uint64_t log_suppressed(const struct log *l);

#endif
