/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plugin that does what its words say, and what a plugin should not: for tests/unit/test_checker_pool.c.
 *
 *   pass TEXT | fail TEXT | sleep MS | hang | crash | exit | garbage | badcode | calls | secret | whoami | sockets
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alwayson/check.h"

struct odd {
	char word[32], argument[64], secret[64];
};

static int configure(size_t argc, const char *const *argv, const char *secret, void **ret_state,
		     char error[PLUGIN_ERROR_MAX])
{
	struct odd *o;

	if (!argc) {
		snprintf(error, PLUGIN_ERROR_MAX, "odd wants a word");
		return -1;
	}
	if (!strcmp(argv[0], "configure-hang"))
		usleep(10000000);
	if (!strcmp(argv[0], "configure-crash"))
		abort();
	o = calloc(1, sizeof(*o));
	snprintf(o->word, sizeof(o->word), "%s", argv[0]);
	snprintf(o->argument, sizeof(o->argument), "%s", argc > 1 ? argv[1] : "");
	snprintf(o->secret, sizeof(o->secret), "%s", secret);
	*ret_state = o;
	return 0;
}

/* What must not be possible: "" when none of it is. */
static void try_calls(char *text, size_t size)
{
	pid_t child;
	int fd;

	text[0] = '\0';
	fd = open("/tmp/alwayson-odd", O_CREAT | O_WRONLY, 0600);
	if (fd >= 0)
		snprintf(text, size, "writes files");
	child = fork();
	if (!child)
		_exit(0);
	if (child > 0)
		snprintf(text, size, "forks");
	if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
		snprintf(text, size, "talks to local daemons");
	if (socket(AF_INET, SOCK_RAW, 1) >= 0)
		snprintf(text, size, "has raw sockets");
	if (execl("/bin/true", "true", NULL) != -1 || errno != EPERM)
		snprintf(text, size, "executes programs");
	if (setuid(0) == 0)
		snprintf(text, size, "is root again");
	if (!kill(getppid(), 0))
		snprintf(text, size, "may kill its template");
}

/* What it gets for a socket of each kind: its mark, or that there is none. The last is of the kind of the first. */
static void try_sockets(char *text, size_t size)
{
	static const int kinds[][2] = {
		{ AF_INET6, SOCK_STREAM }, { AF_INET, SOCK_DGRAM }, { AF_INET, SOCK_STREAM | SOCK_NONBLOCK },
		{ AF_INET, SOCK_STREAM },
	};
	int fds[sizeof(kinds) / sizeof(kinds[0])];
	size_t used = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = fds[i] = socket(kinds[i][0], kinds[i][1], 0), mark = 0;
		socklen_t length = sizeof(mark);
		bool right = fd >= 0 && !(fcntl(fd, F_GETFL) & O_NONBLOCK) == !(kinds[i][1] & SOCK_NONBLOCK);

		if (fd >= 0 && (getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &length) < 0 || !right))
			mark = -1;
		used += (size_t)snprintf(text + used, size - used, fd < 0 ? "%snone" : "%s%x", i ? " " : "", (unsigned)mark);
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void check(void *state, const struct plugin_request *request, struct plugin_result *ret)
{
	const struct odd *o = state;
	static const char junk[5000] = "junk";
	int fd;

	snprintf(ret->text, sizeof(ret->text), "%s", o->argument);
	if (!strcmp(o->word, "fail"))
		ret->code = PLUGIN_REFUSED;
	else if (!strcmp(o->word, "sleep"))
		usleep((useconds_t)atoi(o->argument) * 1000);
	else if (!strcmp(o->word, "hang"))
		for (;;)
			usleep(100000);
	else if (!strcmp(o->word, "crash"))
		raise(SIGSEGV), abort();
	else if (!strcmp(o->word, "exit"))
		_exit(0);
	else if (!strcmp(o->word, "garbage"))
		for (fd = 3; fd < 16; fd++)
			send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
	else if (!strcmp(o->word, "badcode"))
		ret->code = 4711;
	else if (!strcmp(o->word, "calls"))
		try_calls(ret->text, sizeof(ret->text));
	else if (!strcmp(o->word, "sockets"))
		try_sockets(ret->text, sizeof(ret->text));
	else if (!strcmp(o->word, "secret"))
		snprintf(ret->text, sizeof(ret->text), "%s", o->secret);
	else if (!strcmp(o->word, "whoami"))
		snprintf(ret->text, sizeof(ret->text), "%d %u %u %d", (int)getpid(), (unsigned)getuid(),
			 (unsigned)getgid(), getppid());
	else if (!strcmp(o->word, "address"))
		snprintf(ret->text, sizeof(ret->text), "%s %u", request->address, request->port);
}

const struct plugin alwayson_plugin = {
	.abi = PLUGIN_ABI, .name = "odd", .summary = "misbehaves on demand",
	.configure = configure, .check = check, .release = free,
};
