/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A library to be preloaded (faults_clock.sh makes it): another time of day for one process, so that the machine's clock is
 * left alone. The file $OTHER_CLOCK holds the seconds it is off, as text of a fixed length, and may be written at any time.
 * Only what tells the time of day is changed: waiting goes by clocks that do not jump, as on a machine whose clock is set.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_LENGTH = 15 };

static const volatile char *text;

static __attribute__((constructor)) void begin(void)
{
	const char *path = getenv("OTHER_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		text = at;
}

static long off_s(void)
{
	char copy[TEXT_LENGTH + 1] = "0";

	for (int i = 0; text && i < TEXT_LENGTH; i++)
		copy[i] = text[i];
	return atol(copy);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
	const int r = (int)syscall(SYS_clock_gettime, clock, t);

	if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		t->tv_sec += off_s();
	return r;
}

int gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	*tv = (struct timeval){ .tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000 };
	return 0;
}

time_t time(time_t *ret)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (ret)
		*ret = t.tv_sec;
	return t.tv_sec;
}
