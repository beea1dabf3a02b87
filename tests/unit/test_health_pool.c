/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Servers taken together: on-all-down last-known, panic-threshold and its way in and out, track; and what happens to
 * one over time: slowstart, flap-damping, its history. Checks go to real listeners on loopback.
 */
#include "health_world.h"

#include "health/damping.h"
#include "health/pool.h"
#include "health/ramp.h"

static void settle(struct world *w)
{
	unsigned rounds = w->first_rounds;

	world_configure(w);
	world_until(w, w->first_rounds > rounds);
}

/* A backend of count servers with a listener each, all of them up. */
static struct model_backend *backend_of(struct world *w, size_t count)
{
	struct model_backend *b = backend_new(w, "b", MODEL_CHECK_TCP);
	char name[8];

	for (size_t i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "s%zu", i + 1);
		server_new(b, name, peer_new(w, HOLD, NULL))->fall = 2;
	}
	return b;
}

static void stop(struct world *w, size_t server)
{
	peer_close(&w->peers[server]);
	world_until(w, view(w, 0, server).check == HEALTH_DOWN);
}

static void start(struct world *w, size_t server)
{
	peer_open(&w->peers[server], "127.0.0.1", w->peers[server].port);
	world_until(w, view(w, 0, server).check == HEALTH_UP);
}

static size_t accepting(struct world *w)
{
	size_t count = 0;

	for (size_t i = 0; i < w->m.backends.items[0].servers.count; i++)
		count += view(w, 0, i).accepts_new;
	return count;
}

/* --- on-all-down last-known */

static void without_the_word_nobody_is_kept(void **state)
{
	struct world *w = *state;

	backend_of(w, 2);
	settle(w);
	stop(w, 0);
	stop(w, 1);
	assert_int_equal(accepting(w), 0);
	assert_int_equal(w->downs, 2);
}

static void last_known_keeps_those_that_went_down_last(void **state)
{
	struct world *w = *state;

	backend_of(w, 2)->on_all_down = MODEL_LAST_KNOWN;
	settle(w);
	stop(w, 0);
	assert_int_equal(accepting(w), 1);
	w->downs = 0;
	stop(w, 1);
	assert_int_equal(accepting(w), 2);
	assert_false(view(w, 0, 1).up);
	assert_true(view(w, 0, 1).held);
	/* Its connections are not to be ended: it goes on serving. */
	assert_int_equal(w->downs, 0);
	world_until(w, view(w, 0, 0).held && !strcmp(w->server, "b/s1"));
	assert_string_equal(w->reason, "kept in service as last known: no server is up");
	start(w, 1);
	assert_int_equal(accepting(w), 1);
	assert_false(view(w, 0, 0).held);
	world_until(w, !strcmp(w->reason, "no longer kept in service: 1 of 2 servers are up"));
}

static void who_was_never_up_is_not_kept(void **state)
{
	struct world *w = *state;

	backend_of(w, 2)->on_all_down = MODEL_LAST_KNOWN;
	peer_close(&w->peers[0]);
	settle(w);
	stop(w, 1);
	assert_false(view(w, 0, 0).held);
	assert_true(view(w, 0, 1).held);
}

static void a_backup_that_is_up_is_better_than_a_guess(void **state)
{
	struct world *w = *state;
	struct model_backend *b = backend_of(w, 2);

	b->on_all_down = MODEL_LAST_KNOWN;
	b->servers.items[1].backup = true;
	settle(w);
	stop(w, 0);
	assert_false(view(w, 0, 0).held);
	assert_true(view(w, 0, 1).accepts_new);
	stop(w, 1);
	assert_true(view(w, 0, 0).held);
}

static void drain_and_maint_are_not_overruled(void **state)
{
	struct world *w = *state;

	backend_of(w, 2)->on_all_down = MODEL_LAST_KNOWN;
	settle(w);
	health_set_admin(w->h, "b/s1", HEALTH_DRAIN);
	stop(w, 0);
	stop(w, 1);
	assert_false(view(w, 0, 0).accepts_new);
	assert_true(view(w, 0, 1).accepts_new);
	health_set_admin(w->h, "b/s2", HEALTH_MAINT);
	assert_false(view(w, 0, 1).accepts_new);
}

static void a_reload_and_a_restart_go_on_keeping(void **state)
{
	struct world *w = *state;
	json_t *saved;

	backend_of(w, 1)->on_all_down = MODEL_LAST_KNOWN;
	settle(w);
	stop(w, 0);
	assert_true(view(w, 0, 0).held);
	world_configure(w);
	assert_true(view(w, 0, 0).held);
	assert_int_equal(health_save(w->h, &saved), 0);
	health_free(w->h);
	world_start_health(w);
	world_configure(w);
	assert_false(view(w, 0, 0).held);
	assert_int_equal(health_restore(w->h, saved), 0);
	json_decref(saved);
	assert_true(view(w, 0, 0).held);
	assert_true(view(w, 0, 0).accepts_new);
}

/* --- panic-threshold */

static void panic_begins_below_the_threshold_and_ends_above_the_margin(void **state)
{
	struct world *w = *state;

	backend_of(w, 5)->panic_percent = 50;
	settle(w);
	stop(w, 0);
	stop(w, 1);
	assert_int_equal(accepting(w), 3); /* 60 %: as always */
	stop(w, 2);
	assert_int_equal(accepting(w), 5); /* 40 %: those three are kept */
	world_until(w, strstr(w->reason, "2 of 5 servers are up, below panic-threshold 50"));
	start(w, 2);
	assert_int_equal(accepting(w), 3); /* 60 % = 50 + the margin of 10: over */
	assert_false(view(w, 0, 0).held);
}

static void panic_has_hysteresis(void **state)
{
	struct health_pool p = { .panic_percent = 50, .wanted = 20, .up = 10 };

	assert_false(pool_judge(&p, 1000));
	p.up = 9;
	assert_true(pool_judge(&p, 1000));
	assert_true(p.holds);
	p.up = 11;
	assert_false(pool_judge(&p, 2000));
	assert_true(p.holds);
	p.up = 12;
	assert_true(pool_judge(&p, 3000));
	assert_false(p.holds);
	/* A threshold of 100 ends with the last server. */
	p.panic_percent = 100;
	p.up = 19;
	assert_true(pool_judge(&p, 4000));
	p.up = 20;
	assert_true(pool_judge(&p, 5000));
}

static void who_went_down_long_before_is_not_kept(void **state)
{
	const struct health_pool p = { .holds = true, .held_since_ms = 1000000 };

	assert_true(pool_keeps(&p, 1000001, 6000));
	assert_true(pool_keeps(&p, 1000000 - HEALTH_RECENT_MS, 6000));
	assert_false(pool_keeps(&p, 1000000 - HEALTH_RECENT_MS - 1, 6000));
	/* Where checks take longer than that to find out, so does the memory. */
	assert_true(pool_keeps(&p, 1000000 - 200000, 100000));
	assert_false(pool_keeps(&p, 1000000 - 200001, 100000));
	assert_false(pool_keeps(&p, 0, 6000));
	assert_false(pool_keeps(&(struct health_pool){}, 1, 6000));
}

static void a_pool_of_many_counts_right(void **state)
{
	struct world *w = *state;

	backend_of(w, 8)->panic_percent = 40;
	settle(w);
	health_set_admin(w->h, "b/s8", HEALTH_MAINT);
	health_set_weight(w->h, "b/s7", 0);
	/* Six are wanted: 3 up are 50 %, 2 are 33 %. */
	stop(w, 0);
	stop(w, 1);
	stop(w, 2);
	assert_int_equal(accepting(w), 3);
	stop(w, 3);
	assert_int_equal(accepting(w), 6);
}

/* --- track */

static void a_tracker_follows(void **state)
{
	struct world *w = *state;
	struct model_server *s;

	backend_of(w, 1);
	s = server_new_at(backend_new(w, "c", MODEL_CHECK_TCP), "t", loopback("127.0.0.1", 9));
	s->check = false;
	s->track = strdup("b/s1");
	world_configure(w);
	assert_int_equal(view(w, 1, 0).check, HEALTH_INIT);
	assert_false(view(w, 1, 0).accepts_new);
	world_until(w, view(w, 1, 0).up && !strcmp(w->server, "c/t"));
	assert_string_equal(w->reason, "follows b/s1: L4OK");
	stop(w, 0);
	assert_false(view(w, 1, 0).up);
	world_until(w, !strcmp(w->server, "c/t"));
	assert_string_equal(w->reason, "follows b/s1: L4CON: Connection refused");
	assert_int_equal(w->downs, 2);
	start(w, 0);
	assert_true(view(w, 1, 0).up);
	health_set_admin(w->h, "b/s1", HEALTH_DRAIN);
	assert_int_equal(view(w, 1, 0).admin, HEALTH_DRAIN);
	health_set_admin(w->h, "b/s1", HEALTH_MAINT);
	assert_int_equal(view(w, 1, 0).admin, HEALTH_MAINT);
	health_set_admin(w->h, "b/s1", HEALTH_READY);
	assert_int_equal(view(w, 1, 0).admin, HEALTH_READY);
	health_set_admin(w->h, "c/t", HEALTH_DRAIN);
	assert_int_equal(view(w, 0, 0).admin, HEALTH_READY);
}

static void a_chain_of_trackers_follows(void **state)
{
	struct world *w = *state;
	struct model_backend *b;

	backend_of(w, 1);
	b = backend_new(w, "c", MODEL_CHECK_TCP);
	for (int i = 0; i < 3; i++) {
		char name[8], track[16];
		struct model_server *s;

		snprintf(name, sizeof(name), "t%d", i);
		s = server_new_at(b, name, loopback("127.0.0.1", 9));
		s->check = false;
		snprintf(track, sizeof(track), "c/t%d", i - 1);
		s->track = strdup(i ? track : "b/s1");
	}
	settle(w);
	world_until(w, view(w, 1, 2).up);
	w->changes = 0;
	stop(w, 0);
	assert_false(view(w, 1, 2).up);
	world_until(w, w->changes == 4); /* each is told of once */
	/* The one that is tracked leaves the configuration; its follower follows another. */
	free(w->m.backends.items[1].servers.items[0].track);
	w->m.backends.items[1].servers.items[0].track = NULL;
	world_configure(w);
	assert_true(view(w, 1, 2).up);
}

static void a_tracked_server_may_go(void **state)
{
	struct world *w = *state;
	struct model_server *s;

	backend_of(w, 2);
	s = server_new_at(backend_new(w, "c", MODEL_CHECK_TCP), "t", loopback("127.0.0.1", 9));
	s->check = false;
	s->track = strdup("b/s2");
	settle(w);
	world_until(w, view(w, 1, 0).up);
	server_clear(&w->m.backends.items[0].servers.items[--w->m.backends.items[0].servers.count]);
	strcpy(w->m.backends.items[1].servers.items[0].track, "b/s1");
	world_configure(w);
	assert_true(view(w, 1, 0).up);
	stop(w, 0);
	assert_false(view(w, 1, 0).up);
}

/* --- slowstart */

static void the_ramp_is_linear_in_steps(void **state)
{
	unsigned last = 0;

	assert_int_equal(ramp_percent(0, 1600), 1);
	assert_int_equal(ramp_percent(99, 1600), 1);
	assert_int_equal(ramp_percent(100, 1600), 6);
	assert_int_equal(ramp_percent(800, 1600), 50);
	assert_int_equal(ramp_percent(1599, 1600), 93);
	assert_int_equal(ramp_percent(1600, 1600), 100);
	assert_int_equal(ramp_percent(0, 0), 100);
	assert_int_equal(ramp_percent(86399999, 86400000), 93);
	for (uint64_t at = 0, step; (step = ramp_next_ms(at, 777)); at += step) {
		assert_true(ramp_percent(at, 777) > last);
		last = ramp_percent(at, 777);
	}
	assert_int_equal(last, 93);
	assert_int_equal(ramp_next_ms(777, 777), 0);
}

static void a_server_that_comes_back_starts_slowly(void **state)
{
	struct world *w = *state;

	backend_of(w, 1)->servers.items[0].slowstart_ms = 300;
	settle(w);
	/* Never at start. */
	assert_int_equal(view(w, 0, 0).share_percent, 100);
	stop(w, 0);
	start(w, 0);
	assert_in_range(view(w, 0, 0).share_percent, 1, 50);
	assert_true(view(w, 0, 0).accepts_new);
	world_until(w, view(w, 0, 0).share_percent == 100);
	world_run_ms(w, 30);
	assert_in_range(w->shares, 1, RAMP_STEPS);
}

static void from_maint_too(void **state)
{
	struct world *w = *state;

	backend_of(w, 1)->servers.items[0].slowstart_ms = 60000;
	settle(w);
	health_set_admin(w->h, "b/s1", HEALTH_MAINT);
	health_set_admin(w->h, "b/s1", HEALTH_READY);
	world_until(w, view(w, 0, 0).up);
	assert_int_equal(view(w, 0, 0).share_percent, 1);
	/* Without the word its share is whole at once. */
	w->m.backends.items[0].servers.items[0].slowstart_ms = 0;
	world_configure(w);
	assert_int_equal(view(w, 0, 0).share_percent, 100);
}

/* --- flap-damping */

static void damping_begins_with_the_last_of_its_count(void **state)
{
	struct damping d = {};

	damping_failed(&d, 100);
	damping_went_down(&d, 3, 1000, 100);
	damping_failed(&d, 500);
	damping_went_down(&d, 3, 1000, 500);
	assert_false(damping_holds(&d, 3, 1000, 600));
	damping_failed(&d, 1100);
	damping_went_down(&d, 3, 1000, 1100);
	assert_true(damping_holds(&d, 3, 1000, 1200));
	damping_failed(&d, 1500);
	assert_true(damping_holds(&d, 3, 1000, 2499));
	assert_false(damping_holds(&d, 3, 1000, 2500));
	assert_false(damping_holds(&d, 3, 1000, 2501));
	damping_done(&d);
}

static void downs_far_apart_do_not_count(void **state)
{
	struct damping d = {};

	for (uint64_t at = 100; at < 20000; at += 501) {
		damping_failed(&d, at);
		damping_went_down(&d, 3, 1000, at);
		assert_false(damping_holds(&d, 3, 1000, at));
	}
	/* The largest count needs the whole ring. */
	damping_done(&d);
	for (int i = 1; i < MODEL_FLAPS_MAX; i++) {
		damping_failed(&d, i);
		damping_went_down(&d, MODEL_FLAPS_MAX, 1000, i);
		assert_false(damping_holds(&d, MODEL_FLAPS_MAX, 1000, i));
	}
	damping_failed(&d, 20);
	damping_went_down(&d, MODEL_FLAPS_MAX, 1000, 20);
	assert_true(damping_holds(&d, MODEL_FLAPS_MAX, 1000, 20));
	assert_false(damping_holds(&d, 0, 1000, 20)); /* switched off by a reload */
	damping_done(&d);
}

static void a_flapping_server_is_kept_down(void **state)
{
	struct world *w = *state;
	struct model_server *s = &backend_of(w, 1)->servers.items[0];

	s->flap_count = 2;
	s->flap_ms = 1000;
	settle(w);
	stop(w, 0);
	start(w, 0);
	stop(w, 0);
	assert_true(view(w, 0, 0).damped);
	peer_open(&w->peers[0], "127.0.0.1", w->peers[0].port);
	world_until(w, view(w, 0, 0).rise_count >= 4); /* rise is 2 */
	assert_int_equal(view(w, 0, 0).check, HEALTH_DOWN);
	world_until(w, view(w, 0, 0).check == HEALTH_UP);
	assert_false(view(w, 0, 0).damped);
}

/* --- history */

static void the_last_transitions_are_remembered(void **state)
{
	struct world *w = *state;
	struct health_transition t[HEALTH_HISTORY_MAX + 1];

	backend_of(w, 1);
	settle(w);
	stop(w, 0);
	health_set_admin(w->h, "b/s1", HEALTH_DRAIN);
	health_set_weight(w->h, "b/s1", 7);
	assert_int_equal(health_history(w->h, 0, 0, t, HEALTH_HISTORY_MAX + 1), 3);
	assert_string_equal(t[0].reason, "set to drain");
	assert_int_equal(t[0].admin, HEALTH_DRAIN);
	assert_string_equal(t[1].reason, "L4CON: Connection refused; 2 consecutive checks failed");
	assert_int_equal(t[1].check, HEALTH_DOWN);
	assert_string_equal(t[2].reason, "L4OK; first check");
	assert_true(t[2].up);
	assert_int_equal(t[2].at_ms + t[2].lasted_ms, t[1].at_ms);
	assert_int_equal(t[1].at_ms + t[1].lasted_ms, t[0].at_ms);
	assert_int_equal(health_history(w->h, 0, 0, t, 1), 1);
	assert_string_equal(t[0].reason, "set to drain");
}

static void the_seventeenth_replaces_the_first(void **state)
{
	struct world *w = *state;
	struct health_transition t[HEALTH_HISTORY_MAX + 1];

	backend_of(w, 1)->servers.items[0].inter_ms = 60000;
	settle(w);
	for (int i = 1; i < HEALTH_HISTORY_MAX; i++)
		health_set_admin(w->h, "b/s1", i % 2 ? HEALTH_DRAIN : HEALTH_READY);
	assert_int_equal(health_history(w->h, 0, 0, t, HEALTH_HISTORY_MAX + 1), HEALTH_HISTORY_MAX);
	assert_string_equal(t[HEALTH_HISTORY_MAX - 1].reason, "L4OK; first check");
	health_set_admin(w->h, "b/s1", HEALTH_MAINT);
	assert_int_equal(health_history(w->h, 0, 0, t, HEALTH_HISTORY_MAX + 1), HEALTH_HISTORY_MAX);
	assert_string_equal(t[0].reason, "set to maint");
	assert_string_equal(t[1].reason, "set to drain");
	assert_string_equal(t[HEALTH_HISTORY_MAX - 1].reason, "set to drain");
	/* It outlives a reload. */
	world_configure(w);
	assert_int_equal(health_history(w->h, 0, 0, t, 1), 1);
	assert_string_equal(t[0].reason, "set to maint");
}

int main(void)
{
#define POOL_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	static const struct CMUnitTest tests[] = {
		POOL_TEST(without_the_word_nobody_is_kept),
		POOL_TEST(last_known_keeps_those_that_went_down_last),
		POOL_TEST(who_was_never_up_is_not_kept),
		POOL_TEST(a_backup_that_is_up_is_better_than_a_guess),
		POOL_TEST(drain_and_maint_are_not_overruled),
		POOL_TEST(a_reload_and_a_restart_go_on_keeping),
		POOL_TEST(panic_begins_below_the_threshold_and_ends_above_the_margin),
		POOL_TEST(panic_has_hysteresis),
		POOL_TEST(who_went_down_long_before_is_not_kept),
		POOL_TEST(a_pool_of_many_counts_right),
		POOL_TEST(a_tracker_follows),
		POOL_TEST(a_chain_of_trackers_follows),
		POOL_TEST(a_tracked_server_may_go),
		POOL_TEST(the_ramp_is_linear_in_steps),
		POOL_TEST(a_server_that_comes_back_starts_slowly),
		POOL_TEST(from_maint_too),
		POOL_TEST(damping_begins_with_the_last_of_its_count),
		POOL_TEST(downs_far_apart_do_not_count),
		POOL_TEST(a_flapping_server_is_kept_down),
		POOL_TEST(the_last_transitions_are_remembered),
		POOL_TEST(the_seventeenth_replaces_the_first),
	};

	return cmocka_run_group_tests_name("health_pool", tests, NULL, NULL);
}
