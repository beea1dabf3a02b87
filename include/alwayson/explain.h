/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a dry run of the program says of the packet it was given: the steps it took, and what it found at each. Written
 * by bpf/explain.h, only where `dry_run` is set; read by user/dataplane/dry_run.c after each packet.
 */
#ifndef ALWAYSON_EXPLAIN_H
#define ALWAYSON_EXPLAIN_H

#include <linux/types.h>

/* Steps: bits of explanation.steps. */
#define EXPLAIN_REPLY         0x0001ULL /* an own address and a recorded reply's port: flow is the reply's tag */
#define EXPLAIN_SERVICE       0x0002ULL /* service is whom the packet is for */
#define EXPLAIN_RECORD_ASKED  0x0004ULL /* the flow table was asked ... */
#define EXPLAIN_RECORD_FOUND  0x0008ULL /* ... and knows the connection: flow is its tag */
#define EXPLAIN_RECORD_STALE  0x0010ULL /* but its server has been removed */
#define EXPLAIN_FORGOTTEN     0x0020ULL /* a record was dropped */
#define EXPLAIN_REOPENED      0x0040ULL /* a closed connection begins anew on its record */
#define EXPLAIN_SLOT          0x0080ULL /* slot is the packet's, by its hash */
#define EXPLAIN_OLD_TABLE     0x0100ULL /* the table of before was asked; old_server is its answer */
#define EXPLAIN_TURN          0x0200ULL /* round robin: slot is the turn's */
#define EXPLAIN_RECORDED      0x0400ULL /* the connection was written down */
#define EXPLAIN_UNRECORDED    0x0800ULL /* the flow table had no room; it was steered all the same */
#define EXPLAIN_OWN_PORT      0x1000ULL /* with an own address and port */
#define EXPLAIN_FRAGMENT      0x2000ULL /* a later fragment; ... */
#define EXPLAIN_FRAGMENT_WAY  0x4000ULL /* ... its first one's way is known */
#define EXPLAIN_ERROR         0x8000ULL /* an ICMP error that quotes a packet of ours */
#define EXPLAIN_ROUTED       0x10000ULL /* the kernel was asked for the way to the client */
#define EXPLAIN_QUIC         0x20000ULL /* the connection id names the server */

struct explanation {
	__u64 steps;
	__u64 slot;        /* as it lies in slots[slot_index] */
	__u64 flow;        /* tag of the record found */
	__u32 slot_index;
	__u32 service;     /* id */
	__u32 server;      /* id of the server it goes to, or would; 0 = none */
	__u32 old_server;  /* id */
	__u32 way_out;     /* ifindex */
	__u32 verdict;
	__u32 own_address; /* id */
	__be16 own_port;
	__u16 zero;
};

_Static_assert(sizeof(struct explanation) == 56, "explanation");

#endif
