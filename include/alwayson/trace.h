/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the program and the agent share of a trace: which packets are wanted, and what is told of each. Written and read by
 * bpf/trace.h and user/dataplane/trace.c. CONTROL_TRACE in the control word switches it.
 */
#ifndef ALWAYSON_TRACE_H
#define ALWAYSON_TRACE_H

#include <linux/types.h>

#define TRACE_SNAP_MAX  256       /* bytes of a packet, as it came and as it left */
#define TRACE_RING_SIZE (1 << 20) /* bytes; some 1800 events wait to be read */
#define TRACE_RATE_MAX  100000    /* events a second, of all CPUs */

#define TRACE_SERVICE 0x01 /* only of one address, protocol and range of ports */
#define TRACE_SOURCE  0x02 /* only of clients of one prefix */
#define TRACE_ANY     0x04 /* TRACE_SERVICE: whatever the address of that family */

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"

/* trace_filters[0]. agent; only while CONTROL_TRACE is off and a grace period has passed. */
struct trace_filter {
	__u64 verdicts;       /* bit of each that is wanted; 0 = all */
	__u64 source[2];      /* of TRACE_SOURCE; IPv4 in the first 4 bytes */
	__u64 source_mask[2];
	__u64 service[2];     /* of TRACE_SERVICE */
	__u32 jiffies;        /* in which at most `rate` events are told: a second */
	__u32 rate;
	__u32 snap;           /* bytes told of a packet, at most TRACE_SNAP_MAX */
	__u32 number;         /* of the trace, in each event: what an earlier one left in the ring is passed over */
	__u16 port_low, port_high; /* host order, inclusive */
	__u8 protocol;
	__u8 flags;           /* TRACE_* */
	__u8 source_family;   /* 4 or 6 */
	__u8 service_family;
};

/* trace_states[0]. program. */
struct trace_state {
	__u64 window;         /* jiffies / filter.jiffies */
	__u64 told;           /* events in it */
	__u64 limited;        /* wanted, but above the rate */
	__u64 lost;           /* wanted, but the ring was full */
};

struct trace_event {
	__u64 ns;             /* CLOCK_MONOTONIC */
	__u32 number;
	__u32 verdict;
	__u32 in_length, out_length; /* of the frames; out 0: none left */
	__u32 in_kept, out_kept;     /* bytes of them below */
	__u32 in_ifindex, out_ifindex;
	__u8 in[TRACE_SNAP_MAX];
	__u8 out[TRACE_SNAP_MAX];
};

#pragma GCC diagnostic pop

_Static_assert(sizeof(struct trace_filter) == 80, "trace_filter");
_Static_assert(sizeof(struct trace_event) == 40 + 2 * TRACE_SNAP_MAX, "trace_event");

#endif
