/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What outlives the agent: the lock between processes, saving off the loop, and what is said of damaged files, full
 * disks and folders that can't be used.
 */
#include "unit/agent_rig.h"

#include <signal.h>
#include <sys/prctl.h>

#include "agent/state.h"

struct rig {
	struct folder folder;
	struct event_base *base;
	struct state *s;
	char error[STATE_ERROR_MAX];
	unsigned calls;   /* of on_save */
	int last_error;
	char text[STATE_ERROR_MAX];
	bool called;
};

static void on_save(int error, const char *text, void *ctx)
{
	struct rig *r = ctx;

	r->calls++;
	r->last_error = error;
	r->called = true;
	snprintf(r->text, sizeof(r->text), "%s", text);
}

static int open_and_start(struct rig *r, const char *dir)
{
	const struct state_ops ops = { .on_save = on_save, .ctx = r };
	int result = state_open(dir, "test", &r->s, r->error);

	return result < 0 ? result : state_start(r->s, r->base, &ops);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	folder_new(&r->folder);
	r->base = event_base_new();
	assert_non_null(r->base);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	state_close(r->s);
	event_base_free(r->base);
	folder_remove(&r->folder);
	free(r);
	return 0;
}

/* A process that has the lock until it is killed; it says when it has it. With child: and a child that outlives it. */
static pid_t holder(const struct rig *r, bool with_child, pid_t *ret_child)
{
	pid_t child, told = 0;
	int ready[2];

	assert_int_equal(pipe(ready), 0);
	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		char error[STATE_ERROR_MAX];
		struct state *s;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (state_open(r->folder.path, "test", &s, error) < 0)
			_exit(1);
		if (with_child) {
			told = fork();
			if (told == 0)
				for (;;)
					pause();
		}
		if (write(ready[1], &told, sizeof(told)) != sizeof(told))
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &told, sizeof(told)), sizeof(told));
	close(ready[0]);
	if (ret_child)
		*ret_child = told;
	return child;
}

static void one_process_has_the_lock(void **state)
{
	struct rig *r = *state;
	char wanted[128], number[16], *text;
	struct state *other = NULL;
	pid_t pid = holder(r, false, NULL);

	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), -EBUSY);
	assert_null(r->s);
	snprintf(wanted, sizeof(wanted), "instance test is already running as process %d; use --name", (int)pid);
	assert_non_null(strstr(r->error, wanted));
	text = file_read(folder_file(&r->folder, "test.lock"));
	snprintf(number, sizeof(number), "%d\n", (int)pid);
	assert_string_equal(text, number);
	free(text);
	/* An instance of another name does not care. */
	assert_int_equal(state_open(r->folder.path, "other", &other, r->error), 0);
	state_close(other);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), 0);
}

static void a_child_of_a_dead_agent_does_not_hold_the_lock(void **state)
{
	struct rig *r = *state;
	pid_t child, pid = holder(r, true, &child);

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), 0);
	kill(child, SIGKILL);
}

static void keeps_what_is_saved(void **state)
{
	struct rig *r = *state;
	json_t *j = NULL;

	assert_int_equal(open_and_start(r, r->folder.path), 0);
	assert_int_equal(state_load(r->s, &j, r->error), -ENOENT);
	state_save(r->s, json_pack("{s:s}", "server", "nodes/node1"));
	assert_int_equal(state_close(r->s), 0);
	assert_int_equal(file_mode(folder_file(&r->folder, "test.json")), S_IFREG | 0600);
	assert_int_not_equal(access(folder_file(&r->folder, "test.json.tmp"), F_OK), 0);
	r->s = NULL;
	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), 0);
	assert_int_equal(state_load(r->s, &j, r->error), 0);
	assert_string_equal(json_string_value(json_object_get(j, "server")), "nodes/node1");
	json_decref(j);
}

static void the_latest_wins(void **state)
{
	enum { SAVES = 500 };
	struct rig *r = *state;
	json_t *j = NULL;

	assert_int_equal(open_and_start(r, r->folder.path), 0);
	for (int i = 1; i <= SAVES; i++)
		state_save(r->s, json_pack("{s:i}", "n", i));
	assert_int_equal(state_close(r->s), 0);
	r->s = NULL;
	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), 0);
	assert_int_equal(state_load(r->s, &j, r->error), 0);
	assert_int_equal(json_integer_value(json_object_get(j, "n")), SAVES);
	json_decref(j);
}

static void makes_its_folder(void **state)
{
	struct rig *r = *state;
	const char *dir = folder_file(&r->folder, "new"), *deep = folder_file(&r->folder, "no/new");

	assert_int_equal(state_open(dir, "test", &r->s, r->error), 0);
	assert_int_equal(file_mode(dir), S_IFDIR | 0700);
	assert_string_equal(state_dir(r->s), dir);
	state_close(r->s);
	r->s = NULL;
	assert_int_equal(state_open(deep, "test", &r->s, r->error), -ENOENT);
	assert_non_null(strstr(r->error, deep));
	assert_int_equal(unlink(folder_file(&r->folder, "new/test.lock")), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void refuses_a_folder_of_others(void **state)
{
	struct rig *r = *state;

	assert_int_equal(chmod(r->folder.path, 0770), 0);
	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), -EACCES);
	assert_non_null(strstr(r->error, "chmod go-w"));
	assert_int_equal(chmod(r->folder.path, 0755), 0);
	assert_int_equal(chown(r->folder.path, 65534, 65534), 0);
	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), -EACCES);
	assert_non_null(strstr(r->error, "belongs to uid 65534"));
	file_write(folder_file(&r->folder, "file"), "", 0600);
	assert_int_equal(state_open(folder_file(&r->folder, "file"), "test", &r->s, r->error), -ENOTDIR);
}

static void moves_damaged_state_aside(void **state)
{
	static const char *const texts[] = { "", "{\"health\":", "[1]", "{\"a\":1} x", "{\"a\":1,\"a\":2}", "\377" };
	struct rig *r = *state;
	json_t *j = NULL;

	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), 0);
	for (size_t i = 0; i < array_size(texts); i++) {
		char *kept;

		file_write(folder_file(&r->folder, "test.json"), texts[i], 0600);
		assert_int_equal(state_load(r->s, &j, r->error), -EINVAL);
		assert_null(j);
		assert_non_null(strstr(r->error, "test.json is damaged ("));
		assert_non_null(strstr(r->error, "kept as test.json.bad"));
		kept = file_read(folder_file(&r->folder, "test.json.bad"));
		assert_string_equal(kept, texts[i]);
		free(kept);
		assert_int_equal(state_load(r->s, &j, r->error), -ENOENT);
	}
}

static void reads_up_to_the_limit(void **state)
{
	struct rig *r = *state;
	const char *file = folder_file(&r->folder, "test.json");
	json_t *j = NULL;

	assert_int_equal(state_open(r->folder.path, "test", &r->s, r->error), 0);
	file_write(file, "{}", 0600);
	assert_int_equal(truncate(file, STATE_FILE_MAX + 1), 0);
	assert_int_equal(state_load(r->s, &j, r->error), -EINVAL);
	assert_non_null(strstr(r->error, "longer than"));
}

/* Saves j and turns the loop until on_save was called. */
static int save_and_wait(struct rig *r, json_t *j)
{
	time_t until = time(NULL) + RIG_PATIENCE_S;

	r->called = false;
	state_save(r->s, j);
	while (!r->called && time(NULL) < until)
		event_base_loop(r->base, EVLOOP_ONCE);
	return r->called;
}

static int wait_for_failures(struct rig *r, uint64_t count)
{
	time_t until = time(NULL) + RIG_PATIENCE_S;

	while (state_save_failures(r->s) < count && time(NULL) < until)
		event_base_loop(r->base, EVLOOP_ONCE);
	event_base_loop(r->base, EVLOOP_NONBLOCK);
	return state_save_failures(r->s) >= count;
}

static json_t *large(void)
{
	char *text = calloc(1, 60001);
	json_t *j;

	memset(text, 'x', 60000);
	j = json_pack("{s:s}", "large", text);
	free(text);
	return j;
}

static int fill_the_disk(void *arg)
{
	struct rig *r = arg;
	const char *file = folder_file(&r->folder, "test.json");
	json_t *j = NULL;
	char *before, *after;

	child_check(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	child_check(mount("none", r->folder.path, "tmpfs", 0, "size=32k,mode=700") == 0);
	child_check(open_and_start(r, r->folder.path) == 0);
	state_save(r->s, json_pack("{s:i}", "n", 1));
	/* The first success is no change and is not told: wait for the file's sake by a failure. */
	child_check(save_and_wait(r, large()));
	child_check(r->calls == 1 && r->last_error == -ENOSPC);
	child_check(strstr(r->text, file) && strstr(r->text, "No space left"));
	before = file_read(file);
	state_save(r->s, large());
	child_check(wait_for_failures(r, 2));
	state_save(r->s, NULL);
	child_check(wait_for_failures(r, 3));
	/* Told once, and the file is as it was, alone. */
	child_check(r->calls == 1);
	after = file_read(file);
	child_check(strcmp(before, after) == 0);
	child_check(access(folder_file(&r->folder, "test.json.tmp"), F_OK) < 0);
	free(before);
	free(after);
	child_check(save_and_wait(r, json_pack("{s:i}", "n", 2)));
	child_check(r->calls == 2 && r->last_error == 0 && strstr(r->text, "is written again"));
	child_check(state_load(r->s, &j, r->error) == 0);
	child_check(json_integer_value(json_object_get(j, "n")) == 2);
	json_decref(j);
	state_save(r->s, large());
	child_check(state_close(r->s) == -ENOSPC);
	r->s = NULL;
	child_check(mount("none", r->folder.path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	child_check(state_open(r->folder.path, "test", &r->s, r->error) == -EROFS);
	child_check(strstr(r->error, "Read-only file system"));
	return 0;
}

static void a_full_disk_is_told_once_and_costs_nothing(void **state)
{
	assert_int_equal(in_child(fill_the_disk, *state), 0);
}

static void what_could_not_be_built_counts(void **state)
{
	struct rig *r = *state;

	assert_int_equal(open_and_start(r, r->folder.path), 0);
	state_save(r->s, NULL);
	rig_turn(r->base, &r->called);
	assert_int_equal(r->last_error, -ENOMEM);
	assert_int_equal(state_save_failures(r->s), 1);
	assert_int_equal(state_saves(r->s), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_process_has_the_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(a_child_of_a_dead_agent_does_not_hold_the_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_what_is_saved, setup, teardown),
		cmocka_unit_test_setup_teardown(the_latest_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(makes_its_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_a_folder_of_others, setup, teardown),
		cmocka_unit_test_setup_teardown(moves_damaged_state_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_up_to_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told_once_and_costs_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(what_could_not_be_built_counts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
