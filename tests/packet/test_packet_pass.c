/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is not for a service of ours goes to the host byte for byte as it came, and is counted by what it was.
 */
#include <string.h>

#include "world.h"

static struct frame frame;

/* The frame passes untouched (rig_run compares), with this verdict, and is counted nowhere else. */
static void passes(struct rig *r, const char *what, enum verdict verdict)
{
	static struct outcome o;

	rig_run(r, &frame, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
	assert_int_equal(o.service, -1);
	assert_int_equal(o.server, 0);
	assert_int_equal(rig_live_flows(r, false) + rig_live_flows(r, true), 0);
}

static void build(const struct packet *p)
{
	frame_build(p, &frame);
}

static void not_ip(void **state)
{
	static const uint16_t types[] = { 0x0806, 0x88cc, 0x8863, 0x05dc, 0xffff };
	struct packet p = client_packet(false, TCP, 40000, SYN);

	world_lay(*state, &(struct world){ .servers = 1 });
	for (size_t i = 0; i < array_size(types); i++) {
		build(&p);
		store16(frame.bytes + 12, types[i]);
		passes(*state, "an ethertype of others", VERDICT_NOT_IP);
	}
	memset(frame.bytes, 0xff, ETH_SIZE);
	frame.length = ETH_SIZE;
	passes(*state, "the shortest frame", VERDICT_NOT_IP);
}

static void other_protocols(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned protocol = 0; protocol < 256; protocol++) {
			struct packet p = client_packet(v6, TCP, 40000, SYN);
			enum verdict verdict = VERDICT_OTHER_PROTOCOL;

			if (protocol == TCP || protocol == UDP)
				continue;
			build(&p);
			frame.bytes[ETH_SIZE + (v6 ? 6 : 9)] = protocol;
			if (v6 && (protocol == 0 || protocol == 43 || protocol == 60))
				verdict = VERDICT_EXTENSION;
			if (v6 && protocol == 44)
				verdict = VERDICT_FRAGMENT;
			passes(*state, "another protocol", verdict);
		}
}

/* Of a packet whose first fragment was not seen. */
static void later_fragments(void **state)
{
	static const struct {
		const char *what;
		uint16_t word;
	} cases[] = {
		{ "one in the middle", 0x2001 }, { "the last", 0x0001 },
		{ "far behind", 0x1fff }, { "the last, with DF", 0x40b9 },
	};

	world_lay(*state, &(struct world){ .servers = 1 });
	for (size_t i = 0; i < array_size(cases); i++) {
		struct packet p = client_packet(false, i & 1 ? UDP : TCP, 40000, ACK);

		build(&p);
		store16(frame.bytes + ETH_SIZE + 6, cases[i].word);
		passes(*state, cases[i].what, VERDICT_FRAGMENT);
	}
}

static void an_unfragmented_packet_is_no_fragment(void **state)
{
	static const uint16_t words[] = { 0x0000, 0x4000, 0x8000, 0xc000 };
	struct packet p = client_packet(false, UDP, 40000, 0);
	static struct outcome o;

	world_lay(*state, &(struct world){ .servers = 1 });
	for (size_t i = 0; i < array_size(words); i++) {
		build(&p);
		store16(frame.bytes + ETH_SIZE + 6, words[i]);
		frame_sum(&frame);
		rig_run(*state, &frame, 0, &o);
		assert_int_equal(o.verdict, VERDICT_NAT_REQUEST);
	}
}

static void no_service(void **state)
{
	static const struct {
		const char *what, *to4, *to6;
		uint16_t port;
		uint8_t protocol;
	} cases[] = {
		{ "another port", VIP4, VIP6, 81, TCP },
		{ "the same port of the other protocol", VIP4, VIP6, 80, UDP },
		{ "the same port of the other protocol", VIP4, VIP6, 53, TCP },
		{ "another address", "192.0.2.11", "2001:db8::11", 80, TCP },
		{ "an own address", OWN4, OWN6, 80, TCP },
		{ "an own address, a port of the pools, but no reply", OWN4, OWN6, PORT_LOW, TCP },
		{ "a service's address, a port of the pools", VIP4, VIP6, PORT_LOW, TCP },
		{ "port 0", VIP4, VIP6, 0, TCP },
		{ "a server's address", "10.0.0.1", "fd00::2", 8080, TCP },
		{ "broadcast", "255.255.255.255", "ff02::1", 80, TCP },
	};

	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < array_size(cases); i++) {
			struct packet p = client_packet(v6, cases[i].protocol, 40000, SYN);

			p.to = v6 ? cases[i].to6 : cases[i].to4;
			p.dport = cases[i].port;
			build(&p);
			passes(*state, cases[i].what, VERDICT_NO_SERVICE);
		}
}

/* What can't be valid is dropped only where it is for us: here the host has the say. */
static void malformed_for_others(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, SYN | FIN);

		p.dport = 81;
		build(&p);
		passes(*state, "SYN and FIN", VERDICT_NO_SERVICE);
		build(&p);
		frame.bytes[frame_l4(&frame) + 12] = 0;
		passes(*state, "a data offset of 0", VERDICT_NO_SERVICE);
		p.protocol = UDP;
		build(&p);
		store16(frame.bytes + frame_l4(&frame) + 4, 0xffff);
		passes(*state, "a UDP length of 65535", VERDICT_NO_SERVICE);
	}
}

static void before_anything_is_configured(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, SYN);

		build(&p);
		passes(*state, "an empty table", VERDICT_NO_SERVICE);
	}
}

static void frames_of_several_buffers(void **state)
{
	world_lay(*state, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, UDP, 40000, 0);

		p.dport = 9999;
		p.payload = 8900;
		build(&p);
		passes(*state, "9000 bytes for the host", VERDICT_NO_SERVICE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(not_ip),
		rig_test(other_protocols),
		rig_test(later_fragments),
		rig_test(an_unfragmented_packet_is_no_fragment),
		rig_test(no_service),
		rig_test(malformed_for_others),
		rig_test(before_anything_is_configured),
		rig_test(frames_of_several_buffers),
	};

	return cmocka_run_group_tests_name("pass", tests, rig_open, rig_close);
}
