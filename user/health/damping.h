/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flap damping: a server that keeps going down and coming back is kept down until it has been well for a while. Called
 * by server.c. Knows no clock, no server; times are ms of one monotonic clock.
 */
#ifndef HEALTH_DAMPING_H
#define HEALTH_DAMPING_H

#include <stdbool.h>
#include <stdint.h>

#include "model/model.h"

struct damping {
	uint64_t *downs; /* a ring of the last MODEL_FLAPS_MAX times it went down, 0 = none; NULL = it never did */
	unsigned next;
	uint64_t failed_ms;              /* the last check that failed */
	bool active;
};

void damping_done(struct damping *d);
void damping_failed(struct damping *d, uint64_t now_ms);
/*
 * It went down. Becomes active with the count-th time within period_ms; count 0 = never. Without memory for it that is
 * not remembered.
 */
void damping_went_down(struct damping *d, unsigned count, uint32_t period_ms, uint64_t now_ms);
/* Must it stay down, however many checks it passed? Ends once no check has failed for period_ms. */
bool damping_holds(struct damping *d, unsigned count, uint32_t period_ms, uint64_t now_ms);

#endif
