/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stops one thread of a process, and none of the others, as a system call that does not return would: a signal would stop
 * all of them. hold_thread TID: says `held` when it stands; lets it go on when it is ended itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const pid_t tid = argc == 2 ? (pid_t)atoi(argv[1]) : 0;
	int status;

	if (tid <= 0) {
		fprintf(stderr, "usage: hold_thread TID\n");
		return 2;
	}
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0) {
		perror("ptrace");
		return 1;
	}
	if (waitpid(tid, &status, __WALL) != tid || !WIFSTOPPED(status)) {
		fprintf(stderr, "the thread has ended\n");
		return 1;
	}
	printf("held\n");
	fflush(stdout);
	for (;;)
		pause();
}
