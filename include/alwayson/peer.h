/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What bpf/peer.bpf.c and the agent share: records that another balancer told of, in this machine's own ids, on their
 * way into the flow table. The agent writes a batch and runs the program over it; the program writes what became of each.
 */
#ifndef ALWAYSON_PEER_H
#define ALWAYSON_PEER_H

#include <linux/types.h>

#define PEER_BATCH 64

/* The hop of a record whose client's next hop is not known: the client's first packet does not fit, and is learnt from. */
#define PEER_HOP 0xffff

/* What became of a record. */
#define PEER_NONE     0 /* not looked at */
#define PEER_INSERTED 1
#define PEER_UPDATED  2 /* it was there, and is newer now */
#define PEER_OLDER    3 /* what is in the table is newer, or as new and this machine's own: it stays */
#define PEER_FULL     4 /* no room */
#define PEER_BUSY     5 /* the program held the entry's lock: its sender will tell again */

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

struct peer_record {
	__u64 request[6];   /* struct flow4 or flow6 */
	__u64 reply[6];     /* nat: the way back */
	__u16 server;
	__u8 generation;
	__u8 state;         /* of the request: FLOW_OPENED, FLOW_PROVEN, FLOW_FIN, FLOW_RST */
	__u8 reply_state;
	__u8 v6;
	__u8 nat;
	__u8 result;        /* program: PEER_* */
	__u16 age;          /* ticks since its last packet */
	__u16 zero;
	__u32 zero2;
};

struct peer_batch {
	__u32 count;
	__u32 zero;
	struct peer_record records[PEER_BATCH];
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct peer_record) == 112, "peer_record");

#endif
