/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Quantities and tables as people see them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/table.h"
#include "cli/units.h"

static void durations_have_two_units_at_most(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0ms" }, { 999, "999ms" }, { 1000, "1s" }, { 59999, "59s" }, { 60000, "1m0s" },
		{ 192000, "3m12s" }, { 3599999, "59m59s" }, { 3600000, "1h0m" }, { 11520000, "3h12m" },
		{ 86400000, "1d0h" }, { 356400000, "4d3h" }, { UINT64_MAX, "213503982334d14h" },
	};
	char buf[UNITS_TEXT_MAX];

	for (size_t i = 0; i < array_size(cases); i++)
		assert_string_equal(units_duration(cases[i].ms, buf), cases[i].text);
}

static void bytes_have_one_decimal(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" }, { 1258291, "1.1 MiB" }, { 1258292, "1.2 MiB" },
		{ 1048575, "1023.9 KiB" }, { 1048576, "1.0 MiB" }, { 5ULL << 40, "5.0 TiB" },
		{ UINT64_MAX, "15.9 EiB" },
	};
	char buf[UNITS_TEXT_MAX];

	for (size_t i = 0; i < array_size(cases); i++)
		assert_string_equal(units_bytes(cases[i].bytes, buf), cases[i].text);
}

static void times_are_haproxys(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint32_t ms;
	} cases[] = {
		{ "0", 0, 0 }, { "250", 0, 250 }, { "250ms", 0, 250 }, { "30s", 0, 30000 }, { "5m", 0, 300000 },
		{ "2h", 0, 7200000 }, { "1d", 0, 86400000 }, { "1us", 0, 1 }, { "1001us", 0, 2 },
		{ "2147483647", 0, 2147483647 }, { "2147483648", -ERANGE, 0 }, { "25d", -ERANGE, 0 },
		{ "99999999999999999999s", -ERANGE, 0 }, { "", -EINVAL, 0 }, { "s", -EINVAL, 0 }, { "-1s", -EINVAL, 0 },
		{ "1.5s", -EINVAL, 0 }, { "1 s", -EINVAL, 0 }, { "1S", -EINVAL, 0 }, { "1sec", -EINVAL, 0 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		uint32_t ms = 42;

		assert_int_equal(units_parse_time(cases[i].text, &ms), cases[i].result);
		assert_int_equal(ms, cases[i].result == 0 ? cases[i].ms : 42);
	}
}

static void time_words_are_exact(void **state)
{
	char buf[UNITS_TEXT_MAX];

	assert_string_equal(units_time_word(0, buf), "0ms");
	assert_string_equal(units_time_word(2500, buf), "2500ms");
	assert_string_equal(units_time_word(50000, buf), "50s");
	assert_string_equal(units_time_word(3600000, buf), "1h");
	assert_string_equal(units_time_word(86400000, buf), "1d");
}

static const struct table_column two[] = { { "NAME", TABLE_LEFT }, { "N", TABLE_RIGHT } };

static char *printed(const struct table *t, bool colour)
{
	char *text = NULL;
	size_t length;
	FILE *f = open_memstream(&text, &length);

	assert_int_equal(table_print(t, 0, colour, f), 0);
	fclose(f);
	return text;
}

static void columns_are_as_wide_as_their_cells(void **state)
{
	struct table *t = table_new(two, array_size(two));
	char *text;

	table_cell(t, TONE_PLAIN, "a");
	table_cell(t, TONE_PLAIN, "1");
	table_cell(t, TONE_PLAIN, "n\xc3\xb6\x64\x65s-long");
	table_cell(t, TONE_PLAIN, "12345");
	text = printed(t, false);
	assert_string_equal(text, "NAME            N\n"
				  "a               1\n"
				  "n\xc3\xb6\x64\x65s-long  12345\n");
	free(text);
	table_free(t);
}

/* What a backend answers to a check ends up here: it must not steer the terminal of the one who looks. */
static void cells_cannot_steer_a_terminal(void **state)
{
	struct table *t = table_new(two, array_size(two));
	char *text;

	table_cell(t, TONE_PLAIN, "%s", "\033[2J\n\t\x7f\xc2\x9b!");
	table_cell(t, TONE_BAD, "DOWN");
	text = printed(t, false);
	assert_string_equal(text, "NAME           N\n?[2J" "?" "?" "?" "?" "?" "!  DOWN\n");
	free(text);
	table_free(t);
}

static void colour_does_not_shift_columns(void **state)
{
	struct table *t = table_new(two, array_size(two));
	char *text;

	table_cell(t, TONE_BAD, "x");
	table_cell(t, TONE_PLAIN, "1");
	text = printed(t, true);
	assert_string_equal(text, "NAME  N\n\033[31mx\033[0m     1\n");
	free(text);
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_two_units_at_most),
		cmocka_unit_test(bytes_have_one_decimal),
		cmocka_unit_test(times_are_haproxys),
		cmocka_unit_test(time_words_are_exact),
		cmocka_unit_test(columns_are_as_wide_as_their_cells),
		cmocka_unit_test(cells_cannot_steer_a_terminal),
		cmocka_unit_test(colour_does_not_shift_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
