/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One check under way: connect, and for http ask and read the status line. Embedded in a server, used again for each of
 * its checks, so that a check costs no allocation. Driven by libevent, never blocks; every way it can end goes through
 * on_done. Knows nothing of states, intervals or names: server.c starts it and judges the result.
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
#include "health/status_line.h"
#include "model/model.h"

/* What is checked, and what answer is good. */
struct attempt_target {
	struct endpoint at;
	enum model_check kind;
	char *request; /* http: the whole request; else NULL */
	size_t request_length;
	bool expect_negated;
	size_t expect_count; /* 0 = 200-399 */
	struct model_status_range expect[MODEL_STATUS_RANGES_MAX];
};

enum attempt_phase { ATTEMPT_IDLE, ATTEMPT_CONNECTING, ATTEMPT_SENDING, ATTEMPT_RECEIVING };

struct attempt {
	struct event_base *base;
	/* Called once per attempt_start(), perhaps from within it; the attempt is idle again by then. */
	void (*on_done)(struct attempt *a, const struct check_result *r);
	struct event io;
	int fd;
	enum attempt_phase phase;
	size_t sent;
	uint64_t started_ms, deadline_ms;
	const struct attempt_target *target;
	const struct schedule *schedule;
	struct status_line line;
};

/* Fills a target from the model. 0 or -ENOMEM. */
int attempt_target_init(struct attempt_target *ret, const struct model_backend *b, const struct model_server *s);
void attempt_target_done(struct attempt_target *t);
bool attempt_target_equal(const struct attempt_target *a, const struct attempt_target *b);

void attempt_init(struct attempt *a, struct event_base *base,
		  void (*on_done)(struct attempt *a, const struct check_result *r));
/* target and schedule are read until on_done; they may be replaced by equal ones in the same place meanwhile. */
void attempt_start(struct attempt *a, const struct attempt_target *target, const struct schedule *schedule);
/* Ends it without a result. Nothing happens when it is idle. */
void attempt_cancel(struct attempt *a);

/* The clock of all deadlines: monotonic, in ms. */
uint64_t attempt_clock_ms(void);

#endif
