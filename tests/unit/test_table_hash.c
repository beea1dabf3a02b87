/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keyed hash that the program and the agent share. Its known answers are a promise: balancers of one cluster, and
 * the one before and after an upgrade, must send a packet to the same slot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include <alwayson/hash.h>

#include "base/addr.h"
#include "base/cleanup.h"

static const struct hash_key key = { { 0x0123456789abcdefULL, 0xfedcba9876543210ULL } };

static void words_of(const char *text, __u64 words[2])
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memcpy(words, a.bytes, 16);
}

static uint64_t tuple4(const struct hash_key *k, const char *from, uint16_t sport, const char *to, uint16_t dport,
		       uint8_t protocol)
{
	__u64 f[2], t[2];

	words_of(from, f);
	words_of(to, t);
	return hash_tuple4(k, f[0], t[0], htons(sport), htons(dport), protocol);
}

static uint64_t tuple6(const struct hash_key *k, const char *from, uint16_t sport, const char *to, uint16_t dport,
		       uint8_t protocol)
{
	__u64 f[2], t[2];

	words_of(from, f);
	words_of(to, t);
	return hash_tuple6(k, f, t, htons(sport), htons(dport), protocol);
}

/* Of SplitMix64's published generator: seeded with 1234567, its n-th output is the mix of its n-th state. */
static void mix_is_splitmix64s(void **state)
{
	static const uint64_t outputs[] = {
		6457827717110365317ULL, 3203168211198807973ULL, 9817491932198370423ULL, 4593380528125082431ULL,
		16408922859458223821ULL,
	};
	uint64_t seed = 1234567;

	for (size_t i = 0; i < array_size(outputs); i++) {
		seed += 0x9e3779b97f4a7c15ULL;
		assert_int_equal(hash_mix(seed), outputs[i]);
	}
	assert_int_equal(hash_mix(0), 0);
}

static void known_answers(void **state)
{
	__u64 words[2];

	assert_int_equal(tuple4(&key, "198.51.100.7", 40000, "192.0.2.10", 80, IPPROTO_TCP), 0x21ace99daf35be07ULL);
	assert_int_equal(tuple6(&key, "2001:db8:c::7", 40000, "2001:db8::10", 80, IPPROTO_UDP), 0x9d2c9bd25e638b50ULL);
	words_of("198.51.100.7", words);
	assert_int_equal(hash_source4(&key, words[0]), 0x45e28e6df12be44eULL);
	words_of("2001:db8:c::7", words);
	assert_int_equal(hash_source6(&key, words), 0x2b6a144e0684923dULL);
}

static void every_part_counts(void **state)
{
	const struct hash_key other = { { key.k[0], key.k[1] + 1 } }, another = { { key.k[0] ^ 1, key.k[1] } };
	const uint64_t h4 = tuple4(&key, "198.51.100.7", 40000, "192.0.2.10", 80, IPPROTO_TCP);
	const uint64_t h6 = tuple6(&key, "2001:db8:c::7", 40000, "2001:db8::10", 80, IPPROTO_TCP);

	assert_true(h4 != tuple4(&key, "198.51.100.8", 40000, "192.0.2.10", 80, IPPROTO_TCP));
	assert_true(h4 != tuple4(&key, "198.51.100.7", 40001, "192.0.2.10", 80, IPPROTO_TCP));
	assert_true(h4 != tuple4(&key, "198.51.100.7", 40000, "192.0.2.11", 80, IPPROTO_TCP));
	assert_true(h4 != tuple4(&key, "198.51.100.7", 40000, "192.0.2.10", 81, IPPROTO_TCP));
	assert_true(h4 != tuple4(&key, "198.51.100.7", 40000, "192.0.2.10", 80, IPPROTO_UDP));
	assert_true(h4 != tuple4(&key, "192.0.2.10", 80, "198.51.100.7", 40000, IPPROTO_TCP));
	assert_true(h4 != tuple4(&other, "198.51.100.7", 40000, "192.0.2.10", 80, IPPROTO_TCP));
	assert_true(h4 != tuple4(&another, "198.51.100.7", 40000, "192.0.2.10", 80, IPPROTO_TCP));
	assert_true(h6 != tuple6(&key, "2001:db8:d::7", 40000, "2001:db8::10", 80, IPPROTO_TCP));
	assert_true(h6 != tuple6(&key, "2001:db8:c::8", 40000, "2001:db8::10", 80, IPPROTO_TCP));
	assert_true(h6 != tuple6(&key, "2001:db8:c::7", 40000, "2001:db9::10", 80, IPPROTO_TCP));
	assert_true(h6 != tuple6(&key, "2001:db8:c::7", 40000, "2001:db8::11", 80, IPPROTO_TCP));
	assert_true(h6 != tuple6(&key, "2001:db8:c::7", 40000, "2001:db8::10", 81, IPPROTO_TCP));
	assert_true(h6 != tuple6(&key, "2001:db8:c::7", 40001, "2001:db8::10", 80, IPPROTO_TCP));
	assert_true(h6 != tuple6(&key, "2001:db8:c::7", 40000, "2001:db8::10", 80, IPPROTO_UDP));
	assert_true(h6 != tuple6(&other, "2001:db8:c::7", 40000, "2001:db8::10", 80, IPPROTO_TCP));
}

/* One bit of the input turns half of the output's bits, whichever it is; of each, that is. */
static void avalanche(void **state)
{
	enum { TRIALS = 2000 };

	for (unsigned bit = 0; bit < 128; bit++) {
		unsigned turned[64] = {};

		for (unsigned n = 0; n < TRIALS; n++) {
			const uint64_t a = hash_mix(n * 2 + 1), b = hash_mix(n * 2 + 2);
			uint64_t d = hash_2(&key, a, b) ^ hash_2(&key, bit < 64 ? a ^ 1ULL << bit : a,
								 bit < 64 ? b : b ^ 1ULL << (bit - 64));

			for (unsigned o = 0; o < 64; o++)
				turned[o] += d >> o & 1;
		}
		/* Binomial: 50 % with a deviation of 1.1 %; beyond six deviations is no chance. */
		for (unsigned o = 0; o < 64; o++)
			if (turned[o] < TRIALS * 0.43 || turned[o] > TRIALS * 0.57)
				fail_msg("input bit %u turns output bit %u %u times of %u", bit, o, turned[o], TRIALS);
	}
}

static void slots_are_in_bounds(void **state)
{
	static const uint32_t counts[] = { 1, 2, 3, 509, 1048573, UINT32_MAX };

	for (size_t i = 0; i < array_size(counts); i++) {
		assert_int_equal(hash_slot(0, counts[i]), 0);
		assert_int_equal(hash_slot(UINT64_MAX, counts[i]), counts[i] - 1);
		/* The low half has no say. */
		assert_int_equal(hash_slot(0xffffffff, counts[i]), 0);
	}
	assert_int_equal(hash_slot(UINT64_MAX, 0), 0);
	assert_int_equal(hash_slot(1ULL << 63, 10), 5);
}

/* Clients that differ in the port alone, or in the address alone, fall evenly on the slots. */
static void slots_are_uniform(void **state)
{
	enum { SLOTS = 509, FLOWS = SLOTS * 100 };
	unsigned by_port[SLOTS] = {}, by_address[SLOTS] = {};
	double squares[2] = {};

	for (uint32_t n = 0; n < FLOWS; n++) {
		by_port[hash_slot(hash_tuple4(&key, htonl(0xc6336407 + n / 64000), htonl(0xc000020a),
					      htons(n % 64000 + 1024), htons(80), IPPROTO_TCP), SLOTS)]++;
		by_address[hash_slot(hash_source4(&key, htonl(0x0a000000 + n)), SLOTS)]++;
	}
	for (unsigned s = 0; s < SLOTS; s++) {
		squares[0] += (by_port[s] - 100.0) * (by_port[s] - 100.0) / 100;
		squares[1] += (by_address[s] - 100.0) * (by_address[s] - 100.0) / 100;
	}
	/* Chi squared with 508 degrees of freedom: 508 +- 32; six deviations. */
	for (unsigned i = 0; i < 2; i++)
		assert_true(squares[i] > 316 && squares[i] < 700);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mix_is_splitmix64s),
		cmocka_unit_test(known_answers),
		cmocka_unit_test(every_part_counts),
		cmocka_unit_test(avalanche),
		cmocka_unit_test(slots_are_in_bounds),
		cmocka_unit_test(slots_are_uniform),
	};

	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
