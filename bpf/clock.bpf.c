// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The kernel's jiffies for the agent, by a test run: the clock by which the program stamps flows. Their rate is measured
 * with it, never assumed. Attached to nothing.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int clock_jiffies(struct xdp_md *ctx)
{
	return (int)bpf_jiffies64();
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
