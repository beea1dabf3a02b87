/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tests/bench/flood.c and its programs (flood.bpf.c) share. */
#ifndef BENCH_FLOOD_H
#define BENCH_FLOOD_H

#include <linux/types.h>

enum {
	FLOOD_CPUS = 64,
	FLOOD_PORT_BITS = 14,      /* of a flow's number: its source port; the rest: its source address */
	FLOOD_PORT_LOW = 1024,
	FLOOD_CPU_SHIFT = 11,      /* addresses of a CPU: up to 2^25 flows */
	FLOOD_FRAME = 60,
	FLOOD_NET = 0xc6120000,    /* 198.18.0.0/15 (RFC 2544), where the senders are */
	FLOOD_NET_MASK = 0xfffe0000,
};

/* What is sent; written by flood.c before the start. */
struct flood {
	__u16 mac[6];              /* destination, source; as they lie in the frame */
	__u16 zeros[2];
	__be32 destination;
	__be16 dport;
	__u8 flags[2];             /* of the first packet of a flow and of the second, where there are two */
	__u32 pairs;               /* 1: two packets of each flow in turn */
	__u32 flow_mask;
	__u64 fixed_sum;           /* of what does not differ from packet to packet: TCP and its pseudo-header */
};

struct flood_count {
	__u64 packets;
	__u64 zeros[7];
};

#endif
