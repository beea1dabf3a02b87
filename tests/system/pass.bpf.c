/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Passes every packet. The lab attaches it to the far end of each of the balancer's veth pairs: without an XDP program
 * there, veth silently loses what XDP_TX and redirect send into the pair. Must not touch a packet.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
