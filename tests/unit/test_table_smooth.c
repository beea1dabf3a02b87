/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of a weighted round robin: everybody exactly as often as his weight says, never in bursts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "table/smooth.h"

enum { MANY = 1025 };

static uint32_t *fill(const uint32_t *weights, size_t count, uint32_t *ret_size)
{
	_cleanup_free_ struct smooth_server *servers = calloc(count, sizeof(*servers));
	uint32_t *slots;

	assert_non_null(servers);
	for (size_t i = 0; i < count; i++)
		servers[i] = (struct smooth_server){ .weight = weights[i], .value = i + 1 };
	*ret_size = smooth_size(servers, count);
	slots = calloc(*ret_size ? *ret_size : 1, sizeof(*slots));
	assert_non_null(slots);
	assert_int_equal(smooth_fill(servers, count, slots), 0);
	return slots;
}

static uint32_t count_of(const uint32_t *slots, uint32_t size, uint32_t value)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < size; i++)
		n += slots[i] == value;
	return n;
}

static void expect_order(const uint32_t *weights, size_t count, const uint32_t *order, uint32_t size)
{
	_cleanup_free_ uint32_t *slots = NULL;
	uint32_t is;

	slots = fill(weights, count, &is);
	assert_int_equal(is, size);
	assert_memory_equal(slots, order, size * sizeof(*order));
}
#define orders(weights, ...)                                                                        \
	expect_order(weights, array_size(weights), (const uint32_t[]){ __VA_ARGS__ },               \
		     array_size(((const uint32_t[]){ __VA_ARGS__ })))

static void known_orders(void **state)
{
	static const uint32_t one[] = { 7 }, two[] = { 1, 1 }, three[] = { 5, 5, 5 };
	static const uint32_t heavy[] = { 5, 1 }, mixed[] = { 3, 1, 2 }, absent[] = { 0, 2, 0, 2 };

	orders(one, 1);
	orders(two, 1, 2);
	orders(three, 1, 2, 3);
	/* The light one in the middle of the heavy one's turns; ties to the first. */
	orders(heavy, 1, 1, 1, 2, 1, 1);
	orders(mixed, 1, 3, 1, 2, 3, 1);
	orders(absent, 2, 4);
}

static void exactly_by_weight(void **state)
{
	static const uint32_t cases[][4] = {
		{ 1, 2, 3, 4 }, { 1, 1, 1, 256 }, { 256, 255, 254, 253 }, { 10, 20, 30, 40 }, { 0, 1, 0, 2 },
		{ 256, 1, 1, 1 },
	};
	static const uint32_t divisors[] = { 1, 1, 1, 10, 1, 1 };

	for (size_t c = 0; c < array_size(cases); c++) {
		_cleanup_free_ uint32_t *slots = NULL;
		uint32_t size, sum = 0;

		slots = fill(cases[c], 4, &size);
		for (uint32_t n = 0; n < 4; n++) {
			sum += cases[c][n] / divisors[c];
			assert_int_equal(count_of(slots, size, n + 1), cases[c][n] / divisors[c]);
		}
		assert_int_equal(size, sum);
	}
}

/* In any stretch of the sequence, round its end too, a server has its share of the turns, but for the bound. */
static void check_spread(const uint32_t *weights, size_t count, double bound)
{
	_cleanup_free_ uint32_t *slots = NULL;
	uint32_t size;

	slots = fill(weights, count, &size);
	for (uint32_t n = 0; n < count; n++) {
		const uint32_t mine = count_of(slots, size, n + 1);
		const double ideal = (double)size / mine;
		uint32_t last = UINT32_MAX;

		for (uint32_t i = 0; i < 2 * size; i++) {
			if (slots[i % size] != n + 1)
				continue;
			if (last != UINT32_MAX && (i - last > ideal + bound || i - last < ideal - bound))
				fail_msg("server %u: %u turns from one of its own to the next, not %.1f", n + 1,
					 i - last, ideal);
			last = i;
		}
	}
}

static void spread(void **state)
{
	static const uint32_t pairs[][2] = { { 1, 1 }, { 5, 1 }, { 3, 2 }, { 256, 255 }, { 256, 1 }, { 100, 37 } };
	static const uint32_t few[][3] = { { 3, 1, 2 }, { 1, 1, 1 }, { 5, 3, 1 }, { 10, 7, 3 } };
	uint32_t same[100];

	for (size_t i = 0; i < array_size(pairs); i++)
		check_spread(pairs[i], 2, 1.5);
	for (size_t i = 0; i < array_size(few); i++)
		check_spread(few[i], 3, 2);
	for (size_t i = 0; i < array_size(same); i++)
		same[i] = 3;
	check_spread(same, array_size(same), 0);
}

static void nobody(void **state)
{
	const struct smooth_server idle[] = { { 0, 1 }, { 0, 2 } };
	uint32_t untouched = 77;

	assert_int_equal(smooth_size(NULL, 0), 0);
	assert_int_equal(smooth_size(idle, 2), 0);
	assert_int_equal(smooth_fill(idle, 2, &untouched), 0);
	assert_int_equal(untouched, 77);
}

/* At the limit the sequence is exact; one above it is scaled down, and everybody keeps a turn. */
static void scaled_above_the_limit(void **state)
{
	_cleanup_free_ uint32_t *exact = NULL, *scaled = NULL;
	uint32_t weights[MANY], size;

	/* 1024 servers, 1023 of weight 256 and one of 255 with 1: a sum of 262144 and no common divisor. */
	for (size_t i = 0; i < MANY; i++)
		weights[i] = 256;
	weights[1023] = 255;
	weights[1024] = 1;
	exact = fill(weights, MANY, &size);
	assert_int_equal(size, SMOOTH_SLOTS_MAX);
	assert_int_equal(count_of(exact, size, 1), 256);
	assert_int_equal(count_of(exact, size, 1024), 255);
	assert_int_equal(count_of(exact, size, 1025), 1);
	weights[1024] = 2;
	scaled = fill(weights, MANY, &size);
	assert_in_range(size, SMOOTH_SLOTS_MAX - MANY, SMOOTH_SLOTS_MAX + MANY);
	for (uint32_t n = 0; n < MANY; n++) {
		const uint32_t turns = count_of(scaled, size, n + 1);

		assert_in_range(turns, weights[n] > 1 ? weights[n] - 1 : 1, weights[n]);
	}
}

/* The largest there can be: as many servers as ids, of the greatest weights and the least. */
static void the_lightest_is_never_forgotten(void **state)
{
	enum { SERVERS = 8192 };
	_cleanup_free_ uint32_t *weights = calloc(SERVERS, sizeof(*weights)), *slots = NULL;
	_cleanup_free_ uint8_t *seen = calloc(SERVERS + 1, 1);
	uint32_t size;

	assert_non_null(weights);
	assert_non_null(seen);
	for (size_t i = 0; i < SERVERS; i++)
		weights[i] = i % 64 ? 256 : 1;
	slots = fill(weights, SERVERS, &size);
	assert_in_range(size, 1, SMOOTH_SLOTS_MAX + SERVERS);
	for (uint32_t i = 0; i < size; i++)
		seen[slots[i]] = 1;
	for (uint32_t n = 1; n <= SERVERS; n++)
		assert_true(seen[n]);
	assert_false(seen[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_orders),
		cmocka_unit_test(exactly_by_weight),
		cmocka_unit_test(spread),
		cmocka_unit_test(nobody),
		cmocka_unit_test(scaled_above_the_limit),
		cmocka_unit_test(the_lightest_is_never_forgotten),
	};

	return cmocka_run_group_tests_name("smooth", tests, NULL, NULL);
}
