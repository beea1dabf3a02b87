/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the decap program's links are pinned, and reading what one holds and has counted. Of decap.h; changes nothing
 * but the pins of NICs that are gone.
 */
#include "dataplane/decap_internal.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "dataplane/internal.h"

static const struct {
	const char *label, *text, *action;
} verdicts[DECAP_VERDICT_MAX] = {
#define ACTION_PASS "pass"
#define ACTION_DROP "drop"
#define X(name, action, label, text) [DECAP_##name] = { label, text, ACTION_##action },
	DECAP_VERDICTS(X)
#undef X
};

const char *decap_verdict_label(enum decap_verdict v)
{
	return verdicts[v].label;
}

const char *decap_verdict_text(enum decap_verdict v)
{
	return verdicts[v].text;
}

const char *decap_verdict_action(enum decap_verdict v)
{
	return verdicts[v].action;
}

/* ---- names and pins ---- */

/* The first network namespace has cookie 1. */
int decap_pin_root(char path[DECAP_PATH_MAX])
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
		return -errno;
	if (cookie == 1)
		strcpy(path, DECAP_PIN_ROOT);
	else
		snprintf(path, DECAP_PATH_MAX, DECAP_PIN_ROOT "-%" PRIu64, cookie);
	return 0;
}

static void swap_character(char *text, char from, char to)
{
	for (; *text; text++)
		if (*text == from)
			*text = to;
}

int decap_pin_path(const char *interface, char path[DECAP_PATH_MAX])
{
	int r = decap_pin_root(path);
	size_t used;

	if (r < 0)
		return r;
	used = strlen(path);
	snprintf(path + used, DECAP_PATH_MAX - used, "/%.15s", interface);
	swap_character(path + used, '.', ':');
	return 0;
}

int decap_open_link(const char *path, struct bpf_link_info *ret_info, int *ret_fd)
{
	uint32_t size = sizeof(*ret_info);
	int fd = bpf_obj_get(path), r;

	if (fd < 0)
		return -errno;
	memset(ret_info, 0, sizeof(*ret_info));
	if (bpf_obj_get_info_by_fd(fd, ret_info, &size) < 0 || ret_info->type != BPF_LINK_TYPE_XDP) {
		r = errno ? -errno : -EINVAL;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int decap_fail_root(int r, char error[DATAPLANE_ERROR_MAX])
{
	if (r == -EPERM || r == -EACCES)
		return dataplane_fail(r, error, "not allowed to use %s and BPF: run as root", DECAP_PIN_ROOT);
	return dataplane_fail(r, error, "%s: %s; is bpffs mounted? (mount -t bpf bpf /sys/fs/bpf)", DECAP_PIN_ROOT,
			      strerror(-r));
}

int decap_fail_absent(const char *interface, char error[DATAPLANE_ERROR_MAX])
{
	return dataplane_fail(-ENOENT, error, "%s: no decap program is loaded there; `alwayson decap show` lists where",
			      interface);
}

/* The NIC is gone, with its namespace or without: the pin alone is left. */
static bool is_severed(const char *path)
{
	struct bpf_link_info info;
	bool severed;
	int fd;

	if (decap_open_link(path, &info, &fd) < 0)
		return false;
	severed = !info.xdp.ifindex;
	close(fd);
	return severed;
}

static void drop_severed_of(const char *root)
{
	DIR *dir = opendir(root);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		char path[3 * NAME_MAX];

		snprintf(path, sizeof(path), "%s/%s", root, e->d_name);
		if (e->d_name[0] != '.' && is_severed(path))
			unlink(path);
	}
	closedir(dir);
	rmdir(root); /* stays while something is pinned there */
}

void decap_drop_severed(void)
{
	static const char parent[] = "/sys/fs/bpf", prefix[] = "alwayson-decap";
	DIR *dir = opendir(parent);
	char path[sizeof(parent) + NAME_MAX + 2];
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		if (strncmp(e->d_name, prefix, strlen(prefix)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", parent, e->d_name);
		drop_severed_of(path);
	}
	closedir(dir);
}

/* ---- maps of the program that a link holds ---- */

int decap_program_map(uint32_t program_id, const char *name, int *ret_fd)
{
	_cleanup_close_ int program = bpf_prog_get_fd_by_id(program_id);
	struct bpf_prog_info info = {};
	uint32_t ids[16], size = sizeof(info);

	info.nr_map_ids = array_size(ids);
	info.map_ids = (uintptr_t)ids;
	if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size) < 0)
		return -errno;
	for (uint32_t i = 0; i < info.nr_map_ids && i < array_size(ids); i++) {
		struct bpf_map_info map = {};
		int fd = bpf_map_get_fd_by_id(ids[i]);

		size = sizeof(map);
		if (fd < 0)
			return -errno;
		if (bpf_obj_get_info_by_fd(fd, &map, &size) == 0 && strcmp(map.name, name) == 0) {
			*ret_fd = fd;
			return 0;
		}
		close(fd);
	}
	return -ENOENT;
}

int decap_read_counters(int fd, struct decap_counter ret[DECAP_VERDICT_MAX])
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct decap_counter *each = calloc(cpus > 0 ? cpus : 1, sizeof(*each));

	if (!each)
		return -ENOMEM;
	memset(ret, 0, DECAP_VERDICT_MAX * sizeof(*ret));
	for (uint32_t v = 0; v < DECAP_VERDICT_MAX; v++) {
		if (bpf_map_lookup_elem(fd, &v, each) < 0)
			return -errno;
		for (int cpu = 0; cpu < cpus; cpu++) {
			ret[v].packets += each[cpu].packets;
			ret[v].bytes += each[cpu].bytes;
		}
	}
	return 0;
}

struct decap_address decap_to_key(const struct addr *a)
{
	struct decap_address key = { .family = a->family == AF_INET ? 4 : 6 };

	memcpy(key.addr, a->bytes, sizeof(key.addr));
	return key;
}

static struct addr from_key(const struct decap_address *key)
{
	struct addr a = { .family = key->family == 4 ? AF_INET : AF_INET6 };

	memcpy(a.bytes, key->addr, sizeof(a.bytes));
	return a;
}

static int compare_addresses(const void *a, const void *b)
{
	return addr_compare(a, b);
}

static int compare_prefixes(const void *a, const void *b)
{
	const struct decap_prefix *x = a, *y = b;
	int r = addr_compare(&x->addr, &y->addr);

	return r ? r : (int)x->length - (int)y->length;
}

static int read_sources(int fd, struct decap_status *s)
{
	struct decap_source key, *previous = NULL;

	while (bpf_map_get_next_key(fd, previous, &key) == 0) {
		struct decap_prefix *p = vec_push(&s->from);

		if (!p)
			return -ENOMEM;
		p->addr = from_key(&key.prefix);
		p->length = key.prefixlen - 8 * sizeof(key.prefix.family);
		previous = &key;
	}
	if (s->from.count)
		qsort(s->from.items, s->from.count, sizeof(*s->from.items), compare_prefixes);
	return 0;
}

static int read_addresses(int fd, struct decap_status *s)
{
	struct decap_address key, *previous = NULL;

	while (bpf_map_get_next_key(fd, previous, &key) == 0) {
		struct addr *a = vec_push(&s->addresses);

		if (!a)
			return -ENOMEM;
		*a = from_key(&key);
		previous = &key;
	}
	if (s->addresses.count)
		qsort(s->addresses.items, s->addresses.count, sizeof(*s->addresses.items), compare_addresses);
	return 0;
}

static int read_maps(uint32_t program_id, struct decap_status *s)
{
	_cleanup_close_ int sources = -1, addresses = -1, counters = -1;
	int r = decap_program_map(program_id, "sources", &sources);

	if (r == 0)
		r = decap_program_map(program_id, "addresses", &addresses);
	if (r == 0)
		r = decap_program_map(program_id, "counters", &counters);
	if (r == 0)
		r = read_sources(sources, s);
	if (r == 0)
		r = read_addresses(addresses, s);
	if (r == 0)
		r = decap_read_counters(counters, s->counters);
	return r;
}

int decap_read(const char *interface, struct decap_status *ret, char error[DATAPLANE_ERROR_MAX])
{
	struct decap_status s = {};
	struct bpf_link_info info;
	_cleanup_close_ int fd = -1;
	char path[DECAP_PATH_MAX];
	int r = decap_pin_path(interface, path);

	if (r == 0)
		r = decap_open_link(path, &info, &fd);
	if (r == -ENOENT)
		return decap_fail_absent(interface, error);
	if (r < 0)
		return decap_fail_root(r, error);
	snprintf(s.interface, sizeof(s.interface), "%s", interface);
	s.ifindex = info.xdp.ifindex;
	if (!s.ifindex || !if_indextoname(s.ifindex, s.now))
		s.now[0] = '\0';
	s.native = links_is_native(s.ifindex);
	r = read_maps(info.prog_id, &s);
	if (r < 0) {
		decap_status_done(&s);
		return dataplane_fail(r, error, "%s: cannot read its maps: %s", interface, strerror(-r));
	}
	*ret = s;
	return 0;
}

void decap_status_done(struct decap_status *s)
{
	vec_done(&s->from);
	vec_done(&s->addresses);
}

static int is_pin(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int decap_list(char ***ret, char error[DATAPLANE_ERROR_MAX])
{
	struct dirent **entries = NULL;
	char root[DECAP_PATH_MAX];
	char **names;
	int r = decap_pin_root(root), count, n = 0;

	if (r < 0)
		return decap_fail_root(r, error);
	count = scandir(root, &entries, is_pin, alphasort);
	if (count < 0 && errno != ENOENT)
		return decap_fail_root(-errno, error);
	if (count < 0)
		count = 0;
	names = calloc(count + 1, sizeof(*names));
	for (int i = 0; i < count; i++) {
		if (names && (names[n] = strdup(entries[i]->d_name)))
			swap_character(names[n++], ':', '.');
		free(entries[i]);
	}
	free(entries);
	if (n < count || !names) {
		while (n > 0)
			free(names[--n]);
		free(names);
		return dataplane_fail(-ENOMEM, error, "out of memory");
	}
	*ret = names;
	return n;
}
