/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Consistency under change where more tables change than a turn of the loop has time for: here each turn puts one, and the
 * next one may be held up while a test looks. What holds of one table (test_packet_consistent.c) holds of each.
 */
#include "consistent_world.h"

static void no_change_breaks_a_connection(void **state)
{
	change_for_a_while(&sliced, 1, 18);
}

/* The first server's weight, such that no table changes its size. All tables wait but one. */
static void reload_weight(unsigned weight)
{
	w.servers[0].weight = weight;
	reload();
	assert_true(reconcile_has_more(w.reconcile));
}

static void a_table_that_changes_does_not_wait_behind_others(void **state)
{
	const unsigned last = BACKENDS_MAX - 1;
	unsigned before[BACKENDS_MAX];

	begin_as(&sliced, 1, 4);
	for (unsigned b = 0; b < BACKENDS_MAX; b++)
		before[b] = owned(b, 0);
	w.held_up = true;
	reload_weight(2);
	assert_true(owned(0, 0) > before[0]);
	assert_int_equal(owned(last, 0), before[last]);
	admin(last, 1, HEALTH_DRAIN);
	assert_int_equal(owned(last, 1), 0);
	assert_true(owned(last, 0) > before[last]);
	/* One of the others goes on meanwhile, not all of them. */
	assert_true(owned(1, 0) > before[1]);
	assert_int_equal(owned(last - 1, 0), before[last - 1]);
	assert_true(reconcile_has_more(w.reconcile));
	assert_false(reconcile_is_settled(w.reconcile));
	w.held_up = false;
	reconcile_go_on(w.reconcile);
	settle();
	assert_true(owned(last - 1, 0) > before[last - 1]);
	end();
}

static void no_table_waits_for_ever(void **state)
{
	const unsigned last = BACKENDS_MAX - 1;
	unsigned before;

	begin_as(&sliced, 1, 4);
	before = owned(last, 0);
	w.held_up = true;
	reload_weight(2);
	for (unsigned i = 0; i < BACKENDS_MAX; i++)
		admin(0, 1, i % 2 ? HEALTH_READY : HEALTH_DRAIN);
	assert_true(owned(last, 0) > before);
	w.held_up = false;
	reconcile_go_on(w.reconcile);
	settle();
	end();
}

static void nor_where_all_change_all_the_time(void **state)
{
	begin_as(&sliced, 1, 4);
	w.held_up = true;
	for (unsigned b = 0; b < BACKENDS_MAX; b++)
		set_state(b, 0, HEALTH_DRAIN);
	for (unsigned i = 0; i < 2 * BACKENDS_MAX; i++) {
		for (unsigned b = 0; b < BACKENDS_MAX; b++)
			set_state(b, 1, i % 2 ? HEALTH_READY : HEALTH_DRAIN);
		reconcile_run(w.reconcile, w.health);
	}
	for (unsigned b = 0; b < BACKENDS_MAX; b++)
		assert_int_equal(owned(b, 0), 0);
	w.held_up = false;
	reconcile_go_on(w.reconcile);
	settle();
	end();
}

static void all_go_on(void)
{
	for (unsigned i = 0; i < FLOWS; i++)
		if (w.flows[i].open)
			go_on(&w.flows[i]);
}

/* X counts from the moment on at which packets go by the new table, not from its laying out. */
static void a_window_begins_when_the_table_is_read(void **state)
{
	uint64_t until_ms;

	begin_as(&sliced, 1, 8);
	for (unsigned i = 0; i < FLOWS; i++)
		open_flow(&w.flows[i]);
	w.held_up = true;
	w.secret.k[0] = hash_mix(w.secret.k[0]);
	reload();
	for (unsigned i = 0; i < 2 * BACKENDS_MAX && reconcile_has_more(w.reconcile); i++) {
		all_go_on();
		until_ms = now_ms() + 2 * WINDOW_MS / BACKENDS_MAX;
		while (now_ms() < until_ms)
			usleep(1000);
		reconcile_go_on(w.reconcile);
	}
	assert_false(reconcile_has_more(w.reconcile));
	for (unsigned i = 0; i < 5; i++) {
		settle();
		sweep_finish(w.sweep);
	}
	all_go_on();
	assert_int_equal(w.broken, 0);
	end();
}

/* A table that needs no record of most connections takes the place of one that has one of each. */
static void records_are_needed_until_the_table_is_read(void **state)
{
	struct world dealing = sliced;

	dealing.balance = "roundrobin";
	begin_as(&dealing, 1, 8);
	for (unsigned i = 0; i < FLOWS; i++)
		open_flow(&w.flows[i]);
	w.held_up = true;
	w.balance = "maglev";
	reload();
	assert_true(reconcile_has_more(w.reconcile));
	for (unsigned i = 0; i < 5; i++)
		sweep_finish(w.sweep);
	all_go_on();
	assert_int_equal(w.broken, 0);
	w.held_up = false;
	reconcile_go_on(w.reconcile);
	settle();
	all_go_on();
	assert_int_equal(w.broken, 0);
	end();
}

/* A service that leaves is there until the last table has had its turn, and goes by its own slots. */
static void slots_are_not_used_again_while_they_are_named(void **state)
{
	struct world dealing = sliced;
	struct dataplane_maps *m;
	uint64_t half, region, before[64];
	uint32_t id;

	dealing.balance = "roundrobin";
	begin_as(&dealing, 1, 8);
	m = dataplane_maps(w.dataplane);
	half = m->control->word & CONTROL_HALF;
	id = reconcile_service_id(w.reconcile, BACKENDS_MAX - 1);
	region = m->services[half * MAX_SERVICES + id].slots;
	assert_true((uint32_t)region > 0 && (uint32_t)region <= 64);
	memcpy(before, (const uint64_t *)&m->slots[region >> 32], (uint32_t)region * sizeof(*before));
	w.held_up = true;
	w.backends--;
	w.servers[7].configured = false;
	reload();
	for (unsigned i = 0; i < BACKENDS_MAX - 2; i++) {
		for (unsigned t = 0; t < 100; t++) {
			turn(); /* grace periods are over */
			usleep(1000);
		}
		assert_true(reconcile_has_more(w.reconcile));
		assert_int_equal(m->control->word & CONTROL_HALF, half);
		assert_memory_equal((const uint64_t *)&m->slots[region >> 32], before, (uint32_t)region * sizeof(*before));
		reconcile_go_on(w.reconcile);
	}
	w.held_up = false;
	reconcile_go_on(w.reconcile);
	settle();
	assert_int_not_equal(m->control->word & CONTROL_HALF, half);
	end();
}

static unsigned generation_of(unsigned backend, unsigned server)
{
	const struct dataplane_maps *m = dataplane_maps(w.dataplane);
	const uint64_t half = m->control->word & CONTROL_HALF;

	return SERVER_GENERATION(m->servers[half * MAX_SERVERS + reconcile_server_id(w.reconcile, backend, server)].word);
}

/* Its id may be another's afterwards. */
static void a_server_leaves_when_its_tables_have_had_their_turn(void **state)
{
	const unsigned last = BACKENDS_MAX - 1;
	uint32_t id;

	begin_as(&sliced, 1, 4);
	id = reconcile_server_id(w.reconcile, last, 3);
	w.held_up = true;
	w.servers[3].configured = false;
	reload();
	for (unsigned i = 0; i < 8; i++) {
		turn();
		usleep(20000);
		sweep_finish(w.sweep);
	}
	assert_true(owned(last, 3) > 0);
	assert_int_equal(dataplane_maps(w.dataplane)->server_ids[id].state, ID_LEAVING);
	w.held_up = false;
	reconcile_go_on(w.reconcile);
	until_nothing_moves();
	assert_int_equal(owned(last, 3), 0);
	assert_int_equal(dataplane_maps(w.dataplane)->server_ids[id].identity, 0);
	end();
}

/* Else a connection could begin behind the end of the others. */
static void connections_end_when_their_table_has_had_its_turn(void **state)
{
	const unsigned last = BACKENDS_MAX - 1;
	unsigned before;

	begin_as(&sliced, 1, 4);
	before = generation_of(last, 0);
	w.held_up = true;
	for (unsigned b = 0; b < BACKENDS_MAX; b++) {
		reconcile_end_connections(w.reconcile, reconcile_server_id(w.reconcile, b, 0));
		set_state(b, 0, HEALTH_DRAIN);
	}
	reconcile_run(w.reconcile, w.health);
	for (unsigned t = 0; t < 200; t++) {
		turn();
		usleep(1000);
	}
	assert_true(owned(last, 0) > 0);
	assert_int_equal(generation_of(last, 0), before);
	w.held_up = false;
	reconcile_go_on(w.reconcile);
	settle();
	assert_int_equal(owned(last, 0), 0);
	assert_int_not_equal(generation_of(last, 0), before);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_change_breaks_a_connection),
		cmocka_unit_test(a_table_that_changes_does_not_wait_behind_others),
		cmocka_unit_test(no_table_waits_for_ever),
		cmocka_unit_test(nor_where_all_change_all_the_time),
		cmocka_unit_test(a_window_begins_when_the_table_is_read),
		cmocka_unit_test(records_are_needed_until_the_table_is_read),
		cmocka_unit_test(slots_are_not_used_again_while_they_are_named),
		cmocka_unit_test(a_server_leaves_when_its_tables_have_had_their_turn),
		cmocka_unit_test(connections_end_when_their_table_has_had_its_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
