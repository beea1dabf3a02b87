/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A plugin that does what its words say, and what a plugin should not: for tests/unit/test_checker_pool.c.
 *
 *   pass TEXT | fail TEXT | sleep MS | hang | crash | exit | garbage | badcode | calls | secret | whoami | alloc
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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
