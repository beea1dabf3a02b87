/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/flows.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/cleanup.h"

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

bool flows_find(const struct dataplane_maps *m, bool v6, const void *record, struct flow_view *ret)
{
	const size_t key = v6 ? 24 : 12;
	const uint32_t mask = flows_buckets(m, v6) - 1;
	uint64_t words[3] = {}, hash;
	uint32_t buckets[2];

	memcpy(words, record, key);
	hash = v6 ? hash_3(&m->flow_key, words[0], words[1], words[2]) : hash_2(&m->flow_key, words[0], words[1]);
	buckets[0] = hash & mask;
	buckets[1] = flow_second(hash, buckets[0], mask);
	for (size_t b = 0; b < array_size(buckets); b++)
		for (unsigned way = 0; way < FLOW_WAYS; way++)
			if (FLOW_FINGERPRINT(read_tag(flows_tag(m, v6, buckets[b], way))) == hash >> 48 &&
			    flows_read(m, v6, buckets[b], way, ret) && memcmp(ret->record, record, key) == 0)
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

void flows_free(uint64_t *tag)
{
	__atomic_store_n(tag, 0, __ATOMIC_RELEASE);
}
