/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server with a part of its share (slowstart, an agent's percentage) in the consistent-hash table: it has about that
 * part, nobody's slots move but those it gives away, and as the part grows each of them comes back once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <alwayson/hash.h>

#include "table/maglev.h"

enum { SERVERS = 5, SLOTS = 2039 };

static void fill(unsigned without, uint32_t slots[static SLOTS])
{
	static const struct hash_key key = { { 1, 2 } };
	struct maglev_server servers[SERVERS];

	for (uint32_t i = 0; i < SERVERS; i++)
		servers[i] = (struct maglev_server){
			.key = hash_2(&key, i, 0), .weight = 1, .up = true, .value = i + 1,
			.without = (uint8_t)(i ? 0 : without),
		};
	assert_int_equal(maglev_fill(servers, SERVERS, slots, SLOTS), 0);
}

static unsigned count(const uint32_t *slots, uint32_t value)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SLOTS; i++)
		n += slots[i] == value;
	return n;
}

static void it_has_about_its_part(void **state)
{
	uint32_t whole[SLOTS], part[SLOTS];

	fill(0, whole);
	for (unsigned without = 10; without < 100; without += 10) {
		fill(without, part);
		/* Of some 400 slots: within 15 percent of them all. */
		assert_in_range(count(part, 1) * 100 + 15 * count(whole, 1),
				(100 - without) * count(whole, 1), (100 - without + 30) * count(whole, 1));
	}
	fill(99, part);
	assert_true(count(part, 1) < 20);
}

static void only_its_own_slots_move(void **state)
{
	uint32_t whole[SLOTS], part[SLOTS];

	fill(0, whole);
	fill(60, part);
	for (unsigned i = 0; i < SLOTS; i++)
		if (whole[i] != 1)
			assert_int_equal(part[i], whole[i]);
	/* What it gives away is shared by the others. */
	for (uint32_t v = 2; v <= SERVERS; v++)
		assert_true(count(part, v) > count(whole, v) + 30);
}

static void each_slot_comes_back_once(void **state)
{
	uint32_t last[SLOTS], now[SLOTS];

	fill(99, last);
	for (int without = 98; without >= 0; without--) {
		fill((unsigned)without, now);
		for (unsigned i = 0; i < SLOTS; i++)
			assert_true(now[i] == last[i] || now[i] == 1);
		memcpy(last, now, sizeof(last));
	}
}

static void alone_it_keeps_them_all(void **state)
{
	struct maglev_server s = { .key = 1, .weight = 1, .up = true, .value = 9, .without = 99 };
	uint32_t slots[509];

	assert_int_equal(maglev_fill(&s, 1, slots, 509), 0);
	for (unsigned i = 0; i < 509; i++)
		assert_int_equal(slots[i], 9);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_has_about_its_part),
		cmocka_unit_test(only_its_own_slots_move),
		cmocka_unit_test(each_slot_comes_back_once),
		cmocka_unit_test(alone_it_keeps_them_all),
	};

	return cmocka_run_group_tests_name("table_share", tests, NULL, NULL);
}
