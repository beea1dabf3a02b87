/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the servers of one backend are to each other, and which of them may therefore take its traffic: the one writer,
 * or those who follow closely enough. A check says what a server is; here it is decided over all of them what it is
 * good for. Called by server_role.c. Pure: no clock, no socket, no server.
 *
 * Facts are of a server's last completed check; they stand while checks fail, until the server is down.
 */
#ifndef HEALTH_ROLES_H
#define HEALTH_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alwayson/check.h"
#include "model/model.h"

enum roles_limit { ROLE_TEXT_MAX = 96 };

/* What a check found out; taken from a plugin's result. */
struct role_facts {
	uint32_t figures, role;       /* enum plugin_figure, enum plugin_role */
	uint64_t server_id, cluster_id;
	uint64_t source_ids[PLUGIN_SOURCES_MAX];
	uint32_t source_count;
	uint32_t lag_ms;
	uint32_t weight_percent;
	char text[PLUGIN_TEXT_MAX];   /* the plugin's words */
};

/* One server. */
struct role_member {
	/* In. */
	bool counts;                  /* it is checked, and not in maint */
	bool heard;                   /* a check has ended since it began to count, whatever came out */
	bool up;                      /* by its checks alone */
	bool knows;                   /* facts are valid */
	bool confirmed;               /* ... since a conflict began */
	bool passed;                  /* the last check passed: facts are its own */
	struct role_facts facts;
	uint64_t id;                  /* its server id, as it was last told; 0 = never */
	/* Kept from one decision to the next. */
	bool serves;                  /* it may take traffic */
	bool lags;                    /* it went beyond max-lag and has not come back to recover-lag */
	/* Out. */
	unsigned weight_percent;      /* 1..100: weight-by-lag, or a plugin's hint */
	char text[ROLE_TEXT_MAX];     /* what it is, and why it does not serve */
};

struct roles_outcome {
	bool conflict;                /* more writers than there may be */
	size_t writers;               /* servers that take writes, whether they serve or not */
};

/*
 * Decides for all of them. Nothing but `serves`, `lags` and the outputs is changed. The order is that of the file: it
 * decides where nothing else does, among equal members of a cluster.
 */
void roles_decide(const struct model_roles *policy, struct role_member *const *members, size_t count,
		  struct roles_outcome *ret);

#endif
