/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of addresses against a plain membership test: random prefixes, joined, inverted, and as the bounds that the
 * program searches; the edges of both families.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "table/access.h"

static uint64_t seed = 42;

static uint32_t random32(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(seed >> 32);
}

static void add(struct access_ranges *r, const char *text)
{
	unsigned length;
	struct addr a;

	assert_int_equal(addr_parse_prefix(text, &a, &length), 0);
	assert_int_equal(access_add(r, &a, length), 0);
}

static access_number number(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return access_number_of(&a);
}

/* As the program does it: an odd number of bounds at or below the address. */
static bool searched(const struct access_ranges *r, uint8_t family, access_number n)
{
	_cleanup_free_ access_number *bounds = calloc(2 * r->count + 1, sizeof(*bounds));
	size_t count = access_bounds(r, family, bounds), below = 0;

	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || bounds[i] > bounds[i - 1]);
		below += bounds[i] <= n;
	}
	return below & 1;
}

static void the_edges(void **state)
{
	struct access_ranges r = {}, others = {};

	access_merge(&r);
	assert_int_equal(r.count, 0);
	assert_int_equal(access_invert(&r, AF_INET, &others), 0);
	assert_true(searched(&others, AF_INET, 0) && searched(&others, AF_INET, UINT32_MAX));
	vec_done(&others);
	add(&r, "0.0.0.0/0");
	access_merge(&r);
	assert_true(searched(&r, AF_INET, 0) && searched(&r, AF_INET, UINT32_MAX));
	assert_int_equal(access_invert(&r, AF_INET, &others), 0);
	assert_int_equal(others.count, 0);
	vec_done(&r);
	add(&r, "::/0");
	access_merge(&r);
	assert_true(searched(&r, AF_INET6, number("::")));
	assert_true(searched(&r, AF_INET6, number("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
	assert_int_equal(access_invert(&r, AF_INET6, &others), 0);
	assert_int_equal(others.count, 0);
	vec_done(&r);
	add(&r, "255.255.255.255");
	add(&r, "0.0.0.0");
	access_merge(&r);
	assert_int_equal(access_invert(&r, AF_INET, &others), 0);
	assert_false(searched(&others, AF_INET, 0) || searched(&others, AF_INET, UINT32_MAX));
	assert_true(searched(&others, AF_INET, 1) && searched(&others, AF_INET, UINT32_MAX - 1));
	vec_done(&r);
	vec_done(&others);
}

static void neighbours_join_and_bits_behind_do_not_count(void **state)
{
	struct access_ranges r = {};

	add(&r, "192.0.2.128/25");
	add(&r, "192.0.2.0/25");
	add(&r, "192.0.2.7/30");
	add(&r, "192.0.4.0/24");
	access_merge(&r);
	assert_int_equal(r.count, 2);
	assert_true(r.items[0].first == number("192.0.2.0") && r.items[0].last == number("192.0.2.255"));
	assert_true(access_has(&r, number("192.0.4.255")) && !access_has(&r, number("192.0.3.0")));
	vec_done(&r);
}

/* Few distinct bits, so that prefixes overlap, nest and touch. */
static struct addr few(uint8_t family)
{
	struct addr a = { .family = family };
	const unsigned last = family == AF_INET ? 4 : 16;

	a.bytes[0] = random32() % 2 ? 0 : 255;
	for (unsigned i = 1; i < last; i++)
		a.bytes[i] = a.bytes[0];
	a.bytes[last - 2] = random32() % 4 * 85;
	a.bytes[last - 1] = (uint8_t)random32();
	return a;
}

static void as_a_plain_test_says(void **state)
{
	for (int round = 0; round < 400; round++) {
		const uint8_t family = round % 2 ? AF_INET6 : AF_INET;
		const unsigned bits = family == AF_INET6 ? 128 : 32;
		struct access_ranges r = {}, others = {};
		struct addr prefixes[12];
		unsigned lengths[12], count = random32() % 12;

		for (unsigned i = 0; i < count; i++) {
			prefixes[i] = few(family);
			lengths[i] = bits - random32() % 12;
			assert_int_equal(access_add(&r, &prefixes[i], lengths[i]), 0);
		}
		access_merge(&r);
		assert_int_equal(access_invert(&r, family, &others), 0);
		for (int n = 0; n < 200; n++) {
			const struct addr a = few(family);
			bool wanted = false;

			for (unsigned i = 0; i < count; i++) {
				const struct addr x = addr_mask(&a, lengths[i]), y = addr_mask(&prefixes[i], lengths[i]);

				wanted |= addr_equal(&x, &y);
			}
			assert_int_equal(access_has(&r, access_number_of(&a)), wanted);
			assert_int_equal(searched(&r, family, access_number_of(&a)), wanted);
			assert_int_equal(searched(&others, family, access_number_of(&a)), !wanted);
		}
		vec_done(&r);
		vec_done(&others);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_edges),
		cmocka_unit_test(neighbours_join_and_bits_behind_do_not_count),
		cmocka_unit_test(as_a_plain_test_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
