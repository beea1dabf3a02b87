// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Health checks through a service's address (`check via vip`), on the balancer's interfaces. A check's socket is connected
 * to the server's own address, and so finds route, source and neighbour as the kernel knows them; it is marked with the
 * index of a path. On the way out (probe_out) its packets get the service's address for their destination and, for
 * `forward ipip`, an outer header: they reach the server exactly as clients' packets do. On the way in (probe_in) what
 * the service's address answers to a check is given the server's own address back. So it makes no difference whether
 * the balancer itself owns the service's address: no socket of the check ever names it.
 *
 * The TTL is 1: a server that does not hold the address, and forwards, must not send the packet round to the balancer,
 * which would give it to a server that does. Packets without our mark, and answers to others, pass untouched.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <alwayson/hash.h>
#include <alwayson/probe.h>

#include "checksum.h"

#define TC_NEXT TC_ACT_UNSPEC /* the same number as TCX_NEXT: on to the next program */

/* Newer than the headers of Debian 12: the change leaves a complete sum (CHECKSUM_COMPLETE) of IPv6 as it is. */
#ifndef BPF_F_IPV6
#define BPF_F_IPV6 (1ULL << 7)
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, PROBE_PATHS_MAX);
	__type(key, __u32);
	__type(value, struct probe_path);
} paths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROBE_FLOWS_MAX);
	__type(key, struct probe_flow);
	__type(value, struct probe_peer);
} flows SEC(".maps");

/* A whole TCP or UDP packet. Offsets are from the frame's begin. */
struct segment {
	__u64 source[2], destination[2];
	union {
		struct iphdr ip4;
		struct ipv6hdr ip6;
	};
	__be16 sport, dport;
	__u32 l4;          /* offset */
	__u32 length;      /* IP bytes */
	__u32 sum;         /* offset of the L4 checksum */
	__u8 protocol, tos;
	bool v6;
};

/*
 * Headers are copied, read and stored back through the helpers: an skb of a socket or of GRO may have them anywhere, and
 * a check has a handful of packets.
 */
static __always_inline bool read_ip4(struct __sk_buff *skb, struct segment *s)
{
	/* No options, no fragment: sockets of checks send neither, and answers with them are not expected. */
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &s->ip4, sizeof(s->ip4)) || s->ip4.version != 4 || s->ip4.ihl != 5 ||
	    s->ip4.frag_off & bpf_htons(0x3fff))
		return false;
	s->source[0] = s->ip4.saddr;
	s->destination[0] = s->ip4.daddr;
	s->protocol = s->ip4.protocol;
	s->tos = s->ip4.tos;
	s->length = bpf_ntohs(s->ip4.tot_len);
	s->l4 = ETH_HLEN + sizeof(s->ip4);
	return true;
}

static __always_inline bool read_ip6(struct __sk_buff *skb, struct segment *s)
{
	if (bpf_skb_load_bytes(skb, ETH_HLEN, &s->ip6, sizeof(s->ip6)) || s->ip6.version != 6)
		return false;
	__builtin_memcpy(s->source, &s->ip6.saddr, 16);
	__builtin_memcpy(s->destination, &s->ip6.daddr, 16);
	s->protocol = s->ip6.nexthdr;
	s->tos = bpf_ntohl(*(__be32 *)&s->ip6) >> 20;
	s->length = sizeof(s->ip6) + bpf_ntohs(s->ip6.payload_len);
	s->l4 = ETH_HLEN + sizeof(s->ip6);
	return true;
}

static __always_inline bool read_segment(struct __sk_buff *skb, struct segment *s)
{
	__be16 ports[2];

	__builtin_memset(s, 0, sizeof(*s));
	s->v6 = skb->protocol == bpf_htons(ETH_P_IPV6);
	if (!s->v6 && skb->protocol != bpf_htons(ETH_P_IP))
		return false;
	if (!(s->v6 ? read_ip6(skb, s) : read_ip4(skb, s)))
		return false;
	if (s->protocol != IPPROTO_TCP && s->protocol != IPPROTO_UDP)
		return false;
	if (bpf_skb_load_bytes(skb, s->l4, ports, sizeof(ports)))
		return false;
	s->sport = ports[0];
	s->dport = ports[1];
	s->sum = s->l4 + (s->protocol == IPPROTO_TCP ? 16 : 6);
	return true;
}

/* Another address in the L4 checksum, which may be a whole one, or the pseudo header's for a device to complete. */
static __always_inline bool sum_address(struct __sk_buff *skb, const struct segment *s, __u64 *old, __u64 *new)
{
	const __u64 flags = BPF_F_PSEUDO_HDR | (s->protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);
	__s64 diff;

	if (!s->v6)
		return !bpf_l4_csum_replace(skb, s->sum, (__u32)old[0], (__u32)new[0], flags | 4);
	diff = bpf_csum_diff((__be32 *)old, 16, (__be32 *)new, 16, 0);
	/* Kernels before 6.16 refuse the flag; a complete sum then costs a line in the kernel's log, and no packet. */
	return !bpf_l4_csum_replace(skb, s->sum, 0, diff, flags | BPF_F_IPV6) ||
	       !bpf_l4_csum_replace(skb, s->sum, 0, diff, flags);
}

static __always_inline __sum16 sum_ip4(const struct iphdr *ip)
{
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < 5; i++)
		sum += word[i];
	return ~checksum_fold(sum);
}

/* Puts the header back with what was changed in it. */
static __always_inline bool store_ip(struct __sk_buff *skb, struct segment *s)
{
	if (s->v6)
		return !bpf_skb_store_bytes(skb, ETH_HLEN, &s->ip6, sizeof(s->ip6), 0);
	s->ip4.check = 0;
	s->ip4.check = sum_ip4(&s->ip4);
	return !bpf_skb_store_bytes(skb, ETH_HLEN, &s->ip4, sizeof(s->ip4), 0);
}

/* To the service's address, and no further than to the next host. */
static __always_inline bool redirect_out(struct __sk_buff *skb, struct segment *s, __u64 *service)
{
	if (!sum_address(skb, s, s->destination, service))
		return false;
	if (s->v6) {
		__builtin_memcpy(&s->ip6.daddr, service, 16);
		s->ip6.hop_limit = PROBE_TTL;
	} else {
		s->ip4.daddr = service[0];
		s->ip4.ttl = PROBE_TTL;
	}
	return store_ip(skb, s);
}

static __always_inline bool redirect_in(struct __sk_buff *skb, struct segment *s, __u64 *server)
{
	if (!sum_address(skb, s, s->source, server))
		return false;
	if (s->v6)
		__builtin_memcpy(&s->ip6.saddr, server, 16);
	else
		s->ip4.saddr = server[0];
	return store_ip(skb, s);
}

/* A source of the tunnel-source prefix for each connection, as clients' flows have it; which one is of no importance. */
static __always_inline __u32 spread(const struct segment *s, const struct probe_path *p)
{
	const __u32 hash = hash_mix((__u64)s->sport << 16 | s->dport) >> 32;

	return bpf_htonl(hash & ((1ULL << (p->outer_bits & 63)) - 1));
}

/* RFC 2003: an outer IPv4 header. */
static __always_inline bool wrap4(struct __sk_buff *skb, const struct segment *s, const struct probe_path *p)
{
	struct iphdr ip = {
		.version = 4, .ihl = 5, .tos = s->tos, .tot_len = bpf_htons(s->length + sizeof(ip)),
		.frag_off = bpf_htons(0x4000), .ttl = PROBE_OUTER_TTL, .protocol = IPPROTO_IPIP,
		.saddr = p->outer_source[0] ? (__u32)p->outer_source[0] | spread(s, p) : (__u32)s->source[0],
		.daddr = p->server[0],
	};

	ip.check = sum_ip4(&ip);
	return !bpf_skb_adjust_room(skb, sizeof(ip), BPF_ADJ_ROOM_MAC,
				    BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_INVALIDATE_HASH);
}

/* RFC 2473: an outer IPv6 header. */
static __always_inline bool wrap6(struct __sk_buff *skb, const struct segment *s, const struct probe_path *p)
{
	const bool own = !p->outer_source[0] && !p->outer_source[1];
	struct ipv6hdr ip = {
		.payload_len = bpf_htons(s->length), .nexthdr = IPPROTO_IPV6, .hop_limit = PROBE_OUTER_TTL,
	};
	__u64 source[2] = { own ? s->source[0] : p->outer_source[0],
			    own ? s->source[1] : p->outer_source[1] | (__u64)spread(s, p) << 32 };

	*(__be32 *)&ip = bpf_htonl(0x60000000 | (__u32)s->tos << 20);
	__builtin_memcpy(&ip.saddr, source, 16);
	__builtin_memcpy(&ip.daddr, p->server, 16);
	return !bpf_skb_adjust_room(skb, sizeof(ip), BPF_ADJ_ROOM_MAC,
				    BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6) &&
	       !bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_INVALIDATE_HASH);
}

/* Whose answer it will be: remembered at the first packet, again when another check takes the port. */
static __always_inline bool remember(const struct segment *s, const struct probe_path *p)
{
	const struct probe_flow key = {
		.service = { p->service[0], p->service[1] }, .own = { s->source[0], s->source[1] },
		.service_port = s->dport, .own_port = s->sport, .protocol = s->protocol, .family = s->v6 ? 6 : 4,
	};
	const struct probe_peer peer = { .server = { p->server[0], p->server[1] } };
	const struct probe_peer *known = bpf_map_lookup_elem(&flows, &key);

	if (known && known->server[0] == peer.server[0] && known->server[1] == peer.server[1])
		return true;
	return !bpf_map_update_elem(&flows, &key, &peer, BPF_ANY);
}

/* A packet with our mark leaves by its path or not at all: what a check finds must be true of the path. */
SEC("tc")
int probe_out(struct __sk_buff *skb)
{
	__u32 index = skb->mark & PROBE_INDEX_MASK;
	__u64 service[2];
	struct probe_path *p;
	struct segment s;

	if ((skb->mark & ~PROBE_INDEX_MASK) != PROBE_MARK)
		return TC_NEXT;
	p = bpf_map_lookup_elem(&paths, &index);
	if (!p || p->kind == PROBE_NONE || !read_segment(skb, &s) || s.v6 != (p->family == 6) ||
	    s.destination[0] != p->server[0] || s.destination[1] != p->server[1])
		return TC_ACT_SHOT;
	service[0] = p->service[0];
	service[1] = p->service[1];
	if (!remember(&s, p) || !redirect_out(skb, &s, service))
		return TC_ACT_SHOT;
	if (p->kind == PROBE_IPIP && !(s.v6 ? wrap6(skb, &s, p) : wrap4(skb, &s, p)))
		return TC_ACT_SHOT;
	__sync_fetch_and_add(&p->sent, 1);
	return TC_NEXT;
}

/* What a service's address answers to a check: from the server, as the socket knows it. */
SEC("tc")
int probe_in(struct __sk_buff *skb)
{
	struct probe_flow key = {};
	struct probe_peer *peer;
	__u64 server[2];
	struct segment s;

	if (!read_segment(skb, &s))
		return TC_NEXT;
	key.service[0] = s.source[0];
	key.service[1] = s.source[1];
	key.own[0] = s.destination[0];
	key.own[1] = s.destination[1];
	key.service_port = s.sport;
	key.own_port = s.dport;
	key.protocol = s.protocol;
	key.family = s.v6 ? 6 : 4;
	peer = bpf_map_lookup_elem(&flows, &key);
	if (!peer)
		return TC_NEXT;
	server[0] = peer->server[0];
	server[1] = peer->server[1];
	return redirect_in(skb, &s, server) ? TC_NEXT : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
