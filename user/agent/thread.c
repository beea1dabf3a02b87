/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "agent/privileges.h"

int thread_start(pthread_t *ret, const char *name, void *(*run)(void *), void *arg)
{
	sigset_t blocked, before;
	pthread_t thread;
	int r;

	sigfillset(&blocked);
	sigdelset(&blocked, PRIVILEGES_SIGNAL);
	/* A thread is born with its creator's mask: no moment in which it could take a signal. */
	r = pthread_sigmask(SIG_SETMASK, &blocked, &before);
	if (r)
		return -r;
	r = pthread_create(&thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r)
		return -r;
	pthread_setname_np(thread, name);
	*ret = thread;
	return 0;
}

int thread_join(pthread_t thread, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	return -pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until);
}
