/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Echo requests: answered for a service's address that the host does not own, at a limited rate; all others are the
 * host's.
 */
#include <sched.h>
#include <string.h>
#include <time.h>

#include "wire.h"
#include "world.h"

static struct frame in, wanted;
static struct outcome o;
static uint8_t payload[9000];

static void lay(struct rig *r, bool unowned)
{
	world_lay(r, &(struct world){ .servers = 1 });
	world_unowned(r, VIP4, unowned);
	world_unowned(r, VIP6, unowned);
	world_publish(r);
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = i * 11;
}

static struct wire_icmp request(bool v6, size_t length)
{
	return (struct wire_icmp){
		.p = { .l2_from = L2_CLIENT, .l2_to = L2_LB, .from = v6 ? CLIENT6 : CLIENT4, .to = v6 ? VIP6 : VIP4 },
		.type = v6 ? 128 : 8, .info = 0xbeef0001, .data = payload, .length = length,
	};
}

static void gives(struct rig *r, const char *what, enum verdict verdict)
{
	rig_run(r, &in, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
}

static void unowned_is_answered(void **state)
{
	static const size_t lengths[] = { 0, 1, 2, 56, 57, 1472, 8000 };
	struct rig *r = *state;

	lay(r, true);
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t n = 0; n < array_size(lengths); n++)
			for (unsigned ttl = 1; ttl < 256; ttl += 127) {
				struct wire_icmp i = request(v6, lengths[n]);

				i.p.ttl = ttl;
				i.p.ip_options = v6 ? 0 : n * 4;
				i.p.padding = lengths[n] ? 0 : 18;
				wire_icmp(&i, &in);
				i.p.l2_from = L2_LB;
				i.p.l2_to = L2_CLIENT;
				i.p.from = v6 ? VIP6 : VIP4;
				i.p.to = v6 ? CLIENT6 : CLIENT4;
				i.p.ttl = 64;
				i.type = v6 ? 129 : 0;
				wire_icmp(&i, &wanted);
				gives(r, "echo", VERDICT_ECHO);
				rig_same_frame("echo", &o.out, &wanted);
			}
}

static void owned_is_the_hosts(void **state)
{
	struct rig *r = *state;

	lay(r, false);
	for (int v6 = 0; v6 < 2; v6++) {
		struct wire_icmp i = request(v6, 56);

		wire_icmp(&i, &in);
		gives(r, "the host owns it", VERDICT_OTHER_PROTOCOL);
	}
}

static void what_is_no_echo_request_to_it(void **state)
{
	struct rig *r = *state;

	lay(r, true);
	for (int v6 = 0; v6 < 2; v6++) {
		struct wire_icmp i = request(v6, 56);

		i.type = v6 ? 129 : 0;
		wire_icmp(&i, &in);
		gives(r, "a reply", VERDICT_OTHER_PROTOCOL);
		i = request(v6, 56);
		i.p.to = v6 ? OWN6 : OWN4;
		wire_icmp(&i, &in);
		gives(r, "an own address", VERDICT_OTHER_PROTOCOL);
		i.p.to = v6 ? "2001:db8::77" : "192.0.2.77";
		wire_icmp(&i, &in);
		gives(r, "another address", VERDICT_OTHER_PROTOCOL);
		i = request(v6, 1400);
		wire_icmp(&i, &wanted);
		wire_fragment(&wanted, 0, 800, 1, &in);
		gives(r, "in fragments", VERDICT_FRAGMENT);
		wire_icmp(&i, &in);
		for (in.length--; in.length > frame_l4(&in) + 7; in.length -= 100)
			gives(r, "cut short", VERDICT_TRUNCATED);
	}
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Echoes, and what is too big: at most RESETS_PER_SECOND on each CPU; the rest is dropped and counted as limited. */
static void limited(struct rig *r, enum verdict verdict)
{
	const unsigned runs = 20000;
	static struct frame out;
	uint64_t sent = rig_verdicts(r, verdict), refused = rig_verdicts(r, VERDICT_LIMITED);
	double begin = seconds(), took;
	unsigned tx = 0;

	for (unsigned n = 0; n < runs; n++)
		tx += rig_run_raw(r, &in, 0, &out) == XDP_TX;
	took = seconds() - begin;
	sent = rig_verdicts(r, verdict) - sent;
	refused = rig_verdicts(r, VERDICT_LIMITED) - refused;
	assert_int_equal(sent + refused, runs);
	assert_int_equal(tx, sent);
	/* Whole jiffies: up to one at each end is only begun. */
	assert_true(sent >= 1 && sent <= (took + 2.0 / r->m->hz) * RESETS_PER_SECOND);
	assert_true(took > runs / (double)RESETS_PER_SECOND || refused);
	rig_catch_up(r);
}

static void answers_are_limited(void **state)
{
	struct rig *r = *state;
	cpu_set_t all, one;

	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	lay(r, true);
	for (int v6 = 0; v6 < 2; v6++) {
		struct wire_icmp i = request(v6, 56);
		struct packet p = client_packet(v6, UDP, 40000, 0);

		wire_icmp(&i, &in);
		limited(r, VERDICT_ECHO);
		p.payload = MTU;
		frame_build(&p, &in);
		limited(r, VERDICT_TOO_BIG_TOLD);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(unowned_is_answered),
		rig_test(owned_is_the_hosts),
		rig_test(what_is_no_echo_request_to_it),
		rig_test(answers_are_limited),
	};

	return cmocka_run_group_tests_name("echo", tests, rig_open, rig_close);
}
