/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configuration after another, with checks in flight: who keeps what. And init-state, and `check` that comes and
 * goes.
 */
#include "health_world.h"

#define OK "HTTP/1.1 200 OK\r\n\r\n"

static void settle(struct world *w)
{
	unsigned rounds = w->first_rounds;

	world_configure(w);
	world_until(w, w->first_rounds > rounds);
}

static void a_reload_of_the_same_keeps_state_counts_and_history(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);
	struct model_server *s = server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", p);
	struct health_view before, after;

	s->fall = 1000;
	settle(w);
	peer_close(p);
	world_until(w, view(w, 0, 0).fall_count >= 2);
	before = view(w, 0, 0);
	w->changes = 0;
	world_configure(w);
	after = view(w, 0, 0);
	assert_int_equal(after.check, HEALTH_UP);
	assert_int_equal(after.fall_count, before.fall_count);
	assert_int_equal(after.checks, before.checks);
	assert_int_equal(after.failures, before.failures);
	assert_int_equal(after.changed_at_ms, before.changed_at_ms);
	assert_string_equal(after.last_result, "L4CON: Connection refused");
	assert_int_equal(w->changes, 0);
	world_until(w, view(w, 0, 0).fall_count > before.fall_count);
}

static void the_models_order_does_not_matter(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL), *q = peer_new(w, HOLD, NULL);
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);

	server_new(b, "s1", p)->inter_ms = 60000;
	server_new(b, "s2", q)->inter_ms = 60000;
	settle(w);
	assert_int_equal(health_set_admin(w->h, "db/s2", HEALTH_DRAIN), 0);
	model_clear(&w->m);
	b = backend_new(w, "other", MODEL_CHECK_TCP);
	b = backend_new(w, "db", MODEL_CHECK_TCP);
	server_new(b, "s2", q)->inter_ms = 60000;
	server_new(b, "s1", p)->inter_ms = 60000;
	settle(w);
	assert_string_equal(view(w, 1, 0).server, "s2");
	assert_int_equal(view(w, 1, 0).admin, HEALTH_DRAIN);
	assert_int_equal(view(w, 1, 0).check, HEALTH_UP);
	assert_string_equal(view(w, 1, 1).server, "s1");
	assert_int_equal(view(w, 1, 1).admin, HEALTH_READY);
	assert_int_equal(view(w, 1, 1).checks, 1);
}

static void a_removed_server_is_forgotten(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);

	server_new(b, "s1", p);
	server_new(b, "s2", p);
	settle(w);
	health_set_admin(w->h, "db/s2", HEALTH_DRAIN);
	free(b->servers.items[--b->servers.count].name);
	settle(w);
	assert_int_equal(health_set_admin(w->h, "db/s2", HEALTH_READY), -ENOENT);
	server_new(b, "s2", p);
	world_configure(w);
	assert_int_equal(view(w, 0, 1).check, HEALTH_INIT);
	assert_int_equal(view(w, 0, 1).admin, HEALTH_READY);
}

static void another_address_under_the_same_name_is_a_new_server(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	struct model_server *s = server_new(b, "s1", peer_new(w, HOLD, NULL));

	settle(w);
	health_set_weight(w->h, "db/s1", 7);
	s->at = s->check_at = loopback("127.0.0.1", peer_new(w, HOLD, NULL)->port);
	world_configure(w);
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
	assert_int_equal(view(w, 0, 0).checks, 0);
	assert_int_equal(view(w, 0, 0).weight, 1);
	world_until(w, view(w, 0, 0).check == HEALTH_UP);
}

static void a_changed_check_target_keeps_the_state_until_fall(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct peer *p = peer_new(w, ANSWER, OK), *q = peer_new(w, ANSWER, "HTTP/1.1 500 Oops\r\n\r\n");

	server_new(b, "s1", p)->inter_ms = 60000;
	settle(w);
	b->servers.items[0].check_at.port = q->port;
	b->servers.items[0].fastinter_ms = 20;
	world_configure(w);
	/* At once, although the next check was a minute away; and one failure is not yet three. */
	world_until(w, view(w, 0, 0).failures == 1);
	assert_string_equal(view(w, 0, 0).last_result, "L7STS/500: Oops");
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	world_until(w, w->downs == 1);
	assert_int_equal(view(w, 0, 0).failures, 3);
}

static void a_changed_source_is_checked_at_once(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);

	server_new(b, "s1", peer_new(w, ANSWER, OK))->inter_ms = 60000;
	settle(w);
	b->servers.items[0].check_source = loopback("127.0.0.7", 0).addr;
	world_configure(w);
	world_until(w, view(w, 0, 0).checks == 2);
	assert_string_equal(view(w, 0, 0).last_result, "L7OK/200");
}

static void a_changed_expectation_is_checked_at_once(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);

	server_new(b, "s1", peer_new(w, ANSWER, "HTTP/1.1 404 Not Found\r\n\r\n"))->inter_ms = 60000;
	settle(w);
	assert_int_equal(view(w, 0, 0).check, HEALTH_DOWN);
	b->http.expect[0] = (struct model_status_range){ 404, 404 };
	b->http.expect_count = 1;
	b->servers.items[0].rise = 1;
	world_configure(w);
	world_until(w, w->ups == 1);
	assert_string_equal(view(w, 0, 0).last_result, "L7OK/404");
}

static void a_changed_request_is_checked_at_once(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct peer *p = peer_new(w, ANSWER, OK);

	server_new(b, "s1", p)->inter_ms = 60000;
	settle(w);
	strcpy(b->http.uri, "/other");
	world_configure(w);
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	world_until(w, view(w, 0, 0).checks == 2);
	assert_string_equal(p->last_request, "OPTIONS /other HTTP/1.0\r\nConnection: close\r\n\r\n");
}

static void shorter_timings_apply_without_waiting_out_the_old_ones(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);

	server_new(b, "s1", peer_new(w, HOLD, NULL))->inter_ms = 3600000;
	settle(w);
	b->servers.items[0].inter_ms = 20;
	world_configure(w);
	world_until(w, view(w, 0, 0).checks >= 3);
}

static void checks_in_flight_are_cancelled_by_every_kind_of_change(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct peer *p = peer_new(w, HOLD, NULL), *q = peer_new(w, ANSWER, OK);
	size_t i;

	for (i = 0; i < 5; i++) {
		char name[8];

		snprintf(name, sizeof(name), "s%zu", i);
		server_new(b, name, p)->inter_ms = 60000;
	}
	world_configure(w);
	world_until(w, p->asked >= 5);
	/* s0 stays in flight; s1 looks elsewhere; s2 is unchecked; s3 is disabled; s4 is removed. */
	b->servers.items[1].check_at.port = q->port;
	b->servers.items[2].check = false;
	b->servers.items[3].disabled = true;
	free(b->servers.items[--b->servers.count].name);
	world_configure(w);
	world_until(w, view(w, 0, 1).check == HEALTH_UP);
	assert_int_equal(view(w, 0, 0).checks, 0);
	assert_int_equal(view(w, 0, 0).check, HEALTH_INIT);
	assert_int_equal(view(w, 0, 2).check, HEALTH_UNCHECKED);
	assert_true(view(w, 0, 2).up);
	assert_int_equal(view(w, 0, 3).admin, HEALTH_MAINT);
	assert_false(view(w, 0, 3).admin_is_override);
	assert_int_equal(w->first_rounds, 0);
	/* The one left in flight is still served by the socket it had: its answer counts. */
	p->manner = ANSWER;
	p->text = OK;
	for (i = 0; i < WORLD_CLIENTS_MAX; i++)
		if (w->clients[i].event && w->clients[i].peer == p)
			event_active(w->clients[i].event, EV_TIMEOUT, 0);
	world_until(w, view(w, 0, 0).checks == 1);
	assert_string_equal(view(w, 0, 0).last_result, "L7OK/200");
	world_until(w, w->first_rounds == 1);
}

static void freeing_with_checks_in_flight_is_safe(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);

	server_new(backend_new(w, "web", MODEL_CHECK_HTTP), "s1", p)->inter_ms = 60000;
	world_configure(w);
	world_until(w, p->asked == 1);
	health_free(w->h);
	w->h = NULL;
	world_run_ms(w, 20);
	health_free(NULL);
}

static void reconfigure(const struct health_event *e, void *ctx)
{
	struct world *w = ctx;

	w->changes++;
	assert_return_code(health_configure(w->h, &w->m), 0);
}

static void the_callback_may_reconfigure_and_remove_its_own_server(void **state)
{
	struct world *w = *state;
	struct health_ops ops = { .on_change = reconfigure, .on_first_round = world_on_first_round, .ctx = w };
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);

	health_free(w->h);
	w->h = health_new(w->base, &ops);
	server_new(b, "s1", peer_new(w, HOLD, NULL));
	world_configure(w);
	free(b->servers.items[--b->servers.count].name);
	world_until(w, w->changes == 1);
	world_until(w, w->first_rounds >= 1);
	assert_int_equal(health_set_admin(w->h, "db/s1", HEALTH_DRAIN), -ENOENT);
}

static void check_added_to_a_server_at_work_keeps_it_up_until_the_first_result(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "web", MODEL_CHECK_HTTP);
	struct model_server *s = server_new(b, "s1", peer_new(w, ANSWER, "HTTP/1.1 500 Oops\r\n\r\n"));

	s->check = false;
	settle(w);
	s->check = true;
	world_configure(w);
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	assert_true(view(w, 0, 0).accepts_new);
	world_until(w, w->downs == 1);
	assert_int_equal(view(w, 0, 0).checks, 1);
}

static void check_removed_makes_a_dead_server_up(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	struct model_server *s = server_new_at(b, "s1", loopback("127.0.0.1", 1));
	uint64_t checks;

	settle(w);
	assert_false(view(w, 0, 0).up);
	s->check = false;
	settle(w);
	assert_int_equal(view(w, 0, 0).check, HEALTH_UNCHECKED);
	assert_true(view(w, 0, 0).accepts_new);
	checks = view(w, 0, 0).checks;
	world_run_ms(w, 60);
	assert_int_equal(view(w, 0, 0).checks, checks);
}

static void init_state_is_what_is_seen_before_the_first_check(void **state)
{
	static const struct {
		enum model_init_state init;
		enum health_check_state check;
	} rows[] = {
		{ MODEL_INIT_DEFAULT, HEALTH_INIT },	 { MODEL_INIT_UP, HEALTH_UP },
		{ MODEL_INIT_DOWN, HEALTH_DOWN },	 { MODEL_INIT_FULLY_UP, HEALTH_UP },
		{ MODEL_INIT_FULLY_DOWN, HEALTH_DOWN },
	};
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	struct peer *p = peer_new(w, HOLD, NULL);
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[8];

		snprintf(name, sizeof(name), "s%zu", i);
		server_new(b, name, p)->init_state = rows[i].init;
	}
	world_configure(w);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(view(w, 0, i).check, rows[i].check);
		assert_int_equal(view(w, 0, i).accepts_new, rows[i].check == HEALTH_UP);
	}
	world_until(w, view(w, 0, 0).up && view(w, 0, 2).up);
	assert_int_equal(view(w, 0, 2).checks, 1);
	world_until(w, view(w, 0, 4).up);
	assert_int_equal(view(w, 0, 4).checks, 2);
}

static void an_empty_model_and_back(void **state)
{
	struct world *w = *state;
	struct peer *p = peer_new(w, HOLD, NULL);

	settle(w);
	server_new(backend_new(w, "db", MODEL_CHECK_TCP), "s1", p);
	settle(w);
	assert_int_equal(view(w, 0, 0).check, HEALTH_UP);
	model_clear(&w->m);
	settle(w);
	assert_int_equal(health_set_weight(w->h, "db/s1", 1), -ENOENT);
}

static void many_servers_start_spread_and_all_are_found_by_name(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_new(w, "db", MODEL_CHECK_TCP);
	char path[32];
	size_t i;

	for (i = 0; i < 2000; i++) {
		snprintf(path, sizeof(path), "s%zu", i);
		server_new_at(b, path, loopback("127.0.0.1", 1))->inter_ms = 60000;
	}
	settle(w);
	for (i = 0; i < 2000; i++) {
		assert_int_equal(view(w, 0, i).check, HEALTH_DOWN);
		assert_int_equal(view(w, 0, i).checks, 1);
		snprintf(path, sizeof(path), "db/s%zu", i);
		assert_int_equal(health_set_weight(w->h, path, (unsigned)(i % 257)), 0);
	}
	for (i = 0; i < 2000; i++)
		assert_int_equal(view(w, 0, i).weight, i % 257);
}

#define CONFIGURE_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFIGURE_TEST(a_reload_of_the_same_keeps_state_counts_and_history),
		CONFIGURE_TEST(the_models_order_does_not_matter),
		CONFIGURE_TEST(a_removed_server_is_forgotten),
		CONFIGURE_TEST(another_address_under_the_same_name_is_a_new_server),
		CONFIGURE_TEST(a_changed_check_target_keeps_the_state_until_fall),
		CONFIGURE_TEST(a_changed_source_is_checked_at_once),
		CONFIGURE_TEST(a_changed_expectation_is_checked_at_once),
		CONFIGURE_TEST(a_changed_request_is_checked_at_once),
		CONFIGURE_TEST(shorter_timings_apply_without_waiting_out_the_old_ones),
		CONFIGURE_TEST(checks_in_flight_are_cancelled_by_every_kind_of_change),
		CONFIGURE_TEST(freeing_with_checks_in_flight_is_safe),
		CONFIGURE_TEST(the_callback_may_reconfigure_and_remove_its_own_server),
		CONFIGURE_TEST(check_added_to_a_server_at_work_keeps_it_up_until_the_first_result),
		CONFIGURE_TEST(check_removed_makes_a_dead_server_up),
		CONFIGURE_TEST(init_state_is_what_is_seen_before_the_first_check),
		CONFIGURE_TEST(an_empty_model_and_back),
		CONFIGURE_TEST(many_servers_start_spread_and_all_are_found_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
