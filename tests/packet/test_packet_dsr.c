/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dsr: the frame goes to the server's MAC with one hop less to live, all else is the client's. Both families, both
 * protocols, every way to choose the server.
 */
#include <arpa/inet.h>
#include <string.h>

#include <alwayson/hash.h>

#include "world.h"

static struct packet to_mac_of(const struct packet *request, uint32_t server)
{
	struct packet p = *request;

	p.l2_from = L2_LB;
	p.l2_to = L2_SERVER + server;
	p.ttl = (request->ttl ? request->ttl : 64) - 1;
	return p;
}

static void only_the_frame_changes(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet syn = client_packet(v6, TCP, 40000, SYN);
		struct packet data = client_packet(v6, TCP, 40000, ACK);
		struct packet udp = client_packet(v6, UDP, 40000, 0);

		syn.tcp_options = 20;
		expect(r, "SYN", syn, DSR, .out = to_mac_of(&syn, server), .server = server, .connections = 1);
		expect(r, "data", data, DSR, .out = to_mac_of(&data, server), .server = server);
		expect(r, "UDP", udp, DSR, .out = to_mac_of(&udp, server), .server = server, .connections = 1);
		expect(r, "UDP again", udp, DSR, .out = to_mac_of(&udp, server), .server = server);
		udp.payload = 1;
		udp.padding = 31;
		expect(r, "padded", udp, DSR, .out = to_mac_of(&udp, server), .server = server);
	}
}

static void checksums_are_not_looked_at(void **state)
{
	struct rig *r = *state;
	struct packet udp = client_packet(false, UDP, 40000, 0);

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	udp.no_checksum = true;
	udp.ip_options = 40;
	expect(r, "no checksum, IPv4 options", udp, DSR, .out = to_mac_of(&udp, 1), .server = 1, .connections = 1);
}

static void hops_to_live(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = client_packet(v6, TCP, 40000, SYN);

		p.ttl = 2;
		expect(r, "the last hop", p, DSR, .out = to_mac_of(&p, server), .connections = 1);
		p.ttl = 1;
		gets_verdict(r, "goes no further", &p, VERDICT_TTL_TOLD);
	}
}

static void every_ttl_keeps_the_header_sum_right(void **state)
{
	struct rig *r = *state;
	struct packet p = client_packet(false, TCP, 40000, SYN);

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	for (unsigned ttl = 2; ttl < 256; ttl++) {
		p.ttl = ttl;
		expect(r, "a TTL", p, DSR, .out = to_mac_of(&p, 1), .connections = ttl == 2);
	}
}

static void larger_than_the_way_out(void **state)
{
	static struct outcome o;
	static struct frame in;
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = client_packet(v6, UDP, 40000, 0);

		p.payload = MTU - (v6 ? IP6_SIZE : IP4_SIZE) - UDP_SIZE;
		expect(r, "as large as the MTU", p, DSR, .out = to_mac_of(&p, server), .connections = 1);
		p.payload++;
		frame_build(&p, &in);
		rig_run(r, &in, 0, &o);
		assert_true(o.verdict == VERDICT_TOO_BIG_TOLD || o.verdict == VERDICT_TOO_BIG);
		world_entry(r, server)->mtu = 9000;
		p.payload = 9000 - (v6 ? IP6_SIZE : IP4_SIZE) - UDP_SIZE;
		expect(r, "a frame of several buffers", p, DSR, .out = to_mac_of(&p, server));
	}
}

static void no_neighbour(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet syn = client_packet(v6, TCP, 40000, SYN);
		struct packet data = client_packet(v6, TCP, 40000, ACK);
		struct packet udp = client_packet(v6, UDP, 40000, 0);

		world_set_flags(r, server, 0, SERVER_RESOLVED);
		expect(r, "a new one", syn, NO_NEIGHBOUR, .refused = 1);
		expect(r, "UDP", udp, NO_NEIGHBOUR, .refused = 1);
		world_set_flags(r, server, SERVER_RESOLVED, 0);
		expect(r, "resolved", syn, DSR, .out = to_mac_of(&syn, server), .connections = 1);
		world_set_flags(r, server, 0, SERVER_RESOLVED);
		expect(r, "a known one waits", data, NO_NEIGHBOUR);
		world_set_flags(r, server, SERVER_RESOLVED, 0);
		expect(r, "and goes on", data, DSR, .out = to_mac_of(&data, server));
	}
}

/* Hashed, and no slot has changed owner: the hash finds the server of every packet, and nothing is remembered. */
static void hashed_remembers_nothing(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 3 });
	for (int v6 = 0; v6 < 2; v6++) {
		const struct hash_key key_tcp = world_key(r, v6 ? 2 : 0);
		uint64_t words[2][2] = {};
		struct addr client, vip;
		uint32_t server;
		uint64_t hash;
		struct packet p = client_packet(v6, TCP, 40001, ACK);

		addr_parse(v6 ? CLIENT6 : CLIENT4, &client);
		addr_parse(v6 ? VIP6 : VIP4, &vip);
		memcpy(words[0], client.bytes, 16);
		memcpy(words[1], vip.bytes, 16);
		hash = v6 ? hash_tuple6(&key_tcp, (__u64 *)words[0], (__u64 *)words[1], htons(40001), htons(80), TCP) :
			    hash_tuple4(&key_tcp, words[0][0], words[1][0], htons(40001), htons(80), TCP);
		server = world_slot(r, v6 ? 2 : 0, hash_slot(hash, world_slot_count(r, v6 ? 2 : 0)));
		expect(r, "a packet in mid-connection", p, DSR, .out = to_mac_of(&p, server), .server = server);
		assert_int_equal(rig_live_flows(r, v6), 0);
		p = client_packet(v6, TCP, 40001, SYN);
		expect(r, "a SYN", p, DSR, .out = to_mac_of(&p, server), .server = server, .connections = 1);
		p = client_packet(v6, TCP, 40001, FIN | ACK);
		expect(r, "a FIN", p, DSR, .out = to_mac_of(&p, server), .server = server);
		assert_int_equal(rig_live_flows(r, v6), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(only_the_frame_changes),
		rig_test(checksums_are_not_looked_at),
		rig_test(hops_to_live),
		rig_test(every_ttl_keeps_the_header_sum_right),
		rig_test(larger_than_the_way_out),
		rig_test(no_neighbour),
		rig_test(hashed_remembers_nothing),
	};

	return cmocka_run_group_tests_name("dsr", tests, rig_open, rig_close);
}
