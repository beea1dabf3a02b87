// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Our place in libxdp's dispatcher, for interfaces that other programs share with us: goes on to the program proper,
 * which stays an ordinary XDP program. So that is verified once, and is replaced by one store into the map below without
 * a new dispatcher; what other tools build a dispatcher around is only this. Loaded by user/dataplane/dispatcher.c, as an
 * extension (freplace). Must do nothing else.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The program proper, written by the agent. Empty: packets are none of ours. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} program SEC(".maps");

SEC("xdp.frags")
int alwayson(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &program, 0);
	return XDP_PASS;
}

/*
 * What the extension is checked against before libxdp links it into its dispatcher; never run. The kernel wants of every
 * later target what it has seen in the first: the attach type, and that it might change packets.
 */
SEC("xdp.frags")
int target(struct xdp_md *ctx)
{
	bpf_xdp_adjust_tail(ctx, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
