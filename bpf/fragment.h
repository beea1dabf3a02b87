/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Datagrams in fragments. Only the first fragment has ports: what was decided for it is remembered by the datagram's
 * addresses, id and (IPv4) protocol, and the others follow. One that comes before it can't be told (XDP cannot wait) and
 * goes to the host, as fragments of its own traffic must. A kernel hash serves: this is nobody's fast path.
 */
#ifndef BPF_FRAGMENT_H
#define BPF_FRAGMENT_H

#include "related.h"

#define FRAGMENT_TICKS 8 /* about 30 s: longer, and the id may be another datagram's (RFC 791, RFC 8200: 60 s) */

struct fragment_key {
	__u64 source[2];
	__u64 destination[2];
	__u32 id;
	__u8 protocol;
	__u8 zero;
	__u16 zero2;
};

struct fragment_way {
	__u64 from[2];     /* nat: the new addresses */
	__u64 to[2];
	__u64 peer, own;   /* MACs */
	__u32 way_out;
	__u16 server;
	__u16 tick;
	__u32 verdict;
	__u8 generation;   /* of the server's id; server 0: towards a client */
	__u8 zero;
	__u16 zero2;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTS_MAX);
	__type(key, struct fragment_key);
	__type(value, struct fragment_way);
} fragments4 SEC(".maps"), fragments6 SEC(".maps");

/* The first fragment's key, while it is being steered: each CPU has one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fragment_key);
} fragment_keys SEC(".maps");

static __always_inline void fragment_addresses(const struct packet *p, __u64 source[2], __u64 destination[2],
					       const bool v6)
{
	related_addr(v6 ? (void *)&p->ip6->saddr : (void *)&p->ip4->saddr, source, v6);
	related_addr(v6 ? (void *)&p->ip6->daddr : (void *)&p->ip4->daddr, destination, v6);
}

static __always_inline struct fragment_key *fragment_key(const struct packet *p, const bool v6)
{
	__u32 zero = 0;
	struct fragment_key *key = bpf_map_lookup_elem(&fragment_keys, &zero);

	if (!key)
		return NULL;
	fragment_addresses(p, key->source, key->destination, v6);
	key->id = p->id;
	/* IPv6 (RFC 8200, section 4.5) tells datagrams apart without it: the first one's next header may be an option. */
	key->protocol = v6 ? 0 : p->protocol;
	key->zero = 0;
	key->zero2 = 0;
	return key;
}

/*
 * The first fragment has been steered, and its key noted before it was rewritten: the others will follow. One that was
 * not sent on (CONTINUE) takes with it what is remembered of an earlier datagram of the same id.
 */
static __always_inline void fragment_remember(struct packet *p, __u64 word, enum verdict verdict, const bool v6)
{
	__u32 zero = 0;
	struct fragment_key *key = bpf_map_lookup_elem(&fragment_keys, &zero);
	struct fragment_way way = { .way_out = p->way_out, .server = p->server, .tick = tick_now(),
				    .verdict = verdict };
	struct server *s = server_get(word, p->server);

	if (!key || !s)
		return;
	way.generation = SERVER_GENERATION(load_u64(&s->word));
	if (!verdict) {
		if (v6)
			bpf_map_delete_elem(&fragments6, key);
		else
			bpf_map_delete_elem(&fragments4, key);
		return;
	}
	/* In a tunnel the packet's pointers are gone; the others take their own outer header. */
	if (verdict != VERDICT_IPIP) {
		if (!answer_headers(p, v6))
			return;
		fragment_addresses(p, way.from, way.to, v6);
		way.peer = mac_load(p->eth->h_dest);
		way.own = mac_load(p->eth->h_source);
	}
	if (v6)
		bpf_map_update_elem(&fragments6, key, &way, BPF_ANY);
	else
		bpf_map_update_elem(&fragments4, key, &way, BPF_ANY);
}

static __always_inline enum verdict fragment_later(struct packet *p, __u64 word, const bool v6)
{
	struct fragment_key *key = fragment_key(p, v6);
	struct fragment_way *way;
	enum verdict verdict;
	struct server *s;

	if (!key)
		return VERDICT_INTERNAL;
	explain(EXPLAIN_FRAGMENT);
	way = v6 ? bpf_map_lookup_elem(&fragments6, key) : bpf_map_lookup_elem(&fragments4, key);
	if (!way || (__u16)(tick_now() - way->tick) > FRAGMENT_TICKS)
		return VERDICT_FRAGMENT;
	s = server_get(word, way->server);
	/* No packet at all to a server that has been removed, or to who has its id now. */
	if (!s || SERVER_GENERATION(load_u64(&s->word)) != way->generation)
		return VERDICT_FRAGMENT;
	explain(EXPLAIN_FRAGMENT_WAY);
	explain_server(way->server);
	p->way_out = way->way_out;
	if (way->verdict == VERDICT_IPIP)
		return with_dsr ? tunnel_forward(p, s, load_u64(&s->word), p->id, v6) : VERDICT_INTERNAL;
	verdict = forward_check(p, ~0U, v6);
	if (verdict)
		return verdict;
	if (v6) {
		__u64 *source = (__u64 *)&p->ip6->saddr;

		source[0] = way->from[0];
		source[1] = way->from[1];
		source[2] = way->to[0];
		source[3] = way->to[1];
	} else {
		p->ip4->check = checksum_update(p->ip4->check, checksum_diff32(p->ip4->saddr, way->from[0]) +
								       checksum_diff32(p->ip4->daddr, way->to[0]));
		p->ip4->saddr = way->from[0];
		p->ip4->daddr = way->to[0];
	}
	forward_age(p, v6);
	mac_store(p->eth->h_dest, way->peer);
	mac_store(p->eth->h_source, way->own);
	return way->verdict;
}

static __noinline int fragment_first4(struct packet *p)
{
	return fragment_key(p, false) != NULL;
}

static __noinline int fragment_first6(struct packet *p)
{
	return fragment_key(p, true) != NULL;
}

static __noinline int fragment_remember4(struct packet *p, __u64 word, enum verdict verdict)
{
	fragment_remember(p, word, verdict, false);
	return 0;
}

static __noinline int fragment_remember6(struct packet *p, __u64 word, enum verdict verdict)
{
	fragment_remember(p, word, verdict, true);
	return 0;
}

static __noinline int fragment_later4(struct packet *p, __u64 word)
{
	return fragment_later(p, word, false);
}

static __noinline int fragment_later6(struct packet *p, __u64 word)
{
	return fragment_later(p, word, true);
}

#endif
