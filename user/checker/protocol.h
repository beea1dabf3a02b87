/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the agent and alwayson-checker's processes say to each other, one message a packet, over SOCK_SEQPACKET pairs.
 * Both ends are of one
 * build, or of two that have checker_protocol() in common; each still checks every length, because a plugin runs in one of them.
 *
 *   agent -> template   SPAWN (+ a socket)   fork a process that serves this socket, as a worker or as another template
 *                       KILL (+ a pidfd)     end that process: the agent itself has no right to, it is of another user
 *   template -> agent   HELLO once from the first: whether its rights are gone
 *                       SPAWNED (+ a pidfd)  in the order of the requests
 *   agent -> worker     CHECK (+ a socket, or none), CONFIGURE     a plugin's name, words and secret, and what to check
 *   worker -> agent     HELLO once, then for each request ACK at once and DONE or CONFIGURED at its end
 */
#ifndef CHECKER_PROTOCOL_H
#define CHECKER_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alwayson/check.h"
#include "base/addr.h"

enum checker_limit {
	CHECKER_PROTOCOL = 2,           /* counts up with each change of what follows; the sizes are compared as well */
	CHECKER_WORDS_MAX = 8192,       /* bytes of a plugin's name, words and secret, each with its NUL */
	CHECKER_MESSAGE_MAX = CHECKER_WORDS_MAX + 256,
	CHECKER_ACK_MS = 50,            /* a worker that does not say within this time that it begins is replaced */
	CHECKER_GRACE_MS = 100,         /* how long after its deadline the agent waits before it kills */
	CHECKER_SPAWN_MS = 2000,        /* a template that takes longer to fork is replaced */
	CHECKER_CONFIGURE_MS = 2000,    /* loading a plugin and reading its words */
	CHECKER_SELF_KILL_MS = 2000,    /* a worker that nobody kills ends itself so long after its deadline */
};

enum checker_kind {
	CHECKER_SPAWN = 1,
	CHECKER_KILL,
	CHECKER_SPAWNED,
	CHECKER_CONFIGURE,
	CHECKER_CHECK,
	CHECKER_HELLO,
	CHECKER_ACK,
	CHECKER_CONFIGURED,
	CHECKER_DONE,
	CHECKER_RUN, /* command_internal.h: to and from a process that runs commands */
	CHECKER_CANCEL,
	CHECKER_RAN,
};

/* Each message begins with it. */
struct checker_head {
	uint32_t kind;
	uint32_t ticket; /* of CHECK and CONFIGURE; repeated in what answers them */
};

enum checker_make { CHECKER_MAKE_WORKER, CHECKER_MAKE_TEMPLATE, CHECKER_MAKE_RUNNER };

struct checker_spawn {
	struct checker_head head;
	uint32_t make;       /* enum checker_make */
};

struct checker_spawned {
	struct checker_head head;
	int32_t pid;         /* or -errno, and then without a pidfd */
};

/* The first template's first word, before it forks: has it become nobody? */
struct checker_started {
	struct checker_head head; /* CHECKER_HELLO */
	uint32_t good;
	char text[PLUGIN_ERROR_MAX]; /* what went wrong; or a notice, "" = none */
};

/* CONFIGURE: what it is about is unused. `words_length` bytes of words follow: name, secret, then the words. */
struct checker_request {
	struct checker_head head;
	uint16_t port;
	uint16_t family;
	uint8_t address[16];
	uint64_t connect_deadline_ms;
	uint64_t deadline_ms;
	uint32_t words_length;
	uint32_t word_count;
	uint32_t steered;    /* 1: with a socket, which is the only one that the check may have */
	uint32_t zero;
};

struct checker_configured {
	struct checker_head head;
	uint32_t good;
	char error[PLUGIN_ERROR_MAX];
};

struct checker_done {
	struct checker_head head;
	struct plugin_result result;
};

/* Sends one packet, with a descriptor when fd >= 0. Never blocks on a socket that is non-blocking. 0 or -errno. */
int checker_send(int socket, const void *bytes, size_t length, int fd);
/*
 * Receives one packet of at most `size` bytes. Its length; 0 = the other end is gone; -EMSGSIZE: longer than that;
 * -errno. A descriptor that came with it is put into *ret_fd (-1: none), or closed when ret_fd is NULL.
 */
ptrdiff_t checker_receive(int socket, void *bytes, size_t size, int *ret_fd);
uint64_t checker_clock_ms(void);

#endif
