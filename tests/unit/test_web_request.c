/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests, good and hostile, taken apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "web/request.h"

/* The status a text is answered with; 0 = it is good; -1 = it is no complete head. */
static int parse(const char *text, struct web_request *ret)
{
	static char head[65536];
	const size_t length = web_request_length(text, strlen(text));

	if (!length)
		return -1;
	memcpy(head, text, length);
	head[length] = '\0';
	return web_request_parse(head, length, ret);
}

static void good_ones(void **state)
{
	struct web_request q = {};

	assert_int_equal(parse("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept:  text/plain \r\n\r\n", &q), 0);
	assert_string_equal(q.path, "/metrics");
	assert_string_equal(q.query, "");
	assert_string_equal(q.accept, "text/plain");
	assert_false(q.head);
	assert_true(q.keep_alive);
	assert_int_equal(parse("HEAD /a?b=c&d=e HTTP/1.0\n\n", &q), 0);
	assert_true(q.head && q.http10 && !q.keep_alive);
	assert_string_equal(q.path, "/a");
	assert_string_equal(q.query, "b=c&d=e");
	assert_int_equal(parse("GET / HTTP/1.1\r\nhOST:x\r\nConnection: Upgrade, close\r\n\r\n", &q), 0);
	assert_false(q.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &q), 0);
	assert_true(q.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", &q), 0);
	assert_int_equal(parse("GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"a\"\r\n\r\n", &q), 0);
	assert_string_equal(q.if_none_match, "\"a\"");
}

static void bad_ones(void **state)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{ "GET / HTTP/1.1\r\nHost: x\r\n", -1 },
		{ "\r\n\r\n", 400 },
		{ "GET\r\n\r\n", 400 },
		{ "GET /\r\n\r\n", 400 },
		{ "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400 },
		{ "GET / HTTP/2.0\r\n\r\n", 505 },
		{ "GET / HTTP/1.10\r\n\r\n", 505 },
		{ "GET / FTP/1.1\r\n\r\n", 400 },
		{ "POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "get / HTTP/1.1\r\nHost: x\r\n\r\n", 405 },
		{ "G\x01T / HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: a\x01z\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", 413 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0, 0\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 413 },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct web_request q = { .path = "untouched" };
		const int status = parse(cases[i].text, &q);

		if (status != cases[i].status)
			fail_msg("case %zu: %d, expected %d: %s", i, status, cases[i].status, cases[i].text);
		assert_string_equal(q.path, "untouched");
	}
}

static void nul_bytes_are_refused(void **state)
{
	char head[] = "GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n";
	struct web_request q;

	assert_int_equal(web_request_length(head, sizeof(head) - 1), sizeof(head) - 1);
	assert_int_equal(web_request_parse(head, sizeof(head) - 1, &q), 400);
}

/* At each limit, and one above. */
static void limits(void **state)
{
	static char text[2 * WEB_REQUEST_MAX];
	struct web_request q;

	for (int above = 0; above < 2; above++) {
		snprintf(text, sizeof(text), "GET /%0*d HTTP/1.1\r\nHost: x\r\n\r\n", WEB_TARGET_MAX - 1 + above, 0);
		assert_int_equal(parse(text, &q), above ? 414 : 0);
		strcpy(text, "GET / HTTP/1.1\r\nHost: x\r\n");
		for (int i = 1; i < WEB_FIELDS_MAX + above; i++)
			strcat(text, "A: b\r\n");
		strcat(text, "\r\n");
		assert_int_equal(parse(text, &q), above ? 431 : 0);
	}
}

static void queries(void **state)
{
	size_t length = 77;

	assert_null(web_query_find("", "after", &length));
	assert_null(web_query_find("before=1&xafter=2&after", "after", &length));
	assert_int_equal(length, 77);
	assert_string_equal(web_query_find("a=b&after=12&c", "after", &length), "12&c");
	assert_int_equal(length, 2);
	assert_non_null(web_query_find("after=", "after", &length));
	assert_int_equal(length, 0);
}

/* Whatever comes: an answer, no read or write beyond (the sanitizers look), and a status that is one of ours. */
static void random_bytes_do_no_harm(void **state)
{
	static const char seed[] = "GET /api/v1/status?after=3 HTTP/1.1\r\nHost: x\r\n"
				   "Connection: close\r\nAccept: a\r\n\r\n";
	unsigned random = 1;

	for (unsigned round = 0; round < 20000; round++) {
		_cleanup_free_ char *head = malloc(sizeof(seed));
		struct web_request q;
		size_t length;
		int status;

		memcpy(head, seed, sizeof(seed));
		for (unsigned i = 0; i < 1 + round % 8; i++) {
			random = random * 1103515245 + 12345;
			head[(random >> 16) % (sizeof(seed) - 1)] = round % 3 ? "\r\n :,%?"[random >> 29] :
										(char)(random >> 8);
		}
		length = web_request_length(head, sizeof(seed) - 1);
		if (!length)
			continue;
		/* As connection.c does: a NUL behind the head. */
		head[length < sizeof(seed) ? length : sizeof(seed) - 1] = '\0';
		status = web_request_parse(head, length, &q);
		assert_true(status == 0 || (status >= 400 && status <= 505));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ones), cmocka_unit_test(bad_ones), cmocka_unit_test(nul_bytes_are_refused),
		cmocka_unit_test(limits), cmocka_unit_test(queries), cmocka_unit_test(random_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
