/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that a process hands to the program it becomes by exec, each under a name. The agent gives them before the
 * exec; the rooms that had them ask for theirs when they open anew, and check that what they get is what they want. Main
 * thread only. The list is in the environment, with the process's number, so that no child takes it for its own.
 */
#ifndef BASE_HANDOVER_H
#define BASE_HANDOVER_H

#include <stdbool.h>

enum { HANDOVER_MAX = 16, HANDOVER_NAME_MAX = 31 };

/* Reads and clears the list; once, at the program's start. All descriptors on it are close-on-exec from here on. */
void handover_receive(void);
/* The descriptor of this name, which is the caller's from now on; -1: there is none. */
int handover_take(const char *name);
/* Closes what nobody has asked for. */
void handover_finish(void);

/* Puts a descriptor (-1: nothing) on the list. False: it is full, or the name too long. */
bool handover_give(const char *name, int fd);
/* All else becomes close-on-exec. 0 or -errno: nothing is handed over then. */
int handover_commit(void);
/* The exec has failed: everything is as before. */
void handover_abandon(void);

#endif
