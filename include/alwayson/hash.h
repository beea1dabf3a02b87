/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The keyed hash that steers, compiled by the program in the kernel and by the agent, so that `explain` and the tests
 * compute what the kernel computes. Who knows the key can aim all his flows at one backend: it is a secret.
 *
 * Each 64-bit word is folded in by xor and passed through a bijective finaliser (multiply and xor-shift; the constants
 * are Stafford's "Mix13", used by SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
 * 2014). Addresses and ports are taken as they stand in the packet (network order), so every host computes the same.
 */
#ifndef ALWAYSON_HASH_H
#define ALWAYSON_HASH_H

#include <linux/types.h>

struct hash_key {
	__u64 k[2];
};

static inline __attribute__((always_inline)) __u64 hash_mix(__u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	x ^= x >> 31;
	return x;
}

static inline __attribute__((always_inline)) __u64 hash_2(const struct hash_key *key, __u64 a, __u64 b)
{
	return hash_mix(hash_mix(a ^ key->k[0]) ^ b ^ key->k[1]);
}

static inline __attribute__((always_inline)) __u64 hash_3(const struct hash_key *key, __u64 a, __u64 b, __u64 c)
{
	return hash_mix(hash_2(key, a, b) ^ c);
}

/* The 5-tuple of an IPv4 packet: source, destination (network order), both ports (network order), protocol. */
static inline __attribute__((always_inline)) __u64 hash_tuple4(const struct hash_key *key, __be32 source,
							       __be32 destination, __be16 sport, __be16 dport,
							       __u8 protocol)
{
	return hash_2(key, (__u64)source | (__u64)destination << 32,
		      (__u64)sport | (__u64)dport << 16 | (__u64)protocol << 32);
}

/* The 5-tuple of an IPv6 packet; each address as two 64-bit words as they lie in memory. */
static inline __attribute__((always_inline)) __u64 hash_tuple6(const struct hash_key *key, const __u64 source[2],
							       const __u64 destination[2], __be16 sport, __be16 dport,
							       __u8 protocol)
{
	__u64 h = hash_3(key, source[0], source[1], destination[0]);

	return hash_mix(hash_mix(h ^ destination[1]) ^
			((__u64)sport | (__u64)dport << 16 | (__u64)protocol << 32));
}

/* The client's address alone, for `balance source`. */
static inline __attribute__((always_inline)) __u64 hash_source4(const struct hash_key *key, __be32 source)
{
	return hash_2(key, source, 4);
}

static inline __attribute__((always_inline)) __u64 hash_source6(const struct hash_key *key, const __u64 source[2])
{
	return hash_3(key, source[0], source[1], 6);
}

/* Where a hash falls among `count` slots: uniform without a division (Lemire, "Fast random integer generation", 2019). */
static inline __attribute__((always_inline)) __u32 hash_slot(__u64 hash, __u32 count)
{
	return (__u32)((hash >> 32) * count >> 32);
}

#endif
