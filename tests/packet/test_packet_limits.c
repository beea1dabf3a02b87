/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens when something runs out: own ports, half-open connections, room in the flow table, a lock. Each at the
 * limit and one above, and that nothing of the refused connection stays behind.
 */
#include <arpa/inet.h>
#include <string.h>

#include <alwayson/hash.h>

#include "world.h"

static void ports_are_dealt_in_order(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 16 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned n = 0; n < 16; n++)
			handshake(r, v6, 40000 + n, v6 ? 2 : 1, n);
}

static void ports_exhausted(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 5 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet syn = client_packet(v6, TCP, 41000, SYN);

		for (unsigned n = 0; n < 5; n++)
			handshake(r, v6, 40000 + n, server, n);
		expect(r, "one above", syn, PORTS_EXHAUSTED, .refused = 1);
		assert_false(rig_has_flow(r, &syn));
		/* The others go on. */
		client_sends(r, v6, 40003, ACK, server, 3);
		/* The same port towards the same server, but of the other protocol, is another's. */
		syn = client_packet(v6, UDP, 41000, 0);
		expect(r, "UDP has its own", syn, NAT_REQUEST,
		       .out = towards_server(&syn, r, server, own_port(r, &syn, server)), .connections = 1);
	}
}

/* Each server has its own ports, though they bear the same numbers. */
static void exhausted_towards_one_server_only(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2, .ports = 1 });
	handshake(r, false, 40000, 1, 0);
	handshake(r, false, 40001, 2, 0);
	expect(r, "the first is exhausted", client_packet(false, TCP, 40002, SYN), PORTS_EXHAUSTED, .refused = 1);
}

static void no_pool_at_all(void **state)
{
	struct rig *r = *state;
	uint32_t id = world_server(r, &(struct world_server){ .addr = "10.0.0.1", .port = 8080 });

	world_service(r, &(struct world_service){ .addr = VIP4, .port = 80, .protocol = TCP }, &id, 1);
	world_publish(r);
	expect(r, "no own ports", client_packet(false, TCP, 40000, SYN), PORTS_EXHAUSTED, .refused = 1);
}

static void half_open_limit(void **state)
{
	static const struct {
		unsigned ports, limit;
	} cases[] = { { 1, 1 }, { 2, 1 }, { 5, 3 }, { 16, 8 } };
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(cases); i++) {
		rig_clear(state);
		world_lay(r, &(struct world){ .servers = 1, .ports = cases[i].ports });
		for (int v6 = 0; v6 < 2; v6++) {
			const uint32_t server = v6 ? 2 : 1;
			struct packet syn = client_packet(v6, TCP, 41000, SYN);

			for (unsigned n = 0; n < cases[i].limit; n++) {
				struct packet p = client_packet(v6, TCP, 40000 + n, SYN);

				expect(r, "up to the limit", p, NAT_REQUEST, .connections = 1,
				       .out = towards_server(&p, r, server, n));
			}
			assert_int_equal(r->m->use[server].half_open, cases[i].limit);
			expect(r, "one above", syn, HALF_OPEN_LIMIT, .refused = 1);
			assert_int_equal(r->m->use[server].half_open, cases[i].limit);
			if (cases[i].ports == 1)
				continue;
			/* One proves itself: there is room for one. */
			client_sends(r, v6, 40000, ACK, server, 0);
			expect(r, "one is proven", syn, NAT_REQUEST, .connections = 1,
			       .out = towards_server(&syn, r, server, cases[i].limit));
			syn.sport++;
			expect(r, "one above", syn, HALF_OPEN_LIMIT, .refused = 1);
		}
	}
}

static void close_both(struct rig *r, bool v6, uint16_t sport, uint32_t server, unsigned port)
{
	client_sends(r, v6, sport, FIN | ACK, server, port);
	server_sends(r, v6, sport, FIN | ACK, server, port);
}

/* All ports taken: that of a closed connection is used again, oldest first, and counted; its old records are gone. */
static void a_closed_ports_early_reuse(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 4 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet old = client_packet(v6, TCP, 40001, ACK);
		struct packet syn = client_packet(v6, TCP, 41000, SYN);

		for (unsigned n = 0; n < 4; n++)
			handshake(r, v6, 40000 + n, server, n);
		close_both(r, v6, 40002, server, 2);
		close_both(r, v6, 40001, server, 1);
		expect(r, "the older of the two ports", syn, NAT_REQUEST, .out = towards_server(&syn, r, server, 1),
		       .connections = 1, .early_reuse = 1);
		assert_false(rig_has_flow(r, &old));
		server_sends(r, v6, 41000, SYN | ACK, server, 1);
		client_sends(r, v6, 41000, ACK, server, 1);
		syn.sport++;
		expect(r, "then the other", syn, NAT_REQUEST, .out = towards_server(&syn, r, server, 2),
		       .connections = 1, .early_reuse = 1);
		client_sends(r, v6, 41001, ACK, server, 2);
		syn.sport++;
		expect(r, "then there is none", syn, PORTS_EXHAUSTED, .refused = 1);
		/* The old client comes back: a new connection, for which there is no port. */
		old.flags = SYN;
		expect(r, "the one that was closed", old, PORTS_EXHAUSTED, .refused = 1);
	}
}

/* Reset by either side is closed as well. */
static void a_reset_ports_early_reuse(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 2 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet syn = client_packet(v6, TCP, 41000, SYN);

		handshake(r, v6, 40000, server, 0);
		handshake(r, v6, 40001, server, 1);
		server_sends(r, v6, 40001, RST, server, 1);
		expect(r, "reset by the server", syn, NAT_REQUEST, .out = towards_server(&syn, r, server, 1),
		       .connections = 1, .early_reuse = 1);
		client_sends(r, v6, 41000, ACK, server, 1);
		client_sends(r, v6, 40000, RST, server, 0);
		syn.sport++;
		expect(r, "reset by the client", syn, NAT_REQUEST, .out = towards_server(&syn, r, server, 0),
		       .connections = 1, .early_reuse = 1);
	}
}

static void a_live_port_is_never_used_again(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 2 });
	handshake(r, false, 40000, 1, 0);
	handshake(r, false, 40001, 1, 1);
	client_sends(r, false, 40000, FIN | ACK, 1, 0);
	server_sends(r, false, 40001, FIN | ACK, 1, 1);
	/* Half-closed, one from each side: both still carry data. */
	expect(r, "no port", client_packet(false, TCP, 41000, SYN), PORTS_EXHAUSTED, .refused = 1);
	server_sends(r, false, 40000, ACK, 1, 0);
	client_sends(r, false, 40001, ACK, 1, 1);
}

/* A connection reset while half-open: its port's reuse takes it off the count. */
static void early_reuse_of_a_refused_connection(void **state)
{
	struct rig *r = *state;
	struct packet syn = client_packet(false, TCP, 40000, SYN);

	world_lay(r, &(struct world){ .servers = 1, .ports = 2 });
	*world_port_cursor(r, 1) = 1;
	handshake(r, false, 40009, 1, 1);
	expect(r, "SYN", syn, NAT_REQUEST, .out = towards_server(&syn, r, 1, 0), .connections = 1);
	server_sends(r, false, 40000, RST | ACK, 1, 0);
	/* One half-open is this pool's limit: the client's next SYN reopens its own record. */
	expect(r, "the same client again", syn, NAT_REQUEST, .out = towards_server(&syn, r, 1, 0), .connections = 1);
	assert_int_equal(r->m->use[1].half_open, 1);
}

/* Fills the tables with live and proven entries of nobody. */
static void fill_tables(struct rig *r)
{
	for (int v6 = 0; v6 < 2; v6++)
		for (uint32_t b = 0; b < flows_buckets(r->m, v6); b++)
			for (unsigned way = 0; way < FLOW_WAYS; way++)
				if (!*flows_tag(r->m, v6, b, way))
					*flows_tag(r->m, v6, b, way) = FLOW_TAG(0, FLOW_LIVE | FLOW_PROVEN, 0,
										RIG_SERVERS - 1, 0);
}

/* What fill_tables() put there, and what the test made dead, is taken away again. */
static void empty_tables(struct rig *r)
{
	for (int v6 = 0; v6 < 2; v6++)
		for (uint32_t b = 0; b < flows_buckets(r->m, v6); b++)
			for (unsigned way = 0; way < FLOW_WAYS; way++) {
				uint64_t *tag = flows_tag(r->m, v6, b, way);

				if (FLOW_SERVER(*tag) == RIG_SERVERS - 1)
					*tag = 0; /* no line counts it */
				else if ((FLOW_STATE(*tag) & FLOW_LIFE) == FLOW_DEAD)
					flows_free(r->m, tag);
			}
}

static void a_full_table_refuses_what_must_be_remembered(void **state)
{
	struct rig *r = *state;

	for (int forward = FORWARD_NAT; forward <= FORWARD_DSR; forward++) {
		rig_clear(state);
		world_lay(r, &(struct world){ .forward = forward, .servers = 2 });
		fill_tables(r);
		for (int v6 = 0; v6 < 2; v6++) {
			expect(r, "TCP", client_packet(v6, TCP, 40000, SYN), FLOW_TABLE_FULL, .refused = 1);
			expect(r, "UDP", client_packet(v6, UDP, 40000, 0), FLOW_TABLE_FULL, .refused = 1);
		}
		empty_tables(r);
		assert_int_equal(rig_live_flows(r, false) + rig_live_flows(r, true), 0);
	}
}

/* The hash and the buckets of a key, as bpf/flow.h has them. */
static uint64_t hash_of(const struct rig *r, const char *remote, uint16_t rport, uint16_t local, uint16_t lport,
			uint8_t kind)
{
	const uint64_t ports = (uint64_t)htons(rport) | (uint64_t)htons(lport) << 16;
	const uint64_t tail = (uint64_t)local | (uint64_t)kind << 16;
	struct addr a;
	uint64_t words[2];

	addr_parse(remote, &a);
	memcpy(words, a.bytes, 16);
	if (a.family == AF_INET6)
		return hash_3(&r->m->flow_key, words[0], words[1], ports | tail << 32);
	return hash_2(&r->m->flow_key, words[0] | ports << 32, tail);
}

static void free_one(struct rig *r, bool v6, uint64_t hash)
{
	*flows_tag(r->m, v6, hash & (RIG_BUCKETS - 1), 0) = 0;
}

/* The reply finds room, the request does not: the reply is taken back. */
static void room_for_half_a_connection(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const char *server = v6 ? "fd00::2" : "10.0.0.1";
		struct packet syn = client_packet(v6, TCP, 40000, SYN);
		uint64_t reply = hash_of(r, server, 8080, world_address(r, v6 ? OWN6 : OWN4), PORT_LOW,
					 FLOW_REPLY | TCP);

		fill_tables(r);
		free_one(r, v6, reply);
		expect(r, "half a connection", syn, FLOW_TABLE_FULL, .refused = 1);
		assert_int_equal(FLOW_STATE(*flows_tag(r->m, v6, reply & (RIG_BUCKETS - 1), 0)) & FLOW_LIFE,
				 FLOW_DEAD);
		empty_tables(r);
		/* With room, it is as if nothing had been: but for the port, which was dealt. */
		handshake(r, v6, 40000, v6 ? 2 : 1, 1);
	}
}

/* Either of a key's two buckets is used, and what stands in any of their eight places is found. */
static void every_place_of_both_buckets(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned place = 0; place < 2 * FLOW_WAYS; place++) {
			struct packet syn = client_packet(v6, TCP, 40000 + place, SYN), sent = syn;
			const uint64_t hash = hash_of(r, syn.from, syn.sport, world_address(r, syn.to), 80, TCP);
			const uint32_t mask = RIG_BUCKETS - 1;
			const uint32_t first = hash & mask;
			const uint32_t bucket = place < FLOW_WAYS ? first : flow_second(hash, first, mask);
			uint64_t *tag;

			tag = flows_tag(r->m, v6, bucket, place % FLOW_WAYS);
			fill_tables(r);
			*tag = 0;
			sent.l2_from = L2_LB;
			sent.l2_to = L2_SERVER + (v6 ? 2 : 1);
			sent.ttl = 63;
			expect(r, "SYN", syn, DSR, .out = sent, .connections = 1);
			assert_int_equal(FLOW_STATE(*tag), FLOW_LIVE | FLOW_OPENED);
			assert_int_equal(FLOW_FINGERPRINT(*tag), hash >> 48);
			expect(r, "SYN again", syn, DSR, .out = sent);
			empty_tables(r);
		}
}

static uint64_t *lock_of(struct rig *r, uint64_t hash)
{
	return &r->locks[hash >> 16 & (LOCK_COUNT - 1)];
}

static void a_lock_held_too_long(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const char *server = v6 ? "fd00::2" : "10.0.0.1";
		struct packet syn = client_packet(v6, TCP, 40000, SYN);
		uint64_t request = hash_of(r, syn.from, syn.sport, world_address(r, syn.to), 80, TCP);
		uint64_t *lock = lock_of(r, request);

		*lock = 1;
		expect(r, "the request's lock is held", syn, LOCK_BUSY, .refused = 1);
		assert_int_equal(rig_live_flows(r, v6), 0);
		assert_int_equal(*lock, 1);
		*lock = 0;
		lock = lock_of(r, hash_of(r, server, 8080, world_address(r, v6 ? OWN6 : OWN4), PORT_LOW + 1,
					  FLOW_REPLY | TCP));
		*lock = 1;
		expect(r, "the reply's lock is held", syn, LOCK_BUSY, .refused = 1);
		assert_int_equal(rig_live_flows(r, v6), 0);
		*lock = 0;
		handshake(r, v6, 40000, v6 ? 2 : 1, 2);
		/* What is established needs no lock. */
		memset(r->locks, 1, LOCK_COUNT * sizeof(*r->locks));
		client_sends(r, v6, 40000, ACK, v6 ? 2 : 1, 2);
		server_sends(r, v6, 40000, ACK, v6 ? 2 : 1, 2);
		memset(r->locks, 0, LOCK_COUNT * sizeof(*r->locks));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(ports_are_dealt_in_order),
		rig_test(ports_exhausted),
		rig_test(exhausted_towards_one_server_only),
		rig_test(no_pool_at_all),
		rig_test(half_open_limit),
		rig_test(a_closed_ports_early_reuse),
		rig_test(a_reset_ports_early_reuse),
		rig_test(a_live_port_is_never_used_again),
		rig_test(early_reuse_of_a_refused_connection),
		rig_test(a_full_table_refuses_what_must_be_remembered),
		rig_test(room_for_half_a_connection),
		rig_test(every_place_of_both_buckets),
		rig_test(a_lock_held_too_long),
	};

	return cmocka_run_group_tests_name("limits", tests, rig_open, rig_close);
}
