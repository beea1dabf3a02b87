/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/flows.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"

/* Of struct flow4 and flow6: up to `kind`, and v6 its zero as well. */
enum { KEY4_BYTES = 11, KEY6_BYTES = 24 };

uint32_t flows_buckets(const struct dataplane_maps *m, bool v6)
{
	return v6 ? m->bucket6_count : m->bucket4_count;
}

uint64_t *flows_tag(const struct dataplane_maps *m, bool v6, uint32_t bucket, unsigned way)
{
	return (uint64_t *)(v6 ? &m->flows6[bucket].entries[way].tag : &m->flows4[bucket].entries[way].tag);
}

static uint64_t read_tag(const uint64_t *tag)
{
	return __atomic_load_n(tag, __ATOMIC_ACQUIRE);
}

static bool is_live(uint64_t tag)
{
	return (FLOW_STATE(tag) & FLOW_LIFE) == FLOW_LIVE;
}

static void read4(const struct flow4 *f, struct flow_view *v)
{
	v->remote = addr_from_v4(f->remote);
	v->remote_port = ntohs(f->remote_port);
	v->local_port = ntohs(f->local_port);
	v->local = f->local;
	v->kind = f->kind;
	v->to = addr_from_v4(f->to);
	v->to_port = ntohs(f->to_port);
	v->from_port = ntohs(f->from_port);
	v->from = f->from;
	v->hop = f->hop;
}

static void read6(const struct flow6 *f, struct flow_view *v)
{
	v->remote = (struct addr){ .family = AF_INET6 };
	memcpy(v->remote.bytes, f->remote, 16);
	v->remote_port = ntohs(f->remote_port);
	v->local_port = ntohs(f->local_port);
	v->local = f->local;
	v->kind = f->kind;
	v->to = (struct addr){ .family = AF_INET6 };
	memcpy(v->to.bytes, f->to, 16);
	v->to_port = ntohs(f->to_port);
	v->from_port = ntohs(f->from_port);
	v->from = f->from;
	v->hop = f->hop;
}

bool flows_read(const struct dataplane_maps *m, bool v6, uint32_t bucket, unsigned way, struct flow_view *ret)
{
	uint64_t *tag = flows_tag(m, v6, bucket, way);
	uint64_t value = read_tag(tag);

	if (!is_live(value))
		return false;
	ret->v6 = v6;
	ret->tag = tag;
	ret->value = value;
	if (v6) {
		ret->record = &m->flows6[bucket].entries[way].flow;
		read6(ret->record, ret);
	} else {
		ret->record = &m->flows4[bucket].entries[way].flow;
		read4(ret->record, ret);
	}
	return true;
}

/* The key of the other direction, and its hash: bpf/flow.h's. */
static uint64_t other_hash(const struct dataplane_maps *m, const struct flow_view *f, uint8_t kind)
{
	const uint64_t ports = (uint64_t)htons(f->to_port) | (uint64_t)htons(f->from_port) << 16;
	const uint64_t tail = (uint64_t)f->from | (uint64_t)kind << 16;
	uint64_t words[2];

	memcpy(words, f->to.bytes, 16);
	if (f->v6)
		return hash_3(&m->flow_key, words[0], words[1], ports | tail << 32);
	return hash_2(&m->flow_key, (uint32_t)words[0] | ports << 32, tail);
}

static bool is_other(const struct flow_view *v, const struct flow_view *f, uint8_t kind)
{
	return v->kind == kind && v->local == f->from && v->local_port == f->from_port &&
	       v->remote_port == f->to_port && addr_equal(&v->remote, &f->to);
}

bool flows_find_other(const struct dataplane_maps *m, const struct flow_view *f, struct flow_view *ret)
{
	const uint8_t kind = f->kind ^ FLOW_REPLY;
	const uint64_t hash = other_hash(m, f, kind);
	const uint32_t mask = flows_buckets(m, f->v6) - 1;
	const uint32_t buckets[2] = { hash & mask, flow_second(hash, hash & mask, mask) };

	for (size_t b = 0; b < array_size(buckets); b++)
		for (unsigned way = 0; way < FLOW_WAYS; way++) {
			struct flow_view v;

			if (FLOW_FINGERPRINT(read_tag(flows_tag(m, f->v6, buckets[b], way))) == hash >> 48 &&
			    flows_read(m, f->v6, buckets[b], way, &v) && is_other(&v, f, kind)) {
				*ret = v;
				return true;
			}
		}
	return false;
}

/* Of a record in the shared memory: without `away`, which is none of its own. */
static void read_key(bool v6, const void *record, uint64_t ret[3])
{
	memset(ret, 0, 3 * sizeof(*ret));
	memcpy(ret, record, v6 ? KEY6_BYTES : KEY4_BYTES);
}

static uint64_t key_hash(const struct dataplane_maps *m, bool v6, const uint64_t key[3])
{
	return v6 ? hash_3(&m->flow_key, key[0], key[1], key[2]) : hash_2(&m->flow_key, key[0], key[1]);
}

bool flows_find(const struct dataplane_maps *m, bool v6, const void *record, struct flow_view *ret)
{
	const uint32_t mask = flows_buckets(m, v6) - 1;
	uint64_t key[3], hash;
	uint32_t buckets[2];

	read_key(v6, record, key);
	hash = key_hash(m, v6, key);
	buckets[0] = hash & mask;
	buckets[1] = flow_second(hash, buckets[0], mask);
	for (size_t b = 0; b < array_size(buckets); b++)
		for (unsigned way = 0; way < FLOW_WAYS; way++)
			if (FLOW_FINGERPRINT(read_tag(flows_tag(m, v6, buckets[b], way))) == hash >> 48 &&
			    flows_read(m, v6, buckets[b], way, ret) &&
			    memcmp(ret->record, record, v6 ? KEY6_BYTES : KEY4_BYTES) == 0)
				return true;
	return false;
}

bool flows_kill(struct flow_view *f)
{
	uint64_t value = read_tag(f->tag);

	while (value >> 16 == f->value >> 16) {
		if (__atomic_compare_exchange_n(f->tag, &value, value | FLOW_STATE_BITS(FLOW_DEAD), false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

bool flows_end(struct flow_view *f, uint8_t generation, uint16_t tick)
{
	uint64_t value = read_tag(f->tag);

	while (value >> 16 == f->value >> 16) {
		const uint64_t ended = FLOW_TAG(FLOW_FINGERPRINT(value), FLOW_STATE(value) | FLOW_RST, generation,
						FLOW_SERVER(value), tick);

		if (__atomic_compare_exchange_n(f->tag, &value, ended, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

/* Where an entry stands, by its tag's address. */
static bool place_of(const struct dataplane_maps *m, const uint64_t *tag, uint32_t *ret_bucket, unsigned *ret_way)
{
	const uintptr_t at = (uintptr_t)tag, table4 = (uintptr_t)m->flows4, table6 = (uintptr_t)m->flows6;
	const bool v6 = at - table4 >= (uintptr_t)m->bucket4_count * sizeof(*m->flows4);
	const size_t offset = at - (v6 ? table6 : table4);
	const size_t bucket = v6 ? sizeof(struct bucket6) : sizeof(struct bucket4);

	*ret_bucket = offset / bucket;
	*ret_way = offset % bucket / (bucket / FLOW_WAYS);
	return v6;
}

bool flows_stands_away(const struct dataplane_maps *m, const uint64_t *tag, uint32_t *ret_bucket, unsigned *ret_home)
{
	uint32_t bucket;
	unsigned way;
	const bool v6 = place_of(m, tag, &bucket, &way);
	uint64_t key[3], hash;

	read_key(v6, tag + 1, key);
	hash = key_hash(m, v6, key);
	*ret_bucket = hash & (flows_buckets(m, v6) - 1);
	*ret_home = flow_home(hash, v6);
	return *ret_bucket != bucket || *ret_home != (v6 ? way : way & 2);
}

void flows_free(const struct dataplane_maps *m, uint64_t *tag)
{
	uint32_t first, bucket;
	unsigned home, way;
	const bool v6 = place_of(m, tag, &bucket, &way), away = flows_stands_away(m, tag, &first, &home);

	__atomic_store_n(tag, 0, __ATOMIC_RELEASE);
	if (!away)
		return;
	if (v6)
		__atomic_fetch_sub(&m->flows6[first].entries[home].away, 1, __ATOMIC_RELEASE);
	else
		__atomic_fetch_sub(&m->flows4[first].entries[home].flow.away, 1, __ATOMIC_RELEASE);
}
