/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Third stage: which server gets a new connection. One slot is read; what the slots hold was decided by the agent
 * (user/table). Returns a server id, 0 when no server is up.
 */
#ifndef BPF_SELECT_H
#define BPF_SELECT_H

#include "service.h"

static __always_inline __u64 select_hash(const struct packet *p, const struct service *s, const bool v6)
{
	const struct hash_key key = { { s->key[0], s->key[1] } };

	if (v6) {
		const __u64 *source = (const __u64 *)&p->ip6->saddr;
		const __u64 *destination = (const __u64 *)&p->ip6->daddr;

		if (s->balance == BALANCE_SOURCE)
			return hash_source6(&key, source);
		return hash_tuple6(&key, source, destination, p->sport, p->dport, p->protocol);
	}
	if (s->balance == BALANCE_SOURCE)
		return hash_source4(&key, p->ip4->saddr);
	return hash_tuple4(&key, p->ip4->saddr, p->ip4->daddr, p->sport, p->dport, p->protocol);
}

static __always_inline __u32 select_server(const struct packet *p, const struct service *s, const bool v6)
{
	__u64 region = load_u64(&s->slots);
	__u32 count = (__u32)region;
	__u32 index = region >> 32;
	__u64 *slot;

	if (!count)
		return 0;
	if (s->balance == BALANCE_ROUNDROBIN) {
		__u32 backend = s->backend;
		struct cursor *cursor = bpf_map_lookup_elem(&cursors, &backend);

		if (!cursor)
			return 0;
		index += __sync_fetch_and_add(&cursor->next, 1) % count;
	} else {
		index += hash_slot(select_hash(p, s, v6), count);
	}
	slot = bpf_map_lookup_elem(&slots, &index);
	return slot ? SLOT_CURRENT(load_u64(slot)) : 0;
}

#endif
