/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libxdp's answers as events of the loop: another process asks it (dataplane/sharing.h), which may take seconds. Interfaces
 * are applied anew after each answer; who asked for one by the control socket waits for it here.
 */
#ifndef AGENT_SHARED_H
#define AGENT_SHARED_H

#include <jansson.h>
#include <stdbool.h>

struct agent;
struct control_request;
struct model;
struct shared;

enum { SHARED_LATE_MS = 3000 }; /* without an answer for so long: that is told */

/* *ret is NULL where nobody asks libxdp. 0 or -ENOMEM. */
int shared_new(struct agent *a, struct shared **ret);
void shared_free(struct shared *s); /* takes NULL; who still waits is told so */
/* libxdp may have been asked: its answer is waited for. Takes NULL. */
void shared_expect(struct shared *s);

/* Answers the request once libxdp has answered all that it is asked: with `done`, given the first failure's text or NULL. */
struct shared_wait {
	struct control_request *request;
	char name[16];             /* of the interface; "" = whichever */
	bool was_wanted;
	json_t *reply;             /* done's, if it is called */
	void (*done)(struct agent *a, const struct shared_wait *w, const char *failed);
};
/* False: out of memory, and nothing is taken. */
bool shared_wait(struct shared *s, const struct shared_wait *w);

/*
 * Who asks libxdp can be started only while there are rights, so with the agent. -EPERM with a line for people: the model
 * brings the first `xdp shared` to an agent that was started without, or whose libxdp would not take it.
 */
int shared_check(const struct agent *a, const struct model *m, char *error, size_t size);

#endif
