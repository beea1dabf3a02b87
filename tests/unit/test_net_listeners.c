/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who uses ports on this host: sock_diag's and /proc/net's words for it, good and malformed, and the real thing for a
 * socket of our own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/listeners.h"

/* What was reported, as one text: "tcp 0.0.0.0:22 udp [::]:53 " */
struct report {
	char text[4096];
	unsigned limit; /* stop after this many; 0 = never */
	unsigned count;
};

static bool note(const struct endpoint *at, bool udp, void *ctx)
{
	struct report *r = ctx;
	char text[ENDPOINT_TEXT_MAX];
	size_t length = strlen(r->text);

	snprintf(r->text + length, sizeof(r->text) - length, "%s %s ", udp ? "udp" : "tcp", endpoint_format(at, text));
	return ++r->count != r->limit;
}

static int read_diag(uint8_t family, const void *addr, uint16_t port, int v6only, struct report *r)
{
	_Alignas(struct nlmsghdr) char buf[256];
	struct nlmsghdr *m = mnl_nlmsg_put_header(buf);
	struct inet_diag_msg *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));
	struct listeners_visitor v = { .visit = note, .ctx = r };
	int err;

	info->idiag_family = family;
	info->id.idiag_sport = htons(port);
	memcpy(info->id.idiag_src, addr, family == AF_INET ? 4 : 16);
	if (v6only >= 0)
		mnl_attr_put_u8(m, INET_DIAG_SKV6ONLY, v6only);
	/* Cut short everywhere: refused, or whole up to there. */
	for (uint32_t length = MNL_NLMSG_HDRLEN; length < m->nlmsg_len; length++) {
		_cleanup_free_ struct nlmsghdr *cut = malloc(length);
		struct report nothing = {};
		struct listeners_visitor w = { .visit = note, .ctx = &nothing };

		memcpy(cut, m, length);
		cut->nlmsg_len = length;
		err = listeners_read_diag(cut, false, &w);
		assert_true(err == -EBADMSG || (err == 0 && length >= MNL_NLMSG_HDRLEN + sizeof(*info)));
	}
	return listeners_read_diag(m, false, &v);
}

static void reads_diag(void **state)
{
	static const uint8_t any[16], v4[4] = { 192, 0, 2, 1 };
	static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 9 };
	struct report r = {};

	assert_int_equal(read_diag(AF_INET, v4, 22, -1, &r), 0);
	assert_int_equal(read_diag(AF_INET6, any, 80, 1, &r), 0);
	assert_int_equal(read_diag(AF_INET6, any, 81, 0, &r), 0);
	assert_int_equal(read_diag(AF_INET6, mapped, 82, 0, &r), 0);
	assert_int_equal(read_diag(AF_INET, v4, 0, -1, &r), 0);
	assert_string_equal(r.text, "tcp 192.0.2.1:22 tcp [::]:80 tcp [::]:81 tcp 0.0.0.0:81 tcp 192.0.2.9:82 ");
}

static void reads_proc(void **state)
{
	static const struct {
		const char *line;
		uint8_t family;
		bool udp;
		int err;
		const char *text;
	} rows[] = {
		{ "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0", AF_INET,
		  false, 0, "tcp 127.0.0.1:3306 " },
		{ "   1: 0100007F:0CEA 0200007F:1234 01 00000000:00000000", AF_INET, false, 0, "" },
		{ "   2: 00000000:0035 00000000:0000 07 00000000:00000000", AF_INET, true, 0, "udp 0.0.0.0:53 " },
		{ "   3: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0", AF_INET6,
		  false, 0, "tcp [::]:80 tcp 0.0.0.0:80 " },
		{ "   4: B80D0120000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0:0", AF_INET6,
		  false, 0, "tcp [2001:db8::1]:81 " },
		{ "", AF_INET, false, -EBADMSG, "" },
		{ "   5: 0100007F", AF_INET, false, -EBADMSG, "" },
		{ "   6: 0100007F:0050 rubbish", AF_INET, false, -EBADMSG, "" },
		{ "   7: 0100007F:0050 00000000:0000 0A", AF_INET6, false, -EBADMSG, "" },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct report r = {};
		struct listeners_visitor v = { .visit = note, .ctx = &r };

		assert_int_equal(listeners_read_proc(rows[i].line, rows[i].family, rows[i].udp, &v), rows[i].err);
		assert_string_equal(r.text, rows[i].text);
	}
}

/* A listener on loopback, found by sock_diag and by /proc alike; the port is the kernel's choice. */
static void finds_a_listener_of_ours(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	_cleanup_close_ int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_close_ int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct report diag = {}, proc = {};
	struct listeners_visitor v = { .visit = note, .ctx = &proc };
	socklen_t length = sizeof(at);
	char wanted[2][64];

	assert_int_equal(bind(tcp, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(tcp, 1), 0);
	getsockname(tcp, (struct sockaddr *)&at, &length);
	snprintf(wanted[0], sizeof(wanted[0]), "tcp 127.0.0.1:%u ", ntohs(at.sin_port));
	at.sin_port = 0;
	assert_int_equal(bind(udp, (struct sockaddr *)&at, sizeof(at)), 0);
	getsockname(udp, (struct sockaddr *)&at, &length);
	snprintf(wanted[1], sizeof(wanted[1]), "udp 127.0.0.1:%u ", ntohs(at.sin_port));

	assert_int_equal(net_listeners(note, &diag), 0);
	assert_int_equal(listeners_from_proc("/proc/self/net", &v), 0);
	for (size_t i = 0; i < array_size(wanted); i++) {
		assert_non_null(strstr(diag.text, wanted[i]));
		assert_non_null(strstr(proc.text, wanted[i]));
	}
}

static void stops_when_told_to(void **state)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	_cleanup_close_ int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct report r = { .limit = 1 }, proc = { .limit = 1 };
	struct listeners_visitor v = { .visit = note, .ctx = &proc };

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(net_listeners(note, &r), 0);
	assert_int_equal(r.count, 1);
	assert_int_equal(listeners_from_proc("/proc/self/net", &v), 0);
	assert_int_equal(proc.count, 1);
}

static void reads_the_port_range(void **state)
{
	uint16_t low = 0, high = 0;

	assert_int_equal(net_port_range(&low, &high), 0);
	assert_true(low > 0 && low <= high);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_diag),
		cmocka_unit_test(reads_proc),
		cmocka_unit_test(finds_a_listener_of_ours),
		cmocka_unit_test(stops_when_told_to),
		cmocka_unit_test(reads_the_port_range),
	};

	return cmocka_run_group_tests_name("net_listeners", tests, NULL, NULL);
}
