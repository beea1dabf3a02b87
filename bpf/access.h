/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Access lists: who may open connections to a service. What a service refuses is laid out by the agent as ranges of
 * addresses, their bounds in ascending order in one part of access4 or access6: an address with an odd number of bounds
 * at or below it is refused. A binary search over memory that fits into the caches: 16 probes for 10 000 ranges.
 * Called by guard.h for new connections of services with SERVICE_ACCESS.
 */
#ifndef BPF_ACCESS_H
#define BPF_ACCESS_H

#include "service.h"

/* 1 when a < b, without a branch: the verifier would follow both ways of each of them (Hacker's Delight, 2-12). */
static __always_inline __u64 access_below(__u64 a, __u64 b)
{
	__u64 below = ((~a & b) | ((~a | b) & (a - b))) >> 63;

	asm volatile("" : "+r"(below));
	return below;
}

static __always_inline __u64 access_same(__u64 a, __u64 b)
{
	const __u64 differs = a ^ b;
	__u64 same = ((differs | -differs) >> 63) ^ 1;

	asm volatile("" : "+r"(same));
	return same;
}

/* Is the bound at this place at or below the address? */
static __always_inline __u64 access_fits4(__u32 index, __u64 addr)
{
	const __u64 *bound = bpf_map_lookup_elem(&access4, &index);

	return bound ? access_below(addr, load_u64(bound)) ^ 1 : 0;
}

static __always_inline __u64 access_fits6(__u32 index, __u64 high, __u64 low)
{
	const struct access_bound6 *bound = bpf_map_lookup_elem(&access6, &index);

	if (!bound)
		return 0;
	return (access_below(high, bound->high) |
		(access_same(high, bound->high) & access_below(low, bound->low))) ^ 1;
}

/* IPv4: `high` is 0, `low` the address. Both in host order. */
static __always_inline bool access_is_refused(__u64 part, __u64 high, __u64 low, const bool v6)
{
	const __u32 first = part >> 32, count = part;
	__u32 below = 0;

	for (int step = ACCESS_STEPS - 1; step >= 0; step--) {
		const __u32 next = below + (1U << step);
		__u64 inside;

		if (1U << step > count)
			continue;
		/* Behind the part's end are others' bounds, in the map all the same: read, and not counted. */
		inside = access_below(count, next) ^ 1;
		inside &= v6 ? access_fits6(first + next - 1, high, low) : access_fits4(first + next - 1, low);
		below += inside << step;
	}
	return below & 1;
}

#endif
