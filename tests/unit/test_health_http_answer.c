/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP answers as a check's sequence reads them: framing, limits, and what is none. Each is read whole and cut off at
 * every byte: no prefix may be taken for more than it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "health/http_answer.h"

static char body[20000];

/* From a buffer of exactly this size, so that the sanitizers see a look beyond it. */
static struct http_answer read_part(const char *text, size_t count, bool to_head)
{
	char *copy = malloc(count + 1);
	struct http_answer a;

	memcpy(copy, text, count);
	copy = realloc(copy, count ? count : 1);
	http_answer_read(copy, count, to_head, body, &a);
	body[a.body_length] = '\0';
	free(copy);
	return a;
}

/* Complete with its last byte and not before; the body grows and never has another byte. */
static void expect_body(const char *text, unsigned status, const char *wanted)
{
	const size_t length = strlen(text);
	struct http_answer a = read_part(text, length, false);

	assert_false(a.bad);
	assert_int_equal(a.status, status);
	assert_true(a.head);
	assert_true(a.complete);
	assert_string_equal(body, wanted);
	for (size_t count = 0; count < length; count++) {
		a = read_part(text, count, false);
		assert_false(a.bad);
		assert_false(a.complete);
		assert_memory_equal(body, wanted, a.body_length);
	}
}

static void expect_bad(const char *text)
{
	assert_true(read_part(text, strlen(text), false).bad);
}

static void by_content_length(void **state)
{
	expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready", 200, "ready");
	expect_body("HTTP/1.1 200 OK\r\ncontent-length:5 \r\nX: y\r\n\r\nready", 200, "ready");
	expect_body("HTTP/1.0 503\nContent-Length: 2\n\nno", 503, "no");
}

static void by_chunks(void **state)
{
	expect_body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nready\r\nC\r\n to be used.\r\n0\r\nX: y\r\n\r\n", 200,
		    "ready to be used.");
}

static void chunks_that_lie(void **state)
{
#define CHUNKED "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
	expect_bad(CHUNKED "x\r\n");
	expect_bad(CHUNKED "\r\n");
	expect_bad(CHUNKED "-1\r\n");
	expect_bad(CHUNKED "3\r\nabcd\r\n");
	expect_bad(CHUNKED "fffffffff\r\n");
	assert_false(read_part(CHUNKED "ffffffff\r\nab", strlen(CHUNKED "ffffffff\r\nab"), false).bad);
	assert_string_equal(body, "ab");
}

static void what_is_behind_it_is_not_its_body(void **state)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 No\r\n\r\n";

	assert_true(read_part(text, strlen(text), false).complete);
	assert_string_equal(body, "ok");
}

static void without_length_it_ends_with_the_connection(void **state)
{
	const char *text = "HTTP/1.0 200 OK\r\n\r\nready";
	struct http_answer a = read_part(text, strlen(text), false);

	assert_true(a.head);
	assert_false(a.complete);
	assert_string_equal(body, "ready");
}

static void without_a_body(void **state)
{
	const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";

	expect_body("HTTP/1.1 204 No Content\r\n\r\n", 204, "");
	expect_body("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "");
	assert_true(read_part(text, strlen(text), true).complete);
	assert_false(read_part(text, strlen(text), false).complete);
}

static void what_is_no_answer(void **state)
{
	expect_bad("SSH-2.0-OpenSSH\r\n");
	expect_bad("HTTP/2 200\r\n\r\n");
	expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n");
	expect_bad("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n");
	expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n");
	expect_bad("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n");
}

/* The status is known as soon as its line is there. */
static void the_status_comes_first(void **state)
{
	const char *text = "HTTP/1.1 503 Service Unavailable\r\nContent-Le";
	struct http_answer a = read_part(text, strlen(text), false);

	assert_int_equal(a.status, 503);
	assert_string_equal(a.reason, "Service Unavailable");
	assert_false(a.head);
	assert_int_equal(read_part(text, 20, false).status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_content_length),
		cmocka_unit_test(by_chunks),
		cmocka_unit_test(chunks_that_lie),
		cmocka_unit_test(what_is_behind_it_is_not_its_body),
		cmocka_unit_test(without_length_it_ends_with_the_connection),
		cmocka_unit_test(without_a_body),
		cmocka_unit_test(what_is_no_answer),
		cmocka_unit_test(the_status_comes_first),
	};

	return cmocka_run_group_tests_name("health_http_answer", tests, NULL, NULL);
}
