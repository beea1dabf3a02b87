/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A network and a BPF file system that are the process's own and go with it: whatever ends it, no interface and no pin is
 * left behind. For the suites of tests/packet and the bench.
 */
#ifndef TESTS_NAMESPACES_H
#define TESTS_NAMESPACES_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>

/* A network as new each time; the file system is the same. 0 or -errno. */
static inline int namespaces_enter(void)
{
	static bool mounted;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	if (mounted)
		return 0;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return -errno;
	mounted = true;
	return 0;
}

#endif
