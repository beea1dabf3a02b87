/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which server a new connection gets: round robin in exactly the order of the slots, maglev and source at exactly the
 * slot that the shared hash names, nobody when nobody is up.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <alwayson/hash.h>

#include "world.h"

/* What the agent and `explain` compute for a packet. */
static uint32_t computed(const struct rig *r, uint32_t service, const struct packet *p)
{
	const struct hash_key key = world_key(r, service);
	const bool source = r->services.items[service].entry.balance == BALANCE_SOURCE;
	struct addr from, to;
	__u64 f[2], t[2];
	uint64_t hash;

	addr_parse(p->from, &from);
	addr_parse(p->to, &to);
	memcpy(f, from.bytes, 16);
	memcpy(t, to.bytes, 16);
	if (packet_is_v6(p))
		hash = source ? hash_source6(&key, f) :
				hash_tuple6(&key, f, t, htons(p->sport), htons(p->dport), p->protocol);
	else
		hash = source ? hash_source4(&key, f[0]) :
				hash_tuple4(&key, f[0], t[0], htons(p->sport), htons(p->dport), p->protocol);
	return world_slot(r, service, hash_slot(hash, world_slot_count(r, service)));
}

/* The server that the packet went to. A new connection, but for UDP that a hash alone steers: that has none. */
static uint32_t chosen(struct rig *r, const struct packet *p)
{
	static struct outcome o;
	static struct frame in;

	frame_build(p, &in);
	rig_run(r, &in, 0, &o);
	if (o.verdict != VERDICT_NAT_REQUEST && o.verdict != VERDICT_DSR)
		fail_msg("verdict %s", verdict_name(o.verdict));
	assert_int_equal(o.traffic.connections, p->protocol == TCP || rig_has_flow(r, p));
	/* Who it was counted for is who it was sent to. */
	assert_int_equal(o.out.bytes[5], L2_SERVER + o.server);
	return o.server;
}

static uint32_t service_of(bool v6, uint8_t protocol)
{
	return (v6 ? 2 : 0) + (protocol == UDP);
}

static void roundrobin_deals_in_slot_order(void **state)
{
	struct rig *r = *state;
	const uint8_t protocols[] = { TCP, UDP };

	for (int forward = FORWARD_NAT; forward <= FORWARD_DSR; forward++) {
		rig_clear(state);
		world_lay(r, &(struct world){ .forward = forward, .servers = 3, .ports = 64 });
		for (int v6 = 0; v6 < 2; v6++)
			for (size_t i = 0; i < array_size(protocols); i++) {
				const uint32_t service = service_of(v6, protocols[i]);

				assert_int_equal(world_slot_count(r, service), 3);
				for (unsigned n = 0; n < 12; n++) {
					struct packet p = client_packet(v6, protocols[i], 40000 + n, SYN);

					assert_int_equal(chosen(r, &p), world_slot(r, service, n % 3));
				}
			}
	}
}

static void roundrobin_follows_weights(void **state)
{
	struct rig *r = *state;
	const uint32_t weights[] = { 3, 1, 2 };
	unsigned times[4] = {};
	uint32_t ids[3];

	for (unsigned i = 0; i < 3; i++) {
		static const char *const addrs[] = { "10.0.0.1", "10.0.0.2", "10.0.0.3" };

		ids[i] = world_server(r, &(struct world_server){ .addr = addrs[i], .port = 8080,
								  .weight = weights[i], .ports = 64, .own = OWN4 });
	}
	world_service(r, &(struct world_service){ .addr = VIP4, .port = 80, .protocol = TCP }, ids, 3);
	world_own(r, OWN4);
	world_publish(r);
	assert_int_equal(world_slot_count(r, 0), 6);
	for (unsigned n = 0; n < 60; n++) {
		struct packet p = client_packet(false, TCP, 40000 + n, SYN);
		const uint32_t server = chosen(r, &p);

		assert_int_equal(server, world_slot(r, 0, n % 6));
		times[server]++;
	}
	assert_int_equal(times[1], 30);
	assert_int_equal(times[2], 10);
	assert_int_equal(times[3], 20);
}

/* The counter of a backend goes on for ever; past 2^32 it still deals in turn. */
static void roundrobin_counts_far(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 3 });
	r->cursors[0].next = (1ULL << 32) - 2;
	for (unsigned n = 0; n < 4; n++) {
		struct packet p = client_packet(false, TCP, 40000 + n, SYN);

		assert_int_equal(chosen(r, &p), world_slot(r, 0, ((1ULL << 32) - 2 + n) % 3));
	}
}

static void hashes_as_computed(void **state, enum abi_balance balance)
{
	struct rig *r = *state;
	const uint8_t protocols[] = { TCP, UDP };

	for (int forward = FORWARD_NAT; forward <= FORWARD_DSR; forward++) {
		rig_clear(state);
		world_lay(r, &(struct world){ .forward = forward, .balance = balance, .servers = 7, .ports = 512 });
		for (int v6 = 0; v6 < 2; v6++)
			for (size_t i = 0; i < array_size(protocols); i++)
				for (unsigned n = 0; n < 100; n++) {
					struct packet p = client_packet(v6, protocols[i], 1024 + 641 * n, SYN);
					char from[ADDR_TEXT_MAX];

					snprintf(from, sizeof(from), v6 ? "2001:db8:c::%x" : "198.51.100.%u", n + 1);
					p.from = from;
					assert_int_equal(chosen(r, &p), computed(r, service_of(v6, protocols[i]), &p));
				}
	}
}

static void maglev_is_where_it_is_computed(void **state)
{
	hashes_as_computed(state, BALANCE_MAGLEV);
}

static void source_is_where_it_is_computed(void **state)
{
	hashes_as_computed(state, BALANCE_SOURCE);
}

static void source_stays_with_its_server(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .balance = BALANCE_SOURCE, .servers = 7, .ports = 64 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, SYN);
		const uint32_t server = chosen(r, &p);

		for (p.sport = 40001; p.sport < 40020; p.sport++)
			assert_int_equal(chosen(r, &p), server);
	}
}

static void a_down_server_gets_nothing_new(void **state)
{
	struct rig *r = *state;

	for (int balance = BALANCE_ROUNDROBIN; balance <= BALANCE_SOURCE; balance++) {
		unsigned times[4] = {};

		rig_clear(state);
		world_lay(r, &(struct world){ .balance = balance, .servers = 3, .ports = 256 });
		world_server_down(r, 2);
		for (unsigned n = 0; n < 100; n++) {
			struct packet p = client_packet(false, TCP, 40000 + n, SYN);
			char from[ADDR_TEXT_MAX];

			snprintf(from, sizeof(from), "198.51.100.%u", n + 1);
			p.from = from;
			times[chosen(r, &p)]++;
		}
		assert_int_equal(times[2], 0);
		assert_true(times[1] > 20 && times[3] > 20);
	}
}

static void nobody_up(void **state)
{
	struct rig *r = *state;

	for (int balance = BALANCE_ROUNDROBIN; balance <= BALANCE_SOURCE; balance++) {
		rig_clear(state);
		world_lay(r, &(struct world){ .balance = balance, .all_down = ALL_DOWN_DROP, .servers = 2 });
		world_server_down(r, 1);
		world_server_down(r, 2);
		expect(r, "TCP", client_packet(false, TCP, 40000, SYN), NO_SERVER, .refused = 1);
		expect(r, "UDP", client_packet(false, UDP, 40000, 0), NO_SERVER, .refused = 1);
		rig_clear(state);
		world_lay(r, &(struct world){ .balance = balance, .all_down = ALL_DOWN_DROP });
		expect(r, "a backend without servers", client_packet(true, TCP, 40000, SYN), NO_SERVER, .refused = 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(roundrobin_deals_in_slot_order),
		rig_test(roundrobin_follows_weights),
		rig_test(roundrobin_counts_far),
		rig_test(maglev_is_where_it_is_computed),
		rig_test(source_is_where_it_is_computed),
		rig_test(source_stays_with_its_server),
		rig_test(a_down_server_gets_nothing_new),
		rig_test(nobody_up),
	};

	return cmocka_run_group_tests_name("select", tests, rig_open, rig_close);
}
