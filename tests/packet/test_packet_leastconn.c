/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * balance leastconn: a new connection goes to the server that has the fewest for its weight, of those whose turn is among
 * the next LEASTCONN_PROBES. What a server has is what the agent counted and what the program has dealt since.
 */
#include <stdio.h>

#include "world.h"

enum { WEB = 0, FIRST = 1 };

/* TCP VIP4:80 over `count` servers of these weights (NULL: 1). */
static void lay(struct rig *r, unsigned count, const uint32_t *weights)
{
	static char addrs[RIG_SERVERS][16];
	uint32_t ids[RIG_SERVERS];

	for (unsigned i = 0; i < count; i++) {
		snprintf(addrs[i], sizeof(addrs[i]), "10.0.0.%u", i + 1);
		ids[i] = world_server(r, &(struct world_server){ .addr = addrs[i], .port = 8080,
				      .weight = weights ? weights[i] : 1, .ports = 256, .own = OWN4 });
	}
	world_service(r, &(struct world_service){ .addr = VIP4, .port = 80, .protocol = TCP,
						  .balance = BALANCE_LEASTCONN }, ids, count);
	world_own(r, OWN4);
	world_publish(r);
}

/* Who gets the connection that begins at this port. */
static uint32_t dealt(struct rig *r, uint16_t sport)
{
	const struct packet syn = client_packet(false, TCP, sport, SYN);
	static struct outcome o;
	static struct frame in;

	frame_build(&syn, &in);
	rig_run(r, &in, 0, &o);
	if (o.verdict != VERDICT_NAT_REQUEST)
		fail_msg("verdict %s", verdict_name(o.verdict));
	assert_int_equal(o.traffic.connections, 1);
	return o.server;
}

static void equals_take_turns(void **state)
{
	struct rig *r = *state;
	unsigned times[4] = {};

	lay(r, 3, NULL);
	for (unsigned n = 0; n < 30; n++)
		times[dealt(r, 40000 + n)]++;
	for (uint32_t id = 1; id <= 3; id++) {
		assert_int_equal(times[id], 10);
		assert_int_equal(r->m->use[id].dealt, 10);
	}
}

static void the_fewest_gets_it(void **state)
{
	struct rig *r = *state;

	lay(r, 3, NULL);
	r->m->use[1].live = 10;
	r->m->use[2].live = 4;
	r->m->use[3].live = 7;
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(dealt(r, 40000 + n), 2);
	/* 10, 7, 7: the two take turns until all have ten. */
	for (unsigned n = 0; n < 6; n++)
		assert_in_range(dealt(r, 40010 + n), 2, 3);
	assert_int_equal(r->m->use[2].dealt, 6);
	assert_int_equal(r->m->use[3].dealt, 3);
}

static void a_server_that_comes_back_is_filled_up(void **state)
{
	struct rig *r = *state;

	lay(r, 2, NULL);
	world_server_down(r, 2);
	for (unsigned n = 0; n < 8; n++)
		assert_int_equal(dealt(r, 40000 + n), 1);
	world_server_up(r, 2);
	for (unsigned n = 0; n < 8; n++)
		assert_int_equal(dealt(r, 40010 + n), 2);
}

static void weights_count(void **state)
{
	struct rig *r = *state;
	const uint32_t weights[] = { 4, 1 };
	unsigned times[3] = {};

	lay(r, 2, weights);
	for (unsigned n = 0; n < 50; n++)
		times[dealt(r, 40000 + n)]++;
	assert_int_equal(times[1], 40);
	assert_int_equal(times[2], 10);
	/* The heavy one has four times as many: even. One more at the light one, and it gets the next four. */
	r->m->use[2].live = 1;
	for (unsigned n = 0; n < 4; n++)
		assert_int_equal(dealt(r, 40100 + n), 1);
}

/* A count may come out below zero for a moment: the agent saw fewer than had been dealt when it began. */
static void below_zero_is_fewest(void **state)
{
	struct rig *r = *state;

	lay(r, 2, NULL);
	r->m->use[2].live = -3;
	for (unsigned n = 0; n < 3; n++)
		assert_int_equal(dealt(r, 40000 + n), 2);
}

/* With LEASTCONN_PROBES servers the one with the fewest is found wherever the turn is; with one more it can be missed. */
static void of_the_next_turns(void **state)
{
	struct rig *r = *state;

	lay(r, LEASTCONN_PROBES, NULL);
	for (uint32_t id = 1; id <= LEASTCONN_PROBES; id++)
		r->m->use[id].live = 1000;
	r->m->use[FIRST].live = 0;
	for (unsigned n = 0; n < 3 * LEASTCONN_PROBES; n++)
		assert_int_equal(dealt(r, 40000 + n), FIRST);

	rig_clear(state);
	lay(r, LEASTCONN_PROBES + 1, NULL);
	for (uint32_t id = 1; id <= LEASTCONN_PROBES + 1; id++)
		r->m->use[id].live = 1000;
	r->m->use[world_slot(r, WEB, 0)].live = 0;
	r->cursors[0].next = 1;
	assert_int_not_equal(dealt(r, 40000), world_slot(r, WEB, 0));
	for (unsigned n = 1; n < LEASTCONN_PROBES; n++)
		assert_int_equal(dealt(r, 40000 + n), world_slot(r, WEB, 0));
}

/* The client comes back by the same port after a reset: it is dealt anew, not to where it was. */
static void a_closed_connection_is_dealt_anew(void **state)
{
	struct rig *r = *state;

	lay(r, 2, NULL);
	handshake(r, false, 40000, 1, 0);
	client_sends(r, false, 40000, RST | ACK, 1, 0);
	assert_int_equal(dealt(r, 40000), 2);
}

static void nobody_up_is_rejected(void **state)
{
	struct rig *r = *state;
	const struct packet syn = client_packet(false, TCP, 40000, SYN);
	static struct outcome o;
	static struct frame in;

	lay(r, 1, NULL);
	world_server_down(r, 1);
	frame_build(&syn, &in);
	rig_run(r, &in, 0, &o);
	assert_int_equal(o.verdict, VERDICT_REJECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(equals_take_turns),
		rig_test(the_fewest_gets_it),
		rig_test(a_server_that_comes_back_is_filled_up),
		rig_test(weights_count),
		rig_test(below_zero_is_fewest),
		rig_test(of_the_next_turns),
		rig_test(a_closed_connection_is_dealt_anew),
		rig_test(nobody_up_is_rejected),
	};

	return cmocka_run_group_tests_name("leastconn", tests, rig_open, rig_close);
}
