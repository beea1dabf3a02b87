/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A template: a small process without rights that forks workers, and other templates, for the agent, which has no right
 * to make a process of another user once it has dropped its own. Two of them stand ready at any time, so that the death
 * of one costs nothing. It never loads a plugin and reads nothing but the agent's packets.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checker/checker.h"
#include "checker/command_internal.h"
#include "checker/protocol.h"

/* In the child: nothing of the template but its rights, which are none, goes on. */
static void __attribute__((noreturn)) begin_child(int control, int children, int served, uint32_t make)
{
	sigset_t none;

	close(control);
	close(children);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (make == CHECKER_MAKE_TEMPLATE)
		template_run(served);
	if (make == CHECKER_MAKE_RUNNER)
		runner_run(served);
	worker_run(served);
}

static void spawn(int control, int children, int served, const struct checker_spawn *m)
{
	struct checker_spawned answer = { .head = { .kind = CHECKER_SPAWNED, .ticket = m->head.ticket } };
	_cleanup_close_ int pidfd = -1;
	pid_t pid = served < 0 ? -1 : fork();

	if (!pid)
		begin_child(control, children, served, m->make);
	/* Not yet reaped, whatever became of it: the number is still its own. */
	if (pid > 0)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	answer.pid = pid < 0 || pidfd < 0 ? (errno ? -errno : -EINVAL) : pid;
	checker_send(control, &answer, sizeof(answer), pidfd);
}

static void serve(int control, int children)
{
	char bytes[CHECKER_MESSAGE_MAX];
	_cleanup_close_ int fd = -1;
	const struct checker_head *head = (const void *)bytes;
	ptrdiff_t n = checker_receive(control, bytes, sizeof(bytes), &fd);

	if (n == 0 || (n < 0 && n != -EAGAIN))
		_exit(0); /* the agent is gone */
	if (n == (ptrdiff_t)sizeof(struct checker_spawn) && head->kind == CHECKER_SPAWN)
		spawn(control, children, fd, (const void *)bytes);
	else if (n == (ptrdiff_t)sizeof(*head) && head->kind == CHECKER_KILL && fd >= 0)
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

void template_run(int socket)
{
	struct signalfd_siginfo ignored;
	struct pollfd p[2] = { { .fd = socket, .events = POLLIN } };
	sigset_t child;
	int children;

	prctl(PR_SET_NAME, "checker");
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (children < 0)
		_exit(1);
	p[1] = (struct pollfd){ .fd = children, .events = POLLIN };
	for (;;) {
		if (poll(p, array_size(p), -1) < 0 && errno != EINTR)
			_exit(1);
		if (p[1].revents) {
			while (read(children, &ignored, sizeof(ignored)) > 0)
				;
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		}
		if (p[0].revents)
			serve(socket, children);
	}
}
