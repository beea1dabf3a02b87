/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Consistency under change: thousands of random events (drain, maint, ready, weights, servers added and removed, table
 * sizes, a new secret, an agent that goes and comes back) against simulated connections, through the real reconciler and
 * the real program. A connection whose server lives, and that sent a packet within the window, goes on to its server;
 * no new one goes to a server that takes none. Beside it runs what others do, a table without memory and an LRU that is
 * full, over the same packets; and in the end a balancer that has seen none of the events has the same slots to the bit.
 * What chance may miss is beside it as a case of its own.
 */
#include "consistent_world.h"

static void no_change_breaks_a_connection(void **state)
{
	change_for_a_while(&plain, 1, 45);
}

static void nor_in_a_large_table(void **state)
{
	change_for_a_while(&plain, 12, 15);
	assert_true(w.laid > 0); /* beside the loop */
}

static unsigned slots_in(uint64_t state)
{
	const struct dataplane_maps *m = dataplane_maps(w.dataplane);
	const uint64_t half = m->control->word & CONTROL_HALF;
	const uint64_t region = m->services[half * MAX_SERVICES + reconcile_service_id(w.reconcile, 0)].slots;
	unsigned n = 0;

	for (uint32_t i = 0; i < (uint32_t)region; i++)
		n += SLOT_STATE(m->slots[(region >> 32) + i]) == state;
	return n;
}

/* Packets are looked up behind their slot for as long as one of its records names another server. */
static void a_connection_outlives_the_window_of_its_slot(void **state)
{
	uint64_t until_ms;

	begin(1, 4);
	for (unsigned i = 0; i < FLOWS; i++)
		open_flow(&w.flows[i]);
	admin(0, 0, HEALTH_DRAIN);
	settle();
	assert_true(slots_in(SLOT_DIRTY) > 0);
	for (until_ms = now_ms() + 3 * WINDOW_MS; now_ms() < until_ms; usleep(WINDOW_MS * 1000 / 10)) {
		for (unsigned i = 0; i < FLOWS; i++)
			if (w.flows[i].open)
				go_on(&w.flows[i]);
		turn();
		sweep_finish(w.sweep);
	}
	assert_int_equal(w.broken, 0);
	assert_int_equal(slots_in(SLOT_DIRTY), 0);
	assert_true(slots_in(SLOT_TRACKED) > 0 && slots_in(SLOT_CLEAN) > 0);
	end();
}

/* While the table moves to one size it can't move to another. */
static void a_size_that_had_to_wait_comes_in_the_end(void **state)
{
	uint32_t first, second, third;
	uint64_t began_ms;

	begin(1, 4);
	first = slots_now();
	for (unsigned i = 4; i < BACKUPS_FROM; i++)
		w.servers[i] = (struct site){ .configured = true, .weight = 1 };
	began_ms = now_ms();
	reload();
	settle();
	second = slots_now();
	assert_true(second > first);
	for (unsigned i = 4; i < BACKUPS_FROM; i++)
		w.servers[i].configured = false;
	reload();
	settle();
	third = slots_now();
	assert_true(third == second || now_ms() - began_ms > WINDOW_MS);
	another_balancer_has_the_same_slots();
	assert_int_equal(slots_now(), first);
	end();
}

/* A drain of all must not cost the connections that it is to spare. */
static void a_table_keeps_its_size_while_nobody_takes_connections(void **state)
{
	uint32_t before;

	begin(1, 12);
	for (unsigned i = BACKUPS_FROM; i < SERVERS_MAX; i++)
		w.servers[i] = (struct site){ .configured = true, .weight = 1 };
	reload();
	settle();
	before = slots_now();
	for (unsigned i = 0; i < FLOWS; i++)
		open_flow(&w.flows[i]);
	for (unsigned i = SERVERS_MAX; i-- > 0;) /* the backups first: they never stand in */
		admin(0, i, HEALTH_DRAIN);
	settle();
	assert_int_equal(slots_now(), before);
	for (unsigned i = 0; i < FLOWS; i++)
		go_on(&w.flows[i]);
	assert_int_equal(w.refused + w.broken, 0);
	end();
}

/* No slot moves for nothing: a table of other weights comes when it is whole. */
static void weights_of_before_are_in_force_until_a_table_is_laid_out(void **state)
{
	uint8_t *before, *after;
	uint32_t count;

	begin(12, 12);
	count = read_slots(w.dataplane, w.reconcile, 0, &before);
	assert_true(count >= MAGLEV_CACHED_MIN);
	w.servers[0].weight++;
	reload();
	assert_non_null(w.bases);
	assert_int_equal(read_slots(w.dataplane, w.reconcile, 0, &after), count);
	assert_memory_equal(after, before, count);
	settle();
	free(after);
	assert_int_equal(read_slots(w.dataplane, w.reconcile, 0, &after), count);
	assert_memory_not_equal(after, before, count);
	free(before);
	free(after);
	end();
}

/* Who comes back while what took another one away is not over has own ports as soon as connections are dealt to him. */
static void who_comes_back_is_given_connections_he_can_have(void **state)
{
	struct world nat = plain;
	unsigned given = 0;

	nat.forward = "nat";
	begin_as(&nat, 1, 4);
	for (unsigned i = 0; i < FLOWS / 4; i++)
		assert_true(send_packet(&(struct flow_state){ .sport = 1024 + i, .host = 1 }, SYN) >= 0);
	w.servers[0].configured = false;
	reload();
	settle();
	w.servers[1].configured = false;
	reload();
	w.servers[0].configured = true;
	reload();
	/* Nothing has come to its end: no turn of the loop. */
	for (unsigned i = 0; i < FLOWS / 4; i++) {
		const int server = send_packet(&(struct flow_state){ .sport = 1024 + i, .host = 2 }, SYN);

		assert_true(server >= 0);
		given += server == 0;
	}
	assert_true(given > 0);
	settle();
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_change_breaks_a_connection),
		cmocka_unit_test(nor_in_a_large_table),
		cmocka_unit_test(weights_of_before_are_in_force_until_a_table_is_laid_out),
		cmocka_unit_test(a_connection_outlives_the_window_of_its_slot),
		cmocka_unit_test(a_size_that_had_to_wait_comes_in_the_end),
		cmocka_unit_test(a_table_keeps_its_size_while_nobody_takes_connections),
		cmocka_unit_test(who_comes_back_is_given_connections_he_can_have),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
