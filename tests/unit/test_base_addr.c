/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses as text and as sockets take them: what is read is written back, what is none is refused. And the greatest
 * common divisor, base's other pure function, and the growing array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "base/gcd.h"
#include "base/vec.h"

static void text_and_back(void **state)
{
	static const struct {
		const char *in, *out;
		int family;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", AF_INET },
		{ "0.0.0.0", "0.0.0.0", AF_INET },
		{ "255.255.255.255", "255.255.255.255", AF_INET },
		{ "2001:db8::1", "2001:db8::1", AF_INET6 },
		{ "2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1", AF_INET6 },
		{ "::", "::", AF_INET6 },
		{ "::1", "::1", AF_INET6 },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", AF_INET6 },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", AF_INET6 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		char text[ADDR_TEXT_MAX];
		struct addr a, again;

		memset(&a, 0xff, sizeof(a));
		assert_int_equal(addr_parse(cases[i].in, &a), 0);
		assert_int_equal(a.family, cases[i].family);
		assert_string_equal(addr_format(&a, text), cases[i].out);
		assert_int_equal(addr_parse(text, &again), 0);
		assert_true(addr_equal(&a, &again));
	}
}

static void what_is_no_address(void **state)
{
	static const char *const cases[] = {
		"", " ", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", " 1.2.3.4", "1.2.3.4:80", "01.2.3.4",
		"0x1.2.3.4", "localhost", "[::1]", "::1%lo", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::12345",
		"*", "1.2.3.4/24",
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct addr a = { .family = 77 };

		if (addr_parse(cases[i], &a) != -EINVAL)
			fail_msg("\"%s\" was taken for an address", cases[i]);
		assert_int_equal(a.family, 77);
	}
}

/* Bytes behind an IPv4 address are zero: addresses compare and hash as a whole. */
static void the_rest_is_zero(void **state)
{
	static const uint8_t wanted[16] = { 192, 0, 2, 1 };
	struct addr a, b = addr_from_v4(htonl(0xc0000201));

	memset(&a, 0xff, sizeof(a));
	assert_int_equal(addr_parse("192.0.2.1", &a), 0);
	assert_memory_equal(a.bytes, wanted, 16);
	assert_true(addr_equal(&a, &b));
}

static void none(void **state)
{
	struct addr nobody = {};
	char text[ADDR_TEXT_MAX];

	assert_string_equal(addr_format(&nobody, text), "-");
	assert_false(addr_is_unspecified(&nobody));
}

static void endpoints(void **state)
{
	static const struct {
		const char *addr;
		uint16_t port;
		const char *text;
	} cases[] = {
		{ "192.0.2.1", 80, "192.0.2.1:80" },
		{ "192.0.2.1", 0, "192.0.2.1:0" },
		{ "2001:db8::1", 65535, "[2001:db8::1]:65535" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		char text[ENDPOINT_TEXT_MAX];
		struct endpoint e = { .port = cases[i].port };

		assert_int_equal(addr_parse(cases[i].addr, &e.addr), 0);
		assert_string_equal(endpoint_format(&e, text), cases[i].text);
	}
}

static void order(void **state)
{
	static const char *const ascending[] = {
		"0.0.0.0", "1.2.3.4", "1.2.3.5", "128.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::", "ff02::1",
	};

	for (size_t i = 0; i < array_size(ascending); i++)
		for (size_t j = 0; j < array_size(ascending); j++) {
			struct addr a, b;
			int c;

			assert_int_equal(addr_parse(ascending[i], &a), 0);
			assert_int_equal(addr_parse(ascending[j], &b), 0);
			c = addr_compare(&a, &b);
			assert_true(i < j ? c < 0 : i > j ? c > 0 : c == 0);
			assert_int_equal(addr_equal(&a, &b), i == j);
		}
}

static void unspecified(void **state)
{
	static const struct {
		const char *text;
		bool is;
	} cases[] = { { "0.0.0.0", true }, { "::", true }, { "0.0.0.1", false }, { "::1", false }, { "1::", false } };

	for (size_t i = 0; i < array_size(cases); i++) {
		struct addr a;

		assert_int_equal(addr_parse(cases[i].text, &a), 0);
		assert_int_equal(addr_is_unspecified(&a), cases[i].is);
	}
}

static void as_sockets_take_them(void **state)
{
	struct sockaddr_storage ss;
	struct endpoint e = { .port = 8080 };

	assert_int_equal(endpoint_to_sockaddr(&e, &ss), 0);
	assert_int_equal(addr_parse("192.0.2.1", &e.addr), 0);
	assert_int_equal(endpoint_to_sockaddr(&e, &ss), sizeof(struct sockaddr_in));
	assert_int_equal(ss.ss_family, AF_INET);
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_port, htons(8080));
	assert_int_equal(((struct sockaddr_in *)&ss)->sin_addr.s_addr, htonl(0xc0000201));
	assert_int_equal(addr_parse("2001:db8::1", &e.addr), 0);
	assert_int_equal(endpoint_to_sockaddr(&e, &ss), sizeof(struct sockaddr_in6));
	assert_int_equal(ss.ss_family, AF_INET6);
	assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_port, htons(8080));
	assert_int_equal(((struct sockaddr_in6 *)&ss)->sin6_scope_id, 0);
	assert_memory_equal(&((struct sockaddr_in6 *)&ss)->sin6_addr, e.addr.bytes, 16);
}

static void common_divisors(void **state)
{
	assert_int_equal(gcd(0, 0), 0);
	assert_int_equal(gcd(0, 7), 7);
	assert_int_equal(gcd(7, 0), 7);
	assert_int_equal(gcd(1, 256), 1);
	assert_int_equal(gcd(12, 18), 6);
	assert_int_equal(gcd(18, 12), 6);
	assert_int_equal(gcd(256, 64), 64);
	assert_int_equal(gcd(UINT32_MAX, UINT32_MAX), UINT32_MAX);
	assert_int_equal(gcd(4294967291U, 4294967279U), 1);
}

static void growing_arrays(void **state)
{
	struct vec(uint32_t) v = {};

	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t *at = vec_push(&v);

		assert_non_null(at);
		assert_int_equal(*at, 0);
		*at = i;
	}
	assert_int_equal(v.count, 1000);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(v.items[i], i);
	/* A place that was used and given up is zero again. */
	v.count--;
	assert_int_equal(*vec_push(&v), 0);
	vec_done(&v);
	assert_null(v.items);
	assert_int_equal(v.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_back),
		cmocka_unit_test(what_is_no_address),
		cmocka_unit_test(the_rest_is_zero),
		cmocka_unit_test(none),
		cmocka_unit_test(endpoints),
		cmocka_unit_test(order),
		cmocka_unit_test(unspecified),
		cmocka_unit_test(as_sockets_take_them),
		cmocka_unit_test(common_divisors),
		cmocka_unit_test(growing_arrays),
	};

	return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
