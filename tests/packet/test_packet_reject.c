/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a client is told when it can't be served: RST with the numbers of RFC 9293, section 3.10.7.1, ICMP and ICMPv6
 * port unreachable with the packet they speak of; never too often, never to a RST.
 */
#include <arpa/inet.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "world.h"

/* The RST that answers this packet. */
static struct packet reset_of(const struct packet *p)
{
	struct packet r = {
		.l2_from = p->l2_to, .l2_to = p->l2_from, .from = p->to, .to = p->from, .sport = p->dport,
		.dport = p->sport, .protocol = TCP, .bare = true,
	};

	if (p->flags & ACK) {
		r.flags = RST;
		r.seq = p->ack;
	} else {
		r.flags = RST | ACK;
		r.ack = p->seq + p->payload + !!(p->flags & SYN) + !!(p->flags & FIN);
	}
	return r;
}

static void nobody_up_tcp(void **state)
{
	static const struct {
		const char *what;
		uint16_t payload;
		uint8_t ip_options, tcp_options, padding;
		uint32_t seq;
	} cases[] = {
		{ "a SYN", 0, 0, 0, 0, 1000 },
		{ "a SYN with options", 0, 0, 20, 0, 77 },
		{ "a SYN with data", 10, 0, 12, 0, 0x80000000 },
		{ "a SYN with IPv4 options", 3, 40, 40, 0, 5 },
		{ "a padded SYN", 0, 0, 0, 6, 5 },
		{ "the last sequence number", 0, 0, 0, 0, 0xffffffff },
		{ "data across the last sequence number", 100, 0, 0, 0, 0xfffffff0 },
		{ "a large SYN", 1400, 0, 0, 0, 1 },
		{ "a frame of several buffers", 8000, 0, 0, 0, 1 },
	};
	struct rig *r = *state;

	world_lay(r, &(struct world){});
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < array_size(cases); i++) {
			struct packet syn = client_packet(v6, TCP, 40000, SYN);

			syn.seq = cases[i].seq;
			syn.payload = cases[i].payload;
			syn.tcp_options = cases[i].tcp_options;
			syn.ip_options = v6 ? 0 : cases[i].ip_options;
			syn.padding = cases[i].padding;
			syn.ttl = 3;
			expect(r, cases[i].what, syn, REJECTED, .out = reset_of(&syn), .refused = 1);
		}
}

static void no_known_connection(void **state)
{
	static const struct {
		const char *what;
		uint8_t flags;
		uint16_t payload;
	} cases[] = {
		{ "an ACK", ACK, 0 }, { "data", ACK | PSH, 100 }, { "FIN and ACK", FIN | ACK, 0 },
		{ "FIN and ACK with data", FIN | ACK, 11 }, { "a FIN alone", FIN, 0 }, { "FIN with data", FIN, 7 },
		{ "SYN and ACK", SYN | ACK, 0 }, { "no flag at all", 0, 9 }, { "PSH alone", PSH, 1 },
	};
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < array_size(cases); i++) {
			struct packet p = client_packet(v6, TCP, 40000, cases[i].flags);

			p.payload = cases[i].payload;
			expect(r, cases[i].what, p, NO_FLOW, .out = reset_of(&p));
			assert_int_equal(rig_live_flows(r, v6), 0);
		}
}

static void no_known_connection_of_dsr_roundrobin(void **state)
{
	struct packet p = client_packet(false, TCP, 40000, ACK);

	world_lay(*state, &(struct world){ .forward = FORWARD_DSR, .servers = 2 });
	expect(*state, "an ACK", p, NO_FLOW, .out = reset_of(&p));
}

static void no_reset_answers_a_reset(void **state)
{
	static const uint8_t flags[] = { RST, RST | ACK, RST | FIN, RST | PSH | ACK };
	struct rig *r = *state;

	for (int servers = 0; servers < 2; servers++) {
		rig_clear(state);
		world_lay(r, &(struct world){ .servers = servers });
		for (int v6 = 0; v6 < 2; v6++)
			for (size_t i = 0; i < array_size(flags); i++)
				expect(r, "a RST", client_packet(v6, TCP, 40000, flags[i]), STRAY);
	}
}

/* The hash would have found a server, but none is up: whatever it is of, it is answered. */
static void nobody_up_hashed(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 2 });
	for (uint32_t id = 1; id <= 4; id++)
		world_server_down(r, id);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40000, SYN), data = client_packet(v6, TCP, 40000, ACK);

		expect(r, "a SYN", syn, REJECTED, .out = reset_of(&syn), .refused = 1);
		expect(r, "data", data, REJECTED, .out = reset_of(&data));
		expect(r, "a RST", client_packet(v6, TCP, 40000, RST), STRAY);
	}
}

static void nobody_up_and_told_to_drop(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .all_down = ALL_DOWN_DROP });
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet data = client_packet(v6, TCP, 40000, ACK);

		expect(r, "a SYN", client_packet(v6, TCP, 40000, SYN), NO_SERVER, .refused = 1);
		expect(r, "UDP", client_packet(v6, UDP, 40000, 0), NO_SERVER, .refused = 1);
		expect(r, "but what belongs to no connection is told so", data, NO_FLOW, .out = reset_of(&data));
	}
}

/* The unreachable that answers this frame, laid out by hand: RFC 792 (IP header and 8 bytes), RFC 4443, 3.1. */
static void unreachable4(const struct frame *in, struct frame *ret)
{
	const size_t quote = (in->bytes[ETH_SIZE] & 15) * 4 + 8;
	uint8_t *ip = ret->bytes + ETH_SIZE, *icmp = ip + IP4_SIZE;

	memset(ret->bytes, 0, ETH_SIZE + IP4_SIZE + 8);
	memcpy(ret->bytes, in->bytes + 6, 6);
	memcpy(ret->bytes + 6, in->bytes, 6);
	store16(ret->bytes + 12, 0x0800);
	ip[0] = 0x45;
	store16(ip + 2, IP4_SIZE + 8 + quote);
	store16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = IPPROTO_ICMP;
	memcpy(ip + 12, in->bytes + ETH_SIZE + 16, 4);
	memcpy(ip + 16, in->bytes + ETH_SIZE + 12, 4);
	store16(ip + 10, ~sum_fold(sum_bytes(ip, IP4_SIZE, 0)));
	icmp[0] = 3;
	icmp[1] = 3;
	memcpy(icmp + 8, in->bytes + ETH_SIZE, quote);
	store16(icmp + 2, ~sum_fold(sum_bytes(icmp, 8 + quote, 0)));
	ret->length = ETH_SIZE + IP4_SIZE + 8 + quote;
}

static void unreachable6(const struct frame *in, struct frame *ret)
{
	const size_t quote = IP6_SIZE + 8;
	uint8_t *ip = ret->bytes + ETH_SIZE, *icmp = ip + IP6_SIZE;

	memset(ret->bytes, 0, ETH_SIZE + IP6_SIZE + 8);
	memcpy(ret->bytes, in->bytes + 6, 6);
	memcpy(ret->bytes + 6, in->bytes, 6);
	store16(ret->bytes + 12, 0x86dd);
	ip[0] = 0x60;
	store16(ip + 4, 8 + quote);
	ip[6] = IPPROTO_ICMPV6;
	ip[7] = 64;
	memcpy(ip + 8, in->bytes + ETH_SIZE + 24, 16);
	memcpy(ip + 24, in->bytes + ETH_SIZE + 8, 16);
	icmp[0] = 1;
	icmp[1] = 4;
	memcpy(icmp + 8, in->bytes + ETH_SIZE, quote);
	store16(icmp + 2, ~sum_fold(sum_bytes(icmp, 8 + quote, sum_bytes(ip + 8, 32, 8 + quote + IPPROTO_ICMPV6))));
	ret->length = ETH_SIZE + IP6_SIZE + 8 + quote;
}

static void nobody_up_udp(void **state)
{
	static const uint16_t payloads[] = { 0, 1, 37, 1400, 8000 };
	static struct frame in, wanted;
	static struct outcome o;
	struct rig *r = *state;

	world_lay(r, &(struct world){});
	for (int v6 = 0; v6 < 2; v6++)
		for (uint8_t options = 0; options <= (v6 ? 0 : 40); options += 4)
			for (size_t i = 0; i < array_size(payloads); i++) {
				struct packet udp = client_packet(v6, UDP, 40000, 0);

				udp.ip_options = options;
				udp.payload = payloads[i];
				udp.padding = payloads[i] ? 0 : 18;
				udp.ttl = 1;
				frame_build(&udp, &in);
				if (v6)
					unreachable6(&in, &wanted);
				else
					unreachable4(&in, &wanted);
				rig_run(r, &in, 0, &o);
				assert_int_equal(o.verdict, VERDICT_REJECTED);
				assert_int_equal(o.traffic.refused, 1);
				rig_same_frame("port unreachable", &o.out, &wanted);
			}
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* At most RESETS_PER_SECOND on each CPU; the rest is counted as limited, and dropped. */
static void answers_are_limited(void **state)
{
	const struct packet packets[] = { client_packet(false, TCP, 40000, SYN), client_packet(true, UDP, 40000, 0) };
	static struct frame in, out;
	struct rig *r = *state;
	cpu_set_t all, one;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	world_lay(r, &(struct world){});
	for (size_t i = 0; i < array_size(packets); i++) {
		uint64_t sent = rig_verdicts(r, VERDICT_REJECTED), limited = rig_verdicts(r, VERDICT_LIMITED);
		const unsigned runs = 20000;
		double begin = seconds(), took, most;
		unsigned tx = 0;

		frame_build(&packets[i], &in);
		for (unsigned n = 0; n < runs; n++)
			tx += rig_run_raw(r, &in, 0, &out) == XDP_TX;
		took = seconds() - begin;
		sent = rig_verdicts(r, VERDICT_REJECTED) - sent;
		limited = rig_verdicts(r, VERDICT_LIMITED) - limited;
		/* Whole jiffies: up to one at each end is only begun. */
		most = (took + 2.0 / r->m->hz) * RESETS_PER_SECOND;
		assert_int_equal(sent + limited, runs);
		assert_int_equal(tx, sent);
		assert_true(sent >= 1 && sent <= most);
		assert_true(took > runs / (double)RESETS_PER_SECOND || limited);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	rig_catch_up(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(nobody_up_tcp),
		rig_test(no_known_connection),
		rig_test(no_known_connection_of_dsr_roundrobin),
		rig_test(no_reset_answers_a_reset),
		rig_test(nobody_up_hashed),
		rig_test(nobody_up_and_told_to_drop),
		rig_test(nobody_up_udp),
		rig_test(answers_are_limited),
	};

	return cmocka_run_group_tests_name("reject", tests, rig_open, rig_close);
}
