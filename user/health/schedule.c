/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time arithmetic of the checks. Called by server.c and attempt.c. Pure; all times are ms of one monotonic clock.
 */
#include "health/schedule.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint64_t not_before(uint64_t at_ms, uint64_t now_ms)
{
	return at_ms < now_ms ? now_ms : at_ms;
}

/* 0 <= result < range, evenly enough; range 0 gives 0. */
static uint32_t scale(uint32_t random, uint32_t range)
{
	return (uint32_t)((uint64_t)random * range >> 32);
}

uint32_t schedule_interval_ms(const struct schedule *s, enum tally_pace pace)
{
	uint32_t own = 0;

	if (pace == TALLY_TRANSITION)
		own = s->fastinter_ms;
	else if (pace == TALLY_DOWN)
		own = s->downinter_ms;
	return own ? own : s->inter_ms;
}

bool schedule_is_crowded(size_t count)
{
	return count > SCHEDULE_FIRST_ROUND_MS * SCHEDULE_FIRST_PER_MS;
}

uint32_t schedule_first_delay_ms(size_t index, size_t count, uint32_t inter_ms, uint32_t random)
{
	size_t window = SCHEDULE_FIRST_ROUND_MS;
	uint64_t from, to;

	if (!schedule_is_crowded(count))
		window = count / SCHEDULE_FIRST_PER_MS;
	else if (count / SCHEDULE_CROWD_PER_MS > window)
		window = count / SCHEDULE_CROWD_PER_MS;
	if (window > SCHEDULE_FIRST_LONGEST_MS)
		window = SCHEDULE_FIRST_LONGEST_MS;
	if (window > inter_ms)
		window = inter_ms;
	from = (uint64_t)window * index / count;
	to = (uint64_t)window * (index + 1) / count;
	return (uint32_t)from + scale(random, (uint32_t)(to - from));
}

uint64_t schedule_next_ms(uint64_t started_ms, uint32_t interval_ms, uint64_t now_ms, uint32_t random)
{
	uint32_t half = (uint32_t)((uint64_t)interval_ms * SCHEDULE_JITTER_PERCENT / 100);

	return not_before(started_ms + interval_ms - half + scale(random, 2 * half + 1), now_ms);
}

uint64_t schedule_settle_ms(uint64_t started_ms, uint32_t interval_ms, uint64_t now_ms, uint32_t random)
{
	uint32_t half = interval_ms / 2, spread = scale(random, half + 1);
	uint64_t at_ms = started_ms + interval_ms - half + spread;

	/* Servers that do not answer would all be late by the same time, and stay a crowd. */
	return at_ms < now_ms ? now_ms + spread : at_ms;
}

uint64_t schedule_connect_deadline_ms(const struct schedule *s, uint64_t started_ms)
{
	return started_ms + (s->connect_timeout_ms ? min_u32(s->connect_timeout_ms, s->inter_ms) : s->inter_ms);
}

uint64_t schedule_answer_deadline_ms(const struct schedule *s, uint64_t started_ms, uint64_t connected_ms)
{
	return s->check_timeout_ms ? connected_ms + s->check_timeout_ms : started_ms + s->inter_ms;
}
