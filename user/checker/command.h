/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * External commands as checks (HAProxy's external-check), the agent's end: a process made by a template, and so without
 * any right, starts them and tells how they ended. Part of the pool (pool.h), wired by agent/. One process for all of
 * them: it never waits for one. Runs on the agent's event loop and never blocks it.
 */
#ifndef CHECKER_COMMAND_H
#define CHECKER_COMMAND_H

#include <stddef.h>
#include <stdint.h>

struct checker;
struct command_job;

enum command_limit {
	COMMANDS_MAX = 256,         /* that run at a time; more are not begun */
	COMMAND_BYTES_MAX = 8192,   /* of a command's arguments and environment, each with its NUL */
	COMMAND_WORDS_MAX = 64,     /* of both together */
	COMMAND_GRACE_MS = 1000,    /* how long after a deadline the process that should have kept it is given up */
};

enum command_end {
	COMMAND_EXITED,   /* value: its exit code */
	COMMAND_KILLED,   /* value: the signal, not ours */
	COMMAND_LATE,     /* it did not end in time and was killed, with all it had started */
	COMMAND_UNKNOWN,  /* value: an errno; it was not started, or nobody knows: says nothing about the server */
};

/* "COMMAND\0ARG\0...NAME=VALUE\0...": argc texts of arguments, then envc of environment. */
struct command_line {
	const char *bytes;
	size_t length;
	unsigned argc, envc;
};

/*
 * Starts it; its end comes by done(), from the loop. 0 and *ret_job for command_cancel(), or -errno: -EAGAIN too many
 * of them, -ENOMEM, -ENOTCONN no process left, -E2BIG.
 */
int command_begin(struct checker *c, const struct command_line *line, uint32_t total_ms,
		  void (*done)(enum command_end end, int value, void *arg), void *arg, struct command_job **ret_job);
/* It is killed; done() is not called. */
void command_cancel(struct command_job *job);

#endif
