/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's trace as the agent has it: switches it, and reads its events from the ring. Called by agent/trace.c on the
 * loop; reads only what is there.
 */
#ifndef DATAPLANE_TRACE_H
#define DATAPLANE_TRACE_H

#include <alwayson/trace.h>

#include "dataplane/dataplane.h"

struct trace;

enum { TRACE_EVENTS_A_TURN = 256 }; /* read at once; then the loop's other events have a turn */

/* d must outlive it. on_event: of the trace that was started last. 0 or -errno. */
int trace_new(struct dataplane *d, void (*on_event)(const struct trace_event *e, void *ctx), void *ctx,
	      struct trace **ret);
void trace_free(struct trace *t); /* takes NULL; stops */
/* Readable when there are events. */
int trace_fd(const struct trace *t);
/* Only what fits the filter; its number and jiffies are set here. */
void trace_start(struct trace *t, const struct trace_filter *filter);
void trace_stop(struct trace *t);
/* Calls on_event for what has come, at most TRACE_EVENTS_A_TURN. */
void trace_read(struct trace *t);
/* Since the start: wanted, but above the rate; wanted, but the ring was full. */
void trace_missed(const struct trace *t, uint64_t *ret_limited, uint64_t *ret_lost);

#endif
