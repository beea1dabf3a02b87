/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * First stage: finds the headers. Called once a packet by lb.bpf.c; touches no map and changes no byte.
 * What can't be steered (not IP, not TCP or UDP, fragments, extension headers, truncated) gets its verdict here and
 * goes to the host as it came.
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

#include "maps.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IPV4_FRAGMENT 0x3fff /* MF and the offset of frag_off, host order */

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
	__u8 protocol;
	__u8 tcp_flags;    /* of TCP, its 14th byte; else 0 */
	__u32 way_out;     /* ifindex of the NIC to send by; set by forwarding */
};

static __always_inline bool packet_is_tcp(const struct packet *p)
{
	return p->protocol == IPPROTO_TCP;
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
	       sizeof(struct ethhdr) + length <= bpf_xdp_get_buff_len(p->ctx);
}

/* The L4 header must lie within what IP says is the packet: behind it is padding. */
static __always_inline enum verdict packet_parse_l4(struct packet *p, __u32 ip_header)
{
	const __u32 rest = p->length - ip_header;

	if (p->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = p->l4;

		if (rest < sizeof(*tcp) || (void *)(tcp + 1) > p->end)
			return VERDICT_TRUNCATED;
		p->sport = tcp->source;
		p->dport = tcp->dest;
		p->tcp_flags = ((__u8 *)tcp)[13];
		return VERDICT_CONTINUE;
	}
	if (p->protocol == IPPROTO_UDP) {
		struct udphdr *udp = p->l4;

		if (rest < sizeof(*udp) || (void *)(udp + 1) > p->end)
			return VERDICT_TRUNCATED;
		p->sport = udp->source;
		p->dport = udp->dest;
		p->tcp_flags = 0;
		return VERDICT_CONTINUE;
	}
	return VERDICT_OTHER_PROTOCOL;
}

static __always_inline enum verdict packet_parse4(struct packet *p)
{
	struct iphdr *ip = (void *)(p->eth + 1);
	__u32 header, length;

	if ((void *)(ip + 1) > p->end || ip->version != 4 || ip->ihl < 5)
		return VERDICT_TRUNCATED;
	header = ip->ihl * 4;
	p->ip4 = ip;
	length = bpf_ntohs(ip->tot_len);
	if (length < header || !packet_holds(p, ip, length))
		return VERDICT_TRUNCATED;
	p->length = length;
	p->l4 = (void *)ip + header;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return VERDICT_FRAGMENT;
	p->protocol = ip->protocol;
	return packet_parse_l4(p, header);
}

static __always_inline enum verdict packet_parse6(struct packet *p)
{
	struct ipv6hdr *ip = (void *)(p->eth + 1);
	__u32 length;

	if ((void *)(ip + 1) > p->end || ip->version != 6)
		return VERDICT_TRUNCATED;
	p->ip6 = ip;
	length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	if (!packet_holds(p, ip, length))
		return VERDICT_TRUNCATED;
	p->length = length;
	p->l4 = ip + 1;
	p->protocol = ip->nexthdr;
	switch (ip->nexthdr) {
	case IPPROTO_FRAGMENT:
		return VERDICT_FRAGMENT;
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
		return VERDICT_EXTENSION;
	}
	return packet_parse_l4(p, sizeof(*ip));
}

/*
 * A header that no honest sender makes: a TCP data offset below 20 bytes or beyond the packet, SYN with FIN or RST,
 * a UDP length below 8 or beyond the packet. Asked only of packets for a service.
 */
static __always_inline bool packet_is_malformed(const struct packet *p, __u32 ip_header)
{
	__u32 rest = p->length - ip_header;

	if (packet_is_tcp(p)) {
		struct tcphdr *tcp = packet_tcp(p);
		__u32 header = tcp ? tcp->doff * 4 : 0;

		return header < sizeof(struct tcphdr) || header > rest ||
		       ((p->tcp_flags & TCP_SYN) && (p->tcp_flags & (TCP_FIN | TCP_RST)));
	}
	return bpf_ntohs(p->udp->len) < sizeof(struct udphdr) || bpf_ntohs(p->udp->len) > rest;
}

#endif
