/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * socket(), as plugins and their libraries see it: this program's comes before libc's. For `check via vip` the agent sends
 * a TCP socket along that it has marked, which a worker has no right to do, and it is handed out here in place of a new
 * one: a library that offers no way to be given a socket takes it without knowing. Worker.c says when.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checker/checker.h"

static bool steered;
static int given = -1;

void sockets_steer(int fd)
{
	if (given >= 0)
		close(given);
	given = fd;
	steered = fd >= 0;
}

/* The one that was sent along, if it is of the kind asked for. Any other would tell of another way: refused. */
static int take_given(int domain, int type)
{
	int family = 0;
	socklen_t length = sizeof(family);
	int fd = given;

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length) < 0 || family != domain ||
	    (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM ||
	    (type & SOCK_NONBLOCK && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)) {
		errno = EPERM;
		return -1;
	}
	given = -1;
	return fd;
}

__attribute__((visibility("default"))) int socket(int domain, int type, int protocol)
{
	return steered ? take_given(domain, type) : (int)syscall(SYS_socket, domain, type, protocol);
}
