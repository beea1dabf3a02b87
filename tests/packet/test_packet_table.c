/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow table under those who want it full: a flood of connections that are never finished, keys chosen against its
 * hash, and, in the long form, ten million connections at once (1 GiB for a minute). tests/bench/table times it;
 * nothing is timed here.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum {
	ESTABLISHED = 200,
	CHOSEN = 512,
	AIMED_AT = 32,             /* buckets that the chosen keys have in common */
	LARGE_BUCKETS = 1 << 23,
	LARGE_FLOWS = 10 << 20,
	LOOKED_AT = 1 << 19,       /* keys among which two of one line and fingerprint are sought */
	CHURN_ROUNDS = 12,
	CROWD = FLOW_AWAY_MAX + 3, /* two in the line itself */
};

/* A client's packet without a text for its address: millions of them are built. */
static void send_from(struct rig *r, uint32_t client, uint16_t sport, uint8_t flags, struct frame *out)
{
	static struct frame in;
	char from[ADDR_TEXT_MAX];
	struct packet p = client_packet(false, TCP, sport, flags);

	snprintf(from, sizeof(from), "10.%u.%u.%u", client >> 16 & 255, client >> 8 & 255, client & 255);
	p.from = from;
	p.payload = 0;
	frame_build(&p, &in);
	if (rig_run_raw(r, &in, 0, out) == XDP_ABORTED)
		fail_msg("the program ends a packet with XDP_ABORTED");
}

static uint64_t events(const struct rig *r, enum lb_event e)
{
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < r->m->cpu_count; cpu++)
		sum += r->m->event_counters[cpu * EVENT_MAX + e];
	return sum;
}

/* Four times as many half-open connections as the table has places: those that are established keep theirs. */
static void a_flood_takes_no_established_connections_place(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	const uint64_t places = (uint64_t)r->m->bucket4_count * FLOW_WAYS;
	const uint64_t evicted = events(r, EVENT_EVICTED);
	uint64_t passed;
	uint8_t server[ESTABLISHED];

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 5 });
	for (unsigned i = 0; i < ESTABLISHED; i++) {
		send_from(r, 1 << 16, 1024 + i, SYN, &out);
		server[i] = out.bytes[5];
		send_from(r, 1 << 16, 1024 + i, ACK, &out);
		assert_int_equal(out.bytes[5], server[i]);
	}
	passed = rig_verdicts(r, VERDICT_DSR);
	for (uint64_t n = 0; n < 4 * places; n++)
		send_from(r, (2 << 16) + (n >> 12), 1024 + (n & 0xfff), SYN, &out);
	/* Those of the flood make way for one another: there is room for each, and none is refused. */
	assert_int_equal(rig_verdicts(r, VERDICT_DSR) - passed, 4 * places);
	assert_true(events(r, EVENT_EVICTED) - evicted >= 3 * places);
	assert_in_range(rig_live_flows(r, false), places / 2, places);
	for (unsigned i = 0; i < ESTABLISHED; i++) {
		const uint64_t no_flow = rig_verdicts(r, VERDICT_NO_FLOW);

		send_from(r, 1 << 16, 1024 + i, ACK, &out);
		assert_int_equal(rig_verdicts(r, VERDICT_NO_FLOW), no_flow);
		assert_int_equal(out.bytes[5], server[i]);
	}
	rig_catch_up(r);
}

/* The hash of a client's key as bpf/flow.h has it, under a key of ours. */
static uint64_t hash_with(const struct hash_key *key, uint32_t client, uint16_t sport, uint16_t local)
{
	const uint32_t remote = htonl(10U << 24 | client);

	return hash_2(key, remote | (uint64_t)htons(sport) << 32 | (uint64_t)htons(80) << 48, local | (uint64_t)TCP << 16);
}

/*
 * Connections that would all share a few buckets if the hash had no key, or one that is known: with the table's own they
 * find room as any others do. (Without it 128 of the 512 would.)
 */
static void chosen_keys_fill_no_bucket(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	const struct hash_key none = {};
	const uint32_t mask = r->m->bucket4_count - 1;
	unsigned sent = 0, most = 0;
	uint16_t local;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
	local = world_address(r, VIP4);
	for (uint32_t n = 0; sent < CHOSEN; n++) {
		const uint32_t client = n >> 12 & 0xffffff;
		const uint16_t sport = 1024 + (n & 0xfff);
		const uint64_t hash = hash_with(&none, client, sport, local);

		if ((hash & mask) >= AIMED_AT || flow_second(hash, hash & mask, mask) >= AIMED_AT)
			continue;
		send_from(r, client, sport, SYN, &out);
		send_from(r, client, sport, ACK, &out);
		sent++;
	}
	assert_int_equal(rig_live_flows(r, false), CHOSEN);
	for (uint32_t b = 0; b <= mask; b++) {
		unsigned used = 0;

		for (unsigned way = 0; way < FLOW_WAYS; way++)
			used += *flows_tag(r->m, false, b, way) != 0;
		most = used > most ? used : most;
	}
	assert_in_range(most, 1, 3);
	rig_catch_up(r);
}

/* A flow whose bucket is half empty stands in it, in a line of its own: what a packet finds with one line of memory. */
static void most_flows_stand_in_their_own_line(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	const uint32_t mask = r->m->bucket4_count - 1, flows = r->m->bucket4_count; /* a quarter of the places */
	uint32_t at_home = 0;
	uint16_t local;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
	local = world_address(r, VIP4);
	for (uint32_t n = 0; n < flows; n++)
		send_from(r, n >> 12, 1024 + (n & 0xfff), SYN, &out);
	assert_int_equal(rig_live_flows(r, false), flows);
	for (uint32_t n = 0; n < flows; n++) {
		const uint64_t hash = hash_with(&r->m->flow_key, n >> 12, 1024 + (n & 0xfff), local);
		const uint32_t home = flow_home(hash, false);

		at_home += FLOW_FINGERPRINT(*flows_tag(r->m, false, hash & mask, home)) == hash >> 48 ||
			   FLOW_FINGERPRINT(*flows_tag(r->m, false, hash & mask, home + 1)) == hash >> 48;
	}
	/* Nine in ten; without a preference for the first bucket 77 in a hundred, without one for the line half of them. */
	assert_in_range(at_home, flows * 85 / 100, flows);
	rig_catch_up(r);
}

/*
 * Flows of one line, as only who knows the key can choose them: as many as may stand elsewhere do, and are found; the one
 * after is refused and counted, and those before lose nothing, proven or not.
 */
static void a_line_counts_no_more_flows_than_it_can(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	const uint32_t mask = r->m->bucket4_count - 1;
	uint8_t server[CROWD];
	uint32_t chosen[CROWD];
	const uint8_t *away = NULL;
	uint64_t unknown, full;
	unsigned sent = 0;
	uint16_t local;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
	local = world_address(r, VIP4);
	full = rig_verdicts(r, VERDICT_FLOW_TABLE_FULL);
	for (uint32_t n = 0; sent < CROWD && (!away || *away < FLOW_AWAY_MAX); n++) {
		const uint64_t hash = hash_with(&r->m->flow_key, n >> 12 & 0xffffff, 1024 + (n & 0xfff), local);

		if ((hash & mask) != 1 || flow_home(hash, false) != 0)
			continue;
		away = &r->m->flows4[1].entries[0].flow.away;
		chosen[sent] = n;
		send_from(r, n >> 12, 1024 + (n & 0xfff), SYN, &out);
		server[sent] = out.bytes[5];
		if (sent++ % 2 == 0)
			send_from(r, n >> 12, 1024 + (n & 0xfff), ACK, &out);
	}
	assert_non_null(away);
	assert_int_equal(*away, FLOW_AWAY_MAX);
	assert_int_equal(rig_verdicts(r, VERDICT_FLOW_TABLE_FULL), full);
	for (uint32_t n = chosen[sent - 1] + 1, more = 0; more < 3; n++) {
		const uint64_t hash = hash_with(&r->m->flow_key, n >> 12 & 0xffffff, 1024 + (n & 0xfff), local);

		if ((hash & mask) != 1 || flow_home(hash, false) != 0)
			continue;
		send_from(r, n >> 12, 1024 + (n & 0xfff), SYN, &out);
		more++;
		assert_int_equal(rig_verdicts(r, VERDICT_FLOW_TABLE_FULL), full + more);
	}
	assert_int_equal(*away, FLOW_AWAY_MAX);
	unknown = rig_verdicts(r, VERDICT_NO_FLOW);
	for (unsigned i = 0; i < sent; i++) {
		send_from(r, chosen[i] >> 12, 1024 + (chosen[i] & 0xfff), ACK, &out);
		assert_int_equal(rig_verdicts(r, VERDICT_NO_FLOW), unknown);
		assert_int_equal(out.bytes[5], server[i]);
	}
	rig_catch_up(r);
}

struct place {
	uint64_t where; /* fingerprint, first bucket, line */
	uint32_t n;
};

static int compare_places(const void *a, const void *b)
{
	const uint64_t x = ((const struct place *)a)->where, y = ((const struct place *)b)->where;

	return (x > y) - (x < y);
}

/* Two flows that one line holds, and that are the same but for their keys: either is found, with nothing elsewhere. */
static void two_of_one_fingerprint_in_a_line(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	const uint32_t mask = r->m->bucket4_count - 1;
	_cleanup_free_ struct place *places = calloc(LOOKED_AT, sizeof(*places));
	unsigned pairs = 0;
	uint16_t local;

	assert_non_null(places);
	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
	local = world_address(r, VIP4);
	for (uint32_t n = 0; n < LOOKED_AT; n++) {
		const uint64_t hash = hash_with(&r->m->flow_key, n >> 12, 1024 + (n & 0xfff), local);

		places[n] = (struct place){ hash >> 48 << 40 | (hash & mask) << 2 | flow_home(hash, false), n };
	}
	qsort(places, LOOKED_AT, sizeof(*places), compare_places);
	for (uint32_t i = 1; i < LOOKED_AT; i++) {
		uint8_t server[2];

		if (places[i].where != places[i - 1].where)
			continue;
		pairs++;
		for (unsigned k = 0; k < 2; k++) {
			send_from(r, places[i - k].n >> 12, 1024 + (places[i - k].n & 0xfff), SYN, &out);
			server[k] = out.bytes[5];
		}
		for (unsigned k = 0; k < 2; k++) {
			const uint64_t unknown = rig_verdicts(r, VERDICT_NO_FLOW);

			send_from(r, places[i - k].n >> 12, 1024 + (places[i - k].n & 0xfff), ACK, &out);
			assert_int_equal(rig_verdicts(r, VERDICT_NO_FLOW), unknown);
			assert_int_equal(out.bytes[5], server[k]);
		}
	}
	assert_true(pairs > 0);
	rig_catch_up(r);
}

/*
 * Connections come and go in a table in which many stand in another line than their own: none of those that stay is lost by
 * what others leave, and nothing is recorded twice. What a line counts is seen to be exact after each test.
 */
static void none_is_lost_as_others_come_and_go(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	const uint32_t step = r->m->bucket4_count * 3 / 8;
	uint64_t unknown;
	uint32_t from = 0, to = 0;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
	unknown = rig_verdicts(r, VERDICT_NO_FLOW);
	for (unsigned round = 0; round < CHURN_ROUNDS; round++) {
		for (uint32_t n = to; n < to + step; n++) {
			send_from(r, n >> 12, 1024 + (n & 0xfff), SYN, &out);
			send_from(r, n >> 12, 1024 + (n & 0xfff), ACK, &out);
		}
		to += step;
		if (round >= 2) { /* more than a quarter of the places: the oldest third goes, ended and freed as by the agent */
			for (uint32_t b = 0; b < r->m->bucket4_count; b++)
				for (unsigned way = 0; way < FLOW_WAYS; way++) {
					struct flow_view v;

					if (flows_read(r->m, false, b, way, &v) &&
					    ((v.remote.bytes[2] << 8 | v.remote.bytes[3]) << 12 |
					     (v.remote_port - 1024)) < (int)(from + step))
						assert_true(flows_kill(&v));
				}
			rig_sweep(r);
			from += step;
		}
		for (uint32_t n = from; n < to; n++)
			send_from(r, n >> 12, 1024 + (n & 0xfff), ACK, &out);
		assert_int_equal(rig_verdicts(r, VERDICT_NO_FLOW), unknown);
		assert_int_equal(rig_live_flows(r, false), to - from);
		rig_check_tables(r);
	}
	rig_catch_up(r);
}

/* What was measured must hold as well when the table is as large as it gets. */
static void ten_million_connections(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	uint64_t full = rig_verdicts(r, VERDICT_FLOW_TABLE_FULL), unknown = rig_verdicts(r, VERDICT_NO_FLOW);

	assert_int_equal(r->m->bucket4_count, LARGE_BUCKETS);
	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 5 });
	for (uint32_t n = 0; n < LARGE_FLOWS; n++)
		send_from(r, n >> 12, 1024 + (n & 0xfff), SYN, &out);
	assert_int_equal(rig_live_flows(r, false), LARGE_FLOWS);
	/* Each is found again, and nothing is recorded twice. */
	for (uint32_t n = 0; n < LARGE_FLOWS; n++)
		send_from(r, n >> 12, 1024 + (n & 0xfff), ACK, &out);
	assert_int_equal(rig_live_flows(r, false), LARGE_FLOWS);
	assert_int_equal(rig_verdicts(r, VERDICT_FLOW_TABLE_FULL), full);
	assert_int_equal(rig_verdicts(r, VERDICT_NO_FLOW), unknown);
	rig_catch_up(r);
}

static int open_large(void **state)
{
	return rig_open_sized(state, LARGE_BUCKETS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(most_flows_stand_in_their_own_line),
		rig_test(a_flood_takes_no_established_connections_place),
		rig_test(chosen_keys_fill_no_bucket),
		rig_test(two_of_one_fingerprint_in_a_line),
		rig_test(a_line_counts_no_more_flows_than_it_can),
		rig_test(none_is_lost_as_others_come_and_go),
	};
	const struct CMUnitTest large[] = {
		cmocka_unit_test_setup(ten_million_connections, rig_clear),
	};
	int failed = cmocka_run_group_tests_name("table", tests, rig_open, rig_close);

	if (getenv("LONG"))
		failed += cmocka_run_group_tests_name("table, ten million", large, open_large, rig_close);
	return failed;
}
