/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/dispatcher.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "base/cleanup.h"
#include "dataplane/internal.h"

#include "dispatcher.skel.h"
#include "shared.skel.h"

/* Where libxdp pins, whoever uses it: dispatch-IFINDEX-PROGRAM/progN-prog and progN-link. */
#define LIBXDP_PINS "/sys/fs/bpf/xdp"
/* Where bpf/dispatcher.bpf.c lies when libxdp's own can't be used: other tools can be told to take it too. */
#define OBJECT_FOLDER "/run/alwayson"
#define OBJECT_FILE OBJECT_FOLDER "/xdp-dispatcher.o"

enum {
	LIBXDP_ENTRIES_MAX = 10,
	LOOKS_MAX = 4, /* while others swap dispatchers */
};

static void path_of(const char *dir, const char *what, unsigned ifindex, char path[DISPATCHER_PATH_MAX])
{
	snprintf(path, DISPATCHER_PATH_MAX, "%s/%s-%u", dir, what, ifindex);
}

/* ---- what libxdp says, for people ---- */

static char said[160];

/* The first complaint is the cause; what follows are its consequences. */
__attribute__((format(printf, 2, 0)))
static int listen_to(enum libxdp_print_level level, const char *format, va_list args)
{
	size_t end;

	if (level != LIBXDP_WARN || said[0])
		return 0;
	vsnprintf(said, sizeof(said), format, args);
	end = strcspn(said, "\n");
	said[end] = '\0';
	return 0;
}

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void begin_with_libxdp(void)
{
	said[0] = '\0';
	libxdp_set_print(listen_to);
	libbpf_set_print(silent);
}

/* ---- the entry ---- */

static uint32_t id_of(int fd)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);

	return fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

static uint32_t pinned_id(const char *path)
{
	_cleanup_close_ int fd = bpf_obj_get(path);

	return id_of(fd);
}

/*
 * As an extension of our own target: libxdp then only links it. Were libxdp to load it, the flag for frags would be taken
 * off, and the kernel keep it from going on to a program that has it.
 */
static int load_entry(struct shared_bpf *target, struct shared_bpf *entry)
{
	int r;

	bpf_program__set_autoload(target->progs.alwayson, false);
	bpf_map__set_autocreate(target->maps.program, false);
	bpf_program__set_autoload(entry->progs.target, false);
	r = shared_bpf__load(target);
	if (r == 0)
		r = bpf_program__set_type(entry->progs.alwayson, BPF_PROG_TYPE_EXT);
	if (r == 0)
		r = bpf_program__set_expected_attach_type(entry->progs.alwayson, 0);
	if (r == 0)
		r = bpf_program__set_flags(entry->progs.alwayson, BPF_F_XDP_HAS_FRAGS);
	if (r == 0)
		r = bpf_program__set_attach_target(entry->progs.alwayson, bpf_program__fd(target->progs.target), "target");
	return r < 0 ? r : shared_bpf__load(entry);
}

/*
 * libxdp's view of the loaded entry. It takes flags from the object only when it loads or meets it itself, which a test
 * run makes it do; that the array is still empty makes it harmless.
 */
static struct xdp_program *describe_entry(struct shared_bpf *entry, unsigned priority)
{
	uint8_t packet[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));
	DECLARE_LIBXDP_OPTS(xdp_program_opts, which, .obj = entry->obj, .prog_name = "alwayson");
	struct xdp_program *p = xdp_program__create(&which);

	if (libxdp_get_error(p))
		return NULL;
	xdp_program__set_run_prio(p, priority);
	xdp_program__set_chain_call_enabled(p, XDP_PASS, true);
	xdp_program__test_run(p, &opts, 0);
	if (xdp_program__fd(p) >= 0)
		return p;
	xdp_program__close(p);
	return NULL;
}

/* ---- with libxdp's own dispatcher, or with ours ---- */

static int write_object(void)
{
	size_t size;
	const void *bytes = dispatcher_bpf__elf_bytes(&size);
	_cleanup_fclose_ FILE *f = NULL;

	mkdir(OBJECT_FOLDER, 0755);
	f = fopen(OBJECT_FILE ".new", "we");
	if (!f)
		return -errno;
	if (fwrite(bytes, 1, size, f) != size || fflush(f))
		return -EIO;
	return rename(OBJECT_FILE ".new", OBJECT_FILE) < 0 ? -errno : 0;
}

static int detach_entry(struct xdp_program *p, unsigned ifindex)
{
	return xdp_program__detach(p, ifindex, XDP_MODE_UNSPEC, 0);
}

/* Natively if it can be. What refuses in both modes is told by the first. */
static int attach_entry(struct xdp_program *p, unsigned ifindex)
{
	int r = xdp_program__attach(p, ifindex, XDP_MODE_NATIVE, 0);

	if (r == 0 || r == -EBUSY)
		return r;
	return xdp_program__attach(p, ifindex, XDP_MODE_SKB, 0) == 0 ? 0 : r;
}

/* Each builds a dispatcher anew, around the other programs. The first that the kernel takes is the one. */
static int with_dispatcher(int (*act)(struct xdp_program *, unsigned), struct xdp_program *p, unsigned ifindex)
{
	const char *set = getenv(XDP_OBJECT_ENVVAR);
	_cleanup_free_ char *before = set ? strdup(set) : NULL;
	int r, again;

	said[0] = '\0';
	r = act(p, ifindex);
	if (r == 0 || r == -EBUSY || r == -ENOENT || write_object() < 0)
		return r;
	setenv(XDP_OBJECT_ENVVAR, OBJECT_FOLDER, 1);
	again = act(p, ifindex);
	if (before)
		setenv(XDP_OBJECT_ENVVAR, before, 1);
	else
		unsetenv(XDP_OBJECT_ENVVAR);
	return again == 0 ? 0 : r;
}

static int pin_entry(const char *dir, unsigned ifindex, struct shared_bpf *entry)
{
	char path[DISPATCHER_PATH_MAX];

	path_of(dir, "program", ifindex, path);
	unlink(path);
	if (bpf_obj_pin(bpf_map__fd(entry->maps.program), path) < 0)
		return -errno;
	path_of(dir, "shared", ifindex, path);
	unlink(path);
	return bpf_obj_pin(bpf_program__fd(entry->progs.alwayson), path) < 0 ? -errno : 0;
}

static bool may_ask_libxdp(void)
{
	return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_EFFECTIVE, CAP_SYS_ADMIN);
}

static int fail_add(int r, char error[DATAPLANE_ERROR_MAX])
{
	if ((r == -EPERM || r == -EACCES) && !may_ask_libxdp())
		return dataplane_fail(r, error, "`xdp shared` is not permitted: it takes CAP_SYS_ADMIN; under systemd the unit "
						"needs a drop-in (see \"An interface that others share\" in the manual)");
	if (r == -EPERM || r == -EACCES)
		return dataplane_fail(r, error, "`xdp shared` is not possible: this kernel loads no extension programs "
						"(freplace), of which libxdp's dispatcher is made; leave `xdp shared` out");
	return dataplane_fail(r, error, "libxdp's dispatcher can't be used: %s%s%s", strerror(-r), said[0] ? ": " : "", said);
}

/* Whoever asked may have given up while libxdp waited for its lock. Without pins nobody would find the entry any more. */
static int attach_unless_forgotten(const char *dir, unsigned ifindex, struct xdp_program *p)
{
	char path[DISPATCHER_PATH_MAX];
	int r = with_dispatcher(attach_entry, p, ifindex);

	path_of(dir, "shared", ifindex, path);
	if (r < 0 || access(path, F_OK) == 0)
		return r;
	with_dispatcher(detach_entry, p, ifindex);
	return -ECANCELED;
}

static int add_entry(const char *dir, unsigned ifindex, unsigned priority, struct shared_bpf *target,
		     struct shared_bpf *entry, char error[DATAPLANE_ERROR_MAX])
{
	struct xdp_program *p;
	int r = load_entry(target, entry);

	if (r < 0)
		return fail_add(r, error);
	p = describe_entry(entry, priority);
	if (!p)
		return fail_add(-EOPNOTSUPP, error);
	r = pin_entry(dir, ifindex, entry);
	if (r == 0)
		r = attach_unless_forgotten(dir, ifindex, p);
	if (r < 0) {
		fail_add(r, error);
		dispatcher_forget(dir, ifindex);
	}
	xdp_program__close(p);
	return r;
}

int dispatcher_add(const char *dir, unsigned ifindex, unsigned priority, char error[DATAPLANE_ERROR_MAX])
{
	struct shared_bpf *target, *entry;
	bool native;
	int r;

	if (dispatcher_holds(dir, ifindex, &native))
		return 0;
	begin_with_libxdp();
	target = shared_bpf__open();
	entry = shared_bpf__open();
	r = target && entry ? add_entry(dir, ifindex, priority, target, entry, error) :
			      dataplane_fail(-ENOMEM, error, "out of memory");
	shared_bpf__destroy(entry);
	shared_bpf__destroy(target);
	return r;
}

/* The rights of libxdp's look-ups too, which a kernel asks for that loads the entry without. */
static int try_entry(struct shared_bpf *target, struct shared_bpf *entry)
{
	_cleanup_close_ int fd = -1;
	int r = load_entry(target, entry);

	if (r < 0)
		return r;
	fd = bpf_prog_get_fd_by_id(id_of(bpf_program__fd(entry->progs.alwayson)));
	return fd < 0 ? -errno : 0;
}

int dispatcher_try(char error[DATAPLANE_ERROR_MAX])
{
	struct shared_bpf *target, *entry;
	int r;

	begin_with_libxdp();
	target = shared_bpf__open();
	entry = shared_bpf__open();
	r = target && entry ? try_entry(target, entry) : -ENOMEM;
	if (r < 0)
		fail_add(r, error);
	shared_bpf__destroy(entry);
	shared_bpf__destroy(target);
	return r;
}

int dispatcher_remove(const char *dir, unsigned ifindex)
{
	char path[DISPATCHER_PATH_MAX];
	struct xdp_program *p;
	int r;

	begin_with_libxdp();
	path_of(dir, "shared", ifindex, path);
	p = xdp_program__from_pin(path);
	r = (int)libxdp_get_error(p);
	if (r == 0) {
		r = with_dispatcher(detach_entry, p, ifindex);
		xdp_program__close(p);
	}
	dispatcher_forget(dir, ifindex);
	return r;
}

int dispatcher_priority(const char *dir, unsigned ifindex, unsigned *ret)
{
	struct xdp_program *p = NULL;
	struct xdp_multiprog *all;
	char path[DISPATCHER_PATH_MAX];
	uint32_t id;
	int r;

	path_of(dir, "shared", ifindex, path);
	id = pinned_id(path);
	begin_with_libxdp();
	all = id ? xdp_multiprog__get_from_ifindex((int)ifindex) : NULL;
	r = id ? (int)libxdp_get_error(all) : -ENOENT;
	if (r < 0)
		return r;
	do {
		p = xdp_multiprog__next_prog(p, all);
	} while (p && xdp_program__id(p) != id);
	if (p)
		*ret = xdp_program__run_prio(p);
	xdp_multiprog__close(all);
	return p ? 0 : -ENOENT;
}

/* ---- what can be seen by its pins ---- */

static bool folder_holds(const char *folder, uint32_t id)
{
	for (unsigned n = 0; n < LIBXDP_ENTRIES_MAX; n++) {
		char path[DISPATCHER_PATH_MAX];

		snprintf(path, sizeof(path), "%s/prog%u-prog", folder, n);
		if (pinned_id(path) == id)
			return true;
	}
	return false;
}

static uint32_t attached_id(unsigned ifindex, bool *ret_native)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	if (bpf_xdp_query(ifindex, 0, &query) < 0)
		return 0;
	*ret_native = query.attach_mode == XDP_ATTACHED_DRV;
	return query.prog_id;
}

/* A folder is there before its dispatcher is attached, and until another one is. */
bool dispatcher_holds(const char *dir, unsigned ifindex, bool *ret_native)
{
	char path[DISPATCHER_PATH_MAX], folder[64];
	uint32_t id, now, before = 0;

	path_of(dir, "shared", ifindex, path);
	id = pinned_id(path);
	for (unsigned i = 0; id && i < LOOKS_MAX; i++) {
		now = attached_id(ifindex, ret_native);
		if (!now || now == before)
			return false;
		snprintf(folder, sizeof(folder), LIBXDP_PINS "/dispatch-%u-%u", ifindex, now);
		if (folder_holds(folder, id))
			return true;
		before = now;
	}
	return false;
}

int dispatcher_open(const char *dir, unsigned ifindex)
{
	char path[DISPATCHER_PATH_MAX];
	int fd;

	path_of(dir, "program", ifindex, path);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int dispatcher_set(int array, int program)
{
	const uint32_t zero = 0;
	int r = program < 0 ? bpf_map_delete_elem(array, &zero) : bpf_map_update_elem(array, &zero, &program, BPF_ANY);

	return r < 0 && !(program < 0 && errno == ENOENT) ? -errno : 0;
}

/* ---- what is left behind ---- */

static void remove_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(folder);
}

/*
 * libxdp leaves the pins of a dispatcher that vanished with its NIC. Those of one that is older than what is attached now,
 * or whose NIC is gone, are nobody's; a newer one may be about to be attached.
 */
static void remove_dead_folders(unsigned ifindex, uint32_t id)
{
	char name[IF_NAMESIZE], folder[64];
	DIR *d = opendir(LIBXDP_PINS);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		unsigned of, dispatcher;
		bool native;

		if (sscanf(e->d_name, "dispatch-%u-%u", &of, &dispatcher) != 2 || of != ifindex)
			continue;
		snprintf(folder, sizeof(folder), LIBXDP_PINS "/dispatch-%u-%u", of, dispatcher);
		if (folder_holds(folder, id) &&
		    (!if_indextoname(ifindex, name) || dispatcher < attached_id(ifindex, &native)))
			remove_folder(folder);
	}
	if (d)
		closedir(d);
}

void dispatcher_forget(const char *dir, unsigned ifindex)
{
	char path[DISPATCHER_PATH_MAX];
	uint32_t id;

	path_of(dir, "shared", ifindex, path);
	id = pinned_id(path);
	if (id)
		remove_dead_folders(ifindex, id);
	unlink(path);
	path_of(dir, "program", ifindex, path);
	unlink(path);
}
