/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who waits for the agent's next event over the control socket. Part of the agent: monitor.c says when there is one.
 */
#ifndef AGENT_WATCH_H
#define AGENT_WATCH_H

struct agent;
struct control_request;
struct watches;

enum watch_limit {
	WATCH_WAIT_DEFAULT_MS = 30000,
	WATCH_WAIT_MAX_MS = 600000,
};

/* Once the loop is there. 0 or -ENOMEM. */
int watches_new(struct agent *a, struct watches **ret);
/* Answers all who wait with what there is; before the control room and the monitor end. Takes NULL. */
void watches_free(struct watches *all);
/* There is an event: those who wait are answered in the loop's next turn. Takes NULL. */
void watches_wake(struct watches *all);

void verb_watch(struct control_request *r, unsigned argc, const char *const *argv, void *ctx);

#endif
