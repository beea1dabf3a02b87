/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/dry_run.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lb.skel.h"

#include "base/cleanup.h"
#include "base/vec.h"
#include "dataplane/internal.h"

/*
 * A map of the program in the two loads. What is not named here is copied: a table that is added later is safe, and at
 * worst copied in vain.
 */
enum sharing {
	COPIED,
	SHARED,  /* the program only reads it: the live one */
	SCRATCH, /* a fresh one: counters that nobody asks of, locks that nobody holds */
};

static const struct {
	const char *name;
	enum sharing sharing;
	uint32_t entries; /* SCRATCH; 0 = as the live one. The program takes an index beyond it as "no such counter" */
} maps[] = {
	{ "control", SHARED, 0 },
	{ "services4", SHARED, 0 },
	{ "services6", SHARED, 0 },
	{ "services", SHARED, 0 },
	{ "slots", SHARED, 0 },
	{ "servers", SHARED, 0 },
	{ "addresses", SHARED, 0 },
	{ "devices", SHARED, 0 },
	{ "trace_filters", SHARED, 0 },
	{ "trace_ring", SCRATCH, 4096 }, /* nobody reads it */
	{ "locks", SCRATCH, 0 },
	{ "verdict_counters", SCRATCH, 1 },
	{ "event_counters", SCRATCH, 1 },
	{ "service_counters", SCRATCH, 1 },
	{ "server_counters", SCRATCH, 1 },
};

/* A table that is copied: by memory, or (a kernel's hash) by keys. */
struct copy {
	int from, to;           /* descriptors; a hash's */
	const void *live;       /* memory, else NULL */
	void *own;
	size_t size;            /* of the memory */
	uint32_t key_size, value_size, entries;
};

struct dry_run {
	struct lb_bpf *lb;
	struct vec(struct copy) copies;
};

static size_t find_sharing(const struct bpf_map *map)
{
	for (size_t i = 0; i < array_size(maps); i++)
		if (strcmp(maps[i].name, bpf_map__name(map)) == 0)
			return i;
	return SIZE_MAX;
}

static enum sharing sharing_of(const struct bpf_map *map)
{
	const size_t i = find_sharing(map);

	return i == SIZE_MAX ? COPIED : maps[i].sharing;
}

/* Of each map of the object: which one it shall be, before it is loaded. */
static int choose_maps(struct dry_run *r, const struct dataplane *d)
{
	struct bpf_map *map, *live;

	bpf_object__for_each_map(map, r->lb->obj) {
		const size_t i = find_sharing(map);
		int e;

		if (bpf_map__is_internal(map))
			continue;
		live = bpf_object__find_map_by_name(d->lb->obj, bpf_map__name(map));
		if (!live)
			return -ENOENT;
		if (sharing_of(map) == SHARED)
			e = bpf_map__reuse_fd(map, bpf_map__fd(live));
		else
			e = bpf_map__set_max_entries(map, i != SIZE_MAX && maps[i].entries ? maps[i].entries :
									   bpf_map__max_entries(live));
		if (e < 0)
			return e;
	}
	return 0;
}

static int map_both(struct copy *c)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	void *live, *own;

	c->size = ((size_t)(c->value_size + 7) / 8 * 8 * c->entries + page - 1) / page * page;
	live = mmap(NULL, c->size, PROT_READ, MAP_SHARED, c->from, 0);
	if (live == MAP_FAILED)
		return -errno;
	own = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_SHARED, c->to, 0);
	if (own == MAP_FAILED) {
		munmap(live, c->size);
		return -ENOMEM;
	}
	c->live = live;
	c->own = own;
	return 0;
}

/* What each CPU has of its own is written anew for each packet: nothing to copy. */
static int add_copy(struct dry_run *r, const struct bpf_map *map, const struct bpf_map *live)
{
	struct copy c = {
		.from = bpf_map__fd(live), .to = bpf_map__fd(map), .key_size = bpf_map__key_size(map),
		.value_size = bpf_map__value_size(map), .entries = bpf_map__max_entries(map),
	};
	struct copy *added;
	int e;

	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_ARRAY:
		e = map_both(&c);
		if (e < 0)
			return e;
		break;
	case BPF_MAP_TYPE_LRU_HASH:
		break;
	case BPF_MAP_TYPE_PERCPU_ARRAY:
		return 0;
	default:
		return -EOPNOTSUPP; /* a new kind of table in bpf/: say here how it is copied */
	}
	added = vec_push(&r->copies);
	if (!added) {
		if (c.live) {
			munmap((void *)c.live, c.size);
			munmap(c.own, c.size);
		}
		return -ENOMEM;
	}
	*added = c;
	return 0;
}

static int add_copies(struct dry_run *r, const struct dataplane *d)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, r->lb->obj) {
		int e;

		if (bpf_map__is_internal(map) || sharing_of(map) != COPIED)
			continue;
		e = add_copy(r, map, bpf_object__find_map_by_name(d->lb->obj, bpf_map__name(map)));
		if (e < 0)
			return e;
	}
	return 0;
}

int dry_run_open(const struct dataplane *d, struct dry_run **ret, char error[DATAPLANE_ERROR_MAX])
{
	struct dry_run *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	r->lb = lb_bpf__open();
	if (!r->lb) {
		e = dataplane_fail(-errno, error, "cannot open the program: %s", strerror(errno));
		goto fail;
	}
	*r->lb->rodata = *d->lb->rodata;
	r->lb->rodata->dry_run = 1;
	e = choose_maps(r, d);
	if (e == 0)
		e = lb_bpf__load(r->lb);
	if (e < 0) {
		dataplane_fail(e, error, "cannot load the program a second time: %s", strerror(-e));
		goto fail;
	}
	e = add_copies(r, d);
	if (e < 0) {
		dataplane_fail(e, error, "cannot map the tables: %s", strerror(-e));
		goto fail;
	}
	*ret = r;
	return 0;
fail:
	dry_run_close(r);
	return e;
}

void dry_run_close(struct dry_run *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->copies.count; i++) {
		const struct copy *c = &r->copies.items[i];

		if (c->live) {
			munmap((void *)c->live, c->size);
			munmap(c->own, c->size);
		}
	}
	vec_done(&r->copies);
	lb_bpf__destroy(r->lb);
	free(r);
}

/* The live one changes meanwhile: an entry that goes away while it is read is passed over. */
static int copy_hash(const struct copy *c)
{
	_cleanup_free_ uint8_t *key = malloc(c->key_size), *value = malloc(c->value_size);
	bool first = true;

	if (!key || !value)
		return -ENOMEM;
	while (bpf_map_get_next_key(c->to, NULL, key) == 0)
		if (bpf_map_delete_elem(c->to, key) < 0)
			return -errno;
	for (uint32_t i = 0; i < c->entries; i++) {
		if (bpf_map_get_next_key(c->from, first ? NULL : key, key) < 0)
			return 0;
		first = false;
		if (bpf_map_lookup_elem(c->from, key, value) == 0 &&
		    bpf_map_update_elem(c->to, key, value, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

int dry_run_copy(struct dry_run *r)
{
	for (size_t i = 0; i < r->copies.count; i++) {
		const struct copy *c = &r->copies.items[i];
		int e = 0;

		if (c->live)
			memcpy(c->own, c->live, c->size);
		else
			e = copy_hash(c);
		if (e < 0)
			return e;
	}
	return 0;
}

int dry_run_packet(struct dry_run *r, unsigned ifindex, const uint8_t *packet, size_t length,
		   struct dry_run_result *ret)
{
	struct xdp_md md = { .data_end = length, .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts,
		.data_in = packet, .data_size_in = length,
		.data_out = ret->packet, .data_size_out = sizeof(ret->packet),
		.ctx_in = &md, .ctx_size_in = sizeof(md),
	);
	int e;

	if (length < DRY_RUN_PACKET_MIN || length > DRY_RUN_PACKET_MAX || !ifindex)
		return -EINVAL;
	memset(&r->lb->bss->explained, 0, sizeof(r->lb->bss->explained));
	e = bpf_prog_test_run_opts(bpf_program__fd(r->lb->progs.lb), &opts);
	if (e < 0)
		return e;
	ret->explanation = r->lb->bss->explained;
	ret->passed = opts.retval == XDP_PASS;
	ret->length = opts.retval == XDP_TX || opts.retval == XDP_REDIRECT ? opts.data_size_out : 0;
	return 0;
}
