/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent shows of itself at the port that `metrics` opens: gathers the numbers for metrics/ and web/, keeps the
 * histograms and the last events, measures how late the loop is. Part of the agent; changes nothing in it.
 */
#ifndef AGENT_MONITOR_H
#define AGENT_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent;
struct events;
struct model;
struct monitor;

enum monitor_limit {
	MONITOR_TICK_MS = 100,    /* how often the loop's lateness is measured */
	MONITOR_SLICE_US = 500,   /* gathering a snapshot takes no longer in one turn of the loop */
};

/* Once loop and log are there: from now on events are kept. 0 or -ENOMEM. */
int monitor_new(struct agent *a, struct monitor **ret);
void monitor_free(struct monitor *m); /* takes NULL */

/*
 * A new model: prepare does all that may fail (-errno with a line for people in error) and changes nothing; commit,
 * when the model is the agent's, can't fail; abandon forgets it. Histograms of backends that are in both go on.
 */
int monitor_prepare(struct monitor *m, const struct model *model, char *error, size_t size);
void monitor_commit(struct monitor *m);
void monitor_abandon(struct monitor *m);

/* For a restart: where it listens, -1: nowhere; is nothing under way; may new connections wait? */
int monitor_listener(const struct monitor *m);
bool monitor_is_quiet(const struct monitor *m);
void monitor_pause(struct monitor *m, bool pause);

/* A check has ended; health_ops.on_result. */
void monitor_count_check(struct monitor *m, size_t backend, uint32_t duration_us, bool inconclusive);
/* The last events, for whoever else shows them. */
const struct events *monitor_events(const struct monitor *m);

#endif
