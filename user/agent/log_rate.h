/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many lines of one kind a second may have, and how many were held back. Called by log.c, which brings the time.
 * Pure: no clock, no I/O. Zero-initialised is ready.
 */
#ifndef AGENT_LOG_RATE_H
#define AGENT_LOG_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/log.h"

enum {
	LOG_KIND_NAME_MAX = 31,
	LOG_WINDOW_MS = 1000,
};

struct log_kind {
	char name[LOG_KIND_NAME_MAX + 1];
	unsigned admitted; /* in this second */
	uint64_t held;
	int level;         /* the gravest of those held back */
};

struct log_rate {
	uint64_t started_ms;
	struct log_kind kinds[LOG_KINDS_MAX + 1]; /* the last one: all further kinds together */
	size_t count;
	size_t next_held;  /* where log_rate_held() goes on */
	uint64_t suppressed; /* ever */
};

struct log_held {
	const char *kind;
	uint64_t count;
	int level;
};

/* The second is over: ask log_rate_held() until it says no, then log_rate_start(). */
bool log_rate_expired(const struct log_rate *l, uint64_t now_ms);
void log_rate_start(struct log_rate *l, uint64_t now_ms);
/* ms until the second is over, at least 1. */
uint64_t log_rate_rest(const struct log_rate *l, uint64_t now_ms);
/* True when a line of this kind may be written; else it is counted. */
bool log_rate_admit(struct log_rate *l, const char *kind, int level);
/* The next kind of which lines were held back, and forgets them; false when there is none. */
bool log_rate_held(struct log_rate *l, struct log_held *ret);

#endif
