/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `option plugin-check ssh [min-version V]`: does an SSH server answer, with protocol V (default 2.0) or newer? It is
 * also the example of docs/plugins.md: all of a plugin in one file. Runs in alwayson-checker, one check at a time.
 */
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "alwayson/check.h"

static int configure(size_t argc, const char *const *argv, const char *secret, void **ret_state,
		     char error[PLUGIN_ERROR_MAX])
{
	double *min = malloc(sizeof(*min));
	char end;

	if (min && (!argc || (argc == 2 && !strcmp(argv[0], "min-version") && sscanf(argv[1], "%lf%c", min, &end) == 1))) {
		*min = argc ? *min : 2.0;
		*ret_state = min;
		return 0;
	}
	snprintf(error, PLUGIN_ERROR_MAX, "write: option plugin-check ssh [min-version V], V such as 2.0");
	free(min);
	return -1;
}

static int wait_for(int fd, short what, uint64_t deadline_ms)
{
	struct pollfd p = { .fd = fd, .events = what };
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_MONOTONIC, &t);
	now = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
	return now < deadline_ms && poll(&p, 1, (int)(deadline_ms - now)) > 0;
}

static void check(void *state, const struct plugin_request *request, struct plugin_result *ret)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *to = NULL;
	char port[8], banner[256] = "", *newline = NULL;
	size_t length = 0;
	double version;
	ssize_t n = 1;
	int fd, failed;

	snprintf(port, sizeof(port), "%u", request->port);
	fd = socket(request->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ret->code = PLUGIN_TROUBLE;
	if (fd >= 0 && !getaddrinfo(request->address, port, &hints, &to)) {
		connect(fd, to->ai_addr, to->ai_addrlen);
		failed = !wait_for(fd, POLLOUT, request->connect_deadline_ms);
		ret->code = failed ? PLUGIN_CONNECT_TIMEOUT : PLUGIN_CONNECT_FAILED;
		if (!failed && !getpeername(fd, &(struct sockaddr){}, &(socklen_t){ sizeof(struct sockaddr) }))
			ret->code = PLUGIN_TIMEOUT;
		while (ret->code == PLUGIN_TIMEOUT && !newline && wait_for(fd, POLLIN, request->deadline_ms)) {
			n = recv(fd, banner + length, sizeof(banner) - 1 - length, 0);
			length += n > 0 ? (size_t)n : 0;
			newline = memchr(banner, '\n', length);
			if (newline || n <= 0 || length == sizeof(banner) - 1)
				ret->code = PLUGIN_BAD_ANSWER;
		}
		if (newline && sscanf(banner, "SSH-%lf-", &version) == 1)
			ret->code = version >= *(double *)state ? PLUGIN_PASSED : PLUGIN_REFUSED;
		snprintf(ret->text, sizeof(ret->text), "%.*s", (int)strcspn(banner, "\r\n"), banner);
		freeaddrinfo(to);
	}
	if (fd >= 0)
		close(fd);
}

const struct plugin alwayson_plugin = {
	.abi = PLUGIN_ABI, .name = "ssh", .summary = "an SSH server answers with its banner",
	.configure = configure, .check = check, .release = free,
};
