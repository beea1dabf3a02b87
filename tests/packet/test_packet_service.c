/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service table: every key that the agent placed is found, no other is, wherever it stands and however full the
 * table; a flip shows the new half and nothing of the old.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

static struct frame frame;
static struct outcome outcome;

/* Services without servers that drop: the counter of refusals tells which one was found. */
static uint32_t add(struct rig *r, const char *addr, uint16_t port, uint8_t protocol)
{
	return world_service(r, &(struct world_service){ .addr = addr, .port = port, .protocol = protocol,
							 .all_down = ALL_DOWN_DROP }, NULL, 0);
}

static struct packet to(const char *addr, uint16_t port, uint8_t protocol)
{
	const bool v6 = strchr(addr, ':');
	struct packet p = client_packet(v6, protocol, 40000, SYN);

	p.to = addr;
	p.dport = port;
	return p;
}

/* Id of the service that the program finds, -1 for none. */
static int found(struct rig *r, const struct packet *p)
{
	frame_build(p, &frame);
	rig_run(r, &frame, 0, &outcome);
	if (outcome.verdict == VERDICT_NO_SERVICE)
		return -1;
	assert_int_equal(outcome.verdict, VERDICT_NO_SERVER);
	assert_int_equal(outcome.traffic.refused, 1);
	return outcome.service;
}

static int find(struct rig *r, const char *addr, uint16_t port, uint8_t protocol)
{
	const struct packet p = to(addr, port, protocol);

	return found(r, &p);
}

static void every_part_of_the_key_counts(void **state)
{
	struct rig *r = *state;
	const char *const addrs[] = { "192.0.2.10", "192.0.2.11", "2001:db8::10", "2001:db8:0:1::10", "2001:db9::10" };
	const uint16_t ports[] = { 80, 443, 0x5000 };
	const uint8_t protocols[] = { TCP, UDP };
	int id = 0;

	for (size_t a = 0; a < array_size(addrs); a++)
		for (size_t p = 0; p < array_size(ports); p++)
			for (size_t t = 0; t < array_size(protocols); t++)
				add(r, addrs[a], ports[p], protocols[t]);
	world_publish(r);
	for (size_t a = 0; a < array_size(addrs); a++)
		for (size_t p = 0; p < array_size(ports); p++)
			for (size_t t = 0; t < array_size(protocols); t++)
				assert_int_equal(find(r, addrs[a], ports[p], protocols[t]), id++);
	assert_int_equal(find(r, "192.0.2.12", 80, TCP), -1);
	assert_int_equal(find(r, "192.0.2.10", 81, TCP), -1);
	assert_int_equal(find(r, "2001:db8::11", 80, TCP), -1);
	assert_int_equal(find(r, "2001:db8:0:2::10", 80, TCP), -1);
}

/* Where the probe of this key begins, in a table of 16 entries. */
static uint32_t start_of(const char *addr, uint16_t port, uint8_t protocol)
{
	const uint64_t tail = (uint64_t)htons(port) | (uint64_t)protocol << 16 | (uint64_t)ENTRY_SERVICE << 24;
	struct addr a;
	uint64_t words[2];

	addr_parse(addr, &a);
	memcpy(words, a.bytes, 16);
	if (a.family == AF_INET)
		return SERVICE_HASH(words[0] | tail << 32) & 15;
	return SERVICE_HASH(words[0] ^ SERVICE_FOLD(words[1]) ^ tail << 32) & 15;
}

/* The n-th port from 1 upward whose probe begins at `start`. */
static uint16_t colliding(const char *addr, uint32_t start, unsigned n)
{
	for (uint16_t port = 1; port; port++)
		if (start_of(addr, port, TCP) == start && n-- == 0)
			return port;
	fail_msg("no such port");
	return 0;
}

/* A full run of probes, also around the table's end: the last of it is found, what is not there is not. */
static void a_full_run_of_probes(void **state)
{
	static const uint32_t starts[] = { 0, 3, 8, 12, 15 };
	struct rig *r = *state;
	const uint32_t size = 2 * SERVICE_PROBES;

	for (int v6 = 0; v6 < 2; v6++)
		for (size_t s = 0; s < array_size(starts); s++) {
			const char *addr = v6 ? VIP6 : VIP4;

			rig_clear(state);
			for (unsigned n = 0; n < SERVICE_PROBES; n++)
				add(r, addr, colliding(addr, starts[s], n), TCP);
			world_publish(r);
			assert_int_equal(r->m->control->word >> (v6 ? CONTROL_SIZE6_SHIFT : CONTROL_SIZE4_SHIFT) &
					 CONTROL_SIZE_MASK, 4);
			for (unsigned n = 0; n < SERVICE_PROBES; n++)
				assert_int_equal(find(r, addr, colliding(addr, starts[s], n), TCP), n);
			assert_int_equal(find(r, addr, colliding(addr, starts[s], SERVICE_PROBES), TCP), -1);
			/* One that begins in the middle of the run, and one right behind it. */
			assert_int_equal(find(r, addr, colliding(addr, (starts[s] + 4) % size, 0), TCP), -1);
			assert_int_equal(find(r, addr, colliding(addr, (starts[s] + 8) % size, 0), TCP), -1);
			/* One more that begins there does not fit: the table grows, and all are found again. */
			add(r, addr, colliding(addr, starts[s], SERVICE_PROBES), TCP);
			world_publish(r);
			for (unsigned n = 0; n <= SERVICE_PROBES; n++)
				assert_int_equal(find(r, addr, colliding(addr, starts[s], n), TCP), n);
		}
}

static void as_many_as_there_can_be(void **state)
{
	enum { ADDRESSES = 4, PORTS = MAX_SERVICES / 2 / ADDRESSES };
	struct rig *r = *state;
	char text[ADDRESSES][2][ADDR_TEXT_MAX];

	for (unsigned a = 0; a < ADDRESSES; a++)
		for (int v6 = 0; v6 < 2; v6++) {
			snprintf(text[a][v6], ADDR_TEXT_MAX, v6 ? "2001:db8::%u" : "192.0.2.%u", a + 10);
			for (unsigned p = 0; p < PORTS; p++)
				add(r, text[a][v6], 1000 + p, TCP);
		}
	assert_int_equal(r->services.count, MAX_SERVICES);
	world_publish(r);
	for (unsigned i = 0; i < MAX_SERVICES; i += i < MAX_SERVICES - 50 ? 211 : 1) {
		const unsigned a = i / (2 * PORTS), v6 = i / PORTS & 1, p = i % PORTS;

		assert_int_equal(find(r, text[a][v6], 1000 + p, TCP), i);
		if (i % 2)
			assert_int_equal(find(r, text[a][v6], 1000 + PORTS + p, TCP), -1);
	}
}

static void a_flip_shows_the_new_half_only(void **state)
{
	struct rig *r = *state;

	add(r, VIP4, 80, TCP);
	add(r, VIP4, 81, TCP);
	world_publish(r);
	assert_int_equal(find(r, VIP4, 80, TCP), 0);
	assert_int_equal(find(r, VIP4, 81, TCP), 1);
	for (int times = 0; times < 4; times++) {
		/* 81 is taken away, 82 comes; then the reverse. */
		r->entries.items[1].port = times & 1 ? 81 : 82;
		world_publish(r);
		assert_int_equal(find(r, VIP4, 80, TCP), 0);
		assert_int_equal(find(r, VIP4, 81, TCP), times & 1 ? 1 : -1);
		assert_int_equal(find(r, VIP4, 82, TCP), times & 1 ? -1 : 1);
	}
}

/* One address that is both a service's and an own one: a reply is a reply, the rest the service's. */
static void one_address_for_both(void **state)
{
	struct rig *r = *state;
	const uint32_t server = world_server(r, &(struct world_server){ .addr = "10.0.0.1", .port = 8080, .ports = 4,
									 .own = VIP4 });
	struct packet syn = client_packet(false, TCP, 40000, SYN), sent, answer;

	world_service(r, &(struct world_service){ .addr = VIP4, .port = 80, .protocol = TCP }, &server, 1);
	world_service(r, &(struct world_service){ .addr = VIP4, .port = PORT_LOW + 2, .protocol = TCP }, &server, 1);
	world_own(r, VIP4);
	world_publish(r);
	sent = towards_server(&syn, r, server, 0);
	sent.from = VIP4;
	answer = server_answer(&sent, SYN | ACK);
	expect(r, "SYN", syn, NAT_REQUEST, .out = sent, .connections = 1);
	expect(r, "the reply", answer, NAT_REPLY, .out = towards_client(&answer, &syn));
	syn.dport = PORT_LOW + 2;
	sent.sport = PORT_LOW + 1;
	expect(r, "a service on a port of the pool", syn, NAT_REQUEST, .out = sent, .connections = 1);
}

/* A service on all ports has those that nobody else has; of its own protocol and address, and not port 0. */
static void all_ports_of_an_address(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *vip = v6 ? VIP6 : VIP4, *other = v6 ? "2001:db8::11" : "192.0.2.11";
		const char *plain = v6 ? "2001:db8::12" : "192.0.2.12";
		int all, specific, udp;

		rig_clear(state);
		all = add(r, vip, 0, TCP);
		specific = add(r, vip, 443, TCP);
		udp = add(r, other, 0, UDP);
		add(r, plain, 80, TCP);
		world_publish(r);
		assert_int_equal(find(r, vip, 1, TCP), all);
		assert_int_equal(find(r, vip, 442, TCP), all);
		assert_int_equal(find(r, vip, 65535, TCP), all);
		assert_int_equal(find(r, vip, 443, TCP), specific);
		assert_int_equal(find(r, vip, 443, UDP), -1);
		assert_int_equal(find(r, other, 53, UDP), udp);
		assert_int_equal(find(r, other, 53, TCP), -1);
		assert_int_equal(find(r, plain, 81, TCP), -1);
		assert_int_equal(find(r, vip, 0, TCP), -1);
	}
}

/* The destination's port is the server's, and the replies, and what is counted of them, come by the same service. */
static void all_ports_through_nat(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		struct world_server server = { .addr = v6 ? "fd00::1" : "10.0.0.1", .ports = 16,
					       .own = v6 ? OWN6 : OWN4 };
		struct packet request, sent, answer;
		struct world_service s = { .addr = v6 ? VIP6 : VIP4, .protocol = TCP };
		uint32_t id;

		rig_clear(state);
		id = world_server(r, &server);
		world_service(r, &s, &id, 1);
		world_own(r, server.own);
		world_publish(r);
		request = to(s.addr, 4711, TCP);
		sent = towards_server(&request, r, id, 0);
		expect(r, "to port 4711", request, NAT_REQUEST, .out = sent, .server = id, .connections = 1);
		answer = server_answer(&sent, SYN | ACK);
		expect(r, "from port 4711", answer, NAT_REPLY, .out = towards_client(&answer, &request), .server = id);
		frame_build(&answer, &frame);
		rig_run(r, &frame, 0, &outcome);
		assert_int_equal(outcome.service, 0);
		assert_int_equal(outcome.traffic.packets_out, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(every_part_of_the_key_counts),
		rig_test(a_full_run_of_probes),
		rig_test(as_many_as_there_can_be),
		rig_test(a_flip_shows_the_new_half_only),
		rig_test(one_address_for_both),
		rig_test(all_ports_of_an_address),
		rig_test(all_ports_through_nat),
	};

	return cmocka_run_group_tests_name("service", tests, rig_open, rig_close);
}
