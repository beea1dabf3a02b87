/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the test_agent_* files: a folder of the test's own, a child process whose last word is its exit code, waiting for
 * a condition with the loop turning.
 */
#ifndef TESTS_UNIT_AGENT_RIG_H
#define TESTS_UNIT_AGENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { RIG_PATIENCE_S = 20 };

struct folder {
	char path[64];
};

static inline void folder_new(struct folder *f)
{
	strcpy(f->path, "/tmp/alwayson-unit-XXXXXX");
	assert_non_null(mkdtemp(f->path));
}

/* The path of a file in it; valid until the fourth next call. */
static inline const char *folder_file(const struct folder *f, const char *name)
{
	static char paths[4][256];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->path, name);
	return path;
}

static inline void folder_remove(const struct folder *f)
{
	DIR *d = opendir(f->path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(f->path);
}

static inline void file_write(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* The file's text, to be freed; "" when it is missing. */
static inline char *file_read(const char *path)
{
	char *text = calloc(1, 65536);
	FILE *f = fopen(path, "re");

	assert_non_null(text);
	if (f) {
		text[fread(text, 1, 65535, f)] = '\0';
		fclose(f);
	}
	return text;
}

static inline mode_t file_mode(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

/*
 * Runs run(arg) in a child; what it returns is 0 or the line of the check that failed. cmocka's asserts must not be
 * used in there: they would jump into the parent's test.
 */
static inline int in_child(int (*run)(void *arg), void *arg)
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int line = run(arg);

		if (line)
			fprintf(stderr, "the child's check in line %d failed (errno: %s)\n", line, strerror(errno));
		_exit(line != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

#define child_check(c)                   \
	do {                             \
		if (!(c))                \
			return __LINE__; \
	} while (0)

/* Turns the loop until *done. */
static inline void rig_turn(struct event_base *base, const bool *done)
{
	const struct timeval tick = { .tv_usec = 10000 };
	time_t until = time(NULL) + RIG_PATIENCE_S;

	while (!*done) {
		assert_true(time(NULL) < until);
		/* The tick only bounds one turn, so that the patience above is noticed. */
		event_base_loopexit(base, &tick);
		event_base_loop(base, EVLOOP_ONCE);
	}
}

#endif
