/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624), in plain C: a chain of helper calls costs
 * 200 ns, this a few instructions. Sums are kept in 64 bits and folded once at the end. Values are taken as they lie in
 * the packet; the sum is the same in either byte order.
 */
#ifndef BPF_CHECKSUM_H
#define BPF_CHECKSUM_H

#include <linux/types.h>

static __always_inline __u16 checksum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* What the replacement of a 32-bit (16-bit) word adds to the complemented sum: ~old + new. */
static __always_inline __u64 checksum_diff32(__u32 old, __u32 new)
{
	return (__u64)(__u32)~old + new;
}

static __always_inline __u64 checksum_diff16(__u16 old, __u16 new)
{
	return (__u64)(__u16)~old + new;
}

/* RFC 1624, equation 3: HC' = ~(~HC + ~m + m'). */
static __always_inline __u16 checksum_update(__u16 checksum, __u64 diff)
{
	return ~checksum_fold((__u64)(__u16)~checksum + diff);
}

#endif
