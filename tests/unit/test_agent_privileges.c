/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is left after the drop, by the kernel's own word (/proc), in every thread; and what still works with it.
 */
#include "unit/agent_rig.h"

#include <bpf/bpf.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "agent/privileges.h"
#include "agent/secret.h"
#include "agent/state.h"
#include "agent/thread.h"

#define BIT(c) (UINT64_C(1) << (c))

static const uint64_t kept = BIT(CAP_BPF) | BIT(CAP_NET_ADMIN) | BIT(CAP_PERFMON);

/* A line of /proc/self/task/TID/status as a number; ~0 when it is not there. */
static uint64_t status_of(pid_t tid, const char *key, int base)
{
	char path[64], line[256];
	uint64_t value = ~UINT64_C(0);
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoull(line + strlen(key), NULL, base);
	if (f)
		fclose(f);
	return value;
}

/* 0, or the line of what is not as it should be. */
static int rights_are(pid_t tid, uint64_t wanted, bool bounding)
{
	child_check(status_of(tid, "CapPrm:", 16) == wanted);
	child_check(status_of(tid, "CapEff:", 16) == wanted);
	child_check(status_of(tid, "CapInh:", 16) == 0);
	child_check(status_of(tid, "CapAmb:", 16) == 0);
	child_check(status_of(tid, "NoNewPrivs:", 10) == 1);
	child_check(!bounding || status_of(tid, "CapBnd:", 16) == wanted);
	return 0;
}

static int drop_as_root(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";

	child_check(privileges_drop(0, error) == 0);
	child_check(rights_are(gettid(), kept, true) == 0);
	/* Again, as after a re-exec, with nothing left to give up. */
	child_check(privileges_drop(0, error) == 0);
	return rights_are(gettid(), kept, true);
}

static void root_keeps_three(void **state)
{
	assert_int_equal(in_child(drop_as_root, NULL), 0);
}

static int drop_but_raw(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";

	child_check(privileges_drop(PRIVILEGES_NET_RAW, error) == 0);
	child_check(rights_are(gettid(), kept | BIT(CAP_NET_RAW), true) == 0);
	/* What was kept at first can be given up later, not the other way round. */
	child_check(privileges_drop(0, error) == 0);
	child_check(rights_are(gettid(), kept, false) == 0);
	child_check(privileges_drop(PRIVILEGES_NET_RAW, error) == -EPERM && strstr(error, "CAP_NET_RAW"));
	return 0;
}

static void raw_sockets_are_kept_on_request(void **state)
{
	assert_int_equal(in_child(drop_but_raw, NULL), 0);
}

/* Becomes a user with just these as permitted, inheritable and ambient, as systemd starts a service. */
static int become(uid_t uid, uint64_t wanted)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {};

	for (int i = 0; i < 2; i++)
		data[i].permitted = data[i].effective = data[i].inheritable = (uint32_t)(wanted >> 32 * i);
	child_check(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0);
	child_check(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
	child_check(syscall(SYS_capset, &head, data) == 0);
	for (unsigned long c = 0; c < 64; c++)
		if (wanted >> c & 1)
			child_check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c, 0, 0) == 0);
	return 0;
}

static int drop_as_user(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";

	child_check(become(65534, kept) == 0);
	child_check(status_of(gettid(), "CapAmb:", 16) == kept);
	child_check(privileges_drop(0, error) == 0);
	return rights_are(gettid(), kept, false);
}

static void a_user_with_ambient_ones_keeps_them(void **state)
{
	assert_int_equal(in_child(drop_as_user, NULL), 0);
}

static int drop_without_two(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";

	child_check(become(65534, BIT(CAP_NET_ADMIN)) == 0);
	child_check(privileges_drop(0, error) == -EPERM);
	child_check(strstr(error, "CAP_PERFMON, CAP_BPF: not permitted"));
	child_check(strstr(error, "AmbientCapabilities="));
	/* Nothing has changed. */
	child_check(status_of(gettid(), "CapAmb:", 16) == BIT(CAP_NET_ADMIN));
	child_check(status_of(gettid(), "NoNewPrivs:", 10) == 0);
	return 0;
}

static void a_missing_one_is_named(void **state)
{
	assert_int_equal(in_child(drop_without_two, NULL), 0);
}

struct waiting {
	sem_t born, go;
	pid_t tid;
	bool blocks;
};

static void *wait_thread(void *arg)
{
	struct waiting *w = arg;
	sigset_t all;

	sigfillset(&all);
	if (w->blocks)
		pthread_sigmask(SIG_BLOCK, &all, NULL);
	w->tid = gettid();
	sem_post(&w->born);
	while (sem_wait(&w->go) < 0)
		;
	return NULL;
}

static int drop_with_threads(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";
	struct waiting w[3] = {};
	pthread_t threads[3];

	for (int i = 0; i < 3; i++) {
		sem_init(&w[i].born, 0, 0);
		sem_init(&w[i].go, 0, 0);
		/* Ours, and one of a library that knows nothing of this. */
		child_check((i < 2 ? thread_start(&threads[i], "helper", wait_thread, &w[i]) :
				     pthread_create(&threads[i], NULL, wait_thread, &w[i])) == 0);
		sem_wait(&w[i].born);
	}
	child_check(privileges_drop(0, error) == 0);
	child_check(rights_are(gettid(), kept, true) == 0);
	for (int i = 0; i < 3; i++) {
		child_check(rights_are(w[i].tid, kept, true) == 0);
		sem_post(&w[i].go);
		child_check(thread_join(threads[i], 5000) == 0);
	}
	return 0;
}

static void every_thread_gives_up_its_own(void **state)
{
	assert_int_equal(in_child(drop_with_threads, NULL), 0);
}

static int drop_with_deaf_thread(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";
	struct waiting w = { .blocks = true };
	pthread_t thread;

	sem_init(&w.born, 0, 0);
	sem_init(&w.go, 0, 0);
	child_check(pthread_create(&thread, NULL, wait_thread, &w) == 0);
	pthread_setname_np(thread, "deaf");
	sem_wait(&w.born);
	child_check(privileges_drop(0, error) == -ETIMEDOUT);
	child_check(strstr(error, "(deaf) does not give up its rights"));
	return 0;
}

static void a_thread_that_keeps_its_rights_is_an_error(void **state)
{
	assert_int_equal(in_child(drop_with_deaf_thread, NULL), 0);
}

static int use_what_is_left(void *arg)
{
	struct folder *f = arg;
	char error[STATE_ERROR_MAX] = "", pin[128];
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct hash_key key;
	struct state *s;
	int fd;

	child_check(unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	snprintf(pin, sizeof(pin), "%s/bpf", f->path);
	child_check(mkdir(pin, 0700) == 0 && mount("none", pin, "bpf", 0, "mode=700") == 0);
	child_check(privileges_drop(0, error) == 0);
	/* State and secret in a folder of root's own. */
	child_check(state_open(f->path, "test", &s, error) == 0);
	child_check(secret_load(NULL, s, &key, error) == 0);
	child_check(state_close(s) == 0);
	/* The control socket, made anew and removed. */
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", folder_file(f, "x.sock"));
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	child_check(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && chmod(at.sun_path, 0660) == 0);
	child_check(unlink(at.sun_path) == 0);
	close(fd);
	/* Maps, and pins in a folder of an instance. */
	strcat(pin, "/test");
	child_check(mkdir(pin, 0700) == 0);
	strcat(pin, "/map");
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "test", 4, 8, 1, NULL);
	child_check(fd >= 0 && bpf_obj_pin(fd, pin) == 0);
	close(fd);
	fd = bpf_obj_get(pin);
	child_check(fd >= 0 && unlink(pin) == 0);
	close(fd);
	/* The network may still be changed. */
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	child_check(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
	close(fd);
	/* Other users' files are out of reach: what the manual says. */
	child_check(open(folder_file(f, "theirs"), O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	child_check(chown(folder_file(f, "secret"), 1, 1) < 0 && errno == EPERM);
	child_check(socket(AF_INET, SOCK_RAW, 1) < 0 && errno == EPERM);
	return 0;
}

static void the_agents_work_goes_on(void **state)
{
	struct folder f;
	int status;

	folder_new(&f);
	file_write(folder_file(&f, "theirs"), "x", 0600);
	assert_int_equal(chown(folder_file(&f, "theirs"), 65534, 65534), 0);
	status = in_child(use_what_is_left, &f);
	rmdir(folder_file(&f, "bpf"));
	folder_remove(&f);
	assert_int_equal(status, 0);
}

static int exec_as_root(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";

	child_check(privileges_drop(0, error) == 0);
	/* uid 0 again after exec, but with nothing: neither what was given up nor what was kept. */
	return system("grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status") == 0 ? 0 : __LINE__;
}

static int pass_on(void)
{
	const char *three = "grep -q '^CapEff:[[:space:]]*000000c000001000$' /proc/self/status";

	child_check(privileges_pass_on() == 0);
	child_check(system(three) == 0);
	privileges_keep();
	child_check(system(three) != 0);
	return 0;
}

static int pass_on_as_root(void *arg)
{
	char error[PRIVILEGES_ERROR_MAX] = "";

	child_check(privileges_drop(0, error) == 0);
	return pass_on();
}

static void a_program_it_becomes_keeps_them(void **state)
{
	assert_int_equal(in_child(pass_on_as_root, NULL), 0);
}

static void a_program_it_starts_has_nothing(void **state)
{
	assert_int_equal(in_child(exec_as_root, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_keeps_three),
		cmocka_unit_test(raw_sockets_are_kept_on_request),
		cmocka_unit_test(a_user_with_ambient_ones_keeps_them),
		cmocka_unit_test(a_missing_one_is_named),
		cmocka_unit_test(every_thread_gives_up_its_own),
		cmocka_unit_test(a_thread_that_keeps_its_rights_is_an_error),
		cmocka_unit_test(the_agents_work_goes_on),
		cmocka_unit_test(a_program_it_starts_has_nothing),
		cmocka_unit_test(a_program_it_becomes_keeps_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
