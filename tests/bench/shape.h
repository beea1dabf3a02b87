/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What packets the wrapper (wrapper.bpf.c) makes: written by tests/bench/packet.c into the wrapper's memory before
 * each run, read by the wrapper for each packet. Compiled by both sides; knows nothing of the program under test.
 *
 * Packet number n belongs to flow i, and the fields that differ are
 *   source address    of a request source + i >> SHAPE_PORT_BITS, of a reply source + i % turn.divisor: its server
 *   source port       of a request sport + i's low SHAPE_PORT_BITS bits
 *   destination port  of a request dport + i % turn.divisor: its service; of a reply dport + i % pool.divisor: the own
 *                     port it was given
 * each switched by a mask. No table of flows is read: it would push the tables under test out of the cache.
 */
#ifndef BENCH_SHAPE_H
#define BENCH_SHAPE_H

#include <linux/types.h>

#define SHAPE_PORT_BITS 14
#define SHAPE_DIVISION_BITS 40
#define SHAPE_LINES (1 << 19) /* of 64 bytes, that a floor touches: 32 MiB, as the flow table of the default size */

/*
 * For i % divisor without a division: i - divisor * (i * reciprocal >> SHAPE_DIVISION_BITS), exact for i below 2^20 and
 * divisors below 2^16.
 */
struct shape_division {
	__u64 reciprocal;         /* 2^SHAPE_DIVISION_BITS / divisor, rounded up */
	__u64 divisor;
};

struct shape {
	__u64 n;                  /* packets made so far; the wrapper adds */
	struct shape_division turn, pool;
	__u32 flow_mask;          /* flows - 1, a power of two less one */
	__u32 pairs;              /* 1: two packets a flow in turn, with flags[0] and flags[1] (SYN and ACK); else 0 */
	__u32 source;             /* last 32 bits of the addresses, host order */
	__u32 destination;
	__u32 source_by_flow;     /* masks, 0 or ~0 */
	__u32 source_by_turn;
	__u32 sport_by_flow;
	__u32 dport_by_turn;
	__u32 dport_by_pool;
	__u32 size;               /* of the frame */
	__u16 sport, dport;       /* host order */
	__u8 flags[2];            /* of TCP */
	__u8 protocol;
	__u8 v6;
	__u16 length;             /* IP's total (v6: payload) length, host order */
	__u32 mac[3];             /* destination, source; as they lie in the frame */
	__u16 zeros[3];
	__u64 source_prefix[2];   /* v6: the first 12 bytes, as they lie in the packet */
	__u64 destination_prefix[2];
	__u64 ip_sum, l4_sum;     /* of all words of the header (and pseudo-header) that do not differ */
};

#define SHAPE_L4_SIZE 20  /* a TCP header, or a UDP header and 12 bytes of zeros */
#define SHAPE_TTL    64
#define SHAPE_WINDOW 1024 /* of TCP; sequence and acknowledgement numbers are 1 */

#endif
