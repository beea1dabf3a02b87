/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a check asks of whom, and what answer is good: the model's words, made ready. Built by configure.c, one a
 * server; what many servers share (a script, a TLS context) is counted, not copied. Read by talk_*.c and attempt.c.
 * Opens no socket. The files that a TLS context needs are read here, at start and on reload.
 */
#ifndef HEALTH_TARGET_H
#define HEALTH_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "health/script.h"
#include "health/tls.h"
#include "model/model.h"

enum target_limit {
	TARGET_ERROR_MAX = 512,
};

/* How a check is made. */
enum target_manner {
	TARGET_CONNECT,   /* the connection (or the TLS handshake) is all */
	TARGET_HTTP,
	TARGET_SCRIPT,
	TARGET_DNS,
	TARGET_AGENT,     /* agent-check: the answer is orders, not a verdict */
	TARGET_ELSEWHERE, /* something else makes it and answers: see struct attempt_elsewhere */
};

struct attempt_target {
	enum target_manner manner;
	struct endpoint at;
	struct model_via via;    /* service.family 0 = straight to `at` */
	struct addr source;      /* family 0 = the kernel chooses */
	bool datagram;           /* UDP */
	bool tls;                /* the connection is TLS; a script's connect steps say it themselves */
	struct tls_peer peer;    /* peer.context NULL = TLS is never spoken */
	char *request;           /* http, dns: all of it; agent: what is sent first, NULL = nothing */
	size_t request_length;
	bool expect_negated;     /* http */
	size_t expect_count;     /* 0 = 200-399 */
	struct model_status_range *expect;
	bool disable_on_404;     /* http, script: of a server that is up */
	struct script *script;
	struct model_plugin_check plugin; /* of a plugin; else words is NULL */
	unsigned argc, envc;     /* an external command: `request` is its arguments and environment; argc 0 = none */
	bool any_answer;         /* dns: the question is a courtesy, an answer of any kind will do */
};

/* What the targets of one configuration share while they are made. Zero-initialised is empty. */
struct target_maker {
	const struct model_backend *script_of;
	struct script *script;
	struct vec(struct tls_context *) contexts;
	char error[TARGET_ERROR_MAX]; /* why the last target_init() failed, in words; "" = out of memory */
};

void target_maker_done(struct target_maker *m);
/* Fills a target from the model. 0, -ENOMEM, or -EINVAL: a file of TLS can't be used; m->error says which and why. */
int attempt_target_init(struct attempt_target *ret, const struct model_backend *b, const struct model_server *s,
			struct target_maker *m);
/* target_command.c: an external command. 0 or -ENOMEM. */
int attempt_target_init_command(struct attempt_target *t, const struct model_backend *b, const struct model_server *s);
/* That of an agent-check. 0 or -ENOMEM. */
int attempt_target_init_agent(struct attempt_target *ret, const struct model_server *s);
void attempt_target_done(struct attempt_target *t);
/* Do both ask the same of the same? What TLS files hold does not count: the next check uses them anyway. */
bool attempt_target_equal(const struct attempt_target *a, const struct attempt_target *b);

#endif
