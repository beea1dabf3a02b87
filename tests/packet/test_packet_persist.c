/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP flows: with `udp-persist` a flow that a hash steers stays with its server through changes of the table; and in
 * every mode the datagrams of a server that is down go to another one, as there is no connection to keep.
 */
#include "world.h"

enum { DNS = 0 };

/* UDP VIP4:53, hashed and without translation. */
static void lay(struct rig *r, bool persists)
{
	uint32_t ids[2];

	ids[0] = world_server(r, &(struct world_server){ .addr = "10.0.0.1", .port = 53 });
	ids[1] = world_server(r, &(struct world_server){ .addr = "10.0.0.2", .port = 53 });
	world_service(r, &(struct world_service){ .addr = VIP4, .port = 53, .protocol = UDP, .forward = FORWARD_DSR,
						  .balance = BALANCE_MAGLEV, .persists = persists }, ids, 2);
	world_publish(r);
}

static struct packet to_mac_of(const struct packet *request, uint32_t server)
{
	struct packet p = *request;

	p.l2_from = L2_LB;
	p.l2_to = L2_SERVER + server;
	p.ttl = (p.ttl ? p.ttl : 64) - 1;
	return p;
}

/* A source port whose flows this server gets. */
static struct packet flow_of(struct rig *r, uint32_t server)
{
	static struct outcome o;
	static struct frame in;

	for (uint16_t sport = 20000; sport < 20100; sport++) {
		const struct packet udp = client_packet(false, UDP, sport, 0);

		frame_build(&udp, &in);
		rig_run(r, &in, 0, &o);
		assert_int_equal(o.verdict, VERDICT_DSR);
		if (o.server == server)
			return udp;
	}
	fail_msg("no flow for server %u", server);
	return (struct packet){};
}

static void stays_through_changes(void **state)
{
	struct rig *r = *state;

	for (int persists = 0; persists < 2; persists++) {
		struct packet udp;

		rig_clear(state);
		lay(r, persists);
		udp = flow_of(r, 1);
		assert_int_equal(rig_has_flow(r, &udp), persists);
		/* As a drain does: it takes nothing new, and its slots go to the other one. */
		world_server_down(r, 1);
		expect(r, "afterwards", udp, DSR, .out = to_mac_of(&udp, persists ? 1 : 2), .server = persists ? 1 : 2);
	}
}

static void a_new_flow_goes_by_the_table(void **state)
{
	struct rig *r = *state;
	struct packet udp;

	lay(r, true);
	udp = flow_of(r, 1);
	world_server_down(r, 1);
	udp.sport = 30000;
	expect(r, "a new one", udp, DSR, .out = to_mac_of(&udp, 2), .server = 2, .connections = 1);
}

static void down_is_left(void **state)
{
	struct rig *r = *state;
	struct packet udp;

	lay(r, true);
	udp = flow_of(r, 1);
	world_server_down(r, 1);
	world_set_flags(r, 1, SERVER_DOWN, 0);
	expect(r, "moves", udp, DSR, .out = to_mac_of(&udp, 2), .server = 2, .connections = 1);
	expect(r, "and stays there", udp, DSR, .out = to_mac_of(&udp, 2), .server = 2);
	world_server_up(r, 1);
	world_set_flags(r, 1, 0, SERVER_DOWN);
	expect(r, "also when the first is back", udp, DSR, .out = to_mac_of(&udp, 2), .server = 2);
}

/* nat, round robin: a datagram leaves a server that is down, a connection does not. */
static void translated_too(void **state)
{
	struct rig *r = *state;
	const struct packet udp = client_packet(false, UDP, 40000, 0);

	world_lay(r, &(struct world){ .servers = 2 });
	expect(r, "the first", udp, NAT_REQUEST, .out = towards_server(&udp, r, 1, 0), .server = 1, .connections = 1);
	handshake(r, false, 40001, 1, 1);
	world_server_down(r, 1);
	world_set_flags(r, 1, SERVER_DOWN, 0);
	expect(r, "moves", udp, NAT_REQUEST, .out = towards_server(&udp, r, 2, 0), .server = 2, .connections = 1);
	client_sends(r, false, 40001, ACK, 1, 1);
	assert_int_equal(rig_live_flows(r, false), 4);
}

/* A datagram a tick after the first proves a flow, so that a flood of new ones can't push it out of a full table. */
static void proven_by_a_later_datagram(void **state)
{
	struct rig *r = *state;
	struct flow_view f;
	struct packet udp;

	lay(r, true);
	udp = flow_of(r, 1);
	expect(r, "at once", udp, DSR, .out = to_mac_of(&udp, 1), .server = 1);
	f = rig_flow(r, &udp);
	assert_int_equal(FLOW_STATE(f.value) & FLOW_PROVEN, 0);
	*(volatile uint16_t *)f.tag -= 1;
	expect(r, "a tick later", udp, DSR, .out = to_mac_of(&udp, 1), .server = 1);
	assert_int_equal(FLOW_STATE(rig_flow(r, &udp).value) & FLOW_PROVEN, FLOW_PROVEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(stays_through_changes),
		rig_test(a_new_flow_goes_by_the_table),
		rig_test(down_is_left),
		rig_test(translated_too),
		rig_test(proven_by_a_later_datagram),
	};

	return cmocka_run_group_tests_name("persist", tests, rig_open, rig_close);
}
