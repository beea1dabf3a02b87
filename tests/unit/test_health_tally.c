/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rise, fall and init-state against a table of result sequences. Each row reads: from this start, with these
 * thresholds, these results ('+' good, '-' bad, '?' unknown) lead through these states (U up, D down, I no result yet).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "health/tally.h"

struct row {
	const char *name;
	enum model_init_state init;
	unsigned rise, fall;
	const char *results, *states;
	const char *paces; /* after each result: s steady, t transition, d down */
};

static const struct row rows[] = {
	{ "the first good check makes it up at once", MODEL_INIT_DEFAULT, 5, 3, "+", "U", "s" },
	{ "the first bad check makes it down at once", MODEL_INIT_DEFAULT, 5, 3, "-", "D", "d" },
	{ "an unknown first check decides nothing", MODEL_INIT_DEFAULT, 2, 3, "??+", "IIU", "tts" },
	{ "up falls at the third failure in a row", MODEL_INIT_DEFAULT, 2, 3, "+---", "UUUD", "sttd" },
	{ "a success in between starts the count anew", MODEL_INIT_DEFAULT, 2, 3, "+--+---", "UUUUUUD", "sttsttd" },
	{ "down rises at the second success in a row", MODEL_INIT_DEFAULT, 2, 3, "-++", "DDU", "dts" },
	{ "a failure in between starts the count anew", MODEL_INIT_DEFAULT, 3, 1, "-++-+++", "DDDDDDU", "dttdtts" },
	{ "unknown neither counts nor interrupts", MODEL_INIT_DEFAULT, 2, 3, "+-?-?-", "UUUUUD", "sttttd" },
	{ "unknown does not rise", MODEL_INIT_DEFAULT, 2, 3, "-+??+", "DDDDU", "dttts" },
	{ "fall 1 and rise 1 follow every result", MODEL_INIT_DEFAULT, 1, 1, "+-+-", "UDUD", "sdsd" },
	{ "init-state up: one failure is enough", MODEL_INIT_UP, 2, 3, "-", "D", "d" },
	{ "init-state up: once confirmed, fall counts", MODEL_INIT_UP, 2, 3, "+---", "UUUD", "sttd" },
	{ "init-state down: one success is enough", MODEL_INIT_DOWN, 4, 3, "+", "U", "s" },
	{ "init-state down: once confirmed, rise counts", MODEL_INIT_DOWN, 2, 3, "-++", "DDU", "dts" },
	{ "init-state fully-up: all of fall are needed", MODEL_INIT_FULLY_UP, 2, 3, "---", "UUD", "ttd" },
	{ "init-state fully-down: all of rise are needed", MODEL_INIT_FULLY_DOWN, 3, 3, "+++", "DDU", "tts" },
	{ "init-state fully-down: a failure in between", MODEL_INIT_FULLY_DOWN, 2, 3, "+-++", "DDDU", "tdts" },
};

static enum check_outcome outcome(char c)
{
	return c == '+' ? CHECK_PASSED : c == '-' ? CHECK_FAILED : CHECK_UNKNOWN;
}

static char state_letter(const struct tally *t)
{
	return t->state == HEALTH_UP ? 'U' : t->state == HEALTH_DOWN ? 'D' : 'I';
}

static void each_row_leads_through_its_states(void **state)
{
	size_t i, k;

	for (i = 0; i < array_size(rows); i++) {
		const struct row *r = &rows[i];
		struct tally t;
		char before;

		tally_start(&t, r->init);
		for (k = 0; r->results[k]; k++) {
			before = state_letter(&t);
			bool changed = tally_count(&t, outcome(r->results[k]), r->rise, r->fall);

			if (state_letter(&t) != r->states[k] || "std"[tally_pace(&t)] != r->paces[k] ||
			    changed != (before != r->states[k]))
				fail_msg("%s: after %zu results: state %c pace %c changed %d", r->name, k + 1,
					 state_letter(&t), "std"[tally_pace(&t)], changed);
		}
	}
}

static void the_state_before_any_result_is_init_states(void **state)
{
	struct tally t;

	tally_start(&t, MODEL_INIT_DEFAULT);
	assert_int_equal(t.state, HEALTH_INIT);
	assert_int_equal(tally_pace(&t), TALLY_TRANSITION);
	tally_start(&t, MODEL_INIT_UP);
	assert_int_equal(t.state, HEALTH_UP);
	assert_int_equal(tally_pace(&t), TALLY_TRANSITION);
	tally_start(&t, MODEL_INIT_DOWN);
	assert_int_equal(t.state, HEALTH_DOWN);
	assert_int_equal(tally_pace(&t), TALLY_TRANSITION);
	tally_start(&t, MODEL_INIT_FULLY_UP);
	assert_int_equal(t.state, HEALTH_UP);
	assert_int_equal(tally_pace(&t), TALLY_STEADY);
	tally_start(&t, MODEL_INIT_FULLY_DOWN);
	assert_int_equal(t.state, HEALTH_DOWN);
	assert_int_equal(tally_pace(&t), TALLY_DOWN);
}

static void an_assumed_state_lasts_until_one_result_contradicts_it(void **state)
{
	struct tally t;

	tally_assume(&t, HEALTH_UP);
	assert_true(tally_count(&t, CHECK_FAILED, 2, 3));
	assert_int_equal(t.state, HEALTH_DOWN);
	tally_assume(&t, HEALTH_UP);
	assert_false(tally_count(&t, CHECK_PASSED, 2, 3));
	assert_false(tally_count(&t, CHECK_FAILED, 2, 3));
	assert_int_equal(t.state, HEALTH_UP);
}

static void forgetting_keeps_the_state_and_drops_the_count(void **state)
{
	struct tally t;

	tally_start(&t, MODEL_INIT_FULLY_UP);
	tally_count(&t, CHECK_FAILED, 2, 3);
	tally_count(&t, CHECK_FAILED, 2, 3);
	tally_forget(&t);
	assert_false(tally_count(&t, CHECK_FAILED, 2, 3));
	assert_false(tally_count(&t, CHECK_FAILED, 2, 3));
	assert_true(tally_count(&t, CHECK_FAILED, 2, 3));
}

static void a_threshold_lowered_below_the_count_acts_at_the_next_result(void **state)
{
	struct tally t;
	int i;

	tally_start(&t, MODEL_INIT_FULLY_UP);
	for (i = 0; i < 5; i++)
		assert_false(tally_count(&t, CHECK_FAILED, 2, 10));
	assert_true(tally_count(&t, CHECK_FAILED, 2, 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_leads_through_its_states),
		cmocka_unit_test(the_state_before_any_result_is_init_states),
		cmocka_unit_test(an_assumed_state_lasts_until_one_result_contradicts_it),
		cmocka_unit_test(forgetting_keeps_the_state_and_drops_the_count),
		cmocka_unit_test(a_threshold_lowered_below_the_count_acts_at_the_next_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
