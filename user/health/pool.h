/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A backend's servers taken together: panic-threshold and on-all-down last-known, which keep servers in service that
 * their checks call down, since a failure of many at once is mostly the checker's own. Called by server.c. Pure:
 * counts what it is told, sees no server.
 */
#ifndef HEALTH_POOL_H
#define HEALTH_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/model.h"

struct health_pool {
	unsigned panic_percent;
	bool last_known;         /* on-all-down last-known */
	size_t first, servers;   /* in struct health's servers */
	size_t wanted, up;       /* no backups; ready, with a weight: all of them, and those that are up */
	size_t backups_up;
	bool holds;              /* now */
	uint64_t held_since_ms;
	struct model_roles roles;
	bool plugin;             /* its servers' checks tell what they are */
	bool conflict;           /* more writers than there may be */
	bool conflict_told, conflict_untold;
	uint64_t conflict_ms;    /* monotonic: when it began */
	size_t writers;
};

/* What one server adds to its pool. */
struct pool_part {
	bool backup, wanted, up;
};

void pool_add(struct health_pool *p, const struct pool_part *part);
void pool_remove(struct health_pool *p, const struct pool_part *part);
/* Are servers to be held now? True when that has changed. */
bool pool_judge(struct health_pool *p, uint64_t now_ms);
/*
 * Is a server that went down at down_ms and takes detect_ms to be found down one that is held? Those that went down
 * shortly before the pool began to hold, and all that went down since, are.
 */
bool pool_keeps(const struct health_pool *p, uint64_t down_ms, uint64_t detect_ms);
/* Why servers are held, or no longer are. Returns buf. */
const char *pool_reason(const struct health_pool *p, char *buf, size_t size);

#endif
