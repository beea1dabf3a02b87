/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a backend holds servers that are down, and which. Called by server.c. Pure.
 */
#include "health/pool.h"

#include <stdio.h>

#include "health/health.h"

void pool_add(struct health_pool *p, const struct pool_part *part)
{
	if (part->backup) {
		p->backups_up += part->wanted && part->up;
	} else {
		p->wanted += part->wanted;
		p->up += part->wanted && part->up;
	}
}

void pool_remove(struct health_pool *p, const struct pool_part *part)
{
	if (part->backup) {
		p->backups_up -= part->wanted && part->up;
	} else {
		p->wanted -= part->wanted;
		p->up -= part->wanted && part->up;
	}
}

static bool ought_to_hold(const struct health_pool *p)
{
	unsigned percent = p->panic_percent;

	/* With none of its servers up, a backup that is up is better than a guess. */
	if (!p->up && p->backups_up)
		return false;
	if (p->last_known && !p->up)
		return true;
	if (!percent || !p->wanted)
		return false;
	/* Once in it, a little more is needed to leave: a server that comes and goes must not turn it on and off. */
	if (p->holds)
		percent = percent + HEALTH_PANIC_MARGIN < 100 ? percent + HEALTH_PANIC_MARGIN : 100;
	return (uint64_t)p->up * 100 < (uint64_t)p->wanted * percent;
}

bool pool_judge(struct health_pool *p, uint64_t now_ms)
{
	bool holds = ought_to_hold(p);

	if (holds == p->holds)
		return false;
	p->holds = holds;
	if (holds)
		p->held_since_ms = now_ms;
	return true;
}

bool pool_keeps(const struct health_pool *p, uint64_t down_ms, uint64_t detect_ms)
{
	uint64_t recent = 2 * detect_ms > HEALTH_RECENT_MS ? 2 * detect_ms : HEALTH_RECENT_MS;

	return p->holds && down_ms && down_ms + recent >= p->held_since_ms;
}

const char *pool_reason(const struct health_pool *p, char *buf, size_t size)
{
	if (!p->holds)
		snprintf(buf, size, "no longer kept in service: %zu of %zu servers are up", p->up, p->wanted);
	else if (p->last_known && !p->up)
		snprintf(buf, size, "kept in service as last known: no server is up");
	else
		snprintf(buf, size, "kept in service: %zu of %zu servers are up, below panic-threshold %u", p->up,
			 p->wanted, p->panic_percent);
	return buf;
}
