/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The status line of a check's answer, whole and in pieces, good and hostile; and the words results are told in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "health/result.h"
#include "health/status_line.h"

static const struct {
	const char *text;
	enum status_line_state state;
	unsigned code;
	const char *reason;
} lines[] = {
	{ "HTTP/1.1 200 OK\r\n", STATUS_LINE_DONE, 200, "OK" },
	{ "HTTP/1.0 503 Service Unavailable\r\nServer: x\r\n\r\nbody", STATUS_LINE_DONE, 503, "Service Unavailable" },
	{ "HTTP/1.1 204 \r\n", STATUS_LINE_DONE, 204, "" },
	{ "HTTP/1.1 204\r\n", STATUS_LINE_DONE, 204, "" },
	{ "HTTP/1.1 204\n", STATUS_LINE_DONE, 204, "" },
	{ "HTTP/1.9 999 Odd\n", STATUS_LINE_DONE, 999, "Odd" },
	{ "HTTP/1.1 200 caf\xc3\xa9\x1b[31m\r\n", STATUS_LINE_DONE, 200, "caf???[31m" },
	{ "HTTP/1.1 200", STATUS_LINE_MORE, 200, "" },
	{ "HTTP/1.1 200 OK\r", STATUS_LINE_MORE, 200, "OK" },
	{ "", STATUS_LINE_MORE, 0, "" },
	{ "HTTP/1.1 2000 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "HTTP/1.1 20 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "HTTP/1.1 020 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "HTTP/1.1 -20 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "HTTP/1.1  200 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "HTTP/2.0 200 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "http/1.1 200 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "\r\nHTTP/1.1 200 OK\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "SSH-2.0-OpenSSH_9.2\r\n", STATUS_LINE_BAD, 0, NULL },
	{ "\x16\x03\x01", STATUS_LINE_BAD, 0, NULL },
};

static void each_line_is_read_as_it_stands(void **state)
{
	struct status_line l;
	size_t i;

	for (i = 0; i < array_size(lines); i++) {
		status_line_init(&l);
		if (status_line_feed(&l, lines[i].text, strlen(lines[i].text)) != lines[i].state)
			fail_msg("\"%s\": state %d", lines[i].text, l.state);
		if (!lines[i].reason)
			continue;
		assert_int_equal(l.code, lines[i].code);
		assert_string_equal(l.reason, lines[i].reason);
	}
}

static void pieces_read_like_the_whole(void **state)
{
	struct status_line whole, pieces;
	size_t i, k;

	for (i = 0; i < array_size(lines); i++) {
		status_line_init(&whole);
		status_line_init(&pieces);
		status_line_feed(&whole, lines[i].text, strlen(lines[i].text));
		for (k = 0; lines[i].text[k]; k++)
			status_line_feed(&pieces, lines[i].text + k, 1);
		assert_memory_equal(&whole, &pieces, sizeof(whole));
	}
}

static enum status_line_state feed_length(size_t length)
{
	struct status_line l;
	size_t i;

	status_line_init(&l);
	status_line_feed(&l, "HTTP/1.1 200 ", 13);
	for (i = 13; i < length - 1; i++)
		status_line_feed(&l, "a", 1);
	return status_line_feed(&l, "\n", 1);
}

static void a_line_may_be_as_long_as_the_limit_and_no_longer(void **state)
{
	assert_int_equal(feed_length(STATUS_LINE_MAX - 1), STATUS_LINE_DONE);
	assert_int_equal(feed_length(STATUS_LINE_MAX), STATUS_LINE_DONE);
	assert_int_equal(feed_length(STATUS_LINE_MAX + 1), STATUS_LINE_LONG);
	assert_int_equal(feed_length(STATUS_LINE_MAX * 100), STATUS_LINE_LONG);
}

static void a_long_reason_is_cut_not_overrun(void **state)
{
	struct status_line l;
	size_t i;

	status_line_init(&l);
	status_line_feed(&l, "HTTP/1.1 500 ", 13);
	for (i = 0; i < 500; i++)
		status_line_feed(&l, "x", 1);
	assert_int_equal(status_line_feed(&l, "\r\n", 2), STATUS_LINE_DONE);
	assert_int_equal(strlen(l.reason), STATUS_REASON_MAX - 1);
}

static void results_are_told_in_haproxys_words(void **state)
{
	struct check_result r;
	char text[CHECK_TEXT_MAX];

	check_result_set(&r, CHECK_L4OK, NULL);
	assert_string_equal(check_result_format(&r, text), "L4OK");
	check_result_set(&r, CHECK_L7STS, "Service Unavailable");
	r.http_status = 503;
	assert_string_equal(check_result_format(&r, text), "L7STS/503: Service Unavailable");
	check_result_from_connect(&r, ECONNREFUSED, true);
	assert_string_equal(check_result_format(&r, text), "L4CON: Connection refused");
	check_result_from_connect(&r, EMFILE, false);
	assert_string_equal(check_result_format(&r, text), "SOCKERR: Too many open files (state kept)");
	check_result_from_io(&r, ECONNRESET);
	assert_string_equal(check_result_format(&r, text), "L7RSP: Connection reset by peer");
}

static void a_local_failure_never_counts_against_the_server(void **state)
{
	static const int local[] = { EMFILE, ENFILE, ENOBUFS, ENOMEM,	    EADDRNOTAVAIL, EAGAIN,
				     EPERM,  EACCES, EINVAL,  EAFNOSUPPORT, ENETDOWN };
	static const int remote[] = { ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH };
	struct check_result r;
	size_t i;

	for (i = 0; i < array_size(local); i++) {
		check_result_from_connect(&r, local[i], false);
		if (check_result_outcome(&r) != CHECK_UNKNOWN)
			fail_msg("%s counts as the server's", strerror(local[i]));
	}
	for (i = 0; i < array_size(remote); i++) {
		check_result_from_connect(&r, remote[i], false);
		if (check_result_outcome(&r) != CHECK_FAILED)
			fail_msg("%s does not count", strerror(remote[i]));
	}
	/* Told by the socket later on, it is ICMPv6 "administratively prohibited": somebody out there said no. */
	check_result_from_connect(&r, EACCES, true);
	assert_int_equal(check_result_outcome(&r), CHECK_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_is_read_as_it_stands),
		cmocka_unit_test(pieces_read_like_the_whole),
		cmocka_unit_test(a_line_may_be_as_long_as_the_limit_and_no_longer),
		cmocka_unit_test(a_long_reason_is_cut_not_overrun),
		cmocka_unit_test(results_are_told_in_haproxys_words),
		cmocka_unit_test(a_local_failure_never_counts_against_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
