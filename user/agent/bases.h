/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The costly part of a large table, its base over the configured servers and their weights, built by a thread: before a
 * model comes into force, or when a weight has changed or backups take over (reconcile_ops.on_slow). The loop has then only
 * to put in what differs. A guess about who is up comes with it; where it is wrong, or nothing was built, the reconciler finds the same
 * answer itself, later.
 */
#ifndef AGENT_BASES_H
#define AGENT_BASES_H

#include "health/health.h"
#include "model/model.h"

struct bases;
struct event_base;
struct reconcile;

/*
 * What is to be built for `m`, with what health knows of `known`, the model that is in force (or m itself). NULL: nothing
 * that would take long, or no memory.
 */
struct bases *bases_plan(struct reconcile *r, const struct model *m, const struct model *known, const struct health *h);
/* Builds; done is called once, from the loop. 0 or -errno. */
int bases_start(struct bases *b, struct event_base *base, void (*done)(void *ctx), void *ctx);
/*
 * After reconcile_set_model(), before the next run, which uses what is still wanted and does itself what could not be built.
 * Takes NULL.
 */
void bases_take(struct bases *b, struct reconcile *r);
/* Takes NULL. Waits for the table that is being built. */
void bases_free(struct bases *b);

#endif
