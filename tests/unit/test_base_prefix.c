/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address prefixes: reading, masking, and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "config/value.h"

static void reads(const char *text, const char *wanted, unsigned wanted_length)
{
	char buf[ADDR_TEXT_MAX];
	unsigned length = 999;
	struct addr a;

	assert_int_equal(addr_parse_prefix(text, &a, &length), 0);
	assert_string_equal(addr_format(&a, buf), wanted);
	assert_int_equal(length, wanted_length);
}

static void prefixes_are_read(void **state)
{
	reads("192.0.2.0/24", "192.0.2.0", 24);
	reads("192.0.2.7/24", "192.0.2.7", 24); /* kept: it is the caller's to refuse or to mask */
	reads("192.0.2.7", "192.0.2.7", 32);
	reads("0.0.0.0/0", "0.0.0.0", 0);
	reads("192.0.2.7/032", "192.0.2.7", 32);
	reads("2001:db8::/64", "2001:db8::", 64);
	reads("::1", "::1", 128);
	reads("::/0", "::", 0);
	reads("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128);
}

static void what_is_none_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		const char *text;
		int error;
	} cases[] = {
		{ "", -EINVAL }, { "/24", -EINVAL }, { "192.0.2.0/", -EINVAL }, { "192.0.2.0/-1", -EINVAL },
		{ "192.0.2.0/+8", -EINVAL }, { "192.0.2.0/ 8", -EINVAL }, { "192.0.2.0/8 ", -EINVAL },
		{ "192.0.2.0/0x8", -EINVAL }, { "192.0.2.0/24/24", -EINVAL }, { "192.0.2/24", -EINVAL },
		{ "[::1]/64", -EINVAL }, { "fe80::1%eth0/64", -EINVAL }, { "host/24", -EINVAL },
		{ "192.0.2.0/33", -ERANGE }, { "::/129", -ERANGE }, { "192.0.2.0/4294967320", -ERANGE },
		{ "192.0.2.0/99999999999999999999999999999", -ERANGE },
		{ "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/64", -EINVAL },
	};
	const struct addr was = { .family = 77 };

	for (size_t i = 0; i < array_size(cases); i++) {
		struct addr a = was;
		unsigned length = 999;

		if (addr_parse_prefix(cases[i].text, &a, &length) != cases[i].error)
			fail_msg("%s", cases[i].text);
		assert_memory_equal(&a, &was, sizeof(a));
		assert_int_equal(length, 999);
	}
}

static void masked(const char *text, unsigned length, const char *wanted)
{
	char buf[ADDR_TEXT_MAX];
	struct addr a, m;

	assert_int_equal(addr_parse(text, &a), 0);
	m = addr_mask(&a, length);
	assert_string_equal(addr_format(&m, buf), wanted);
}

static void bits_behind_a_prefix_are_cleared(void **state)
{
	masked("255.255.255.255", 0, "0.0.0.0");
	masked("255.255.255.255", 1, "128.0.0.0");
	masked("255.255.255.255", 7, "254.0.0.0");
	masked("255.255.255.255", 8, "255.0.0.0");
	masked("255.255.255.255", 9, "255.128.0.0");
	masked("255.255.255.255", 31, "255.255.255.254");
	masked("255.255.255.255", 32, "255.255.255.255");
	masked("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 33, "ffff:ffff:8000::");
	masked("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	masked("2001:db8::1", 127, "2001:db8::");
}

/* At the limits and one off, of `tunnel-source`. */
static void senders(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "10.0.0.0/8", true }, { "10.0.0.0/7", false }, { "198.18.0.1/32", true }, { "198.18.0.0/33", false },
		{ "2001::/16", true }, { "2000::/15", false }, { "2001:db8::1/128", true }, { "2001:db8::/129", false },
		{ "[2001:db8::]/64", true }, { "[2001:db8::1]", true }, { "[2001:db8::/64]", false }, { "[]", false },
		{ "198.18.1.0/16", false }, { "2001:db8::1/64", false },
		{ "127.0.0.0/8", false }, { "223.0.0.0/8", true }, { "224.0.0.0/8", false }, { "0.0.0.0", false },
		{ "0.0.0.0/8", false }, { "255.255.255.255", false }, { "::1", false }, { "::", false }, { "::/16", false },
		{ "ff00::/16", false }, { "fe80::1", true }, { "", false }, { "/24", false }, { "*", false },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct addr a;
		unsigned length;

		if (!value_prefix(cases[i].text, &a, &length) != cases[i].good)
			fail_msg("%s", cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes_are_read),
		cmocka_unit_test(what_is_none_is_refused_and_changes_nothing),
		cmocka_unit_test(bits_behind_a_prefix_are_cleared),
		cmocka_unit_test(senders),
	};

	return cmocka_run_group_tests_name("base_prefix", tests, NULL, NULL);
}
