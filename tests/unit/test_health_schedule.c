/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When checks start and how long they may take: the arithmetic at its limits, and whole stories on a fake clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "health/schedule.h"

static const uint32_t randoms[] = { 0, 1, 0x40000000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };

static void unset_intervals_are_inter(void **state)
{
	struct schedule s = { .inter_ms = 2000 };

	assert_int_equal(schedule_interval_ms(&s, TALLY_STEADY), 2000);
	assert_int_equal(schedule_interval_ms(&s, TALLY_TRANSITION), 2000);
	assert_int_equal(schedule_interval_ms(&s, TALLY_DOWN), 2000);
	s.fastinter_ms = 500;
	s.downinter_ms = 5000;
	assert_int_equal(schedule_interval_ms(&s, TALLY_STEADY), 2000);
	assert_int_equal(schedule_interval_ms(&s, TALLY_TRANSITION), 500);
	assert_int_equal(schedule_interval_ms(&s, TALLY_DOWN), 5000);
}

static void a_few_servers_are_first_checked_at_once(void **state)
{
	size_t i, r;

	for (r = 0; r < array_size(randoms); r++) {
		assert_int_equal(schedule_first_delay_ms(0, 1, 2000, randoms[r]), 0);
		for (i = 0; i < 3; i++)
			assert_true(schedule_first_delay_ms(i, 3, 2000, randoms[r]) < 3);
	}
}

/* Bursts: no more than `each` first checks of `count` start in one millisecond. */
static void first_round(size_t count, uint32_t inter_ms, uint32_t window_ms, unsigned each)
{
	unsigned started[SCHEDULE_FIRST_LONGEST_MS] = {};
	uint32_t delay;
	size_t i;

	for (i = 0; i < count; i++) {
		delay = schedule_first_delay_ms(i, count, inter_ms, randoms[i % array_size(randoms)]);
		assert_true(delay < window_ms);
		assert_true(++started[delay] <= each);
	}
	assert_true(started[0] > 0);
	assert_true(started[window_ms - 1] > 0);
}

static void many_servers_are_first_checked_evenly_within_250_ms(void **state)
{
	first_round(250, 1000, 250, 1);
	first_round(2500, 60000, 250, 10);
	first_round(5000, 60000, 500, 10);
	first_round(10000, 1000, 1000, 10);
	first_round(20000, 60000, 1000, 20);
}

static void the_first_round_never_exceeds_inter(void **state)
{
	first_round(10000, 100, 100, 100);
	first_round(1000, 1, 1, 1000);
}

static void later_checks_come_at_inter_give_or_take_five_percent(void **state)
{
	uint64_t at, lowest = UINT64_MAX, highest = 0;
	size_t r;

	for (r = 0; r < array_size(randoms); r++) {
		at = schedule_next_ms(10000, 2000, 10003, randoms[r]);
		lowest = at < lowest ? at : lowest;
		highest = at > highest ? at : highest;
	}
	assert_int_equal(lowest, 11900);
	assert_int_equal(highest, 12100);
}

static void the_interval_counts_from_the_start_of_the_last_check(void **state)
{
	assert_int_equal(schedule_next_ms(10000, 2000, 11500, 0x80000000), 12000);
	assert_int_equal(schedule_next_ms(10000, 2000, 10001, 0x80000000), 12000);
}

static void a_check_that_outlasts_the_interval_is_followed_at_once(void **state)
{
	assert_int_equal(schedule_next_ms(10000, 500, 12345, 0), 12345);
	assert_int_equal(schedule_next_ms(10000, 500, 12345, 0xffffffff), 12345);
}

static void the_largest_interval_does_not_overflow(void **state)
{
	assert_true(schedule_next_ms(1, UINT32_MAX, 2, 0xffffffff) > UINT32_MAX);
	assert_int_equal(schedule_interval_ms(&(struct schedule){ .inter_ms = UINT32_MAX }, TALLY_DOWN), UINT32_MAX);
	assert_true(schedule_first_delay_ms(SIZE_MAX / 1024 - 1, SIZE_MAX / 1024, UINT32_MAX, 0xffffffff) < 1000);
}

static void a_crowded_first_round_is_spread_over_the_interval(void **state)
{
	assert_false(schedule_is_crowded(250));
	assert_true(schedule_is_crowded(251));
	assert_int_equal(schedule_settle_ms(10000, 1000, 10001, 0), 10500);
	assert_int_equal(schedule_settle_ms(10000, 1000, 10001, 0xffffffff), 11000);
	assert_int_equal(schedule_settle_ms(10000, 1000, 10900, 0), 10900);
}

static void time_limits_are_haproxys(void **state)
{
	struct schedule s = { .inter_ms = 2000 };

	/* Nothing set: inter is the limit of the whole check. */
	assert_int_equal(schedule_connect_deadline_ms(&s, 1000), 3000);
	assert_int_equal(schedule_answer_deadline_ms(&s, 1000, 1400), 3000);
	/* timeout connect: the smaller one limits the connection. */
	s.connect_timeout_ms = 500;
	assert_int_equal(schedule_connect_deadline_ms(&s, 1000), 1500);
	assert_int_equal(schedule_answer_deadline_ms(&s, 1000, 1400), 3000);
	s.connect_timeout_ms = 5000;
	assert_int_equal(schedule_connect_deadline_ms(&s, 1000), 3000);
	/* timeout check: additional time for the answer, once connected. */
	s.check_timeout_ms = 3000;
	assert_int_equal(schedule_answer_deadline_ms(&s, 1000, 1400), 4400);
}

/*
 * A fake clock: one server is checked from time 0 on, each check takes a moment; what the check would find at a time is
 * given by alive(). Returns when the state changed for the n-th time.
 */
struct story {
	struct schedule schedule;
	unsigned rise, fall;
	uint64_t dies_ms, lives_ms; /* dead in between */
	uint32_t check_takes_ms;
};

static uint64_t play(const struct story *s, unsigned n, uint32_t random)
{
	struct tally t;
	uint64_t started = 0, now;
	unsigned i;

	tally_start(&t, MODEL_INIT_DEFAULT);
	for (i = 0; i < 1000; i++) {
		bool dead = started >= s->dies_ms && started < s->lives_ms;

		now = started + s->check_takes_ms;
		if (tally_count(&t, dead ? CHECK_FAILED : CHECK_PASSED, s->rise, s->fall) && !--n)
			return now;
		started = schedule_next_ms(started, schedule_interval_ms(&s->schedule, tally_pace(&t)), now, random);
	}
	return 0;
}

static void a_death_is_seen_within_inter_times_fall(void **state)
{
	struct story s = {
		.schedule = { .inter_ms = 1000 },
		.rise = 2, .fall = 3, .dies_ms = 5001, .lives_ms = UINT64_MAX, .check_takes_ms = 1,
	};
	size_t r;

	for (r = 0; r < array_size(randoms); r++) {
		assert_true(play(&s, 1, randoms[r]) == 1);
		assert_in_range(play(&s, 2, randoms[r]), 5001 + 1900, 5001 + 3150 + 1);
	}
}

static void fastinter_speeds_both_transitions_and_downinter_slows_a_dead_server(void **state)
{
	struct story s = {
		.schedule = { .inter_ms = 1000, .fastinter_ms = 100, .downinter_ms = 4000 },
		.rise = 3, .fall = 3, .dies_ms = 500, .lives_ms = 2000, .check_takes_ms = 1,
	};
	uint32_t exact = 0x80000000; /* no jitter */

	/* Checks at 0, 1000 (bad), 1100, 1200: down. Then at 5200 (good), 5300, 5400: up. */
	assert_int_equal(play(&s, 2, exact), 1201);
	assert_int_equal(play(&s, 3, exact), 5401);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unset_intervals_are_inter),
		cmocka_unit_test(a_few_servers_are_first_checked_at_once),
		cmocka_unit_test(many_servers_are_first_checked_evenly_within_250_ms),
		cmocka_unit_test(the_first_round_never_exceeds_inter),
		cmocka_unit_test(later_checks_come_at_inter_give_or_take_five_percent),
		cmocka_unit_test(the_interval_counts_from_the_start_of_the_last_check),
		cmocka_unit_test(a_check_that_outlasts_the_interval_is_followed_at_once),
		cmocka_unit_test(the_largest_interval_does_not_overflow),
		cmocka_unit_test(a_crowded_first_round_is_spread_over_the_interval),
		cmocka_unit_test(time_limits_are_haproxys),
		cmocka_unit_test(a_death_is_seen_within_inter_times_fall),
		cmocka_unit_test(fastinter_speeds_both_transitions_and_downinter_slows_a_dead_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
