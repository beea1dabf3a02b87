/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library to be preloaded: how long each turn of a process' event loop takes, between two waits of its first thread. Those
 * of a millisecond or more are lines of the file $TURNS: microseconds of the thread's own CPU time, which is not what other
 * programs take, and of the clock. The file may be emptied at any time.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { LEAST_US = 1000 };

static int file = -1;
static __thread unsigned long long cpu_us, wall_us; /* when the last wait was over; 0 = there has been none */

static __attribute__((constructor)) void begin(void)
{
	const char *path = getenv("TURNS");

	if (path)
		file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static unsigned long long now_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

static void end_turn(void)
{
	const unsigned long long wall = now_us(CLOCK_MONOTONIC) - wall_us;
	char line[64];
	int n;

	if (!wall_us || wall < LEAST_US || file < 0 || gettid() != getpid())
		return;
	n = snprintf(line, sizeof(line), "%llu %llu\n", now_us(CLOCK_THREAD_CPUTIME_ID) - cpu_us, wall);
	if (write(file, line, n) != n)
		file = -1;
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int ms)
{
	static int (*next)(int, struct epoll_event *, int, int);
	int n;

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "epoll_wait");
	end_turn();
	n = next(epoll, events, max, ms);
	wall_us = now_us(CLOCK_MONOTONIC);
	cpu_us = now_us(CLOCK_THREAD_CPUTIME_ID);
	return n;
}
