/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of a program. Its timers count from when they are set. As it comes, libevent counts from the beginning
 * of the turn: after a long one (a reload, thousands of servers) what was set in it would be over too early, and what was
 * set before might be late. They may still be early by a tick of the kernel's clock (1 to 10 ms): who can't have that
 * looks at the time himself.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <event2/event.h>

/* For event_base_free(). NULL: out of memory or descriptors. */
struct event_base *loop_new(void);

#endif
