/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may stand in a line of the log whatever the value is, and how many lines a second a kind of event may have.
 */
#include "unit/agent_rig.h"

#include "agent/log.h"
#include "agent/log_rate.h"
#include "agent/log_text.h"

static void quotes_what_would_break_the_line(void **state)
{
	static const struct {
		const char *value, *quoted;
	} cases[] = {
		{ "Connection refused", "\"Connection refused\"" },
		{ "", "\"\"" },
		{ NULL, "\"\"" },
		{ "say \"no\" \\ yes", "\"say \\\"no\\\" \\\\ yes\"" },
		{ "a\nevent=forged", "\"a\\nevent=forged\"" },
		{ "a\r\tb\033[2Jc\177", "\"a\\x0d\\tb\\x1b[2Jc\\x7f\"" },
		{ "caf\303\251 \342\202\254 \360\237\230\200", "\"caf\303\251 \342\202\254 \360\237\230\200\"" },
		/* C1 control, alone, overlong, surrogate, above U+10FFFF, cut short. */
		{ "\302\233m", "\"\\xc2\\x9bm\"" },
		{ "\200", "\"\\x80\"" },
		{ "\300\212", "\"\\xc0\\x8a\"" },
		{ "\340\200\212", "\"\\xe0\\x80\\x8a\"" },
		{ "\360\200\200\212", "\"\\xf0\\x80\\x80\\x8a\"" },
		{ "\355\240\200", "\"\\xed\\xa0\\x80\"" },
		{ "\364\220\200\200", "\"\\xf4\\x90\\x80\\x80\"" },
		{ "\342\202", "\"\\xe2\\x82\"" },
		{ "\377", "\"\\xff\"" },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		assert_string_equal(log_quoted(cases[i].value), cases[i].quoted);
}

static void cuts_a_value_at_its_limit(void **state)
{
	char value[LOG_QUOTE_MAX + 1], wanted[LOG_QUOTE_MAX + 16];

	memset(value, 'x', sizeof(value));
	value[LOG_QUOTE_MAX - 3] = '\0';
	snprintf(wanted, sizeof(wanted), "\"%s\"", value);
	assert_string_equal(log_quoted(value), wanted);
	value[LOG_QUOTE_MAX - 3] = 'x';
	value[LOG_QUOTE_MAX - 2] = '\0';
	memcpy(wanted + LOG_QUOTE_MAX - 5, "...\"", 5);
	assert_string_equal(log_quoted(value), wanted);
}

/* A cut never leaves half an escape or half a character, whatever the size. */
static void cuts_between_characters(void **state)
{
	static const char value[] = "\342\202\254\n\"\342\202\254\001\342\202\254\303\251\\\342\202\254";

	for (size_t size = 8; size < 64; size++) {
		char buf[64], *end;
		size_t length;

		memset(buf, '#', sizeof(buf));
		log_quote(buf, size, value);
		length = strlen(buf);
		assert_true(length < size);
		assert_true(length == size - 1 || length > size - 8 || !strstr(buf, "..."));
		assert_int_equal(buf[0], '"');
		assert_int_equal(buf[length - 1], '"');
		end = strstr(buf, "...\"");
		if (!end)
			continue;
		*end = '\0';
		/* What stands before the dots is a beginning of the whole, at a boundary: escaping it anew must agree. */
		assert_int_equal(strncmp(buf, log_quoted(value), strlen(buf)), 0);
		assert_true(end == buf + 1 || end[-1] != '\\' || end[-2] == '\\');
		assert_true(((unsigned char)log_quoted(value)[end - buf] & 0xc0) != 0x80);
	}
}

static void a_line_is_one_line(void **state)
{
	char line[64];

	assert_int_equal(log_text_line(line, sizeof(line), "event=x text=a\nb\001", false), 23);
	assert_string_equal(line, "event=x text=a\\x0ab\\x01");
}

static void admits_up_to_the_rate(void **state)
{
	struct log_rate *l = calloc(1, sizeof(*l));
	struct log_held held;

	assert_true(log_rate_expired(l, 5000));
	log_rate_start(l, 5000);
	for (int i = 0; i < LOG_RATE_MAX; i++)
		assert_true(log_rate_admit(l, "server_down", LOG_WARNING));
	assert_false(log_rate_admit(l, "server_down", LOG_NOTICE));
	assert_false(log_rate_admit(l, "server_down", LOG_ERR));
	assert_false(log_rate_admit(l, "server_down", LOG_NOTICE));
	/* Another kind is not held back by it. */
	assert_true(log_rate_admit(l, "server_up", LOG_NOTICE));
	assert_int_equal(log_rate_rest(l, 5300), LOG_WINDOW_MS - 300);
	assert_false(log_rate_expired(l, 5000 + LOG_WINDOW_MS - 1));
	assert_true(log_rate_expired(l, 5000 + LOG_WINDOW_MS));
	assert_true(log_rate_held(l, &held));
	assert_string_equal(held.kind, "server_down");
	assert_int_equal(held.count, 3);
	assert_int_equal(held.level, LOG_ERR);
	assert_false(log_rate_held(l, &held));
	assert_false(log_rate_held(l, &held));
	log_rate_start(l, 6000);
	assert_true(log_rate_admit(l, "server_down", LOG_WARNING));
	assert_int_equal(l->suppressed, 3);
	free(l);
}

static void tells_so_many_kinds_apart(void **state)
{
	struct log_rate *l = calloc(1, sizeof(*l));
	struct log_held held;
	char kind[16];

	log_rate_start(l, 0);
	for (int i = 0; i < LOG_KINDS_MAX; i++) {
		snprintf(kind, sizeof(kind), "kind_%d", i);
		assert_true(log_rate_admit(l, kind, LOG_INFO));
	}
	/* All that come later share one. */
	for (int i = 0; i < LOG_RATE_MAX; i++) {
		snprintf(kind, sizeof(kind), "later_%d", i);
		assert_true(log_rate_admit(l, kind, LOG_INFO));
	}
	assert_false(log_rate_admit(l, "later_x", LOG_INFO));
	assert_true(log_rate_admit(l, "kind_0", LOG_INFO));
	assert_true(log_rate_held(l, &held));
	assert_string_equal(held.kind, "other");
	assert_int_equal(held.count, 1);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quotes_what_would_break_the_line),
		cmocka_unit_test(cuts_a_value_at_its_limit),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(a_line_is_one_line),
		cmocka_unit_test(admits_up_to_the_rate),
		cmocka_unit_test(tells_so_many_kinds_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
