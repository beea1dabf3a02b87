/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Next hops towards clients: a reply of a server goes back the way the client's packet came (MAC, NIC), without a route
 * look-up. A flow holds a hop's id; id 0 = none could be remembered, the kernel's FIB is asked for each packet.
 */
#ifndef BPF_HOP_H
#define BPF_HOP_H

#include "account.h"

static __always_inline __u64 mac_load(const __u8 *mac)
{
	return *(const __u32 *)mac | (__u64)*(const __u16 *)(mac + 4) << 32;
}

static __always_inline void mac_store(__u8 *mac, __u64 value)
{
	*(__u32 *)mac = value;
	*(__u16 *)(mac + 4) = value >> 32;
}

static __always_inline bool hop_is(const struct hop *h, __u64 peer, __u64 own, __u32 ifindex)
{
	return load_u64(&h->peer) == (peer | HOP_LIVE) && h->own == own && h->ifindex == ifindex;
}

/* What fits into a frame that goes by hop `id`. */
static __always_inline __u32 hop_mtu(__u32 id)
{
	struct hop *h = bpf_map_lookup_elem(&hops, &id);

	return id && h && h->mtu ? h->mtu : ~0U;
}

/* Is hop `id` the way this packet came? */
static __always_inline bool hop_fits(const struct packet *p, __u32 id)
{
	struct hop *h = bpf_map_lookup_elem(&hops, &id);

	return id && h && hop_is(h, mac_load(p->eth->h_source), mac_load(p->eth->h_dest), p->ctx->ingress_ifindex);
}

/* The id of the way this packet came, remembered if it is new; 0 when there is no room. */
static __always_inline __u16 hop_learn(const struct packet *p)
{
	__u64 peer = mac_load(p->eth->h_source);
	__u64 own = mac_load(p->eth->h_dest);
	__u32 ifindex = p->ctx->ingress_ifindex;
	__u32 start = hash_mix(peer ^ (__u64)ifindex << 48) >> 32;

#pragma unroll
	for (__u32 i = 0; i < HOP_PROBES; i++) {
		__u32 id = (start + i) & (MAX_HOPS - 1);
		struct hop *h = bpf_map_lookup_elem(&hops, &id);

		if (!h || !id)
			continue;
		if (hop_is(h, peer, own, ifindex))
			return id;
		if (load_u64(&h->peer) || __sync_val_compare_and_swap(&h->peer, 0, HOP_BUSY))
			continue;
		h->own = own;
		h->ifindex = ifindex;
		h->mtu = 0;
		bpf_check_mtu(p->ctx, ifindex, &h->mtu, 0, 0); /* leaves it 0 where it fails */
		__sync_lock_test_and_set(&h->peer, peer | HOP_LIVE);
		return id;
	}
	account_event(EVENT_HOPS_FULL);
	return 0;
}

/* Without a remembered hop: the kernel's own route and neighbour. The packet's new addresses are in place already. */
static __always_inline enum verdict hop_look_up(struct packet *p, const bool v6)
{
	struct bpf_fib_lookup fib = { .ifindex = p->ctx->ingress_ifindex };

	explain(EXPLAIN_ROUTED);
	if (v6) {
		fib.family = 10; /* AF_INET6 */
		__builtin_memcpy(fib.ipv6_src, &p->ip6->saddr, sizeof(fib.ipv6_src));
		__builtin_memcpy(fib.ipv6_dst, &p->ip6->daddr, sizeof(fib.ipv6_dst));
	} else {
		fib.family = 2; /* AF_INET */
		fib.ipv4_src = p->ip4->saddr;
		fib.ipv4_dst = p->ip4->daddr;
	}
	fib.l4_protocol = p->protocol;
	fib.tot_len = p->length;
	/*
	 * Out of the NIC it came in by; else as a forwarded packet. For both the kernel (6.18: "verify forwarding is
	 * enabled") answers only where the NIC it came in by has forwarding switched on.
	 */
	if (bpf_fib_lookup(p->ctx, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT) != BPF_FIB_LKUP_RET_SUCCESS) {
		fib.ifindex = p->ctx->ingress_ifindex;
		if (bpf_fib_lookup(p->ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
			return VERDICT_NO_NEIGHBOUR;
	}
	__builtin_memcpy(p->eth->h_dest, fib.dmac, ETH_ALEN);
	__builtin_memcpy(p->eth->h_source, fib.smac, ETH_ALEN);
	p->way_out = fib.ifindex;
	return VERDICT_CONTINUE;
}

/* Towards a client: by hop `id`, or by the kernel's route where there is none. */
static __always_inline enum verdict hop_send(struct packet *p, __u32 id, const bool v6)
{
	struct hop *h = bpf_map_lookup_elem(&hops, &id);

	if (!id || !h)
		return hop_look_up(p, v6);
	mac_store(p->eth->h_dest, h->peer);
	mac_store(p->eth->h_source, h->own);
	p->way_out = h->ifindex;
	return VERDICT_CONTINUE;
}

#endif
