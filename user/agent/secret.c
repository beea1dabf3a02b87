/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/state.h"
#include "base/cleanup.h"

#define HOW_TO_MAKE_ONE "head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n' > FILE; chmod 600 FILE"
#define DEFAULT_FILE "secret"

enum { DIGITS = 32, READ_MAX = DIGITS + 2 }; /* the newline, and one more byte to see that there is none */

static int __attribute__((format(printf, 3, 4))) fail(char *error, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, SECRET_ERROR_MAX, format, args);
	va_end(args);
	return r;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int parse(const char *text, size_t length, struct hash_key *ret)
{
	struct hash_key key = {};

	if (length != DIGITS && !(length == DIGITS + 1 && text[DIGITS] == '\n'))
		return -EINVAL;
	for (size_t i = 0; i < DIGITS; i++) {
		int d = digit(text[i]);

		if (d < 0)
			return -EINVAL;
		key.k[i / 16] = key.k[i / 16] << 4 | (unsigned)d;
	}
	/* What a placeholder or a failed script leaves. */
	if (!key.k[0] && !key.k[1])
		return -EINVAL;
	*ret = key;
	explicit_bzero(&key, sizeof(key));
	return 0;
}

/* What fstat() says of it must let nobody in but root and us. */
static int check_file(int fd, const char *path, char *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(error, -errno, "hash secret %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(error, -EINVAL, "hash secret %s is not a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return fail(error, -EACCES, "hash secret %s belongs to uid %u, who can read it: chown %u %s", path,
			    st.st_uid, geteuid(), path);
	if (st.st_mode & 077)
		return fail(error, -EACCES, "hash secret %s has mode %03o, others can use it: chmod 600 %s", path,
			    st.st_mode & 0777, path);
	return 0;
}

static int read_key(int fd, const char *path, struct hash_key *ret, char *error)
{
	char text[READ_MAX];
	size_t length = 0;
	int r = check_file(fd, path, error);

	if (r < 0)
		return r;
	while (length < sizeof(text)) {
		ssize_t n = read(fd, text + length, sizeof(text) - length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = fail(error, -errno, "hash secret %s: %s", path, strerror(errno));
			goto out;
		}
		if (n == 0)
			break;
		length += (size_t)n;
	}
	r = parse(text, length, ret);
	if (r < 0)
		fail(error, r, "hash secret %s: %d hexadecimal digits are expected, not all zero. Make one with: %s",
		     path, DIGITS, HOW_TO_MAKE_ONE);
out:
	explicit_bzero(text, sizeof(text));
	return r;
}

static int open_and_read(int dir, const char *name, const char *path, struct hash_key *ret, char *error)
{
	/* O_NONBLOCK: a FIFO in its place must not hold the agent up. */
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 && errno == ENOENT)
		return fail(error, -ENOENT, "hash secret %s is missing. Make it with: %s", path, HOW_TO_MAKE_ONE);
	if (fd < 0)
		return fail(error, -errno, "hash secret %s can't be read: %s", path, strerror(errno));
	return read_key(fd, path, ret, error);
}

static int fill(char digits[static DIGITS + 1])
{
	unsigned char bytes[DIGITS / 2];
	ssize_t n;

	do {
		n = getrandom(bytes, sizeof(bytes), 0);
	} while (n < 0 && errno == EINTR);
	if (n != sizeof(bytes))
		return n < 0 ? -errno : -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(digits + 2 * i, 3, "%02x", bytes[i]);
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

/*
 * Written under another name and linked into place: of two agents that start at the same time both use the one that was
 * first, and neither ever sees half a file.
 */
static int write_new(int dir, const char digits[static DIGITS + 1])
{
	char temporary[64], text[DIGITS + 2];
	ssize_t n;
	int fd, r = 0;

	snprintf(temporary, sizeof(temporary), DEFAULT_FILE ".%d.tmp", (int)getpid());
	snprintf(text, sizeof(text), "%s\n", digits);
	unlinkat(dir, temporary, 0);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		r = -errno;
		goto out;
	}
	/* Against a umask that takes the owner's rights too. */
	n = fchmod(fd, 0600) < 0 ? -1 : write(fd, text, DIGITS + 1);
	if (n < 0 || fsync(fd) < 0)
		r = -errno;
	else if (n != DIGITS + 1)
		r = -EIO;
	close(fd);
	if (r == 0 && linkat(dir, temporary, dir, DEFAULT_FILE, 0) < 0 && errno != EEXIST)
		r = -errno;
	unlinkat(dir, temporary, 0);
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
out:
	explicit_bzero(text, sizeof(text));
	return r;
}

static int generate(int dir)
{
	char digits[DIGITS + 1];
	int r = fill(digits);

	if (r == 0)
		r = write_new(dir, digits);
	explicit_bzero(digits, sizeof(digits));
	return r;
}

int secret_keep(struct state *s, const struct hash_key *key)
{
	char digits[DIGITS + 1];
	int r;

	if (!s)
		return -ENOTDIR;
	if (faccessat(state_dir_fd(s), DEFAULT_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	snprintf(digits, sizeof(digits), "%016llx%016llx", (unsigned long long)key->k[0], (unsigned long long)key->k[1]);
	r = write_new(state_dir_fd(s), digits);
	explicit_bzero(digits, sizeof(digits));
	return r;
}

/* Nothing keeps it: it lasts as long as the process. */
static int make_in_memory(struct hash_key *ret, char *error)
{
	char text[DIGITS + 1];
	int r = fill(text);

	if (r == 0)
		r = parse(text, DIGITS, ret);
	explicit_bzero(text, sizeof(text));
	return r < 0 ? fail(error, r, "no random bytes for a hash secret: %s", strerror(-r)) : 0;
}

int secret_load(const char *file, struct state *s, struct hash_key *ret, char error[static SECRET_ERROR_MAX])
{
	char path[PATH_MAX];
	int r;

	if (file)
		return open_and_read(AT_FDCWD, file, file, ret, error);
	if (!s)
		return make_in_memory(ret, error);
	snprintf(path, sizeof(path), "%s/" DEFAULT_FILE, state_dir(s));
	r = open_and_read(state_dir_fd(s), DEFAULT_FILE, path, ret, error);
	if (r != -ENOENT)
		return r;
	r = generate(state_dir_fd(s));
	if (r < 0)
		return fail(error, r, "hash secret %s can't be made: %s", path, strerror(-r));
	return open_and_read(state_dir_fd(s), DEFAULT_FILE, path, ret, error);
}
