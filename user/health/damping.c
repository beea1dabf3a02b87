/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The arithmetic of flap damping. Called by server.c. Knows no clock.
 */
#include "health/damping.h"

#include <stdlib.h>

void damping_done(struct damping *d)
{
	free(d->downs);
	*d = (struct damping){};
}

void damping_failed(struct damping *d, uint64_t now_ms)
{
	d->failed_ms = now_ms;
}

void damping_went_down(struct damping *d, unsigned count, uint32_t period_ms, uint64_t now_ms)
{
	uint64_t first;

	if (!d->downs)
		d->downs = calloc(MODEL_FLAPS_MAX, sizeof(*d->downs));
	if (!d->downs)
		return;
	d->downs[d->next] = now_ms;
	d->next = (d->next + 1) % MODEL_FLAPS_MAX;
	if (!count)
		return;
	first = d->downs[(d->next + MODEL_FLAPS_MAX - count) % MODEL_FLAPS_MAX];
	if (first && now_ms - first <= period_ms)
		d->active = true;
}

bool damping_holds(struct damping *d, unsigned count, uint32_t period_ms, uint64_t now_ms)
{
	/* A reload may have switched it off meanwhile. */
	if (!count || now_ms - d->failed_ms >= period_ms)
		d->active = false;
	return d->active;
}
