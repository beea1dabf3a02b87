/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alwayson-checker: started by alwaysond with a socket as descriptor 3. Gives up all rights, then serves
 * as the first template. Plugins are looked for in the folder `plugins` beside this program.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/version.h"
#include "checker/checker.h"
#include "checker/protocol.h"

static bool has_control(void)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return getsockopt(CHECKER_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

static void enter_plugins(void)
{
	char self[PATH_MAX] = "", folder[PATH_MAX + 16];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		self[0] = '\0';
	snprintf(folder, sizeof(folder), "%s/plugins", dirname(self));
	plugins_enter(folder);
}

static int by_hand(int argc, char **argv)
{
	char error[CHECKER_ERROR_MAX] = "";
	const char *notice = NULL;

	enter_plugins();
	if (drop_privileges(&notice, error) < 0) {
		fprintf(stderr, "alwayson-checker: %s\n", error);
		return 1;
	}
	return try_check(argc, argv);
}

/* Not by exit(): what runs then, a sanitizer's search for leaks for one, makes calls that are forbidden by now. */
static void __attribute__((noreturn)) end_by_hand(int code)
{
	fflush(NULL);
	_exit(code);
}

int main(int argc, char **argv)
{
	struct checker_started hello = { .head = { .kind = CHECKER_HELLO } };
	char error[CHECKER_ERROR_MAX] = "";
	const char *notice = NULL;

	if (argc == 2 && !strcmp(argv[1], "--version")) {
		printf("alwayson-checker %s, plugin ABI %d\n", alwayson_version, PLUGIN_ABI);
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "--try"))
		end_by_hand(by_hand(argc - 2, argv + 2));
	if (!has_control()) {
		fprintf(stderr, "alwayson-checker: alwaysond starts this program; by hand there is only --try, --version\n");
		return 2;
	}
	/* Whatever else was inherited is none of our business, and a plugin's still less. */
	close_range(CHECKER_CONTROL_FD + 1, ~0U, 0);
	fcntl(CHECKER_CONTROL_FD, F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* A ^C is meant for the agent, which ends us by closing the socket. */
	setsid();
	umask(077);
	enter_plugins();
	hello.good = drop_privileges(&notice, error) == 0;
	snprintf(hello.text, sizeof(hello.text), "%.*s", (int)sizeof(hello.text) - 1,
		 !hello.good ? error : notice ? notice : "");
	if (checker_send(CHECKER_CONTROL_FD, &hello, sizeof(hello), -1) < 0 || !hello.good)
		return 1;
	template_run(CHECKER_CONTROL_FD);
}
