/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarding, tunnel: the packet travels to the server inside an outer IP header (RFC 2003, RFC 2473), over any number
 * of routers, and stays as the client made it; the server unwraps it and answers the client itself. All four pairs of
 * families. The agent has prepared all of the outer header that does not depend on the packet.
 *
 * TTL: the inner one is decremented, as by any router; the outer one starts anew. TOS: DSCP and ECN are copied to the
 * outer header (RFC 2983 uniform model, RFC 6040 normal mode). The outer source's low bits, or the IPv6 flow label, are
 * the flow's hash, so that the servers' NICs spread flows over their queues (RFC 6438 for the label).
 */
#ifndef BPF_TUNNEL_H
#define BPF_TUNNEL_H

#include "answer.h"
#include "dsr.h"

#define TUNNEL_TTL 64

static __always_inline __u8 tunnel_tos(const struct packet *p, const bool v6)
{
	if (v6)
		return bpf_ntohl(*(const __be32 *)p->ip6) >> 20;
	return p->ip4->tos;
}

static __always_inline void tunnel_write4(struct iphdr *ip, const struct server *s, __u8 tos, __u16 length, __u32 hash,
					  __u8 protocol)
{
	const __u32 low = hash & ((1ULL << s->outer_bits) - 1);
	const __be32 source = (__u32)s->outer_source[0] | bpf_htonl(low);

	/* Version, header length, TOS | length | id 0 (RFC 6864: an atomic datagram has none) | DF | TTL, protocol. */
	*(__u16 *)ip = bpf_htons(0x4500 | tos);
	ip->tot_len = bpf_htons(length);
	ip->id = 0;
	ip->frag_off = bpf_htons(0x4000);
	ip->ttl = TUNNEL_TTL;
	ip->protocol = protocol;
	ip->saddr = source;
	ip->daddr = s->addr[0];
	ip->check = ~checksum_fold((__u64)s->outer_sum + *(__u16 *)ip + ip->tot_len + *(__u16 *)&ip->ttl +
				   bpf_htonl(low));
}

static __always_inline void tunnel_write6(struct ipv6hdr *ip, const struct server *s, __u8 tos, __u16 length, __u32 hash,
					  __u8 protocol)
{
	__u64 *source = (__u64 *)&ip->saddr;
	__u64 *destination = (__u64 *)&ip->daddr;
	const __u64 low = hash & ((1ULL << s->outer_bits) - 1);

	*(__be32 *)ip = bpf_htonl(0x60000000 | (__u32)tos << 20 | (hash & 0xfffff));
	ip->payload_len = bpf_htons(length);
	ip->nexthdr = protocol;
	ip->hop_limit = TUNNEL_TTL;
	source[0] = s->outer_source[0];
	source[1] = s->outer_source[1] | (__u64)bpf_htonl(low) << 32;
	destination[0] = s->addr[0];
	destination[1] = s->addr[1];
}

/* Room for the outer header. The frame's own header is written anew by the caller; only VLAN tags must be moved. */
static __always_inline bool tunnel_make_room(struct packet *p, const int grow)
{
	if (p->link != sizeof(struct ethhdr))
		return answer_make_room(p, grow);
	if (bpf_xdp_adjust_head(p->ctx, -grow))
		return false;
	p->eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	return true;
}

/* `hash` is the flow's. s->mtu is that of the way, less the outer header. */
static __always_inline enum verdict tunnel_forward(struct packet *p, const struct server *s, __u64 server_word,
						   __u32 hash, const bool v6)
{
	const __u8 protocol = v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	enum verdict v;
	__u8 tos;

	if (!(SERVER_FLAGS(server_word) & SERVER_RESOLVED) || !s->outer)
		return VERDICT_NO_NEIGHBOUR;
	v = forward_check(p, s->mtu, v6);
	if (v)
		return v;
	forward_age(p, v6);
	tos = tunnel_tos(p, v6);
	if (s->outer == 6) {
		struct ipv6hdr *ip;

		if (!tunnel_make_room(p, sizeof(*ip)))
			return VERDICT_NO_HEADROOM;
		ip = answer_l3(p);
		if ((void *)(ip + 1) > p->end)
			return VERDICT_INTERNAL;
		tunnel_write6(ip, s, tos, p->length, hash, protocol);
		answer_set_type(p, bpf_htons(ETH_P_IPV6));
	} else {
		struct iphdr *ip;

		if (!tunnel_make_room(p, sizeof(*ip)))
			return VERDICT_NO_HEADROOM;
		ip = answer_l3(p);
		if ((void *)(ip + 1) > p->end)
			return VERDICT_INTERNAL;
		tunnel_write4(ip, s, tos, p->length + sizeof(*ip), hash, protocol);
		answer_set_type(p, bpf_htons(ETH_P_IP));
	}
	if ((void *)(p->eth + 1) > p->end)
		return VERDICT_INTERNAL;
	forward_frame(p, s, server_word);
	return VERDICT_IPIP;
}

#endif
