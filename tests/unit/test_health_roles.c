/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which servers of a backend may serve, by what they are to each other. Each case is a pool written as one line a
 * server, and what is expected of it:   "w1"  takes writes, server id 1     "r2<1"  replica, id 2, of id 1
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "health/roles.h"

enum { POOL_MAX = 4 };

struct pool {
	struct model_roles policy;
	struct role_member members[POOL_MAX];
	size_t count;
	struct roles_outcome outcome;
};

static struct pool pool_of(enum model_role role, size_t count)
{
	struct pool p = { .policy = { .role = role, .max_writers = 1, .keep = true }, .count = count };

	for (size_t i = 0; i < count; i++)
		p.members[i].counts = true;
	return p;
}

static void decide(struct pool *p)
{
	struct role_member *members[POOL_MAX];

	for (size_t i = 0; i < p->count; i++)
		members[i] = &p->members[i];
	roles_decide(&p->policy, members, p->count, &p->outcome);
}

/* A check of this member has ended well and found this. */
static void hear(struct pool *p, size_t which, uint32_t role, uint64_t id, uint64_t source)
{
	struct role_member *m = &p->members[which];

	m->heard = m->up = m->knows = true;
	m->facts = (struct role_facts){ .figures = PLUGIN_HAS_ROLE | PLUGIN_HAS_SERVER_ID, .role = role, .server_id = id };
	m->id = id;
	if (source) {
		m->facts.source_ids[0] = source;
		m->facts.source_count = 1;
	}
	decide(p);
}

static void hear_primary(struct pool *p, size_t which, uint64_t id)
{
	hear(p, which, PLUGIN_WRITABLE, id, 0);
}

static void hear_replica(struct pool *p, size_t which, uint64_t id, uint64_t source, uint32_t lag_ms)
{
	hear(p, which, PLUGIN_REPLICA | PLUGIN_REPLICATING, id, source);
	p->members[which].facts.figures |= PLUGIN_HAS_LAG;
	p->members[which].facts.lag_ms = lag_ms;
	decide(p);
}

static void go_down(struct pool *p, size_t which)
{
	p->members[which].heard = true;
	p->members[which].up = false;
	decide(p);
}

static void expect(const struct pool *p, const char *serving, int line)
{
	char found[POOL_MAX + 1] = "";

	for (size_t i = 0; i < p->count; i++)
		found[i] = p->members[i].serves ? '+' : '-';
	if (strcmp(found, serving))
		fail_msg("line %d: serving is %s, expected %s (first: %s)", line, found, serving, p->members[0].text);
}

#define EXPECT(pool, serving) expect(pool, serving, __LINE__)

static void the_primary_serves_writes_and_replicas_do_not(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 3);

	hear_primary(&p, 0, 1);
	EXPECT(&p, "---"); /* another may be one too */
	hear_replica(&p, 1, 2, 1, 0);
	hear_replica(&p, 2, 3, 1, 0);
	EXPECT(&p, "+--");
	assert_string_equal(p.members[0].text, "primary");
	assert_string_equal(p.members[1].text, "replica of server id 1");
	assert_int_equal(p.outcome.writers, 1);
}

static void a_server_that_is_down_is_heard_of_too(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	hear_primary(&p, 0, 1);
	EXPECT(&p, "--");
	go_down(&p, 1);
	EXPECT(&p, "+-");
}

static void the_writer_moves_when_another_is_promoted(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	hear_primary(&p, 0, 1);
	hear_replica(&p, 1, 2, 1, 0);
	EXPECT(&p, "+-");
	hear(&p, 0, 0, 1, 0); /* demoted: read only */
	EXPECT(&p, "--");
	assert_string_equal(p.members[0].text, "read only");
	hear_primary(&p, 1, 2);
	EXPECT(&p, "-+");
	hear_replica(&p, 0, 1, 2, 0);
	EXPECT(&p, "-+");
}

static void the_writer_moves_when_it_dies(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	hear_primary(&p, 0, 1);
	hear_replica(&p, 1, 2, 1, 0);
	go_down(&p, 0);
	EXPECT(&p, "--");
	hear_primary(&p, 1, 2);
	EXPECT(&p, "-+");
	/* It comes back and still takes writes: it is the second now. */
	hear_primary(&p, 0, 1);
	EXPECT(&p, "-+");
	assert_true(p.outcome.conflict);
	assert_non_null(strstr(p.members[0].text, "conflict: 2 servers take writes"));
	hear_replica(&p, 0, 1, 2, 0);
	assert_false(p.outcome.conflict);
}

static void a_writable_replica_is_no_primary(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	/* As replication.sql leaves it: read_only is off on the replica as well. */
	hear_primary(&p, 0, 1);
	hear(&p, 1, PLUGIN_WRITABLE | PLUGIN_REPLICA | PLUGIN_REPLICATING, 2, 1);
	EXPECT(&p, "+-");
	assert_string_equal(p.members[1].text, "replica of server id 1 (though it takes writes)");
	/* Stopped threads do not make it one, nor does the death of its source. */
	hear(&p, 1, PLUGIN_WRITABLE | PLUGIN_REPLICA, 2, 1);
	EXPECT(&p, "+-");
	go_down(&p, 0);
	EXPECT(&p, "--");
	/* What makes it one is RESET SLAVE ALL. */
	hear_primary(&p, 1, 2);
	EXPECT(&p, "-+");
}

static void a_replica_of_a_dead_primary_is_none_at_a_cold_start_either(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	go_down(&p, 0); /* its id was never heard */
	hear(&p, 1, PLUGIN_WRITABLE | PLUGIN_REPLICA, 2, 1);
	EXPECT(&p, "--");
	assert_non_null(strstr(p.members[1].text, "which may be one of this backend"));
	hear(&p, 1, PLUGIN_WRITABLE | PLUGIN_REPLICA | PLUGIN_SOURCE_UNKNOWN, 2, 0);
	EXPECT(&p, "--");
}

static void a_primary_may_replicate_from_elsewhere(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	hear(&p, 0, PLUGIN_WRITABLE | PLUGIN_REPLICA | PLUGIN_REPLICATING, 1, 99);
	hear_replica(&p, 1, 2, 1, 0);
	EXPECT(&p, "+-");
}

static void a_cold_start_with_two_writers_admits_none(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	hear_primary(&p, 0, 1);
	hear_primary(&p, 1, 2);
	EXPECT(&p, "--");
	assert_true(p.outcome.conflict);
	assert_int_equal(p.outcome.writers, 2);
	go_down(&p, 1);
	EXPECT(&p, "+-");
	assert_false(p.outcome.conflict);
}

static void a_conflict_keeps_the_one_in_service_or_none(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	hear_primary(&p, 0, 1);
	go_down(&p, 1);
	EXPECT(&p, "+-");
	hear_primary(&p, 1, 2);
	EXPECT(&p, "+-");
	p.policy.keep = false;
	decide(&p);
	EXPECT(&p, "--");
	p.policy.keep = true;
	decide(&p);
	EXPECT(&p, "--"); /* nobody is in service now, so nobody is kept */
}

static void max_writers_is_a_limit(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 3);

	p.policy.max_writers = 2;
	hear_primary(&p, 0, 1);
	hear_primary(&p, 1, 2);
	go_down(&p, 2);
	EXPECT(&p, "++-");
	assert_false(p.outcome.conflict);
	hear_primary(&p, 2, 3);
	EXPECT(&p, "++-");
	assert_true(p.outcome.conflict);
}

static void members_of_a_cluster_do_not_conflict(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 3);

	for (size_t i = 0; i < 3; i++) {
		hear(&p, i, PLUGIN_WRITABLE | PLUGIN_CLUSTERED, i + 1, 0);
		p.members[i].facts.cluster_id = 7;
	}
	decide(&p);
	EXPECT(&p, "+--"); /* the first of the file */
	assert_false(p.outcome.conflict);
	go_down(&p, 0);
	EXPECT(&p, "-+-");
	hear(&p, 0, PLUGIN_WRITABLE | PLUGIN_CLUSTERED, 1, 0);
	p.members[0].facts.cluster_id = 7;
	decide(&p);
	EXPECT(&p, "-+-"); /* who serves goes on */
	/* One that is cut off calls itself what it likes. */
	hear(&p, 1, PLUGIN_CLUSTER_BROKEN, 2, 0);
	EXPECT(&p, "+--");
	/* A writer of another cluster is a conflict. */
	hear(&p, 2, PLUGIN_WRITABLE | PLUGIN_CLUSTERED, 3, 0);
	p.members[2].facts.cluster_id = 8;
	decide(&p);
	assert_true(p.outcome.conflict);
	EXPECT(&p, "+--");
}

static void a_restored_writer_goes_on_until_it_is_heard(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	p.members[0].serves = p.members[0].up = true; /* saved before a restart */
	hear_primary(&p, 1, 2);
	EXPECT(&p, "+-");
	hear_primary(&p, 0, 1);
	EXPECT(&p, "+-");
	assert_true(p.outcome.conflict);
}

static void replicas_serve_reads_within_bounds(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_REPLICA, 3);

	p.policy.max_lag_ms = 10000;
	hear_primary(&p, 0, 1);
	hear_replica(&p, 1, 2, 1, 0);
	hear_replica(&p, 2, 3, 1, 10000);
	EXPECT(&p, "-++"); /* at the limit */
	hear_replica(&p, 2, 3, 1, 10001);
	EXPECT(&p, "-+-"); /* one above */
	assert_string_equal(p.members[2].text, "replica, lag 10.0 s, above 10.0 s");
	hear_replica(&p, 2, 3, 1, 9999);
	EXPECT(&p, "-++");
}

static void recover_lag_is_where_a_late_one_comes_back(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_REPLICA, 1);

	p.policy.max_lag_ms = 10000;
	p.policy.recover_lag_ms = 2000;
	hear_replica(&p, 0, 2, 1, 5000);
	EXPECT(&p, "+");
	hear_replica(&p, 0, 2, 1, 12000);
	EXPECT(&p, "-");
	hear_replica(&p, 0, 2, 1, 2001);
	EXPECT(&p, "-");
	assert_string_equal(p.members[0].text, "replica, lag 2.0 s, above 2.0 s");
	hear_replica(&p, 0, 2, 1, 2000);
	EXPECT(&p, "+");
	hear_replica(&p, 0, 2, 1, 9000);
	EXPECT(&p, "+");
}

static void a_replica_that_does_not_run_or_whose_lag_is_unknown_is_out(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_REPLICA, 1);

	hear(&p, 0, PLUGIN_REPLICA, 2, 1);
	EXPECT(&p, "-");
	assert_string_equal(p.members[0].text, "replica: replication does not run");
	hear(&p, 0, PLUGIN_REPLICA | PLUGIN_REPLICATING, 2, 1);
	EXPECT(&p, "-");
	assert_string_equal(p.members[0].text, "replica: lag not known");
	hear(&p, 0, 0, 2, 0); /* no replication row at all */
	EXPECT(&p, "-");
	assert_string_equal(p.members[0].text, "read only, but it replicates from nobody");
	hear_replica(&p, 0, 2, 1, 4000000000U); /* without max-lag, known is enough */
	EXPECT(&p, "+");
}

static void the_primary_reads_for_want_of_a_replica_only(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_REPLICA, 2);

	p.policy.or_primary = true;
	p.policy.max_lag_ms = 10000;
	hear_primary(&p, 0, 1);
	hear_replica(&p, 1, 2, 1, 0);
	EXPECT(&p, "-+");
	hear_replica(&p, 1, 2, 1, 20000);
	EXPECT(&p, "+-");
	assert_string_equal(p.members[0].text, "primary, for want of a replica");
	hear_replica(&p, 1, 2, 1, 0);
	EXPECT(&p, "-+");
	go_down(&p, 1);
	EXPECT(&p, "+-");
	p.policy.or_primary = false;
	decide(&p);
	EXPECT(&p, "--");
}

static void a_broken_member_of_a_cluster_serves_nothing(void **state)
{
	struct pool readers = pool_of(MODEL_ROLE_REPLICA, 1), writers = pool_of(MODEL_ROLE_PRIMARY, 1);

	hear_replica(&readers, 0, 2, 1, 0);
	EXPECT(&readers, "+");
	readers.members[0].facts.role |= PLUGIN_CLUSTER_BROKEN;
	decide(&readers);
	EXPECT(&readers, "-");
	hear(&writers, 0, PLUGIN_WRITABLE | PLUGIN_CLUSTER_BROKEN, 1, 0);
	EXPECT(&writers, "-");
}

static void a_groups_primary_reads_no_more_than_any_other(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_REPLICA, 2);

	hear(&p, 0, PLUGIN_WRITABLE | PLUGIN_CLUSTERED, 1, 0);
	hear(&p, 1, PLUGIN_CLUSTERED, 2, 0);
	p.members[1].facts.figures |= PLUGIN_HAS_LAG;
	p.members[0].facts.cluster_id = p.members[1].facts.cluster_id = 7;
	decide(&p);
	EXPECT(&p, "-+");
	/* Where all take writes, all read. */
	p.members[1].facts.role |= PLUGIN_WRITABLE;
	decide(&p);
	EXPECT(&p, "++");
}

static void weights_fall_in_quarters_as_lag_nears_its_bound(void **state)
{
	static const struct {
		uint32_t lag_ms;
		unsigned percent;
	} steps[] = { { 0, 100 }, { 2499, 100 }, { 2500, 75 }, { 5000, 50 }, { 7500, 25 }, { 10000, 25 } };
	struct pool p = pool_of(MODEL_ROLE_REPLICA, 1);

	p.policy.max_lag_ms = 10000;
	p.policy.weight_by_lag = true;
	for (size_t i = 0; i < array_size(steps); i++) {
		hear_replica(&p, 0, 2, 1, steps[i].lag_ms);
		EXPECT(&p, "+");
		assert_int_equal(p.members[0].weight_percent, steps[i].percent);
	}
}

static void a_server_under_maintenance_is_neither_asked_nor_waited_for(void **state)
{
	struct pool p = pool_of(MODEL_ROLE_PRIMARY, 2);

	p.members[1].counts = false;
	hear_primary(&p, 0, 1);
	EXPECT(&p, "+-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_primary_serves_writes_and_replicas_do_not),
		cmocka_unit_test(a_server_that_is_down_is_heard_of_too),
		cmocka_unit_test(the_writer_moves_when_another_is_promoted),
		cmocka_unit_test(the_writer_moves_when_it_dies),
		cmocka_unit_test(a_writable_replica_is_no_primary),
		cmocka_unit_test(a_replica_of_a_dead_primary_is_none_at_a_cold_start_either),
		cmocka_unit_test(a_primary_may_replicate_from_elsewhere),
		cmocka_unit_test(a_cold_start_with_two_writers_admits_none),
		cmocka_unit_test(a_conflict_keeps_the_one_in_service_or_none),
		cmocka_unit_test(max_writers_is_a_limit),
		cmocka_unit_test(members_of_a_cluster_do_not_conflict),
		cmocka_unit_test(a_restored_writer_goes_on_until_it_is_heard),
		cmocka_unit_test(replicas_serve_reads_within_bounds),
		cmocka_unit_test(recover_lag_is_where_a_late_one_comes_back),
		cmocka_unit_test(a_replica_that_does_not_run_or_whose_lag_is_unknown_is_out),
		cmocka_unit_test(the_primary_reads_for_want_of_a_replica_only),
		cmocka_unit_test(a_broken_member_of_a_cluster_serves_nothing),
		cmocka_unit_test(a_groups_primary_reads_no_more_than_any_other),
		cmocka_unit_test(weights_fall_in_quarters_as_lag_nears_its_bound),
		cmocka_unit_test(a_server_under_maintenance_is_neither_asked_nor_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
