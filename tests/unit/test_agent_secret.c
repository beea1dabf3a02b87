/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hash secret: generated once, read the same everywhere, refused when others could know it, shown nowhere.
 */
#include "unit/agent_rig.h"

#include "agent/secret.h"
#include "agent/state.h"

#define GOOD "000102030405060708090a0b0c0d0e0f"

struct rig {
	struct folder folder;
	struct state *s;
	char error[SECRET_ERROR_MAX];
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	char error[STATE_ERROR_MAX];

	folder_new(&r->folder);
	assert_int_equal(state_open(r->folder.path, "test", &r->s, error), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	state_close(r->s);
	folder_remove(&r->folder);
	free(r);
	return 0;
}

static void is_generated_once(void **state)
{
	struct rig *r = *state;
	const char *file = folder_file(&r->folder, "secret");
	struct hash_key first, second, other;
	mode_t before = umask(0);

	assert_int_equal(secret_load(NULL, r->s, &first, r->error), 0);
	umask(before);
	assert_int_equal(file_mode(file), S_IFREG | 0600);
	assert_int_equal(secret_load(NULL, r->s, &second, r->error), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	assert_int_equal(secret_load(file, NULL, &second, r->error), 0);
	assert_memory_equal(&first, &second, sizeof(first));
	assert_int_equal(unlink(file), 0);
	assert_int_equal(secret_load(NULL, r->s, &other, r->error), 0);
	assert_memory_not_equal(&first, &other, sizeof(first));
	/* Nothing temporary is left: lock and secret. */
	assert_int_equal(access(folder_file(&r->folder, "secret"), F_OK), 0);
	assert_int_equal(unlink(folder_file(&r->folder, "secret")), 0);
	assert_int_equal(unlink(folder_file(&r->folder, "test.lock")), 0);
	assert_int_equal(rmdir(r->folder.path), 0);
	assert_int_equal(mkdir(r->folder.path, 0700), 0);
}

static void without_a_directory_is_made_anew(void **state)
{
	struct rig *r = *state;
	struct hash_key first = {}, second = {};

	assert_int_equal(secret_load(NULL, NULL, &first, r->error), 0);
	assert_int_equal(secret_load(NULL, NULL, &second, r->error), 0);
	assert_memory_not_equal(&first, &second, sizeof(first));
}

static void is_read_the_same_everywhere(void **state)
{
	static const char *const texts[] = { GOOD, (GOOD "\n"), "000102030405060708090A0B0C0D0E0F" };
	struct rig *r = *state;
	const char *file = folder_file(&r->folder, "key");

	for (size_t i = 0; i < array_size(texts); i++) {
		struct hash_key key = {};

		file_write(file, texts[i], 0400);
		assert_int_equal(secret_load(file, r->s, &key, r->error), 0);
		assert_int_equal(key.k[0], UINT64_C(0x0001020304050607));
		assert_int_equal(key.k[1], UINT64_C(0x08090a0b0c0d0e0f));
		unlink(file);
	}
}

/* What the message recommends makes a file that is taken. */
static void can_be_made_as_the_message_says(void **state)
{
	struct rig *r = *state;
	const char *file = folder_file(&r->folder, "key"), *how;
	struct hash_key key = {}, before = {};
	char command[1024];

	assert_int_equal(secret_load(file, r->s, &key, r->error), -ENOENT);
	assert_memory_equal(&key, &before, sizeof(key));
	assert_non_null(strstr(r->error, file));
	how = strstr(r->error, "head -c 16");
	assert_non_null(how);
	snprintf(command, sizeof(command), "cd %s && FILE=key && { %s; }", r->folder.path, how);
	/* FILE stands for the name in both places. */
	for (char *at = strstr(command + strlen(r->folder.path) + 16, "FILE"); at; at = strstr(at, "FILE"))
		memcpy(at, "key ", 4);
	assert_int_equal(system(command), 0);
	assert_int_equal(secret_load(file, r->s, &key, r->error), 0);
	assert_memory_not_equal(&key, &before, sizeof(key));
}

static void refuses_what_is_no_key(void **state)
{
	static const char *const texts[] = {
		"", "\n", "0001", (GOOD "0"), (GOOD "00"), (GOOD "\n\n"), (GOOD "\r\n"), (GOOD " "), (" " GOOD),
		"0001020304050607 8090a0b0c0d0e0f", "g00102030405060708090a0b0c0d0e0f",
		"00000000000000000000000000000000",
	};
	struct rig *r = *state;
	const char *file = folder_file(&r->folder, "key");

	for (size_t i = 0; i < array_size(texts); i++) {
		struct hash_key key = { { 1, 2 } };

		file_write(file, texts[i], 0600);
		if (secret_load(file, r->s, &key, r->error) != -EINVAL)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(key.k[0], 1);
		assert_non_null(strstr(r->error, "32 hexadecimal digits"));
		assert_null(strstr(r->error, "0102030405"));
	}
}

static void refuses_what_others_can_use(void **state)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0644, 0610, 0601 };
	struct rig *r = *state;
	const char *file = folder_file(&r->folder, "key");
	struct hash_key key;

	for (size_t i = 0; i < array_size(modes); i++) {
		file_write(file, GOOD, modes[i]);
		assert_int_equal(secret_load(file, r->s, &key, r->error), -EACCES);
		assert_non_null(strstr(r->error, "chmod 600"));
		assert_null(strstr(r->error, "0102030405"));
	}
	file_write(file, GOOD, 0600);
	assert_int_equal(chown(file, 65534, 65534), 0);
	assert_int_equal(secret_load(file, r->s, &key, r->error), -EACCES);
	assert_non_null(strstr(r->error, "65534"));
	/* The default file is under the same rules. */
	file_write(folder_file(&r->folder, "secret"), GOOD, 0644);
	assert_int_equal(secret_load(NULL, r->s, &key, r->error), -EACCES);
}

static void refuses_what_is_no_file(void **state)
{
	struct rig *r = *state;
	const char *fifo = folder_file(&r->folder, "fifo");
	struct hash_key key;

	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(secret_load(fifo, r->s, &key, r->error), -EINVAL);
	assert_int_equal(secret_load(r->folder.path, r->s, &key, r->error), -EINVAL);
	assert_non_null(strstr(r->error, "not a regular file"));
}

/* A secret that is mounted into a container is a symbolic link. */
static void follows_a_link_to_a_file_of_its_own(void **state)
{
	struct rig *r = *state;
	struct hash_key key;

	file_write(folder_file(&r->folder, "key"), GOOD, 0400);
	assert_int_equal(symlink("key", folder_file(&r->folder, "link")), 0);
	assert_int_equal(secret_load(folder_file(&r->folder, "link"), r->s, &key, r->error), 0);
}

static int load_and_tell(void *arg)
{
	struct rig *r = arg;
	struct hash_key key;

	child_check(secret_load(NULL, r->s, &key, r->error) == 0);
	child_check(write(STDOUT_FILENO, &key, sizeof(key)) == sizeof(key));
	return 0;
}

/* Eight agents that start at the same moment end up with one secret. */
static void is_one_for_all_that_start_together(void **state)
{
	enum { TOGETHER = 8 };
	struct rig *r = *state;
	struct hash_key keys[TOGETHER];
	int out[2], go[2];

	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(go), 0);
	for (int i = 0; i < TOGETHER; i++) {
		fflush(NULL);
		if (fork() == 0) {
			char c;

			close(go[1]);
			dup2(out[1], STDOUT_FILENO);
			_exit(read(go[0], &c, 1) < 0 || load_and_tell(r));
		}
	}
	close(go[0]);
	close(go[1]);
	for (int i = 0; i < TOGETHER; i++) {
		int status;

		wait(&status);
		assert_int_equal(status, 0);
		assert_int_equal(read(out[0], &keys[i], sizeof(keys[i])), sizeof(keys[i]));
		assert_memory_equal(&keys[i], &keys[0], sizeof(keys[i]));
	}
	close(out[0]);
	close(out[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_generated_once, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_directory_is_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(is_read_the_same_everywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(can_be_made_as_the_message_says, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_key, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_others_can_use, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(follows_a_link_to_a_file_of_its_own, setup, teardown),
		cmocka_unit_test_setup_teardown(is_one_for_all_that_start_together, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
