/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table: what must be remembered of a connection. Two-choice buckets of four in a plain array shared with the
 * agent, which sweeps it by reading memory (layout and states: alwayson/abi.h). `v6` is a compile-time constant in every
 * function here: one source, two table shapes.
 *
 * Concurrency. Readers take no lock: an entry's payload is written while its tag says BUSY, published by xchg, and not
 * reused before a grace period, so a tag that is LIVE when read belongs to the payload read after it. Two CPUs that
 * insert the same key are serialised by a striped try-lock of its hash; claims of one entry by compare-and-swap.
 * clang 14 has no BPF fences: xchg and cmpxchg are full barriers, and x86 keeps loads in order.
 */
#ifndef BPF_FLOW_H
#define BPF_FLOW_H

#include "account.h"

/* The key as 64-bit words: the head of struct flow4 (12 bytes) or flow6 (24 bytes). */
struct flow_key {
	__u64 w[3];
};

#define FLOW_CANDIDATES 3

/* Of the second word of struct flow4 what is key: local and kind, not `away`. */
#define FLOW_KEY4_MASK 0xffffff

/* A hit: tag is NULL when there was none. */
struct flow {
	__u64 *tag;
	void *record;      /* struct flow4 or flow6 */
	__u64 value;       /* the tag as read */
	__u64 was;         /* the tag that flow_change() replaced: what changed is told by it, not by an older read */
};

static __always_inline struct flow_key flow_key4(__be32 remote, __be16 rport, __be16 lport, __u16 local, __u8 kind)
{
	struct flow_key key = { { (__u64)remote | (__u64)rport << 32 | (__u64)lport << 48,
				  (__u64)local | (__u64)kind << 16, 0 } };

	return key;
}

static __always_inline struct flow_key flow_key6(const __u64 remote[2], __be16 rport, __be16 lport, __u16 local,
						 __u8 kind)
{
	struct flow_key key = { { remote[0], remote[1],
				  (__u64)rport | (__u64)lport << 16 | (__u64)local << 32 | (__u64)kind << 48 } };

	return key;
}

static __always_inline struct flow_key flow_key_of(const __u64 remote[2], __be16 rport, __be16 lport, __u16 local,
						   __u8 kind, const bool v6)
{
	return v6 ? flow_key6(remote, rport, lport, local, kind) : flow_key4(remote[0], rport, lport, local, kind);
}

static __always_inline __u64 flow_hash(const struct flow_key *key, const bool v6)
{
	struct hash_key k = { { flow_key.k[0], flow_key.k[1] } };

	return v6 ? hash_3(&k, key->w[0], key->w[1], key->w[2]) : hash_2(&k, key->w[0], key->w[1]);
}

static __always_inline bool flow_matches(const void *record, const struct flow_key *key, const bool v6)
{
	const __u64 *w = record;

	if (v6)
		return w[0] == key->w[0] && w[1] == key->w[1] && w[2] == key->w[2];
	return w[0] == key->w[0] && !((*(const __u32 *)&w[1] ^ key->w[1]) & FLOW_KEY4_MASK);
}

static __always_inline __u32 flow_index(__u64 hash, int choice, const bool v6)
{
	const __u32 mask = v6 ? flow_mask6 : flow_mask4;
	const __u32 first = hash & mask;

	return choice ? flow_second(hash, first, mask) : first;
}

static __always_inline void *flow_bucket(__u64 hash, int choice, const bool v6)
{
	__u32 index = flow_index(hash, choice, v6);

	return v6 ? bpf_map_lookup_elem(&flows6, &index) : bpf_map_lookup_elem(&flows4, &index);
}

/* An entry begins with its tag. */
static __always_inline __u64 *flow_entry(void *from, __u32 way, const bool v6)
{
	return from + way * (v6 ? sizeof(struct flow_entry6) : sizeof(struct flow_entry4));
}

static __always_inline void *flow_record(__u64 *entry)
{
	return entry + 1;
}

/* How many flows of a line stand elsewhere. */
static __always_inline __u64 flow_away(const void *line, const bool v6)
{
	return v6 ? *(const volatile __u64 *)&((const struct flow_entry6 *)line)->away :
		    *(const volatile __u8 *)&((const struct flow_entry4 *)line)->flow.away;
}

/* Below `away` in its 32-bit word are fields of a record that others may be writing: these stay as they are. */
static __always_inline void flow_add_away(void *line, const int change, const bool v6)
{
	if (v6)
		__sync_fetch_and_add(&((struct flow_entry6 *)line)->away, change);
	else
		__sync_fetch_and_add((__u32 *)&((struct flow_entry4 *)line)->flow.local, (__u32)change << 24);
}

#define FLOW_MATCH_MASK (FLOW_TAG(0xffff, FLOW_LIFE, 0, 0, 0))

/*
 * Which of `count` entries have the tag bits `wanted` under `mask`: one bit a way. Without branches: that spares the
 * CPU eight guesses, and the verifier (all kernels) 2^8 paths for each look-up; the asm keeps clang from putting them
 * back.
 */
static __always_inline __u32 flow_ways(void *from, const int count, __u64 mask, __u64 wanted, const bool v6)
{
	__u32 ways = 0;

#pragma unroll
	for (int i = 0; i < count; i++) {
		__u64 differs = (load_u64(flow_entry(from, i, v6)) & mask) ^ wanted;
		__u64 negative = -differs;

		asm volatile("" : "+r"(negative));
		ways |= (((differs | negative) >> 63) ^ 1) << i;
	}
	return ways;
}

/* Number of the lowest bit of a non-zero 4-bit set, and how many bits a 4-bit set has. */
static __always_inline __u32 flow_lowest(__u32 ways)
{
	return 0x0102010301020100ULL >> (ways & 15) * 4 & 3;
}

static __always_inline __u32 flow_count(__u32 ways)
{
	return 0x4332322132212110ULL >> (ways & 15) * 4 & 7;
}

/* Is this entry the live one of the key? */
static __always_inline bool flow_is(struct flow *f, __u64 *entry, const struct flow_key *key, __u64 wanted,
				    const bool v6)
{
	if (!flow_matches(flow_record(entry), key, v6))
		return false;
	/* Read again: an evicted entry is written anew at once, and its tag published after its key. */
	f->value = load_u64(entry);
	if ((f->value & FLOW_MATCH_MASK) != wanted)
		return false;
	f->tag = entry;
	f->record = flow_record(entry);
	return true;
}

/*
 * Finds the live entry of a key: in the flow's own line; else, if a flow of that line stands elsewhere, in both buckets, all
 * of whose tags are loaded before any is compared: one miss, not four. More than FLOW_CANDIDATES entries of one 16-bit
 * fingerprint in two buckets are not looked at: the key of the hash is secret and new for each table, so nobody can make
 * them, and by chance it takes 2^48 flows.
 */
static __always_inline struct flow flow_find(const struct flow_key *key, __u64 hash, const bool v6)
{
	const __u64 wanted = FLOW_TAG(hash >> 48, FLOW_LIVE, 0, 0, 0);
	void *first = flow_bucket(hash, 0, v6), *second;
	struct flow f = {};
	__u32 ways;

	if (!first)
		return f;
	first = flow_entry(first, flow_home(hash, v6), v6);
	ways = flow_ways(first, v6 ? 1 : 2, FLOW_MATCH_MASK, wanted, v6);
	if (ways && flow_is(&f, flow_entry(first, ~ways & 1, v6), key, wanted, v6))
		return f;
	/* Of two of one fingerprint the second has not been looked at. */
	if (!flow_away(first, v6) && (v6 || ways != 3))
		return f;
	asm volatile("" : "+r"(hash)); /* the bucket is found anew: to keep it until here takes stack */
	first = flow_bucket(hash, 0, v6);
	second = flow_bucket(hash, 1, v6);
	if (!first || !second)
		return f;
	ways = flow_ways(first, FLOW_WAYS, FLOW_MATCH_MASK, wanted, v6) |
	       flow_ways(second, FLOW_WAYS, FLOW_MATCH_MASK, wanted, v6) << FLOW_WAYS;
	for (int i = 0; i < FLOW_CANDIDATES && ways; i++) {
		const bool in_first = ways & 15;
		const __u32 way = flow_lowest(in_first ? ways : ways >> FLOW_WAYS);

		if (flow_is(&f, flow_entry(in_first ? first : second, way, v6), key, wanted, v6))
			return f;
		ways &= ways - 1;
	}
	return f;
}

/* Changes the state bits of a live entry and stamps it; false when it is no longer live. */
static __always_inline bool flow_change(struct flow *f, __u8 clear, __u8 set, __u16 tick)
{
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u64 old = f->value;
		__u64 new = (old & ~(FLOW_STATE_BITS(clear) | 0xffff)) | FLOW_STATE_BITS(set) | tick;

		if ((old & FLOW_STATE_BITS(FLOW_LIFE)) != FLOW_STATE_BITS(FLOW_LIVE))
			return false;
		f->value = __sync_val_compare_and_swap(f->tag, old, new);
		if (f->value == old) {
			f->was = old;
			f->value = new;
			return true;
		}
	}
	return false;
}

/* Notes that a packet passed. Writes at most once a tick. */
static __always_inline void flow_touch(struct flow *f, __u16 tick)
{
	if (FLOW_TICK(f->value) != tick)
		*(volatile __u16 *)f->tag = tick;
}

/* From now on the entry matches nothing. True for the one caller that killed it. */
static __always_inline bool flow_kill(struct flow *f)
{
	return flow_change(f, 0, FLOW_DEAD, FLOW_TICK(f->value));
}

static __always_inline __u64 *flow_lock(__u64 hash)
{
	__u32 index = hash >> 16 & (LOCK_COUNT - 1);
	__u64 *lock = bpf_map_lookup_elem(&locks, &index);

	if (!lock)
		return NULL;
	for (int i = 0; i < LOCK_SPINS; i++)
		if (__sync_val_compare_and_swap(lock, 0, 1) == 0)
			return lock;
	return NULL;
}

static __always_inline void flow_unlock(__u64 *lock)
{
	__sync_lock_test_and_set(lock, 0);
}

/* All but `away`, which other CPUs may be counting in. */
static __always_inline void flow_write(__u64 *to, const __u64 *record, const bool v6)
{
	const int words = (v6 ? sizeof(struct flow6) : sizeof(struct flow4)) / sizeof(__u64);

#pragma unroll
	for (int w = 0; w < words; w++) {
		if (v6 || w != 1) {
			*(volatile __u64 *)&to[w] = record[w];
			continue;
		}
		*(volatile __u16 *)&((struct flow4 *)to)->local = record[w];
		*(volatile __u8 *)&((struct flow4 *)to)->kind = record[w] >> 16;
		*(volatile __u32 *)&((struct flow4 *)to)->to = record[w] >> 32;
	}
}

/* May this entry give way? Only a record of a plain flow (no own port hangs on it) that no second packet has proven. */
static __always_inline bool flow_is_evictable(__u64 tag, const void *record, const bool v6)
{
	const __u16 from = v6 ? ((const struct flow6 *)record)->from : ((const struct flow4 *)record)->from;
	const __u8 kind = v6 ? ((const struct flow6 *)record)->kind : ((const struct flow4 *)record)->kind;

	return (FLOW_STATE(tag) & (FLOW_LIFE | FLOW_PROVEN)) == FLOW_LIVE && !from && !(kind & FLOW_REPLY);
}

/* Key and fields of a record as its words; IPv4 has three. */
struct flow_words {
	__u64 w[6];
};

/* The line in which a flow's first bucket counts those that stand elsewhere; NULL never happens. */
static __always_inline void flow_count_away(__u64 hash, const int change, const bool v6)
{
	void *first = flow_bucket(hash, 0, v6);

	if (first)
		flow_add_away(flow_entry(first, flow_home(hash, v6), v6), change, v6);
}

/* The flow of a claimed entry is over: its line no longer counts it. */
static __always_inline void flow_forget_away(const __u64 *record, __u32 index, __u32 way, const bool v6)
{
	const struct flow_key key = { { record[0], v6 ? record[1] : record[1] & FLOW_KEY4_MASK, v6 ? record[2] : 0 } };
	const __u64 hash = flow_hash(&key, v6);

	if (flow_index(hash, 0, v6) != index || (v6 ? way : way & 2) != flow_home(hash, v6))
		flow_count_away(hash, -1, v6);
}

/* Writes the record of a claimed entry and publishes it. `away`: it is in another line than the flow's own. */
static __always_inline void flow_publish(__u64 *entry, __u64 hash, const struct flow_words *record, __u64 tag, bool away,
					 const bool v6)
{
	if (away)
		flow_count_away(hash, 1, v6);
	flow_write(flow_record(entry), record->w, v6);
	__sync_lock_test_and_set(entry, tag);
}

/* Both buckets are full: a half-open or unproven record gives way, so that a flood of them can't keep the table. */
static __always_inline bool flow_evict(__u64 hash, const struct flow_words *record, __u64 tag, const bool v6)
{
	for (__u32 i = 0; i < 2 * FLOW_WAYS; i++) {
		const __u32 way = i & (FLOW_WAYS - 1);
		void *bucket = flow_bucket(hash, i >= FLOW_WAYS, v6);
		__u64 *t, old;

		if (!bucket)
			return false;
		t = flow_entry(bucket, way, v6);
		old = load_u64(t);
		if (!flow_is_evictable(old, flow_record(t), v6) ||
		    __sync_val_compare_and_swap(t, old, FLOW_STATE_BITS(FLOW_BUSY)) != old)
			continue;
		flow_forget_away(flow_record(t), flow_index(hash, i >= FLOW_WAYS, v6), way, v6);
		flow_publish(t, hash, record, tag, i >= FLOW_WAYS || (v6 ? way : way & 2) != flow_home(hash, v6), v6);
		account_event(EVENT_EVICTED);
		return true;
	}
	return false;
}

/* The free ways of a bucket in the order in which a flow fills them. */
static __always_inline __u32 flow_free_ways(__u64 hash, const int choice, const bool v6)
{
	void *bucket = flow_bucket(hash, choice, v6);
	const __u32 home = flow_home(hash, v6);
	__u32 ways;

	if (!bucket)
		return 0;
	ways = flow_ways(bucket, FLOW_WAYS, ~0ULL, 0, v6);
	return (ways >> home | ways << (FLOW_WAYS - home)) & 15;
}

/* May no more flows of this line stand elsewhere? Asked before they are counted: CPUs at once may go above by a few. */
static __always_inline bool flow_is_crowded(__u64 hash, const bool v6)
{
	void *first = v6 ? NULL : flow_bucket(hash, 0, v6);

	return first && flow_away(flow_entry(first, flow_home(hash, v6), v6), v6) >= FLOW_AWAY_MAX;
}

/*
 * Claims an entry, writes the record, publishes the tag. Of the first bucket while half of it is free, so that most flows
 * are found there and the second is not looked at; then of the one with more room. The caller holds the key's lock and has
 * found it absent. False = both buckets are full, or the line is crowded and full.
 */
static __always_inline bool flow_insert(__u64 hash, const struct flow_words *record, __u64 tag, const bool v6)
{
	const bool crowded = flow_is_crowded(hash, v6);
	__u32 ways = flow_free_ways(hash, 0, v6), swapped = 0;

	if (crowded) {
		ways &= 3; /* the flow's own line */
	} else if (flow_count(ways) <= FLOW_WAYS / 2) {
		const __u32 other = flow_free_ways(hash, 1, v6);

		swapped = flow_count(other) > flow_count(ways);
		ways = swapped ? other | ways << FLOW_WAYS : ways | other << FLOW_WAYS;
	}
	for (int i = 0; i < 2 * FLOW_WAYS && ways; i++) {
		const bool low = ways & 15;
		const __u32 nth = flow_lowest(low ? ways : ways >> FLOW_WAYS);
		const bool second = low == swapped;
		void *bucket = flow_bucket(hash, second, v6);
		__u64 *t;

		if (!bucket)
			return false;
		t = flow_entry(bucket, (nth + flow_home(hash, v6)) & (FLOW_WAYS - 1), v6);
		if (__sync_val_compare_and_swap(t, 0, FLOW_STATE_BITS(FLOW_BUSY)) == 0) {
			flow_publish(t, hash, record, tag, second || nth >= (v6 ? 1 : 2), v6);
			return true;
		}
		ways &= ways - 1;
	}
	return !crowded && flow_evict(hash, record, tag, v6);
}

static __always_inline __u64 flow_new_tag(__u64 hash, __u8 state, __u32 server, __u64 server_word)
{
	return FLOW_TAG(hash >> 48, FLOW_LIVE | state, SERVER_GENERATION(server_word), server, tick_now());
}

#endif
