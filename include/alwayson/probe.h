/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What probe.bpf.c, the program that sends a check's packets to a service's address by way of one server, and its loader
 * (user/dataplane/probe.c) share: the mark, map keys, limits. Nothing of the balancer's own tables is here: a check takes
 * the kernel's route and neighbour, and must not depend on what it is to find out.
 */
#ifndef ALWAYSON_PROBE_H
#define ALWAYSON_PROBE_H

#include <linux/types.h>

/*
 * The mark (SO_MARK) of a check's socket: PROBE_MARK and the index of its path. 14 bits of index: those above, which
 * kube-proxy uses (0x4000, 0x8000), stay clear.
 */
#define PROBE_MARK       0xa1050000u
#define PROBE_INDEX_MASK 0x00003fffu
#define PROBE_PATHS_MAX  16384   /* indices 1 .. PROBE_PATHS_MAX-1; 0 = none */
#define PROBE_FLOWS_MAX  65536   /* connections of checks whose answers are known; the oldest gives way */
#define PROBE_TTL        1       /* of the packet that reaches the server: whoever forwards it instead drops it */
#define PROBE_OUTER_TTL  64

enum probe_kind { PROBE_NONE, PROBE_DSR, PROBE_IPIP };

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* paths[index]: from the socket's idea of its peer, the server's own address, to the service's. agent, but for `sent`. */
struct probe_path {
	__u64 server[2];       /* IPv4 in the first 4 bytes, the rest zero */
	__u64 service[2];
	__u64 outer_source[2]; /* ipip; zero = the check's own source */
	__u8 kind;             /* enum probe_kind */
	__u8 family;           /* 4, 6 */
	__u8 outer_bits;       /* low bits of outer_source that a hash of the ports fills: 0 .. 32 */
	__u8 zero;
	__u32 zero2;
	__u64 sent;            /* packets that were sent this way; program */
};

/* Key of `flows`: an answer of a service's address to a check. program. */
struct probe_flow {
	__u64 service[2];
	__u64 own[2];
	__be16 service_port, own_port;
	__u8 protocol;
	__u8 family;
	__u16 zero;
};

/* Its value: whom the socket takes it to be from. */
struct probe_peer {
	__u64 server[2];
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct probe_path) == 64, "probe_path");
_Static_assert(sizeof(struct probe_flow) == 40, "probe_flow");
_Static_assert(sizeof(struct probe_peer) == 16, "probe_peer");

#endif
