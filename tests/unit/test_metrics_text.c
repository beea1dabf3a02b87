/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and strings as they are written out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "metrics/histogram.h"
#include "metrics/text.h"

static struct text text;

#define CHECK(expected, ...)                                    \
	do {                                                    \
		text.length = 0;                                \
		__VA_ARGS__;                                    \
		text_add(&text, "", 1);                         \
		assert_false(text.failed);                      \
		assert_string_equal(text.data, expected);       \
	} while (0)

static void numbers(void **state)
{
	CHECK("0", text_u64(&text, 0));
	CHECK("18446744073709551615", text_u64(&text, UINT64_MAX));
	CHECK("-9223372036854775808", text_i64(&text, INT64_MIN));
	CHECK("-1", text_i64(&text, -1));
	CHECK("0", text_decimal(&text, 0, 6));
	CHECK("1.5", text_decimal(&text, 1500, 3));
	CHECK("0.00025", text_decimal(&text, 250, 6));
	CHECK("5", text_decimal(&text, 5000000, 6));
	CHECK("12", text_decimal(&text, 12, 0));
	CHECK("0.000001", text_decimal(&text, 1, 6));
	CHECK("0.25", text_ratio(&text, 250, 1000));
	CHECK("0.333333", text_ratio(&text, 1, 3));
	CHECK("1", text_ratio(&text, 7, 7));
}

static void labels(void **state)
{
	CHECK("shop/*:8080", text_label(&text, "shop/*:8080"));
	CHECK("a\\\"b\\\\c\\nd", text_label(&text, "a\"b\\c\nd"));
	CHECK("\303\274", text_label(&text, "\303\274"));
	CHECK("?a?", text_label(&text, "\377a\303"));
}

static void json(void **state)
{
	CHECK("\"\"", text_json(&text, ""));
	CHECK("\"a\\\"\\\\\\u000a\\u001b\\u007f/\"", text_json(&text, "a\"\\\n\033\177/"));
	CHECK("\"\342\202\254\"", text_json(&text, "\342\202\254"));
	/* A surrogate, an overlong form, above U+10FFFF, a truncated one. */
	CHECK("\"???\"", text_json(&text, "\355\240\200"));
	CHECK("\"??\"", text_json(&text, "\300\200"));
	CHECK("\"????\"", text_json(&text, "\364\220\200\200"));
	CHECK("\"?\"", text_json(&text, "\342"));
}

static void grows(void **state)
{
	struct text t = {};

	for (unsigned i = 0; i < 100000; i++)
		text_lit(&t, "0123456789");
	assert_int_equal(t.length, 1000000);
	assert_memory_equal(t.data + 999990, "0123456789", 10);
	text_done(&t);
	assert_null(t.data);
}

static void histogram_counts(void **state)
{
	struct histogram h = {};

	histogram_add(&h, 0);
	histogram_add(&h, 250);
	histogram_add(&h, 251);
	histogram_add(&h, 5000000);
	histogram_add(&h, 5000001);
	assert_int_equal(h.buckets[0], 2);
	assert_int_equal(h.buckets[1], 1);
	assert_int_equal(h.buckets[HISTOGRAM_BUCKETS - 1], 1);
	assert_int_equal(h.count, 5);
	assert_int_equal(h.sum_us, 10000502);
}

static int end(void **state)
{
	text_done(&text);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers), cmocka_unit_test(labels), cmocka_unit_test(json), cmocka_unit_test(grows),
		cmocka_unit_test(histogram_counts),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
