/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a sequence of check results to a state: HAProxy's rise and fall. Called by server.c for every result.
 * Pure: knows no clock, no socket and no configuration but the two thresholds it is given.
 */
#ifndef HEALTH_TALLY_H
#define HEALTH_TALLY_H

#include <stdbool.h>

#include "health/health.h"
#include "health/result.h"

/* How fast to check: which of inter, fastinter and downinter applies. */
enum tally_pace {
	TALLY_STEADY,     /* up, and the last result good */
	TALLY_TRANSITION, /* the last results contradict the state, or one result will decide */
	TALLY_DOWN,       /* down, and the last result bad */
};

struct tally {
	enum health_check_state state; /* HEALTH_INIT, HEALTH_UP or HEALTH_DOWN */
	unsigned count;                /* consecutive results that contradict the state */
	bool first_decides;            /* the state is a guess: one result against it changes it */
};

void tally_start(struct tally *t, enum model_init_state init);
/* A state known from elsewhere (a saved one; a server not checked until now): it holds until the first result. */
void tally_assume(struct tally *t, enum health_check_state state);
/* Results so far say nothing about what is checked from now on; the state stays. */
void tally_forget(struct tally *t);
/* Counts one result; rise and fall >= 1. True when the state changed. An unknown outcome changes nothing at all. */
bool tally_count(struct tally *t, enum check_outcome outcome, unsigned rise, unsigned fall);
enum tally_pace tally_pace(const struct tally *t);

#endif
