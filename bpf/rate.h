/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many connections a source has opened lately, as HAProxy's conn_rate counts: those of the present window, and of the
 * one before the share that a sliding window would still hold. One fixed table of buckets of four for all frontends; in a
 * full bucket the source with the fewest gives way, so that those who are held back stay known in a flood of others.
 * Called by guard.h. Two CPUs may lose a count of one another, never a whole source.
 */
#ifndef BPF_RATE_H
#define BPF_RATE_H

#include "account.h"
#include "service.h"

static __always_inline __u64 rate_word(__u64 window, __u64 current, __u64 previous)
{
	return (window & RATE_WINDOW_MASK) << 40 | current << 20 | previous;
}

/* What is left of an entry's counts in this window: `current` in the high half, `previous` in the low one. */
static __always_inline __u64 rate_aged(__u64 word, __u64 window)
{
	const __u64 age = (window - RATE_WINDOW(word)) & RATE_WINDOW_MASK;

	if (age == 0)
		return RATE_CURRENT(word) << 32 | RATE_PREVIOUS(word);
	return age == 1 ? RATE_CURRENT(word) : 0;
}

/* One more of a source that is known. Returns its rate; when others are always faster, what it would have been. */
static __always_inline __u64 rate_count(struct rate_source *source, const struct service *s, __u64 window, __u64 elapsed)
{
	const __u64 period = s->rate_period;
	__u64 rate = 0;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		const __u64 old = load_u64(&source->word), aged = rate_aged(old, window);
		const __u64 previous = (__u32)aged;
		__u64 current = (aged >> 32) + 1;

		if (current > RATE_COUNT_MAX)
			current = RATE_COUNT_MAX;
		rate = current + previous * (period - elapsed) / period;
		if (__sync_val_compare_and_swap(&source->word, old, rate_word(window, current, previous)) == old)
			break;
	}
	return rate;
}

static __always_inline __u64 rate_of(const struct service *s, __u64 high, __u64 low)
{
	const struct hash_key k = { { flow_key.k[0], flow_key.k[1] } };
	const __u64 key = hash_3(&k, s->rate_table, high, low) | 1; /* 0 = nobody's */
	const __u64 now = bpf_jiffies64(), period = s->rate_period ? s->rate_period : 1;
	const __u64 window = now / period;
	__u32 index = key >> 32 & (RATE_BUCKETS - 1), way = 0;
	__u64 fewest = ~0ULL, old;
	struct rate_bucket *bucket = bpf_map_lookup_elem(&rates, &index);

	if (!bucket)
		return 0;
#pragma unroll
	for (int i = 0; i < RATE_WAYS; i++) {
		struct rate_source *source = &bucket->sources[i];
		__u64 aged;

		if (load_u64(&source->key) == key)
			return rate_count(source, s, window, now - window * period);
		/* Windows are of each frontend's own length: an entry of another one is judged roughly. */
		aged = rate_aged(load_u64(&source->word), window);
		aged = (aged >> 32) + (__u32)aged;
		if (aged < fewest) {
			fewest = aged;
			way = i;
		}
	}
	old = load_u64(&bucket->sources[way & (RATE_WAYS - 1)].key);
	if (__sync_val_compare_and_swap(&bucket->sources[way & (RATE_WAYS - 1)].key, old, key) != old)
		return 1; /* another CPU was first */
	if (old && fewest)
		account_event(EVENT_SOURCE_FORGOTTEN);
	bucket->sources[way & (RATE_WAYS - 1)].high = high;
	bucket->sources[way & (RATE_WAYS - 1)].low = low;
	*(volatile __u64 *)&bucket->sources[way & (RATE_WAYS - 1)].word = rate_word(window, 1, 0);
	return 1;
}

static __always_inline bool rate_is_exceeded(const struct service *s, __u64 high, __u64 low)
{
	return rate_of(s, high & s->rate_mask[0], low & s->rate_mask[1]) > s->rate_max;
}

#endif
