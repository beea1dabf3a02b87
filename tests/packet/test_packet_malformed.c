/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that lie about themselves. Where a header is cut off or claims what the frame does not hold, the host has the
 * say; where the packet is for a service and its TCP or UDP header cannot be, it is dropped. Nothing is remembered,
 * nothing is sent, and a packet cut anywhere hurts nobody.
 */
#include <string.h>

#include "world.h"

static struct frame frame;
static struct outcome outcome;

static void gives(struct rig *r, const char *what, enum verdict verdict)
{
	const size_t flows = rig_live_flows(r, false) + rig_live_flows(r, true);

	rig_run(r, &frame, 0, &outcome);
	if (outcome.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(outcome.verdict), verdict_name(verdict));
	assert_int_equal(rig_live_flows(r, false) + rig_live_flows(r, true), flows);
}

static void build(bool v6, uint8_t protocol, uint8_t flags)
{
	struct packet p = client_packet(v6, protocol, 40000, flags);

	frame_build(&p, &frame);
}

/* Cut off at every length: with the header's own claim as it was, and with one that fits. */
static void cut_anywhere(struct rig *r, const struct packet *p, bool claim_fits, enum verdict whole)
{
	const bool v6 = packet_is_v6(p);
	const size_t ip_header = v6 ? IP6_SIZE : IP4_SIZE + p->ip_options;
	const size_t l4_header = p->protocol == TCP ? TCP_SIZE : UDP_SIZE;
	size_t length;

	frame_build(p, &frame);
	for (length = frame.length; length >= ETH_SIZE; length--) {
		const size_t rest = length - ETH_SIZE;

		frame_build(p, &frame);
		frame.length = length;
		if (claim_fits && v6 && rest >= IP6_SIZE)
			store16(frame.bytes + ETH_SIZE + 4, rest - IP6_SIZE);
		else if (claim_fits && !v6)
			store16(frame.bytes + ETH_SIZE + 2, rest);
		rig_run(r, &frame, 0, &outcome);
		if (rest == packet_ip_length(p))
			assert_int_equal(outcome.verdict, whole);
		else if (!claim_fits || rest < ip_header + l4_header)
			assert_int_equal(outcome.verdict, VERDICT_TRUNCATED);
		else if (p->protocol == UDP || rest < ip_header + l4_header + p->tcp_options)
			assert_int_equal(outcome.verdict, VERDICT_MALFORMED);
	}
}

static void truncated_at_every_byte(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet tcp = client_packet(v6, TCP, 40000, SYN), udp = client_packet(v6, UDP, 40000, 0);

		tcp.tcp_options = 12;
		tcp.payload = 9;
		if (!v6)
			tcp.ip_options = udp.ip_options = 8;
		for (int fits = 0; fits < 2; fits++) {
			cut_anywhere(r, &tcp, fits, VERDICT_NAT_REQUEST);
			cut_anywhere(r, &udp, fits, VERDICT_NAT_REQUEST);
		}
	}
}

/* A server's answer cut anywhere: never sent on but whole, or where only its data is shorter than it was. */
static void truncated_replies(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet request = client_packet(v6, TCP, 40000, ACK), sent, answer;

		handshake(r, v6, 40000, server, 0);
		sent = towards_server(&request, r, server, 0);
		answer = server_answer(&sent, ACK);
		cut_anywhere(r, &answer, false, VERDICT_NAT_REPLY);
	}
}

/* What lies behind the packet's end in the frame is padding, not a header. */
static void padding_is_no_header(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet request = client_packet(v6, TCP, 40000, ACK), sent, answer;
		const size_t header = v6 ? IP6_SIZE : IP4_SIZE;

		handshake(r, v6, 40000, v6 ? 2 : 1, 0);
		sent = towards_server(&request, r, v6 ? 2 : 1, 0);
		answer = server_answer(&sent, ACK);
		for (size_t rest = 0; rest < TCP_SIZE; rest++) {
			frame_build(&request, &frame);
			store16(frame.bytes + ETH_SIZE + (v6 ? 4 : 2), v6 ? rest : header + rest);
			gives(r, "a request", VERDICT_TRUNCATED);
			frame_build(&answer, &frame);
			store16(frame.bytes + ETH_SIZE + (v6 ? 4 : 2), v6 ? rest : header + rest);
			gives(r, "a reply", VERDICT_TRUNCATED);
		}
	}
}

static void ip_headers(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (unsigned ihl = 0; ihl < 5; ihl++) {
		build(false, TCP, SYN);
		frame.bytes[ETH_SIZE] = 0x40 | ihl;
		gives(r, "an IPv4 header below 20 bytes", VERDICT_TRUNCATED);
	}
	build(false, UDP, 0);
	frame.bytes[ETH_SIZE] = 0x4f;
	store16(frame.bytes + ETH_SIZE + 2, 59);
	gives(r, "an IPv4 header beyond the packet", VERDICT_TRUNCATED);
	for (unsigned version = 0; version < 16; version++) {
		build(false, TCP, SYN);
		frame.bytes[ETH_SIZE] = version << 4 | 5;
		if (version != 4)
			gives(r, "a version that is not 4", VERDICT_TRUNCATED);
		build(true, TCP, SYN);
		frame.bytes[ETH_SIZE] = version << 4;
		if (version != 6)
			gives(r, "a version that is not 6", VERDICT_TRUNCATED);
	}
	build(false, TCP, SYN);
	store16(frame.bytes + ETH_SIZE + 2, frame.length - ETH_SIZE + 1);
	gives(r, "a total length one beyond the frame", VERDICT_TRUNCATED);
	store16(frame.bytes + ETH_SIZE + 2, 0xffff);
	gives(r, "a total length of 65535", VERDICT_TRUNCATED);
	for (unsigned length = 0; length < IP4_SIZE; length++) {
		store16(frame.bytes + ETH_SIZE + 2, length);
		gives(r, "a total length below the header's", VERDICT_TRUNCATED);
	}
	build(true, TCP, SYN);
	store16(frame.bytes + ETH_SIZE + 4, frame.length - ETH_SIZE - IP6_SIZE + 1);
	gives(r, "a payload length one beyond the frame", VERDICT_TRUNCATED);
	store16(frame.bytes + ETH_SIZE + 4, 0xffff);
	gives(r, "a payload length of 65535", VERDICT_TRUNCATED);
	store16(frame.bytes + ETH_SIZE + 4, 0);
	gives(r, "a payload length of 0 (a jumbogram's)", VERDICT_TRUNCATED);
}

static void tcp_headers(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		for (unsigned offset = 0; offset < 16; offset++) {
			build(v6, TCP, ACK);
			frame.bytes[frame_l4(&frame) + 12] = offset << 4;
			/* With 37 bytes of data up to 56 can be header. What is valid is of no connection. */
			gives(r, "a data offset", offset < 5 || offset > 14 ? VERDICT_MALFORMED : VERDICT_NO_FLOW);
		}
		for (unsigned flags = 0; flags < 256; flags++) {
			if (!(flags & SYN) || !(flags & (FIN | RST)))
				continue;
			build(v6, TCP, SYN);
			frame.bytes[frame_l4(&frame) + 13] = flags;
			gives(r, "SYN with FIN or RST", VERDICT_MALFORMED);
		}
	}
}

static void udp_headers(void **state)
{
	struct rig *r = *state;
	static const uint16_t lengths[] = { 0, 1, 7, UDP_SIZE + 38, 0x7fff, 0xffff };

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < array_size(lengths); i++) {
			build(v6, UDP, 0);
			store16(frame.bytes + frame_l4(&frame) + 4, lengths[i]);
			gives(r, "a UDP length below the header or beyond the packet", VERDICT_MALFORMED);
		}
}

/* UDP's own length may be less than IP's: what is behind it is nobody's, and the checksum still counts. */
static void a_shorter_udp_length_is_valid(void **state)
{
	struct rig *r = *state;
	struct packet udp = client_packet(false, UDP, 40000, 0);

	world_lay(r, &(struct world){ .servers = 1, .forward = FORWARD_DSR });
	frame_build(&udp, &frame);
	store16(frame.bytes + frame_l4(&frame) + 4, UDP_SIZE + 36);
	store16(frame.bytes + frame_l4(&frame) + 6, 0);
	rig_run(r, &frame, 0, &outcome);
	assert_int_equal(outcome.verdict, VERDICT_DSR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(truncated_at_every_byte),
		rig_test(truncated_replies),
		rig_test(padding_is_no_header),
		rig_test(ip_headers),
		rig_test(tcp_headers),
		rig_test(udp_headers),
		rig_test(a_shorter_udp_length_is_valid),
	};

	return cmocka_run_group_tests_name("malformed", tests, rig_open, rig_close);
}
