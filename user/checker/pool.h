/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's end of alwayson-checker: a pool of workers, each with one blocking check at a time. Wired by agent/ to
 * health's runner. Runs on the agent's event loop and never blocks it, checker_validate() aside.
 *
 * What the end of a check means: DONE, the plugin says what it found; LATE, the worker had begun and did not end in
 * time: the server's fault, the worker is killed; UNKNOWN, the worker died, or did not begin within CHECKER_ACK_MS:
 * nobody knows, and the server's state is kept.
 */
#ifndef CHECKER_POOL_H
#define CHECKER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alwayson/check.h"
#include "base/addr.h"

struct event_base;
struct checker;
struct checker_job;

enum checker_pool_limit {
	CHECKER_WORKERS_MAX = 64,        /* at most so many checks wait for their servers at a time */
	CHECKER_QUEUE_MAX = 16384,
	CHECKER_IDLE_MS = 30000,         /* a worker without work for so long goes, but for the last one */
	CHECKER_JOBS_MAX = 1000,         /* checks of one worker: then it makes room for a fresh one, whatever its plugins leak */
	CHECKER_BACKOFF_MIN_MS = 100,    /* after a worker died by itself: how long until the next one is made */
	CHECKER_BACKOFF_MAX_MS = 5000,
	CHECKER_POOL_ERROR_MAX = 512,
};

enum checker_outcome { CHECKER_JOB_DONE, CHECKER_JOB_LATE, CHECKER_JOB_UNKNOWN };

struct checker_counts {
	unsigned workers, busy, queued, templates;
	uint64_t checks, late, unknown, died, killed, spawned;
};

struct checker_ops {
	/* Something an operator ought to know, in words; level as in syslog. */
	void (*on_event)(int level, const char *text, void *ctx);
	void *ctx;
};

/* A check line: "NAME\0SECRET\0WORD\0...", count texts in all, each with its end. */
struct checker_words {
	const char *bytes;
	size_t length;
	unsigned count;
};

struct checker_check {
	struct checker_words words;
	struct endpoint at;
	int socket;                    /* what the plugin connects, in place of a socket of its own; -1 = none */
	uint32_t connect_ms, total_ms; /* from when a worker begins it */
};

/*
 * Starts the program, which must be done before the agent gives up its rights: only then can it become another user.
 * program NULL: alwayson-checker beside this executable, else in ../lib/alwayson. 0, or -errno with error.
 */
int checker_new(struct event_base *base, const char *program, const struct checker_ops *ops, struct checker **ret,
		char error[CHECKER_POOL_ERROR_MAX]);
/*
 * For a program that this one becomes by exec (base/handover.h): its checker_new() goes on with the processes that there
 * are, which it could not start for want of rights. Only one of the same checker_protocol(). False: no room.
 */
bool checker_hand_over(const struct checker *c);
unsigned checker_protocol(void);
void checker_free(struct checker *c); /* takes NULL; ends all workers, answers no job */

/*
 * Queues a check. Its end comes by done(), from the loop; result is NULL unless the outcome is DONE, text is for people
 * otherwise. The socket is closed here, whatever is returned. 0 and *ret_job for checker_cancel(), or -errno: -ENOSPC queue full, -ENOMEM, -ENOTCONN no process left.
 */
int checker_begin(struct checker *c, const struct checker_check *check,
		  void (*done)(enum checker_outcome outcome, const struct plugin_result *result, const char *text,
			       void *arg),
		  void *arg, struct checker_job **ret_job);
/* done() is not called. A worker that has begun with it goes on, and what it says is thrown away. */
void checker_cancel(struct checker_job *job);

/*
 * Has a worker load the plugin and read its words, and waits for it, CHECKER_CONFIGURE_MS at most. 0, or -EINVAL and
 * what is wrong with them in error, or another -errno when nobody can tell.
 */
int checker_validate(struct checker *c, const struct checker_words *words, char error[CHECKER_POOL_ERROR_MAX]);

void checker_count(const struct checker *c, struct checker_counts *ret);

#endif
