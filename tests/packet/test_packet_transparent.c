/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `source 0.0.0.0 usesrc clientip`: only the destination is translated. The server sees the client's address; what it
 * answers is known by its own address and port, and leaves with the service's. All else of it is the host's.
 */
#include <string.h>

#include "wire.h"
#include "world.h"

#define ROUTER4 "203.0.113.9"
#define ROUTER6 "2001:db8:f::9"

static const struct world kept = { .forward = FORWARD_TRANSPARENT, .servers = 1 };
static const struct world hashed = { .forward = FORWARD_TRANSPARENT, .balance = BALANCE_MAGLEV, .servers = 3 };

static struct frame in, wanted, whole;
static struct outcome o;

/* The request as it must reach the server: another destination, nothing else. */
static struct packet sent_to(const struct packet *request, const struct rig *r, uint32_t server)
{
	struct packet p = towards_server(request, r, server, 0);

	p.from = request->from;
	p.sport = request->sport;
	return p;
}

static void asks(struct rig *r, const struct packet *request, uint32_t server, unsigned connections)
{
	expect(r, "request", *request, TRANSPARENT_REQUEST, .out = sent_to(request, r, server), .server = server,
	       .connections = connections);
}

static void answers(struct rig *r, const struct packet *request, uint32_t server, uint8_t flags)
{
	const struct packet sent = sent_to(request, r, server);
	const struct packet answer = server_answer(&sent, flags);

	expect(r, "reply", answer, TRANSPARENT_REPLY, .out = towards_client(&answer, request), .server = server);
}

static void connects(struct rig *r, bool v6, uint16_t sport, uint32_t server)
{
	struct packet p = client_packet(v6, TCP, sport, SYN);

	asks(r, &p, server, 1);
	answers(r, &p, server, SYN | ACK);
	p = client_packet(v6, TCP, sport, ACK);
	asks(r, &p, server, 0);
}

static uint8_t state_of(const struct rig *r, bool v6, uint8_t protocol, uint16_t sport)
{
	const struct packet p = client_packet(v6, protocol, sport, ACK);

	return FLOW_STATE(rig_flow(r, &p).value) & ~FLOW_LIFE;
}

static void only_the_destination_is_translated(void **state)
{
	world_lay(*state, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		const struct packet udp = client_packet(v6, UDP, 40000, 0), data = client_packet(v6, TCP, 40000, ACK | PSH);
		const uint32_t server = v6 ? 2 : 1;

		connects(*state, v6, 40000, server);
		asks(*state, &data, server, 0);
		answers(*state, &data, server, ACK | PSH);
		asks(*state, &udp, server, 1);
		answers(*state, &udp, server, 0);
	}
}

static void a_server_without_port_keeps_the_packets(void **state)
{
	struct world w = kept;

	w.keep_port = true;
	world_lay(*state, &w);
	for (int v6 = 0; v6 < 2; v6++)
		connects(*state, v6, 40000, v6 ? 2 : 1);
}

static void one_record_a_connection_and_no_own_port(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		const struct packet p = client_packet(v6, TCP, 40000, ACK);

		connects(r, v6, 40000, v6 ? 2 : 1);
		assert_int_equal(rig_live_flows(r, v6), 1);
		assert_int_equal(rig_flow(r, &p).from, 0);
		assert_int_equal(rig_flow(r, &p).from_port, 0);
	}
}

static void every_balance_records(void **state)
{
	struct rig *r = *state;

	world_lay(r, &hashed);
	for (uint16_t sport = 40000; sport < 40020; sport++) {
		struct packet p = client_packet(false, TCP, sport, SYN);
		uint32_t server;

		frame_build(&p, &in);
		rig_run(r, &in, 0, &o);
		assert_int_equal(o.verdict, VERDICT_TRANSPARENT_REQUEST);
		server = FLOW_SERVER(rig_flow(r, &p).value);
		assert_int_equal(server, o.server);
		answers(r, &p, server, SYN | ACK);
		/* It stays, though the slots move. */
		world_server_down(r, server);
		p = client_packet(false, TCP, sport, ACK);
		asks(r, &p, server, 0);
		answers(r, &p, server, ACK);
		world_server_up(r, server);
	}
}

static void a_udp_checksum_of_none_stays_none(void **state)
{
	struct packet p = client_packet(false, UDP, 40000, 0), answer;
	const struct packet sent = (world_lay(*state, &kept), p.no_checksum = true, sent_to(&p, *state, 1));

	asks(*state, &p, 1, 1);
	answer = server_answer(&sent, 0);
	answer.no_checksum = true;
	expect(*state, "reply", answer, TRANSPARENT_REPLY, .out = towards_client(&answer, &p), .server = 1);
}

static void ip_and_tcp_options_and_padding(void **state)
{
	struct packet p = client_packet(false, TCP, 40000, SYN);

	world_lay(*state, &kept);
	p.ip_options = 40;
	p.tcp_options = 40;
	asks(*state, &p, 1, 1);
	p = client_packet(false, TCP, 40000, ACK);
	p.payload = 1;
	p.padding = 5;
	asks(*state, &p, 1, 0);
}

static void what_the_host_itself_asked_a_server_is_the_hosts(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		const struct packet p = client_packet(v6, TCP, 40000, ACK), sent = sent_to(&p, r, v6 ? 2 : 1);
		struct packet other = server_answer(&sent, ACK);

		connects(r, v6, 40000, v6 ? 2 : 1);
		other.to = v6 ? OWN6 : OWN4; /* the answer to a check */
		expect(r, "to another address", other, NO_SERVICE);
		other = server_answer(&sent, ACK);
		other.dport++;
		expect(r, "to another port of the client", other, NO_SERVICE);
		other = server_answer(&sent, ACK);
		other.sport++;
		expect(r, "from another port of the server", other, NO_SERVICE);
		other = server_answer(&sent, ACK);
		other.protocol = UDP;
		expect(r, "of another protocol", other, NO_SERVICE);
	}
}

/* Two servers, one client's address and port: the one that it does not speak to may not speak for the service. */
static void another_server_is_none_of_the_connection(void **state)
{
	struct rig *r = *state;
	struct world w = kept;

	w.servers = 2;
	world_lay(r, &w);
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t first = v6 ? 3 : 1;
		const struct packet p = client_packet(v6, TCP, 40000, ACK), sent = sent_to(&p, r, first + 1);

		connects(r, v6, 40000, first);
		expect(r, "the other server's", server_answer(&sent, ACK), NO_SERVICE);
		answers(r, &p, first, ACK);
	}
}

static void both_directions_say_when_it_is_closed(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = client_packet(v6, TCP, 40000, FIN | ACK);

		connects(r, v6, 40000, server);
		assert_int_equal(state_of(r, v6, TCP, 40000), FLOW_OPENED | FLOW_PROVEN);
		answers(r, &p, server, FIN | ACK);
		assert_int_equal(state_of(r, v6, TCP, 40000), FLOW_OPENED | FLOW_PROVEN | FLOW_BACK_FIN);
		asks(r, &p, server, 0);
		assert_int_equal(state_of(r, v6, TCP, 40000), FLOW_OPENED | FLOW_PROVEN | FLOW_BACK_FIN | FLOW_FIN);
	}
}

/* What the client still sends does not bring a connection back that the server has reset. */
static void a_servers_reset_outlives_the_clients_packets(void **state)
{
	struct rig *r = *state;
	const struct packet p = client_packet(false, TCP, 40000, ACK);

	world_lay(r, &kept);
	connects(r, false, 40000, 1);
	answers(r, &p, 1, RST | ACK);
	asks(r, &p, 1, 0);
	assert_true(state_of(r, false, TCP, 40000) & FLOW_RST);
	answers(r, &p, 1, ACK);
	assert_false(state_of(r, false, TCP, 40000) & FLOW_RST);
}

/* Round robin: another turn for who comes back to a connection that its server refused; its record begins anew. */
static void a_refused_client_gets_the_next_server(void **state)
{
	struct rig *r = *state;
	struct world w = kept;
	const struct packet syn = client_packet(false, TCP, 40000, SYN);

	w.servers = 2;
	world_lay(r, &w);
	asks(r, &syn, 1, 1);
	answers(r, &syn, 1, RST | ACK);
	asks(r, &syn, 2, 1);
	answers(r, &syn, 2, SYN | ACK);
	assert_int_equal(state_of(r, false, TCP, 40000), FLOW_OPENED);
}

static void a_hash_opens_a_closed_record_again(void **state)
{
	struct rig *r = *state;
	struct world w = kept;
	const struct packet syn = client_packet(false, TCP, 40000, SYN);

	w.balance = BALANCE_MAGLEV;
	world_lay(r, &w);
	connects(r, false, 40000, 1);
	answers(r, &syn, 1, RST | ACK);
	asks(r, &syn, 1, 1);
	assert_int_equal(state_of(r, false, TCP, 40000), FLOW_OPENED);

	/* Closed by both sides. */
	const struct packet again = client_packet(false, TCP, 40001, SYN), fin = client_packet(false, TCP, 40001, FIN | ACK);

	connects(r, false, 40001, 1);
	answers(r, &fin, 1, FIN | ACK);
	asks(r, &fin, 1, 0);
	asks(r, &again, 1, 1);
	assert_int_equal(state_of(r, false, TCP, 40001), FLOW_OPENED);
}

static void a_datagram_answered_twice_is_proven(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		const struct packet p = client_packet(v6, UDP, 40000, 0);
		const uint32_t server = v6 ? 2 : 1;

		asks(r, &p, server, 1);
		*(volatile uint16_t *)rig_flow(r, &p).tag -= 1; /* a tick later */
		asks(r, &p, server, 0);
		assert_false(state_of(r, v6, UDP, 40000) & FLOW_PROVEN);
		answers(r, &p, server, 0);
		assert_false(state_of(r, v6, UDP, 40000) & FLOW_PROVEN);
		answers(r, &p, server, 0);
		assert_true(state_of(r, v6, UDP, 40000) & FLOW_PROVEN);
	}
}

/* Its client may have moved to another router: replies follow the client's packets. */
static void replies_follow_the_clients_next_hop(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, ACK);

		connects(r, v6, 40000, v6 ? 2 : 1);
		p.l2_from = L2_ROUTER;
		asks(r, &p, v6 ? 2 : 1, 0);
		answers(r, &p, v6 ? 2 : 1, ACK);
	}
}

/* Each end of a connection that was ended learns it by its next packet. */
static void an_ended_connection_is_reset_at_both_ends(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		const struct packet p = client_packet(v6, TCP, 40000, ACK), sent = sent_to(&p, r, server);
		struct packet answer = server_answer(&sent, ACK), reset;

		connects(r, v6, 40000, server);
		world_server_remove(r, server);
		reset = (struct packet){ .l2_from = L2_LB, .l2_to = L2_SERVER + server, .from = p.from, .to = sent.to,
					 .sport = p.sport, .dport = sent.dport, .protocol = TCP, .flags = RST,
					 .seq = answer.ack, .bare = true };
		expect(r, "the server", answer, NO_FLOW, .out = reset);
		reset = (struct packet){ .l2_from = L2_LB, .l2_to = L2_CLIENT, .from = p.to, .to = p.from,
					 .sport = p.dport, .dport = p.sport, .protocol = TCP, .flags = RST,
					 .seq = p.ack, .bare = true };
		expect(r, "the client", p, NO_FLOW, .out = reset);
	}
}

static void hops_to_live(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, ACK), sent = sent_to(&p, r, v6 ? 2 : 1), answer;

		connects(r, v6, 40000, v6 ? 2 : 1);
		p.ttl = 1;
		gets_verdict(r, "the client's", &p, VERDICT_TTL_TOLD);
		answer = server_answer(&sent, ACK);
		answer.ttl = 1;
		gets_verdict(r, "the server's", &answer, VERDICT_TTL_TOLD);
	}
}

static void fragments_both_ways(void **state)
{
	static const size_t cuts[] = { 0, 400, 800, 0xffff };
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, UDP, 40000, 0), sent, answer, back;

		p.payload = 1000;
		sent = sent_to(&p, r, v6 ? 2 : 1);
		answer = server_answer(&sent, 0);
		answer.payload = 1000;
		back = towards_client(&answer, &p);
		for (int reply = 0; reply < 2; reply++)
			for (unsigned n = 0; n < 3; n++) {
				frame_build(reply ? &answer : &p, &whole);
				wire_fragment(&whole, cuts[n], cuts[n + 1], 77 + reply, &in);
				frame_build(reply ? &back : &sent, &whole);
				wire_fragment(&whole, cuts[n], cuts[n + 1], 77 + reply, &wanted);
				rig_run(r, &in, 0, &o);
				assert_int_equal(o.verdict, reply ? VERDICT_TRANSPARENT_REPLY : VERDICT_TRANSPARENT_REQUEST);
				rig_same_frame(reply ? "a fragment of the reply" : "a fragment", &o.out, &wanted);
			}
	}
}

static void tagged_frames_both_ways(void **state)
{
	struct rig *r = *state;

	world_lay(r, &kept);
	connects(r, false, 40000, 1);
	for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++) {
		const struct packet p = client_packet(false, TCP, 40000, ACK), sent = sent_to(&p, r, 1);
		const struct packet answer = server_answer(&sent, ACK), back = towards_client(&answer, &p);

		frame_build(&answer, &in);
		frame_build(&back, &wanted);
		wire_tag_all(&in, tagging);
		wire_tag_all(&wanted, tagging);
		rig_run(r, &in, 0, &o);
		assert_int_equal(o.verdict, VERDICT_TRANSPARENT_REPLY);
		rig_same_frame("tagged", &o.out, &wanted);
	}
}

/* An error from one side about what the other sent, quoted whole or up to the ports; and as it must arrive. */
static void error(struct rig *r, const char *what, struct packet p, const struct packet *about, struct packet out,
		  const struct packet *quoted, size_t length)
{
	const bool v6 = packet_is_v6(about);
	struct wire_icmp icmp = { .p = p, .type = v6 ? 1 : 3, .code = v6 ? 4 : 3 };

	frame_build(about, &whole);
	icmp.data = whole.bytes + ETH_SIZE;
	icmp.length = length ? length : whole.length - ETH_SIZE;
	wire_icmp(&icmp, &in);
	out.ttl = 63;
	icmp.p = out;
	frame_build(quoted, &whole);
	wire_icmp(&icmp, &wanted);
	rig_run(r, &in, 0, &o);
	if (o.verdict != VERDICT_ICMP_ERROR)
		fail_msg("%s: %s", what, verdict_name(o.verdict));
	rig_same_frame(what, &o.out, &wanted);
}

static void icmp_errors_reach_the_side_they_speak_to(void **state)
{
	static const uint8_t protocols[] = { TCP, UDP };
	struct rig *r = *state;

	world_lay(r, &kept);
	for (int i = 0; i < 4; i++) {
		const bool v6 = i & 1;
		const uint8_t protocol = protocols[i / 2], flags = protocol == TCP ? ACK : 0;
		const uint32_t server = v6 ? 2 : 1;
		const char *const router = v6 ? ROUTER6 : ROUTER4;
		struct packet syn = client_packet(v6, protocol, 40000, protocol == TCP ? SYN : 0);
		struct packet p = client_packet(v6, protocol, 40000, flags), sent = sent_to(&p, r, server);
		struct packet answer = server_answer(&sent, flags), back = towards_client(&answer, &p);
		const size_t lengths[] = { (v6 ? IP6_SIZE : IP4_SIZE) + 8, 0 };

		asks(r, &syn, server, 1);
		back.ttl = answer.ttl = 50;
		sent.ttl = p.ttl = 49;
		for (size_t n = 0; n < array_size(lengths); n++) {
			struct packet to_lb = { .l2_from = L2_ROUTER, .l2_to = L2_LB, .from = router, .to = p.to };
			struct packet to_server = { .l2_from = L2_LB, .l2_to = L2_SERVER + server, .from = router,
						    .to = sent.to };
			struct packet by_route = { .l2_from = L2_SERVER + server, .l2_to = L2_LB, .from = router,
						   .to = p.from };
			struct packet to_client = { .l2_from = L2_LB, .l2_to = L2_CLIENT, .from = router, .to = p.from };

			error(r, "to the server", to_lb, &back, to_server, &answer, lengths[n]);
			error(r, "to the client, of a router", by_route, &sent, to_client, &p, lengths[n]);
			/* The client knows the server by the service's address. */
			by_route.from = sent.to;
			to_client.from = p.to;
			error(r, "to the client, of the server", by_route, &sent, to_client, &p, lengths[n]);
		}
	}
}

static void icmp_errors_about_what_is_not_steered_are_the_hosts(void **state)
{
	struct rig *r = *state;
	const struct packet p = client_packet(false, UDP, 40000, 0), sent = (world_lay(r, &kept), sent_to(&p, r, 1));
	struct wire_icmp icmp = { .p = { .l2_from = L2_SERVER + 1, .l2_to = L2_LB, .from = sent.to, .to = p.from }, .type = 3,
				  .code = 3, .data = whole.bytes + ETH_SIZE };

	frame_build(&sent, &whole);
	icmp.length = whole.length - ETH_SIZE;
	wire_icmp(&icmp, &in);
	rig_run(r, &in, 0, &o);
	assert_int_equal(o.verdict, VERDICT_OTHER_PROTOCOL);
}

/* A service on all ports: servers without a port answer from the port that was asked. */
static void all_ports_of_an_address(void **state)
{
	struct rig *r = *state;
	const struct world_server s = { .addr = "10.0.0.1" };
	const uint32_t server = world_server(r, &s);
	const uint16_t ports[] = { 1, 80, 8443, 65535 };

	world_service(r, &(struct world_service){ .addr = VIP4, .protocol = TCP, .forward = FORWARD_TRANSPARENT }, &server, 1);
	world_publish(r);
	for (size_t i = 0; i < array_size(ports); i++) {
		struct packet p = client_packet(false, TCP, 40000, SYN);

		p.dport = ports[i];
		asks(r, &p, server, 1);
		answers(r, &p, server, SYN | ACK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(only_the_destination_is_translated),
		rig_test(a_server_without_port_keeps_the_packets),
		rig_test(one_record_a_connection_and_no_own_port),
		rig_test(every_balance_records),
		rig_test(a_udp_checksum_of_none_stays_none),
		rig_test(ip_and_tcp_options_and_padding),
		rig_test(what_the_host_itself_asked_a_server_is_the_hosts),
		rig_test(another_server_is_none_of_the_connection),
		rig_test(both_directions_say_when_it_is_closed),
		rig_test(a_servers_reset_outlives_the_clients_packets),
		rig_test(a_refused_client_gets_the_next_server),
		rig_test(a_hash_opens_a_closed_record_again),
		rig_test(a_datagram_answered_twice_is_proven),
		rig_test(replies_follow_the_clients_next_hop),
		rig_test(an_ended_connection_is_reset_at_both_ends),
		rig_test(hops_to_live),
		rig_test(fragments_both_ways),
		rig_test(tagged_frames_both_ways),
		rig_test(icmp_errors_reach_the_side_they_speak_to),
		rig_test(icmp_errors_about_what_is_not_steered_are_the_hosts),
		rig_test(all_ports_of_an_address),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
