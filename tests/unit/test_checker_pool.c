/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pool of workers with the real alwayson-checker, and a plugin that misbehaves on demand (tests/plugins/odd.c).
 * Needs root: what is tested is also that nothing of it is left in the worker. Runs in the root of the source tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "base/cleanup.h"
#include "checker/pool_internal.h"

enum { CHECKER_FILES_TRIED = 100 }; /* more than a worker may have open */

static struct event_base *base;
static struct checker *pool;
static char program[PATH_MAX], last_event[256];
static bool template_was_late;

struct answer {
	unsigned count;
	enum checker_outcome outcome;
	struct plugin_result result;
	char text[128];
	uint64_t at_ms;
};

static void on_event(int level, const char *text, void *ctx)
{
	snprintf(last_event, sizeof(last_event), "%s", text);
	template_was_late |= strstr(text, "does not answer") != NULL;
}

static void done(enum checker_outcome outcome, const struct plugin_result *r, const char *text, void *arg)
{
	struct answer *a = arg;

	a->count++;
	a->outcome = outcome;
	if (r)
		a->result = *r;
	snprintf(a->text, sizeof(a->text), "%s", text ? text : r->text);
	a->at_ms = checker_clock_ms();
}

/* "odd\0secret\0word\0argument\0" */
static struct checker_words words_of(const char *plugin, const char *secret, const char *word, const char *argument)
{
	static char bytes[CHECKER_WORDS_MAX + 16];
	const char *texts[] = { plugin, secret, word, argument };
	struct checker_words w = { .bytes = bytes };
	size_t i;

	for (i = 0; i < array_size(texts) && texts[i]; i++) {
		memcpy(bytes + w.length, texts[i], strlen(texts[i]) + 1);
		w.length += strlen(texts[i]) + 1;
		w.count++;
	}
	return w;
}

static int steered_by = -1;

static struct checker_job *begin(const char *word, const char *argument, uint32_t total_ms, struct answer *a)
{
	struct checker_check c = {
		.words = words_of("odd", "s3cret", word, argument),
		.socket = steered_by,
		.at = { .addr = addr_from_v4(htonl(0xc0000201)), .port = 3306 },
		.connect_ms = total_ms,
		.total_ms = total_ms,
	};
	struct checker_job *j = NULL;

	assert_int_equal(checker_begin(pool, &c, done, a, &j), 0);
	assert_int_equal(a->count, 0); /* never from within */
	return j;
}

/* Turns the loop until *count reaches `wanted`; fails after 20 s, which no healthy machine needs. */
static void run_until(const unsigned *count, unsigned wanted)
{
	uint64_t limit_ms = checker_clock_ms() + 20000;

	while (*count < wanted) {
		if (checker_clock_ms() > limit_ms)
			fail_msg("waited in vain; last event: %s", last_event);
		event_base_loop(base, EVLOOP_ONCE);
	}
}

static void ask(const char *word, const char *argument, uint32_t total_ms, struct answer *ret)
{
	*ret = (struct answer){};
	begin(word, argument, total_ms, ret);
	run_until(&ret->count, 1);
}

static int set_up(void **state)
{
	const struct checker_ops ops = { .on_event = on_event };
	char error[CHECKER_POOL_ERROR_MAX];

	base = event_base_new();
	last_event[0] = '\0';
	template_was_late = false;
	if (checker_new(base, program, &ops, &pool, error) < 0) {
		print_error("%s\n", error);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	checker_free(pool);
	event_base_free(base);
	return 0;
}

static void a_check_is_answered_with_what_the_plugin_says(void **state)
{
	struct answer a;

	ask("pass", "all is well", 5000, &a);
	assert_int_equal(a.outcome, CHECKER_JOB_DONE);
	assert_int_equal(a.result.code, PLUGIN_PASSED);
	assert_string_equal(a.text, "all is well");
	ask("fail", "no", 5000, &a);
	assert_int_equal(a.result.code, PLUGIN_REFUSED);
	ask("address", "", 5000, &a);
	assert_string_equal(a.text, "192.0.2.1 3306");
	ask("secret", "", 5000, &a);
	assert_string_equal(a.text, "s3cret");
}

static void the_worker_is_nobody_and_can_do_nothing(void **state)
{
	struct answer a;
	int pid, parent;
	unsigned uid, gid;
	char path[64], line[256];
	FILE *f;
	bool none = false, strict = false, sealed = false;

	ask("whoami", "", 5000, &a);
	assert_int_equal(sscanf(a.text, "%d %u %u %d", &pid, &uid, &gid, &parent), 4);
	if (!geteuid()) {
		assert_int_not_equal(uid, 0);
		assert_int_not_equal(gid, 0);
	}
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		none |= !strcmp(line, "CapPrm:\t0000000000000000\n");
		strict |= !strcmp(line, "NoNewPrivs:\t1\n");
		sealed |= !strcmp(line, "Seccomp:\t2\n");
		if (!strncmp(line, "Groups:", 7) && !geteuid())
			assert_int_equal(strspn(line + 7, " \t\n"), strlen(line + 7));
		if (!strncmp(line, "CapBnd:", 7) && !geteuid())
			assert_string_equal(line, "CapBnd:\t0000000000000000\n");
	}
	fclose(f);
	assert_true(none && strict && sealed);
	ask("calls", "", 5000, &a);
	assert_string_equal(a.text, "");
}

static void ask_with_a_socket(const char *word, int mark, struct answer *ret)
{
	steered_by = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setsockopt(steered_by, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	ask(word, "", 5000, ret);
	/* The worker's is the only one: what it closes is closed. */
	assert_int_equal(fcntl(steered_by, F_GETFD), -1);
	steered_by = -1;
}

static void a_socket_sent_along_is_the_only_one_the_plugin_gets(void **state)
{
	struct answer a;

	ask_with_a_socket("sockets", 0xa105001, &a);
	assert_string_equal(a.text, "none none a105001 none");
	ask("sockets", "", 5000, &a);
	assert_string_equal(a.text, "0 0 0 0");
	assert_int_equal(pool->counts.spawned, 1);
}

static void a_socket_that_was_not_taken_is_not_the_next_checks(void **state)
{
	struct answer a;

	for (int i = 0; i < CHECKER_FILES_TRIED; i++) {
		ask_with_a_socket("pass", 0xa105001, &a);
		assert_int_equal(a.outcome, CHECKER_JOB_DONE);
	}
	ask_with_a_socket("sockets", 0xa105002, &a);
	assert_string_equal(a.text, "none none a105002 none");
	assert_int_equal(pool->counts.spawned, 1);
}

static void a_check_that_hangs_is_failed_and_its_worker_killed(void **state)
{
	struct checker_counts before, after;
	struct answer a, b = {};
	uint64_t began_ms;

	ask("pass", "", 5000, &a);
	checker_count(pool, &before);
	began_ms = checker_clock_ms();
	a = (struct answer){};
	begin("hang", "", 300, &a);
	begin("pass", "beside", 5000, &b); /* is not held up */
	run_until(&b.count, 1);
	assert_int_equal(a.count, 0);
	run_until(&a.count, 1);
	assert_int_equal(a.outcome, CHECKER_JOB_LATE);
	assert_true(a.at_ms - began_ms >= 300);
	checker_count(pool, &after);
	assert_int_equal(after.killed, before.killed + 1);
	assert_int_equal(after.died, before.died);
	ask("pass", "again", 5000, &a);
	assert_string_equal(a.text, "again");
}

static void a_death_in_a_check_says_nothing_about_the_server(void **state)
{
	static const char *const deaths[] = { "crash", "exit", "garbage" };
	struct answer a;
	size_t i;

	for (i = 0; i < array_size(deaths); i++) {
		ask(deaths[i], "", 5000, &a);
		assert_int_equal(a.outcome, CHECKER_JOB_UNKNOWN);
		ask("pass", "alive", 5000, &a);
		assert_string_equal(a.text, "alive");
	}
	ask("badcode", "", 5000, &a);
	assert_int_equal(a.outcome, CHECKER_JOB_UNKNOWN);
}

static void a_worker_that_does_not_begin_is_replaced(void **state)
{
	struct answer a;
	int pid;

	ask("whoami", "", 5000, &a);
	pid = atoi(a.text);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	ask("pass", "", 5000, &a);
	assert_int_equal(a.outcome, CHECKER_JOB_UNKNOWN);
	ask("pass", "", 5000, &a);
	assert_int_equal(a.outcome, CHECKER_JOB_DONE);
	/* Not only forgotten: it is gone. */
	while (!kill(pid, 0))
		event_base_loop(base, EVLOOP_ONCE);
}

static void both_templates_stand_ready(void)
{
	struct checker_counts c;

	do {
		event_base_loop(base, EVLOOP_ONCE);
		checker_count(pool, &c);
	} while (c.templates < CHECKER_TEMPLATES || pool->templates[0].birth || pool->templates[1].birth);
}

static void signal_template(unsigned which, int number)
{
	assert_int_equal(syscall(SYS_pidfd_send_signal, pool->templates[which].pidfd, number, NULL, 0), 0);
}

static void killing_a_template_disturbs_nobody(void **state)
{
	struct answer a, slow = {};
	unsigned round;

	begin("sleep", "400", 5000, &slow);
	for (round = 0; round < 2; round++) {
		both_templates_stand_ready();
		signal_template(round, SIGKILL);
		ask("pass", "", 5000, &a);
		assert_int_equal(a.outcome, CHECKER_JOB_DONE);
		ask("crash", "", 5000, &a); /* a new worker is needed */
		ask("pass", "", 5000, &a);
		assert_int_equal(a.outcome, CHECKER_JOB_DONE);
	}
	run_until(&slow.count, 1);
	assert_int_equal(slow.outcome, CHECKER_JOB_DONE);
	both_templates_stand_ready();
}

static void a_stopped_template_is_replaced_by_the_other(void **state)
{
	struct answer answers[4] = {};
	unsigned total = 0, i;

	ask("pass", "", 5000, &answers[0]);
	both_templates_stand_ready();
	signal_template(0, SIGSTOP);
	memset(answers, 0, sizeof(answers));
	for (i = 0; i < array_size(answers); i++)
		begin("sleep", "300", 5000, &answers[i]); /* more workers are needed than there are */
	for (i = 0; i < array_size(answers); i++) {
		run_until(&answers[i].count, 1);
		total += answers[i].outcome == CHECKER_JOB_DONE;
	}
	assert_int_equal(total, array_size(answers));
	while (!template_was_late)
		event_base_loop(base, EVLOOP_ONCE);
	both_templates_stand_ready();
}

static void many_checks_share_the_workers(void **state)
{
	enum { COUNT = 3 * CHECKER_WORKERS_MAX };
	static struct answer answers[COUNT];
	struct checker_counts c;
	unsigned i, most = 0;

	memset(answers, 0, sizeof(answers));
	for (i = 0; i < COUNT; i++)
		begin("sleep", "50", 15000, &answers[i]);
	for (i = 0; i < COUNT; i++) {
		run_until(&answers[i].count, 1);
		checker_count(pool, &c);
		most = c.workers > most ? c.workers : most;
		assert_true(c.workers <= CHECKER_WORKERS_MAX);
		assert_true(answers[i].outcome == CHECKER_JOB_DONE || answers[i].outcome == CHECKER_JOB_UNKNOWN);
	}
	assert_true(most > 1);
}

static void a_worker_is_replaced_after_so_many_checks(void **state)
{
	struct checker_counts c;
	struct answer a;
	unsigned i;
	int first;

	ask("whoami", "", 5000, &a);
	first = atoi(a.text);
	for (i = 1; i < CHECKER_JOBS_MAX; i++)
		ask("pass", "", 5000, &a);
	checker_count(pool, &c);
	assert_int_equal(c.died, 0);
	ask("whoami", "", 5000, &a);
	assert_int_equal(a.outcome, CHECKER_JOB_DONE);
	assert_int_not_equal(atoi(a.text), first);
}

static void a_cancelled_check_is_not_answered(void **state)
{
	struct answer a = {}, b;
	struct checker_job *queued = begin("pass", "never", 5000, &a), *running;

	checker_cancel(queued);
	ask("pass", "", 5000, &b);
	running = begin("sleep", "100", 5000, &a);
	ask("pass", "", 5000, &b); /* the loop has turned */
	checker_cancel(running);
	ask("sleep", "200", 5000, &b);
	assert_int_equal(a.count, 0);
}

static void expect_invalid(const char *plugin, const char *word, const char *part)
{
	struct checker_words w = words_of(plugin, "", word, NULL);
	char error[CHECKER_POOL_ERROR_MAX] = "";

	if (checker_validate(pool, &w, error) >= 0)
		fail_msg("%s %s is found good", plugin, word ? word : "");
	if (!strstr(error, part))
		fail_msg("says: %s\ninstead of: %s", error, part);
}

static void words_are_validated_before_they_are_used(void **state)
{
	struct checker_words w = words_of("odd", "", "pass", NULL);
	char error[CHECKER_POOL_ERROR_MAX] = "";

	assert_int_equal(checker_validate(pool, &w, error), 0);
	expect_invalid("odd", NULL, "odd wants a word");
	expect_invalid("missing", "x", "there is no plugin 'missing' in ");
	expect_invalid("newer", "x", "is built for ABI 2, this is ABI 1");
	expect_invalid("none", "x", "it exports no alwayson_plugin");
	expect_invalid("../odd", "x", "no plugin's name");
	expect_invalid("", "x", "no plugin's name");
	expect_invalid("odd", "configure-crash", "has died of it");
	expect_invalid("odd", "configure-hang", "did not read its words within");
	w = words_of("odd", "", "pass", NULL);
	assert_int_equal(checker_validate(pool, &w, error), 0);
}

/* A plugin that others may write runs nowhere. */
static void plugins_of_others_are_refused(void **state)
{
	char path[2 * PATH_MAX], folder[PATH_MAX + 64];

	if (geteuid())
		return;
	snprintf(folder, sizeof(folder), "%.*s/plugins", (int)(strrchr(program, '/') - program), program);
	snprintf(path, sizeof(path), "%s/odd.so", folder);
	assert_int_equal(chmod(path, 0775), 0);
	expect_invalid("odd", "pass", "must belong to root and be writable by nobody else");
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chown(path, 65534, 0), 0);
	expect_invalid("odd", "pass", "must belong to root and be writable by nobody else (it has uid 65534");
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(chmod(folder, 0777), 0);
	expect_invalid("odd", "pass", "the plugin folder must belong to root");
	assert_int_equal(chmod(folder, 0755), 0);
}

static void limits_hold_at_the_limit_and_one_above(void **state)
{
	static char long_word[CHECKER_WORDS_MAX];
	struct checker_check c = { .at = { .addr = addr_from_v4(htonl(0x7f000001)), .port = 1 }, .socket = -1,
				   .total_ms = 5000, .connect_ms = 5000 };
	struct checker_job *j;
	struct answer a = {};
	size_t room = CHECKER_WORDS_MAX - sizeof("odd") - sizeof("") - sizeof("pass");

	memset(long_word, 'x', room - 1);
	c.words = words_of("odd", "", "pass", long_word);
	assert_int_equal(c.words.length, CHECKER_WORDS_MAX);
	assert_int_equal(checker_begin(pool, &c, done, &a, &j), 0);
	run_until(&a.count, 1);
	assert_int_equal(a.outcome, CHECKER_JOB_DONE);
	memset(long_word, 'x', room);
	c.words = words_of("odd", "", "pass", long_word);
	assert_int_equal(checker_begin(pool, &c, done, &a, &j), -E2BIG);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_check_is_answered_with_what_the_plugin_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_worker_is_nobody_and_can_do_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_socket_sent_along_is_the_only_one_the_plugin_gets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_socket_that_was_not_taken_is_not_the_next_checks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_check_that_hangs_is_failed_and_its_worker_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_death_in_a_check_says_nothing_about_the_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_worker_that_does_not_begin_is_replaced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(killing_a_template_disturbs_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stopped_template_is_replaced_by_the_other, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_checks_share_the_workers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_worker_is_replaced_after_so_many_checks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cancelled_check_is_not_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(words_are_validated_before_they_are_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(plugins_of_others_are_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(limits_hold_at_the_limit_and_one_above, set_up, tear_down),
	};
	char self[PATH_MAX] = "";

	/* build/tests/unit/test_checker_pool: the checker of the tests is in build/tests/checker. */
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	*strrchr(self, '/') = '\0';
	snprintf(program, sizeof(program), "%.*s/checker/alwayson-checker", (int)(strrchr(self, '/') - self), self);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
