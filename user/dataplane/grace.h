/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Grace periods: calls back, on the loop, when every packet that was being handled at the time of the request has been.
 * The wait (membarrier, which waits like synchronize_rcu) blocks a helper thread, never the loop.
 */
#ifndef DATAPLANE_GRACE_H
#define DATAPLANE_GRACE_H

#include <stdbool.h>

struct event_base;
struct grace;

int grace_new(struct event_base *base, struct grace **ret); /* 0 or -errno */
void grace_free(struct grace *g); /* takes NULL; pending calls are dropped */
/* 0 or -ENOMEM. Requests made while a wait is under way are served together by the next. */
int grace_call(struct grace *g, void (*call)(void *ctx), void *ctx);

#endif
