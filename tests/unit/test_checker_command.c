/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * External commands, run by the real alwayson-checker: what they are given, how each of their ends is told, that they
 * are nobody, and that neither a command that hangs nor the process that runs them holds anything up. Runs in the
 * root of the source tree.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/cleanup.h"
#include "checker/pool_internal.h"

static struct event_base *base;
static struct checker *pool;
static char program[PATH_MAX], folder[64], last_event[256];

struct answer {
	unsigned count;
	enum command_end end;
	int value;
};

static void on_event(int level, const char *text, void *ctx)
{
	snprintf(last_event, sizeof(last_event), "%s", text);
}

static void done(enum command_end end, int value, void *arg)
{
	struct answer *a = arg;

	a->count++;
	a->end = end;
	a->value = value;
}

/* /bin/sh -c SCRIPT sh ONE, with HELLO=world and the test's folder. */
static struct command_line shell(const char *script)
{
	static char bytes[COMMAND_BYTES_MAX + 64];
	const char *texts[] = { "/bin/sh", "-c", script, "sh", "one", "PATH=/usr/bin:/bin", "HELLO=world", folder };
	struct command_line line = { .bytes = bytes, .argc = 5, .envc = 3 };

	for (size_t i = 0; i < array_size(texts); i++) {
		memcpy(bytes + line.length, texts[i], strlen(texts[i]) + 1);
		line.length += strlen(texts[i]) + 1;
	}
	return line;
}

static struct command_job *begin(const char *script, uint32_t total_ms, struct answer *a)
{
	const struct command_line line = shell(script);
	struct command_job *j = NULL;

	assert_int_equal(command_begin(pool, &line, total_ms, done, a, &j), 0);
	assert_int_equal(a->count, 0); /* never from within */
	return j;
}

static void run_until(const unsigned *count, unsigned wanted)
{
	uint64_t limit_ms = checker_clock_ms() + 20000;

	while (*count < wanted) {
		if (checker_clock_ms() > limit_ms)
			fail_msg("waited in vain; last event: %s", last_event);
		event_base_loop(base, EVLOOP_ONCE);
	}
}

static struct answer ask(const char *script, uint32_t total_ms)
{
	struct answer a = {};

	begin(script, total_ms, &a);
	run_until(&a.count, 1);
	return a;
}

static void assert_exit(const char *script, int code)
{
	struct answer a = ask(script, 10000);

	assert_int_equal(a.end, COMMAND_EXITED);
	assert_int_equal(a.value, code);
}

static int set_up(void **state)
{
	const struct checker_ops ops = { .on_event = on_event };
	char error[CHECKER_POOL_ERROR_MAX];

	base = event_base_new();
	last_event[0] = '\0';
	strcpy(folder, "DIR=/tmp/alwayson-command-XXXXXX");
	if (!mkdtemp(folder + 4) || chmod(folder + 4, 0777))
		return -1;
	if (checker_new(base, program, &ops, &pool, error) < 0) {
		print_error("%s\n", error);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	char clean[128];

	checker_free(pool);
	event_base_free(base);
	snprintf(clean, sizeof(clean), "rm -rf %s", folder + 4);
	return system(clean);
}

static void exit_codes_are_told(void **state)
{
	assert_exit("exit 0", 0);
	assert_exit("exit 3", 3);
	assert_exit("exit 255", 255);
}

static void arguments_and_environment_are_what_was_given(void **state)
{
	assert_exit("test \"$1\" = one && test $# = 1", 0);
	assert_exit("test \"$HELLO\" = world", 0);
	/* And no more: what the shell adds itself aside. */
	assert_exit("env | grep -vE '^(HELLO|PATH|DIR|PWD|SHLVL|_|OLDPWD)=' | grep -q . && exit 9; exit 0", 0);
	assert_exit("read x; test $? = 1", 0); /* nothing to read */
}

static void a_command_is_nobody(void **state)
{
	if (!geteuid())
		assert_exit("test $(id -u) != 0 && test $(id -g) != 0 && test \"$(id -G)\" = \"$(id -g)\"", 0);
	assert_exit("grep -q '^CapEff:.0000000000000000' /proc/self/status", 0);
	assert_exit("grep -q '^CapPrm:.0000000000000000' /proc/self/status", 0);
	assert_exit("grep -q '^NoNewPrivs:.1' /proc/self/status", 0);
	assert_exit("ls -l /proc/self/fd | grep -q socket: && exit 1; exit 0", 0);
}

static void a_signal_is_told(void **state)
{
	struct answer a = ask("kill -11 $$", 10000);

	assert_int_equal(a.end, COMMAND_KILLED);
	assert_int_equal(a.value, SIGSEGV);
}

static void what_cannot_be_executed_says_nothing_about_the_server(void **state)
{
	static const char bytes[] = "/nonexistent/check";
	const struct command_line line = { bytes, sizeof(bytes), 1, 0 };
	struct command_job *j;
	struct answer a = {};

	assert_int_equal(command_begin(pool, &line, 5000, done, &a, &j), 0);
	run_until(&a.count, 1);
	assert_int_equal(a.end, COMMAND_UNKNOWN);
	assert_int_equal(a.value, ENOENT);
	assert_exit("exit 0", 0);
}

static pid_t read_pid(const char *name)
{
	char path[128];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder + 4, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

/* Waits for the process to be gone, or not to be more than a zombie. */
static void wait_gone(pid_t pid)
{
	char path[64], line[256];
	uint64_t limit_ms = checker_clock_ms() + 10000;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (;;) {
		FILE *f = fopen(path, "re");
		bool gone = !f || !fgets(line, sizeof(line), f) || strstr(line, ") Z");

		if (f)
			fclose(f);
		if (gone)
			return;
		if (checker_clock_ms() > limit_ms)
			fail_msg("process %d is still there", pid);
		usleep(10000);
	}
}

static void one_that_hangs_is_killed_with_all_it_has_started(void **state)
{
	struct answer a = {}, b = {};
	pid_t pid;

	begin("sleep 1000 & echo $! >$DIR/sleeper; trap '' TERM; wait", 1500, &a);
	begin("exit 7", 10000, &b); /* is not held up */
	run_until(&b.count, 1);
	assert_int_equal(b.value, 7);
	run_until(&a.count, 1);
	assert_int_equal(a.end, COMMAND_LATE);
	pid = read_pid("sleeper");
	assert_true(pid > 0);
	wait_gone(pid);
}

static void what_one_leaves_behind_is_killed(void **state)
{
	pid_t pid;

	assert_exit("sleep 1000 & echo $! >$DIR/left; exit 0", 0);
	pid = read_pid("left");
	assert_true(pid > 0);
	wait_gone(pid);
}

static void a_cancelled_one_is_killed_and_not_told_of(void **state)
{
	struct answer a = {}, b = {};
	struct command_job *j = begin("echo $$ >$DIR/cancelled.new; mv $DIR/cancelled.new $DIR/cancelled; sleep 1000",
				      60000, &a);

	/* By the time that another one has seen its file, it runs. */
	begin("while ! test -e $DIR/cancelled; do sleep 0.05; done", 15000, &b);
	run_until(&b.count, 1);
	assert_int_equal(b.value, 0);
	command_cancel(j);
	wait_gone(read_pid("cancelled"));
	assert_exit("exit 0", 0);
	assert_int_equal(a.count, 0);
}

/* As many as there may be at a time, and one more. */
static void there_is_a_limit_at_a_time(void **state)
{
	static struct answer all[COMMANDS_MAX], more;
	static struct command_job *jobs[COMMANDS_MAX];
	const char *script = "exec sleep 1000";
	struct command_line line;
	struct command_job *j;

	memset(all, 0, sizeof(all));
	for (size_t i = 0; i < COMMANDS_MAX; i++)
		jobs[i] = begin(script, 60000, &all[i]);
	line = shell(script);
	assert_int_equal(command_begin(pool, &line, 5000, done, &more, &j), -EAGAIN);
	command_cancel(jobs[0]);
	j = begin("exit 4", 60000, &more);
	/* Room is there once the cancelled one is reaped: till then it may be told that there is none. */
	run_until(&more.count, 1);
	assert_int_equal(more.value, more.end == COMMAND_EXITED ? 4 : EAGAIN);
	for (size_t i = 1; i < COMMANDS_MAX; i++)
		command_cancel(jobs[i]);
}

static void a_line_has_a_limit(void **state)
{
	static char script[COMMAND_BYTES_MAX];
	struct command_line line = shell("");
	struct command_job *j;
	struct answer a = {};
	size_t room = COMMAND_BYTES_MAX - line.length;

	memset(script, ' ', room);
	assert_exit(script, 0);
	memset(script, ' ', room + 1);
	line = shell(script);
	assert_int_equal(line.length, COMMAND_BYTES_MAX + 1);
	assert_int_equal(command_begin(pool, &line, 5000, done, &a, &j), -E2BIG);
}

static int runner_signal(int number)
{
	return (int)syscall(SYS_pidfd_send_signal, pool->runner.pidfd, number, NULL, 0);
}

static void the_runners_death_says_nothing_about_servers(void **state)
{
	struct answer a = {};
	struct command_job *j;
	uint64_t limit_ms = checker_clock_ms() + 10000;
	struct command_line line;
	int r;

	assert_exit("exit 0", 0);
	begin("exec sleep 5", 60000, &a);
	assert_int_equal(runner_signal(SIGKILL), 0);
	run_until(&a.count, 1);
	assert_int_equal(a.end, COMMAND_UNKNOWN);
	assert_int_equal(a.value, EPIPE);
	assert_non_null(strstr(last_event, "has died"));
	/* It is replaced, after a moment. */
	a = (struct answer){};
	line = shell("exit 5");
	while ((r = command_begin(pool, &line, 10000, done, &a, &j)) == -ENOTCONN && checker_clock_ms() < limit_ms)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(r, 0);
	run_until(&a.count, 1);
	assert_int_equal(a.value, 5);
}

static void a_stopped_runner_is_replaced(void **state)
{
	struct answer a = {};

	assert_exit("exit 0", 0);
	assert_int_equal(runner_signal(SIGSTOP), 0);
	begin("exit 0", 100, &a);
	run_until(&a.count, 1);
	assert_int_equal(a.end, COMMAND_UNKNOWN);
	assert_non_null(strstr(last_event, "does not answer"));
}

int main(void)
{
#define COMMAND_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		COMMAND_TEST(exit_codes_are_told),
		COMMAND_TEST(arguments_and_environment_are_what_was_given),
		COMMAND_TEST(a_command_is_nobody),
		COMMAND_TEST(a_signal_is_told),
		COMMAND_TEST(what_cannot_be_executed_says_nothing_about_the_server),
		COMMAND_TEST(one_that_hangs_is_killed_with_all_it_has_started),
		COMMAND_TEST(what_one_leaves_behind_is_killed),
		COMMAND_TEST(a_cancelled_one_is_killed_and_not_told_of),
		COMMAND_TEST(there_is_a_limit_at_a_time),
		COMMAND_TEST(a_line_has_a_limit),
		COMMAND_TEST(the_runners_death_says_nothing_about_servers),
		COMMAND_TEST(a_stopped_runner_is_replaced),
	};
	char self[PATH_MAX] = "";

	/* build/tests/unit/test_x: the program is build/alwayson-checker. */
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		*strrchr(self, '/') = '\0';
	snprintf(program, sizeof(program), "%.*s/alwayson-checker", PATH_MAX - 32, self);
	return cmocka_run_group_tests_name("checker_command", tests, NULL, NULL);
}
