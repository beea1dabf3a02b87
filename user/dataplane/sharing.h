/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that asks libxdp for an agent that has given its rights up: libxdp looks programs up by their ids, which takes
 * CAP_SYS_ADMIN. Started by agent.c while there are rights, only where the configuration has `xdp shared`; asked by link.c.
 * It ends with the agent, and goes on when the agent becomes another program. Does nothing but dispatcher_add() and
 * dispatcher_remove() in one folder.
 */
#ifndef DATAPLANE_SHARING_H
#define DATAPLANE_SHARING_H

#include "dataplane/dataplane.h"

/* Starts it, for the pins of an instance. *ret_fd: its socket, which keeps it alive. 0 or -errno. */
int sharing_start(const char *name, int *ret_fd);
/*
 * What dispatcher_add() and _remove() do, by the process behind fd; -1: in this one. -ETIMEDOUT: not done within some
 * seconds, because another tool holds libxdp's lock or its dispatcher is large; what comes of it is seen by
 * dispatcher_holds().
 */
int sharing_add(int fd, const char *dir, unsigned ifindex, char error[DATAPLANE_ERROR_MAX]);
int sharing_remove(int fd, const char *dir, unsigned ifindex);

#endif
