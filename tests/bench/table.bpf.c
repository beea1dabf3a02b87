// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The flow table (bpf/flow.h) beside the kernel's LRU hash: the same operations on the same keys, in a loop within one
 * run. What a packet does with either: a look-up that stamps the entry; or, for a new flow, a look-up that finds nothing
 * and an insert. Driven by tests/bench/table.c; never attached to anything.
 */
#include "flow.h"
#include "table.h"

struct order orders[TABLE_CPUS];

enum { CHOSEN_MAX = 1 << 16 };
ARRAY(chosen, __u64, CHOSEN_MAX);

/* Its size and flags are set by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct kernel_key);
	__type(value, struct kernel_value);
} kernel_table SEC(".maps");

static __always_inline struct order *order_of_this_cpu(void)
{
	return &orders[bpf_get_smp_processor_id() & (TABLE_CPUS - 1)];
}

static __always_inline struct flow_key key_of(const struct order *o, __u32 n)
{
	__u64 flow = o->base + (o->first + n) * TABLE_STEP % o->flows;

	if (o->listed) {
		__u32 index = flow;
		const __u64 *word = bpf_map_lookup_elem(&chosen, &index);

		return flow_key4(word ? *word : 0, word ? *word >> 32 : 0, bpf_htons(80), 1, IPPROTO_TCP);
	}
	/* Many clients, each with many connections. */
	return flow_key4(bpf_htonl(0x64400000 + (flow >> 12)), bpf_htons(1024 + (flow & 0xfff)), bpf_htons(80), 1,
			 IPPROTO_TCP);
}

static __always_inline struct kernel_key kernel_key_of(const struct flow_key *key)
{
	struct kernel_key k = { { key->w[0], key->w[0] >> 32, key->w[1] } };

	return k;
}

/* The loop and the keys alone: what every figure is net of. */
static long one_nothing(__u32 n, void *ctx)
{
	struct order *o = order_of_this_cpu();
	struct flow_key key = key_of(o, n);

	o->done += key.w[0] != 0;
	return 0;
}

static long one_ours_find(__u32 n, void *ctx)
{
	struct order *o = order_of_this_cpu();
	struct flow_key key = key_of(o, n);
	struct flow f = flow_find(&key, flow_hash(&key, false), false);

	if (f.tag) {
		flow_touch(&f, tick_now());
		o->done++;
	}
	return 0;
}

static long one_ours_insert(__u32 n, void *ctx)
{
	struct order *o = order_of_this_cpu();
	struct flow_key key = key_of(o, n);
	const __u64 hash = flow_hash(&key, false);
	struct flow_words record = { { key.w[0], key.w[1] } };
	struct flow f = flow_find(&key, hash, false);
	__u64 *lock;

	if (f.tag)
		return 0;
	lock = flow_lock(hash);
	if (!lock) {
		o->busy++;
		return 0;
	}
	f = flow_find(&key, hash, false);
	if (!f.tag) {
		if (flow_insert(hash, &record, flow_new_tag(hash, o->state, 1, 0), false))
			o->done++;
		else
			o->refused++;
	}
	flow_unlock(lock);
	return 0;
}

static long one_kernel_find(__u32 n, void *ctx)
{
	struct order *o = order_of_this_cpu();
	struct flow_key key = key_of(o, n);
	struct kernel_key k = kernel_key_of(&key);
	struct kernel_value *v = bpf_map_lookup_elem(&kernel_table, &k);

	if (v) {
		if (FLOW_TICK(v->tag) != tick_now())
			*(volatile __u16 *)&v->tag = tick_now();
		o->done++;
	}
	return 0;
}

static long one_kernel_insert(__u32 n, void *ctx)
{
	struct order *o = order_of_this_cpu();
	struct flow_key key = key_of(o, n);
	struct kernel_key k = kernel_key_of(&key);
	struct kernel_value v = { .tag = tick_now() };

	if (bpf_map_lookup_elem(&kernel_table, &k))
		return 0;
	if (bpf_map_update_elem(&kernel_table, &k, &v, BPF_NOEXIST) == 0)
		o->done++;
	else
		o->refused++;
	return 0;
}

#define LOOP(name)                                                                \
	SEC("xdp") int name(struct xdp_md *ctx)                                   \
	{                                                                         \
		bpf_loop(order_of_this_cpu()->count, one_##name, NULL, 0);        \
		return XDP_PASS;                                                  \
	}

LOOP(nothing)
LOOP(ours_find)
LOOP(ours_insert)
LOOP(kernel_find)
LOOP(kernel_insert)

char LICENSE[] SEC("license") = "Dual BSD/GPL";
