/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's end of the templates. The first one is executed before the agent gives up its rights; from then on
 * templates make each other, and two stand ready. One that dies is replaced by means of the other; one that does not
 * answer is killed by it. Called by pool.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/handover.h"
#include "checker/pool_internal.h"

enum { CONTROL_FD = 3, STABLE_MS = 30000, STOP_MS = 500 };

extern char **environ;

static struct timeval in_ms(uint32_t ms)
{
	return (struct timeval){ .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };
}

/* Ours does not block, theirs does. 0 or -errno. */
static int make_pair(int *ret_ours, int *ret_theirs)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0) {
		int r = -errno;

		close(pair[0]);
		close(pair[1]);
		return r;
	}
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

static struct checker_template *any_template(struct checker *c, const struct checker_template *but)
{
	size_t i;

	for (i = 0; i < CHECKER_TEMPLATES; i++)
		if (c->templates[i].socket >= 0 && &c->templates[i] != but)
			return &c->templates[i];
	return NULL;
}

bool checker_link_is_up(const struct checker *c)
{
	return any_template((struct checker *)c, NULL);
}

void checker_link_kill(struct checker *c, int pidfd)
{
	const struct checker_head m = { .kind = CHECKER_KILL };
	size_t i;

	if (pidfd < 0)
		return;
	/* To each: one of them may be stopped, and to be killed twice does no harm. */
	for (i = 0; i < CHECKER_TEMPLATES; i++)
		if (c->templates[i].socket >= 0)
			checker_send(c->templates[i].socket, &m, sizeof(m), pidfd);
}

static void on_packet(evutil_socket_t fd, short what, void *arg);

static void take_over(struct checker_template *t, int socket, int pidfd)
{
	t->socket = socket;
	t->pidfd = pidfd;
	t->pending = t->birth = 0;
	t->since_ms = checker_clock_ms();
	event_assign(&t->io, t->checker->base, socket, EV_READ | EV_PERSIST, on_packet, t);
	event_add(&t->io, NULL);
}

static void on_child_end(evutil_socket_t fd, short what, void *arg)
{
	struct checker_template *t = arg;
	siginfo_t info = {};

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0 || info.si_pid)
		event_del(&t->child);
}

static void drop_template(struct checker_template *t)
{
	event_del(&t->io);
	event_del(&t->timer);
	close(t->socket);
	t->socket = -1;
	/* The pidfd of our own child stays until it has been waited for. */
	if (t->pidfd >= 0 && !t->is_child)
		close(t->pidfd);
	if (!t->is_child)
		t->pidfd = -1;
}

static void lose_template(struct checker_template *t, const char *why)
{
	struct checker *c = t->checker;
	uint64_t now = checker_clock_ms();
	bool stable = now - t->since_ms >= STABLE_MS;

	drop_template(t);
	c->template_backoff_ms = stable ? 0 : c->template_backoff_ms ? c->template_backoff_ms * 2 :
								       CHECKER_BACKOFF_MIN_MS;
	if (c->template_backoff_ms > CHECKER_BACKOFF_MAX_MS)
		c->template_backoff_ms = CHECKER_BACKOFF_MAX_MS;
	if (checker_link_is_up(c)) {
		checker_tell(c, LOG_WARNING, "a process that makes workers %s; it is replaced", why);
		c->template_after_ms = now + (stable ? 0 : c->template_backoff_ms);
		checker_link_mend(c, now);
	} else {
		checker_tell(c, LOG_CRIT, "both processes that make workers are gone (the last one %s): checks by plugins "
			     "keep their last state; restart alwaysond", why);
	}
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct checker_template *t = arg;

	if (!t->pending || t->socket < 0)
		return;
	checker_link_kill(t->checker, t->pidfd);
	lose_template(t, "does not answer");
}

static void on_spawned(struct checker_template *t, const struct checker_spawned *m, int pidfd)
{
	struct checker *c = t->checker;
	size_t i;

	if (t->pending == m->head.ticket) {
		t->pending = 0;
		event_del(&t->timer);
	}
	for (i = 0; i < CHECKER_TEMPLATES; i++) {
		struct checker_template *other = &c->templates[i];

		if (other->socket < 0 || other->birth != m->head.ticket)
			continue;
		/* The other one, which this one has made. */
		other->birth = 0;
		other->pidfd = pidfd;
		return;
	}
	if (!command_runner_spawned(c, m->head.ticket, m->pid, pidfd))
		checker_worker_spawned(c, m->head.ticket, m->pid, pidfd);
}

static void on_packet(evutil_socket_t fd, short what, void *arg)
{
	struct checker_template *t = arg;
	struct checker_spawned m;
	int pidfd = -1;
	ptrdiff_t n = checker_receive(fd, &m, sizeof(m), &pidfd);

	if (n == -EAGAIN)
		return;
	if (n == (ptrdiff_t)sizeof(m) && m.head.kind == CHECKER_SPAWNED) {
		on_spawned(t, &m, pidfd);
		return;
	}
	if (pidfd >= 0)
		close(pidfd);
	if (n > 0)
		checker_link_kill(t->checker, t->pidfd); /* it says what it never would */
	lose_template(t, n > 0 ? "talks nonsense" : "has died");
}

int checker_link_spawn(struct checker *c, enum checker_make make, uint32_t ticket, int *ret_socket)
{
	const struct checker_spawn m = {
		.head = { .kind = CHECKER_SPAWN, .ticket = ticket }, .make = make,
	};
	const struct timeval late = in_ms(CHECKER_SPAWN_MS);
	struct checker_template *t = any_template(c, NULL), *other;
	_cleanup_close_ int theirs = -1;
	int ours, r;

	/* One that is being waited for may be stopped: the other is asked, if there is one. */
	other = t && t->pending ? any_template(c, t) : NULL;
	if (other && !other->pending && !other->birth)
		t = other;
	if (!t)
		return -ENOTCONN;
	r = make_pair(&ours, &theirs);
	if (r < 0)
		return r;
	r = checker_send(t->socket, &m, sizeof(m), theirs);
	if (r < 0) {
		close(ours);
		return r;
	}
	if (!t->pending) {
		t->pending = ticket;
		event_add(&t->timer, &late);
	}
	*ret_socket = ours;
	return 0;
}

void checker_link_mend(struct checker *c, uint64_t now)
{
	struct checker_template *missing = NULL;
	uint32_t ticket = checker_next_ticket(c);
	int socket;
	size_t i;

	for (i = 0; i < CHECKER_TEMPLATES; i++)
		if (c->templates[i].socket < 0)
			missing = &c->templates[i];
	if (!missing || now < c->template_after_ms || !checker_link_is_up(c))
		return;
	c->template_after_ms = now + CHECKER_SPAWN_MS;
	if (checker_link_spawn(c, CHECKER_MAKE_TEMPLATE, ticket, &socket) < 0)
		return;
	if (missing->is_child) {
		event_del(&missing->child);
		waitid(P_PIDFD, (id_t)missing->pidfd, &(siginfo_t){}, WEXITED | WNOHANG);
		close(missing->pidfd);
		missing->is_child = false;
	}
	take_over(missing, socket, -1);
	missing->birth = ticket;
}

static int find_program(char *path, size_t size, char error[CHECKER_POOL_ERROR_MAX])
{
	static const char *const places[] = { "alwayson-checker", "../lib/alwayson/alwayson-checker" };
	char self[PATH_MAX] = "";
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *folder;
	size_t i;

	if (n < 0) {
		snprintf(error, CHECKER_POOL_ERROR_MAX, "/proc/self/exe cannot be read: %s", strerror(errno));
		return -ENOENT;
	}
	folder = dirname(self);
	for (i = 0; i < array_size(places); i++) {
		snprintf(path, size, "%s/%s", folder, places[i]);
		if (!access(path, X_OK))
			return 0;
	}
	snprintf(error, CHECKER_POOL_ERROR_MAX, "alwayson-checker is neither in %.200s nor in %.200s/../lib/alwayson",
		 folder, folder);
	return -ENOENT;
}

static int execute(const char *program, int theirs, pid_t *ret)
{
	char *const argv[] = { (char *)"alwayson-checker", NULL };
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_adddup2(&files, theirs, CONTROL_FD);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (!r)
		r = posix_spawn(ret, program, &files, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

/* Waits for the program to have given up its rights: it takes milliseconds, and the loop does not run yet. */
static int wait_started(struct checker *c, int socket, char error[CHECKER_POOL_ERROR_MAX])
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	struct checker_started hello = {};
	ptrdiff_t n = -EAGAIN;

	if (poll(&p, 1, CHECKER_SPAWN_MS) > 0)
		n = checker_receive(socket, &hello, sizeof(hello), NULL);
	if (n != (ptrdiff_t)sizeof(hello) || hello.head.kind != CHECKER_HELLO) {
		snprintf(error, CHECKER_POOL_ERROR_MAX, "alwayson-checker does not start: %s",
			 n == -EAGAIN ? "no word of it in time" : "it has ended");
		return -EPIPE;
	}
	hello.text[sizeof(hello.text) - 1] = '\0';
	if (!hello.good) {
		snprintf(error, CHECKER_POOL_ERROR_MAX, "alwayson-checker can't give up its rights: %s", hello.text);
		return -EPERM;
	}
	if (hello.text[0])
		checker_tell(c, LOG_NOTICE, "%s", hello.text);
	return 0;
}

unsigned checker_protocol(void)
{
	static const size_t sizes[] = { sizeof(struct checker_spawn), sizeof(struct checker_spawned),
					sizeof(struct checker_request), sizeof(struct checker_configured),
					sizeof(struct checker_done), CHECKER_MESSAGE_MAX, CHECKER_RAN };
	unsigned all = CHECKER_PROTOCOL;

	for (size_t i = 0; i < array_size(sizes); i++)
		all = all * 31 + (unsigned)sizes[i];
	return all;
}

/* Names of what is handed over: the socket, the process, and the process again if it is the agent's child. */
static const char *const handed[CHECKER_TEMPLATES][3] = {
	{ "checker", "checker-process", "checker-child" }, { "checker2", "checker2-process", "checker2-child" },
};

bool checker_hand_over(const struct checker *c)
{
	for (size_t i = 0; i < CHECKER_TEMPLATES; i++) {
		const struct checker_template *t = &c->templates[i];

		if (!handover_give(handed[i][0], t->socket) ||
		    !handover_give(handed[i][t->is_child ? 2 : 1], t->pidfd))
			return false;
	}
	return true;
}

/* Of the program that this one was before its exec. True: there is one to go on with. */
static bool take_inherited(struct checker *c)
{
	for (size_t i = 0; i < CHECKER_TEMPLATES; i++) {
		struct checker_template *t = &c->templates[i];
		int socket = handover_take(handed[i][0]), pidfd = handover_take(handed[i][1]);
		int child = handover_take(handed[i][2]);

		if (socket >= 0)
			take_over(t, socket, child >= 0 ? child : pidfd);
		else if (pidfd >= 0)
			close(pidfd);
		if (child < 0)
			continue;
		t->pidfd = child;
		t->is_child = true;
		event_assign(&t->child, c->base, child, EV_READ | EV_PERSIST, on_child_end, t);
		event_add(&t->child, NULL);
	}
	return checker_link_is_up(c);
}

int checker_link_start(struct checker *c, const char *program, char error[CHECKER_POOL_ERROR_MAX])
{
	_cleanup_close_ int theirs = -1;
	char path[2 * PATH_MAX];
	struct checker_template *t = &c->templates[0];
	int ours, r, pidfd;
	pid_t pid;
	size_t i;

	for (i = 0; i < CHECKER_TEMPLATES; i++) {
		c->templates[i] = (struct checker_template){ .checker = c, .socket = -1, .pidfd = -1 };
		event_assign(&c->templates[i].timer, c->base, -1, 0, on_late, &c->templates[i]);
	}
	if (!program && take_inherited(c)) {
		checker_link_mend(c, checker_clock_ms());
		return 0;
	}
	r = program ? 0 : find_program(path, sizeof(path), error);
	if (r < 0)
		return r;
	r = make_pair(&ours, &theirs);
	if (r < 0) {
		snprintf(error, CHECKER_POOL_ERROR_MAX, "socketpair: %s", strerror(-r));
		return r;
	}
	r = execute(program ? program : path, theirs, &pid);
	pidfd = r < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		r = r < 0 ? r : -errno;
		snprintf(error, CHECKER_POOL_ERROR_MAX, "%.300s cannot be started: %s", program ? program : path,
			 strerror(-r));
		close(ours);
		return r;
	}
	close(theirs);
	theirs = -1;
	r = wait_started(c, ours, error);
	if (r < 0) {
		close(ours);
		waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){}, WEXITED | WNOHANG);
		close(pidfd);
		return r;
	}
	take_over(t, ours, pidfd);
	t->is_child = true;
	event_assign(&t->child, c->base, pidfd, EV_READ | EV_PERSIST, on_child_end, t);
	event_add(&t->child, NULL);
	checker_link_mend(c, checker_clock_ms());
	return 0;
}

void checker_link_stop(struct checker *c)
{
	struct pollfd p = { .events = POLLIN };
	size_t i;

	/* Each ends the others: a stopped one would not see its socket closed. */
	for (i = 0; i < CHECKER_TEMPLATES; i++)
		checker_link_kill(c, c->templates[i].pidfd);
	for (i = 0; i < CHECKER_TEMPLATES; i++) {
		struct checker_template *t = &c->templates[i];

		if (t->socket >= 0)
			drop_template(t);
		if (!t->is_child)
			continue;
		event_del(&t->child);
		p.fd = t->pidfd;
		poll(&p, 1, STOP_MS);
		waitid(P_PIDFD, (id_t)t->pidfd, &(siginfo_t){}, WEXITED | WNOHANG);
		close(t->pidfd);
		t->is_child = false;
	}
}
