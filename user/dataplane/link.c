/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attachments of the program to NICs: bpf_links, pinned as link-IFINDEX, so that they outlive the agent and are replaced
 * atomically; where NICs are shared with other tools' programs, entries in libxdp's dispatcher (shared.c), which are
 * and do the same. Also fills `devices`, the NICs that frames may be redirected to, by the NIC that the program knows: a
 * port of a bond stands for the bond.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "base/cleanup.h"
#include "dataplane/dispatcher.h"
#include "dataplane/internal.h"

#include "lb.skel.h"

static void link_path(const struct dataplane *d, unsigned ifindex, char path[256])
{
	snprintf(path, 256, "%s/link-%u", d->pin_dir, ifindex);
}

static uint64_t wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* What is to be sent by NIC `key` goes out by NIC `ifindex`. */
static int add_device(struct dataplane *d, unsigned key, unsigned ifindex)
{
	return bpf_map_update_elem(bpf_map__fd(d->lb->maps.devices), &key, &ifindex, BPF_ANY) < 0 ? -errno : 0;
}

static void remove_device(struct dataplane *d, unsigned key)
{
	bpf_map_delete_elem(bpf_map__fd(d->lb->maps.devices), &key);
}

bool links_is_native(unsigned ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);

	return bpf_xdp_query(ifindex, 0, &query) == 0 && query.attach_mode == XDP_ATTACHED_DRV;
}

int links_remember(struct dataplane *d, unsigned ifindex, const char *name, int fd, struct link **ret)
{
	struct link *l = vec_push(&d->links);

	if (!l)
		return -ENOMEM;
	*l = (struct link){ .fd = fd };
	*ret = l;
	l->shown.ifindex = ifindex;
	l->shown.native = links_is_native(ifindex);
	l->shown.since_ms = wall_ms();
	snprintf(l->shown.name, sizeof(l->shown.name), "%s", name);
	return add_device(d, ifindex, ifindex);
}

#define DISPATCHER_NAME "libxdp's dispatcher"

/* The name of the program that holds the NIC already, for the message. */
static void name_other(unsigned ifindex, char *name, size_t size)
{
	struct xdp_multiprog *multi = xdp_multiprog__get_from_ifindex(ifindex);
	struct xdp_program *main_program;

	snprintf(name, size, "another program");
	if (libxdp_get_error(multi))
		return;
	main_program = xdp_multiprog__main_prog(multi);
	if (!xdp_multiprog__is_legacy(multi))
		snprintf(name, size, DISPATCHER_NAME);
	else if (main_program)
		snprintf(name, size, "the program \"%s\"", xdp_program__name(main_program));
	xdp_multiprog__close(multi);
}

static int create_link(int program, unsigned ifindex, enum model_xdp_mode mode, int *ret_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts);
	int fd = -1, r = -EOPNOTSUPP;

	if (mode != MODEL_XDP_GENERIC) {
		opts.flags = XDP_FLAGS_DRV_MODE;
		fd = bpf_link_create(program, ifindex, BPF_XDP, &opts);
		r = fd < 0 ? -errno : 0;
	}
	if (fd < 0 && mode != MODEL_XDP_NATIVE && r != -EBUSY && r != -EEXIST && r != -EPERM) {
		opts.flags = XDP_FLAGS_SKB_MODE;
		fd = bpf_link_create(program, ifindex, BPF_XDP, &opts);
		r = fd < 0 ? -errno : 0;
	}
	if (fd >= 0)
		*ret_fd = fd;
	return r;
}

struct link *links_find(struct dataplane *d, unsigned ifindex)
{
	for (size_t i = 0; i < d->links.count; i++)
		if (d->links.items[i].shown.ifindex == ifindex)
			return &d->links.items[i];
	return NULL;
}

/* Another program from the next packet on. */
static int set_program(const struct link *l, int program)
{
	if (l->shown.shared)
		return dispatcher_set(l->fd, program);
	return bpf_link_update(l->fd, program, NULL) < 0 ? -errno : 0;
}

/*
 * The kernel does not replace a program by one of another attach type, which it has or has not as switches.shared is:
 * the NIC is free for a moment then, and its packets are the host's.
 */
static int set_other_kind(struct dataplane *d, struct link *l, int program)
{
	char path[256];
	int r, fd;

	bpf_link_detach(l->fd);
	r = create_link(program, l->shown.ifindex, l->shown.native ? MODEL_XDP_NATIVE : MODEL_XDP_GENERIC, &fd);
	if (r < 0)
		return r;
	link_path(d, l->shown.ifindex, path);
	unlink(path);
	if (bpf_obj_pin(fd, path) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	close(l->fd);
	l->fd = fd;
	return 0;
}

static int replace_program(struct dataplane *d, struct link *l, int program)
{
	int r = set_program(l, program);

	return r == -EINVAL && !l->shown.shared ? set_other_kind(d, l, program) : r;
}

static int fail_busy(unsigned ifindex, const char *name, char error[DATAPLANE_ERROR_MAX])
{
	char other[128];

	name_other(ifindex, other, sizeof(other));
	return dataplane_fail(-EBUSY, error, "%s: %s is attached there already; remove it first "
					     "(ip link set dev %s xdp off)%s", name, other, name,
			      strcmp(other, DISPATCHER_NAME) == 0 ? ", or write `xdp shared`" : "");
}

int dataplane_check(struct dataplane *d, unsigned ifindex, const char *name, enum model_xdp_mode mode,
		    char error[DATAPLANE_ERROR_MAX])
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	char other[128];

	if (links_find(d, ifindex) || bpf_xdp_query(ifindex, 0, &query) < 0 || !query.attach_mode)
		return 0;
	name_other(ifindex, other, sizeof(other));
	if (mode == MODEL_XDP_SHARED && strcmp(other, DISPATCHER_NAME) == 0)
		return 0;
	return fail_busy(ifindex, name, error);
}

bool dataplane_holds(const struct dataplane *d, const struct dataplane_attachment *a)
{
	bool native;

	return !a->shared || dispatcher_holds(d->pin_dir, a->ifindex, &native);
}

const char *dataplane_mode_name(const struct dataplane_attachment *a)
{
	return !a ? "detached" : a->shared ? "shared" : a->native ? "native" : "generic";
}

int links_create(int program, unsigned ifindex, const char *name, enum model_xdp_mode mode, int *ret_fd,
		 char error[DATAPLANE_ERROR_MAX])
{
	int r = create_link(program, ifindex, mode, ret_fd);

	if (r == -EBUSY || r == -EEXIST)
		return fail_busy(ifindex, name, error);
	if (r == -ERANGE)
		return dataplane_fail(r, error, "%s: its MTU is too large for native XDP on this driver; lower it, or use "
						"generic mode", name);
	if (r == -EOPNOTSUPP && mode == MODEL_XDP_NATIVE)
		return dataplane_fail(r, error, "%s: its driver has no native XDP; use `auto` or `generic`", name);
	if (r < 0)
		return dataplane_fail(r, error, "%s: cannot attach: %s", name, strerror(-r));
	return 0;
}

/* Bonds' ports that are to be forgotten: those of one bond, or (0) those that are gone. */
static void forget_ports(struct dataplane *d, unsigned bond)
{
	char name[IF_NAMESIZE];

	for (size_t i = 0; i < d->ports.count;) {
		const struct dataplane_port *p = &d->ports.items[i];

		if (bond ? p->bond == bond : !if_indextoname(p->ifindex, name)) {
			remove_device(d, p->ifindex);
			d->ports.items[i] = d->ports.items[--d->ports.count];
		} else {
			i++;
		}
	}
}

static struct dataplane_port *find_port(struct dataplane *d, unsigned ifindex)
{
	for (size_t i = 0; i < d->ports.count; i++)
		if (d->ports.items[i].ifindex == ifindex)
			return &d->ports.items[i];
	return NULL;
}

int dataplane_add_port(struct dataplane *d, const struct dataplane_port *port)
{
	struct dataplane_port *known = find_port(d, port->ifindex);
	int r;

	if (!links_find(d, port->bond))
		return -ENOENT;
	if ((known && known->bond == port->bond) || links_find(d, port->ifindex))
		return 0;
	r = add_device(d, port->ifindex, port->bond);
	if (r == -E2BIG) {
		forget_ports(d, 0);
		r = add_device(d, port->ifindex, port->bond);
	}
	if (r == 0 && !known)
		known = vec_push(&d->ports);
	if (r < 0 || !known)
		return r < 0 ? r : -ENOMEM;
	*known = *port;
	return 1;
}

int dataplane_attach(struct dataplane *d, unsigned ifindex, const char *name, enum model_xdp_mode mode,
		     char error[DATAPLANE_ERROR_MAX])
{
	char path[256];
	struct link *l;
	int fd = -1, r;

	if (links_find(d, ifindex))
		return dataplane_fail(-EALREADY, error, "%s: already attached", name);
	if (shared_is_asked(d, ifindex))
		return dataplane_fail(-EINPROGRESS, error, "%s: libxdp is taking our entry out of its dispatcher", name);
	r = links_create(dataplane_program_fd(d), ifindex, name, mode, &fd, error);
	if (r < 0)
		return r;
	link_path(d, ifindex, path);
	unlink(path);
	if (bpf_obj_pin(fd, path) < 0) {
		r = -errno;
		close(fd);
		return dataplane_fail(r, error, "%s: cannot pin the attachment at %s: %s", name, path, strerror(-r));
	}
	r = links_remember(d, ifindex, name, fd, &l);
	if (r < 0) {
		unlink(path);
		close(fd);
		return dataplane_fail(r, error, "%s: cannot add it to the devices: %s", name, strerror(-r));
	}
	return 0;
}

int dataplane_detach(struct dataplane *d, unsigned ifindex)
{
	struct link *l = links_find(d, ifindex);
	char path[256];

	if (!l)
		return -ENOENT;
	remove_device(d, ifindex);
	forget_ports(d, ifindex);
	if (l->shown.shared) {
		shared_leave(d, l);
	} else {
		link_path(d, ifindex, path);
		bpf_link_detach(l->fd);
		unlink(path);
	}
	close(l->fd);
	*l = d->links.items[--d->links.count];
	return 0;
}

void dataplane_rename(struct dataplane *d, unsigned ifindex, const char *name)
{
	struct link *l = links_find(d, ifindex);

	if (l)
		snprintf(l->shown.name, sizeof(l->shown.name), "%s", name);
}

size_t dataplane_attachments(const struct dataplane *d, const struct dataplane_attachment **ret)
{
	struct dataplane *own = (struct dataplane *)d; /* the list is rebuilt for the caller; nothing else changes */

	own->shown.count = 0;
	for (size_t i = 0; i < d->links.count; i++) {
		struct dataplane_attachment *a = vec_push(&own->shown);

		if (a)
			*a = d->links.items[i].shown;
	}
	*ret = d->shown.items;
	return d->shown.count;
}

/* A pinned link of a NIC that is still there; one whose NIC is gone is severed and dropped. */
static void take_over(struct dataplane *d, const char *file, unsigned ifindex)
{
	char path[256], name[IF_NAMESIZE];
	struct link *l;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", d->pin_dir, file);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return;
	if (!if_indextoname(ifindex, name) || links_remember(d, ifindex, name, fd, &l) < 0) {
		unlink(path);
		close(fd);
	}
}

/* All NICs are known to this program's `devices` before it runs on the first of them: it may redirect to each. */
void links_take_over(struct dataplane *d, const struct dataplane_options *o)
{
	DIR *dir = opendir(d->pin_dir);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		unsigned ifindex;

		if (sscanf(e->d_name, "link-%u", &ifindex) == 1)
			take_over(d, e->d_name, ifindex);
		else if (sscanf(e->d_name, "shared-%u", &ifindex) == 1)
			shared_take_over(d, ifindex);
	}
	closedir(dir);
	for (size_t i = 0; i < o->bond_port_count; i++)
		dataplane_add_port(d, &o->bond_ports[i]);
	for (size_t i = 0; i < d->links.count;) {
		struct link *l = &d->links.items[i];

		if (replace_program(d, l, dataplane_program_fd(d)) == 0)
			i++;
		else
			dataplane_detach(d, l->shown.ifindex); /* ENOLINK: another NIC has the number now */
	}
}

int links_swap(struct dataplane *d, int from, int to)
{
	for (size_t i = 0; i < d->links.count; i++) {
		int r = replace_program(d, &d->links.items[i], to);

		/* ENOLINK: its NIC has gone, and soon somebody will notice. */
		if (r == 0 || r == -ENOLINK)
			continue;
		while (i--)
			replace_program(d, &d->links.items[i], from);
		return r;
	}
	return 0;
}

void links_close(struct dataplane *d, bool leave)
{
	if (!leave)
		while (d->links.count)
			dataplane_detach(d, d->links.items[0].shown.ifindex);
	for (size_t i = 0; i < d->links.count; i++)
		close(d->links.items[i].fd);
	d->links.count = 0;
}
