/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Captures that are read for `explain packet`: their number at the limit and above, lengths, and files that are damaged.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "cli/capture.h"

static char path[] = "/tmp/alwayson-capture-XXXXXX";

/* A file of `count` packets of 60 bytes, of which 20 were kept. */
static void write_file(unsigned count, uint32_t link, uint32_t kept)
{
	const uint32_t header[] = { 0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, link };
	const uint32_t packet[] = { 1, 2, kept, 60 };
	const uint8_t bytes[20] = { 1, 2, 3 };
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(header, sizeof(header), 1, f), 1);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(fwrite(packet, sizeof(packet), 1, f), 1);
		assert_int_equal(fwrite(bytes, sizeof(bytes), 1, f), 1);
	}
	assert_int_equal(fclose(f), 0);
}

/* How many packets come; what came last of capture_next() is in *ret. */
static unsigned count_packets(int *ret)
{
	char error[CAPTURE_ERROR_MAX] = "";
	size_t kept, length;
	const uint8_t *bytes;
	struct capture *c;
	unsigned n = 0;

	assert_int_equal(capture_open(path, &c, error), 0);
	while ((*ret = capture_next(c, &bytes, &kept, &length, error)) == 1) {
		assert_int_equal(kept, 20);
		assert_int_equal(length, 60);
		assert_int_equal(bytes[2], 3);
		n++;
	}
	capture_close(c);
	return n;
}

static void number_of_packets(void **state)
{
	int r;

	write_file(0, 1, 20);
	assert_int_equal(count_packets(&r), 0);
	assert_int_equal(r, 0);
	write_file(CAPTURE_PACKETS_MAX, 1, 20);
	assert_int_equal(count_packets(&r), CAPTURE_PACKETS_MAX);
	assert_int_equal(r, 0);
	write_file(CAPTURE_PACKETS_MAX + 1, 1, 20);
	assert_int_equal(count_packets(&r), CAPTURE_PACKETS_MAX);
	assert_int_equal(r, -E2BIG);
}

static void what_is_damaged(void **state)
{
	char error[CAPTURE_ERROR_MAX];
	struct capture *c;
	int r;

	write_file(3, 1, 20);
	assert_int_equal(truncate(path, 24 + 2 * 36 + 10), 0);
	assert_int_equal(count_packets(&r), 2);
	assert_int_equal(r, -EINVAL);
	write_file(1, 1, 0x7fffffff);
	assert_int_equal(count_packets(&r), 0);
	assert_int_equal(r, -EINVAL);
	write_file(1, 113, 20); /* Linux cooked: tcpdump -i any */
	assert_int_equal(capture_open(path, &c, error), -EINVAL);
	assert_non_null(strstr(error, "not Ethernet frames"));
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(capture_open(path, &c, error), -EINVAL);
	assert_int_equal(capture_open("/nonexistent", &c, error), -EINVAL);
	capture_close(NULL);
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(number_of_packets),
		cmocka_unit_test(what_is_damaged),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
