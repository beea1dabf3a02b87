/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/vec.h"
#include "dataplane/internal.h"

#include "probe.skel.h"

/* enum bpf_attach_type of 6.6; the headers of Debian 12 are older. */
enum { TCX_INGRESS = 46, TCX_EGRESS = 47 };
/* Of our filters in clsact: a place that nobody else is likely to have. */
enum { FILTER_PRIORITY = 0xa105, FILTER_HANDLE = 1 };

/* A NIC; fds of tcx links, or -1: filters of clsact. */
struct probe_nic {
	unsigned ifindex;
	int in, out;
};

struct known {
	struct probe_path path; /* as wanted: sent is 0 */
	uint32_t index;
	bool wanted;
};

struct probe {
	struct probe_bpf *bpf;
	struct probe_path *paths; /* the map's memory */
	size_t paths_size;
	bool tcx;
	struct vec(struct known) known; /* sorted by path */
	struct vec(struct probe_nic) nics;
};

static int silent(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

/* ---- loading ---- */

static int load(struct probe *p, char error[DATAPLANE_ERROR_MAX])
{
	p->bpf = probe_bpf__open_and_load();
	if (!p->bpf)
		return dataplane_fail(-errno, error, "cannot load the program of checks via a service's address: %s",
				      strerror(errno));
	p->paths_size = sizeof(struct probe_path) * PROBE_PATHS_MAX;
	p->paths = mmap(NULL, p->paths_size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(p->bpf->maps.paths), 0);
	if (p->paths == MAP_FAILED) {
		p->paths = NULL;
		return dataplane_fail(-errno, error, "cannot map the paths of checks: %s", strerror(errno));
	}
	return 0;
}

int probe_open(bool tcx, struct probe **ret, char error[DATAPLANE_ERROR_MAX])
{
	struct probe *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	libbpf_set_print(silent);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	p->tcx = tcx;
	r = load(p, error);
	if (r < 0) {
		probe_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

int probe_out_fd(const struct probe *p)
{
	return bpf_program__fd(p->bpf->progs.probe_out);
}

int probe_in_fd(const struct probe *p)
{
	return bpf_program__fd(p->bpf->progs.probe_in);
}

/* ---- paths ---- */

static int compare_paths(const struct probe_path *a, const struct probe_path *b)
{
	return memcmp(a, b, offsetof(struct probe_path, sent));
}

static int compare_known(const void *a, const void *b)
{
	return compare_paths(&((const struct known *)a)->path, &((const struct known *)b)->path);
}

static struct known *find(const struct probe *p, const struct probe_path *path)
{
	const struct known key = { .path = *path };

	if (!p->known.count)
		return NULL;
	return bsearch(&key, p->known.items, p->known.count, sizeof(key), compare_known);
}

void probe_begin(struct probe *p)
{
	for (size_t i = 0; i < p->known.count; i++)
		p->known.items[i].wanted = false;
}

/* Next to the last one that was given out: an index rests as long as it can. */
static uint32_t free_index(const struct probe *p)
{
	for (uint32_t i = 1; i < PROBE_PATHS_MAX; i++)
		if (p->paths[i].kind == PROBE_NONE)
			return i;
	return 0;
}

int probe_want(struct probe *p, const struct probe_path *path)
{
	struct known *k = find(p, path);
	uint32_t index;
	size_t at;

	if (k) {
		k->wanted = true;
		return 0;
	}
	index = free_index(p);
	if (!index)
		return -ENOSPC;
	if (!vec_push(&p->known))
		return -ENOMEM;
	for (at = p->known.count - 1; at && compare_paths(path, &p->known.items[at - 1].path) < 0; at--)
		p->known.items[at] = p->known.items[at - 1];
	p->known.items[at] = (struct known){ .path = *path, .index = index, .wanted = true };
	p->known.items[at].path.sent = 0;
	/* No socket has this mark yet: nobody reads the entry while it is written. */
	p->paths[index] = p->known.items[at].path;
	return 0;
}

void probe_settle(struct probe *p)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->known.count; i++) {
		if (p->known.items[i].wanted)
			p->known.items[kept++] = p->known.items[i];
		else
			p->paths[p->known.items[i].index].kind = PROBE_NONE;
	}
	p->known.count = kept;
}

uint32_t probe_mark(const struct probe *p, const struct probe_path *path)
{
	const struct known *k = find(p, path);

	return k ? PROBE_MARK | k->index : 0;
}

uint64_t probe_sent(const struct probe *p, uint32_t mark)
{
	return __atomic_load_n(&p->paths[mark & PROBE_INDEX_MASK].sent, __ATOMIC_RELAXED);
}

/* ---- NICs ---- */

static int attach_tcx(const struct probe *p, struct probe_nic *n)
{
	n->out = bpf_link_create(probe_out_fd(p), (int)n->ifindex, (enum bpf_attach_type)TCX_EGRESS, NULL);
	if (n->out < 0)
		return -errno;
	n->in = bpf_link_create(probe_in_fd(p), (int)n->ifindex, (enum bpf_attach_type)TCX_INGRESS, NULL);
	if (n->in < 0) {
		int r = -errno;

		close(n->out);
		n->out = -1;
		return r;
	}
	return 0;
}

static int attach_filter(unsigned ifindex, enum bpf_tc_attach_point where, int program)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = where);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = program, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		    .flags = BPF_TC_F_REPLACE);

	return bpf_tc_attach(&hook, &opts);
}

static int detach_filter(unsigned ifindex, enum bpf_tc_attach_point where)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex, .attach_point = where);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	return bpf_tc_detach(&hook, &opts);
}

/* The qdisc stays when we go: others may have put filters into it meanwhile. */
static int attach_clsact(const struct probe *p, struct probe_nic *n)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)n->ifindex, .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	int r = bpf_tc_hook_create(&hook);

	if (r < 0 && r != -EEXIST)
		return r;
	r = attach_filter(n->ifindex, BPF_TC_EGRESS, probe_out_fd(p));
	if (r < 0)
		return r;
	r = attach_filter(n->ifindex, BPF_TC_INGRESS, probe_in_fd(p));
	if (r < 0)
		detach_filter(n->ifindex, BPF_TC_EGRESS);
	return r;
}

static void detach(struct probe_nic *n)
{
	if (n->out >= 0) {
		close(n->in);
		close(n->out);
		return;
	}
	detach_filter(n->ifindex, BPF_TC_INGRESS);
	detach_filter(n->ifindex, BPF_TC_EGRESS);
}

static int attach(struct probe *p, unsigned ifindex, char error[DATAPLANE_ERROR_MAX])
{
	struct probe_nic n = { .ifindex = ifindex, .in = -1, .out = -1 }, *to = vec_push(&p->nics);
	char name[IF_NAMESIZE];
	int r;

	if (!to)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	r = p->tcx ? attach_tcx(p, &n) : -EOPNOTSUPP;
	/* Kernels before 6.6 do not know the attach type. */
	if (r < 0)
		r = attach_clsact(p, &n);
	if (r < 0) {
		p->nics.count--;
		return dataplane_fail(r, error, "%s: the program of checks via a service's address can't be attached: %s",
				      if_indextoname(ifindex, name) ? name : "?", strerror(-r));
	}
	*to = n;
	return 0;
}

static bool is_among(unsigned ifindex, const unsigned *all, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (all[i] == ifindex)
			return true;
	return false;
}

static bool is_attached(const struct probe *p, unsigned ifindex)
{
	for (size_t i = 0; i < p->nics.count; i++)
		if (p->nics.items[i].ifindex == ifindex)
			return true;
	return false;
}

int probe_attach(struct probe *p, const unsigned *ifindexes, size_t count, char error[DATAPLANE_ERROR_MAX])
{
	char ignored[DATAPLANE_ERROR_MAX] = "";
	int r = 0;

	for (size_t i = p->nics.count; i-- > 0;) {
		if (is_among(p->nics.items[i].ifindex, ifindexes, count))
			continue;
		detach(&p->nics.items[i]);
		p->nics.items[i] = p->nics.items[--p->nics.count];
	}
	for (size_t i = 0; i < count; i++) {
		int e = is_attached(p, ifindexes[i]) ? 0 : attach(p, ifindexes[i], r < 0 ? ignored : error);

		if (e < 0 && r == 0)
			r = e;
	}
	return r;
}

void probe_close(struct probe *p)
{
	if (!p)
		return;
	probe_attach(p, NULL, 0, NULL);
	vec_done(&p->nics);
	vec_done(&p->known);
	if (p->paths)
		munmap(p->paths, p->paths_size);
	probe_bpf__destroy(p->bpf);
	free(p);
}
