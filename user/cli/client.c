/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "control/control.h"

enum { CONNECT_TIMEOUT_S = 10, PAUSE_MS = 10000, LOOK_MS = 500 /* a signal may come just before poll() */ };

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int connect_to(const char *path)
{
	/* connect() waits as long as a send would while the agent's backlog is full. */
	const struct timeval limit = { .tv_sec = CONNECT_TIMEOUT_S };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	struct stat st;
	int connected;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	/* The kernel says ECONNREFUSED of a plain file too. */
	if (stat(path, &st) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -ENOTSOCK;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	connected = fd;
	fd = -1;
	return connected;
}

static int send_all(int fd, const char *line)
{
	size_t left = strlen(line);

	while (left) {
		ssize_t n = send(fd, line, left, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE)
			return 0; /* the agent has answered already, and why is in its reply */
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		line += n;
		left -= n;
	}
	return 0;
}

static volatile sig_atomic_t interrupted;

void client_interrupt(void)
{
	interrupted = 1;
}

/* Waits for something to read until the deadline. */
static int wait_readable(int fd, uint64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (true) {
		uint64_t now = clock_ms();
		int n;

		if (now >= deadline)
			return -ETIMEDOUT;
		if (interrupted) {
			interrupted = 0;
			return -EINTR;
		}
		n = poll(&p, 1, deadline - now > LOOK_MS ? LOOK_MS : (int)(deadline - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int make_room(char **buffer, size_t length, size_t *capacity)
{
	size_t wanted = *capacity ? *capacity * 2 : 64 * 1024;
	char *grown;

	if (length + 1 < *capacity)
		return 0;
	grown = realloc(*buffer, wanted);
	if (!grown)
		return -ENOMEM;
	*buffer = grown;
	*capacity = wanted;
	return 0;
}

static int receive_all(int fd, uint64_t timeout_ms, char **ret, size_t *ret_length)
{
	_cleanup_free_ char *buffer = NULL;
	size_t length = 0, capacity = 0;
	int r;

	while (true) {
		ssize_t n;

		r = wait_readable(fd, clock_ms() + (length ? PAUSE_MS : timeout_ms));
		if (r < 0)
			return r;
		r = make_room(&buffer, length, &capacity);
		if (r < 0)
			return r;
		n = recv(fd, buffer + length, capacity - length - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != ECONNRESET)
			return -errno;
		if (n <= 0)
			break;
		length += n;
		if (length > CONTROL_REPLY_MAX)
			return -EFBIG;
	}
	if (!length || buffer[length - 1] != '\n')
		return -EPROTO;
	buffer[length] = '\0';
	*ret = take_ptr(buffer);
	*ret_length = length;
	return 0;
}

int client_request(const char *path, const char *line, uint64_t timeout_ms, char **ret, size_t *ret_length)
{
	_cleanup_close_ int fd = connect_to(path);
	int r;

	if (fd < 0)
		return fd;
	r = send_all(fd, line);
	if (r < 0)
		return r;
	return receive_all(fd, timeout_ms, ret, ret_length);
}
