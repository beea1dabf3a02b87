/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is said over a check's connection: asks for a connection, for bytes to be sent, for bytes to be received, and
 * comes to a result. Pure: attempt.c brings the connection, the bytes and the time. One manner of checking is one row
 * of the table in talk.c. Embedded in an attempt; what it allocates (a script's buffer, an agent's line) lives as
 * long as the talk.
 */
#ifndef HEALTH_TALK_H
#define HEALTH_TALK_H

#include <stdint.h>

#include "health/agent_answer.h"
#include "health/result.h"
#include "health/script.h"
#include "health/status_line.h"
#include "health/target.h"

enum talk_want { TALK_CONNECT, TALK_SEND, TALK_RECEIVE, TALK_DONE };

/* The connection that is wanted. */
struct talk_way {
	struct endpoint at;
	bool tls, linger;       /* linger: closed properly, not by RST */
	const char *sni, *alpn; /* of a script's step; NULL = the target's own */
};

struct talk_agent {
	char *line;             /* AGENT_ANSWER_MAX */
	size_t length;
	struct agent_answer answer; /* with CHECK_L7OK */
};

struct talk_manner;

struct talk {
	const struct talk_manner *manner; /* NULL = none is under way */
	const struct attempt_target *target;
	enum talk_want want;
	struct talk_way way;    /* of TALK_CONNECT */
	struct check_result result; /* of TALK_DONE */
	size_t sent;
	union {
		struct status_line line;
		struct script_run script;
		struct talk_agent agent;
		uint16_t dns_id;
	};
};

/* id: a number nobody can guess. The target is read until talk_end(); an equal one may take its place meanwhile. */
void talk_begin(struct talk *t, const struct attempt_target *target, uint16_t id);
void talk_end(struct talk *t); /* may be called twice */
void talk_connected(struct talk *t);
/* What is left to be sent, while TALK_SEND. */
const void *talk_out(const struct talk *t, size_t *ret_length);
void talk_sent(struct talk *t, size_t count);
/* A datagram that was lost is sent once more: from TALK_RECEIVE back to TALK_SEND. */
void talk_again(struct talk *t);
void talk_take(struct talk *t, const void *bytes, size_t count);
void talk_closed(struct talk *t);
/* What a time-out means while TALK_RECEIVE or TALK_SEND. Writes to buf or returns a constant. */
const char *talk_silence(const struct talk *t, char buf[static CHECK_DETAIL_MAX]);

#endif
