// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A flood for veth: `sender` makes TCP packets of many flows anew in every frame that BPF_F_TEST_XDP_LIVE_FRAMES gives
 * it (the pages are used again as they come back) and sends them out; `sink` counts what comes back and drops it.
 * Driven by tests/bench/flood.c.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "checksum.h"
#include "flood.h"

struct flood flood;
struct flood_count sent[FLOOD_CPUS];
struct flood_count sunk[FLOOD_CPUS];
const volatile __u32 sink_all;
const volatile __u32 out; /* ifindex */

static __always_inline struct flood_count *of_this_cpu(struct flood_count *counts)
{
	return &counts[bpf_get_smp_processor_id() & (FLOOD_CPUS - 1)];
}

SEC("xdp.frags")
int sender(struct xdp_md *ctx)
{
	struct flood_count *count = of_this_cpu(sent);
	__u64 n = count->packets++;
	__u32 flow = (n >> flood.pairs) & flood.flow_mask;
	/* Each CPU has flows of its own, as a NIC that spreads flows over queues gives them. */
	__be32 source = bpf_htonl(FLOOD_NET + 1 + (flow >> FLOOD_PORT_BITS) +
				  ((bpf_get_smp_processor_id() & (FLOOD_CPUS - 1)) << FLOOD_CPU_SHIFT));
	__be16 sport = bpf_htons(FLOOD_PORT_LOW + (flow & ((1 << FLOOD_PORT_BITS) - 1)));
	__u8 flags = flood.flags[n & flood.pairs & 1];
	__u16 *mac = (void *)(long)ctx->data;
	struct ethhdr *eth = (void *)mac;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
#pragma unroll
	for (int i = 0; i < 6; i++)
		mac[i] = flood.mac[i];
	eth->h_proto = bpf_htons(ETH_P_IP);
	*(__u16 *)ip = bpf_htons(0x4500);
	ip->tot_len = bpf_htons(sizeof(*ip) + sizeof(*tcp));
	*(__u32 *)&ip->id = bpf_htonl(0x4000);
	*(__u16 *)&ip->ttl = bpf_htons(64 << 8 | IPPROTO_TCP);
	ip->saddr = source;
	ip->daddr = flood.destination;
	ip->check = 0;
	ip->check = ~checksum_fold((__u64)bpf_htons(0x4500) + bpf_htons(sizeof(*ip) + sizeof(*tcp)) + bpf_htons(0x4000) +
				   bpf_htons(64 << 8 | IPPROTO_TCP) + source + flood.destination);
	tcp->source = sport;
	tcp->dest = flood.dport;
	tcp->seq = bpf_htonl(1);
	tcp->ack_seq = 0;
	((__u16 *)tcp)[6] = bpf_htons(sizeof(*tcp) / 4 << 12 | flags);
	tcp->window = bpf_htons(1024);
	tcp->urg_ptr = 0;
	tcp->check = ~checksum_fold(flood.fixed_sum + source + sport +
				    bpf_htons(sizeof(*tcp) / 4 << 12 | flags));
	return bpf_redirect(out, 0);
}

static __always_inline int is_of_the_flood(__be32 address)
{
	return (bpf_ntohl(address) & FLOOD_NET_MASK) == FLOOD_NET;
}

SEC("xdp.frags")
int sink(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP) ||
	    !(sink_all || is_of_the_flood(ip->saddr) || is_of_the_flood(ip->daddr)))
		return XDP_PASS;
	of_this_cpu(sunk)->packets++;
	return XDP_DROP;
}

/* What a balancer is compared with: the least that answers, and the least that takes. */
SEC("xdp.frags")
int bounce(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return (void *)(eth + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_TX;
}

SEC("xdp.frags")
int drop(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	return (void *)(eth + 1) > (void *)(long)ctx->data_end || eth->h_proto != bpf_htons(ETH_P_IP) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
