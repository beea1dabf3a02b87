/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HAProxy's tcp-check: a list of steps (connect, send, expect) and one run through it. Pure: bytes come in, bytes to be
 * sent and a verdict come out. Called by talk.c; the steps of a backend are compiled once and shared by its servers.
 * What is kept of a server's answer is at most SCRIPT_ANSWER_MAX bytes.
 */
#ifndef HEALTH_SCRIPT_H
#define HEALTH_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/result.h"
#include "model/model.h"

struct script;

enum script_limit {
	SCRIPT_ANSWER_MAX = MODEL_CHECK_ANSWER_MAX,
};

/* 0, -ENOMEM, or -EINVAL: a regular expression can't be compiled (config/ refuses those). Holds one reference. */
int script_new(const struct model_backend *b, struct script **ret);
struct script *script_ref(struct script *s);
void script_unref(struct script *s); /* takes NULL */
bool script_equal(const struct script *a, const struct script *b); /* takes NULL */

enum script_want { SCRIPT_CONNECT, SCRIPT_SEND, SCRIPT_RECEIVE, SCRIPT_DONE };

struct script_run {
	struct script *script;
	enum script_want want;
	size_t step;
	bool connected;      /* once, by the first step or by what stands in for it */
	size_t waits;        /* the expect that has not seen enough, while SCRIPT_RECEIVE */
	size_t kept;         /* bytes of the answer */
	unsigned http_status; /* of the last answer, where answers are HTTP's; 0 = none yet */
	bool final;          /* nothing that follows them will be looked at: closed, or no room for more */
	struct check_result result; /* of SCRIPT_DONE */
	char *answer;        /* SCRIPT_ANSWER_MAX, twice for HTTP; allocated by the first expect */
};

/* Begins; takes a reference. A script that does not begin with a connect step gets an implied one. */
void script_begin(struct script_run *r, struct script *s);
void script_end(struct script_run *r);
/* The connect step that is wanted; NULL = the implied one, to where the server's line says. */
const struct model_check_step *script_connect(const struct script_run *r);
void script_connected(struct script_run *r);
/* What is to be sent: all of the step's bytes. */
const void *script_out(const struct script_run *r, size_t *ret_length);
void script_sent(struct script_run *r);
/* What was sent last is to be sent once more: a datagram may have been lost. While SCRIPT_RECEIVE. */
void script_again(struct script_run *r);
/* What was received, while SCRIPT_RECEIVE. Bytes that do not fit are not looked at. */
void script_take(struct script_run *r, const void *bytes, size_t count);
void script_closed(struct script_run *r);
/* For a time-out: "step 2 (expect string 'PONG')". Returns buf. */
const char *script_where(const struct script_run *r, char buf[static CHECK_DETAIL_MAX]);

#endif
