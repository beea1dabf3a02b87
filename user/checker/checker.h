/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alwayson-checker from the inside: the parts of the process that runs blocking checks. main.c starts it, template.c
 * forks, worker.c runs plugins, the others make that safe. Nothing here is linked into the agent.
 */
#ifndef CHECKER_CHECKER_H
#define CHECKER_CHECKER_H

#include <stdbool.h>
#include <stddef.h>

#include "alwayson/check.h"

enum checker_process_limit {
	CHECKER_ERROR_MAX = 512,
	CHECKER_CONTROL_FD = 3,          /* where the agent puts the first template's socket */
	CHECKER_FILES_MAX = 64,          /* descriptors of a worker */
	CHECKER_MEMORY_MAX_MB = 1024,    /* address space of a worker: one hostile answer must not take the host */
	CHECKER_PLUGINS_MAX = 16,        /* plugins that one worker keeps loaded */
	CHECKER_STATES_MAX = 256,        /* check lines that one worker remembers */
};

#define CHECKER_USER "alwayson"
#define CHECKER_USER_FALLBACK "nobody"

/*
 * Becomes CHECKER_USER, or CHECKER_USER_FALLBACK where there is none (*ret_notice says so; else it is NULL): no
 * groups, no capabilities, none to be had again, memory not to be read by others of that user. Started by somebody else
 * than root, it stays who it is. Reads back what the kernel made of it. 0, or -errno with error.
 */
int drop_privileges(const char **ret_notice, char error[CHECKER_ERROR_MAX]);
/* Only the system calls of a client program from now on: no exec, no fork, no file is written. 0 or -errno. */
int restrict_calls(void);

/*
 * `check via vip`: until the call with -1, the only socket that can be made is this one, which is closed then unless it was
 * taken. Without it no right of ours could send a packet by way of the service's address.
 */
void sockets_steer(int fd);

/* The plugin folder becomes the working directory, so that it is reached whoever this process becomes. */
void plugins_enter(const char *folder);
/* Loads NAME.so, or finds it among those loaded. 0, or -errno with error. */
int plugins_find(const char *name, const struct plugin **ret, char error[PLUGIN_ERROR_MAX]);

/* Serves one socket until it is closed. */
/* Runs PLUGIN ADDRESS PORT [WORD ...] once and prints what came out. Exit code: 0 passed, 1 not, 2 usage. */
int try_check(int argc, char **argv);

void template_run(int socket) __attribute__((noreturn));
void worker_run(int socket) __attribute__((noreturn));

#endif
