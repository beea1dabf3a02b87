// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the bench times. BPF_PROG_TEST_RUN never restores the packet between two iterations, so each iteration begins in
 * `wrapper`, which trims what the last one prepended, writes the next flow's packet with valid checksums, and
 * tail-calls the program under test. Next to it stand the floors: programs that do as little as can be done in the same
 * harness.
 * Driven by tests/bench/packet.c; never attached to anything.
 *
 * Fields are stored in sizes no smaller than those in which a program loads them: a load that spans two fresh stores
 * stalls, and the figure would tell of that.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <alwayson/hash.h>

#include "checksum.h"
#include "shape.h"

struct shape shape;

/* [0] = the program under test: a constant index, so that the JIT makes it a direct jump. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

/* As large as the flow table of the default size. */
struct line {
	__u64 words[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SHAPE_LINES);
	__type(key, __u32);
	__type(value, struct line);
} lines SEC(".maps");

/* What differs from packet to packet, in network order. */
struct variable {
	__be32 source, destination;
	__be16 sport, dport;
	__u8 flags;
};

static __always_inline __u32 rest_of(__u64 i, const struct shape_division *d)
{
	return i - d->divisor * (i * d->reciprocal >> SHAPE_DIVISION_BITS);
}

static __always_inline struct variable next_packet(void)
{
	__u64 n = shape.n++;
	__u32 i = (n >> shape.pairs) & shape.flow_mask;
	__u32 turn = rest_of(i, &shape.turn);
	__u32 pool = rest_of(i, &shape.pool);
	struct variable v = {
		.source = bpf_htonl(shape.source + (i >> SHAPE_PORT_BITS & shape.source_by_flow) +
				    (turn & shape.source_by_turn)),
		.destination = bpf_htonl(shape.destination),
		.sport = bpf_htons(shape.sport + (i & ((1 << SHAPE_PORT_BITS) - 1) & shape.sport_by_flow)),
		.dport = bpf_htons(shape.dport + (turn & shape.dport_by_turn) + (pool & shape.dport_by_pool)),
		.flags = shape.flags[n & 1],
	};

	return v;
}

static __always_inline void write_ethernet(struct ethhdr *eth, __be16 proto)
{
	__u32 *to = (__u32 *)eth;

#pragma unroll
	for (int i = 0; i < 3; i++)
		to[i] = shape.mac[i];
	*(__u16 *)&to[3] = proto; /* struct ethhdr is packed: its own field would be stored as bytes */
}

static __always_inline void write_l4(void *l4, const struct variable *v)
{
	__u64 sum = shape.l4_sum + v->source + v->destination + v->sport + v->dport;

	if (shape.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = l4;

		tcp->source = v->sport;
		tcp->dest = v->dport;
		tcp->seq = bpf_htonl(1);
		tcp->ack_seq = bpf_htonl(1);
		((__u16 *)tcp)[6] = bpf_htons(sizeof(*tcp) / 4 << 12 | v->flags);
		tcp->window = bpf_htons(SHAPE_WINDOW);
		tcp->check = ~checksum_fold(sum + bpf_htons(v->flags));
		tcp->urg_ptr = 0;
	} else {
		struct udphdr *udp = l4;
		__u16 check = ~checksum_fold(sum);

		udp->source = v->sport;
		udp->dest = v->dport;
		udp->len = bpf_htons(SHAPE_L4_SIZE);
		udp->check = check ? check : 0xffff;
	}
}

static __always_inline void write_packet4(struct ethhdr *eth, const struct variable *v)
{
	struct iphdr *ip = (void *)(eth + 1);

	write_ethernet(eth, bpf_htons(ETH_P_IP));
	*(__u16 *)ip = bpf_htons(0x4500);
	ip->tot_len = bpf_htons(shape.length);
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	*(__u16 *)&ip->ttl = bpf_htons(SHAPE_TTL << 8 | shape.protocol);
	ip->check = ~checksum_fold(shape.ip_sum + v->source + v->destination);
	ip->saddr = v->source;
	ip->daddr = v->destination;
	write_l4(ip + 1, v);
}

static __always_inline void write_packet6(struct ethhdr *eth, const struct variable *v)
{
	struct ipv6hdr *ip = (void *)(eth + 1);
	__u64 *addresses = (__u64 *)&ip->saddr;

	write_ethernet(eth, bpf_htons(ETH_P_IPV6));
	*(__u32 *)ip = bpf_htonl(0x60000000);
	ip->payload_len = bpf_htons(shape.length);
	*(__u16 *)&ip->nexthdr = bpf_htons(shape.protocol << 8 | SHAPE_TTL);
	addresses[0] = shape.source_prefix[0];
	addresses[1] = shape.source_prefix[1] | (__u64)v->source << 32;
	addresses[2] = shape.destination_prefix[0];
	addresses[3] = shape.destination_prefix[1] | (__u64)v->destination << 32;
	write_l4(ip + 1, v);
}

SEC("xdp.frags")
int wrapper(struct xdp_md *ctx)
{
	int grown = (int)(ctx->data_end - ctx->data) - (int)shape.size;
	struct variable v = next_packet();
	struct ethhdr *eth;
	void *end;

	if (grown && bpf_xdp_adjust_head(ctx, grown))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (shape.v6) {
		if ((void *)(eth + 1) + sizeof(struct ipv6hdr) + SHAPE_L4_SIZE > end)
			return XDP_ABORTED;
		write_packet6(eth, &v);
	} else {
		if ((void *)(eth + 1) + sizeof(struct iphdr) + SHAPE_L4_SIZE > end)
			return XDP_ABORTED;
		write_packet4(eth, &v);
	}
	bpf_tail_call(ctx, &under_test, 0);
	return XDP_ABORTED;
}

/* The empty program: what every figure is net of. */
SEC("xdp.frags")
int floor_tx(struct xdp_md *ctx)
{
	return XDP_TX;
}

/* Room for an outer IPv4 header, and nothing in it. */
SEC("xdp.frags")
int floor_head(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)) ? XDP_ABORTED : XDP_TX;
}

/* One line of memory that the packet's addresses and ports lead to: what any table as large as ours has to wait for. */
SEC("xdp.frags")
int floor_line(struct xdp_md *ctx)
{
	const struct hash_key key = { { 1, 2 } };
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	volatile struct line *line;
	__u32 index;

	if ((void *)(tcp + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	index = hash_tuple4(&key, ip->saddr, ip->daddr, tcp->source, tcp->dest, ip->protocol) & (SHAPE_LINES - 1);
	line = bpf_map_lookup_elem(&lines, &index);
	if (!line)
		return XDP_ABORTED;
	*(__u64 *)eth = line->words[0];
	return XDP_TX;
}

/* Parses as far as any load balancer must, and prepends a constant IPIP header: the unit of the multiples. */
SEC("xdp.frags")
int floor_ipip(struct xdp_md *ctx)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u16 length;

	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->version != 4 || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP || (ip->frag_off & bpf_htons(0x3fff)))
		return XDP_PASS;
	length = bpf_ntohs(ip->tot_len) + sizeof(*ip);
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*ip)))
		return XDP_ABORTED;
	eth = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > end)
		return XDP_ABORTED;
	*(__u64 *)eth = 0x0002020000000102ULL; /* locally administered: 02:01:00:00:00:02 from 02:00:... */
	((__u32 *)eth)[2] = 0x01000000;
	eth->h_proto = bpf_htons(ETH_P_IP);
	*(__u16 *)ip = bpf_htons(0x4500);
	ip->tot_len = bpf_htons(length);
	*(__u32 *)&ip->id = 0;
	*(__u16 *)&ip->ttl = bpf_htons(SHAPE_TTL << 8 | IPPROTO_IPIP);
	ip->saddr = bpf_htonl(0xc6120001); /* 198.18.0.1 to 198.18.0.2 (RFC 2544) */
	ip->daddr = bpf_htonl(0xc6120002);
	ip->check = ~checksum_fold((__u64)bpf_htons(0x4500) + ip->tot_len + bpf_htons(SHAPE_TTL << 8 | IPPROTO_IPIP) +
				   ip->saddr + ip->daddr);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
