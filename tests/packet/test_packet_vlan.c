/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 802.1Q and QinQ: whatever is done with a packet, the tags it came with stay in front of it, bit by bit; a server's
 * reply keeps its own. ipip is test_packet_tunnel.c's.
 */
#include <string.h>

#include "wire.h"
#include "world.h"

static struct frame in, wanted;

/* Both are given the same tags; one goes in, and the other must come out. */
static void tagged(struct rig *r, const char *what, unsigned tagging, enum verdict verdict)
{
	static struct outcome o;

	wire_tag_all(&in, tagging);
	wire_tag_all(&wanted, tagging);
	rig_run(r, &in, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s, tagging %u: verdict %s, not %s", what, tagging, verdict_name(o.verdict),
			 verdict_name(verdict));
	rig_same_frame(what, &o.out, &wanted);
}

static void tagged_packet(struct rig *r, const char *what, unsigned tagging, const struct packet *p,
			  const struct packet *out, enum verdict verdict)
{
	frame_build(p, &in);
	frame_build(out, &wanted);
	tagged(r, what, tagging, verdict);
}

static void nat_both_ways(void **state)
{
	static const uint8_t protocols[] = { TCP, UDP };
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 64 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++)
			for (size_t i = 0; i < array_size(protocols); i++) {
				const uint32_t server = v6 ? 2 : 1;
				struct packet p = client_packet(v6, protocols[i], 40000 + tagging,
								protocols[i] == TCP ? SYN : 0);
				struct packet sent = towards_server(&p, r, server, own_port(r, &p, server));
				struct packet answer = server_answer(&sent, protocols[i] == TCP ? SYN | ACK : 0);
				struct packet back = towards_client(&answer, &p);

				tagged_packet(r, "request", tagging, &p, &sent, VERDICT_NAT_REQUEST);
				tagged_packet(r, "reply", tagging, &answer, &back, VERDICT_NAT_REPLY);
			}
}

static void dsr(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++) {
			struct packet p = client_packet(v6, TCP, 40000, ACK), sent = p;

			sent.l2_from = L2_LB;
			sent.l2_to = L2_SERVER + (v6 ? 2 : 1);
			sent.ttl = 63;
			tagged_packet(r, "dsr", tagging, &p, &sent, VERDICT_DSR);
		}
}

/* What goes back the way it came. */
static struct packet reset_of(const struct packet *p)
{
	return (struct packet){
		.l2_from = p->l2_to, .l2_to = p->l2_from, .from = p->to, .to = p->from, .sport = p->dport,
		.dport = p->sport, .protocol = TCP, .flags = RST | ACK, .ack = p->seq + 1, .bare = true,
	};
}

static void reset(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 0 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++) {
			struct packet p = client_packet(v6, TCP, 40000, SYN), answer = reset_of(&p);

			p.tcp_options = 20;
			tagged_packet(r, "RST", tagging, &p, &answer, VERDICT_REJECTED);
		}
}

static void unreachable(struct rig *r, bool v6, unsigned tagging, uint16_t payload)
{
	struct packet p = client_packet(v6, UDP, 40000, 0);
	const size_t quoted = (v6 ? IP6_SIZE : IP4_SIZE) + 8;

	p.payload = payload;
	frame_build(&p, &in);
	wire_icmp(&(struct wire_icmp){
		.p = { .l2_from = p.l2_to, .l2_to = p.l2_from, .from = p.to, .to = p.from, .bare = true },
		.type = v6 ? 1 : 3, .code = v6 ? 4 : 3, .data = in.bytes + ETH_SIZE, .length = quoted }, &wanted);
	tagged(r, "port unreachable", tagging, VERDICT_REJECTED);
}

static void port_unreachable(void **state)
{
	static const uint16_t payloads[] = { 0, 1, 37, 1400 };
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 0 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++)
			for (size_t i = 0; i < array_size(payloads); i++)
				unreachable(r, v6, tagging, payloads[i]);
}

static void echo(void **state)
{
	static const uint8_t payload[] = "tags";
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	world_unowned(r, VIP4, true);
	world_unowned(r, VIP6, true);
	world_publish(r);
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned tagging = 0; tagging < WIRE_TAGGINGS; tagging++) {
			struct wire_icmp i = { .p = client_packet(v6, TCP, 0, 0), .type = v6 ? 128 : 8,
					       .info = 0x12340001, .data = payload, .length = sizeof(payload) };

			wire_icmp(&i, &in);
			i.p.from = i.p.to;
			i.p.to = v6 ? CLIENT6 : CLIENT4;
			i.p.l2_from = L2_LB;
			i.p.l2_to = L2_CLIENT;
			i.type = v6 ? 129 : 0;
			wire_icmp(&i, &wanted);
			tagged(r, "echo", tagging, VERDICT_ECHO);
		}
}

/* The host's own: untouched (rig_run compares), and counted by what is behind the tags. */
static void gives(struct rig *r, const char *what, enum verdict verdict)
{
	static struct outcome o;

	rig_run(r, &in, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
}

static void three_tags_are_the_hosts(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, SYN);

		frame_build(&p, &in);
		for (int i = 0; i < VLAN_TAGS_MAX + 1; i++)
			wire_tag(&in, 0x8100, 7);
		gives(r, "one tag too many", VERDICT_NOT_IP);
	}
}

static void what_is_not_ours_passes_with_its_tags(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned tagging = 1; tagging < WIRE_TAGGINGS; tagging++) {
			struct packet p = client_packet(v6, TCP, 40000, SYN);

			p.dport = 81;
			frame_build(&p, &in);
			wire_tag_all(&in, tagging);
			gives(r, "another port", VERDICT_NO_SERVICE);
			store16(in.bytes + frame_l3(&in) - 2, 0x0806);
			gives(r, "ARP", VERDICT_NOT_IP);
		}
}

static void cut_in_a_tag(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (unsigned tags = 1; tags <= VLAN_TAGS_MAX; tags++)
		for (size_t left = 0; left < 4; left++) {
			struct packet p = client_packet(false, TCP, 40000, SYN);

			frame_build(&p, &in);
			for (unsigned i = 0; i < tags; i++)
				wire_tag(&in, 0x8100, 7);
			in.length = ETH_SIZE + (tags - 1) * 4 + left;
			gives(r, "cut in a tag", VERDICT_TRUNCATED);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(nat_both_ways),
		rig_test(dsr),
		rig_test(reset),
		rig_test(port_unreachable),
		rig_test(echo),
		rig_test(three_tags_are_the_hosts),
		rig_test(what_is_not_ours_passes_with_its_tags),
		rig_test(cut_in_a_tag),
	};

	return cmocka_run_group_tests_name("vlan", tests, rig_open, rig_close);
}
