/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One check under way: its connection (TCP, TLS over it, or UDP), its time limits, and the talk over it. There is one
 * only as long as the check lasts: most servers are between two checks most of the time. Driven by libevent, never
 * blocks; every way it can end goes through on_done. Knows nothing of states, intervals or names: server.c and
 * agent_check.c start it and judge the result.
 */
#ifndef HEALTH_ATTEMPT_H
#define HEALTH_ATTEMPT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/result.h"
#include "health/schedule.h"
#include "health/talk.h"
#include "health/target.h"
#include "health/wire.h"

enum attempt_limit {
	ATTEMPT_READS_FREE = 32,    /* a check that reads more often than this ... */
	ATTEMPT_READ_PAUSE_MS = 20, /* ... waits so long before each further time: what drips in is cheap */
	ATTEMPT_DATAGRAMS = 3,      /* times a question is sent by UDP, spread over the time there is */
};

struct attempt;

/*
 * A check that something else makes: a worker process, a command. attempt_start() hands it over, attempt_answer()
 * ends it. It keeps to a->deadline_ms itself, since only it can tell a check that failed from one that never began.
 */
struct attempt_elsewhere {
	/* 0: attempt_answer() follows, perhaps from within. -errno: nothing follows, the check says nothing. */
	int (*start)(struct attempt *a, void *ctx);
	/* No answer is wanted any more. */
	void (*cancel)(struct attempt *a, void *ctx);
	void *ctx;
};

/* Who sends a check's packets to a service's address by way of its server; the answers must be from `at` again. */
struct attempt_via {
	/* The mark for the sockets of its check; 0 = there is no such way now. */
	uint32_t (*mark)(const struct attempt_target *t, void *ctx);
	/* Packets sent that way so far: one that was not proves nothing. */
	uint64_t (*sent)(uint32_t mark, void *ctx);
	void *ctx;
};

enum attempt_phase {
	ATTEMPT_CONNECTING,
	ATTEMPT_HANDSHAKE,
	ATTEMPT_TALKING,
	ATTEMPT_ELSEWHERE,
};

/* Whose checks they are. */
struct attempt_owner {
	struct event_base *base;
	/*
	 * Called once per attempt_start(), perhaps from within it. Its place is empty by then, so that another one may be
	 * started from here; `a` is closed, and ends with the call.
	 */
	void (*on_done)(struct attempt *a, const struct check_result *r);
	const struct attempt_elsewhere *elsewhere; /* NULL = nothing is made elsewhere */
	const struct attempt_via *via; /* NULL = nobody does */
};

struct attempt {
	struct attempt_owner owner;
	struct attempt **place;  /* where its owner keeps it */
	struct wire_steer steer;
	uint64_t sent_before;
	void *job;               /* of that; NULL = none */
	bool job_is_command;
	struct event io;
	struct wire wire;
	enum attempt_phase phase;
	short waits;             /* for EV_READ or EV_WRITE; 0 = for the end of a pause */
	bool connected;          /* once: the answer's time has begun */
	bool late;               /* its time was over, and it was looked once whether something is there */
	unsigned reads, datagrams;
	uint64_t started_ms, deadline_ms;
	uint64_t again_ms;       /* of a datagram: when it is sent once more */
	const struct attempt_target *target;
	const struct schedule *schedule;
	struct talk talk;
};

/*
 * Begins one, to be found at *place, where there is none, until it is over. target and schedule are read until on_done;
 * they may be replaced by equal ones in the same place meanwhile.
 */
void attempt_start(struct attempt **place, const struct attempt_owner *owner, const struct attempt_target *target,
		   const struct schedule *schedule);
/* Ends it without a result. Nothing happens when there is none. */
void attempt_cancel(struct attempt **place);
/* The answer of what is made elsewhere. */
void attempt_answer(struct attempt *a, const struct check_result *r);

/* The clock of all deadlines: monotonic, in ms. */
uint64_t attempt_clock_ms(void);

#endif
