/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What answers of our own are made of: headers, sums, room in the frame, and the limit on how many there are. Used by
 * reject.h, icmp.h and tunnel.h.
 */
#ifndef BPF_ANSWER_H
#define BPF_ANSWER_H

#include "checksum.h"
#include "hop.h"

#define ANSWER_TTL 64

static __always_inline bool answer_allowed(void)
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

/*
 * Nothing is sent to who is no single host, or when the frame came to several (RFC 1122, 3.2.2 and 4.2.3.10; RFC 1812,
 * 4.3.2.7; RFC 4443, 2.4 e). The broadcast address of a prefix is not known here.
 */
static __always_inline bool answer_has_receiver(const struct packet *p, const bool v6)
{
	if (p->eth->h_dest[0] & 1)
		return false;
	if (v6) {
		const __u64 *source = (const __u64 *)&p->ip6->saddr;

		/* :: and ::1 */
		return (source[0] || source[1] & ~bpf_cpu_to_be64(1)) && (__u8)source[0] != 0xff;
	}
	const __u8 first = p->ip4->saddr;

	return first && first != 127 && first < 224;
}

static __always_inline __u64 answer_sum(const void *from, int words)
{
	const __u32 *w = from;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < words; i++)
		sum += w[i];
	return sum;
}

static __always_inline void answer_ip4(struct iphdr *ip, __be32 from, __be32 to, __u16 length, __u8 protocol)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = bpf_htons(length);
	ip->frag_off = bpf_htons(0x4000); /* DF */
	ip->ttl = ANSWER_TTL;
	ip->protocol = protocol;
	ip->saddr = from;
	ip->daddr = to;
	ip->check = ~checksum_fold(answer_sum(ip, 5));
}

static __always_inline void answer_ip6(struct ipv6hdr *ip, const struct in6_addr *from, const struct in6_addr *to,
				       __u16 payload, __u8 protocol)
{
	__builtin_memset(ip, 0, sizeof(*ip));
	ip->version = 6;
	ip->payload_len = bpf_htons(payload);
	ip->nexthdr = protocol;
	ip->hop_limit = ANSWER_TTL;
	ip->saddr = *from;
	ip->daddr = *to;
}

/* Sum of the pseudo-header: addresses, length, protocol. */
static __always_inline __u64 answer_pseudo6(const struct ipv6hdr *ip, __u32 length, __u8 protocol)
{
	return answer_sum(&ip->saddr, 8) + bpf_htonl(length) + bpf_htonl(protocol);
}

/* Where IP begins, in the frame as it is now. The asm keeps clang from working it out anew, as the verifier proves one. */
static __always_inline void *answer_l3(struct packet *p)
{
	void *l3 = (void *)p->eth + (p->link & 31);

	asm volatile("" : "+r"(l3));
	return l3;
}

/*
 * Link and IP header once more, proven, of a frame that was not moved. Linux 6.1 does not remember which verdicts stand for
 * frames that were answered or wrapped, and takes all pointers into them for lost.
 */
static __always_inline bool answer_headers(struct packet *p, const bool v6)
{
	void *l3;

	p->eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
	if ((void *)(p->eth + 1) > p->end)
		return false;
	l3 = answer_l3(p);
	if (l3 + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > p->end)
		return false;
	p->ip4 = l3;
	return true;
}

/* The type of what follows the link header: its last two bytes. */
static __always_inline void answer_set_type(struct packet *p, __be16 type)
{
	__be16 *at = (void *)p->eth + ((p->link - sizeof(type)) & 31);

	if ((void *)(at + 1) <= p->end)
		*at = type;
}

/* Back the way it came; VLAN tags stay. */
static __always_inline void answer_turn_frame(struct packet *p, __u64 peer, __u64 own)
{
	struct ethhdr *eth = p->eth;

	if ((void *)(eth + 1) > p->end)
		return;
	mac_store(eth->h_dest, peer);
	mac_store(eth->h_source, own);
}

/*
 * Makes `grow` bytes of room between the link header and IP: the link header, tags and all, is moved to the front.
 * Afterwards p->eth is the new frame; everything else must be found again. False: no headroom.
 */
static __always_inline bool answer_make_room(struct packet *p, const int grow)
{
	const __u32 link = p->link & 31;

	if (bpf_xdp_adjust_head(p->ctx, -grow))
		return false;
	p->eth = (void *)(long)p->ctx->data;
	p->end = (void *)(long)p->ctx->data_end;
#pragma unroll
	for (__u32 i = 0; i < sizeof(struct ethhdr) + VLAN_TAGS_MAX * sizeof(struct vlan_tag); i += 2) {
		__u16 *to = (void *)p->eth + i;
		__u16 *from = (void *)to + grow;

		if (i >= link || (void *)(from + 1) > p->end)
			break;
		*to = *from;
	}
	return true;
}

#endif
