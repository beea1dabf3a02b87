/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The values of the language alone: times, numbers, ports, addresses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/value.h"

static void times(void **state)
{
	static const struct {
		const char *text;
		long long ms; /* -1 = refused */
	} cases[] = {
		{ "0", 0 }, { "5", 5 }, { "5ms", 5 }, { "1us", 1 }, { "1000us", 1 }, { "1001us", 2 }, { "5s", 5000 },
		{ "2m", 120000 }, { "1h", 3600000 }, { "1d", 86400000 }, { "24d", 2073600000 },
		{ "2147483647", 2147483647 }, { "2147483648", -1 }, { "2147483647000us", 2147483647 },
		{ "2147483647001us", -1 }, { "25d", -1 }, { "18446744073709551616", -1 },
		{ "99999999999999999999999999999999s", -1 }, { "", -1 }, { "s", -1 }, { "-1", -1 }, { "+1", -1 },
		{ "1.5s", -1 }, { "5sec", -1 }, { "5 s", -1 }, { "5S", -1 }, { "0x5", -1 },
	};
	size_t i;

	for (i = 0; i < array_size(cases); i++) {
		uint32_t ms = 12345;
		const char *why = value_time(cases[i].text, &ms);

		if (!why != (cases[i].ms >= 0))
			fail_msg("'%s': %s", cases[i].text, why ? why : "accepted");
		assert_int_equal(ms, why ? 12345 : cases[i].ms);
	}
}

static void numbers(void **state)
{
	unsigned n = 7;

	assert_true(value_number("0", 0, 256, &n) && n == 0);
	assert_true(value_number("256", 0, 256, &n) && n == 256);
	assert_true(value_number("007", 0, 256, &n) && n == 7);
	assert_false(value_number("257", 0, 256, &n));
	assert_false(value_number("0", 1, 256, &n));
	assert_false(value_number("", 0, 256, &n));
	assert_false(value_number("3x", 0, 256, &n));
	assert_false(value_number("-1", 0, 256, &n));
	assert_false(value_number("18446744073709551617", 0, UINT32_MAX, &n));
	assert_int_equal(n, 7);
}

static void addresses(void **state)
{
	static const struct {
		const char *text, *addr;
		unsigned low, high;
		bool any, udp;
	} good[] = {
		{ "192.0.2.1:80", "192.0.2.1", 80, 80, false, false },
		{ "192.0.2.1", "192.0.2.1", 0, 0, false, false },
		{ "192.0.2.1:", "192.0.2.1", 0, 0, false, false },
		{ "192.0.2.1:1-65535", "192.0.2.1", 1, 65535, false, false },
		{ "[2001:db8::1]:80", "2001:db8::1", 80, 80, false, false },
		{ "[2001:db8::1]", "2001:db8::1", 0, 0, false, false },
		{ "2001:db8::1:80", "2001:db8::1", 80, 80, false, false },
		{ "2001:db8::1:", "2001:db8::1", 0, 0, false, false },
		{ ":80", "0.0.0.0", 80, 80, true, false },
		{ "*:80", "0.0.0.0", 80, 80, true, false },
		{ "*", "0.0.0.0", 0, 0, true, false },
		{ "0.0.0.0:80", "0.0.0.0", 80, 80, true, false },
		{ ":::80", "::", 80, 80, true, false },
		{ "[::]:80", "::", 80, 80, true, false },
		{ "ipv6@:80", "::", 80, 80, true, false },
		{ "ipv6@*:80", "::", 80, 80, true, false },
		{ "ipv4@192.0.2.1:80", "192.0.2.1", 80, 80, false, false },
		{ "udp@192.0.2.1:53", "192.0.2.1", 53, 53, false, true },
		{ "udp6@:53", "::", 53, 53, true, true },
		{ "udp@[2001:db8::1]:53", "2001:db8::1", 53, 53, false, true },
	};
	static const char *const bad[] = {
		"192.0.2.1:0",
		"192.0.2.1:65536",
		"192.0.2.1:90-80",
		"192.0.2.1:80-",
		"192.0.2.1:-80",
		"192.0.2.1:x",
		"192.0.2.256:80",
		"192.0.2:80",
		"2001:db8::1",
		"[2001:db8::1",
		"2001:db8::1]:80",
		"[192.0.2.1:80",
		"fe80::1%eth0:80",
		"www.example.com:80",
		"ipv4@[::1]:80",
		"ipv6@192.0.2.1:80",
		"unix@/x",
		"/x",
		"fd@3",
		"abns@x",
		"quic4@:443",
		"sockpair@3",
		"udp@",
		"tcp@x",
		"192.0.2.1:+80",
		"192.0.2.1:99999999999999999999",
	};
	char text[ADDR_TEXT_MAX];
	struct value_address a;
	const char *why;
	size_t i;

	for (i = 0; i < array_size(good); i++) {
		why = value_address(good[i].text, &a);
		if (why)
			fail_msg("'%s': %s", good[i].text, why);
		assert_string_equal(addr_format(&a.addr, text), good[i].addr);
		assert_int_equal(a.has_ports ? a.port_low : 0, good[i].low);
		assert_int_equal(a.has_ports ? a.port_high : 0, good[i].high);
		assert_int_equal(a.any, good[i].any);
		assert_int_equal(a.udp, good[i].udp);
	}
	for (i = 0; i < array_size(bad); i++) {
		if (!strcmp(bad[i], "udp@"))
			continue; /* an address without a port; the bind asks for one */
		if (!value_address(bad[i], &a))
			fail_msg("'%s' is accepted", bad[i]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(times),
		cmocka_unit_test(numbers),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests_name("config_value", tests, NULL, NULL);
}
