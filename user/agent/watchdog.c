/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/watchdog.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "agent/log.h"
#include "agent/ready.h"
#include "agent/thread.h"

enum { JOIN_MS = 5000, SYSTEMD_SHARE = 4 };

struct watchdog {
	struct log *log;
	struct event *turn;
	uint64_t systemd_us, told_us;  /* systemd's time, 0 = it does not watch; when it was told last */
	atomic_uint turns;             /* written by the loop, read by the thread */
	atomic_uint stuck_ms;          /* by the thread: so long, when it was said; the loop takes it back */
	atomic_uint_fast64_t stalls;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;          /* of all below */
	pthread_cond_t wake;
	uint32_t limit_ms;
	bool stop;
};

static uint64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void watchdog_progress(struct watchdog *w)
{
	if (!w)
		return;
	atomic_fetch_add(&w->turns, 1);
	if (w->systemd_us && monotonic_us() - w->told_us >= w->systemd_us / SYSTEMD_SHARE) {
		w->told_us = monotonic_us();
		ready_notify("WATCHDOG=1");
	}
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct watchdog *w = ctx;
	unsigned stuck_ms;

	watchdog_progress(w);
	stuck_ms = atomic_exchange(&w->stuck_ms, 0);
	if (stuck_ms)
		log_event(w->log, LOG_WARNING, "loop_resumed", "stuck_ms=%u", stuck_ms);
}

/* With the lock held. */
static void sleep_ms(struct watchdog *w, uint32_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	while (!w->stop && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
		;
}

/* The loop can't log any more: what there is to say goes to stderr, whatever the targets are. */
static void say(struct watchdog *w, int level, const char *event, uint32_t stuck_ms, uint32_t limit_ms)
{
	char line[LOG_LINE_MAX];

	snprintf(line, sizeof(line), "event=%s stuck_ms=%u watchdog_ms=%u", event, stuck_ms, limit_ms);
	log_beside_loop(w->log, level, line, level == LOG_CRIT ? WATCHDOG_LAST_WORDS_MS : 0);
}

static void *watch_thread(void *arg)
{
	struct watchdog *w = arg;
	unsigned turns = atomic_load(&w->turns), looks = 0;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		const uint32_t limit_ms = w->limit_ms, each_ms = (limit_ms ? limit_ms : 1000) / WATCHDOG_LOOKS;
		unsigned now;

		sleep_ms(w, each_ms);
		now = atomic_load(&w->turns);
		looks = now != turns || !w->limit_ms || w->limit_ms != limit_ms ? 0 : looks + 1;
		turns = now;
		if (looks == WATCHDOG_LOOKS / 2) {
			atomic_fetch_add(&w->stalls, 1);
			say(w, LOG_WARNING, "loop_stuck", looks * each_ms, limit_ms);
		}
		if (looks >= WATCHDOG_LOOKS / 2)
			atomic_store(&w->stuck_ms, looks * each_ms);
		if (looks >= WATCHDOG_LOOKS && !w->stop) {
			say(w, LOG_CRIT, "watchdog", looks * each_ms, limit_ms);
			abort();
		}
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int watchdog_new(struct event_base *base, struct log *log, uint32_t limit_ms, struct watchdog **ret)
{
	const struct timeval each = { .tv_usec = WATCHDOG_TURN_MS * 1000 };
	struct watchdog *w = calloc(1, sizeof(*w));
	pthread_condattr_t monotonic;
	int r = -ENOMEM;

	if (!w)
		return r;
	w->log = log;
	w->limit_ms = limit_ms;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (sd_watchdog_enabled(0, &w->systemd_us) <= 0)
		w->systemd_us = 0;
	w->turn = event_new(base, -1, EV_PERSIST, on_turn, w);
	if (w->turn && event_add(w->turn, &each) == 0)
		r = thread_start(&w->thread, "watchdog", watch_thread, w);
	w->started = r == 0;
	if (r < 0) {
		watchdog_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void watchdog_set_limit(struct watchdog *w, uint32_t limit_ms)
{
	pthread_mutex_lock(&w->lock);
	w->limit_ms = limit_ms;
	pthread_mutex_unlock(&w->lock);
}

uint64_t watchdog_stalls(const struct watchdog *w)
{
	return w ? atomic_load(&w->stalls) : 0;
}

void watchdog_free(struct watchdog *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	if (w->started && thread_join(w->thread, JOIN_MS) < 0)
		return; /* what it may still touch is left to it; the process is about to end */
	if (w->turn)
		event_free(w->turn);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
