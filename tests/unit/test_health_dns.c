/* SPDX-License-Identifier: BSD-2-Clause */
/* A DNS query byte by byte, and what is made of answers, good ones, foreign ones, and noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "health/dns.h"
#include "model/model.h"

static uint8_t query[DNS_QUERY_MAX], answer[DNS_ANSWER_MAX + 1];
static size_t length;

/* An answer to www.example A as a server without fault gives it: no error, one record (which is not looked at). */
static int setup(void **state)
{
	length = dns_query("www.example", 1, query);
	dns_set_id(query, 0xbeef);
	memset(answer, 0, sizeof(answer));
	memcpy(answer, query, length);
	answer[2] |= 0x80;
	answer[7] = 1;
	return 0;
}

static void judge(size_t size, bool any, enum check_code code, const char *detail)
{
	struct check_result r;

	dns_judge(query, length, answer, size, any, &r);
	assert_string_equal(r.detail, detail);
	assert_int_equal(r.code, code);
}

static void a_query_byte_by_byte(void **state)
{
	static const uint8_t wanted[] = {
		0xbe, 0xef, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0,
		0, 1, 0, 1,
	};

	assert_int_equal(length, sizeof(wanted));
	assert_memory_equal(query, wanted, sizeof(wanted));
	assert_int_equal(dns_query("www.example.", 1, query), sizeof(wanted));
	assert_int_equal(dns_query(NULL, 2, query), 12 + 1 + 4);
}

static void names_at_their_limits(void **state)
{
	char name[260], label[65];

	memset(label, 'x', 64);
	label[63] = '\0';
	assert_true(model_dns_name_is_valid(label));
	label[63] = 'x';
	label[64] = '\0';
	assert_false(model_dns_name_is_valid(label));
	for (size_t i = 0; i < 254; i++)
		name[i] = i % 50 == 49 ? '.' : 'x';
	name[253] = '\0';
	assert_true(model_dns_name_is_valid(name));
	assert_int_equal(dns_query(name, 1, query), 12 + 255 + 4);
	name[253] = 'x';
	name[254] = '\0';
	assert_false(model_dns_name_is_valid(name));
	assert_int_equal(dns_query(name, 1, query), 0);
	assert_false(model_dns_name_is_valid(""));
	assert_false(model_dns_name_is_valid("."));
	assert_false(model_dns_name_is_valid("a..b"));
	assert_false(model_dns_name_is_valid(".a"));
	assert_false(model_dns_name_is_valid("a b"));
}

static void a_record_is_good(void **state)
{
	judge(length, false, CHECK_L7OK, "");
	/* Names are the same in any case, as servers that mix them rely on. */
	answer[13] = 'W';
	judge(length, false, CHECK_L7OK, "");
}

static void no_record_is_a_status(void **state)
{
	answer[7] = 0;
	judge(length, false, CHECK_L7STS, "no record");
	judge(length, true, CHECK_L7OK, "");
}

static void errors_have_their_names(void **state)
{
	answer[3] = 3;
	judge(length, false, CHECK_L7STS, "NXDOMAIN");
	judge(length, true, CHECK_L7OK, "NXDOMAIN");
	answer[3] = 5;
	judge(length, false, CHECK_L7STS, "REFUSED");
	judge(length, true, CHECK_L7OK, "REFUSED");
	answer[3] = 2;
	judge(length, true, CHECK_L7STS, "SERVFAIL");
	answer[3] = 9;
	judge(length, false, CHECK_L7STS, "rcode 9");
	answer[3] = 1;
	judge(12, true, CHECK_L7STS, "FORMERR");
}

static void what_answers_something_else_is_no_answer(void **state)
{
	judge(0, false, CHECK_L7RSP, "not an answer to the query");
	judge(11, false, CHECK_L7RSP, "not an answer to the query");
	judge(12, false, CHECK_L7RSP, "not an answer to the question");
	judge(length - 1, false, CHECK_L7RSP, "not an answer to the question");
	answer[0] ^= 1;
	judge(length, false, CHECK_L7RSP, "not an answer to the query");
	answer[0] ^= 1;
	answer[2] &= 0x7f;
	judge(length, false, CHECK_L7RSP, "not an answer to the query");
	answer[2] |= 0x80;
	answer[14] ^= 2;
	judge(length, false, CHECK_L7RSP, "not an answer to the question");
}

static void the_longest_answer_and_one_byte_more(void **state)
{
	judge(DNS_ANSWER_MAX, false, CHECK_L7OK, "");
	judge(DNS_ANSWER_MAX + 1, false, CHECK_L7RSP, "answer too long");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_query_byte_by_byte, setup),
		cmocka_unit_test_setup(names_at_their_limits, setup),
		cmocka_unit_test_setup(a_record_is_good, setup),
		cmocka_unit_test_setup(no_record_is_a_status, setup),
		cmocka_unit_test_setup(errors_have_their_names, setup),
		cmocka_unit_test_setup(what_answers_something_else_is_no_answer, setup),
		cmocka_unit_test_setup(the_longest_answer_and_one_byte_more, setup),
	};

	return cmocka_run_group_tests_name("health_dns", tests, NULL, NULL);
}
