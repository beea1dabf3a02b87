/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * docs/doctor.md knows every question that the doctor asks, and no other; each is provoked in tests/system/doctor.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "doctor/doctor.h"
#include "unit/cli_docs.h"

static void the_manual_knows_every_check(void **state)
{
	char *text = docs_read("docs/doctor.md"), row[64];
	const char *at = strstr(text, "\n| check |"), *end;
	size_t rows = 0, checks = 0;

	assert_non_null(at);
	end = strstr(at, "\n\n");
	assert_non_null(end);
	for (const char *name; (name = doctor_check_name(checks)); checks++) {
		const char *found;

		snprintf(row, sizeof(row), "\n| `%s` |", name);
		found = strstr(at, row);
		if (!found || found > end)
			fail_msg("docs/doctor.md has no row for `%s`", name);
	}
	for (; (at = strstr(at, "\n| `")) && at < end; at++)
		rows++;
	assert_int_equal(rows, checks);
	free(text);
}

static void each_is_provoked(void **state)
{
	char *text = docs_read("tests/system/doctor.sh"), words[64];
	const char *name;

	for (size_t i = 0; (name = doctor_check_name(i)); i++) {
		bool found = false;

		for (enum doctor_level l = DOCTOR_NOTE; l <= DOCTOR_FAIL && !found; l++) {
			snprintf(words, sizeof(words), "%s %s ", doctor_level_name(l), name);
			found = strstr(text, words) != NULL;
		}
		if (!found)
			fail_msg("tests/system/doctor.sh never provokes `%s`", name);
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manual_knows_every_check),
		cmocka_unit_test(each_is_provoked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
