/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pool from the inside: what pool.c (jobs and workers), link.c (templates) and validate.c share.
 */
#ifndef CHECKER_POOL_INTERNAL_H
#define CHECKER_POOL_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>

#include "checker/command_internal.h"
#include "checker/pool.h"
#include "checker/protocol.h"

enum { CHECKER_TEMPLATES = 2, CHECKER_NOBODY = UINT32_MAX };

enum worker_phase {
	WORKER_FREE,     /* the slot is empty */
	WORKER_STARTING, /* asked for; has not said HELLO, or its pidfd is not here yet */
	WORKER_IDLE,
	WORKER_ASKED,    /* has a job, has not said ACK */
	WORKER_BUSY,
};

struct checker_job {
	struct checker *checker;
	struct checker_job *previous, *next; /* in the queue, while no worker has it */
	struct checker_worker *worker;
	void (*done)(enum checker_outcome outcome, const struct plugin_result *result, const char *text, void *arg);
	void *arg;
	uint64_t give_up_ms;                 /* still queued then: nobody had time for it */
	uint32_t connect_ms, total_ms;
	int socket;                          /* until a worker has it; -1 = none */
	struct checker_request request;      /* the bytes of the words follow */
};

struct checker_worker {
	struct checker *checker;
	enum worker_phase phase;
	bool hello;
	int socket, pidfd;
	uint32_t ticket;                     /* of its spawning, then of each job */
	struct event io, timer;
	struct checker_job *job;             /* NULL while busy: it was cancelled */
	unsigned jobs;                       /* that it was given */
	uint64_t deadline_ms;                /* of its job, which may have been cancelled */
	uint64_t idle_since_ms, expires_ms;
};

struct checker_template {
	struct checker *checker;
	int socket, pidfd;                   /* -1 = none */
	struct event io, child, timer;
	bool is_child;                       /* of the agent: it has to be waited for */
	uint32_t birth;                      /* ticket of its own making, until its pidfd is here; 0 = it is */
	uint32_t pending;                    /* ticket of the oldest request it has not answered; 0 = none */
	uint64_t since_ms;
};

struct checker {
	struct event_base *base;
	struct checker_ops ops;
	struct checker_worker workers[CHECKER_WORKERS_MAX];
	struct checker_template templates[CHECKER_TEMPLATES];
	struct command_runner runner;
	struct event tick;                   /* queue's time-outs, idle workers, delayed spawning */
	struct checker_job *first, *last;
	unsigned queued;
	uint32_t ticket;
	uint64_t spawn_after_ms, backoff_ms;
	uint64_t template_after_ms, template_backoff_ms;
	bool lost_told;
	struct checker_counts counts;
};

/* link.c */
int checker_link_start(struct checker *c, const char *program, char error[CHECKER_POOL_ERROR_MAX]);
void checker_link_stop(struct checker *c);
/* A process of ours that serves the other end of *ret_socket. ticket is repeated when it is there. 0 or -errno. */
int checker_link_spawn(struct checker *c, enum checker_make make, uint32_t ticket, int *ret_socket);
/* Ends a process; -1 is nobody. */
void checker_link_kill(struct checker *c, int pidfd);
bool checker_link_is_up(const struct checker *c);
/* Makes the missing template, when its time has come. */
void checker_link_mend(struct checker *c, uint64_t now);

/* pool.c */
void checker_worker_spawned(struct checker *c, uint32_t ticket, int pid, int pidfd);
void checker_tell(struct checker *c, int level, const char *format, ...) __attribute__((format(printf, 3, 4)));
uint32_t checker_next_ticket(struct checker *c);

#endif
