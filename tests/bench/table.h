/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What tests/bench/table.c and its programs (table.bpf.c) share. */
#ifndef BENCH_TABLE_H
#define BENCH_TABLE_H

#include <linux/types.h>

enum { TABLE_CPUS = 256, TABLE_STEP = 0x9e3779b1 /* a prime: index * it % flows visits every flow, in no order */ };

/* What a program does in one run, and what came of it. One for each CPU. */
struct order {
	__u64 first, count;    /* operations */
	__u64 flows;           /* operation n is about flow n * TABLE_STEP % flows */
	__u64 base;            /* ... counted from this flow on */
	__u64 state;           /* FLOW_* bits that an insert gives */
	__u64 listed;          /* the keys are those of `chosen`, not made of numbers */
	__u64 done, refused, busy;
};

/* The key of a kernel's hash table, as long as that of struct flow4, and as much to remember. */
struct kernel_key {
	__u32 w[3];
};

struct kernel_value {
	__u64 tag;
	__u32 to[4];
};

#endif
