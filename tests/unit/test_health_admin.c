/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drain, maint, ready and weight: what each does to traffic and to checks, how the file's words and the operator's go
 * together, and that both survive a reload and a restart.
 */
#include "health_world.h"

/* One backend "db" with one good server "s1", its first check done. */
static struct model_server *one_up(struct world *w)
{
	server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", peer_new(w, HOLD, NULL));
	world_configure(w);
	world_until(w, view(w, 0, 0).check == HEALTH_UP && w->first_rounds);
	w->changes = w->ups = w->downs = 0;
	return &w->m.backends.items[0].servers.items[0];
}

static void drain_takes_no_new_connections_and_goes_on_checking(void **state)
{
	struct world *w = *state;
	uint64_t checks;

	one_up(w);
	assert_int_equal(health_set_admin(w->h, "db/s1", HEALTH_DRAIN), 0);
	assert_int_equal(w->changes, 1);
	assert_int_equal(w->downs, 0);
	assert_true(w->last_up);
	assert_false(w->last_accepts);
	assert_string_equal(w->reason, "set to drain");
	assert_true(view(w, 0, 0).admin_is_override);
	checks = view(w, 0, 0).checks;
	world_until(w, view(w, 0, 0).checks > checks + 2);
	assert_int_equal(health_set_admin(w->h, "db/s1", HEALTH_READY), 0);
	assert_true(view(w, 0, 0).accepts_new);
	assert_false(view(w, 0, 0).admin_is_override);
	assert_int_equal(w->changes, 2);
}

static void a_verb_that_changes_nothing_says_nothing(void **state)
{
	struct world *w = *state;

	one_up(w);
	health_set_admin(w->h, "db/s1", HEALTH_READY);
	health_set_weight(w->h, "db/s1", 1);
	assert_int_equal(w->changes, 0);
}

static void maint_stops_the_checks_and_ready_starts_over(void **state)
{
	struct world *w = *state;
	uint64_t checks;

	one_up(w);
	health_set_admin(w->h, "db/s1", HEALTH_MAINT);
	assert_int_equal(w->downs, 1);
	assert_false(view(w, 0, 0).up);
	checks = view(w, 0, 0).checks;
	world_run_ms(w, 100);
	assert_int_equal(view(w, 0, 0).checks, checks);
	health_set_admin(w->h, "db/s1", HEALTH_READY);
	/* No traffic before a new result: what was known is as old as the maintenance. */
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
	assert_false(view(w, 0, 0).accepts_new);
	world_until(w, view(w, 0, 0).accepts_new);
	assert_int_equal(w->ups, 1);
	assert_int_equal(view(w, 0, 0).checks, checks + 1);
}

static void maint_ends_a_first_round_that_waits_for_it(void **state)
{
	struct world *w = *state;

	server_new(backend_new(w, "web", MODEL_CHECK_HTTP), "s1", peer_new(w, HOLD, NULL))->inter_ms = 600000;
	world_configure(w);
	world_until(w, w->peers[0].asked == 1);
	assert_int_equal(w->first_rounds, 0);
	health_set_admin(w->h, "web/s1", HEALTH_MAINT);
	assert_int_equal(w->first_rounds, 0);
	world_until(w, w->first_rounds == 1);
}

static void weight_zero_drains_and_ready_brings_the_files_weight_back(void **state)
{
	struct world *w = *state;

	one_up(w)->weight = 3;
	world_configure(w);
	assert_int_equal(health_set_weight(w->h, "db/s1", 0), 0);
	assert_true(view(w, 0, 0).up);
	assert_false(view(w, 0, 0).accepts_new);
	assert_int_equal(view(w, 0, 0).weight, 0);
	assert_int_equal(view(w, 0, 0).weight_configured, 3);
	assert_string_equal(w->reason, "weight set to 0 (configured: 3)");
	health_set_admin(w->h, "db/s1", HEALTH_READY);
	assert_int_equal(view(w, 0, 0).weight, 3);
	assert_false(view(w, 0, 0).weight_is_override);
	assert_true(view(w, 0, 0).accepts_new);
}

static void ready_leaves_another_weight_alone(void **state)
{
	struct world *w = *state;

	one_up(w);
	health_set_weight(w->h, "db/s1", 9);
	health_set_admin(w->h, "db/s1", HEALTH_READY);
	assert_int_equal(view(w, 0, 0).weight, 9);
	assert_true(view(w, 0, 0).weight_is_override);
	health_set_weight(w->h, "db/s1", 1);
	assert_false(view(w, 0, 0).weight_is_override);
}

static void weights_have_haproxys_limit(void **state)
{
	struct world *w = *state;

	one_up(w);
	assert_int_equal(health_set_weight(w->h, "db/s1", 256), 0);
	assert_int_equal(health_set_weight(w->h, "db/s1", 257), -ERANGE);
	assert_int_equal(view(w, 0, 0).weight, 256);
}

static void unknown_names_are_enoent(void **state)
{
	struct world *w = *state;
	static const char *const names[] = { "", "db", "db/", "/s1", "db/s", "db/s11", "s1", "DB/s1", "db/s1/" };
	size_t i;

	one_up(w);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(health_set_admin(w->h, names[i], HEALTH_DRAIN), -ENOENT);
		assert_int_equal(health_set_weight(w->h, names[i], 1), -ENOENT);
	}
}

static void the_files_disabled_is_maint_until_ready(void **state)
{
	struct world *w = *state;
	struct model_server *s = server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", peer_new(w, HOLD, NULL));

	s->disabled = true;
	world_configure(w);
	world_until(w, w->first_rounds);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_MAINT);
	assert_false(view(w, 0, 0).admin_is_override);
	assert_int_equal(view(w, 0, 0).checks, 0);
	health_set_admin(w->h, "db/s1", HEALTH_READY);
	assert_true(view(w, 0, 0).admin_is_override);
	world_until(w, view(w, 0, 0).accepts_new);
	/* The override outlives a reload of the same file, and ends when the file says the same. */
	world_configure(w);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
	assert_true(view(w, 0, 0).admin_is_override);
	s->disabled = false;
	world_configure(w);
	assert_false(view(w, 0, 0).admin_is_override);
	assert_true(view(w, 0, 0).accepts_new);
}

static void disabled_taken_from_the_file_checks_before_traffic(void **state)
{
	struct world *w = *state;
	struct model_server *s = server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", peer_new(w, HOLD, NULL));
	unsigned rounds;

	s->disabled = true;
	world_configure(w);
	world_until(w, w->first_rounds == 1);
	s->disabled = false;
	rounds = w->first_rounds;
	world_configure(w);
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
	world_until(w, w->first_rounds > rounds);
	assert_true(view(w, 0, 0).accepts_new);
}

static void overrides_survive_a_reload_with_other_values(void **state)
{
	struct world *w = *state;
	struct model_server *s = one_up(w);

	health_set_admin(w->h, "db/s1", HEALTH_MAINT);
	health_set_weight(w->h, "db/s1", 5);
	s->weight = 2;
	world_configure(w);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_MAINT);
	assert_int_equal(view(w, 0, 0).weight, 5);
	assert_int_equal(view(w, 0, 0).weight_configured, 2);
	/* Maint by hand is not lost when the file's `disabled` comes and goes; a weight that the file has too is. */
	s->disabled = true;
	world_configure(w);
	s->disabled = false;
	s->weight = 5;
	world_configure(w);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_MAINT);
	assert_false(view(w, 0, 0).weight_is_override);
}

static void restart_health(struct world *w)
{
	health_free(w->h);
	world_start_health(w);
	w->first_rounds = w->changes = w->ups = w->downs = 0;
	world_configure(w);
}

static void what_is_saved_comes_back_after_a_restart(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	struct health_view before[3], after;
	json_t *saved;
	size_t i;

	server_new(b, "up", peer_new(w, HOLD, NULL));
	server_new_at(b, "down", loopback("127.0.0.1", 1));
	server_new(b, "maint", peer_new(w, HOLD, NULL));
	world_configure(w);
	world_until(w, w->first_rounds);
	health_set_admin(w->h, "db/up", HEALTH_DRAIN);
	health_set_weight(w->h, "db/down", 9);
	health_set_admin(w->h, "db/maint", HEALTH_MAINT);
	for (i = 0; i < 3; i++)
		before[i] = view(w, 0, i);
	assert_int_equal(health_save(w->h, &saved), 0);
	restart_health(w);
	assert_int_equal(health_restore(w->h, saved), 0);
	for (i = 0; i < 3; i++) {
		after = view(w, 0, i);
		assert_int_equal(after.check, before[i].check);
		assert_int_equal(after.admin, before[i].admin);
		assert_int_equal(after.admin_is_override, before[i].admin_is_override);
		assert_int_equal(after.weight, before[i].weight);
		assert_int_equal(after.changed_at_ms, before[i].changed_at_ms);
		assert_string_equal(after.last_result, before[i].last_result);
	}
	assert_int_equal(w->changes, 0);
	world_until(w, w->first_rounds == 1);
	assert_int_equal(view(w, 0, 2).checks, 0);
	json_decref(saved);
}

static void the_first_new_result_overrules_a_restored_state(void **state)
{
	struct world *w = *state;
	json_t *saved;

	one_up(w);
	assert_int_equal(health_save(w->h, &saved), 0);
	peer_close(&w->peers[0]);
	restart_health(w);
	assert_int_equal(health_restore(w->h, saved), 0);
	assert_true(view(w, 0, 0).accepts_new);
	world_until(w, w->downs == 1);
	assert_int_equal(view(w, 0, 0).checks, 1);
	json_decref(saved);
}

static void another_address_or_name_restores_nothing(void **state)
{
	struct world *w = *state;
	struct model_server *s = one_up(w);
	json_t *saved;

	health_set_admin(w->h, "db/s1", HEALTH_DRAIN);
	assert_int_equal(health_save(w->h, &saved), 0);
	s->at.port++;
	restart_health(w);
	assert_int_equal(health_restore(w->h, saved), 0);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
	s->at.port--;
	s->name[0] = 'x';
	restart_health(w);
	assert_int_equal(health_restore(w->h, saved), 0);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
	json_decref(saved);
}

static void results_of_this_run_are_newer_than_saved_ones(void **state)
{
	struct world *w = *state;
	json_t *saved;

	one_up(w);
	assert_int_equal(health_save(w->h, &saved), 0);
	peer_close(&w->peers[0]);
	restart_health(w);
	world_until(w, view(w, 0, 0).check == HEALTH_DOWN);
	assert_int_equal(health_restore(w->h, saved), 0);
	assert_int_equal(view(w, 0, 0).check, HEALTH_DOWN);
	json_decref(saved);
}

static void a_restored_ready_of_a_disabled_server_is_checked_and_awaited(void **state)
{
	struct world *w = *state;
	struct model_server *s = server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", peer_new(w, HOLD, NULL));
	json_t *saved = json_pack("{s:i, s:{s:{s:s, s:s}}}", "version", 1, "servers", "db/s1", "address", "", "admin",
				  "ready");
	char at[ENDPOINT_TEXT_MAX];

	s->disabled = true;
	json_object_set_new(json_object_get(json_object_get(saved, "servers"), "db/s1"), "address",
			    json_string(endpoint_format(&s->at, at)));
	world_configure(w);
	assert_int_equal(health_restore(w->h, saved), 0);
	world_until(w, w->first_rounds == 1);
	assert_true(view(w, 0, 0).accepts_new);
	json_decref(saved);
}

static void nothing_is_saved_of_a_server_without_state(void **state)
{
	struct world *w = *state;
	json_t *saved;

	server_new_at(backend_new(w, "db", MODEL_CHECK_TCP), "s1", loopback("127.0.0.1", 1))->check = false;
	world_configure(w);
	assert_int_equal(health_save(w->h, &saved), 0);
	assert_int_equal(json_object_size(json_object_get(saved, "servers")), 0);
	json_decref(saved);
}

static void a_damaged_file_is_refused_whole(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"{\"version\": 2, \"servers\": {}}",
		"{\"version\": 1, \"servers\": []}",
		"{\"version\": 1, \"servers\": {\"db/s1\": 7}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {}}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {\"address\": \"%s\", \"admin\": \"gone\"}}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {\"address\": \"%s\", \"admin\": 1}}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {\"address\": \"%s\", \"weight\": 257}}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {\"address\": \"%s\", \"weight\": -1}}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {\"address\": \"%s\", \"weight\": 1.5}}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {\"address\": \"%s\", \"check\": \"init\"}}}",
		"{\"version\": 1, \"servers\": {\"db/s1\": {\"address\": \"%s\", \"weight\": 3}, \"db/s2\": 0}}",
	};
	struct world *w = *state;
	char at[ENDPOINT_TEXT_MAX], text[512];
	json_t *j;
	size_t i, from, to;

	endpoint_format(&one_up(w)->at, at);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (from = to = 0; bad[i][from]; from++) {
			if (bad[i][from] == '%') {
				to += (size_t)sprintf(text + to, "%s", at);
				from++;
			} else {
				text[to++] = bad[i][from];
			}
		}
		text[to] = '\0';
		j = json_loads(text, 0, NULL);
		assert_non_null(j);
		if (health_restore(w->h, j) != -EINVAL)
			fail_msg("accepted: %s", text);
		json_decref(j);
		assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
		assert_int_equal(view(w, 0, 0).weight, 1);
	}
}

#define ADMIN_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ADMIN_TEST(drain_takes_no_new_connections_and_goes_on_checking),
		ADMIN_TEST(a_verb_that_changes_nothing_says_nothing),
		ADMIN_TEST(maint_stops_the_checks_and_ready_starts_over),
		ADMIN_TEST(maint_ends_a_first_round_that_waits_for_it),
		ADMIN_TEST(weight_zero_drains_and_ready_brings_the_files_weight_back),
		ADMIN_TEST(ready_leaves_another_weight_alone),
		ADMIN_TEST(weights_have_haproxys_limit),
		ADMIN_TEST(unknown_names_are_enoent),
		ADMIN_TEST(the_files_disabled_is_maint_until_ready),
		ADMIN_TEST(disabled_taken_from_the_file_checks_before_traffic),
		ADMIN_TEST(overrides_survive_a_reload_with_other_values),
		ADMIN_TEST(what_is_saved_comes_back_after_a_restart),
		ADMIN_TEST(the_first_new_result_overrules_a_restored_state),
		ADMIN_TEST(another_address_or_name_restores_nothing),
		ADMIN_TEST(results_of_this_run_are_newer_than_saved_ones),
		ADMIN_TEST(a_restored_ready_of_a_disabled_server_is_checked_and_awaited),
		ADMIN_TEST(nothing_is_saved_of_a_server_without_state),
		ADMIN_TEST(a_damaged_file_is_refused_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
