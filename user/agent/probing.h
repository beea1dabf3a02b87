/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks via a service's address (`check via vip`): between the model, which says where they go, health/, which makes them,
 * and dataplane/probe, which sends their packets there. Of the agent; nothing is loaded while no server is checked so.
 */
#ifndef AGENT_PROBING_H
#define AGENT_PROBING_H

#include "agent/agent.h"

struct attempt_via;

int probing_new(struct probing **ret); /* 0 or -ENOMEM */
void probing_free(struct probing *p);  /* takes NULL */
/* What health/ asks. */
const struct attempt_via *probing_via(struct probing *p);

/*
 * Before health takes a model: its paths are there as well as the old model's. 0, or -errno with a line for people; then
 * the old ones work on.
 */
int probing_prepare(struct agent *a, const struct model *m, char error[AGENT_ERROR_MAX]);
/* After it has: the old model's paths go. */
void probing_commit(struct agent *a);
/* NICs have come or gone, or are wanted no more. */
void probing_follow(struct agent *a);

#endif
