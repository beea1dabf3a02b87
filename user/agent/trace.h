/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's verbs `trace`, `trace next` and `trace stop`: packets as they came and as they left. One trace at a time:
 * it belongs to who started it, and ends when he no longer asks. Part of the agent: verbs.c names the verbs, agent.c ends
 * it. A reader that is slow loses events, which are counted; it never makes the agent wait.
 */
#ifndef AGENT_TRACE_H
#define AGENT_TRACE_H

struct control_request;
struct tracer;

enum trace_limit {
	TRACE_QUEUE_MAX = 4096,      /* events that wait to be asked for */
	TRACE_REPLY_MAX = 256,       /* events of one reply */
	TRACE_RATE_DEFAULT = 1000,
	TRACE_IDLE_MS = 10000,       /* nobody asks for events: the trace ends */
	TRACE_WAIT_DEFAULT_MS = 30000,
	TRACE_WAIT_MAX_MS = 600000,
};

void verb_trace_start(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_trace_stop(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_trace_next(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
/* After the control room has ended. Takes NULL. */
void tracer_free(struct tracer *t);

#endif
