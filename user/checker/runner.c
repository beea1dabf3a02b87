/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that starts external commands, without any right of its own: made by a template. Any number of commands
 * run at a time; each is the head of a session of its own, which is killed as a whole when its time is up, when it is
 * no longer wanted, or when its head has ended. Reads nothing of what they say. Ends with the agent, and so do they.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "checker/command_internal.h"

struct running {
	pid_t pid;            /* 0 = the slot is empty */
	uint32_t ticket;      /* 0 = nobody wants to know */
	uint64_t deadline_ms;
	bool late;
};

static struct running all[COMMANDS_MAX];

static void tell(int socket, uint32_t ticket, enum command_end end, int value)
{
	const struct command_ran m = {
		.head = { .kind = CHECKER_RAN, .ticket = ticket }, .end = end, .value = value,
	};

	if (ticket && checker_send(socket, &m, sizeof(m), -1) < 0)
		_exit(0);
}

/* Splits the texts into two arrays, each with its NULL. */
static bool split(char *bytes, const struct command_run *m, char **argv, char **envp)
{
	size_t at = 0;

	if (!m->argc || m->argc > COMMAND_WORDS_MAX || m->envc > COMMAND_WORDS_MAX - m->argc)
		return false;
	for (uint32_t i = 0; i < m->argc + m->envc; i++) {
		char *end = at < m->length ? memchr(bytes + at, '\0', m->length - at) : NULL;

		if (!end)
			return false;
		*(i < m->argc ? &argv[i] : &envp[i - m->argc]) = bytes + at;
		at = (size_t)(end - bytes) + 1;
	}
	argv[m->argc] = envp[m->envc] = NULL;
	return at == m->length;
}

/* 0 or an errno: that the command can't be executed is known at once. */
static int start(char **argv, char **envp, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, every;
	int r;

	sigemptyset(&none);
	sigfillset(&every);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	r = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (!r)
		r = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &every);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	if (!r)
		r = posix_spawn(ret, argv[0], &files, &attributes, argv, envp);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return r;
}

static void run(int socket, const struct command_run *m, char *bytes)
{
	char *argv[COMMAND_WORDS_MAX + 1], *envp[COMMAND_WORDS_MAX + 1];
	struct running *free_slot = NULL;
	int r;

	for (size_t i = 0; i < COMMANDS_MAX && !free_slot; i++)
		if (!all[i].pid)
			free_slot = &all[i];
	if (!free_slot) {
		tell(socket, m->head.ticket, COMMAND_UNKNOWN, EAGAIN);
		return;
	}
	if (!split(bytes, m, argv, envp))
		_exit(1);
	*free_slot = (struct running){ .ticket = m->head.ticket, .deadline_ms = m->deadline_ms };
	r = start(argv, envp, &free_slot->pid);
	if (!r)
		return;
	free_slot->pid = 0;
	tell(socket, m->head.ticket, COMMAND_UNKNOWN, r);
}

/* The whole session: the number is its own until it has been waited for. */
static void kill_all_of(const struct running *r)
{
	kill(-r->pid, SIGKILL);
	kill(r->pid, SIGKILL);
}

static void __attribute__((noreturn)) end_them(int number)
{
	for (size_t i = 0; i < COMMANDS_MAX; i++)
		if (all[i].pid)
			kill_all_of(&all[i]);
	_exit(0);
}

static void cancel(uint32_t ticket)
{
	for (size_t i = 0; i < COMMANDS_MAX; i++) {
		if (!all[i].pid || all[i].ticket != ticket)
			continue;
		all[i].ticket = 0;
		kill_all_of(&all[i]);
	}
}

static void serve(int socket)
{
	static char bytes[sizeof(struct command_run) + COMMAND_BYTES_MAX];
	const struct command_run *m = (const void *)bytes;
	ptrdiff_t n = checker_receive(socket, bytes, sizeof(bytes), NULL);

	if (n == 0 || (n < 0 && n != -EAGAIN))
		end_them(0); /* the agent is gone */
	if (n < 0)
		return;
	if (n == (ptrdiff_t)sizeof(m->head) && m->head.kind == CHECKER_CANCEL)
		cancel(m->head.ticket);
	else if (n >= (ptrdiff_t)sizeof(*m) && m->head.kind == CHECKER_RUN && (size_t)n == sizeof(*m) + m->length)
		run(socket, m, bytes + sizeof(*m));
	else
		_exit(1);
}

static void ended(int socket, struct running *r, int status)
{
	if (r->late)
		tell(socket, r->ticket, COMMAND_LATE, 0);
	else if (WIFEXITED(status))
		tell(socket, r->ticket, COMMAND_EXITED, WEXITSTATUS(status));
	else
		tell(socket, r->ticket, COMMAND_KILLED, WTERMSIG(status));
	r->pid = 0;
}

static void reap(int socket)
{
	siginfo_t info = {};
	int status;

	/* Looked at first, waited for last: as long as it is not, its number, and so its session's, is its own. */
	while (!waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid) {
		const pid_t pid = info.si_pid;
		struct running *r = NULL;

		for (size_t i = 0; i < COMMANDS_MAX && !r; i++)
			if (all[i].pid == pid)
				r = &all[i];
		if (r)
			kill(-pid, SIGKILL); /* what it has left behind */
		if (waitpid(pid, &status, WNOHANG) == pid && r)
			ended(socket, r, status);
		info.si_pid = 0;
	}
}

/* Kills what is late. How long until the next may be; -1 = nothing runs. */
static int mind_time(void)
{
	uint64_t now = checker_clock_ms(), next = UINT64_MAX;

	for (size_t i = 0; i < COMMANDS_MAX; i++) {
		if (!all[i].pid || all[i].late)
			continue;
		if (now >= all[i].deadline_ms) {
			all[i].late = true;
			kill_all_of(&all[i]);
		} else if (all[i].deadline_ms < next) {
			next = all[i].deadline_ms;
		}
	}
	return next == UINT64_MAX ? -1 : next - now > 60000 ? 60000 : (int)(next - now) + 1;
}

void runner_run(int socket)
{
	const struct rlimit no_core = { 0, 0 };
	struct signalfd_siginfo ignored;
	struct pollfd p[2] = { { .fd = socket, .events = POLLIN } };
	sigset_t child;

	prctl(PR_SET_NAME, "checker-runner");
	/* What a command leaves behind is ours to wait for. */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &no_core);
	signal(SIGTERM, end_them);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	p[1] = (struct pollfd){ .fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK), .events = POLLIN };
	if (p[1].fd < 0)
		_exit(1);
	for (;;) {
		if (poll(p, array_size(p), mind_time()) < 0 && errno != EINTR)
			_exit(1);
		if (p[1].revents) {
			while (read(p[1].fd, &ignored, sizeof(ignored)) > 0)
				;
			reap(socket);
		}
		if (p[0].revents & POLLHUP && !(p[0].revents & POLLIN))
			end_them(0);
		if (p[0].revents & POLLIN)
			serve(socket);
	}
}
