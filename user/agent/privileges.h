/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives up all rights but those the agent works with: CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON. Called by the agent once,
 * after the start's own work (mounting bpffs, the control socket's owner) and before it is ready.
 */
#ifndef AGENT_PRIVILEGES_H
#define AGENT_PRIVILEGES_H

#include <signal.h>

enum {
	PRIVILEGES_ERROR_MAX = 512,
	PRIVILEGES_NET_RAW = 1 << 0, /* keep CAP_NET_RAW too: raw sockets for resets and probes */
};

/*
 * Capabilities are a thread's, not a process's: the threads that are there already are told by this signal to give up
 * theirs. A thread that blocks it makes privileges_drop() fail; thread_start() leaves it open. Unused afterwards.
 */
#define PRIVILEGES_SIGNAL SIGRTMAX

/*
 * In all threads: permitted and effective become those three (and what flags ask for), inheritable and ambient empty;
 * no_new_privs is set; where CAP_SETPCAP allows it, the bounding set loses all others, and uid 0
 * gets nothing by an exec (without it, no_new_privs alone keeps an exec from getting more). Then reads back what the kernel made of it. Works as root with a full set and as any
 * user with just those. 0; -EPERM: one of them is missing, error names it and nothing has changed; or -errno with error
 * (then the process must end: some threads may have dropped theirs).
 */
int privileges_drop(unsigned flags, char error[static PRIVILEGES_ERROR_MAX]);

/* What privileges_drop() has left goes on through an exec of the calling thread. 0 or -errno. */
int privileges_pass_on(void);
/* The exec has failed: it does so no longer. */
void privileges_keep(void);

#endif
