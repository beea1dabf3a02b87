/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notices that the agent's loop has stopped to turn, and ends the process then: whoever supervises it starts the next one,
 * which takes over; packets go on meanwhile. Time counts only while the watching thread runs itself, so that a process
 * that was frozen, or a machine that slept, is not taken for one that is stuck. Tells systemd's watchdog too.
 */
#ifndef AGENT_WATCHDOG_H
#define AGENT_WATCHDOG_H

#include <stdint.h>

struct event_base;
struct log;
struct watchdog;

enum watchdog_limit {
	WATCHDOG_TURN_MS = 200,  /* how often the loop says that it turns */
	WATCHDOG_LOOKS = 8,      /* how often the thread looks within the time there is */
	WATCHDOG_LAST_WORDS_MS = 500, /* so long the last line may take to be written */
};

/* Watches from now on. limit_ms: 0 = only systemd's is told. 0 or -errno. */
int watchdog_new(struct event_base *base, struct log *log, uint32_t limit_ms, struct watchdog **ret);
void watchdog_set_limit(struct watchdog *w, uint32_t limit_ms);
/* In the middle of a long piece of work that gets on. Takes NULL. */
void watchdog_progress(struct watchdog *w);
/* Times the loop stood still for half the time there is. Takes NULL. */
uint64_t watchdog_stalls(const struct watchdog *w);
/* Takes NULL. */
void watchdog_free(struct watchdog *w);

#endif
