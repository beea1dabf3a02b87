/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Backups that take the place of all other servers of a large table, and these that come back: at once, though the table
 * that all balancers agree upon takes its time.
 */
#include "consistent_world.h"

static void no_change_breaks_a_connection(void **state)
{
	change_for_a_while(&two_sided, 128, 12);
	assert_true(w.laid > 0);
}

/* A service's servers that have slots; each has a fair part of them. Nobody's don't count. */
static unsigned count_owners(unsigned service, unsigned from, unsigned to)
{
	unsigned owners = 0, slots = 0;

	for (unsigned i = from; i < to; i++) {
		owners += owned(service, i) > 0;
		slots += owned(service, i);
	}
	for (unsigned i = from; i < to; i++)
		if (owned(service, i))
			assert_in_range(owned(service, i) * owners, slots / 2, slots * 2);
	return owners;
}

static void set_servers(enum health_admin_state state)
{
	for (unsigned i = 0; i < BACKUPS_FROM; i++)
		set_state(0, i, state);
	reconcile_run(w.reconcile, w.health);
}

/* With what can be had in no time; the table that all balancers have comes when it is laid out. */
static void backups_of_a_large_table_take_over_at_once(void **state)
{
	unsigned laid;

	begin_as(&two_sided, 128, BACKUPS_FROM);
	for (unsigned i = BACKUPS_FROM; i < SERVERS_MAX; i++)
		w.servers[i] = (struct site){ .configured = true, .weight = 128 + i % 2 };
	reload();
	settle();
	laid = w.laid;
	set_servers(HEALTH_DRAIN);
	assert_non_null(w.bases); /* not laid out in this turn */
	assert_int_equal(count_owners(0, 0, BACKUPS_FROM), 0);
	assert_int_equal(count_owners(0, BACKUPS_FROM, SERVERS_MAX), SERVERS_MAX - BACKUPS_FROM);
	for (unsigned i = 0; i < FLOWS; i++)
		open_flow(&w.flows[i]);
	settle();
	assert_true(slots_now() >= MAGLEV_CACHED_MIN);
	for (unsigned i = 0; i < FLOWS; i++)
		go_on(&w.flows[i]);
	another_balancer_has_the_same_slots();
	assert_true(w.laid > laid);
	laid = w.laid;
	/* The servers' table is still known; backups' too, the next time. */
	set_servers(HEALTH_READY);
	assert_int_equal(count_owners(0, BACKUPS_FROM, SERVERS_MAX), 0);
	assert_int_equal(count_owners(0, 0, BACKUPS_FROM), BACKUPS_FROM);
	until_nothing_moves();
	set_servers(HEALTH_DRAIN);
	assert_int_equal(count_owners(0, BACKUPS_FROM, SERVERS_MAX), SERVERS_MAX - BACKUPS_FROM);
	another_balancer_has_the_same_slots();
	assert_int_equal(w.laid, laid);
	assert_int_equal(w.refused + w.broken + w.misplaced, 0);
	end();
}

/* Who is alone needs no table to be laid out; and what the others had is kept for them. */
static void the_first_backup_takes_over_at_once(void **state)
{
	struct world one = two_sided;
	unsigned laid;

	one.all_backups = false;
	begin_as(&one, 128, SERVERS_MAX);
	laid = w.laid;
	set_servers(HEALTH_DRAIN);
	assert_int_equal(count_owners(0, 0, SERVERS_MAX), 1);
	assert_true(owned(0, BACKUPS_FROM) > 0);
	until_nothing_moves();
	set_servers(HEALTH_READY);
	assert_int_equal(count_owners(0, BACKUPS_FROM, SERVERS_MAX), 0);
	assert_int_equal(count_owners(0, 0, BACKUPS_FROM), BACKUPS_FROM);
	another_balancer_has_the_same_slots();
	assert_int_equal(w.laid, laid);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_change_breaks_a_connection),
		cmocka_unit_test(backups_of_a_large_table_take_over_at_once),
		cmocka_unit_test(the_first_backup_takes_over_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
