/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers of our own to packets that can't be served, so that a client learns at once instead of waiting: a TCP RST
 * (RFC 9293, section 3.10.7.1) or ICMP port unreachable (RFC 792, 4443). At most RESETS_PER_SECOND on each CPU.
 * The packet is rebuilt in place and goes back the way it came.
 */
#ifndef BPF_REJECT_H
#define BPF_REJECT_H

#include <linux/icmp.h>
#include <linux/icmpv6.h>

#include "checksum.h"
#include "hop.h"

#define REJECT_TTL 64
#define ICMP_QUOTE_MAX 68 /* IPv4 header with all options, and 8 bytes of what it carries */

static __always_inline bool reject_allowed(void)
{
	__u64 jiffy = bpf_jiffies64();
	__u32 zero = 0;
	struct reset_budget *b = bpf_map_lookup_elem(&reset_budgets, &zero);

	if (!b)
		return false;
	if (b->jiffy != jiffy) {
		b->jiffy = jiffy;
		b->sent = 0;
	}
	return b->sent++ < resets_per_jiffy;
}

static __always_inline __u64 reject_sum(const void *from, int words)
{
	const __u32 *w = from;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += w[i];
	return sum;
}

static __always_inline void reject_ip4(struct iphdr *ip, __be32 from, __be32 to, __u16 length, __u8 protocol)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(length);
	ip->frag_off = bpf_htons(0x4000); /* DF */
	ip->ttl = REJECT_TTL;
	ip->protocol = protocol;
	ip->saddr = from;
	ip->daddr = to;
	ip->check = ~checksum_fold(reject_sum(ip, 5));
}

static __always_inline void reject_ip6(struct ipv6hdr *ip, const struct in6_addr *from, const struct in6_addr *to,
				       __u16 payload, __u8 protocol)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(payload);
	ip->nexthdr = protocol;
	ip->hop_limit = REJECT_TTL;
	ip->saddr = *from;
	ip->daddr = *to;
}

/* Sum of the pseudo-header: addresses, length, protocol. */
static __always_inline __u64 reject_pseudo6(const struct ipv6hdr *ip, __u32 length, __u8 protocol)
{
	return reject_sum(&ip->saddr, 8) + bpf_htonl(length) + bpf_htonl(protocol);
}

static __always_inline void reject_turn_frame(struct ethhdr *eth, __u64 source, __u64 destination, __be16 proto)
{
	mac_store(eth->h_dest, source);
	mac_store(eth->h_source, destination);
	eth->h_proto = proto;
}

static __always_inline enum verdict reject_tcp(struct packet *p, enum verdict sent, const bool v6)
{
	const __u32 l3_size = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 size = sizeof(struct ethhdr) + l3_size + sizeof(struct tcphdr);
	const __u32 ip_header = v6 ? sizeof(struct ipv6hdr) : p->ip4->ihl * 4;
	const struct tcphdr *old = packet_tcp(p);
	const __u32 data = old ? p->length - ip_header - old->doff * 4 : 0;
	const __u64 peer = mac_load(p->eth->h_source);
	const __u64 own = mac_load(p->eth->h_dest);
	struct in6_addr from6 = {}, to6 = {};
	__be32 from4 = 0, to4 = 0;
	struct tcphdr tcp = {};
	struct ethhdr *eth;
	void *l3, *l4;
	__u64 sum;

	if (!old)
		return VERDICT_INTERNAL;
	if (p->tcp_flags & TCP_RST)
		return VERDICT_STRAY;
	if (!reject_allowed())
		return VERDICT_LIMITED;
	if (v6) {
		from6 = p->ip6->daddr;
		to6 = p->ip6->saddr;
	} else {
		from4 = p->ip4->daddr;
		to4 = p->ip4->saddr;
	}
	tcp.source = p->dport;
	tcp.dest = p->sport;
	tcp.doff = 5;
	tcp.rst = 1;
	if (p->tcp_flags & TCP_ACK) {
		tcp.seq = old->ack_seq;
	} else {
		tcp.ack = 1;
		tcp.ack_seq = bpf_htonl(bpf_ntohl(old->seq) + data + !!(p->tcp_flags & TCP_SYN) +
					!!(p->tcp_flags & TCP_FIN));
	}
	if (bpf_xdp_adjust_tail(p->ctx, (int)size - (int)bpf_xdp_get_buff_len(p->ctx)))
		return VERDICT_LIMITED;
	eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	if ((void *)eth + size > p->end)
		return VERDICT_INTERNAL;
	l3 = eth + 1;
	l4 = l3 + l3_size;
	if (v6) {
		reject_ip6(l3, &from6, &to6, sizeof(tcp), IPPROTO_TCP);
		sum = reject_pseudo6(l3, sizeof(tcp), IPPROTO_TCP);
	} else {
		reject_ip4(l3, from4, to4, l3_size + sizeof(tcp), IPPROTO_TCP);
		sum = (__u64)from4 + to4 + bpf_htonl(sizeof(tcp)) + bpf_htonl(IPPROTO_TCP);
	}
	tcp.check = ~checksum_fold(sum + reject_sum(&tcp, 5));
	*(struct tcphdr *)l4 = tcp;
	reject_turn_frame(eth, peer, own, v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
	return sent;
}

/* The quoted packet stays where it is; our headers are put in front of it and the rest is cut off. */
static __always_inline enum verdict reject_udp4(struct packet *p, enum verdict sent)
{
	const int grow = sizeof(struct iphdr) + sizeof(struct icmphdr);
	const __u32 quote = p->ip4->ihl * 4 + 8;
	const __u32 size = sizeof(struct ethhdr) + grow + quote;
	const __u64 peer = mac_load(p->eth->h_source);
	const __u64 own = mac_load(p->eth->h_dest);
	const __be32 from = p->ip4->daddr, to = p->ip4->saddr;
	struct icmphdr *icmp;
	struct ethhdr *eth;
	struct iphdr *ip;
	__u64 sum;

	if (bpf_xdp_adjust_head(p->ctx, -grow) ||
	    bpf_xdp_adjust_tail(p->ctx, (int)size - (int)bpf_xdp_get_buff_len(p->ctx)))
		return VERDICT_LIMITED;
	eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	ip = (void *)(eth + 1);
	icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) > p->end)
		return VERDICT_INTERNAL;
	reject_turn_frame(eth, peer, own, bpf_htons(ETH_P_IP));
	reject_ip4(ip, from, to, grow + quote, IPPROTO_ICMP);
	__builtin_memset(icmp, 0, sizeof(*icmp));
	icmp->type = ICMP_DEST_UNREACH;
	icmp->code = ICMP_PORT_UNREACH;
	sum = reject_sum(icmp, 2);
#pragma unroll
	for (__u32 i = 0; i < ICMP_QUOTE_MAX / 4; i++) {
		const __u32 *w = (const __u32 *)(icmp + 1) + i;

		if (i * 4 >= quote || (void *)(w + 1) > p->end)
			break;
		sum += *w;
	}
	icmp->checksum = ~checksum_fold(sum);
	return sent;
}

static __always_inline enum verdict reject_udp6(struct packet *p, enum verdict sent)
{
	const int grow = sizeof(struct ipv6hdr) + sizeof(struct icmp6hdr);
	const __u32 quote = sizeof(struct ipv6hdr) + 8;
	const __u32 size = sizeof(struct ethhdr) + grow + quote;
	const __u64 peer = mac_load(p->eth->h_source);
	const __u64 own = mac_load(p->eth->h_dest);
	const struct in6_addr from = p->ip6->daddr, to = p->ip6->saddr;
	struct icmp6hdr *icmp;
	struct ipv6hdr *ip;
	struct ethhdr *eth;
	__u64 sum;

	if (bpf_xdp_adjust_head(p->ctx, -grow) ||
	    bpf_xdp_adjust_tail(p->ctx, (int)size - (int)bpf_xdp_get_buff_len(p->ctx)))
		return VERDICT_LIMITED;
	eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	ip = (void *)(eth + 1);
	icmp = (void *)(ip + 1);
	if ((void *)eth + size > p->end)
		return VERDICT_INTERNAL;
	reject_turn_frame(eth, peer, own, bpf_htons(ETH_P_IPV6));
	reject_ip6(ip, &from, &to, sizeof(*icmp) + quote, IPPROTO_ICMPV6);
	__builtin_memset(icmp, 0, sizeof(*icmp));
	icmp->icmp6_type = ICMPV6_DEST_UNREACH;
	icmp->icmp6_code = ICMPV6_PORT_UNREACH;
	sum = reject_pseudo6(ip, sizeof(*icmp) + quote, IPPROTO_ICMPV6) + reject_sum(icmp, (8 + 48) / 4);
	icmp->icmp6_cksum = ~checksum_fold(sum);
	return sent;
}

/* `sent` is the verdict to give when the answer is on its way. */
static __always_inline enum verdict reject(struct packet *p, enum verdict sent, const bool v6)
{
	if (packet_is_tcp(p))
		return reject_tcp(p, sent, v6);
	if (!reject_allowed())
		return VERDICT_LIMITED;
	return v6 ? reject_udp6(p, sent) : reject_udp4(p, sent);
}

#endif
