/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands from the inside: what command.c (the agent's end) and runner.c (the process that starts them) say to each
 * other over a SOCK_SEQPACKET pair, and what the pool keeps of it.
 */
#ifndef CHECKER_COMMAND_INTERNAL_H
#define CHECKER_COMMAND_INTERNAL_H

#include <event2/event_struct.h>

#include "checker/command.h"
#include "checker/protocol.h"

/* agent -> runner: RUN; the texts follow. CANCEL is a head alone. */
struct command_run {
	struct checker_head head;
	uint64_t deadline_ms; /* of CLOCK_MONOTONIC */
	uint32_t argc, envc, length, zero;
};

/* runner -> agent, once for each RUN that was not cancelled. */
struct command_ran {
	struct checker_head head;
	uint32_t end;         /* enum command_end */
	int32_t value;
};

struct command_job {
	struct command_runner *runner;
	struct command_job *next;
	uint32_t ticket;
	uint64_t give_up_ms;
	void (*done)(enum command_end end, int value, void *arg);
	void *arg;
};

struct command_runner {
	struct checker *checker;
	int socket, pidfd;    /* -1 = none */
	uint32_t birth;       /* ticket of its making, until its pidfd is here; 0 = it is */
	struct event io, timer;
	struct command_job *jobs;
	unsigned running;
	uint64_t begin_after_ms, backoff_ms; /* after it has died */
};

void command_runner_init(struct checker *c);
void command_runner_done(struct checker *c);
/* A process is there: is it this one? Takes the pidfd then. */
bool command_runner_spawned(struct checker *c, uint32_t ticket, int pid, int pidfd);
/* In the process itself. */
void runner_run(int socket) __attribute__((noreturn));

#endif
