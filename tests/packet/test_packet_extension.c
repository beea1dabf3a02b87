/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IPv6 extension headers: stepped over to a depth and a length, and left as they are; TCP's and UDP's sums are right
 * behind them. What is deeper, longer or cut short is the host's.
 */
#include <string.h>

#include "wire.h"
#include "world.h"

static struct frame in, wanted;
static struct outcome o;

static const uint8_t types[] = { HOP_BY_HOP, ROUTING, DESTINATION, FRAGMENT_HEADER };

static void gives(struct rig *r, const char *what, enum verdict verdict)
{
	rig_run(r, &in, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
}

static void out_is(struct rig *r, const char *what, enum verdict verdict)
{
	gives(r, what, verdict);
	rig_same_frame(what, &o.out, &wanted);
}

/* `count` headers, their types by the digits of `mix`. */
static void extend(struct frame *f, unsigned count, unsigned mix)
{
	for (unsigned i = 0; i < count; i++, mix /= array_size(types)) {
		const uint8_t type = types[mix % array_size(types)];

		wire_extend(f, type, type == FRAGMENT_HEADER ? 1 : 1 + i, 0);
	}
}

static void every_chain_there_and_back(void **state)
{
	struct rig *r = *state;
	unsigned mixes = 1;

	world_lay(r, &(struct world){ .servers = 1 });
	handshake(r, true, 40000, 2, 0);
	for (unsigned count = 0; count <= EXTENSIONS_MAX; count++, mixes *= array_size(types))
		for (unsigned mix = 0; mix < mixes; mix++) {
			struct packet p = client_packet(true, TCP, 40000, ACK), sent = towards_server(&p, r, 2, 0);
			struct packet answer = server_answer(&sent, ACK), back = towards_client(&answer, &p);

			frame_build(&p, &in);
			frame_build(&sent, &wanted);
			extend(&in, count, mix);
			extend(&wanted, count, mix);
			assert_null(frame_wrong(&in));
			out_is(r, "request", VERDICT_NAT_REQUEST);
			frame_build(&answer, &in);
			frame_build(&back, &wanted);
			extend(&in, count, mix);
			extend(&wanted, count, mix);
			out_is(r, "reply", VERDICT_NAT_REPLY);
		}
}

static void udp_and_new_connections(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 64 });
	for (unsigned count = 0; count <= EXTENSIONS_MAX; count++) {
		struct packet syn = client_packet(true, TCP, 40000 + count, SYN);
		struct packet udp = client_packet(true, UDP, 40000 + count, 0);
		struct packet sent = towards_server(&syn, r, 2, own_port(r, &syn, 2));

		frame_build(&syn, &in);
		frame_build(&sent, &wanted);
		extend(&in, count, 27);
		extend(&wanted, count, 27);
		out_is(r, "SYN", VERDICT_NAT_REQUEST);
		sent = towards_server(&udp, r, 2, own_port(r, &udp, 2));
		frame_build(&udp, &in);
		frame_build(&sent, &wanted);
		extend(&in, count, 27);
		extend(&wanted, count, 27);
		out_is(r, "UDP", VERDICT_NAT_REQUEST);
	}
}

static void dsr(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 1 });
	for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++) {
		struct packet p = client_packet(true, TCP, 40000, ACK), sent = p;

		sent.l2_from = L2_LB;
		sent.l2_to = L2_SERVER + 2;
		sent.ttl = 63;
		frame_build(&p, &in);
		frame_build(&sent, &wanted);
		extend(&in, EXTENSIONS_MAX, 27);
		extend(&wanted, EXTENSIONS_MAX, 27);
		wire_tag_all(&in, tagging);
		wire_tag_all(&wanted, tagging);
		out_is(r, "dsr", VERDICT_DSR);
	}
}

static void refused_in_plain_packets(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 0 });
	for (unsigned count = 0; count <= EXTENSIONS_MAX; count++) {
		struct packet p = client_packet(true, TCP, 40000, SYN);
		struct packet reset = { .l2_from = L2_LB, .l2_to = L2_CLIENT, .from = p.to, .to = p.from,
					.sport = p.dport, .dport = p.sport, .protocol = TCP, .flags = RST | ACK,
					.ack = p.seq + 1, .bare = true };

		frame_build(&p, &in);
		extend(&in, count, 27);
		frame_build(&reset, &wanted);
		out_is(r, "RST", VERDICT_REJECTED);
	}
}

static void one_too_many(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (size_t i = 0; i < array_size(types); i++) {
		struct packet p = client_packet(true, TCP, 40000, SYN);

		frame_build(&p, &in);
		for (unsigned n = 0; n < EXTENSIONS_MAX; n++)
			wire_extend(&in, types[i], 1, 0);
		gives(r, "at the limit", VERDICT_NAT_REQUEST);
		wire_extend(&in, types[i], 1, 0);
		gives(r, "one above", VERDICT_EXTENSION);
	}
}

/* Lengths go by eight. */
static void as_long_as_may_be(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (unsigned first = 1; first < EXTENSION_BYTES_MAX / 8; first += 21) {
		struct packet p = client_packet(true, TCP, 40000, SYN);

		frame_build(&p, &in);
		wire_extend(&in, DESTINATION, first, 0);
		wire_extend(&in, HOP_BY_HOP, EXTENSION_BYTES_MAX / 8 - first, 0);
		gives(r, "at the limit", VERDICT_NAT_REQUEST);
		frame_build(&p, &in);
		wire_extend(&in, DESTINATION, first + 1, 0);
		wire_extend(&in, HOP_BY_HOP, EXTENSION_BYTES_MAX / 8 - first, 0);
		gives(r, "8 bytes above", VERDICT_EXTENSION);
	}
}

/* With segments left the packet is for another place. */
static void a_routing_header_in_use(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (unsigned left = 0; left < 256; left += 51) {
		struct packet p = client_packet(true, TCP, 40000, SYN);

		frame_build(&p, &in);
		wire_extend(&in, ROUTING, 3, left);
		gives(r, "segments left", left ? VERDICT_EXTENSION : VERDICT_NAT_REQUEST);
	}
}

static void followed_by_what_is_not_steered(void **state)
{
	static const uint8_t nexts[] = { 59 /* none */, 50 /* ESP */, 51 /* AH */, 58 /* ICMPv6 */, 135, 139, 140, 253, 1 };
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (size_t i = 0; i < array_size(nexts); i++) {
		struct packet p = client_packet(true, TCP, 40000, SYN);

		frame_build(&p, &in);
		in.bytes[ETH_SIZE + 6] = nexts[i];
		wire_extend(&in, HOP_BY_HOP, 1, 0);
		gives(r, "another protocol", VERDICT_OTHER_PROTOCOL);
	}
}

static void cut_at_every_byte(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (unsigned claims = 0; claims < 2; claims++) {
		struct packet p = client_packet(true, TCP, 40000, SYN);

		frame_build(&p, &in);
		extend(&in, EXTENSIONS_MAX, 228);
		gives(r, "whole", VERDICT_NAT_REQUEST);
		while (--in.length > ETH_SIZE + IP6_SIZE) {
			if (claims)
				store16(in.bytes + ETH_SIZE + 4, in.length - ETH_SIZE - IP6_SIZE);
			gives(r, "cut", VERDICT_TRUNCATED);
		}
	}
}

/* A header that says it is longer than the packet, whatever lies behind the packet. */
static void longer_than_the_packet(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (unsigned units = 1; units < 256; units++) {
		struct packet p = client_packet(true, TCP, 40000, SYN);
		const unsigned bytes = 8 * (units + 1);

		p.padding = 200;
		frame_build(&p, &in);
		wire_extend(&in, HOP_BY_HOP, 1, 0);
		in.bytes[ETH_SIZE + IP6_SIZE + 1] = units;
		gives(r, "an extension header", bytes > EXTENSION_BYTES_MAX ? VERDICT_EXTENSION : VERDICT_TRUNCATED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(every_chain_there_and_back),
		rig_test(udp_and_new_connections),
		rig_test(dsr),
		rig_test(refused_in_plain_packets),
		rig_test(one_too_many),
		rig_test(as_long_as_may_be),
		rig_test(a_routing_header_in_use),
		rig_test(followed_by_what_is_not_steered),
		rig_test(cut_at_every_byte),
		rig_test(longer_than_the_packet),
	};

	return cmocka_run_group_tests_name("extension", tests, rig_open, rig_close);
}
