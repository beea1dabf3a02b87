/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/privileges.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

enum {
	ANSWER_S = 2,    /* for a thread to give its rights up */
	ROUNDS_MAX = 16, /* through the threads, until all that were born meanwhile have been seen */
};

static const unsigned needed[] = { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON };

/* What a thread keeps; set before the signal is sent, read by its handler. */
static uint64_t keep;
static int given_up; /* 0 or -errno of the last thread that was told */
static sem_t answered;

static int __attribute__((format(printf, 3, 4))) fail(char *error, int r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, PRIVILEGES_ERROR_MAX, format, args);
	va_end(args);
	return r;
}

/*
 * For the calling thread. Bare system calls, because it runs in a signal handler too: libcap-ng allocates and reads
 * /proc. An empty inheritable set empties the ambient one.
 */
static int give_up(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	/* Needs CAP_SETPCAP, so before capset(). EINVAL: past the kernel's last one. EPERM: no_new_privs has to do. */
	for (unsigned long c = 0; c < 64; c++)
		if (!(keep >> c & 1) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			break;
	/* What it keeps must stay in the bounding set, for privileges_pass_on(): then uid 0 alone must not be worth it. */
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++)
		data[i].permitted = data[i].effective = (uint32_t)(keep >> 32 * i);
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static void on_signal(int number)
{
	int saved = errno;

	given_up = give_up();
	sem_post(&answered);
	errno = saved;
}

struct thread_rights {
	uint64_t inheritable, permitted, effective, bounding, ambient;
	int no_new_privs;
	char name[32];
};

/* From /proc: the kernel's own word, of any thread of ours. -ENOENT when it has ended. */
static int read_rights(const char *tid, struct thread_rights *ret)
{
	static const char *const keys[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
	struct thread_rights t = {};
	uint64_t *const to[] = { &t.inheritable, &t.permitted, &t.effective, &t.bounding, &t.ambient };
	_cleanup_fclose_ FILE *f = NULL;
	char line[256];
	unsigned found = 0;

	snprintf(line, sizeof(line), "/proc/self/task/%.16s/status", tid);
	f = fopen(line, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		for (size_t i = 0; i < array_size(keys); i++) {
			if (strncmp(line, keys[i], strlen(keys[i])) != 0)
				continue;
			*to[i] = strtoull(line + strlen(keys[i]), NULL, 16);
			found++;
		}
		sscanf(line, "Name: %31[^\n]", t.name);
		found += sscanf(line, "NoNewPrivs: %d", &t.no_new_privs) == 1;
	}
	if (ferror(f) || found != array_size(keys) + 1)
		return ferror(f) && errno == ESRCH ? -ENOENT : -EIO;
	*ret = t;
	return 0;
}

static bool has_given_up(const struct thread_rights *t, bool bounding)
{
	return t->permitted == keep && t->effective == keep && !t->inheritable && !t->ambient && t->no_new_privs == 1 &&
	       (!bounding || !(t->bounding & ~keep));
}

/* Tells one thread and waits until it has done it. */
static int tell_thread(pid_t tid, const struct thread_rights *t, char *error)
{
	struct timespec until;
	int r;

	if (syscall(SYS_tgkill, getpid(), tid, PRIVILEGES_SIGNAL) < 0)
		return errno == ESRCH ? 0 : fail(error, -errno, "thread %d (%s) can't be told to give up its rights: %s",
						 (int)tid, t->name, strerror(errno));
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ANSWER_S;
	do {
		r = sem_clockwait(&answered, CLOCK_MONOTONIC, &until) < 0 ? -errno : 0;
	} while (r == -EINTR);
	if (r < 0)
		return fail(error, -ETIMEDOUT, "thread %d (%s) does not give up its rights: does it block signal %d?",
			    (int)tid, t->name, PRIVILEGES_SIGNAL);
	if (given_up < 0)
		return fail(error, given_up, "thread %d (%s) can't give up its rights: %s", (int)tid, t->name,
			    strerror(-given_up));
	return 0;
}

/* One round through the threads: 1 when one had to be told, 0 when all are as they should be. */
static int visit_threads(bool bounding, char *error)
{
	DIR *tasks = opendir("/proc/self/task");
	pid_t self = gettid();
	struct dirent *e;
	int told = 0, r = 0;

	if (!tasks)
		return fail(error, -errno, "/proc/self/task: %s; is /proc mounted?", strerror(errno));
	while (r == 0 && (e = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(e->d_name, NULL, 10);
		struct thread_rights t;

		if (tid <= 0)
			continue;
		r = read_rights(e->d_name, &t);
		if (r == -ENOENT || (r == 0 && has_given_up(&t, bounding))) {
			r = 0;
			continue;
		}
		if (r < 0)
			r = fail(error, r, "/proc/self/task/%s/status: %s", e->d_name, strerror(-r));
		else if (tid == self)
			r = fail(error, -EPERM, "the kernel did not take the rights away that were given up");
		else
			r = tell_thread(tid, &t, error);
		told = 1;
	}
	closedir(tasks);
	return r < 0 ? r : told;
}

static int drop_in_threads(bool bounding, char *error)
{
	struct sigaction ours = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, before;
	int r = 1;

	sem_init(&answered, 0, 0);
	sigfillset(&ours.sa_mask);
	if (sigaction(PRIVILEGES_SIGNAL, &ours, &before) < 0)
		return fail(error, -errno, "signal %d: %s", PRIVILEGES_SIGNAL, strerror(errno));
	for (int i = 0; i < ROUNDS_MAX && r > 0; i++)
		r = visit_threads(bounding, error);
	/* A thread that did not answer in time may still do so: then the handler must be there. */
	if (r != -ETIMEDOUT) {
		sigaction(PRIVILEGES_SIGNAL, &before, NULL);
		sem_destroy(&answered);
	}
	return r > 0 ? fail(error, -EAGAIN, "threads are started faster than they give up their rights") : r;
}

/* -EPERM with the names of those that are missing. */
static int check_needed(char *error)
{
	char missing[128] = "";
	size_t length = 0;

	for (unsigned c = 0; c < 64; c++) {
		char name[32];

		if (!(keep >> c & 1) || capng_have_capability(CAPNG_PERMITTED, c))
			continue;
		snprintf(name, sizeof(name), "%s", capng_capability_to_name(c));
		for (char *p = name; *p; p++)
			if (*p >= 'a' && *p <= 'z')
				*p -= 'a' - 'A';
		length += (size_t)snprintf(missing + length, sizeof(missing) - length, "%sCAP_%s", length ? ", " : "",
					   name);
	}
	if (length)
		return fail(error, -EPERM, "%s: not permitted. Start it as root, or with AmbientCapabilities=CAP_BPF "
			    "CAP_NET_ADMIN CAP_PERFMON%s", missing, keep >> CAP_NET_RAW & 1 ? " CAP_NET_RAW" : "");
	return 0;
}

int privileges_drop(unsigned flags, char error[static PRIVILEGES_ERROR_MAX])
{
	bool bounding;
	int r;

	keep = flags & PRIVILEGES_NET_RAW ? UINT64_C(1) << CAP_NET_RAW : 0;
	for (size_t i = 0; i < array_size(needed); i++)
		keep |= UINT64_C(1) << needed[i];
	if (capng_get_caps_process() < 0)
		return fail(error, -EIO, "this process's capabilities can't be read: is /proc mounted?");
	r = check_needed(error);
	if (r < 0)
		return r;
	bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	r = give_up();
	if (r < 0)
		return fail(error, r, "capabilities can't be given up: %s", strerror(-r));
	return drop_in_threads(bounding, error);
}

static int set_inheritable(uint64_t inheritable)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	for (size_t i = 0; i < 2; i++) {
		data[i].permitted = data[i].effective = (uint32_t)(keep >> 32 * i);
		data[i].inheritable = (uint32_t)(inheritable >> 32 * i);
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int privileges_pass_on(void)
{
	int r = set_inheritable(keep);

	for (unsigned long c = 0; c < 64 && r == 0; c++)
		if (keep >> c & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) < 0)
			r = -errno;
	if (r < 0)
		privileges_keep();
	return r;
}

void privileges_keep(void)
{
	set_inheritable(0);
}
