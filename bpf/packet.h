/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First stage: finds the headers. Called once a packet by lb.bpf.c; touches no map and changes no byte.
 * VLAN tags are stepped over and kept; IPv6 extension headers are stepped over to a fixed depth. What can't be steered
 * (not IP, neither TCP, UDP nor ICMP, truncated) gets its verdict here and goes to the host as it came.
 */
#ifndef BPF_PACKET_H
#define BPF_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>

#include "explain.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IPV4_MORE   0x2000 /* of frag_off, host order */
#define IPV4_OFFSET 0x1fff

/* Of a datagram in fragments: FIRST has the L4 header, LATER has none (its ports are 0). */
enum fragment { FRAGMENT_NONE, FRAGMENT_FIRST, FRAGMENT_LATER };

struct vlan_tag {
	__be16 tci;
	__be16 proto; /* of what follows */
};

/* Common head of IPv6 hop-by-hop, routing and destination options headers (RFC 8200, section 4). */
struct extension {
	__u8 next;
	__u8 length;    /* in 8 bytes, without the first 8 */
	__u8 type;
	__u8 segments_left; /* routing */
	__u32 rest;
};

struct fragment_header {
	__u8 next;
	__u8 zero;
	__be16 offset;  /* in 8 bytes, in the high 13 bits; bit 0: more */
	__be32 id;
};

/*
 * Pointers are into the packet and proven: eth and the whole IP header, and of L4 the first 20 bytes (TCP) or 8 (UDP).
 * Ports are in network order.
 */
struct packet {
	struct xdp_md *ctx;
	struct ethhdr *eth;
	union {
		struct iphdr *ip4;
		struct ipv6hdr *ip6;
	};
	union {
		struct tcphdr *tcp;
		struct udphdr *udp;
		void *l4;
	};
	void *end;
	__u32 length;      /* IP bytes, header included; the frame's until the IP header is proven */
	__be16 sport, dport;
	__u8 protocol;     /* of L4 */
	__u8 tcp_flags;    /* of TCP, its 14th byte; else 0 */
	__u16 header;      /* IP bytes before L4: options and extension headers included */
	__u32 way_out;     /* ifindex of the NIC to send by; set by forwarding */
	__u32 mtu;         /* of the way that it is too big for */
	__u8 link;         /* bytes before IP: the Ethernet header and its VLAN tags */
	__u8 fragment;     /* enum fragment */
	__u16 server;      /* id of the server it is steered to */
	__u32 id;          /* of the datagram, when in fragments; as it lies in the packet */
	__u32 haze;        /* 0, which the verifier does not know: see packet_blur() */
	__u32 trace;       /* low half of the control word, kept for trace_is_on(): lb() has no stack to spare */
};

/*
 * A number that several paths have found in different ways, made one of which the verifier knows no more than its bits:
 * what follows is then checked once, not once for each path; and a test of such a copy does not split what follows
 * either. Without it the verifier (all kernels) goes over its million instructions. p->haze is 0.
 */
static __always_inline __u32 packet_blur(const struct packet *p, __u32 value, const __u32 mask)
{
	return (value + p->haze) & mask;
}

static __always_inline bool packet_is_tcp(const struct packet *p)
{
	return packet_blur(p, p->protocol, 0xff) == IPPROTO_TCP;
}

static __always_inline enum fragment packet_fragment(const struct packet *p)
{
	return packet_blur(p, p->fragment, 3);
}

/*
 * The L4 header once more, proven: verifiers of all kernels forget that the protocol implied its length. Never NULL for
 * a parsed packet of that protocol.
 */
static __always_inline struct tcphdr *packet_tcp(const struct packet *p)
{
	return (void *)(p->tcp + 1) <= p->end ? p->tcp : NULL;
}

static __always_inline struct udphdr *packet_udp(const struct packet *p)
{
	return (void *)(p->udp + 1) <= p->end ? p->udp : NULL;
}

/* A SYN that opens a connection: no ACK, RST or FIN with it. Data may be (TCP Fast Open). */
static __always_inline bool packet_opens(const struct packet *p)
{
	return (p->tcp_flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* The IP header may claim no more than the frame holds. With frags the linear part is less than the frame. */
static __always_inline bool packet_holds(const struct packet *p, const void *l3, __u32 length)
{
	if (l3 + length <= p->end)
		return true;
	return length <= 0xffff + sizeof(struct ipv6hdr) &&
	       p->link + length <= bpf_xdp_get_buff_len(p->ctx);
}

/* What follows the Ethernet header, behind at most two VLAN tags (802.1Q, 802.1ad): its type, or 0 when cut short. */
static __always_inline __be16 packet_parse_link(struct packet *p)
{
	__be16 proto = *(__be16 *)((void *)p->eth + 2 * ETH_ALEN); /* h_proto, whose struct is packed */
	struct vlan_tag *tag = (void *)(p->eth + 1);
	__u32 link = sizeof(struct ethhdr);

#pragma unroll
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > p->end)
			return 0;
		proto = tag->proto;
		tag++;
		link += sizeof(*tag);
	}
	link = packet_blur(p, link, 31);
	p->link = link;
	p->l4 = (void *)p->eth + link; /* for now: the next parser finds L3 here */
	return proto;
}

/* The L4 header must lie within what IP says is the packet: behind it is padding. */
static __always_inline enum verdict packet_parse_l4(struct packet *p, const __u8 icmp)
{
	const __u32 rest = p->length - p->header;

	if (packet_fragment(p) == FRAGMENT_LATER)
		return VERDICT_CONTINUE;
	if (packet_is_tcp(p)) {
		struct tcphdr *tcp = p->l4;

		if (rest < sizeof(*tcp) || (void *)(tcp + 1) > p->end)
			return VERDICT_TRUNCATED;
		p->sport = tcp->source;
		p->dport = tcp->dest;
		p->tcp_flags = ((__u8 *)tcp)[13];
		return VERDICT_CONTINUE;
	}
	if (p->protocol == IPPROTO_UDP || p->protocol == icmp) {
		struct udphdr *udp = p->l4; /* ICMP's header is of the same length; it has no ports */

		if (rest < sizeof(*udp) || (void *)(udp + 1) > p->end)
			return VERDICT_TRUNCATED;
		if (p->protocol != IPPROTO_UDP)
			return VERDICT_CONTINUE;
		p->sport = udp->source;
		p->dport = udp->dest;
		return VERDICT_CONTINUE;
	}
	return VERDICT_OTHER_PROTOCOL;
}

static __always_inline enum verdict packet_parse4(struct packet *p)
{
	struct iphdr *ip = p->l4;
	__u32 header, length, offset;

	if ((void *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5)
		return VERDICT_TRUNCATED;
	header = ip->ihl * 4;
	p->ip4 = ip;
	length = bpf_ntohs(ip->tot_len);
	if (length < header || !packet_holds(p, ip, length))
		return VERDICT_TRUNCATED;
	p->length = length;
	p->header = header;
	p->l4 = (void *)ip + header;
	p->protocol = ip->protocol;
	offset = bpf_ntohs(ip->frag_off);
	p->id = ip->id;
	p->fragment = packet_blur(p, offset & IPV4_OFFSET ? FRAGMENT_LATER : offset & IPV4_MORE ? FRAGMENT_FIRST : 0,
				  3);
	return packet_parse_l4(p, IPPROTO_ICMP);
}

static __always_inline bool packet_is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
}

/* Steps over extension headers. A routing header that is not used up means another destination: the host's matter. */
static __always_inline enum verdict packet_skip_extensions(struct packet *p)
{
	__u32 fragment = FRAGMENT_NONE;
	__u32 id = 0;
	__u32 at = sizeof(struct ipv6hdr);
	__u8 next = p->ip6->nexthdr;

	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		struct extension *e = (void *)p->ip6 + at;

		if (next != IPPROTO_FRAGMENT && !packet_is_extension(next)) {
			goto found;
		}
		if (i == EXTENSIONS_MAX)
			break;
		if (at + sizeof(*e) > p->length || (void *)(e + 1) > p->end)
			return VERDICT_TRUNCATED;
		if (next == IPPROTO_FRAGMENT) {
			const struct fragment_header *f = (void *)e;
			const __u16 offset = bpf_ntohs(f->offset);

			/* One that is the whole datagram (RFC 6946) is none. */
			if (offset & 0xfff9)
				fragment = offset & 0xfff8 ? FRAGMENT_LATER : FRAGMENT_FIRST;
			id = f->id;
			at += sizeof(*f);
		} else {
			if (next == IPPROTO_ROUTING && e->segments_left)
				return VERDICT_EXTENSION;
			at += (e->length + 1) * 8;
		}
		next = e->next;
		if (fragment == FRAGMENT_LATER)
			goto found;
		if (at > sizeof(struct ipv6hdr) + EXTENSION_BYTES_MAX)
			break;
	}
	return VERDICT_EXTENSION;
found:
	p->header = packet_blur(p, at, 1023) & 1023;
	p->l4 = (void *)p->ip6 + p->header;
	p->protocol = next;
	p->fragment = packet_blur(p, fragment, 3);
	p->id = packet_blur(p, id, ~0U);
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict packet_parse6(struct packet *p)
{
	struct ipv6hdr *ip = p->l4;
	enum verdict verdict;
	__u32 length;

	if ((void *)(ip + 1) > p->end || ip->version != 6)
		return VERDICT_TRUNCATED;
	p->ip6 = ip;
	length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (!packet_holds(p, ip, length))
		return VERDICT_TRUNCATED;
	p->length = length;
	verdict = packet_skip_extensions(p);
	if (verdict)
		return verdict;
	if (p->header > p->length)
		return VERDICT_TRUNCATED;
	return packet_parse_l4(p, IPPROTO_ICMPV6);
}

/*
 * A header that no honest sender makes: a TCP data offset below 20 bytes or beyond the packet, SYN with FIN or RST,
 * a UDP length below 8 or beyond the packet. Asked only of packets for a service.
 */
static __always_inline bool packet_is_malformed(const struct packet *p)
{
	__u32 rest = packet_fragment(p) ? 0xffff : p->length - p->header; /* a first fragment's L4 goes on in the others */

	if (packet_is_tcp(p)) {
		struct tcphdr *tcp = packet_tcp(p);
		__u32 header = tcp ? tcp->doff * 4 : 0;

		return header < sizeof(struct tcphdr) || header > rest ||
		       ((p->tcp_flags & TCP_SYN) && (p->tcp_flags & (TCP_FIN | TCP_RST)));
	}
	return bpf_ntohs(p->udp->len) < sizeof(struct udphdr) || bpf_ntohs(p->udp->len) > rest;
}

#endif
