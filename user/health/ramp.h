/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HAProxy's slowstart: the share of its weight that a server has on its way back, in steps. Called by server.c. Pure.
 */
#ifndef HEALTH_RAMP_H
#define HEALTH_RAMP_H

#include <stdint.h>

enum ramp_limit {
	RAMP_STEPS = 16, /* each step is a change of the backend's table */
};

/* 1 to 100: what it has after elapsed_ms of total_ms; total_ms 0 = no ramp. */
static inline unsigned ramp_percent(uint64_t elapsed_ms, uint32_t total_ms)
{
	unsigned step;

	if (elapsed_ms >= total_ms)
		return 100;
	step = (unsigned)(elapsed_ms * RAMP_STEPS / total_ms);
	return step ? step * 100 / RAMP_STEPS : 1;
}

/* How long until the next step; 0 = there is none. */
static inline uint64_t ramp_next_ms(uint64_t elapsed_ms, uint32_t total_ms)
{
	uint64_t step;

	if (elapsed_ms >= total_ms)
		return 0;
	step = elapsed_ms * RAMP_STEPS / total_ms + 1;
	return (step * total_ms + RAMP_STEPS - 1) / RAMP_STEPS - elapsed_ms;
}

#endif
