/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is remembered of a TCP connection and followed, from SYN to the second FIN and again; what becomes of it when
 * its server takes no new ones, or is gone. In nat, where both directions are remembered, and in dsr.
 */
#include "world.h"

static uint8_t state_of(const struct rig *r, const struct packet *p)
{
	return FLOW_STATE(rig_flow(r, p).value);
}

static void retransmitted_syn_follows(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 3 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = world_slot(r, v6 ? 2 : 0, 0);
		struct packet syn = client_packet(v6, TCP, 40000, SYN);
		struct packet sent = towards_server(&syn, r, server, 0);

		expect(r, "SYN", syn, NAT_REQUEST, .out = sent, .server = server, .connections = 1);
		for (int i = 0; i < 4; i++)
			expect(r, "again", syn, NAT_REQUEST, .out = sent, .server = server);
		assert_int_equal(rig_live_flows(r, v6), 2);
		assert_int_equal(r->m->use[server].half_open, 1);
	}
}

static void connections_are_told_apart(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t first = v6 ? 3 : 1;

		handshake(r, v6, 40000, first, 0);
		handshake(r, v6, 40001, first + 1, 0);
		handshake(r, v6, 40002, first, 1);
		client_sends(r, v6, 40001, ACK, first + 1, 0);
		server_sends(r, v6, 40002, ACK, first, 1);
		server_sends(r, v6, 40000, ACK, first, 0);
		client_sends(r, v6, 40000, ACK, first, 0);
	}
}

static void half_open_is_counted_exactly(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct server_use *use = &r->m->use[server];
		struct packet syn = client_packet(v6, TCP, 40000, SYN);

		expect(r, "SYN", syn, NAT_REQUEST, .out = towards_server(&syn, r, server, 0), .connections = 1);
		assert_int_equal(use->half_open, 1);
		assert_int_equal(state_of(r, &syn) & FLOW_PROVEN, 0);
		server_sends(r, v6, 40000, SYN | ACK, server, 0);
		assert_int_equal(use->half_open, 1);
		client_sends(r, v6, 40000, ACK, server, 0);
		assert_int_equal(use->half_open, 0);
		assert_int_equal(state_of(r, &syn) & FLOW_PROVEN, FLOW_PROVEN);
		client_sends(r, v6, 40000, ACK, server, 0);
		client_sends(r, v6, 40000, FIN | ACK, server, 0);
		assert_int_equal(use->half_open, 0);
	}
}

static void a_clients_reset_proves_nothing(void **state)
{
	struct rig *r = *state;
	struct packet syn = client_packet(false, TCP, 40000, SYN);

	world_lay(r, &(struct world){ .balance = BALANCE_ROUNDROBIN, .servers = 2 });
	expect(r, "SYN", syn, NAT_REQUEST, .out = towards_server(&syn, r, 1, 0), .connections = 1);
	server_sends(r, false, 40000, ACK, 1, 0); /* a challenge: the server thinks the old connection is alive */
	client_sends(r, false, 40000, RST, 1, 0);
	assert_int_equal(r->m->use[1].half_open, 1);
	/* The reset has ended the server's memory of the old connection: the SYN must come there again, by the same port. */
	expect(r, "SYN again", syn, NAT_REQUEST, .out = towards_server(&syn, r, 1, 0), .server = 1);
	assert_int_equal(r->m->use[1].half_open, 1);
}

/*
 * Closed by both, the same ports again: where a hash chooses, the same record, server and own port, counted as a
 * connection.
 */
static void reopens_after_fin(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .balance = BALANCE_MAGLEV, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet syn = client_packet(v6, TCP, 40000, SYN);

		for (int times = 0; times < 3; times++) {
			handshake(r, v6, 40000, server, 0);
			assert_int_equal(r->m->use[server].half_open, 0);
			client_sends(r, v6, 40000, FIN | ACK, server, 0);
			server_sends(r, v6, 40000, FIN | ACK, server, 0);
			client_sends(r, v6, 40000, ACK, server, 0);
			assert_int_equal(state_of(r, &syn) & FLOW_FIN, FLOW_FIN);
		}
		expect(r, "SYN", syn, NAT_REQUEST, .out = towards_server(&syn, r, server, 0), .server = server,
		       .connections = 1);
		assert_int_equal(r->m->use[server].half_open, 1);
		assert_int_equal(state_of(r, &syn) & (FLOW_FIN | FLOW_RST | FLOW_PROVEN), 0);
		assert_int_equal(rig_live_flows(r, v6), 2);
	}
}

/* With round robin a connection on the ports of a closed one is dealt in turn, as any other. */
static void roundrobin_deals_anew_after_fin(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned turn = 0; turn < 4; turn++) {
			const uint32_t server = (v6 ? 3 : 1) + turn % 2;

			handshake(r, v6, 40000, server, turn / 2);
			client_sends(r, v6, 40000, FIN | ACK, server, turn / 2);
			server_sends(r, v6, 40000, FIN | ACK, server, turn / 2);
			assert_int_equal(rig_live_flows(r, v6), 2);
		}
}

static void reopens_after_reset(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .balance = BALANCE_MAGLEV, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;

		handshake(r, v6, 40000, server, 0);
		client_sends(r, v6, 40000, RST, server, 0);
		handshake(r, v6, 40000, server, 0);
		assert_int_equal(rig_live_flows(r, v6), 2);
	}
}

static void data_after_reset_restores(void **state)
{
	struct rig *r = *state;
	struct packet syn = client_packet(false, TCP, 40000, SYN);

	world_lay(r, &(struct world){ .servers = 1 });
	handshake(r, false, 40000, 1, 0);
	client_sends(r, false, 40000, RST, 1, 0);
	assert_int_equal(state_of(r, &syn) & FLOW_RST, FLOW_RST);
	client_sends(r, false, 40000, ACK, 1, 0);
	assert_int_equal(state_of(r, &syn) & FLOW_RST, 0);
	expect(r, "a SYN on a live record is none of a new connection", syn, NAT_REQUEST,
	       .out = towards_server(&syn, r, 1, 0));
}

/* Down or drained: what is established goes on, a SYN goes elsewhere, even on a record. */
static void down_takes_no_syn_but_keeps_the_rest(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t first = v6 ? 3 : 1, second = first + 1;

		handshake(r, v6, 40000, first, 0);
		world_server_down(r, first);
		client_sends(r, v6, 40000, ACK, first, 0);
		server_sends(r, v6, 40000, ACK, first, 0);
		handshake(r, v6, 40001, second, 0);
		handshake(r, v6, 40000, second, 1);
		/* Of the old connection nothing is left. */
		assert_int_equal(rig_live_flows(r, v6), 4);
		server_sends(r, v6, 40000, ACK, second, 1);
	}
}

static void closed_on_a_down_server_does_not_reopen(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	handshake(r, false, 40000, 1, 0);
	client_sends(r, false, 40000, FIN | ACK, 1, 0);
	server_sends(r, false, 40000, FIN | ACK, 1, 0);
	world_server_down(r, 1);
	handshake(r, false, 40000, 2, 0);
	assert_int_equal(rig_live_flows(r, false), 2);
}

/* Back up: it gets its share; what went elsewhere meanwhile stays there. */
static void up_again(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	world_server_down(r, 1);
	handshake(r, false, 40000, 2, 0);
	world_server_up(r, 1);
	client_sends(r, false, 40000, ACK, 2, 0);
	handshake(r, false, 40001, world_slot(r, 0, 1), 1 - (world_slot(r, 0, 1) == 1));
}

/* Removed, or shut down: its id's generation is over, and nothing goes to it any more. */
static void removed_gets_no_packet_at_all(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t first = v6 ? 3 : 1, second = first + 1;
		struct packet data = client_packet(v6, TCP, 40000, ACK);
		struct packet reset = {
			.l2_from = L2_LB, .l2_to = L2_CLIENT, .from = data.to, .to = data.from, .sport = 80,
			.dport = 40000, .protocol = TCP, .flags = RST, .seq = data.ack, .bare = true,
		};

		handshake(r, v6, 40000, first, 0);
		handshake(r, v6, 40001, second, 0);
		handshake(r, v6, 40002, first, 1);
		world_server_remove(r, first);
		expect(r, "data of an established one", data, NO_FLOW, .out = reset);
		expect(r, "again", data, NO_FLOW, .out = reset);
		handshake(r, v6, 40002, second, 1);
		client_sends(r, v6, 40001, ACK, second, 0);
		/* The first one's record stays for the agent, which tells its server of the end. */
		assert_int_equal(rig_live_flows(r, v6), 6);
	}
}

static void removed_udp_goes_to_another(void **state)
{
	struct rig *r = *state;
	struct packet udp = client_packet(false, UDP, 40000, 0);

	world_lay(r, &(struct world){ .servers = 2 });
	expect(r, "the first", udp, NAT_REQUEST, .out = towards_server(&udp, r, 1, 0), .server = 1, .connections = 1);
	world_server_remove(r, 1);
	expect(r, "the next", udp, NAT_REQUEST, .out = towards_server(&udp, r, 2, 0), .server = 2, .connections = 1);
	assert_int_equal(rig_live_flows(r, false), 2);
}

static struct packet to_mac_of(const struct packet *request, uint32_t server)
{
	struct packet p = *request;

	p.l2_from = L2_LB;
	p.l2_to = L2_SERVER + server;
	p.ttl = 63;
	return p;
}

/* dsr: a recorded connection stays with its server whatever the slots say, until that is removed. */
static void dsr_stays_through_changes_of_slots(void **state)
{
	struct rig *r = *state;
	struct packet syn = client_packet(false, TCP, 40000, SYN);
	struct packet data = client_packet(false, TCP, 40000, ACK);

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 2 });
	expect(r, "SYN", syn, DSR, .out = to_mac_of(&syn, 1), .server = 1, .connections = 1);
	expect(r, "SYN again", syn, DSR, .out = to_mac_of(&syn, 1), .server = 1);
	world_server_down(r, 1);
	expect(r, "data after its server went down", data, DSR, .out = to_mac_of(&data, 1), .server = 1);
	expect(r, "but not a SYN", syn, DSR, .out = to_mac_of(&syn, 2), .server = 2, .connections = 1);
	world_server_up(r, 1);
	expect(r, "data after it is back", data, DSR, .out = to_mac_of(&data, 2), .server = 2);
	world_server_remove(r, 2);
	expect(r, "data after the other is removed", data, NO_FLOW, .out = {
		.l2_from = L2_LB, .l2_to = L2_CLIENT, .from = VIP4, .to = CLIENT4, .sport = 80, .dport = 40000,
		.protocol = TCP, .flags = RST, .seq = data.ack, .bare = true });
}

static void dsr_roundrobin_remembers_udp(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 3 });
	for (uint16_t sport = 40000; sport < 40006; sport++) {
		struct packet udp = client_packet(false, UDP, sport, 0);
		const uint32_t server = world_slot(r, 1, sport % 3 == 40000 % 3 ? 0 : sport % 3 == 40001 % 3 ? 1 : 2);

		for (int times = 0; times < 3; times++)
			expect(r, "one flow", udp, DSR, .out = to_mac_of(&udp, server), .server = server,
			       .connections = times == 0);
	}
}

/* A UDP answer makes a flow live on; two prove it. */
static void udp_is_proven_by_two_answers(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet udp = client_packet(v6, UDP, 40000, 0);
		struct packet sent = towards_server(&udp, r, server, 0);
		struct packet answer = server_answer(&sent, 0);
		struct packet back = towards_client(&answer, &udp);

		expect(r, "a question", udp, NAT_REQUEST, .out = sent, .connections = 1);
		expect(r, "another proves nothing", udp, NAT_REQUEST, .out = sent);
		assert_int_equal(r->m->use[server].half_open, 1);
		expect(r, "the first answer", answer, NAT_REPLY, .out = back);
		assert_int_equal(r->m->use[server].half_open, 1);
		assert_int_equal(state_of(r, &udp) & FLOW_PROVEN, 0);
		expect(r, "the second", answer, NAT_REPLY, .out = back);
		assert_int_equal(r->m->use[server].half_open, 0);
		assert_int_equal(state_of(r, &udp) & FLOW_PROVEN, FLOW_PROVEN);
		expect(r, "the third", answer, NAT_REPLY, .out = back);
		assert_int_equal(r->m->use[server].half_open, 0);
	}
}

/* Each packet stamps its direction's entry with the current tick, so that the sweep sees it alive. */
static void packets_stamp_their_entry(void **state)
{
	struct rig *r = *state;
	struct packet data = client_packet(false, TCP, 40000, ACK);
	struct flow_view request, reply;

	world_lay(r, &(struct world){ .servers = 1 });
	handshake(r, false, 40000, 1, 0);
	request = rig_flow(r, &data);
	assert_true(flows_find_other(r->m, &request, &reply));
	*(uint16_t *)request.tag -= 100;
	*(uint16_t *)reply.tag -= 100;
	client_sends(r, false, 40000, ACK, 1, 0);
	assert_in_range((uint16_t)(dataplane_tick(r->dataplane) - FLOW_TICK(*request.tag)), 0, 1);
	assert_in_range((uint16_t)(dataplane_tick(r->dataplane) - FLOW_TICK(*reply.tag)), 99, 102);
	server_sends(r, false, 40000, ACK, 1, 0);
	assert_in_range((uint16_t)(dataplane_tick(r->dataplane) - FLOW_TICK(*reply.tag)), 0, 1);
}

/* An entry that the agent has killed is not there for any packet. */
static void a_dead_entry_is_not_found(void **state)
{
	struct rig *r = *state;
	struct packet data = client_packet(false, TCP, 40000, ACK);
	struct flow_view request, reply;
	struct packet sent;

	world_lay(r, &(struct world){ .servers = 2 });
	handshake(r, false, 40000, 1, 0);
	request = rig_flow(r, &data);
	assert_true(flows_find_other(r->m, &request, &reply));
	assert_true(flows_kill(&request));
	assert_true(flows_kill(&reply));
	sent = towards_server(&data, r, 1, 0);
	expect(r, "the server's", server_answer(&sent, ACK), NO_SERVICE);
	handshake(r, false, 40000, 2, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(retransmitted_syn_follows),
		rig_test(connections_are_told_apart),
		rig_test(half_open_is_counted_exactly),
		rig_test(a_clients_reset_proves_nothing),
		rig_test(reopens_after_fin),
		rig_test(roundrobin_deals_anew_after_fin),
		rig_test(reopens_after_reset),
		rig_test(data_after_reset_restores),
		rig_test(down_takes_no_syn_but_keeps_the_rest),
		rig_test(closed_on_a_down_server_does_not_reopen),
		rig_test(up_again),
		rig_test(removed_gets_no_packet_at_all),
		rig_test(removed_udp_goes_to_another),
		rig_test(dsr_stays_through_changes_of_slots),
		rig_test(dsr_roundrobin_remembers_udp),
		rig_test(udp_is_proven_by_two_answers),
		rig_test(packets_stamp_their_entry),
		rig_test(a_dead_entry_is_not_found),
	};

	return cmocka_run_group_tests_name("flow", tests, rig_open, rig_close);
}
