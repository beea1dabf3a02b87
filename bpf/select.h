/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Third stage: which server a packet's hash, or the turn of the round robin, leads to. One slot is read; what the slots
 * hold was decided by the agent (user/table). The state of a slot says whether that is the answer: see steer.h.
 */
#ifndef BPF_SELECT_H
#define BPF_SELECT_H

#include "service.h"

static __always_inline __u64 select_hash(const struct packet *p, const __u64 key_words[2], __u8 balance, const bool v6)
{
	const struct hash_key key = { { key_words[0], key_words[1] } };

	if (v6) {
		const __u64 *source = (const __u64 *)&p->ip6->saddr;
		const __u64 *destination = (const __u64 *)&p->ip6->daddr;

		if (balance == BALANCE_SOURCE)
			return hash_source6(&key, source);
		return hash_tuple6(&key, source, destination, p->sport, p->dport, p->protocol);
	}
	if (balance == BALANCE_SOURCE)
		return hash_source4(&key, p->ip4->saddr);
	return hash_tuple4(&key, p->ip4->saddr, p->ip4->daddr, p->sport, p->dport, p->protocol);
}

static __always_inline __u64 select_read(__u32 index)
{
	__u64 *slot = bpf_map_lookup_elem(&slots, &index);

	return slot ? load_u64(slot) : 0;
}

/* The slot of a hash in a consistent-hash service. */
static __always_inline __u64 select_hashed(const struct service *s, __u64 hash)
{
	__u64 region = load_u64(&s->slots);
	__u64 slot;
	__u32 index;

	if (!(__u32)region)
		return SLOT(0, 0, SLOT_DIRTY); /* nobody has weight: only the table of before may know the connection */
	index = (region >> 32) + hash_slot(hash, region);
	slot = select_read(index);
	explain_slot(EXPLAIN_SLOT, index, slot);
	return slot;
}

/* The server that the table of before, replaced less than X ago, gives a packet; 0 when there is none. */
static __always_inline __u32 select_before(const struct packet *p, const struct service *s, const bool v6)
{
	__u64 region = s->old_slots;
	__u64 slot;

	if (!(__u32)region)
		return 0;
	slot = select_read((region >> 32) + hash_slot(select_hash(p, s->old_key, s->old_balance, v6), region));
	return SLOT_STATE(slot) == SLOT_DIRTY && SLOT_PREVIOUS(slot) ? SLOT_PREVIOUS(slot) : SLOT_CURRENT(slot);
}

/* Does the balance deal connections out from a sequence? */
static __always_inline bool select_deals(__u8 balance)
{
	return balance == BALANCE_ROUNDROBIN || balance == BALANCE_LEASTCONN;
}

/*
 * Which of the next LEASTCONN_PROBES turns of the sequence, from 0, is the server's with the fewest connections for its
 * weight; the first of them when several have. A global function: the verifier looks at it once.
 */
__noinline int select_least(__u64 region, __u64 turn, __u32 half)
{
	__s64 least = 0, least_weight = 0;
	bool any = false;
	int best = 0;

	if (!(__u32)region)
		return 0;
	for (__u32 i = 0; i < LEASTCONN_PROBES; i++) {
		const __u32 id = SLOT_CURRENT(select_read((region >> 32) + (turn + i) % (__u32)region));
		const __u32 index = half * MAX_SERVERS + id;
		const struct server *s = bpf_map_lookup_elem(&servers, &index);
		const struct server_use *u = bpf_map_lookup_elem(&use, &id);
		__s64 connections, weight;

		if (!id || !s || !u)
			continue;
		connections = u->live + u->dealt;
		weight = s->weight;
		if (!any || connections * least_weight < least * weight) {
			any = true;
			best = i;
			least = connections;
			least_weight = weight;
		}
	}
	return best;
}

/* The server for a new connection; 0 when none is up. */
static __always_inline __u32 select_server(const struct packet *p, const struct service *s, __u64 word, const bool v6)
{
	__u64 region = load_u64(&s->slots);
	__u32 count = (__u32)region;
	__u32 backend = s->backend;
	struct cursor *cursor;
	__u64 slot, turn;
	__u32 index;

	if (!select_deals(s->balance))
		return SLOT_CURRENT(select_hashed(s, select_hash(p, s->key, s->balance, v6)));
	if (!count)
		return 0;
	cursor = bpf_map_lookup_elem(&cursors, &backend);
	if (!cursor)
		return 0;
	turn = __sync_fetch_and_add(&cursor->next, 1);
	if (s->balance == BALANCE_LEASTCONN)
		turn += select_least(region, turn, word & CONTROL_HALF);
	index = (region >> 32) + turn % count;
	slot = select_read(index);
	explain_slot(EXPLAIN_TURN, index, slot);
	return SLOT_CURRENT(slot);
}

#endif
