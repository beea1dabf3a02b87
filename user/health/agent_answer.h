/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an agent on a server says: HAProxy's agent-check, one line of words. Called by talk.c with what came, perhaps
 * from a hostile one. Pure; what the words do to the server is agent_check.c's matter.
 */
#ifndef HEALTH_AGENT_ANSWER_H
#define HEALTH_AGENT_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "health/health.h"

enum agent_answer_limit {
	AGENT_ANSWER_MAX = 512,   /* bytes of the line, its end included */
	AGENT_REASON_MAX = 64,    /* kept of what stands behind `#`, with the NUL */
	AGENT_PERCENT_MAX = 25600, /* even weight 1 is at the largest weight then */
};

struct agent_answer {
	bool has_percent, has_admin, has_state; /* what was not said is not changed */
	unsigned percent;
	enum health_admin_state admin;
	bool down;
	char word[8];                  /* up, down, fail, stopped */
	char reason[AGENT_REASON_MAX]; /* printable ASCII; "" = none */
	bool has_maxconn;              /* HAProxy's; no connections are limited here */
};

/* Reads a line without its end. False, and ret_wrong names the first word that is none. */
bool agent_answer_read(const char *line, size_t length, struct agent_answer *ret, char *ret_wrong, size_t size);

#endif
