/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket's verbs `explain packet` and `explain frame`: what the program would do with a packet, step by step.
 * The program's dry run (dataplane/dry_run.h) is loaded when it is first asked for and kept for a minute; that, and all
 * that takes time, is done in a thread of its own, one request after the other. Part of the agent: verbs.c names the
 * verbs, agent.c ends it. explain_steps.c turns what a run tells into sentences.
 */
#ifndef AGENT_EXPLAIN_PACKET_H
#define AGENT_EXPLAIN_PACKET_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/dry_run.h"

struct agent;
struct control_request;
struct explainer;

enum explain_limit {
	EXPLAIN_BYTES_MAX = 1900,   /* of a frame in a request or a reply; what is behind counts as zeros */
	EXPLAIN_KEEP_S = 60,        /* the second program and its copies of the tables */
};

void verb_explain_packet(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);
void verb_explain_frame(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);

/* After the control room has ended: waits for a run under way. Takes NULL. */
void explainer_free(struct explainer *e);
/* A reload: the next request loads the program anew. Takes NULL. */
void explainer_forget(struct explainer *e);
/* Is a packet being explained by a thread now? Takes NULL. */
bool explainer_is_running(const struct explainer *e);

/* explain_steps.c: the reply to one packet; NULL: out of memory. */
json_t *explain_steps_json(struct agent *a, const char *interface, const uint8_t *frame, size_t length,
			   const struct dry_run_result *result);

/* explain_frame.c: a packet from nothing. */
struct explain_ask {
	char interface[16];
	unsigned ifindex;
	size_t length;              /* of the frame ... */
	uint8_t frame[EXPLAIN_BYTES_MAX]; /* ... of which these bytes are not all zero */
};
/* The first packet (or one of these TCP flags: syn, ack, fin, rst) of SRC:PORT to a service. 0, or -EINVAL and why. */
int explain_build(const struct agent *a, const char *service, const char *source, const char *kind,
		  struct explain_ask *ret, char error[static DATAPLANE_ERROR_MAX]);
/* IFACE LENGTH HEX. The same. */
int explain_read(const struct agent *a, const char *interface, const char *length, const char *hex,
		 struct explain_ask *ret, char error[static DATAPLANE_ERROR_MAX]);

#endif
