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

enum {
	ANSWER_MS = 3000, /* sharing_remove() and sharing_priority() wait no longer */
	TRY_MS = 20000,   /* nor sharing_try(), which waits for the verifier alone */
};

struct request {
	uint32_t number; /* of the answer too: one that came too late is passed over */
	uint32_t verb;   /* enum sharing_verb */
	uint32_t ifindex;
	uint32_t priority;
};

struct answer {
	uint32_t number;
	uint32_t verb, ifindex;
	int32_t r;
	uint32_t priority;
	char error[DATAPLANE_ERROR_MAX];
};

/* ---- the process ---- */

static void serve_one(const char *dir, const struct request *q, struct answer *a)
{
	switch (q->verb) {
	case SHARING_ADD:
		a->r = dispatcher_add(dir, q->ifindex, q->priority, a->error);
		break;
	case SHARING_REMOVE:
		a->r = dispatcher_remove(dir, q->ifindex);
		break;
	case SHARING_TRY:
		a->r = dispatcher_try(a->error);
		break;
	default:
		a->r = dispatcher_priority(dir, q->ifindex, &a->priority);
	}
}

/* Whoever asked may have ended meanwhile: what is in the queue is done all the same. */
static void serve(int fd, const char *dir)
{
	struct request q;

	while (recv(fd, &q, sizeof(q), 0) == sizeof(q)) {
		struct answer a = { .number = q.number, .verb = q.verb, .ifindex = q.ifindex };

		serve_one(dir, &q, &a);
		send(fd, &a, sizeof(a), MSG_NOSIGNAL);
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

/* Numbers begin anew with each program that this process becomes, and what was asked before may be answered then. */
static uint32_t next_number(void)
{
	static uint32_t number;

	if (!number)
		number = (uint32_t)now_ms() | 1;
	return ++number;
}

static int ask(int fd, struct request *q)
{
	q->number = next_number();
	return send(fd, q, sizeof(*q), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int ask_and_wait(int fd, int ms, struct request *q, struct answer *a)
{
	const long until = now_ms() + ms;
	int r = ask(fd, q);

	while (r == 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		const long left = until - now_ms();
		int ready = left > 0 ? poll(&p, 1, (int)left) : 0;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready < 0 ? -errno : -ETIMEDOUT;
		if (recv(fd, a, sizeof(*a), MSG_DONTWAIT) != sizeof(*a))
			return -EPIPE;
		if (a->number == q->number)
			return 0;
	}
	return r;
}

int sharing_ask(int fd, enum sharing_verb verb, unsigned ifindex, unsigned priority, uint32_t *ret_number)
{
	struct request q = { .verb = verb, .ifindex = ifindex, .priority = priority };
	int r = ask(fd, &q);

	*ret_number = q.number;
	return r;
}

int sharing_next(int fd, struct sharing_answer *ret)
{
	struct answer a;
	ssize_t n = recv(fd, &a, sizeof(a), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(a))
		return -EPIPE;
	*ret = (struct sharing_answer){ .number = a.number, .verb = a.verb, .ifindex = a.ifindex, .r = a.r };
	snprintf(ret->error, sizeof(ret->error), "%.*s", (int)sizeof(a.error) - 1, a.error);
	return 1;
}

int sharing_remove(int fd, const char *dir, unsigned ifindex)
{
	struct request q = { .verb = SHARING_REMOVE, .ifindex = ifindex };
	struct answer a;
	int r;

	if (fd < 0)
		return dispatcher_remove(dir, ifindex);
	r = ask_and_wait(fd, ANSWER_MS, &q, &a);
	return r < 0 ? r : a.r;
}

int sharing_try(int fd, char error[DATAPLANE_ERROR_MAX])
{
	struct request q = { .verb = SHARING_TRY };
	struct answer a;
	int r = ask_and_wait(fd, TRY_MS, &q, &a);

	if (r < 0)
		return dataplane_fail(r, error, "the process that asks libxdp (alwaysond-xdp) does not answer: %s", strerror(-r));
	if (a.r < 0)
		snprintf(error, DATAPLANE_ERROR_MAX, "%.*s", (int)sizeof(a.error) - 1, a.error);
	return a.r;
}

int sharing_priority(int fd, unsigned ifindex, unsigned *ret)
{
	struct request q = { .verb = SHARING_PRIORITY, .ifindex = ifindex };
	struct answer a;
	int r = fd < 0 ? -EPIPE : ask_and_wait(fd, ANSWER_MS, &q, &a);

	if (r == 0)
		r = a.r;
	if (r == 0)
		*ret = a.priority;
	return r;
}
