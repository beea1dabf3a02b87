// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Puts records that another balancer told of into the flow table, by the same locks, claims and compare-and-swaps as the
 * program that steers: the agent, by memory alone, could not do it without racing with it. Attached to nothing: the agent
 * runs it over a batch (alwayson/peer.h). An XDP program, so that it runs under RCU like the other one, and the agent's
 * grace periods hold for it; a SEC("syscall") program sleeps, and they would not.
 *
 * Whose word counts: the newer one; of two that are as new (ticks are 4 s) this machine's own.
 */
#include "flow.h"

#include <alwayson/peer.h>

ARRAY(peer_batches, struct peer_batch, 1);

static __always_inline struct flow_key peer_key(const __u64 words[6], const bool v6)
{
	struct flow_key key = { { words[0], v6 ? words[1] : (__u32)words[1], v6 ? words[2] : 0 } };

	return key;
}

/* The same way to the same server? The hop, the last 16 bits, is each machine's own. */
static __always_inline bool peer_is_same(const __u64 *record, const __u64 words[6], const bool v6)
{
	const __u64 mask = (1ULL << 48) - 1;

	if (v6)
		return record[3] == words[3] && record[4] == words[4] && ((record[5] ^ words[5]) & mask) == 0;
	return record[1] >> 32 == words[1] >> 32 && ((record[2] ^ words[2]) & mask) == 0;
}

/* The way back to the client is known by now. */
static __always_inline void peer_teach_hop(void *record, const __u64 words[6], const bool v6)
{
	volatile __u16 *hop = v6 ? &((struct flow6 *)record)->hop : &((struct flow4 *)record)->hop;

	if (*hop == PEER_HOP)
		*hop = words[v6 ? 5 : 2] >> 48;
}

static __always_inline void peer_was_half_open(const struct peer_record *r, __u64 tag)
{
	__u32 server = FLOW_SERVER(tag);
	struct server_use *u = bpf_map_lookup_elem(&use, &server);

	if (u && r->nat && !(FLOW_STATE(tag) & FLOW_PROVEN))
		__sync_fetch_and_add(&u->half_open, -1);
}

/*
 * What of an entry's end a newer word takes back: all of it where the connection is told to be open, as it has begun anew.
 * The two FINs may have passed different balancers, each of which tells of its own: that does not take back the other.
 */
static __always_inline __u8 peer_takes_back(const struct peer_record *r, __u8 state)
{
	const __u8 fin = FLOW_FIN | FLOW_BACK_FIN;
	const __u8 closed = (r->state | r->reply_state) & fin ? FLOW_RST : FLOW_RST | fin;

	return closed & ~state;
}

/* An entry of this key is there. PEER_NONE: it gave way, and there is none any more. */
static __always_inline __u32 peer_meet(const struct peer_record *r, const __u64 words[6], __u8 state, bool request,
				       struct flow *f, const bool v6)
{
	const __u8 closed = FLOW_FIN | FLOW_RST, was = FLOW_STATE(f->value);
	const __u16 tick = tick_now() - r->age;
	const __s16 newer = tick - FLOW_TICK(f->value);
	const bool told = newer > 0 || (newer == 0 && was & FLOW_PEER);

	if (newer < 0)
		return PEER_OLDER;
	if (FLOW_SERVER(f->value) == r->server && FLOW_GENERATION(f->value) == r->generation &&
	    peer_is_same(f->record, words, v6)) {
		if (!flow_change(f, told ? peer_takes_back(r, state) : 0, state, tick))
			return PEER_OLDER;
		if (request && FLOW_STATE(f->value) & FLOW_PROVEN)
			peer_was_half_open(r, f->was);
		peer_teach_hop(f->record, words, v6);
		return PEER_UPDATED;
	}
	if (!told && !(was & closed && !(state & closed)))
		return PEER_OLDER;
	if (!flow_kill(f))
		return PEER_OLDER;
	if (request)
		peer_was_half_open(r, f->was);
	return PEER_NONE;
}

static __always_inline __u32 peer_put(const struct peer_record *r, const __u64 words[6], __u8 state, bool request,
				      const bool v6)
{
	struct flow_key key = peer_key(words, v6);
	const __u64 hash = flow_hash(&key, v6);
	__u64 *lock = flow_lock(hash);
	__u32 result = PEER_NONE;
	struct flow f;

	if (!lock)
		return PEER_BUSY;
	f = flow_find(&key, hash, v6);
	if (f.tag)
		result = peer_meet(r, words, state, request, &f, v6);
	if (result == PEER_NONE) {
		const __u64 tag = FLOW_TAG(hash >> 48, FLOW_LIVE | FLOW_PEER | state, r->generation, r->server,
					   tick_now() - r->age);

		result = flow_insert(hash, (const struct flow_words *)words, tag, v6) ? PEER_INSERTED : PEER_FULL;
	}
	flow_unlock(lock);
	return result;
}

/* Takes a way back that has no request out again. */
static __always_inline void peer_undo(const __u64 words[6], const bool v6)
{
	struct flow_key key = peer_key(words, v6);
	struct flow f = flow_find(&key, flow_hash(&key, v6), v6);

	if (f.tag)
		flow_kill(&f);
}

/* As the other program does: the way back first, so that whoever finds the request can be answered. */
static __always_inline __u32 peer_take(const struct peer_record *r, const bool v6)
{
	__u32 back = PEER_NONE, result;

	if (r->nat) {
		back = peer_put(r, r->reply, r->reply_state, false, v6);
		if (back > PEER_UPDATED)
			return back;
	}
	result = peer_put(r, r->request, r->state, true, v6);
	if (result > PEER_UPDATED && back == PEER_INSERTED)
		peer_undo(r->reply, v6);
	return result;
}

__noinline int peer_take4(struct peer_record *r)
{
	return r ? peer_take(r, false) : PEER_NONE;
}

__noinline int peer_take6(struct peer_record *r)
{
	return r ? peer_take(r, true) : PEER_NONE;
}

SEC("xdp")
int peer_insert(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct peer_batch *b = bpf_map_lookup_elem(&peer_batches, &zero);

	if (!b)
		return 0;
	for (__u32 i = 0; i < PEER_BATCH && i < b->count; i++) {
		struct peer_record *r = &b->records[i];

		r->result = r->v6 ? peer_take6(r) : peer_take4(r);
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
