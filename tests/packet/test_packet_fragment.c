/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams in fragments, IPv4 and IPv6: the first is steered, the others go where it went with what it was given, byte
 * for byte; whoever reassembles them gets a datagram whose checksum is right.
 */
#include <string.h>

#include "wire.h"
#include "world.h"

enum { PAYLOAD = 1000, CUT1 = 400, CUT2 = 800, FRAGMENTS = 3 };

static const size_t cuts[FRAGMENTS + 1] = { 0, CUT1, CUT2, 0xffff };

static struct frame whole, in, wanted;
static struct outcome o;

static void gives(struct rig *r, const char *what, enum verdict verdict)
{
	rig_run(r, &in, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
}

/* One fragment of a datagram in, the same one of another out. */
static void fragment(struct rig *r, const char *what, const struct packet *p, const struct packet *out, unsigned n,
		     uint32_t id, enum verdict verdict)
{
	frame_build(p, &whole);
	wire_fragment(&whole, cuts[n], cuts[n + 1], id, &in);
	if (out) {
		frame_build(out, &whole);
		wire_fragment(&whole, cuts[n], cuts[n + 1], id, &wanted);
	}
	gives(r, what, verdict);
	if (out)
		rig_same_frame(what, &o.out, &wanted);
}

static struct packet large(bool v6, uint8_t protocol, uint16_t sport)
{
	struct packet p = client_packet(v6, protocol, sport, protocol == TCP ? ACK : 0);

	p.payload = PAYLOAD;
	return p;
}

static void all_of(struct rig *r, const char *what, const struct packet *p, const struct packet *out, uint32_t id,
		   enum verdict verdict)
{
	for (unsigned n = 0; n < FRAGMENTS; n++)
		fragment(r, what, p, out, n, id, verdict);
}

static void nat_udp_both_ways(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = large(v6, UDP, 40000);
		struct packet sent = towards_server(&p, r, server, 0);
		struct packet answer = server_answer(&sent, 0);
		struct packet back;

		answer.payload = PAYLOAD;
		back = towards_client(&answer, &p);
		all_of(r, "request", &p, &sent, 77, VERDICT_NAT_REQUEST);
		all_of(r, "reply", &answer, &back, 78, VERDICT_NAT_REPLY);
		all_of(r, "another of the same flow", &p, &sent, 79, VERDICT_NAT_REQUEST);
		/* In any order, once the first was seen; and twice. */
		fragment(r, "the first", &p, &sent, 0, 80, VERDICT_NAT_REQUEST);
		fragment(r, "the last", &p, &sent, 2, 80, VERDICT_NAT_REQUEST);
		fragment(r, "the middle", &p, &sent, 1, 80, VERDICT_NAT_REQUEST);
		fragment(r, "the last again", &p, &sent, 2, 80, VERDICT_NAT_REQUEST);
	}
}

static void nat_udp_without_checksum(void **state)
{
	struct rig *r = *state;
	struct packet p = large(false, UDP, 40000), sent;

	p.no_checksum = true;
	world_lay(r, &(struct world){ .servers = 1 });
	sent = towards_server(&p, r, 1, 0);
	all_of(r, "request", &p, &sent, 77, VERDICT_NAT_REQUEST);
}

static void nat_tcp_both_ways(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = large(v6, TCP, 40000), sent = towards_server(&p, r, server, 0);
		struct packet answer = server_answer(&sent, ACK), back;

		answer.payload = PAYLOAD;
		back = towards_client(&answer, &p);
		handshake(r, v6, 40000, server, 0);
		all_of(r, "data", &p, &sent, 77, VERDICT_NAT_REQUEST);
		all_of(r, "data back", &answer, &back, 77, VERDICT_NAT_REPLY);
	}
}

static void nat_with_ipv4_options_and_tags(void **state)
{
	struct rig *r = *state;
	struct packet p = large(false, UDP, 40000), sent;

	p.ip_options = 12;
	world_lay(r, &(struct world){ .servers = 1 });
	sent = towards_server(&p, r, 1, 0);
	for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++)
		for (unsigned n = 0; n < FRAGMENTS; n++) {
			frame_build(&p, &whole);
			wire_fragment(&whole, cuts[n], cuts[n + 1], tagging, &in);
			frame_build(&sent, &whole);
			wire_fragment(&whole, cuts[n], cuts[n + 1], tagging, &wanted);
			wire_tag_all(&in, tagging);
			wire_tag_all(&wanted, tagging);
			gives(r, "tagged", VERDICT_NAT_REQUEST);
			rig_same_frame("tagged", &o.out, &wanted);
		}
}

static struct packet to_mac_of(const struct packet *request, uint32_t server)
{
	struct packet p = *request;

	p.l2_from = L2_LB;
	p.l2_to = L2_SERVER + server;
	p.ttl = 63;
	return p;
}

/* Hashed over several servers: the others have no ports to be hashed, and still reach the first one's server. */
static void dsr(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 3 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < 20; i++) {
			struct packet p = large(v6, UDP, 40000 + i), sent;

			frame_build(&p, &whole);
			wire_fragment(&whole, 0, CUT1, i, &in);
			gives(r, "the first", VERDICT_DSR);
			sent = to_mac_of(&p, o.server);
			all_of(r, "dsr", &p, &sent, i, VERDICT_DSR);
		}
}

/* The flow label of an outer IPv6 header is a hash, of which the others know no ports: not compared. */
static void ipip(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_IPIP, .balance = BALANCE_MAGLEV, .servers = 3 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < 40; i++) {
			struct packet p = large(v6, UDP, 40000 + i / 2);
			uint32_t server = 0;

			for (unsigned n = 0; n < FRAGMENTS; n++) {
				char to[ADDR_TEXT_MAX];
				struct packet sent;

				frame_build(&p, &whole);
				wire_fragment(&whole, cuts[n], cuts[n + 1], i, &in);
				gives(r, "ipip", VERDICT_IPIP);
				server = n ? server : o.server;
				sent = to_mac_of(&p, server);
				frame_build(&sent, &whole);
				wire_fragment(&whole, cuts[n], cuts[n + 1], i, &in);
				addr_format(&r->servers[server].addr, to);
				wire_wrap(&in, v6 ? OWN6 : OWN4, to, &wanted);
				wire_clear_label(&o.out);
				rig_same_frame("ipip", &o.out, &wanted);
			}
		}
}

/* Before the first, of another sender, to another address, of another id or (IPv4) protocol: the host's. */
static void unknown_ones_pass(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = large(v6, UDP, 40000), sent = towards_server(&p, r, v6 ? 2 : 1, 0), other = p;

		fragment(r, "before the first", &p, NULL, 1, 77, VERDICT_FRAGMENT);
		fragment(r, "the first", &p, &sent, 0, 77, VERDICT_NAT_REQUEST);
		fragment(r, "after the first", &p, &sent, 1, 77, VERDICT_NAT_REQUEST);
		fragment(r, "another id", &p, NULL, 1, 78, VERDICT_FRAGMENT);
		other.from = v6 ? "2001:db8:c::8" : "198.51.100.8";
		fragment(r, "another sender", &other, NULL, 1, 77, VERDICT_FRAGMENT);
		other = p;
		other.to = v6 ? OWN6 : OWN4;
		fragment(r, "another address", &other, NULL, 1, 77, VERDICT_FRAGMENT);
		if (!v6) {
			other = large(v6, TCP, 40000);
			fragment(r, "another protocol", &other, NULL, 1, 77, VERDICT_FRAGMENT);
		}
	}
}

static void for_no_service_all_pass(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = large(v6, UDP, 40000);

		p.dport = 9999;
		fragment(r, "the first", &p, NULL, 0, 77, VERDICT_NO_SERVICE);
		fragment(r, "the second", &p, NULL, 1, 77, VERDICT_FRAGMENT);
		p.protocol = v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
		fragment(r, "a large ping", &p, NULL, 0, 78, VERDICT_FRAGMENT);
		fragment(r, "its second", &p, NULL, 1, 78, VERDICT_FRAGMENT);
	}
}

/* Ids come round: what follows belongs to the latest first fragment. */
static void an_id_is_used_again(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet p = large(v6, UDP, 40000), q = large(v6, UDP, 40001), hosts = large(v6, UDP, 40002);
		struct packet p_sent = towards_server(&p, r, server, 0), q_sent = towards_server(&q, r, server, 1);

		all_of(r, "one flow", &p, &p_sent, 77, VERDICT_NAT_REQUEST);
		all_of(r, "another flow, the same id", &q, &q_sent, 77, VERDICT_NAT_REQUEST);
		hosts.dport = 9999;
		fragment(r, "the host's, the same id", &hosts, NULL, 0, 77, VERDICT_NO_SERVICE);
		fragment(r, "what follows is the host's", &hosts, NULL, 1, 77, VERDICT_FRAGMENT);
		fragment(r, "the last as well", &hosts, NULL, 2, 77, VERDICT_FRAGMENT);
	}
}

/* Refused ones take what follows nowhere. */
static void of_a_refused_one_nothing_follows(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = large(v6, UDP, 40000);

		p.ttl = 1;
		fragment(r, "the first", &p, NULL, 0, 77, VERDICT_TTL_TOLD);
		fragment(r, "the second", &p, NULL, 1, 77, VERDICT_FRAGMENT);
		p.ttl = 64;
		fragment(r, "the first", &p, NULL, 0, 77, VERDICT_NAT_REQUEST);
		p.ttl = 1;
		fragment(r, "the second", &p, NULL, 1, 77, VERDICT_TTL_EXCEEDED);
	}
}

static void a_removed_server_gets_none(void **state)
{
	static const enum abi_forward modes[] = { FORWARD_NAT, FORWARD_DSR, FORWARD_IPIP };
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(modes); i++) {
		world_lay(r, &(struct world){ .forward = modes[i], .servers = 1 });
		for (int v6 = 0; v6 < 2; v6++) {
			struct packet p = large(v6, UDP, 40000);

			frame_build(&p, &whole);
			wire_fragment(&whole, 0, CUT1, 77, &in);
			rig_run(r, &in, 0, &o);
			assert_true(verdict_sends(o.verdict));
			world_server_remove(r, v6 ? 2 : 1);
			fragment(r, "what follows", &p, NULL, 1, 77, VERDICT_FRAGMENT);
		}
		rig_clear(state);
	}
}

/* The UDP header tells the whole datagram's length. Not more than IP can carry, and not less than the header. */
static void the_first_ones_udp_length_is_the_datagrams(void **state)
{
	static const uint16_t lengths[] = { 8, CUT1, CUT1 + 1, 8 + PAYLOAD, 0xffff };
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = large(v6, UDP, 40000);

		for (size_t i = 0; i < array_size(lengths); i++) {
			frame_build(&p, &whole);
			store16(whole.bytes + frame_l4(&whole) + 4, lengths[i]);
			wire_fragment(&whole, 0, CUT1, 77, &in);
			gives(r, "a length", VERDICT_NAT_REQUEST);
		}
		store16(whole.bytes + frame_l4(&whole) + 4, 7);
		wire_fragment(&whole, 0, CUT1, 78, &in);
		gives(r, "a length below the header's", VERDICT_MALFORMED);
		wire_fragment(&whole, CUT1, CUT2, 78, &in);
		gives(r, "and nothing follows it", VERDICT_FRAGMENT);
	}
}

/* Ports that another fragment may bring (RFC 1858) are no ports. */
static void a_first_one_without_ports(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet tcp = large(v6, TCP, 40000);

		frame_build(&tcp, &whole);
		for (size_t size = 8; size < 24; size += 8) {
			wire_fragment(&whole, 0, size, 77, &in);
			gives(r, "8 or 16 bytes of TCP", VERDICT_TRUNCATED);
			wire_fragment(&whole, size, CUT1, 77, &in);
			gives(r, "the rest of it", VERDICT_FRAGMENT);
		}
	}
}

/* RFC 6946: a fragment header with neither offset nor more is a whole datagram. */
static void atomic_ones_are_whole(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int protocol = TCP; protocol <= UDP; protocol += UDP - TCP) {
		struct packet p = client_packet(true, protocol, 40000, protocol == TCP ? SYN : 0);
		struct packet sent = towards_server(&p, r, 2, own_port(r, &p, 2));

		frame_build(&p, &in);
		wire_extend(&in, FRAGMENT_HEADER, 1, 0);
		frame_build(&sent, &wanted);
		wire_extend(&wanted, FRAGMENT_HEADER, 1, 0);
		gives(r, "atomic", VERDICT_NAT_REQUEST);
		rig_same_frame("atomic", &o.out, &wanted);
	}
}

/* Behind the fragment header there may be options: then the first one's protocol is not what the others say is next. */
static void options_within_the_fragments(void **state)
{
	struct rig *r = *state;
	struct packet p = large(true, UDP, 40000), sent;

	world_lay(r, &(struct world){ .servers = 1 });
	sent = towards_server(&p, r, 2, 0);
	for (unsigned n = 0; n < FRAGMENTS; n++) {
		frame_build(&p, &whole);
		wire_extend(&whole, DESTINATION, 2, 0);
		wire_fragment(&whole, cuts[n], cuts[n + 1], 77, &in);
		frame_build(&sent, &whole);
		wire_extend(&whole, DESTINATION, 2, 0);
		wire_fragment(&whole, cuts[n], cuts[n + 1], 77, &wanted);
		wire_extend(&in, HOP_BY_HOP, 1, 0);
		wire_extend(&wanted, HOP_BY_HOP, 1, 0);
		gives(r, "options on both sides", VERDICT_NAT_REQUEST);
		rig_same_frame("options on both sides", &o.out, &wanted);
	}
}

static void cut_at_every_byte(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned n = 0; n < FRAGMENTS; n++) {
			struct packet p = large(v6, UDP, 40000);
			size_t length;

			frame_build(&p, &whole);
			wire_fragment(&whole, cuts[n], cuts[n + 1], 77, &in);
			gives(r, "whole", VERDICT_NAT_REQUEST);
			for (length = in.length; in.length > ETH_SIZE + 1; in.length--)
				if (in.length != length)
					gives(r, "cut", VERDICT_TRUNCATED);
		}
}

/* FRAGMENTS_MAX datagrams at a time: the least recently seen is forgotten, not a new one refused. */
static void as_many_as_there_is_room_for(void **state)
{
	static struct frame out;
	struct rig *r = *state;
	unsigned follow = 0;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 1 });
	for (uint32_t id = 0; id < FRAGMENTS_MAX + 1000; id++) {
		struct packet p = large(true, UDP, 40000);

		frame_build(&p, &whole);
		wire_fragment(&whole, 0, CUT1, id, &in);
		assert_int_equal(rig_run_raw(r, &in, 0, &out), XDP_TX);
		wire_fragment(&whole, CUT1, CUT2, id, &in);
		follow += rig_run_raw(r, &in, 0, &out) == XDP_TX;
	}
	rig_catch_up(r);
	/* The kernel's LRU is exact only within a CPU's batch. */
	assert_in_range(follow, FRAGMENTS_MAX + 990, FRAGMENTS_MAX + 1000);
	in.bytes[frame_l3(&in) + IP6_SIZE + 7] = 0;
	in.bytes[frame_l3(&in) + IP6_SIZE + 6] = 0;
	gives(r, "the first datagram of all", VERDICT_FRAGMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(nat_udp_both_ways),
		rig_test(nat_udp_without_checksum),
		rig_test(nat_tcp_both_ways),
		rig_test(nat_with_ipv4_options_and_tags),
		rig_test(dsr),
		rig_test(ipip),
		rig_test(unknown_ones_pass),
		rig_test(for_no_service_all_pass),
		rig_test(an_id_is_used_again),
		rig_test(of_a_refused_one_nothing_follows),
		rig_test(a_removed_server_gets_none),
		rig_test(the_first_ones_udp_length_is_the_datagrams),
		rig_test(a_first_one_without_ports),
		rig_test(atomic_ones_are_whole),
		rig_test(options_within_the_fragments),
		rig_test(cut_at_every_byte),
		rig_test(as_many_as_there_is_room_for),
	};

	return cmocka_run_group_tests_name("fragment", tests, rig_open, rig_close);
}
