/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames in words: of every kind that the balancer meets, cut short anywhere, and of noise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/frame_text.h"

/* Hexadecimal digits and blanks; in memory of exactly that size, so that a byte beyond it is noticed (ASan). */
static uint8_t *bytes_of(const char *hex, size_t *ret)
{
	uint8_t *b = malloc(strlen(hex) / 2 + 1), *fit;
	size_t n = 0;

	assert_non_null(b);
	while (*hex) {
		char pair[3] = { hex[0], hex[1], '\0' };

		if (*hex == ' ') {
			hex++;
			continue;
		}
		b[n++] = strtoul(pair, NULL, 16);
		hex += 2;
	}
	fit = malloc(n ? n : 1);
	assert_non_null(fit);
	memcpy(fit, b, n);
	free(b);
	*ret = n;
	return fit;
}

#define LINK "020000000001 020000000002 "
#define TCP4 "45000028 00000000 40060000 c0000207 c000020a 1388 0050 00000000 00000000 5012ffff 00000000"
#define UDP6 "60000000 00081140 20010db8000000000000000000000001 20010db8000000000000000000000002 0035 1388 0008 0000"

static void in_words(void **state)
{
	static const struct {
		const char *hex, *text;
	} cases[] = {
		{ LINK "0800" TCP4, "192.0.2.7:5000 > 192.0.2.10:80 tcp SYN+ACK, ttl 64, 40 bytes" },
		{ LINK "8100 0005 0800" TCP4, "vlan 5, 192.0.2.7:5000 > 192.0.2.10:80 tcp SYN+ACK, ttl 64, 40 bytes" },
		{ LINK "86dd" UDP6, "[2001:db8::1]:53 > [2001:db8::2]:5000 udp, ttl 64, 48 bytes" },
		{ LINK "0800 4500003c 00000000 3f040000 0a000001 0a000002" TCP4,
		  "10.0.0.1 > 10.0.0.2 tunnel (192.0.2.7:5000 > 192.0.2.10:80 tcp SYN+ACK, ttl 64, 40 bytes), ttl 63, 60 "
		  "bytes" },
		{ LINK "0800 4500001c 00000000 40010000 0a000001 0a000002 0800 0000 00000000",
		  "10.0.0.1 > 10.0.0.2 icmp echo request, ttl 64, 28 bytes" },
		{ LINK "0800 45000044 00000000 40010000 0a000001 0a000002 0304 0000 00000578" TCP4,
		  "10.0.0.1 > 10.0.0.2 icmp too big, mtu 1400 about (192.0.2.7:5000 > 192.0.2.10:80 tcp SYN+ACK, ttl 64, "
		  "40 bytes), ttl 64, 68 bytes" },
		{ LINK "0800 4500001c 00072001 40110000 0a000001 0a000002 00000000 00000000",
		  "10.0.0.1 > 10.0.0.2 protocol 17, fragment at 8 of 7, ttl 64, 28 bytes" },
		{ LINK "0806 0001", "ethertype 0x0806 (arp), 16 bytes" },
		{ LINK "88cc 00", "ethertype 0x88cc, 15 bytes" },
		{ LINK, "a frame that is cut short" },
		{ LINK "0800 45", "cut short" },
		{ LINK "0800 45000010 00000000 40060000 c0000207 c000020a 1388 0050 00000000 00000000 5002",
		  "192.0.2.7 > 192.0.2.10 a header that is cut short" },
		{ LINK "0800 4f000028 00000000 40060000 c0000207 c000020a",
		  "192.0.2.7 > 192.0.2.10 a header that is cut short" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[FRAME_TEXT_MAX];
		size_t length;
		uint8_t *b = bytes_of(cases[i].hex, &length);

		assert_string_equal(frame_text(b, length, text), cases[i].text);
		free(b);
	}
}

static void macs(void **state)
{
	char text[FRAME_MACS_MAX];
	size_t length;
	uint8_t *b = bytes_of(LINK, &length);

	assert_string_equal(frame_macs(b, length, text), "02:00:00:00:00:02 > 02:00:00:00:00:01");
	assert_string_equal(frame_macs(b, length - 1, text), "-");
	free(b);
}

/* Packets in packets, cut at each byte, and with each byte made another: ends, and stays within its memory. */
static void hostile(void **state)
{
	static const char *const seeds[] = {
		LINK "0800 4500003c 00000000 3f040000 0a000001 0a000002" TCP4,
		LINK "0800 45000044 00000000 40010000 0a000001 0a000002 0304 0000 00000578" TCP4,
		LINK "8100 0001 86dd 60000000 00302c40 20010db8000000000000000000000001 20010db8000000000000000000000002 "
		     "3c000000 00000007 29000000 00000000" UDP6,
	};

	srand(7);
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		size_t whole;
		uint8_t *seed = bytes_of(seeds[i], &whole);

		for (unsigned n = 0; n < 20000; n++) {
			const size_t length = (unsigned)rand() % (whole + 1);
			uint8_t *b = malloc(length ? length : 1);
			char text[FRAME_TEXT_MAX];

			assert_non_null(b);
			memcpy(b, seed, length);
			for (unsigned k = (unsigned)rand() % 4; k && length; k--)
				b[(unsigned)rand() % length] = rand();
			assert_true(strlen(frame_text(b, length, text)) < FRAME_TEXT_MAX);
			free(b);
		}
		free(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_words),
		cmocka_unit_test(macs),
		cmocka_unit_test(hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
