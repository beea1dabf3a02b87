/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `alwayson restart`: the running agent becomes the program that is installed now, by exec. The program in the kernel
 * steers on; the new agent takes over as after a crash, but nothing that listens is closed meanwhile. Part of the agent.
 */
#ifndef AGENT_RESTART_H
#define AGENT_RESTART_H

#include <stdbool.h>

struct agent;
struct control_request;
struct restart;

enum restart_limit {
	RESTART_CHECK_MS = 30000,   /* for the new program to check the configuration */
	RESTART_QUIET_MS = 1000,    /* for replies under way to be sent, and state to be saved */
	RESTART_ERROR_MAX = 2048,
};

/* At the program's start, before anything is opened: what it would execute, and whether it is one that was. */
void restart_remember(char **argv);

/*
 * For -c, when an agent asks whether this program could take its place: does it know the tables as they are, and the
 * processes that make the checks? 0; -EINVAL with a line on stderr. Always 0 when nobody asks that.
 */
int restart_check_successor(void);
/* Is this -c such a question? Then plugins are checked by the one who asks. */
bool restart_is_asked(void);

/* Answers the request: by a failure, or, in the new program, once it is ready. */
void restart_begin(struct agent *a, struct control_request *r);
/* The agent is ready: who asked for the restart is told. */
void restart_answer(struct agent *a);
/* The agent stops. */
void restart_done(struct agent *a);

#endif
