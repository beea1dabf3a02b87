// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs on a server: takes the packets of `forward ipip` out of their outer IP header (RFC 2003, RFC 2473; all four
 * pairs of families) before the host's stack sees them. Only what is addressed to this host and comes from a balancer
 * that was named; everything else, also whatever is not well-formed, goes to the host untouched. Loaded by `alwayson
 * decap load`; needs nothing of the balancer's own program.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include <alwayson/decap.h>

#include "checksum.h"

#define ECN_MASK 3
#define ECN_ECT1 1
#define ECN_ECT0 2
#define ECN_CE   3

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DECAP_SOURCES_MAX);
	__type(key, struct decap_source);
	__type(value, __u32);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DECAP_ADDRESSES_MAX);
	__type(key, struct decap_address);
	__type(value, __u32);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DECAP_VERDICT_MAX);
	__type(key, __u32);
	__type(value, struct decap_counter);
} counters SEC(".maps");

/* The packet as far as it is understood. Pointers are proven for the fixed part of what they point to. */
struct tunnel {
	struct xdp_md *ctx;
	struct ethhdr *eth;
	void *outer, *inner, *end;
	__u32 frame;       /* bytes */
	__u32 rest;        /* bytes of the inner packet, as the outer header says */
	__u8 outer_ecn;
	bool v6;           /* the inner packet's family */
};

static __always_inline enum decap_verdict admit(const struct decap_address *to, struct decap_source *from)
{
	if (!bpf_map_lookup_elem(&addresses, to))
		return DECAP_NOT_HERE;
	from->prefixlen = 8 * sizeof(from->prefix);
	return bpf_map_lookup_elem(&sources, from) ? DECAP_UNWRAPPED : DECAP_NOT_ALLOWED;
}

static __always_inline bool is_tunnel(__u8 protocol)
{
	return protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6;
}

static __always_inline bool sum_is_right(const struct iphdr *ip)
{
	const __u32 *word = (const __u32 *)ip;
	__u64 sum = 0;

#pragma unroll
	for (int i = 0; i < 5; i++)
		sum += word[i];
	return checksum_fold(sum) == 0xffff;
}

static __always_inline enum decap_verdict parse_outer4(struct tunnel *t)
{
	struct decap_source from = { .prefix.family = 4 };
	struct decap_address to = { .family = 4 };
	struct iphdr *ip = t->outer;
	enum decap_verdict v;
	__u32 length;

	if ((void *)(ip + 1) > t->end || ip->version != 4 || !is_tunnel(ip->protocol))
		return DECAP_OTHER;
	to.addr[0] = ip->daddr;
	from.prefix.addr[0] = ip->saddr;
	v = admit(&to, &from);
	if (v != DECAP_UNWRAPPED)
		return v;
	if (ip->frag_off & bpf_htons(0x3fff)) /* more to come, or an offset */
		return DECAP_FRAGMENT;
	if (ip->ihl > 5)
		return DECAP_OPTIONS;
	length = bpf_ntohs(ip->tot_len);
	if (ip->ihl < 5 || length < sizeof(*ip) || length > t->frame - sizeof(struct ethhdr) || !sum_is_right(ip))
		return DECAP_MALFORMED;
	t->v6 = ip->protocol == IPPROTO_IPV6;
	t->outer_ecn = ip->tos & ECN_MASK;
	t->rest = length - sizeof(*ip);
	t->inner = ip + 1;
	return DECAP_UNWRAPPED;
}

/* Our balancer writes no extension headers; a fragment header says that what follows is but a part. */
static __always_inline enum decap_verdict parse_outer6(struct tunnel *t)
{
	struct decap_source from = { .prefix.family = 6 };
	struct decap_address to = { .family = 6 };
	struct ipv6hdr *ip = t->outer;
	__u8 *fragment = (void *)(ip + 1);
	enum decap_verdict v;
	__u32 length;
	bool is_fragment;

	if ((void *)(ip + 1) > t->end || ip->version != 6)
		return DECAP_OTHER;
	is_fragment = ip->nexthdr == IPPROTO_FRAGMENT && fragment + 8 <= (__u8 *)t->end && is_tunnel(*fragment);
	if (!is_tunnel(ip->nexthdr) && !is_fragment)
		return DECAP_OTHER;
	__builtin_memcpy(to.addr, &ip->daddr, sizeof(to.addr));
	__builtin_memcpy(from.prefix.addr, &ip->saddr, sizeof(from.prefix.addr));
	v = admit(&to, &from);
	if (v != DECAP_UNWRAPPED)
		return v;
	if (is_fragment)
		return DECAP_FRAGMENT;
	length = bpf_ntohs(ip->payload_len);
	if (length > t->frame - sizeof(struct ethhdr) - sizeof(*ip))
		return DECAP_MALFORMED;
	t->v6 = ip->nexthdr == IPPROTO_IPV6;
	t->outer_ecn = bpf_ntohl(*(__be32 *)ip) >> 20 & ECN_MASK;
	t->rest = length;
	t->inner = ip + 1;
	return DECAP_UNWRAPPED;
}

/* What is inside must be one whole IP packet, and none that is a tunnel's again. */
static __always_inline enum decap_verdict check_inner(const struct tunnel *t)
{
	__u8 protocol;
	__u32 length;

	if (t->v6) {
		const struct ipv6hdr *ip = t->inner;

		if ((void *)(ip + 1) > t->end || ip->version != 6)
			return DECAP_MALFORMED;
		length = sizeof(*ip) + bpf_ntohs(ip->payload_len);
		protocol = ip->nexthdr;
	} else {
		const struct iphdr *ip = t->inner;

		if ((void *)(ip + 1) > t->end || ip->version != 4 || ip->ihl < 5)
			return DECAP_MALFORMED;
		length = bpf_ntohs(ip->tot_len);
		if (length < ip->ihl * 4)
			return DECAP_MALFORMED;
		protocol = ip->protocol;
	}
	if (length > t->rest)
		return DECAP_MALFORMED;
	return is_tunnel(protocol) ? DECAP_NESTED : DECAP_UNWRAPPED;
}

/* RFC 6040, figure 4: which ECN field the packet goes on with; false: it must not go on. */
static __always_inline bool merge_ecn(__u8 outer, __u8 *inner)
{
	if (outer == ECN_CE) {
		if (!*inner)
			return false;
		*inner = ECN_CE;
	} else if (outer == ECN_ECT1 && *inner == ECN_ECT0) {
		*inner = ECN_ECT1;
	}
	return true;
}

static __always_inline bool pass_on_ecn(const struct tunnel *t)
{
	__u8 before, ecn;

	if (t->v6) {
		__be32 *word = t->inner;

		before = ecn = bpf_ntohl(*word) >> 20 & ECN_MASK;
		if (!merge_ecn(t->outer_ecn, &ecn))
			return false;
		if (ecn != before)
			*word ^= bpf_htonl((__u32)(ecn ^ before) << 20);
	} else {
		struct iphdr *ip = t->inner;

		before = ecn = ip->tos & ECN_MASK;
		if (!merge_ecn(t->outer_ecn, &ecn))
			return false;
		if (ecn != before) {
			const __u16 old = *(__u16 *)ip;

			ip->tos ^= ecn ^ before;
			ip->check = checksum_update(ip->check, checksum_diff16(old, *(__u16 *)ip));
		}
	}
	return true;
}

/* Takes the outer header off: the Ethernet header moves to the inner packet. */
static __always_inline enum decap_verdict unwrap(const struct tunnel *t)
{
	struct ethhdr eth = *t->eth, *moved;
	void *data, *end;

	eth.h_proto = t->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
	if (bpf_xdp_adjust_head(t->ctx, t->inner - t->outer))
		return DECAP_INTERNAL;
	data = (void *)(long)t->ctx->data;
	end = (void *)(long)t->ctx->data_end;
	moved = data;
	if ((void *)(moved + 1) > end)
		return DECAP_INTERNAL;
	*moved = eth;
	return DECAP_UNWRAPPED;
}

static __always_inline enum decap_verdict handle(struct tunnel *t)
{
	enum decap_verdict v = DECAP_OTHER;

	if ((void *)(t->eth + 1) > t->end)
		return DECAP_OTHER;
	t->outer = t->eth + 1;
	if (t->eth->h_proto == bpf_htons(ETH_P_IP))
		v = parse_outer4(t);
	else if (t->eth->h_proto == bpf_htons(ETH_P_IPV6))
		v = parse_outer6(t);
	if (v != DECAP_UNWRAPPED)
		return v;
	v = check_inner(t);
	if (v != DECAP_UNWRAPPED)
		return v;
	if (!pass_on_ecn(t))
		return DECAP_CONGESTION;
	return unwrap(t);
}

static __always_inline int action_of(enum decap_verdict verdict)
{
	switch (verdict) {
#define X(name, action, label, text) \
	case DECAP_##name:           \
		return XDP_##action;
		DECAP_VERDICTS(X)
#undef X
	default:
		return XDP_DROP;
	}
}

SEC("xdp.frags")
int decap(struct xdp_md *ctx)
{
	struct tunnel t = {
		.ctx = ctx,
		.eth = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.frame = bpf_xdp_get_buff_len(ctx),
	};
	enum decap_verdict verdict = handle(&t);
	__u32 index = verdict;
	struct decap_counter *c = bpf_map_lookup_elem(&counters, &index);

	if (c) {
		c->packets += 1;
		c->bytes += t.frame;
	}
	return action_of(verdict);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
