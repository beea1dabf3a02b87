/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between health, whose checks may be made by a plugin, and alwayson-checker, whose workers run plugins. Called by
 * agent.c and reload.c. Knows no plugin.
 */
#ifndef AGENT_PLUGINS_H
#define AGENT_PLUGINS_H

#include <stdbool.h>
#include <stddef.h>

#include "checker/pool.h"
#include "model/model.h"

struct attempt_elsewhere;
struct event_base;
struct log;
struct plugins;

enum { PLUGINS_ERROR_MAX = 512 };

/*
 * Starts alwayson-checker, which must be done while there are rights to give up. `needed`: it is an error when it can't
 * be started; else it is left for plugins_validate() to say so, should it be needed later. 0, or -errno with error.
 */
int plugins_new(struct event_base *base, struct log *log, bool needed, struct plugins **ret,
		char error[PLUGINS_ERROR_MAX]);
/* The agent's start has not failed: what was to be said of the processes is logged now. */
void plugins_started(struct plugins *p);
void plugins_free(struct plugins *p); /* takes NULL; health must be gone */

/* Does a model have a check by a plugin? */
bool plugins_are_used(const struct model *m);
/*
 * Has each plugin read its words, those of `known` (may be NULL) aside. 0, or -EINVAL with "FILE:LINE: what" in error.
 */
int plugins_validate(struct plugins *p, const struct model *m, const struct model *known,
		     char error[PLUGINS_ERROR_MAX]);
/* For health_set_elsewhere(). */
const struct attempt_elsewhere *plugins_elsewhere(struct plugins *p);
/* What the workers have done; zeroes when there are none. */
/* Puts what is needed to go on with the processes that there are on the list of base/handover.h. False: no room. */
bool plugins_hand_over(const struct plugins *p);
/* Two agents of one number can do so. */
unsigned plugins_protocol(void);
void plugins_count(const struct plugins *p, struct checker_counts *ret);

#endif
