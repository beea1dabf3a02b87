/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lexer alone: words, columns, quotes, escapes, variables, and its limits at the limit and one above.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/lexer.h"

static struct lexer_line line;
static struct lexer_error error;

static int split(const char *text)
{
	static const struct lexer_context context = { "lb.cfg", 42, "web" };

	return lexer_split(text, strlen(text), &context, &line, &error);
}

struct word_case {
	const char *text;
	const char *words[6];
	unsigned columns[6];
};

static void words_and_columns(void **state)
{
	static const struct word_case cases[] = {
		{ "", {}, {} },
		{ "  \t ", {}, {} },
		{ "# only a comment", {}, {} },
		{ "a", { "a" }, { 1 } },
		{ " a\t bc ", { "a", "bc" }, { 2, 5 } },
		{ "global#comment", { "global" }, { 1 } },
		{ "a #b", { "a" }, { 1 } },
		{ "a\r", { "a" }, { 1 } },
		{ "a \"b c\" d", { "a", "b c", "d" }, { 1, 3, 9 } },
		{ "a 'b \"c\" $X \\n' d", { "a", "b \"c\" $X \\n", "d" }, { 1, 3, 17 } },
		{ "x\"y\"'z'", { "xyz" }, { 1 } },
		{ "\"\" ''", { "", "" }, { 1, 4 } },
		{ "a\\ b \\# \\\\ \\' \\\" \\$", { "a b", "#", "\\", "'", "\"", "$" }, { 1, 6, 9, 12, 15, 18 } },
		{ "\\n\\r\\t\\x41\\x7a\\xFF", { "\n\r\tAz\xff" }, { 1 } },
		{ "\"\\n\\x20\\\"#'\"", { "\n \"#'" }, { 1 } },
		{ "$NOT ${NOT}", { "$NOT", "${NOT}" }, { 1, 6 } },
		{ "\"$LEX_A\" \"${LEX_A}b\"", { "one", "oneb" }, { 1, 10 } },
		{ "\"${LEX_UNSET-x y}\" \"${LEX_A-no}\"", { "x y", "one" }, { 1, 20 } },
		{ "\"${LEX_UNSET-}\"", { "" }, { 1 } },
		{ "\"${.FILE}:${.LINE}:${.SECTION}\"", { "lb.cfg:42:web" }, { 1 } },
		{ "a \"${LEX_LIST[*]}\" b", { "a", "x", "y", "b" }, { 1, 3, 4, 20 } },
		{ "\"<${LEX_LIST[*]}>\"", { "<", "x", "y", ">" }, { 1, 3, 3, 18 } },
		{ "a \"${LEX_BLANK[*]}\" b", { "a", "b" }, { 1, 21 } },
		{ "\"$LEX_LIST\"", { " x  y " }, { 1 } },
	};
	size_t i, j;

	for (i = 0; i < array_size(cases); i++) {
		for (j = 0; j < 6 && cases[i].words[j]; j++)
			;
		if (split(cases[i].text) || line.count != j)
			fail_msg("'%s': %zu words instead of %zu", cases[i].text, line.count, j);
		for (j = 0; j < line.count; j++) {
			assert_string_equal(line.words[j].text, cases[i].words[j]);
			if (!strstr(cases[i].text, "[*]"))
				assert_int_equal(line.words[j].column, cases[i].columns[j]);
		}
	}
}

static void errors_and_their_columns(void **state)
{
	static const struct {
		const char *text;
		unsigned column;
		const char *message;
	} cases[] = {
		{ "a \"b", 3, "never closed" },
		{ "a 'b", 3, "never closed" },
		{ "a \\", 3, "end of the line" },
		{ "a \\q", 3, "unknown escape '\\q'" },
		{ "a \\\xc3", 3, "unknown escape" },
		{ "a \\x4", 3, "two hexadecimal digits" },
		{ "a \\x4g", 3, "two hexadecimal digits" },
		{ "a \\x00", 3, "NUL" },
		{ "a\001", 2, "control character 0x01" },
		{ "a\rb", 2, "control character 0x0d" },
		{ "a\177", 2, "control character 0x7f" },
		{ "\"$\"", 2, "must be followed by a variable's name" },
		{ "\"$1\"", 2, "must be followed by a variable's name" },
		{ "\"${}\"", 2, "must be followed by a variable's name" },
		{ "\"${LEX_A\"", 2, "lacks its closing" },
		{ "\"${LEX_A[0]}\"", 2, "lacks its closing" },
		{ "\"${LEX_A-x\"", 2, "does not end" },
		{ "\"$LEX_UNSET\"", 2, "'LEX_UNSET' is not set" },
		{ "\"${.OTHER}\"", 2, "'.OTHER' is not set" },
	};
	size_t i;

	for (i = 0; i < array_size(cases); i++) {
		if (split(cases[i].text) != -EINVAL)
			fail_msg("'%s' is accepted", cases[i].text);
		assert_int_equal(error.column, cases[i].column);
		if (!strstr(error.text, cases[i].message))
			fail_msg("'%s': '%s' instead of '%s'", cases[i].text, error.text, cases[i].message);
	}
}

static void a_nul_byte_is_refused(void **state)
{
	static const struct lexer_context context = { "lb.cfg", 1, "" };

	assert_int_equal(lexer_split("ab\0c", 4, &context, &line, &error), -EINVAL);
	assert_int_equal(error.column, 3);
	assert_non_null(strstr(error.text, "NUL"));
}

static void line_length_has_a_limit(void **state)
{
	static char text[CONFIG_LINE_MAX + 2];

	memset(text, 'x', CONFIG_LINE_MAX);
	assert_int_equal(split(text), 0);
	assert_int_equal(line.count, 1);
	assert_int_equal(strlen(line.words[0].text), CONFIG_LINE_MAX);
	text[CONFIG_LINE_MAX] = ' ';
	assert_int_equal(split(text), -EINVAL);
	assert_non_null(strstr(error.text, "CONFIG_LINE_MAX"));
}

static void number_of_words_has_a_limit(void **state)
{
	char text[2 * CONFIG_WORDS_MAX + 3] = "";
	size_t i;

	for (i = 0; i < CONFIG_WORDS_MAX; i++)
		strcat(text, "x ");
	assert_int_equal(split(text), 0);
	assert_int_equal(line.count, CONFIG_WORDS_MAX);
	strcat(text, "y");
	assert_int_equal(split(text), -EINVAL);
	assert_int_equal(error.column, 2 * CONFIG_WORDS_MAX + 1);
	assert_non_null(strstr(error.text, "CONFIG_WORDS_MAX"));
}

/* Longest words and most words together fill the buffer to its last byte; ASan watches. */
static void expansion_has_a_limit(void **state)
{
	static char value[CONFIG_LINE_MAX + 2];
	size_t i;

	for (i = 0; i < CONFIG_LINE_MAX; i++)
		value[i] = i % 128 == 127 ? ' ' : 'x';
	assert_int_equal(setenv("LEX_LONG", value, 1), 0);
	assert_int_equal(split("\"${LEX_LONG[*]}\""), 0);
	assert_int_equal(line.count, CONFIG_WORDS_MAX);
	memset(value, 'x', CONFIG_LINE_MAX);
	assert_int_equal(setenv("LEX_LONG", value, 1), 0);
	assert_int_equal(split("\"$LEX_LONG\""), 0);
	value[CONFIG_LINE_MAX] = 'x';
	assert_int_equal(setenv("LEX_LONG", value, 1), 0);
	assert_int_equal(split("\"$LEX_LONG\""), -EINVAL);
	assert_non_null(strstr(error.text, "CONFIG_LINE_MAX"));
}

static int set_environment(void **state)
{
	unsetenv("LEX_UNSET");
	return setenv("LEX_A", "one", 1) || setenv("LEX_LIST", " x  y ", 1) || setenv("LEX_BLANK", "  ", 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_columns),
		cmocka_unit_test(errors_and_their_columns),
		cmocka_unit_test(a_nul_byte_is_refused),
		cmocka_unit_test(line_length_has_a_limit),
		cmocka_unit_test(number_of_words_has_a_limit),
		cmocka_unit_test(expansion_has_a_limit),
	};

	return cmocka_run_group_tests_name("config_lexer", tests, set_environment, NULL);
}
