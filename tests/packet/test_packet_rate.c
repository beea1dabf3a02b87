/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many connections a source may open: counted from the first, refused above the limit, let in again when the window
 * has moved on; each frontend for itself, by prefix; a full table keeps those who open most.
 */
#include <stdio.h>
#include <string.h>

#include "world.h"

static struct frame frame;
static struct outcome outcome;

enum { HOUR = 3600 };

static const struct world nat = { .servers = 2, .forward = FORWARD_NAT, .ports = 1024 };
static const struct world hashed = { .servers = 2, .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .keep_port = true };

/* Services 0 and 1 are IPv4 (TCP, UDP), 2 and 3 IPv6; a table each. */
static void limit(struct rig *r, uint32_t max, uint64_t seconds)
{
	for (size_t i = 0; i < 4; i++) {
		struct service *s = &r->services.items[i].entry;

		s->flags |= SERVICE_RATE;
		s->rate_table = 0x1234 + i;
		s->rate_mask[0] = i < 2 ? 0 : ~0ULL;
		s->rate_mask[1] = i < 2 ? 0xffffffff : 0; /* /32, /64 */
		s->rate_period = seconds * r->m->hz;
		s->rate_max = max;
	}
	memset((void *)r->m->rates, 0, RATE_BUCKETS * sizeof(*r->m->rates));
	world_publish(r);
}

static enum verdict verdict_of(struct rig *r, const struct packet *p)
{
	frame_build(p, &frame);
	rig_run(r, &frame, 0, &outcome);
	return outcome.verdict;
}

static enum verdict from(struct rig *r, const char *client, uint8_t protocol, uint16_t sport, uint8_t flags)
{
	struct packet p = client_packet(strchr(client, ':'), protocol, sport, flags);

	p.from = client;
	return verdict_of(r, &p);
}

/* The one entry of this source; fails the test when there is none. */
static struct rate_source *entry(struct rig *r, uint64_t high, uint64_t low)
{
	for (uint32_t b = 0; b < RATE_BUCKETS; b++)
		for (unsigned w = 0; w < RATE_WAYS; w++) {
			struct rate_source *s = (struct rate_source *)&r->m->rates[b].sources[w];

			if (s->key && s->high == high && s->low == low)
				return s;
		}
	fail_msg("the source is not counted");
	return NULL;
}

static void at_the_limit_and_one_above(void **state)
{
	struct rig *r = *state;

	for (int v6 = 0; v6 < 2; v6++) {
		const char *client = v6 ? CLIENT6 : CLIENT4, *other = v6 ? "2001:db8:d::1" : "203.0.113.1";
		uint16_t port = 1000;

		rig_clear(state);
		world_lay(r, &nat);
		limit(r, 5, HOUR);
		for (int i = 0; i < 5; i++)
			assert_int_equal(from(r, client, TCP, port++, SYN), VERDICT_NAT_REQUEST);
		assert_int_equal(from(r, client, TCP, port, SYN), VERDICT_RATE_LIMITED);
		assert_int_equal(outcome.action, XDP_TX);
		assert_int_equal(outcome.traffic.refused, 1);
		assert_int_equal(from(r, client, TCP, port, SYN), VERDICT_RATE_LIMITED);
		/* Those who are in go on; others come in; another service counts for itself. */
		assert_int_equal(from(r, client, TCP, port - 1, ACK), VERDICT_NAT_REQUEST);
		assert_int_equal(from(r, other, TCP, port, SYN), VERDICT_NAT_REQUEST);
		for (int i = 0; i < 5; i++)
			assert_int_equal(from(r, client, UDP, port++, 0), VERDICT_NAT_REQUEST);
		assert_int_equal(from(r, client, UDP, port, 0), VERDICT_RATE_LIMITED);
		/* A datagram of a flow that is known is none that opens one. */
		for (int i = 0; i < 20; i++)
			assert_int_equal(from(r, client, UDP, port - 1, 0), VERDICT_NAT_REQUEST);
	}
}

static void a_source_is_a_prefix(void **state)
{
	struct rig *r = *state;

	world_lay(r, &hashed);
	limit(r, 2, HOUR);
	assert_int_equal(from(r, "2001:db8:c:1::1", TCP, 1, SYN), VERDICT_DSR);
	assert_int_equal(from(r, "2001:db8:c:1:ffff::2", TCP, 2, SYN), VERDICT_DSR);
	assert_int_equal(from(r, "2001:db8:c:1::3", TCP, 3, SYN), VERDICT_RATE_LIMITED);
	assert_int_equal(from(r, "2001:db8:c:2::1", TCP, 4, SYN), VERDICT_DSR);
	assert_int_equal(RATE_CURRENT(entry(r, 0x20010db8000c0001ULL, 0)->word), 3);
}

static void nothing_is_let_in_with_a_limit_of_none(void **state)
{
	struct rig *r = *state;

	world_lay(r, &hashed);
	limit(r, 0, HOUR);
	assert_int_equal(from(r, CLIENT4, TCP, 1, SYN), VERDICT_RATE_LIMITED);
	assert_int_equal(from(r, CLIENT4, TCP, 1, ACK), VERDICT_DSR);
}

/* The window before counts by what a sliding one would still hold of it; older ones do not. */
static void windows_move_on(void **state)
{
	struct rig *r = *state;
	struct rate_source *s;
	uint64_t window;

	world_lay(r, &hashed);
	limit(r, 100, 24 * HOUR); /* long: what has passed of it does not change while the test runs */
	assert_int_equal(from(r, CLIENT4, TCP, 1, SYN), VERDICT_DSR);
	s = entry(r, 0, 0xc6336407);
	window = RATE_WINDOW(s->word);
	s->word = ((window - 1) & RATE_WINDOW_MASK) << 40 | 7 << 20 | 50;
	assert_int_equal(from(r, CLIENT4, TCP, 2, SYN), VERDICT_DSR);
	assert_int_equal(RATE_WINDOW(s->word), window);
	assert_int_equal(RATE_CURRENT(s->word), 1);
	assert_int_equal(RATE_PREVIOUS(s->word), 7);
	s->word = ((window - 2) & RATE_WINDOW_MASK) << 40 | 700 << 20 | 500;
	assert_int_equal(from(r, CLIENT4, TCP, 3, SYN), VERDICT_DSR);
	assert_int_equal(s->word, window << 40 | 1 << 20);
	/* All of the limit in this window: nobody. As many as can be counted: it stays there. */
	s->word = window << 40 | 100 << 20;
	assert_int_equal(from(r, CLIENT4, TCP, 4, SYN), VERDICT_RATE_LIMITED);
	s->word = window << 40 | RATE_COUNT_MAX << 20;
	assert_int_equal(from(r, CLIENT4, TCP, 5, SYN), VERDICT_RATE_LIMITED);
	assert_int_equal(RATE_CURRENT(s->word), RATE_COUNT_MAX);
	assert_int_equal(RATE_WINDOW(s->word), window);
}

/* A second later the window is over, and the one after it: the clock is the kernel's own. */
static void let_in_again(void **state)
{
	struct rig *r = *state;
	uint64_t until;

	world_lay(r, &hashed);
	limit(r, 3, 1);
	for (int i = 0; i < 10; i++)
		from(r, CLIENT4, TCP, i, SYN);
	until = dataplane_jiffies(r->dataplane) + 2 * r->m->hz + 1;
	while (dataplane_jiffies(r->dataplane) < until)
		;
	assert_int_equal(from(r, CLIENT4, TCP, 99, SYN), VERDICT_DSR);
}

/* More sources than there is room for: the one that is held back stays known, and nobody else is refused. */
static void a_full_table(void **state)
{
	struct rig *r = *state;
	uint64_t forgotten = 0, refused = 0;
	struct packet p = client_packet(false, TCP, 1, SYN);
	char text[32];

	world_lay(r, &hashed);
	limit(r, 20, HOUR);
	for (int i = 0; i < 30; i++)
		from(r, CLIENT4, TCP, i, SYN);
	p.from = text;
	for (uint32_t i = 0; i < 2 * MODEL_RATE_SOURCES; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		frame_build(&p, &frame);
		refused += rig_run_raw(r, &frame, NIC, &outcome.out) != XDP_TX;
	}
	for (uint32_t cpu = 0; cpu < r->m->cpu_count; cpu++)
		forgotten += r->m->event_counters[cpu * EVENT_MAX + EVENT_SOURCE_FORGOTTEN];
	rig_catch_up(r);
	assert_int_equal(refused, 0);
	assert_true(forgotten > MODEL_RATE_SOURCES / 2);
	assert_int_equal(from(r, CLIENT4, TCP, 99, SYN), VERDICT_RATE_LIMITED);
	assert_int_equal(from(r, "203.0.113.9", TCP, 99, SYN), VERDICT_DSR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(at_the_limit_and_one_above),
		rig_test(a_source_is_a_prefix),
		rig_test(nothing_is_let_in_with_a_limit_of_none),
		rig_test(windows_move_on),
		rig_test(let_in_again),
		rig_test(a_full_table),
	};

	_Static_assert((int)MODEL_RATE_SOURCES == RATE_BUCKETS * RATE_WAYS, "MODEL_RATE_SOURCES");
	_Static_assert(MODEL_RATE_MAX < RATE_COUNT_MAX, "MODEL_RATE_MAX");
	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
