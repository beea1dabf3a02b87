/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the service manager hears, at a NOTIFY_SOCKET of the test's own.
 */
#include "unit/agent_rig.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "agent/ready.h"

struct rig {
	struct folder folder;
	int fd;
	char heard[1024];
};

static int setup(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct rig *r = calloc(1, sizeof(*r));

	folder_new(&r->folder);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", folder_file(&r->folder, "notify"));
	r->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(r->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	setenv("NOTIFY_SOCKET", at.sun_path, 1);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	unsetenv("NOTIFY_SOCKET");
	close(r->fd);
	folder_remove(&r->folder);
	free(r);
	return 0;
}

/* The datagram that was sent; "" = none. */
static const char *hear(struct rig *r)
{
	ssize_t n = recv(r->fd, r->heard, sizeof(r->heard) - 1, 0);

	r->heard[n > 0 ? n : 0] = '\0';
	return r->heard;
}

static void tells_each_state(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ready_started(NULL), 0);
	assert_string_equal(hear(r), "READY=1");
	assert_int_equal(ready_started("2 services"), 0);
	assert_string_equal(hear(r), "READY=1\nSTATUS=2 services");
	assert_int_equal(ready_stopping("detaching"), 0);
	assert_string_equal(hear(r), "STOPPING=1\nSTATUS=detaching");
	assert_int_equal(ready_status("%d of %d servers up", 1, 2), 0);
	assert_string_equal(hear(r), "STATUS=1 of 2 servers up");
	assert_int_equal(ready_notify("ERRNO=5"), 0);
	assert_string_equal(hear(r), "ERRNO=5");
}

static uint64_t monotonic_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void a_reload_carries_its_time(void **state)
{
	struct rig *r = *state;
	uint64_t before = monotonic_us(), after;
	unsigned long long told;

	assert_int_equal(ready_reloading(), 0);
	after = monotonic_us();
	assert_int_equal(sscanf(hear(r), "RELOADING=1\nMONOTONIC_USEC=%llu", &told), 1);
	assert_true(told >= before && told <= after);
}

static void a_status_stays_one_line(void **state)
{
	struct rig *r = *state;
	char text[READY_STATUS_MAX + 1], wanted[READY_STATUS_MAX + 16];

	assert_int_equal(ready_status("bad\nREADY=1\tx\033[1m"), 0);
	assert_string_equal(hear(r), "STATUS=bad READY=1 x [1m");
	memset(text, 'x', sizeof(text));
	text[READY_STATUS_MAX] = '\0';
	assert_int_equal(ready_status("%s", text), 0);
	text[READY_STATUS_MAX - 1] = '\0';
	snprintf(wanted, sizeof(wanted), "STATUS=%s", text);
	assert_string_equal(hear(r), wanted);
}

static void without_a_manager_nothing_happens(void **state)
{
	struct rig *r = *state;

	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(ready_started(NULL), 0);
	assert_string_equal(hear(r), "");
	setenv("NOTIFY_SOCKET", folder_file(&r->folder, "gone"), 1);
	assert_true(ready_started(NULL) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tells_each_state, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reload_carries_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_status_stays_one_line, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_manager_nothing_happens, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
