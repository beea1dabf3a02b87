/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: one request line in, one JSON document out, then the connection closes. Owned by the agent,
 * which answers through control_verb.run. Knows nothing of what the verbs do; checks peers, levels, lengths and time.
 *
 * Protocol 1.   request:  WORD [WORD ...] '\n'     words by blanks; at most CONTROL_REQUEST_MAX bytes, newline included
 *               reply:    {"ok":true,"now_ms":T, ...}'\n'
 *                     or  {"ok":false,"now_ms":T,"code":N,"error":"...", ...}'\n'
 * code is the CLI's exit code (enum control_code). An optional first word "v1" names the protocol version.
 * Every verb and every field of its reply: docs/control.md.
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
struct ucred;

enum control_limit {
	CONTROL_PROTOCOL = 1,
	CONTROL_REQUEST_MAX = 4096,
	CONTROL_WORDS_MAX = 32,        /* the version word does not count */
	CONTROL_CLIENTS_MAX = 64,      /* further ones wait in the listen backlog */
	CONTROL_WAITING_MAX = 32,      /* deferred requests of peers that are not root; further ones are refused */
	CONTROL_TIMEOUT_MS = 5000,     /* for a request to be complete, for each CONTROL_CHUNK of a reply to be taken */
	CONTROL_CHUNK = 64 * 1024,     /* a stream is made in pieces of about this size */
	CONTROL_REPLY_MAX = 64 << 20,  /* bytes of one reply; the CLI accepts no more */
	CONTROL_PENDING_MAX = 128 << 20, /* bytes of all replies that wait to be taken */
};

enum control_code {
	CONTROL_DONE = 0,
	CONTROL_FAILED = 1,       /* also: not found, not allowed */
	CONTROL_USAGE = 2,
	CONTROL_BAD_CONFIG = 3,
	CONTROL_NO_AGENT = 4,     /* the CLI's own */
	CONTROL_TIMED_OUT = 5,
	CONTROL_WARNINGS = 6,     /* the CLI's own: done, and there is something to see to */
};

/* A request that may be answered now or later. */
struct control_request;

/* Verbs are given as a table by the agent; the first whose words are a prefix of the request's answers it. */
struct control_verb {
	const char *words;          /* "server drain" */
	const char *arguments;      /* "BACKEND/SERVER", for the usage message; "" = none */
	unsigned args_min, args_max;
	enum model_level level;
	/*
	 * Must end, now or later, in exactly one control_reply(), control_stream() or control_fail(). args are valid
	 * during the call only, r until it is answered. control_configure() may be called in here, control_free() not.
	 */
	void (*run)(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
};

/* The items of a reply that is too long to be built at once. */
struct control_items {
	const char *name;           /* the array's name in the reply */
	/*
	 * 1 and a new reference to the next item; 0 at the end; -EAGAIN after a slice of a search that found none: it
	 * is called again in the loop's next turn; another -errno breaks the reply off. Turns of the loop, and reloads,
	 * may lie between the calls: look everything up anew.
	 */
	int (*next)(void *ctx, json_t **ret);
	void (*done)(void *ctx);    /* called once, at the end or when the peer went away; may be NULL */
	void *ctx;
};

/*
 * Each of these answers, and r must not be used after it. They never block; the peer may be gone already. body and
 * details are taken over; NULL (out of memory while it was built) is answered as that. "ok", "now_ms", "code" and
 * "error" are added here.
 */
void control_reply(struct control_request *r, json_t *body);
/* head's members, then the array. No limit on the number of items is kept here: that is next's. */
void control_stream(struct control_request *r, json_t *head, const struct control_items *items);
void control_fail(struct control_request *r, enum control_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A failure with more to say than its text: the details' members stand beside "error". */
void control_fail_with(struct control_request *r, enum control_code code, json_t *details, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Called when the peer went away before a deferred answer, or the control room refuses to wait longer (too many wait,
 * control_free()); the request must not be answered afterwards. Without it the request lives on until it is answered.
 */
void control_on_gone(struct control_request *r, void (*gone)(void *ctx), void *ctx);
/* Who asks, for the log: credentials the peer had when it connected. */
void control_peer(const struct control_request *r, struct ucred *ret);

/* The connection, to be handed over to another program together with the request; -1: it has gone. */
int control_fd(const struct control_request *r);
/* A JSON string of any text: bytes that are not UTF-8 (a configuration may quote them) become '?'. NULL: no memory. */
json_t *control_string(const char *text);

/*
 * Listens. The path's folder is created (0755) when missing. A stale socket file nobody listens on is replaced.
 * verbs must outlive the control. 0; -EADDRINUSE when another agent answers there, -ENOTSOCK when the path is something
 * else than a socket, -ENAMETOOLONG above 107 bytes, or what bind, chown and listen say.
 */
int control_new(struct event_base *base, const struct model_stats_socket *where, const char *default_path,
		const struct control_verb *verbs, size_t count, void *ctx, struct control **ret);
/* The listening socket. One handed over as "control" (base/handover.h) is taken where it listens at the same path. */
int control_listener(const struct control *c);
/* True when no request is being read and no reply sent; those that wait for an answer do not count. */
bool control_is_quiet(const struct control *c);
/* New connections wait, those that are there go on. */
void control_pause(struct control *c, bool pause);
void control_free(struct control *c); /* takes NULL; removes the socket file if it is still ours */
/*
 * Path, mode, owner and level of a reloaded configuration; what is not given is as at a fresh start. A changed path
 * takes effect at once, a removed socket file is created anew, requests under way go on. 0; on -errno nothing has
 * changed (-EPERM: an owner that only CAP_CHOWN and CAP_FOWNER could set).
 */
int control_configure(struct control *c, const struct model_stats_socket *where);

#endif
