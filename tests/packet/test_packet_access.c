/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access lists: whose connections may begin. Laid out by the agent's own code (agent/acls.c), searched by the program.
 * Open connections go on; every place of a list of many is found, and none beside it.
 */
#include <stdio.h>
#include <string.h>

#include "agent/acls.h"
#include "table/access.h"
#include "world.h"

static struct frame frame;
static struct outcome outcome;

/* A part of its own, at `first`, with these ranges; on all services of the family. */
static void refuse(struct rig *r, bool v6, uint32_t first, const struct access_ranges *ranges)
{
	_cleanup_free_ access_number *bounds = calloc(2 * ranges->count + 1, sizeof(*bounds));
	const size_t count = access_bounds(ranges, v6 ? AF_INET6 : AF_INET, bounds);

	for (size_t i = 0; i < count; i++)
		if (v6)
			r->m->access6[first + i] = (struct access_bound6){ .high = bounds[i] >> 64, .low = bounds[i] };
		else
			r->m->access4[first + i] = bounds[i];
	/* Behind the part others' bounds lie, which say the contrary. */
	if (v6)
		r->m->access6[first + count] = (struct access_bound6){};
	else
		r->m->access4[first + count] = 0;
	for (size_t i = v6 ? 2 : 0; i < (v6 ? 4 : 2); i++) {
		r->services.items[i].entry.access = (uint64_t)first << 32 | count;
		r->services.items[i].entry.flags |= SERVICE_ACCESS;
	}
	world_publish(r);
}

static void refuse_prefixes(struct rig *r, bool v6, const char *const *prefixes, bool negated)
{
	struct access_ranges ranges = {}, others = {};

	for (; *prefixes; prefixes++) {
		unsigned length;
		struct addr a;

		assert_int_equal(addr_parse_prefix(*prefixes, &a, &length), 0);
		assert_int_equal(access_add(&ranges, &a, length), 0);
	}
	access_merge(&ranges);
	if (negated)
		assert_int_equal(access_invert(&ranges, v6 ? AF_INET6 : AF_INET, &others), 0);
	refuse(r, v6, 5, negated ? &others : &ranges);
	vec_done(&ranges);
	vec_done(&others);
}

static enum verdict verdict_of(struct rig *r, const struct packet *p)
{
	frame_build(p, &frame);
	rig_run(r, &frame, 0, &outcome);
	return outcome.verdict;
}

static enum verdict from(struct rig *r, const char *client, uint8_t protocol, uint8_t flags)
{
	struct packet p = client_packet(strchr(client, ':'), protocol, 40000, flags);

	p.from = client;
	return verdict_of(r, &p);
}

static const struct world nat = { .servers = 2, .forward = FORWARD_NAT };
static const struct world hashed = { .servers = 2, .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .keep_port = true };

static void who_is_in_and_who_is_not(void **state)
{
	static const char *const list4[] = { "198.51.100.0/24", "192.0.2.77", NULL };
	static const char *const list6[] = { "2001:db8:c::/48", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", NULL };
	struct rig *r = *state;

	for (int negated = 0; negated < 2; negated++) {
		const enum verdict in = negated ? VERDICT_DSR : VERDICT_ACCESS_DENIED;
		const enum verdict out = negated ? VERDICT_ACCESS_DENIED : VERDICT_DSR;

		rig_clear(state);
		world_lay(r, &hashed);
		refuse_prefixes(r, false, list4, negated);
		refuse_prefixes(r, true, list6, negated);
		assert_int_equal(from(r, "198.51.100.0", TCP, SYN), in);
		assert_int_equal(from(r, "198.51.100.255", TCP, SYN), in);
		assert_int_equal(from(r, "198.51.99.255", TCP, SYN), out);
		assert_int_equal(from(r, "198.51.101.0", TCP, SYN), out);
		assert_int_equal(from(r, "192.0.2.77", TCP, SYN), in);
		assert_int_equal(from(r, "192.0.2.76", TCP, SYN), out);
		assert_int_equal(from(r, "192.0.2.78", TCP, SYN), out);
		assert_int_equal(from(r, "223.255.255.255", TCP, SYN), out);
		assert_int_equal(from(r, "1.0.0.0", TCP, SYN), out);
		assert_int_equal(from(r, "2001:db8:c::", TCP, SYN), in);
		assert_int_equal(from(r, "2001:db8:c:ffff:ffff:ffff:ffff:ffff", TCP, SYN), in);
		assert_int_equal(from(r, "2001:db8:b:ffff:ffff:ffff:ffff:ffff", TCP, SYN), out);
		assert_int_equal(from(r, "2001:db8:d::", TCP, SYN), out);
		assert_int_equal(from(r, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", TCP, SYN), in);
		assert_int_equal(from(r, "2001:db8:ffff:ffff:ffff:ffff:ffff:fffe", TCP, SYN), out);
		assert_int_equal(from(r, "2002::", TCP, SYN), out);
		/* Nothing is remembered of UDP here: each datagram is asked. */
		assert_int_equal(from(r, "198.51.100.9", UDP, 0), in);
		assert_int_equal(from(r, "198.51.101.9", UDP, 0), out);
		/* A packet that opens nothing is not. */
		assert_int_equal(from(r, "198.51.100.9", TCP, ACK), VERDICT_DSR);
	}
}

static const char *const usual4[] = { "198.51.100.0/24", NULL }, *const usual6[] = { "2001:db8:c::/48", NULL };

static void open_connections_go_on(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40001, SYN), answer;
		struct packet datagram = client_packet(v6, UDP, 40002, 0), reply;

		rig_clear(state);
		world_lay(r, &nat);
		handshake(r, v6, 40000, v6 ? 3 : 1, 0);
		assert_int_equal(verdict_of(r, &datagram), VERDICT_NAT_REQUEST);
		refuse_prefixes(r, v6, v6 ? usual6 : usual4, false);
		client_sends(r, v6, 40000, ACK | PSH, v6 ? 3 : 1, 0);
		server_sends(r, v6, 40000, ACK, v6 ? 3 : 1, 0);
		assert_int_equal(verdict_of(r, &datagram), VERDICT_NAT_REQUEST);
		answer = towards_client(&(struct packet){ .l2_from = L2_CLIENT, .l2_to = L2_LB, .from = syn.from, .to = syn.to,
							  .protocol = TCP, .sport = syn.sport, .dport = syn.dport }, &syn);
		answer.flags = RST | ACK;
		answer.ack = syn.seq + 1;
		answer.ttl = 64;
		answer.bare = true;
		expect(r, "a new one is told", syn, ACCESS_DENIED, .out = answer, .refused = 1);
		assert_false(rig_has_flow(r, &syn));
		datagram.sport++;
		assert_int_equal(verdict_of(r, &datagram), VERDICT_ACCESS_DENIED);
		assert_false(rig_has_flow(r, &datagram));
		reply = datagram;
		reply.sport++;
		reply.from = v6 ? "2001:db8:d::7" : "198.51.101.7";
		assert_int_equal(verdict_of(r, &reply), VERDICT_NAT_REQUEST);
	}
}

/* A SYN on the record of a connection that is over opens a new one. */
static void a_closed_record_is_no_way_in(void **state)
{
	struct rig *r = *state;
	const struct packet syn = client_packet(false, TCP, 40000, SYN);

	world_lay(r, &nat);
	handshake(r, false, 40000, 1, 0);
	client_sends(r, false, 40000, FIN | ACK, 1, 0);
	server_sends(r, false, 40000, FIN | ACK, 1, 0);
	refuse_prefixes(r, false, usual4, false);
	assert_int_equal(verdict_of(r, &syn), VERDICT_ACCESS_DENIED);
}

/* As many ranges as there can be, the part at the map's end: each is found, and what lies between. */
static void as_many_as_there_can_be(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t ranges = (v6 ? MODEL_PREFIXES6_MAX : MODEL_PREFIXES4_MAX);
		struct access_ranges all = {};

		rig_clear(state);
		world_lay(r, &hashed);
		for (uint32_t i = 0; i < ranges; i++) {
			struct access_range *new = vec_push(&all);

			assert_non_null(new);
			/* IPv4 10.0.0.0 and upward, every second address; IPv6 every second of 2001:db8::/32's /64s. */
			new->first = v6 ? ((access_number)0x20010db8 << 96) + ((access_number)(2 * i) << 64) :
					  0x0a000000 + 2 * i;
			new->last = v6 ? new->first + (((access_number)1 << 64) - 1) : new->first;
		}
		refuse(r, v6, (v6 ? ACCESS_BOUNDS6 : ACCESS_BOUNDS4) - 2 * ranges - 1, &all);
		vec_done(&all);
		for (uint32_t i = 0; i < ranges; i += i < 40 || i > ranges - 40 ? 1 : 997) {
			char in[64], out[64];
			const uint32_t a = 0x0a000000 + 2 * i;

			if (v6) {
				snprintf(in, sizeof(in), "2001:db8:%x:%x:ffff::1", 2 * i >> 16, 2 * i & 0xffff);
				snprintf(out, sizeof(out), "2001:db8:%x:%x::", (2 * i + 1) >> 16, (2 * i + 1) & 0xffff);
			} else {
				snprintf(in, sizeof(in), "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
				snprintf(out, sizeof(out), "%u.%u.%u.%u", a >> 24, (a + 1) >> 16 & 255, (a + 1) >> 8 & 255,
					 (a + 1) & 255);
			}
			assert_int_equal(from(r, in, TCP, SYN), VERDICT_ACCESS_DENIED);
			assert_int_equal(from(r, out, TCP, SYN), VERDICT_DSR);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(who_is_in_and_who_is_not),
		rig_test(open_connections_go_on),
		rig_test(a_closed_record_is_no_way_in),
		rig_test(as_many_as_there_can_be),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
