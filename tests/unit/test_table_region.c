/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parts of a flat array: never given twice, joined again when given back, refused when there is no room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "table/region.h"

enum { SIZE = 1000 };

static struct region take(struct region_map *m, uint32_t size)
{
	struct region r = { 0xdead, 0xdead };

	assert_int_equal(region_take(m, size, &r), 0);
	assert_int_equal(r.size, size);
	return r;
}

/* All is free again, in one piece. */
static void assert_whole(const struct region_map *m, uint32_t size)
{
	assert_int_equal(m->free.count, 1);
	assert_int_equal(m->free.items[0].offset, 0);
	assert_int_equal(m->free.items[0].size, size);
	assert_int_equal(region_largest(m), size);
}

static void first_fit(void **state)
{
	struct region_map m;
	struct region a, b, c;

	assert_int_equal(region_init(&m, 100), 0);
	a = take(&m, 30);
	b = take(&m, 30);
	c = take(&m, 30);
	assert_int_equal(a.offset, 0);
	assert_int_equal(b.offset, 30);
	assert_int_equal(c.offset, 60);
	assert_int_equal(region_give(&m, a), 0);
	assert_int_equal(take(&m, 10).offset, 0);
	assert_int_equal(take(&m, 20).offset, 10);
	assert_int_equal(take(&m, 10).offset, 90);
	region_done(&m);
}

static void at_the_limit_and_one_above(void **state)
{
	struct region_map m;
	struct region r = { 1, 2 };

	assert_int_equal(region_init(&m, 100), 0);
	assert_int_equal(region_take(&m, 101, &r), -ENOSPC);
	assert_int_equal(r.offset, 1);
	assert_int_equal(r.size, 2);
	r = take(&m, 100);
	assert_int_equal(region_largest(&m), 0);
	assert_int_equal(region_take(&m, 1, &(struct region){}), -ENOSPC);
	assert_int_equal(region_give(&m, r), 0);
	assert_whole(&m, 100);
	region_done(&m);
}

static void nothing_at_all(void **state)
{
	struct region_map m;

	assert_int_equal(region_init(&m, 0), 0);
	assert_int_equal(region_largest(&m), 0);
	assert_int_equal(take(&m, 0).offset, 0);
	assert_int_equal(region_give(&m, (struct region){ 5, 0 }), 0);
	assert_int_equal(region_take(&m, 1, &(struct region){}), -ENOSPC);
	region_done(&m);
}

/* Given back in every order, neighbours join: below, above, between. */
static void neighbours_join(void **state)
{
	static const unsigned orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};

	for (size_t o = 0; o < sizeof(orders) / sizeof(orders[0]); o++) {
		struct region_map m;
		struct region parts[3];

		assert_int_equal(region_init(&m, 90), 0);
		for (unsigned i = 0; i < 3; i++)
			parts[i] = take(&m, 30);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(region_give(&m, parts[orders[o][i]]), 0);
		assert_whole(&m, 90);
		region_done(&m);
	}
}

static void a_place_of_ones_own(void **state)
{
	struct region_map m;

	assert_int_equal(region_init(&m, 100), 0);
	assert_int_equal(region_take_at(&m, (struct region){ 40, 20 }), 0);
	assert_int_equal(region_take_at(&m, (struct region){ 59, 1 }), -EBUSY);
	assert_int_equal(region_take_at(&m, (struct region){ 39, 2 }), -EBUSY);
	assert_int_equal(region_take_at(&m, (struct region){ 0, 100 }), -EBUSY);
	assert_int_equal(region_take_at(&m, (struct region){ 50, 0 }), 0);
	assert_int_equal(region_largest(&m), 40);
	assert_int_equal(region_take_at(&m, (struct region){ 60, 40 }), 0);
	assert_int_equal(region_take_at(&m, (struct region){ 0, 10 }), 0);
	assert_int_equal(region_take_at(&m, (struct region){ 10, 30 }), 0);
	assert_int_equal(region_largest(&m), 0);
	assert_int_equal(region_give(&m, (struct region){ 0, 100 }), 0);
	assert_whole(&m, 100);
	/* Beyond the end, and so far that 32 bits don't hold it. */
	assert_int_equal(region_take_at(&m, (struct region){ 90, 11 }), -EBUSY);
	assert_int_equal(region_take_at(&m, (struct region){ 100, 1 }), -EBUSY);
	assert_int_equal(region_take_at(&m, (struct region){ 0xffffff00, 0x200 }), -EBUSY);
	assert_int_equal(region_take_at(&m, (struct region){ 10, UINT32_MAX }), -EBUSY);
	assert_whole(&m, 100);
	region_done(&m);
}

/* Thousands of takes and gives, beside a map of who has what: nothing is given twice, nothing is lost. */
static void many_changes(void **state)
{
	static struct region held[64];
	static uint8_t owner[SIZE];
	uint64_t x = 88172645463325252ULL;
	struct region_map m;
	uint32_t free_space = SIZE;

	memset(held, 0, sizeof(held));
	memset(owner, 0, sizeof(owner));
	assert_int_equal(region_init(&m, SIZE), 0);
	for (unsigned n = 0; n < 20000; n++) {
		unsigned i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		i = x % 64;
		if (held[i].size) {
			memset(owner + held[i].offset, 0, held[i].size);
			free_space += held[i].size;
			assert_int_equal(region_give(&m, held[i]), 0);
			held[i].size = 0;
			continue;
		}
		if (region_take(&m, x >> 32 & 31, &held[i]) < 0) {
			assert_true(region_largest(&m) < (x >> 32 & 31));
			held[i].size = 0;
			continue;
		}
		for (uint32_t at = held[i].offset; at < held[i].offset + held[i].size; at++) {
			assert_true(at < SIZE && !owner[at]);
			owner[at] = 1;
		}
		free_space -= held[i].size;
		for (size_t f = 1; f < m.free.count; f++)
			assert_true(m.free.items[f - 1].offset + m.free.items[f - 1].size < m.free.items[f].offset);
	}
	for (unsigned i = 0; i < 64; i++) {
		free_space += held[i].size;
		assert_int_equal(region_give(&m, held[i]), 0);
	}
	assert_int_equal(free_space, SIZE);
	assert_whole(&m, SIZE);
	region_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_fit),
		cmocka_unit_test(at_the_limit_and_one_above),
		cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(neighbours_join),
		cmocka_unit_test(a_place_of_ones_own),
		cmocka_unit_test(many_changes),
	};

	return cmocka_run_group_tests_name("region", tests, NULL, NULL);
}
