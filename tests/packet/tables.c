/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow tables as the suites see them, by memory: finding one entry, and the soundness that must hold whenever no
 * packet is in the program. Called after every test.
 */
#include <arpa/inet.h>
#include <string.h>

#include "rig.h"
#include "world.h"

static bool addr_is(const struct addr *a, const char *text)
{
	struct addr b;

	return addr_parse(text, &b) == 0 && addr_equal(a, &b);
}

/* Calls for every live entry of a family. */
#define for_each_flow(r, v6, view)                                          \
	for (uint32_t b_ = 0; b_ < flows_buckets((r)->m, v6); b_++)         \
		for (unsigned way_ = 0; way_ < FLOW_WAYS; way_++)           \
			if (flows_read((r)->m, v6, b_, way_, &(view)))

size_t rig_live_flows(const struct rig *r, bool v6)
{
	struct flow_view v;
	size_t n = 0;

	for_each_flow(r, v6, v)
		n++;
	return n;
}

void rig_sweep(const struct rig *r)
{
	for (int v6 = 0; v6 < 2; v6++)
		for (uint32_t b = 0; b < flows_buckets(r->m, v6); b++)
			for (unsigned way = 0; way < FLOW_WAYS; way++) {
				uint64_t *tag = flows_tag(r->m, v6, b, way);

				if ((FLOW_STATE(*tag) & FLOW_LIFE) == FLOW_DEAD)
					flows_free(r->m, tag);
			}
}

static bool find(const struct rig *r, const struct packet *p, struct flow_view *ret)
{
	const bool v6 = packet_is_v6(p);
	struct flow_view v;

	for_each_flow(r, v6, v) {
		uint64_t local[2];

		memcpy(local, r->m->addresses[v.local].addr, 16);
		if (v.kind == p->protocol && v.remote_port == p->sport && v.local_port == p->dport &&
		    addr_is(&v.remote, p->from)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

bool rig_has_flow(const struct rig *r, const struct packet *request)
{
	struct flow_view v;

	return find(r, request, &v);
}

struct flow_view rig_flow(const struct rig *r, const struct packet *request)
{
	struct flow_view v = {};

	if (!find(r, request, &v))
		fail_msg("no record of %s:%u", request->from, request->sport);
	return v;
}

/* A key as bytes that compare. */
struct key {
	struct addr remote;
	uint16_t remote_port, local_port, local;
	uint8_t kind;
};

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct key));
}

static unsigned check_keys_once(const struct rig *r, bool v6)
{
	const size_t room = (size_t)flows_buckets(r->m, v6) * FLOW_WAYS;
	_cleanup_free_ struct key *keys = calloc(room, sizeof(*keys));
	struct flow_view v;
	unsigned wrong = 0;
	size_t n = 0;

	assert_non_null(keys);
	for_each_flow(r, v6, v) {
		keys[n].remote = v.remote;
		keys[n].remote_port = v.remote_port;
		keys[n].local_port = v.local_port;
		keys[n].local = v.local;
		keys[n++].kind = v.kind;
	}
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (size_t i = 1; i < n; i++)
		wrong += compare_keys(&keys[i - 1], &keys[i]) == 0;
	if (wrong)
		print_error("%u keys stand twice in the IPv%d flow table\n", wrong, v6 ? 6 : 4);
	return wrong;
}

/* A request of nat names an own port; its reply must be there and lead back to it. */
static unsigned check_pairs(const struct rig *r, bool v6)
{
	unsigned wrong = 0;
	struct flow_view v, other;

	for_each_flow(r, v6, v) {
		if (!(v.kind & FLOW_REPLY) && !v.from)
			continue; /* of dsr: one entry */
		if (!flows_find_other(r->m, &v, &other)) {
			print_error("a %s from port %u has no other half\n", v.kind & FLOW_REPLY ? "reply" : "request",
				    v.remote_port);
			wrong++;
		} else if (!addr_equal(&other.to, &v.remote) || other.to_port != v.remote_port ||
			   other.from != v.local || other.from_port != v.local_port ||
			   FLOW_SERVER(other.value) != FLOW_SERVER(v.value)) {
			print_error("the other half of the flow from port %u leads elsewhere\n", v.remote_port);
			wrong++;
		}
	}
	return wrong;
}

static unsigned check_tags(const struct rig *r, bool v6)
{
	unsigned wrong = 0;

	for (uint32_t b = 0; b < flows_buckets(r->m, v6); b++)
		for (unsigned way = 0; way < FLOW_WAYS; way++) {
			const uint64_t tag = *flows_tag(r->m, v6, b, way);

			wrong += tag && (FLOW_STATE(tag) & FLOW_LIFE) < FLOW_LIVE;
		}
	if (wrong)
		print_error("%u tags are neither empty, live nor dead\n", wrong);
	return wrong;
}

/* A line counts its flows that stand elsewhere, the dead ones until they are freed: too few, and one is lost. */
static unsigned check_away(const struct rig *r, bool v6)
{
	const size_t lines = (size_t)flows_buckets(r->m, v6) * FLOW_WAYS;
	_cleanup_free_ uint64_t *expected = calloc(lines, sizeof(*expected));
	unsigned wrong = 0;

	assert_non_null(expected);
	for (uint32_t b = 0; b < flows_buckets(r->m, v6); b++)
		for (unsigned way = 0; way < FLOW_WAYS; way++) {
			const uint64_t *tag = flows_tag(r->m, v6, b, way);
			uint32_t bucket;
			unsigned home;

			if (*tag && flows_stands_away(r->m, tag, &bucket, &home))
				expected[bucket * FLOW_WAYS + home]++;
		}
	for (size_t line = 0; line < lines; line++) {
		const uint32_t b = line / FLOW_WAYS;
		const unsigned way = line % FLOW_WAYS;

		wrong += expected[line] != (v6 ? r->m->flows6[b].entries[way].away :
						 r->m->flows4[b].entries[way].flow.away);
	}
	if (wrong)
		print_error("%u lines of the IPv%d flow table count wrongly what stands elsewhere\n", wrong, v6 ? 6 : 4);
	return wrong;
}

static unsigned check_locks(const struct rig *r)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < LOCK_COUNT; i++)
		wrong += r->locks[i] != 0;
	if (wrong)
		print_error("%u locks are still taken\n", wrong);
	return wrong;
}

/* A server's half-open counter is the number of its nat connections that are not proven. */
static unsigned check_half_open(const struct rig *r)
{
	int64_t expected[RIG_SERVERS] = {};
	unsigned wrong = 0;
	struct flow_view v;

	for (int v6 = 0; v6 < 2; v6++)
		for_each_flow(r, v6, v)
			if (!(v.kind & FLOW_REPLY) && v.from && !(FLOW_STATE(v.value) & FLOW_PROVEN))
				expected[FLOW_SERVER(v.value) % RIG_SERVERS]++;
	for (uint32_t id = 1; id < r->server_count; id++)
		if (r->m->use[id].half_open != expected[id]) {
			print_error("server %u: half_open says %lld, the table %lld\n", id, r->m->use[id].half_open,
				    (long long)expected[id]);
			wrong++;
		}
	return wrong;
}

void rig_check_tables(const struct rig *r)
{
	unsigned wrong = check_locks(r) + check_half_open(r);

	for (int v6 = 0; v6 < 2; v6++)
		wrong += check_tags(r, v6) + check_keys_once(r, v6) + check_pairs(r, v6) +
			 check_away(r, v6);
	if (wrong)
		fail_msg("the tables are not sound");
}

int rig_check(void **state)
{
	rig_check_tables(*state);
	return 0;
}
