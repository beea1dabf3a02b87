/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "Did you mean": how far words are from each other, and which one counts as near.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/suggest.h"

static void distances(void **state)
{
	assert_int_equal(suggest_distance("", ""), 0);
	assert_int_equal(suggest_distance("abc", ""), 3);
	assert_int_equal(suggest_distance("balance", "balance"), 0);
	assert_int_equal(suggest_distance("blance", "balance"), 1);
	assert_int_equal(suggest_distance("balacne", "balance"), 1);
	assert_int_equal(suggest_distance("ballance", "balance"), 1);
	assert_int_equal(suggest_distance("kitten", "sitting"), 3);
}

static void the_nearest_word_is_suggested(void **state)
{
	struct suggest s = { .word = "blanace" };

	suggest_offer(&s, "bind");
	assert_null(s.best);
	suggest_offer(&s, "balance");
	suggest_offer(&s, "backlog");
	assert_string_equal(s.best, "balance");
	s = (struct suggest){ .word = "zzz" };
	suggest_offer(&s, "bind");
	suggest_offer(&s, "mode");
	assert_null(s.best);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(distances),
		cmocka_unit_test(the_nearest_word_is_suggested),
	};

	return cmocka_run_group_tests_name("base_suggest", tests, NULL, NULL);
}
