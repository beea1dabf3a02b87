/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system calls that a worker may make: those of a program that loads libraries, reads files and talks as a client.
 * Called once by worker.c. What is not listed fails with EPERM rather than ending the process: a library that tries
 * something unusual goes on without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "checker/checker.h"

static const int allowed[] = {
	/* memory, time, threads, the end */
	SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity), SCMP_SYS(membarrier), SCMP_SYS(set_tid_address), SCMP_SYS(arch_prctl),
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(pause),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(setitimer), SCMP_SYS(getitimer), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
	SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* who and where am I */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage), SCMP_SYS(times),
	SCMP_SYS(getrlimit), SCMP_SYS(getrandom), SCMP_SYS(getcwd),
	/* descriptors */
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
	SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64), SCMP_SYS(fcntl), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(ioctl),
	SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
	/* talking */
	SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
};

/* Not by SCMP_A0() and its like: they leave the second datum out, and clang warns of that. */
static struct scmp_arg_cmp equals(unsigned argument, scmp_datum_t value)
{
	return (struct scmp_arg_cmp){ .arg = argument, .op = SCMP_CMP_EQ, .datum_a = value };
}

static int allow(scmp_filter_ctx filter, int call, struct scmp_arg_cmp when)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &when);
}

static int build(scmp_filter_ctx filter)
{
	const unsigned writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
	int r = 0;
	size_t i;

	for (i = 0; i < array_size(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	/* Files are opened to be read. */
	if (r == 0)
		r = allow(filter, SCMP_SYS(openat), SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0));
	if (r == 0)
		r = allow(filter, SCMP_SYS(open), SCMP_A1(SCMP_CMP_MASKED_EQ, writing, 0));
	if (r == 0)
		r = allow(filter, SCMP_SYS(socket), equals(0, AF_INET));
	if (r == 0)
		r = allow(filter, SCMP_SYS(socket), equals(0, AF_INET6));
	/* A library may have threads, but no process; clone3's flags can't be looked at: glibc then takes clone. */
	if (r == 0)
		r = allow(filter, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* Limits are read, a thread gets its name, abort() ends ourselves. */
	if (r == 0)
		r = allow(filter, SCMP_SYS(prlimit64), equals(2, 0));
	if (r == 0)
		r = allow(filter, SCMP_SYS(prctl), equals(0, PR_SET_NAME));
	if (r == 0)
		r = allow(filter, SCMP_SYS(tgkill), equals(0, getpid()));
	return r;
}

int restrict_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!filter)
		return -ENOMEM;
	r = build(filter);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}
