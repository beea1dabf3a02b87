/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP (RFC 792) and ICMPv6 (RFC 4443) of our own: what can't be delivered, what is too big for the way out (RFC 1191,
 * 8201), and echo replies for service addresses that the host does not own. At most RESETS_PER_SECOND on each CPU.
 */
#ifndef BPF_ICMP_H
#define BPF_ICMP_H

#include <linux/icmp.h>
#include <linux/icmpv6.h>

#include "answer.h"

#define ICMP_QUOTE_MAX 68 /* IPv4 header with all options, and 8 bytes of what it carries */

/*
 * An error about this packet to its sender, from the address it was sent to. The quoted packet stays where it is; our
 * headers are put in front of it and the rest is cut off. `info`: the MTU of "fragmentation needed", else 0.
 */
static __always_inline enum verdict icmp_send4(struct packet *p, __u8 type, __u8 code, __u16 info, enum verdict sent)
{
	const int grow = sizeof(struct iphdr) + sizeof(struct icmphdr);
	const __u32 link = p->link & 31;
	const __u32 quote = p->ip4->ihl * 4 + 8;
	const __u32 size = link + grow + quote;
	const __u64 peer = mac_load(p->eth->h_source);
	const __u64 own = mac_load(p->eth->h_dest);
	const __be32 from = p->ip4->daddr, to = p->ip4->saddr;
	struct icmphdr *icmp;
	struct iphdr *ip;
	__u64 sum;

	if (!answer_has_receiver(p, false))
		return VERDICT_UNANSWERED;
	if (!answer_allowed() || !answer_make_room(p, grow) ||
	    bpf_xdp_adjust_tail(p->ctx, (int)size - (int)bpf_xdp_get_buff_len(p->ctx)))
		return VERDICT_LIMITED;
	p->eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	ip = answer_l3(p);
	icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) > p->end)
		return VERDICT_INTERNAL;
	answer_turn_frame(p, peer, own);
	answer_ip4(ip, from, to, grow + quote, IPPROTO_ICMP);
	__builtin_memset(icmp, 0, sizeof(*icmp));
	icmp->type = type;
	icmp->code = code;
	icmp->un.frag.mtu = bpf_htons(info);
	sum = answer_sum(icmp, 2);
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

/* The same for IPv6. `info`: the MTU of "packet too big", else 0. */
static __always_inline enum verdict icmp_send6(struct packet *p, __u8 type, __u8 code, __u32 info, enum verdict sent)
{
	const int grow = sizeof(struct ipv6hdr) + sizeof(struct icmp6hdr);
	const __u32 link = p->link & 31;
	const __u32 quote = sizeof(struct ipv6hdr) + 8;
	const __u32 size = link + grow + quote;
	const __u64 peer = mac_load(p->eth->h_source);
	const __u64 own = mac_load(p->eth->h_dest);
	const struct in6_addr from = p->ip6->daddr, to = p->ip6->saddr;
	struct icmp6hdr *icmp;
	struct ipv6hdr *ip;
	__u64 sum;

	if (!answer_has_receiver(p, true))
		return VERDICT_UNANSWERED;
	if (!answer_allowed() || !answer_make_room(p, grow) ||
	    bpf_xdp_adjust_tail(p->ctx, (int)size - (int)bpf_xdp_get_buff_len(p->ctx)))
		return VERDICT_LIMITED;
	p->eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	ip = answer_l3(p);
	icmp = (void *)(ip + 1);
	if ((void *)(icmp + 1) + quote > p->end)
		return VERDICT_INTERNAL;
	answer_turn_frame(p, peer, own);
	answer_ip6(ip, &from, &to, sizeof(*icmp) + quote, IPPROTO_ICMPV6);
	__builtin_memset(icmp, 0, sizeof(*icmp));
	icmp->icmp6_type = type;
	icmp->icmp6_code = code;
	icmp->icmp6_mtu = bpf_htonl(info);
	sum = answer_pseudo6(ip, sizeof(*icmp) + quote, IPPROTO_ICMPV6) + answer_sum(icmp, (8 + 48) / 4);
	icmp->icmp6_cksum = ~checksum_fold(sum);
	return sent;
}

/*
 * Why a packet goes no further: TOO_BIG for the way out, or TTL_EXCEEDED. An IPv4 sender that allows fragments is not told
 * of the first, as we make none; it is counted.
 */
static __always_inline enum verdict icmp_tell(struct packet *p, enum verdict why, __u32 mtu, const bool v6)
{
	const bool big = why == VERDICT_TOO_BIG;
	const enum verdict told = big ? VERDICT_TOO_BIG_TOLD : VERDICT_TTL_TOLD;

	if (!big)
		mtu = 0;
	if (v6)
		return icmp_send6(p, big ? ICMPV6_PKT_TOOBIG : ICMPV6_TIME_EXCEED, 0, mtu, told);
	if (big && !(p->ip4->frag_off & bpf_htons(0x4000)))
		return VERDICT_TOO_BIG;
	return icmp_send4(p, big ? ICMP_DEST_UNREACH : ICMP_TIME_EXCEEDED, big ? ICMP_FRAG_NEEDED : 0, mtu, told);
}

/* The reply to an echo request, in place: of the same length, so it amplifies nothing. */
static __always_inline enum verdict icmp_echo(struct packet *p, const bool v6)
{
	struct icmphdr *icmp = p->l4; /* type, code and checksum are where ICMPv6 has them */
	const __u16 old = *(__u16 *)p->l4;

	if (!answer_allowed())
		return VERDICT_LIMITED;
	if (v6) {
		const struct in6_addr from = p->ip6->daddr;

		p->ip6->daddr = p->ip6->saddr;
		p->ip6->saddr = from;
		p->ip6->hop_limit = ANSWER_TTL;
		icmp->type = ICMPV6_ECHO_REPLY;
	} else {
		const __be32 from = p->ip4->daddr;
		const __u16 word = *(__u16 *)&p->ip4->ttl;

		p->ip4->daddr = p->ip4->saddr;
		p->ip4->saddr = from;
		p->ip4->ttl = ANSWER_TTL;
		p->ip4->check = checksum_update(p->ip4->check, checksum_diff16(word, *(__u16 *)&p->ip4->ttl));
		icmp->type = ICMP_ECHOREPLY;
	}
	icmp->checksum = checksum_update(icmp->checksum, checksum_diff16(old, *(__u16 *)p->l4));
	answer_turn_frame(p, mac_load(p->eth->h_source), mac_load(p->eth->h_dest));
	return VERDICT_ECHO;
}

#endif
