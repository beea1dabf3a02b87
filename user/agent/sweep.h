/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's walk over the flow table, in slices that do not hold the loop up: ends what has outlived its time, gives
 * dead entries back after a grace period, counts connections. Reads and writes shared memory; no system call an entry.
 *
 * Ages are in ticks of about 4 s, so a time-out is never early and up to three ticks late.
 */
#ifndef AGENT_SWEEP_H
#define AGENT_SWEEP_H

#include <stdint.h>

#include "agent/reconcile.h"
#include "dataplane/flows.h"

struct event_base;
struct sweep;

enum sweep_limit {
	SWEEP_PASS_MS = 1000,      /* a pass takes about this long, if the slices' length allows */
	SWEEP_SLICE_MS = 20,       /* a slice begins this often ... */
	SWEEP_HURRIED_SLICE_MS = 5, /* ... and this often while connections are to end at once */
	SWEEP_SLICE_BUDGET_US = 900, /* ... and ends after this */
	SWEEP_RESETS = 32,         /* or after so many connections whose ends were told: 6 400 a second. The program
	                            * answers their challenge ACKs, RESETS_PER_SECOND at most, with others' packets */
	SWEEP_CLOSED_MS = 60000,   /* a connection closed by FIN in both directions: as long as TIME_WAIT */
	SWEEP_RESET_MS = 10000,    /* one closed by RST */
	SWEEP_UDP_MS = 5000,       /* a UDP flow that was not answered twice */
};

struct sweep_counts {
	uint64_t used4, used6;     /* entries that are not empty, at the last pass */
	uint64_t connections4, connections6;
	uint64_t expired;          /* since start */
	uint64_t reset;            /* ... of them, connections whose ends were told */
	uint64_t passes;
};

struct sweep_ops {
	/* A whole pass is over. */
	void (*on_pass)(void *ctx);
	/*
	 * A live TCP connection was ended: its server's connections are to end, or (nat) it was silent for too long. The
	 * client has it with the service; own and server are the other half, empty where no address is translated.
	 */
	void (*on_reset)(const struct endpoint *client, const struct endpoint *service, const struct endpoint *own,
			 const struct endpoint *server, void *ctx);
	/*
	 * A connection of a service (index in the model) lives: its request, and (nat) the way back, else NULL. NULL: nobody
	 * wants to know.
	 */
	void (*on_live)(const struct flow_view *f, const struct flow_view *reply, size_t service, void *ctx);
	/* A slice is over; NULL as well. */
	void (*on_slice)(void *ctx);
	void *ctx;
};

/* 0 or -errno. */
int sweep_new(struct event_base *base, struct dataplane *d, struct grace *grace, struct reconcile *r,
	      const struct sweep_ops *ops, struct sweep **ret);
void sweep_free(struct sweep *s); /* takes NULL */
/* The model whose time-outs count; kept until the next call. */
void sweep_set_model(struct sweep *s, const struct model *m);
const struct sweep_counts *sweep_counts(const struct sweep *s);
/* Connections of a server at the last pass. */
uint32_t sweep_connections(const struct sweep *s, uint32_t server_id);
/* Flow table entries that named a server at the last pass; a nat connection has two. */
uint32_t sweep_entries(const struct sweep *s, uint32_t server_id);
/* Connections of a service (index in the model) at the last pass. */
uint32_t sweep_service_connections(const struct sweep *s, size_t service);
/* Connections were ended by a generation: they are to be found at once. Until a whole pass after now is over. */
void sweep_hurry(struct sweep *s);
/* Runs the rest of the present pass at once. For tests, which have no time for slices. */
void sweep_finish(struct sweep *s);
/* The number (sweep_counts.passes) of the first pass that begins after now, when it is over. */
uint64_t sweep_next_pass(const struct sweep *s);

#endif
