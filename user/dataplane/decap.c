/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/decap.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dataplane/decap_internal.h"
#include "dataplane/internal.h"

#include "decap.skel.h"

struct decap {
	struct decap_bpf *bpf;
};

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* Counters of the program that is there go on, unless another version counted otherwise. */
static void keep_counters(struct decap *d, const char *interface)
{
	struct bpf_link_info link;
	struct bpf_map_info map = {};
	uint32_t size = sizeof(map);
	_cleanup_close_ int link_fd = -1;
	char path[DECAP_PATH_MAX];
	int fd;

	if (decap_pin_path(interface, path) < 0 || decap_open_link(path, &link, &link_fd) < 0 || !link.xdp.ifindex ||
	    decap_program_map(link.prog_id, "counters", &fd) < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &map, &size) == 0 && map.max_entries == DECAP_VERDICT_MAX &&
	    map.value_size == sizeof(struct decap_counter))
		bpf_map__reuse_fd(d->bpf->maps.counters, fd);
	close(fd);
}

static int load_program(struct decap *d, char error[DATAPLANE_ERROR_MAX])
{
	static char log[1 << 16];
	int r;

	log[0] = '\0';
	bpf_program__set_log_buf(d->bpf->progs.decap, log, sizeof(log));
	r = decap_bpf__load(d->bpf);
	if (r == -EPERM || r == -EACCES)
		return *log ? dataplane_fail(r, error, "the kernel refused the program: %.300s", log) :
			      dataplane_fail(r, error, "not allowed to load BPF programs: run as root");
	if (r < 0)
		return dataplane_fail(r, error, "cannot load the program: %s; the kernel must be 6.1 or newer: %.300s",
				      strerror(-r), log);
	return 0;
}

static int fill_sources(struct decap *d, const struct decap_options *o, char error[DATAPLANE_ERROR_MAX])
{
	const uint32_t one = 1;

	for (size_t i = 0; i < o->from_count; i++) {
		const struct decap_prefix *p = &o->from[i];
		struct addr masked = addr_mask(&p->addr, p->length);
		struct decap_source key = { .prefix = decap_to_key(&masked) };

		key.prefixlen = 8 * sizeof(key.prefix.family) + p->length;
		if (bpf_map_update_elem(bpf_map__fd(d->bpf->maps.sources), &key, &one, BPF_ANY) == 0)
			continue;
		if (errno == ENOSPC)
			return dataplane_fail(-E2BIG, error, "more than %d prefixes to accept packets from "
							     "(DECAP_SOURCES_MAX)", DECAP_SOURCES_MAX);
		return dataplane_fail(-errno, error, "cannot fill the list of senders: %s", strerror(errno));
	}
	return 0;
}

static int add_address(struct decap *d, const struct addr *a, char error[DATAPLANE_ERROR_MAX])
{
	struct decap_address key = decap_to_key(a);
	const uint32_t one = 1;

	if (bpf_map_update_elem(bpf_map__fd(d->bpf->maps.addresses), &key, &one, BPF_ANY) == 0)
		return 0;
	if (errno == E2BIG || errno == ENOSPC)
		return dataplane_fail(-E2BIG, error, "more than %d addresses to unwrap for (DECAP_ADDRESSES_MAX)",
				      DECAP_ADDRESSES_MAX);
	return dataplane_fail(-errno, error, "cannot fill the list of addresses: %s", strerror(errno));
}

/* An address that a balancer could send to; family 0 for any other. */
static struct addr usable(const struct sockaddr *sa)
{
	struct addr a = {};

	if (sa && sa->sa_family == AF_INET)
		return addr_from_v4(((const struct sockaddr_in *)sa)->sin_addr.s_addr);
	if (!sa || sa->sa_family != AF_INET6 || IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *)sa)->sin6_addr))
		return a;
	a.family = AF_INET6;
	memcpy(a.bytes, &((const struct sockaddr_in6 *)sa)->sin6_addr, sizeof(a.bytes));
	return a;
}

static int fill_addresses(struct decap *d, const struct decap_options *o, char error[DATAPLANE_ERROR_MAX])
{
	struct ifaddrs *all = NULL;
	size_t found = o->address_count;
	int r = 0;

	if (getifaddrs(&all) < 0)
		return dataplane_fail(-errno, error, "cannot read the host's addresses: %s", strerror(errno));
	for (const struct ifaddrs *i = all; i && r == 0; i = i->ifa_next) {
		struct addr a = usable(i->ifa_addr);

		if (!a.family || strcmp(i->ifa_name, o->interface))
			continue;
		r = add_address(d, &a, error);
		found++;
	}
	freeifaddrs(all);
	for (size_t i = 0; i < o->address_count && r == 0; i++)
		r = add_address(d, &o->addresses[i], error);
	if (r == 0 && !found)
		r = dataplane_fail(-EADDRNOTAVAIL, error, "%s has no address that packets could be for: give it one, or "
							  "name it with --address", o->interface);
	return r;
}

int decap_open(const struct decap_options *o, struct decap **ret, char error[DATAPLANE_ERROR_MAX])
{
	struct decap *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	libbpf_set_print(silent);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	d->bpf = decap_bpf__open();
	if (!d->bpf) {
		r = dataplane_fail(-errno, error, "cannot open the program: %s", strerror(errno));
		goto fail;
	}
	keep_counters(d, o->interface);
	r = load_program(d, error);
	if (r == 0)
		r = fill_sources(d, o, error);
	if (r == 0)
		r = fill_addresses(d, o, error);
	if (r < 0)
		goto fail;
	*ret = d;
	return 0;
fail:
	decap_close(d);
	return r;
}

void decap_close(struct decap *d)
{
	if (!d)
		return;
	decap_bpf__destroy(d->bpf);
	free(d);
}

int decap_program_fd(const struct decap *d)
{
	return bpf_program__fd(d->bpf->progs.decap);
}

int decap_counters(const struct decap *d, struct decap_counter ret[DECAP_VERDICT_MAX])
{
	return decap_read_counters(bpf_map__fd(d->bpf->maps.counters), ret);
}

/* ---- attaching ---- */

/* Gives the link that is there the new program; the NIC is never without one. */
static int replace(const struct decap *d, const struct decap_options *o, int link, const struct bpf_link_info *info,
		   char error[DATAPLANE_ERROR_MAX])
{
	const bool native = links_is_native(info->xdp.ifindex);
	char other[IF_NAMESIZE];

	if (info->xdp.ifindex != if_nametoindex(o->interface))
		return dataplane_fail(-EEXIST, error, "%s: the program that was loaded by this name is on another "
						      "interface now, %s; `alwayson decap unload %s` first", o->interface,
				      if_indextoname(info->xdp.ifindex, other) ? other : "?", o->interface);
	if ((o->mode == MODEL_XDP_NATIVE && !native) || (o->mode == MODEL_XDP_GENERIC && native))
		return dataplane_fail(-EEXIST, error, "%s: loaded in %s mode, which cannot change underway; "
						      "`alwayson decap unload %s` first", o->interface,
				      native ? "native" : "generic", o->interface);
	if (bpf_link_update(link, decap_program_fd(d), NULL) < 0)
		return dataplane_fail(-errno, error, "%s: cannot replace the program: %s", o->interface,
				      strerror(errno));
	return 0;
}

static int attach(const struct decap *d, const struct decap_options *o, unsigned ifindex,
		  char error[DATAPLANE_ERROR_MAX])
{
	_cleanup_close_ int link = -1;
	struct bpf_link_info info;
	char path[DECAP_PATH_MAX], root[DECAP_PATH_MAX];
	int r = decap_pin_root(root);

	if (r == 0)
		r = decap_pin_path(o->interface, path);
	if (r < 0)
		return decap_fail_root(r, error);
	r = decap_open_link(path, &info, &link);
	if (r == 0)
		return replace(d, o, link, &info, error);
	if (r != -ENOENT)
		return dataplane_fail(r, error, "%s is in the way: %s", path, strerror(-r));
	if (mkdir(root, 0700) < 0 && errno != EEXIST)
		return decap_fail_root(-errno, error);
	r = links_create(decap_program_fd(d), ifindex, o->interface, o->mode, &link, error);
	if (r < 0) {
		rmdir(root);
		return r;
	}
	/* Unpinned, the link would end with this process: a failure takes the program off again. */
	if (bpf_obj_pin(link, path) < 0)
		return dataplane_fail(-errno, error, "%s: cannot pin the attachment at %s: %s", o->interface, path,
				      strerror(errno));
	return 0;
}

int decap_load(const struct decap_options *o, char error[DATAPLANE_ERROR_MAX])
{
	unsigned ifindex = if_nametoindex(o->interface);
	struct decap *d;
	int r;

	if (!ifindex)
		return dataplane_fail(-ENODEV, error, "there is no interface %s here; `ip link` lists them",
				      o->interface);
	decap_drop_severed();
	r = decap_open(o, &d, error);
	if (r < 0)
		return r;
	r = attach(d, o, ifindex, error);
	decap_close(d);
	return r;
}

int decap_unload(const char *interface, char error[DATAPLANE_ERROR_MAX])
{
	_cleanup_close_ int link = -1;
	char path[DECAP_PATH_MAX], root[DECAP_PATH_MAX];
	struct bpf_link_info info;
	int r = decap_pin_root(root);

	if (r == 0)
		r = decap_pin_path(interface, path);
	if (r == 0)
		r = decap_open_link(path, &info, &link);
	if (r == -ENOENT)
		return decap_fail_absent(interface, error);
	if (r < 0)
		return decap_fail_root(r, error);
	if (unlink(path) < 0)
		return decap_fail_root(-errno, error);
	bpf_link_detach(link);
	rmdir(root); /* stays while other interfaces have theirs */
	return 0;
}
