/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop's timers: however long a turn has run already, what is set in it lasts its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"

enum { TURN_MS = 300, LATER_MS = 100, TICK_MS = 10 };

struct timers {
	struct event *set, *later, *other;
	int pipe[2];
	long long set_ms, later_ms;
};

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
	((struct timers *)arg)->later_ms = now_ms();
}

static void on_set(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval later = { .tv_usec = LATER_MS * 1000 };
	struct timers *t = arg;
	const long long end = now_ms() + TURN_MS;

	while (now_ms() < end)
		;
	t->set_ms = now_ms();
	event_add(t->later, &later);
	/* Something wakes the loop: else it would wait the whole time, from whenever it is counted. */
	assert_int_equal(write(t->pipe[1], "", 1), 1);
}

static void on_other(evutil_socket_t fd, short what, void *arg)
{
}

static void a_timer_set_late_in_a_turn_lasts_its_time(void **state)
{
	const struct timeval soon = {};
	struct event_base *base = loop_new();
	struct timers t = {};

	assert_non_null(base);
	assert_return_code(pipe(t.pipe), errno);
	t.set = evtimer_new(base, on_set, &t);
	t.later = evtimer_new(base, on_later, &t);
	t.other = event_new(base, t.pipe[0], EV_READ, on_other, NULL);
	event_add(t.other, NULL);
	event_add(t.set, &soon);
	event_base_dispatch(base);
	assert_in_range(t.later_ms - t.set_ms, LATER_MS - TICK_MS, INT32_MAX);
	event_free(t.set);
	event_free(t.later);
	event_free(t.other);
	event_base_free(base);
	close(t.pipe[0]);
	close(t.pipe[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_timer_set_late_in_a_turn_lasts_its_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
