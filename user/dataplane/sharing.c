/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/sharing.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dataplane/dispatcher.h"
#include "dataplane/internal.h"

/* Below DATAPLANE_DEATH_MS: the agent's loop waits for the answer. */
enum { ANSWER_MS = 3000 };

struct request {
	uint32_t number; /* of the answer too: one that came too late is passed over */
	uint32_t ifindex;
	bool add;
};

struct answer {
	uint32_t number;
	int32_t r;
	char error[DATAPLANE_ERROR_MAX];
};

/* ---- the process ---- */

static void serve(int fd, const char *dir)
{
	struct request q;

	while (recv(fd, &q, sizeof(q), 0) == sizeof(q)) {
		struct answer a = { .number = q.number };

		a.r = q.add ? dispatcher_add(dir, q.ifindex, a.error) : dispatcher_remove(dir, q.ifindex);
		if (send(fd, &a, sizeof(a), MSG_NOSIGNAL) < 0)
			return;
	}
}

/* What libxdp takes, of what there is. */
static void keep_rights(void)
{
	static const unsigned kept[] = { CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON };
	bool have[array_size(kept)];

	if (capng_get_caps_process() < 0)
		return;
	for (size_t i = 0; i < array_size(kept); i++)
		have[i] = capng_have_capability(CAPNG_PERMITTED, kept[i]);
	capng_clear(CAPNG_SELECT_CAPS);
	for (size_t i = 0; i < array_size(kept); i++)
		if (have[i])
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, kept[i]);
	capng_apply(CAPNG_SELECT_CAPS);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* Signals to the agent's group are the agent's: it needs this process to detach. */
static void leave_agent(int fd)
{
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE };
	sigset_t none;

	for (size_t i = 0; i < array_size(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "alwaysond-xdp");
	if (fd > 3)
		syscall(SYS_close_range, 3U, (unsigned)fd - 1, 0);
	syscall(SYS_close_range, (unsigned)fd + 1, ~0U, 0);
	keep_rights();
}

int sharing_start(const char *name, int *ret_fd)
{
	char dir[DISPATCHER_PATH_MAX];
	int pair[2];
	pid_t pid;

	snprintf(dir, sizeof(dir), "%s/%s", DATAPLANE_PIN_ROOT, name);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		leave_agent(pair[1]);
		serve(pair[1], dir);
		_exit(0);
	}
	close(pair[1]);
	if (pid < 0) {
		int r = -errno;

		close(pair[0]);
		return r;
	}
	*ret_fd = pair[0];
	return 0;
}

/* ---- the agent ---- */

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int ask(int fd, struct request *q, struct answer *a)
{
	static uint32_t number;
	const long until = now_ms() + ANSWER_MS;

	q->number = ++number;
	if (send(fd, q, sizeof(*q), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		const long left = until - now_ms();
		int r = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r < 0 ? -errno : -ETIMEDOUT;
		if (recv(fd, a, sizeof(*a), MSG_DONTWAIT) != sizeof(*a))
			return -EPIPE;
		if (a->number == q->number)
			return 0;
	}
}

int sharing_add(int fd, const char *dir, unsigned ifindex, char error[DATAPLANE_ERROR_MAX])
{
	struct request q = { .ifindex = ifindex, .add = true };
	struct answer a;
	int r;

	if (fd < 0)
		return dispatcher_add(dir, ifindex, error);
	r = ask(fd, &q, &a);
	if (r == -ETIMEDOUT)
		return dataplane_fail(r, error, "libxdp's dispatcher is not ready after %d s; it is taken when it is",
				      ANSWER_MS / 1000);
	if (r < 0)
		return dataplane_fail(r, error, "the process that asks libxdp has ended (%s): start the agent anew",
				      strerror(-r));
	a.error[sizeof(a.error) - 1] = '\0';
	return a.r < 0 ? dataplane_fail(a.r, error, "%s", a.error) : 0;
}

int sharing_remove(int fd, const char *dir, unsigned ifindex)
{
	struct request q = { .ifindex = ifindex };
	struct answer a;
	int r;

	if (fd < 0)
		return dispatcher_remove(dir, ifindex);
	r = ask(fd, &q, &a);
	return r < 0 ? r : a.r;
}
