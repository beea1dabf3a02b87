/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A helper thread for what blocks by nature. Called by log_writer.c and state.c. It takes no signal from the loop: all
 * but PRIVILEGES_SIGNAL are blocked in it, SIGPIPE too, so that its writes fail with EPIPE.
 */
#ifndef AGENT_THREAD_H
#define AGENT_THREAD_H

#include <pthread.h>

/* name: at most 15 bytes. 0 or -errno. */
int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg);
/* Joins; -ETIMEDOUT when the thread has not ended within ms. */
int thread_join(pthread_t thread, unsigned ms);

#endif
