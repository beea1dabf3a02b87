/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: one request line in, one JSON document out, then the connection closes. Owned by the agent,
 * which answers through control_ops. Knows nothing of what the verbs do; checks peers, levels, lengths and time.
 *
 * Protocol 1.   request:  WORD [WORD ...] '\n'           words by blanks; at most CONTROL_REQUEST_MAX bytes with the newline
 *               reply:    {"ok":true, ...}'\n'           or {"ok":false,"code":N,"error":"..."}'\n'
 * code is the CLI's exit code (enum control_code). An optional first word "v1" names the protocol version.
 */
#ifndef CONTROL_CONTROL_H
#define CONTROL_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "model/model.h"

struct event_base;
struct control;

enum control_limit {
	CONTROL_REQUEST_MAX = 4096,
	CONTROL_WORDS_MAX = 32,
	CONTROL_CLIENTS_MAX = 64,      /* further ones wait in the listen backlog */
	CONTROL_TIMEOUT_MS = 5000,     /* for a request to be complete, and for a reply to be taken */
};

enum control_code {
	CONTROL_DONE = 0,
	CONTROL_FAILED = 1,       /* also: not found */
	CONTROL_USAGE = 2,
	CONTROL_BAD_CONFIG = 3,
	CONTROL_NO_AGENT = 4,     /* the CLI's own */
	CONTROL_TIMED_OUT = 5,
};

/* A request that may be answered now or later. */
struct control_request;

/* Verbs are given as a table by the agent; the first whose words are a prefix of the request's answers it. */
struct control_verb {
	const char *words;          /* "server drain" */
	const char *arguments;      /* "BACKEND/SERVER", for the usage message; "" = none */
	unsigned args_min, args_max;
	enum model_level level;
	/* Must end, now or later, in exactly one control_reply() or control_fail(). args are valid during the call only. */
	void (*run)(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
};

/* Takes ownership of the reply object and adds "ok": true. */
void control_reply(struct control_request *r, json_t *body);
void control_fail(struct control_request *r, enum control_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Called when the peer went away before a deferred answer; the request must not be answered afterwards. */
void control_on_gone(struct control_request *r, void (*gone)(void *ctx), void *ctx);

/* Listens. A stale socket file nobody listens on is replaced. -EADDRINUSE when another agent answers there. */
int control_new(struct event_base *base, const struct model_stats_socket *where, const char *default_path,
		const struct control_verb *verbs, size_t count, void *ctx, struct control **ret);
void control_free(struct control *c); /* takes NULL; removes the socket file if it is still ours */
/* Path, mode, owner and level of a reloaded configuration. A changed path takes effect at once. 0 or -errno. */
int control_configure(struct control *c, const struct model_stats_socket *where);

#endif
