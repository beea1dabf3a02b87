/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nat: what is translated, what is not, and that every byte of the packet that leaves is right. Both families, both
 * protocols, both directions.
 */
#include "world.h"

static void there_and_back(struct rig *r, bool v6, uint8_t protocol)
{
	const uint32_t server = v6 ? 2 : 1;
	const unsigned port = protocol == TCP ? 0 : 1;
	struct packet request = client_packet(v6, protocol, 40000, SYN);
	struct packet sent = towards_server(&request, r, server, port);
	struct packet answer = server_answer(&sent, SYN | ACK);

	expect(r, "the first packet", request, NAT_REQUEST, .out = sent, .server = server, .connections = 1);
	expect(r, "its answer", answer, NAT_REPLY, .out = towards_client(&answer, &request), .server = server);
	request = client_packet(v6, protocol, 40000, ACK);
	sent = towards_server(&request, r, server, port);
	answer = server_answer(&sent, ACK | PSH);
	expect(r, "more from the client", request, NAT_REQUEST, .out = sent, .server = server);
	expect(r, "more from the server", answer, NAT_REPLY, .out = towards_client(&answer, &request),
	       .server = server);
}

static void both_ways(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		there_and_back(*state, v6, TCP);
		there_and_back(*state, v6, UDP);
	}
}

static void port_zero_keeps_the_packets(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1, .keep_port = true });
	for (int v6 = 0; v6 < 2; v6++) {
		there_and_back(*state, v6, TCP);
		there_and_back(*state, v6, UDP);
	}
}

/* Sends a request that must arrive translated, then an answer of the same shape. */
static void passes_both_ways(struct rig *r, const char *what, struct packet request)
{
	const uint32_t server = packet_is_v6(&request) ? 2 : 1;
	struct packet sent = towards_server(&request, r, server, own_port(r, &request, server));
	struct packet answer = server_answer(&sent, ACK);

	expect(r, what, request, NAT_REQUEST, .out = sent, .server = server,
	       .connections = !rig_has_flow(r, &request));
	answer.payload = request.payload;
	answer.ip_options = request.ip_options;
	answer.tcp_options = request.tcp_options;
	answer.no_checksum = request.no_checksum;
	answer.padding = request.padding;
	expect(r, what, answer, NAT_REPLY, .out = towards_client(&answer, &request), .server = server);
}

static void odd_and_empty_payloads(void **state)
{
	static const uint16_t payloads[] = { 0, 1, 2, 3, 17, 511, 1000, 1432 };

	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40000, SYN);

		passes_both_ways(*state, "SYN", syn);
		for (size_t i = 0; i < array_size(payloads); i++) {
			struct packet tcp = client_packet(v6, TCP, 40000, ACK);
			struct packet udp = client_packet(v6, UDP, 40000, 0);

			tcp.payload = udp.payload = payloads[i];
			passes_both_ways(*state, "a TCP payload", tcp);
			passes_both_ways(*state, "a UDP payload", udp);
		}
	}
}

static void padded_short_frames(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet udp = client_packet(v6, UDP, 40000, 0);

		udp.payload = 1;
		udp.padding = 31;
		passes_both_ways(*state, "padding of the Ethernet frame stays outside", udp);
	}
}

static void syn_with_data_and_options(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40000, SYN);

		syn.payload = 99;
		syn.tcp_options = 40;
		passes_both_ways(*state, "SYN with data (Fast Open) and all options", syn);
	}
}

static void ip_options(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (uint8_t size = 4; size <= 40; size += 4) {
		struct packet tcp = client_packet(false, TCP, 40000, size == 4 ? SYN : ACK);
		struct packet udp = client_packet(false, UDP, 40000, 0);

		tcp.ip_options = udp.ip_options = size;
		passes_both_ways(*state, "IPv4 options, TCP", tcp);
		passes_both_ways(*state, "IPv4 options, UDP", udp);
	}
}

static void udp_without_checksum_stays_without(void **state)
{
	struct packet udp = client_packet(false, UDP, 40000, 0);

	world_lay(*state, &(struct world){ .servers = 1 });
	udp.no_checksum = true;
	passes_both_ways(*state, "no checksum", udp);
}

/* A checksum that comes out as zero would say "none": it is sent as ones. Some payload of all brings it about. */
static void udp_checksum_of_zero_is_sent_as_ones(void **state)
{
	static struct frame in, wanted;
	static struct outcome o;
	unsigned seen[2] = {};

	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet request = client_packet(v6, UDP, 40000, 0);
		struct packet sent = towards_server(&request, *state, v6 ? 2 : 1, 0);

		frame_build(&sent, &wanted);
		/* The payload's first word takes up what the sum lacks: then the sum is all ones, the checksum zero. */
		for (unsigned first = 0; first < 0x10000; first++) {
			uint8_t *payload = wanted.bytes + frame_l4(&wanted) + UDP_SIZE;

			store16(payload, first);
			frame_sum(&wanted);
			if (load16(payload - 2) != 0xffff)
				continue;
			frame_build(&request, &in);
			store16(in.bytes + frame_l4(&in) + UDP_SIZE, first);
			frame_sum(&in);
			rig_run(*state, &in, 0, &o);
			assert_int_equal(o.verdict, VERDICT_NAT_REQUEST);
			rig_same_frame("ones", &o.out, &wanted);
			seen[v6]++;
		}
	}
	assert_true(seen[0]);
	assert_true(seen[1]);
}

static void hops_to_live(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = client_packet(v6, TCP, 40000, SYN);
		struct packet sent, answer;

		p.ttl = 255;
		passes_both_ways(*state, "a TTL of 255", p);
		p.ttl = 2;
		sent = towards_server(&p, *state, server, 0);
		assert_int_equal(sent.ttl, 1);
		expect(*state, "the last hop", p, NAT_REQUEST, .out = sent, .server = server);
		p.ttl = 1;
		gets_verdict(*state, "a TTL of 1 goes no further", &p, VERDICT_TTL_TOLD);
		answer = server_answer(&sent, SYN | ACK);
		answer.ttl = 1;
		gets_verdict(*state, "nor does a reply's", &answer, VERDICT_TTL_TOLD);
	}
}

/* Does not go on; what the sender is told is another suite's. */
static void too_big(struct rig *r, const struct packet *p)
{
	static struct outcome o;
	static struct frame in;

	frame_build(p, &in);
	rig_run(r, &in, 0, &o);
	assert_true(o.verdict == VERDICT_TOO_BIG_TOLD || o.verdict == VERDICT_TOO_BIG);
	assert_int_equal(o.out.bytes[5], o.verdict == VERDICT_TOO_BIG_TOLD ? L2_CLIENT : L2_LB);
}

static void larger_than_the_way_out(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = client_packet(v6, UDP, 40000, 0);

		p.payload = MTU - (v6 ? IP6_SIZE : IP4_SIZE) - UDP_SIZE;
		passes_both_ways(*state, "as large as the MTU", p);
		p.payload++;
		too_big(*state, &p);
		world_entry(*state, server)->mtu = 9000;
		passes_both_ways(*state, "one byte more on a larger MTU", p);
		p.payload = 9000 - (v6 ? IP6_SIZE : IP4_SIZE) - UDP_SIZE;
		passes_both_ways(*state, "a frame of several buffers", p);
		p.payload++;
		too_big(*state, &p);
	}
}

static void no_neighbour(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = client_packet(v6, TCP, 40000, SYN);
		struct packet later = client_packet(v6, TCP, 40000, ACK);
		struct packet sent;

		world_set_flags(r, server, 0, SERVER_RESOLVED);
		expect(r, "a new one", p, NO_NEIGHBOUR, .refused = 1);
		assert_int_equal(rig_live_flows(r, v6), 0);
		world_set_flags(r, server, SERVER_RESOLVED, 0);
		passes_both_ways(r, "resolved", p);
		world_set_flags(r, server, 0, SERVER_RESOLVED);
		expect(r, "a known one waits", later, NO_NEIGHBOUR);
		world_set_flags(r, server, SERVER_RESOLVED, 0);
		sent = towards_server(&later, r, server, 0);
		expect(r, "and goes on", later, NAT_REQUEST, .out = sent, .server = server);
	}
}

/* Own port and own address, but no such connection: not a reply; nothing of ours, so the host's. */
static void what_is_no_reply_is_the_hosts(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40000, SYN);
		struct packet sent = towards_server(&syn, *state, v6 ? 2 : 1, 0);
		struct packet answer = server_answer(&sent, SYN | ACK);
		struct packet other;

		expect(*state, "SYN", syn, NAT_REQUEST, .out = sent, .connections = 1);
		other = answer;
		other.dport++;
		expect(*state, "to another own port", other, NO_SERVICE);
		other = answer;
		other.sport++;
		expect(*state, "from another port", other, NO_SERVICE);
		other = answer;
		other.from = v6 ? "fd00::ff" : "10.0.0.255";
		expect(*state, "from another address", other, NO_SERVICE);
		other = answer;
		other.protocol = UDP;
		expect(*state, "of another protocol", other, NO_SERVICE);
		other = answer;
		other.to = v6 ? VIP6 : VIP4;
		expect(*state, "to the service's address", other, NO_SERVICE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(both_ways),
		rig_test(port_zero_keeps_the_packets),
		rig_test(odd_and_empty_payloads),
		rig_test(padded_short_frames),
		rig_test(syn_with_data_and_options),
		rig_test(ip_options),
		rig_test(udp_without_checksum_stays_without),
		rig_test(udp_checksum_of_zero_is_sent_as_ones),
		rig_test(hops_to_live),
		rig_test(larger_than_the_way_out),
		rig_test(no_neighbour),
		rig_test(what_is_no_reply_is_the_hosts),
	};

	return cmocka_run_group_tests_name("nat", tests, rig_open, rig_close);
}
