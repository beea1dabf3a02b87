/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket as a file: who may open it, what is replaced and what is not, and what a reload changes.
 */
#include "unit/control_rig.h"

#include <sys/syscall.h>
#include <sys/wait.h>

static struct stat look(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static int open_at(struct rig *r, const char *path, struct control **ret)
{
	return control_new(r->base, &r->where, path, rig_verbs, array_size(rig_verbs), r, ret);
}

static void has_the_mode_and_owner_asked_for(void **state)
{
	static const mode_t umasks[] = { 0, 022, 0777 };
	struct rig *r = *state;
	struct control *c;
	struct stat st;
	char path[128];

	snprintf(path, sizeof(path), "%s/other.sock", r->folder);
	r->where.mode = 0660;
	r->where.uid = 1;
	r->where.gid = 65534;
	for (size_t i = 0; i < array_size(umasks); i++) {
		mode_t before = umask(umasks[i]);
		int result = open_at(r, path, &c);

		umask(before);
		assert_int_equal(result, 0);
		st = look(path);
		assert_int_equal(st.st_mode, S_IFSOCK | 0660);
		assert_int_equal(st.st_uid, 1);
		assert_int_equal(st.st_gid, 65534);
		control_free(c);
	}
}

static void nobody_connects(const struct rig *r, int to)
{
	int fd = connect_path(r->path);
	char text[16];

	snprintf(text, sizeof(text), "%d", fd < 0 ? -fd : 0);
	if (send(to, text, strlen(text), 0) < 0)
		return;
}

static void keeps_out_whom_the_mode_keeps_out(void **state)
{
	struct rig *r = *state;
	char *said, wanted[16];

	r->where.mode = 0660;
	assert_int_equal(control_configure(r->control, &r->where), 0);
	snprintf(wanted, sizeof(wanted), "%d", EACCES);
	said = rig_as_nobody(r, nobody_connects);
	assert_string_equal(said, wanted);
	free(said);
	r->where.gid = 65534;
	assert_int_equal(control_configure(r->control, &r->where), 0);
	said = rig_as_nobody(r, nobody_connects);
	assert_string_equal(said, "0");
	free(said);
}

/* The mode the file was born with, seen between the kernel's bind() and our chmod: this bind() stands before libc's. */
static mode_t born_with;

int bind(int fd, const struct sockaddr *at, socklen_t length)
{
	int r = syscall(SYS_bind, fd, at, length);

	if (r == 0 && at->sa_family == AF_UNIX)
		born_with = look(((const struct sockaddr_un *)at)->sun_path).st_mode;
	return r;
}

static void is_born_narrow_even_under_umask_0(void **state)
{
	struct rig *r = *state;
	mode_t before = umask(0);
	struct control *c;
	char path[128];
	int result;

	snprintf(path, sizeof(path), "%s/narrow.sock", r->folder);
	result = open_at(r, path, &c);
	umask(before);
	assert_int_equal(result, 0);
	assert_int_equal(born_with, S_IFSOCK | 0600);
	assert_int_equal(look(path).st_mode, S_IFSOCK | 0666);
	control_free(c);
}

static void makes_a_missing_folder(void **state)
{
	struct rig *r = *state;
	char folder[128], path[160];
	mode_t before = umask(077);
	struct control *c;
	int result;

	snprintf(folder, sizeof(folder), "%s/new", r->folder);
	snprintf(path, sizeof(path), "%s/c.sock", folder);
	result = open_at(r, path, &c);
	umask(before);
	assert_int_equal(result, 0);
	assert_int_equal(look(folder).st_mode, S_IFDIR | 0755);
	control_free(c);
	assert_int_equal(rmdir(folder), 0);
	snprintf(path, sizeof(path), "%s/new/newer/c.sock", r->folder);
	assert_int_equal(open_at(r, path, &c), -ENOENT);
}

/* An agent that was killed: who listened is gone, but a socket of its is not closed yet. */
static void a_killed_agents_socket_is_stale(void **state)
{
	struct rig *r = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct control *c;
	pid_t child;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/killed.sock", r->folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	child = fork();
	if (child == 0)
		_exit(listen(fd, 1));
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(open_at(r, at.sun_path, &c), 0);
	control_free(c);
	close(fd);
}

/* It has not had the time to take all who wait: alive all the same. */
static void a_busy_agent_keeps_its_socket(void **state)
{
	enum { MORE_THAN_WAIT = 1024 };
	struct rig *r = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct control *c;
	int fds[MORE_THAN_WAIT];
	size_t n = 0;

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", r->path);
	do {
		assert_true(n < MORE_THAN_WAIT);
		fds[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(fds[n] >= 0);
	} while (connect(fds[n++], (struct sockaddr *)&at, sizeof(at)) == 0);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(open_at(r, r->path, &c), -EADDRINUSE);
	while (n)
		close(fds[--n]);
}

static void replaces_what_is_stale_only(void **state)
{
	struct rig *r = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct control *c;
	FILE *f;
	int fd;

	/* A living agent keeps its socket, and is not disturbed by the look. */
	assert_int_equal(open_at(r, r->path, &c), -EADDRINUSE);
	assert_done(rig_ask(r, "echo\n"));

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/stale.sock", r->folder);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	close(fd);
	assert_int_equal(open_at(r, at.sun_path, &c), 0);
	fd = connect_path(at.sun_path);
	assert_true(fd >= 0);
	close(fd);
	control_free(c);
	assert_int_equal(access(at.sun_path, F_OK), -1);

	f = fopen(at.sun_path, "w");
	fputs("precious", f);
	fclose(f);
	assert_int_equal(open_at(r, at.sun_path, &c), -ENOTSOCK);
	assert_int_equal(look(at.sun_path).st_size, 8);
	unlink(at.sun_path);
	/* A link is not followed, not even to a socket. */
	assert_int_equal(symlink(r->path, at.sun_path), 0);
	assert_int_equal(open_at(r, at.sun_path, &c), -ENOTSOCK);
	unlink(at.sun_path);
}

static void knows_the_longest_path(void **state)
{
	struct rig *r = *state;
	struct control *c;
	char path[256];

	memset(path, 'p', sizeof(path));
	memcpy(path, r->folder, strlen(r->folder));
	path[strlen(r->folder)] = '/';
	path[107] = '\0';
	assert_int_equal(open_at(r, path, &c), 0);
	control_free(c);
	path[107] = 'p';
	path[108] = '\0';
	assert_int_equal(open_at(r, path, &c), -ENAMETOOLONG);
}

static void moves_on_reload_without_losing_a_request(void **state)
{
	struct rig *r = *state;
	char old[64], new[64];
	struct client c;

	client_open(&c, r);
	client_say(&c, "hold\n");
	rig_until(r, r->held_count == 1);
	snprintf(new, sizeof(new), "%s/new.sock", r->folder);
	strcpy(old, r->path);
	r->where.path = new;
	assert_int_equal(control_configure(r->control, &r->where), 0);
	assert_int_equal(access(old, F_OK), -1);
	strcpy(r->path, new);
	assert_done(rig_ask(r, "echo\n"));
	control_reply(r->held[0], json_object());
	rig_until(r, c.ended);
	assert_done(client_json(&c));
	client_close(&c);
}

static void a_failed_reload_changes_nothing(void **state)
{
	struct rig *r = *state;
	struct model_stats_socket where = r->where;
	char path[64];

	snprintf(path, sizeof(path), "%s/no/such/c.sock", r->folder);
	where.path = path;
	where.level = MODEL_LEVEL_ADMIN;
	assert_int_equal(control_configure(r->control, &where), -ENOENT);
	assert_int_equal(r->control->level, MODEL_LEVEL_USER);
	assert_done(rig_ask(r, "echo\n"));
}

static void a_reload_restores_defaults_and_a_lost_file(void **state)
{
	struct rig *r = *state;

	r->where.uid = 1;
	r->where.gid = 1;
	r->where.mode = 0600;
	assert_int_equal(control_configure(r->control, &r->where), 0);
	assert_int_equal(look(r->path).st_uid, 1);
	assert_int_equal(look(r->path).st_mode & 07777, 0600);
	r->where.uid = r->where.gid = -1;
	r->where.mode = 0660;
	assert_int_equal(control_configure(r->control, &r->where), 0);
	assert_int_equal(look(r->path).st_uid, geteuid());
	assert_int_equal(look(r->path).st_gid, getegid());
	assert_int_equal(look(r->path).st_mode & 07777, 0660);
	assert_int_equal(unlink(r->path), 0);
	assert_int_equal(control_configure(r->control, &r->where), 0);
	assert_done(rig_ask(r, "echo\n"));
}

static void leaves_anothers_file_alone(void **state)
{
	struct rig *r = *state;
	struct control *other;

	assert_int_equal(unlink(r->path), 0);
	assert_int_equal(open_at(r, r->path, &other), 0);
	control_free(r->control);
	r->control = other;
	assert_done(rig_ask(r, "echo\n"));
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_open, rig_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_rig(has_the_mode_and_owner_asked_for),
		with_rig(keeps_out_whom_the_mode_keeps_out),
		with_rig(is_born_narrow_even_under_umask_0),
		with_rig(makes_a_missing_folder),
		with_rig(a_killed_agents_socket_is_stale),
		with_rig(a_busy_agent_keeps_its_socket),
		with_rig(replaces_what_is_stale_only),
		with_rig(knows_the_longest_path),
		with_rig(moves_on_reload_without_losing_a_request),
		with_rig(a_failed_reload_changes_nothing),
		with_rig(a_reload_restores_defaults_and_a_lost_file),
		with_rig(leaves_anothers_file_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
