/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QUIC: a datagram whose destination connection id names a server goes there, from whatever address and port. Which ids
 * count and which don't, and what becomes of those of servers that are drained, down or gone.
 */
#include <string.h>

#include "table/quic.h"
#include "world.h"

enum {
	UDP_SERVICE = 1,   /* of world_lay(): UDP, IPv4; 3 is that of IPv6 */
	PAYLOAD = 60,
	CONFIG = 2,
	SHORT = 0x40, LONG = 0xc0, INITIAL = 0x00, ZERO_RTT = 0x10, HANDSHAKE = 0x20, RETRY = 0x30, /* RFC 9000 */
};

static const uint8_t v1[] = { 0, 0, 0, 1 }, v2[] = { 0x6b, 0x33, 0x43, 0xcf };
static struct outcome o;
static struct frame frame;

static const struct world ways[] = {
	{ .servers = 3, .forward = FORWARD_NAT, .ports = 64 },
	{ .servers = 3, .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .keep_port = true },
	{ .servers = 3, .forward = FORWARD_DSR, .balance = BALANCE_ROUNDROBIN, .keep_port = true },
	{ .servers = 3, .forward = FORWARD_IPIP, .balance = BALANCE_SOURCE, .keep_port = true },
};

/* The server's id: bytes that all depend on which it is. */
static const uint8_t *id_of(uint32_t server, unsigned length)
{
	static uint8_t id[QUIC_SERVER_ID_MAX];

	for (unsigned i = 0; i < length; i++)
		id[i] = (uint8_t)(0x10 * server + i);
	return id;
}

/* Both UDP services are of quic-lb, their servers' ids of this length. */
static void lay(struct rig *r, const struct world *w, unsigned length)
{
	world_lay(r, w);
	for (size_t v6 = 0; v6 < 2; v6++) {
		struct service *s = &r->services.items[UDP_SERVICE + 2 * v6].entry;

		s->flags |= SERVICE_QUIC;
		s->quic_length = (uint8_t)(1 + length);
		quic_mask(length, (uint64_t *)s->quic_mask);
		for (uint32_t i = 1; i <= w->servers; i++) {
			const uint32_t server = i + v6 * w->servers;
			struct services_entry *e = vec_push(&r->entries);

			assert_non_null(e);
			*e = (struct services_entry){ .addr = { .family = AF_INET6 }, .port = s->backend,
						      .kind = ENTRY_QUIC, .service = server, .address = 1 };
			quic_first_bytes(CONFIG, id_of(server, length), length, e->addr.bytes);
		}
	}
	world_publish(r);
}

/* A datagram that begins with these bytes. */
static uint32_t sends(struct rig *r, bool v6, uint16_t sport, const uint8_t *quic, size_t length, unsigned payload)
{
	struct packet p = client_packet(v6, UDP, sport, 0);

	p.payload = (uint16_t)payload;
	frame_build(&p, &frame);
	memcpy(frame.bytes + frame_l4(&frame) + UDP_SIZE, quic, length < payload ? length : payload);
	frame_sum(&frame);
	rig_run(r, &frame, 0, &o);
	return o.server;
}

/* What is not compared: of the first octet, and the nonce. */
static size_t connection_id(uint8_t *to, unsigned config, uint32_t server, unsigned length)
{
	to[0] = (uint8_t)(config << 5 | 0x13);
	memcpy(to + 1, id_of(server, length), length);
	memset(to + 1 + length, 0xa5, 4);
	return 1 + length + 4;
}

/* A packet with a short header: flags, then the connection id. */
static uint32_t short_header(struct rig *r, bool v6, uint16_t sport, uint32_t server, unsigned length)
{
	uint8_t quic[64] = { SHORT | 0x13 };
	const size_t size = connection_id(quic + 1, CONFIG, server, length);

	return sends(r, v6, sport, quic, 1 + size, PAYLOAD);
}

static uint32_t long_header(struct rig *r, uint16_t sport, uint8_t type, const uint8_t version[4], uint32_t server)
{
	uint8_t quic[64] = { LONG | type };

	memcpy(quic + 1, version, 4);
	quic[5] = (uint8_t)connection_id(quic + 6, CONFIG, server, 8);
	return sends(r, false, sport, quic, 6 + quic[5], PAYLOAD);
}

static const char *const way_names[] = { "nat", "dsr, maglev", "dsr, roundrobin", "ipip, source" };

static void expect_server(size_t way, const char *what, uint32_t got, uint32_t wanted)
{
	if (got != wanted || !verdict_sends(o.verdict))
		fail_msg("%s: %s went to %u (%s), not to %u", way_names[way], what, got, verdict_name(o.verdict), wanted);
}

static void the_id_names_the_server_from_any_port(void **state)
{
	struct rig *r = *state;

	for (size_t way = 0; way < array_size(ways); way++) {
		rig_clear(state);
		lay(r, &ways[way], 8);
		for (uint16_t sport = 40000; sport < 40040; sport++)
			for (int v6 = 0; v6 < 2; v6++) {
				const uint32_t server = 1 + sport % 3 + (v6 ? 3 : 0);

				expect_server(way, "a short header", short_header(r, v6, sport, server, 8), server);
			}
	}
}

static void each_length_up_to_the_limit(void **state)
{
	struct rig *r = *state;

	for (unsigned length = 1; length <= QUIC_SERVER_ID_MAX; length++) {
		rig_clear(state);
		lay(r, &ways[1], length);
		for (uint16_t sport = 40000; sport < 40009; sport++)
			expect_server(1, "a short header", short_header(r, false, sport, 1 + sport % 3, length), 1 + sport % 3);
	}
}

/* The server that the tuple gives: that of a datagram that is no QUIC at all. */
static uint32_t by_tuple(struct rig *r, uint16_t sport)
{
	static const uint8_t none[] = { 0 };

	return sends(r, false, sport, none, 1, 8);
}

/* A source port whose datagrams the tuple leads to another server than this one. */
static uint16_t port_of_others(struct rig *r, uint32_t server)
{
	for (uint16_t sport = 50000; sport < 50100; sport++)
		if (by_tuple(r, sport) != server)
			return sport;
	fail_msg("every port leads to server %u", server);
	return 0;
}

static void only_a_handshake_of_the_long_headers(void **state)
{
	struct rig *r = *state;
	static const uint8_t unknown[] = { 0x1a, 0x2a, 0x3a, 0x4a }, negotiation[] = { 0, 0, 0, 0 };
	uint32_t tuple;
	uint16_t sport;

	lay(r, &ways[1], 8);
	sport = port_of_others(r, 1);
	tuple = by_tuple(r, sport);
	expect_server(1, "Handshake", long_header(r, sport, HANDSHAKE, v1, 1), 1);
	expect_server(1, "Initial", long_header(r, sport, INITIAL, v1, 1), tuple);
	expect_server(1, "0-RTT", long_header(r, sport, ZERO_RTT, v1, 1), tuple);
	expect_server(1, "Retry", long_header(r, sport, RETRY, v1, 1), tuple);
	/* Version 2 numbers them anew (RFC 9369). */
	expect_server(1, "Handshake of v2", long_header(r, sport, 0x30, v2, 1), 1);
	expect_server(1, "Initial of v2", long_header(r, sport, 0x10, v2, 1), tuple);
	expect_server(1, "0-RTT of v2", long_header(r, sport, 0x20, v2, 1), tuple);
	expect_server(1, "Retry of v2", long_header(r, sport, 0x00, v2, 1), tuple);
	expect_server(1, "of a version that nobody knows", long_header(r, sport, HANDSHAKE, unknown, 1), tuple);
	expect_server(1, "of version 0", long_header(r, sport, HANDSHAKE, negotiation, 1), tuple);
}

static void what_names_nobody_goes_by_the_tuple(void **state)
{
	struct rig *r = *state;
	uint8_t quic[64] = { SHORT };
	uint32_t tuple;
	uint16_t sport;
	size_t size;

	lay(r, &ways[1], 8);
	sport = port_of_others(r, 1);
	tuple = by_tuple(r, sport);
	for (unsigned config = 0; config < 8; config++) {
		size = 1 + connection_id(quic + 1, config, 1, 8);
		expect_server(1, config == 7 ? "rotation 7, which names nobody" : "another rotation",
			      sends(r, false, sport, quic, size, PAYLOAD), config == CONFIG ? 1 : tuple);
	}
	size = 1 + connection_id(quic + 1, CONFIG, 1, 8);
	for (size_t i = 0; i < 8; i++) {
		quic[2 + i] ^= 0x80;
		expect_server(1, "an id that no server has", sends(r, false, sport, quic, size, PAYLOAD), tuple);
		quic[2 + i] ^= 0x80;
	}
	/* 16 bytes behind the flags are the least that is looked at. */
	expect_server(1, "just long enough", sends(r, false, sport, quic, size, 17), 1);
	expect_server(1, "too short", sends(r, false, sport, quic, size, 16), tuple);
	expect_server(1, "one byte", sends(r, false, sport, quic, size, 1), tuple);
	expect_server(1, "nothing", sends(r, false, sport, quic, size, 0), tuple);
}

static void a_handshake_that_is_too_short(void **state)
{
	struct rig *r = *state;
	uint8_t quic[64] = { LONG | HANDSHAKE, 0, 0, 0, 1, 9 };
	uint32_t tuple;
	uint16_t sport;

	lay(r, &ways[1], 8);
	sport = port_of_others(r, 1);
	tuple = by_tuple(r, sport);
	connection_id(quic + 6, CONFIG, 1, 8);
	expect_server(1, "the shortest id that holds a server's", sends(r, false, sport, quic, 32, PAYLOAD), 1);
	expect_server(1, "the shortest datagram", sends(r, false, sport, quic, 32, 22), 1);
	expect_server(1, "a shorter datagram", sends(r, false, sport, quic, 32, 21), tuple);
	quic[5] = 8;
	expect_server(1, "an id without room for it", sends(r, false, sport, quic, 32, PAYLOAD), tuple);
}

/* UDP says how long the datagram is: Ethernet's padding is none of it. */
static void padding_is_no_id(void **state)
{
	struct rig *r = *state;
	struct packet p;
	uint8_t quic[64] = { SHORT };
	uint32_t tuple;

	lay(r, &ways[1], 1);
	p = client_packet(false, UDP, port_of_others(r, 1), 0);
	tuple = by_tuple(r, p.sport);
	p.payload = 16;
	p.padding = 20;
	frame_build(&p, &frame);
	connection_id(quic + 1, CONFIG, 1, 1);
	memcpy(frame.bytes + frame_l4(&frame) + UDP_SIZE, quic, 16);
	frame_sum(&frame);
	rig_run(r, &frame, 0, &o);
	expect_server(1, "a short datagram with padding", o.server, tuple);
}

static void other_backends_and_tcp_have_none(void **state)
{
	struct rig *r = *state;
	struct packet tcp;
	uint8_t quic[64] = { SHORT };
	uint32_t tuple;

	lay(r, &ways[1], 8);
	connection_id(quic + 1, CONFIG, 1, 8);
	for (uint16_t sport = 40000; sport < 40020; sport++) {
		tcp = client_packet(false, TCP, sport, ACK);
		frame_build(&tcp, &frame);
		rig_run(r, &frame, 0, &o);
		tuple = o.server;
		tcp.payload = PAYLOAD;
		frame_build(&tcp, &frame);
		memcpy(frame.bytes + frame_l4(&frame) + UDP_SIZE, quic, PAYLOAD);
		frame_sum(&frame);
		rig_run(r, &frame, 0, &o);
		if (o.verdict != VERDICT_MALFORMED)
			expect_server(1, "TCP", o.server, tuple);
	}
	/* The ids of IPv6's backend. */
	for (uint16_t sport = 40000; sport < 40020; sport++)
		expect_server(1, "another backend's id", short_header(r, false, sport, 4, 8), by_tuple(r, sport));
	/* Not written in its backend. */
	r->services.items[UDP_SERVICE].entry.flags &= (uint8_t)~SERVICE_QUIC;
	world_publish(r);
	expect_server(1, "without quic-lb", short_header(r, false, port_of_others(r, 1), 1, 8), by_tuple(r, port_of_others(r, 1)));
}

static void drained_keeps_what_it_has(void **state)
{
	struct rig *r = *state;

	for (size_t way = 0; way < array_size(ways); way++) {
		rig_clear(state);
		lay(r, &ways[way], 8);
		expect_server(way, "before", short_header(r, false, 40000, 2, 8), 2);
		world_server_down(r, 2); /* takes nothing new: as a drain does */
		for (uint16_t sport = 40000; sport < 40010; sport++)
			expect_server(way, "a drained server's", short_header(r, false, sport, 2, 8), 2);
	}
}

static void down_and_removed_get_nothing(void **state)
{
	struct rig *r = *state;

	for (size_t way = 0; way < array_size(ways); way++)
		for (int removed = 0; removed < 2; removed++) {
			rig_clear(state);
			lay(r, &ways[way], 8);
			expect_server(way, "before", short_header(r, false, 40000, 2, 8), 2);
			if (removed) {
				for (size_t i = 0; i < r->entries.count; i++)
					if (r->entries.items[i].kind == ENTRY_QUIC && r->entries.items[i].service == 2)
						r->entries.items[i] = r->entries.items[--r->entries.count];
				world_server_remove(r, 2);
			} else {
				world_server_down(r, 2);
				world_set_flags(r, 2, SERVER_DOWN, 0);
			}
			for (uint16_t sport = 40000; sport < 40010; sport++) {
				short_header(r, false, sport, 2, 8);
				assert_true(verdict_sends(o.verdict));
				assert_int_not_equal(o.server, 2);
			}
		}
}

/* Where flows are recorded: the new address and port get a record of their own, and answers find the way back. */
static void a_new_path_is_recorded(void **state)
{
	struct rig *r = *state;
	struct packet before = client_packet(false, UDP, 40000, 0), after = client_packet(false, UDP, 40001, 0), sent, answer;
	unsigned port;

	lay(r, &ways[0], 8);
	expect_server(0, "first", short_header(r, false, 40000, 2, 8), 2);
	expect_server(0, "from another port", short_header(r, false, 40001, 2, 8), 2);
	assert_int_equal(FLOW_SERVER(rig_flow(r, &before).value), 2);
	assert_int_equal(FLOW_SERVER(rig_flow(r, &after).value), 2);
	port = own_port(r, &after, 2);
	assert_int_not_equal(port, own_port(r, &before, 2));
	sent = towards_server(&after, r, 2, port);
	answer = server_answer(&sent, 0);
	expect(r, "an answer", answer, NAT_REPLY, .out = towards_client(&answer, &after), .server = 2);
}

/* Its address and port belonged to another connection a while ago. */
static void the_id_beats_an_old_record(void **state)
{
	struct rig *r = *state;
	const struct packet p = client_packet(false, UDP, 40000, 0);

	for (size_t way = 0; way < array_size(ways); way += 2) {
		rig_clear(state);
		lay(r, &ways[way], 8);
		expect_server(way, "one connection", short_header(r, false, 40000, 1, 8), 1);
		expect_server(way, "another one", short_header(r, false, 40000, 2, 8), 2);
		assert_int_equal(FLOW_SERVER(rig_flow(r, &p).value), 2);
		assert_int_equal(rig_live_flows(r, false), way == 0 ? 2 : 1);
		/* What names nobody follows the record. */
		expect_server(way, "an Initial", long_header(r, 40000, INITIAL, v1, 3), 2);
		assert_int_equal(o.traffic.connections, 0);
		expect_server(way, "again", short_header(r, false, 40000, 2, 8), 2);
		assert_int_equal(o.traffic.connections, 0);
	}
}

static void a_hashed_service_remembers_nothing(void **state)
{
	struct rig *r = *state;

	lay(r, &ways[1], 8);
	for (uint16_t sport = 40000; sport < 40020; sport++)
		short_header(r, false, sport, 1, 8);
	assert_int_equal(rig_live_flows(r, false), 0);
}

/* A client that may not open connections gets none by an id either. */
static void an_id_opens_no_door(void **state)
{
	struct rig *r = *state;

	for (size_t way = 0; way < 2; way++) {
		rig_clear(state);
		lay(r, &ways[way], 8);
		r->m->access4[0] = 0; /* everybody */
		r->services.items[UDP_SERVICE].entry.access = 1;
		r->services.items[UDP_SERVICE].entry.flags |= SERVICE_ACCESS;
		world_publish(r);
		short_header(r, false, 40000, 1, 8);
		assert_int_equal(o.verdict, VERDICT_ACCESS_DENIED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(the_id_names_the_server_from_any_port), rig_test(each_length_up_to_the_limit),
		rig_test(only_a_handshake_of_the_long_headers), rig_test(what_names_nobody_goes_by_the_tuple),
		rig_test(a_handshake_that_is_too_short), rig_test(padding_is_no_id),
		rig_test(other_backends_and_tcp_have_none), rig_test(drained_keeps_what_it_has),
		rig_test(down_and_removed_get_nothing), rig_test(a_new_path_is_recorded),
		rig_test(the_id_beats_an_old_record), rig_test(a_hashed_service_remembers_nothing),
		rig_test(an_id_opens_no_door),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
