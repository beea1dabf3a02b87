/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Refusal of packets that can't be served, so that a client learns at once instead of waiting: a TCP RST (RFC 9293,
 * section 3.10.7.1) or ICMP port unreachable. The packet is rebuilt in place and goes back the way it came. lb.bpf.c calls
 * refuse() with whatever verdict a stage had; what is told of by ICMP alone is in icmp.h.
 */
#ifndef BPF_REJECT_H
#define BPF_REJECT_H

#include "icmp.h"

static __always_inline enum verdict reject_tcp(struct packet *p, enum verdict sent, const bool v6)
{
	const __u32 l3_size = v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	const __u32 link = p->link & 31;
	const __u32 size = link + l3_size + sizeof(struct tcphdr);
	const struct tcphdr *old = packet_tcp(p);
	const __u32 data = old ? p->length - p->header - old->doff * 4 : 0;
	const __u64 peer = mac_load(p->eth->h_source);
	const __u64 own = mac_load(p->eth->h_dest);
	struct in6_addr from6 = {}, to6 = {};
	__be32 from4 = 0, to4 = 0;
	struct tcphdr tcp = {};
	void *l3, *l4;
	__u64 sum;

	if (!old)
		return VERDICT_INTERNAL;
	if (p->tcp_flags & TCP_RST)
		return VERDICT_STRAY;
	if (!answer_has_receiver(p, v6))
		return VERDICT_UNANSWERED;
	if (!answer_allowed())
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
	p->eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	l3 = answer_l3(p);
	if (l3 + l3_size + sizeof(struct tcphdr) > p->end)
		return VERDICT_INTERNAL;
	l4 = l3 + l3_size;
	if (v6) {
		answer_ip6(l3, &from6, &to6, sizeof(tcp), IPPROTO_TCP);
		sum = answer_pseudo6(l3, sizeof(tcp), IPPROTO_TCP);
	} else {
		answer_ip4(l3, from4, to4, l3_size + sizeof(tcp), IPPROTO_TCP);
		sum = (__u64)from4 + to4 + bpf_htonl(sizeof(tcp)) + bpf_htonl(IPPROTO_TCP);
	}
	tcp.check = ~checksum_fold(sum + answer_sum(&tcp, 5));
	*(struct tcphdr *)l4 = tcp;
	answer_turn_frame(p, peer, own);
	return sent;
}

/* `sent` is the verdict to give when the answer is on its way. */
static __always_inline enum verdict reject(struct packet *p, enum verdict sent, const bool v6)
{
	if (packet_is_tcp(p))
		return reject_tcp(p, sent, v6);
	return v6 ? icmp_send6(p, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH, 0, sent) :
		    icmp_send4(p, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, sent);
}

/* Functions, called from one place: what they need of stack is theirs alone. */
static __noinline int reject4(struct packet *p, enum verdict sent)
{
	return reject(p, sent, false);
}

static __noinline int reject6(struct packet *p, enum verdict sent)
{
	return reject(p, sent, true);
}

static __noinline int tell4(struct packet *p, enum verdict why)
{
	return icmp_tell(p, why, p->mtu, false);
}

static __noinline int tell6(struct packet *p, enum verdict why)
{
	return icmp_tell(p, why, p->mtu, true);
}

/* Whose packet goes no further is told why. */
static __always_inline enum verdict refuse(struct packet *p, enum verdict verdict, const bool v6)
{
	switch (verdict) {
	case VERDICT_REJECTED:
	case VERDICT_NO_FLOW:
	case VERDICT_ACCESS_DENIED:
	case VERDICT_RATE_LIMITED:
		return v6 ? reject6(p, verdict) : reject4(p, verdict);
	case VERDICT_TOO_BIG:
	case VERDICT_TTL_EXCEEDED:
		return v6 ? tell6(p, verdict) : tell4(p, verdict);
	default:
		return verdict;
	}
}

#endif
