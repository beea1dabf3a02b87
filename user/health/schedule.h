/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When the next check of a server starts and how long it may take: arithmetic on milliseconds of a monotonic clock.
 * Called by server.c, which brings the time and the random numbers. Pure: sets no timer, reads no clock.
 */
#ifndef HEALTH_SCHEDULE_H
#define HEALTH_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "health/tally.h"

enum schedule_limit {
	SCHEDULE_FIRST_PER_MS = 1,     /* few servers: this many first checks start in a millisecond */
	SCHEDULE_FIRST_ROUND_MS = 250, /* more of them have all started by then ... */
	SCHEDULE_CROWD_PER_MS = 10,    /* ... unless more than this many would start in a millisecond ... */
	SCHEDULE_FIRST_LONGEST_MS = 1000, /* ... and by then, however many there are */
	SCHEDULE_JITTER_PERCENT = 5,   /* either way */
};

/* Words of the configuration, in ms. 0 = not set, except inter, which is at least 1. */
struct schedule {
	uint32_t inter_ms, fastinter_ms, downinter_ms;
	uint32_t connect_timeout_ms, check_timeout_ms;
};

/* inter, fastinter or downinter; the latter two are inter where they are not set. */
uint32_t schedule_interval_ms(const struct schedule *s, enum tally_pace pace);
/*
 * Delay of the first check of the index-th of count servers that start together: in order, evenly, with a little
 * jitter; below min(inter, SCHEDULE_FIRST_LONGEST_MS), and below `count` ms when they are few.
 */
uint32_t schedule_first_delay_ms(size_t index, size_t count, uint32_t inter_ms, uint32_t random);
/* Start of the check after one that started at started_ms: the interval +- jitter later, but never in the past. */
uint64_t schedule_next_ms(uint64_t started_ms, uint32_t interval_ms, uint64_t now_ms, uint32_t random);
/*
 * The same after a crowded first round, once per server: between half an interval and a whole one, and up to half a one
 * from now where that is past, so that checks that began in a crowd are spread over the interval from the second round
 * on.
 */
uint64_t schedule_settle_ms(uint64_t started_ms, uint32_t interval_ms, uint64_t now_ms, uint32_t random);
/* Is a first round of count servers crowded: more of them than SCHEDULE_FIRST_PER_MS lets start in time? */
bool schedule_is_crowded(size_t count);
/* By when the connection must be there: min(timeout connect, inter) after the start. */
uint64_t schedule_connect_deadline_ms(const struct schedule *s, uint64_t started_ms);
/* By when the answer must be there: `timeout check` after the connection; if that is not set, inter after the start. */
uint64_t schedule_answer_deadline_ms(const struct schedule *s, uint64_t started_ms, uint64_t connected_ms);

#endif
