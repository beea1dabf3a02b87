/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that asks libxdp for an agent that has given its rights up: libxdp looks programs up by their ids, which takes
 * CAP_SYS_ADMIN. Started by agent.c while there are rights, only where the configuration has `xdp shared`; asked by
 * shared.c. It ends with the agent, and goes on when the agent becomes another program. Does nothing but what dispatcher.h
 * offers, in one folder, one request after the other.
 */
#ifndef DATAPLANE_SHARING_H
#define DATAPLANE_SHARING_H

#include "dataplane/dataplane.h"

enum sharing_verb { SHARING_ADD, SHARING_REMOVE, SHARING_PRIORITY, SHARING_TRY };

/* Starts it, for the pins of an instance. *ret_fd: its socket, which keeps it alive. 0 or -errno. */
int sharing_start(const char *name, int *ret_fd);

/* For the loop: never waits. What came of the request is an answer of the same number. 0; -EPIPE: the process has ended. */
int sharing_ask(int fd, enum sharing_verb verb, unsigned ifindex, unsigned priority, uint32_t *ret_number);
struct sharing_answer {
	uint32_t number;
	enum sharing_verb verb;
	unsigned ifindex;
	int r;                           /* of dispatcher_add() or _remove() */
	char error[DATAPLANE_ERROR_MAX];
};
/* When fd can be read. 1: an answer; 0: none is there; -EPIPE: the process has ended. */
int sharing_next(int fd, struct sharing_answer *ret);

/*
 * Before the loop and after it: these wait. -ETIMEDOUT: not done within some seconds, because another tool holds libxdp's
 * lock or its dispatcher is large; the process does it when it can. sharing_remove() is done by this process where fd is -1.
 * sharing_try(): would an entry be taken (dispatcher_try())? 0 or -errno with error.
 */
int sharing_remove(int fd, const char *dir, unsigned ifindex);
int sharing_try(int fd, char error[DATAPLANE_ERROR_MAX]);
int sharing_priority(int fd, unsigned ifindex, unsigned *ret);

#endif
