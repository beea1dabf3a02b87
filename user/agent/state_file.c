/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The whole file in memory. 0, -EINVAL with why, or -errno. */
static int read_all(int fd, size_t limit, char **ret, size_t *ret_length, char *why)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, STATE_WHY_MAX, "it is not a regular file");
		return -EINVAL;
	}
	if ((uint64_t)st.st_size > limit) {
		snprintf(why, STATE_WHY_MAX, "it is longer than %zu bytes", limit);
		return -EINVAL;
	}
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (length < (size_t)st.st_size) {
		ssize_t n = read(fd, text + length, (size_t)st.st_size - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	*ret = take_ptr(text);
	*ret_length = length;
	return 0;
}

int state_file_read(int dir, const char *file, size_t limit, json_t **ret, char why[static STATE_WHY_MAX])
{
	_cleanup_close_ int fd = openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	_cleanup_free_ char *text = NULL;
	json_error_t e;
	size_t length = 0;
	json_t *j;
	int r;

	if (fd < 0)
		return -errno;
	r = read_all(fd, limit, &text, &length, why);
	if (r < 0)
		return r;
	j = json_loadb(text, length, JSON_REJECT_DUPLICATES, &e);
	if (!j) {
		snprintf(why, STATE_WHY_MAX, "line %d column %d: %s", e.line, e.column, e.text);
		return -EINVAL;
	}
	if (!json_is_object(j)) {
		json_decref(j);
		snprintf(why, STATE_WHY_MAX, "it does not hold an object");
		return -EINVAL;
	}
	*ret = j;
	return 0;
}

static int write_all(int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		length -= (size_t)n;
	}
	return 0;
}

int state_file_replace(int dir, const char *file, const json_t *j)
{
	_cleanup_free_ char *text = json_dumps(j, JSON_INDENT(1) | JSON_SORT_KEYS);
	char temporary[NAME_MAX + 1];
	int fd, r;

	if (!text)
		return -ENOMEM;
	snprintf(temporary, sizeof(temporary), "%s.tmp", file);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r == 0)
		r = write_all(fd, "\n", 1);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	/* Some file systems tell only here that there was no room. */
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r == 0 && renameat(dir, temporary, dir, file) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(dir, temporary, 0);
		return r;
	}
	return fsync(dir) < 0 ? -errno : 0;
}
