/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program replaced by itself with other switches or more slots, while packets pass. All tables are the same maps;
 * only a larger slot map is a new one, and is filled between two turns of the loop, in which nobody else writes slots.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dataplane/internal.h"
#include "dataplane/spare.h"

#include "lb.skel.h"

struct dataplane_next {
	struct lb_bpf *lb;
	struct instance instance;
	struct dataplane_switches switches;
	unsigned verified;
	int slots_fd; /* of a larger map; -1: as it is */
	struct spare_fds spares; /* of tables that come into use */
};

static int new_slots(uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "slots", sizeof(uint32_t), sizeof(uint64_t), entries, &opts);

	return fd < 0 ? -errno : fd;
}

static int copy_slots(int from, int to, uint32_t count)
{
	const size_t page = sysconf(_SC_PAGESIZE), size = (count * sizeof(uint64_t) + page - 1) / page * page;
	void *source = mmap(NULL, size, PROT_READ, MAP_SHARED, from, 0), *target;
	int r = 0;

	if (source == MAP_FAILED)
		return -errno;
	target = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, to, 0);
	if (target == MAP_FAILED) {
		r = -errno;
	} else {
		memcpy(target, source, count * sizeof(uint64_t));
		munmap(target, size);
	}
	munmap(source, size);
	return r;
}

int slots_enlarge(int from, uint32_t old, uint32_t entries)
{
	int fd = new_slots(entries), r;

	if (fd < 0)
		return fd;
	r = copy_slots(from, fd, old);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int map_pin_anew(const struct dataplane *d, const char *name, int fd)
{
	char path[256], new[256];

	snprintf(path, sizeof(path), "%s/%s", d->pin_dir, name);
	snprintf(new, sizeof(new), "%s/%s-new", d->pin_dir, name);
	unlink(new);
	if (bpf_obj_pin(fd, new) < 0)
		return -errno;
	return rename(new, path) < 0 ? -errno : 0;
}

int instance_write(struct dataplane *d)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(d->instance_fd, &zero, &d->instance, BPF_ANY) < 0 ? -errno : 0;
}

/* The new object's maps are the old one's, `devices` too; not its constants, nor those that it has already. */
static int share_maps(const struct dataplane *d, struct dataplane_next *n)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, n->lb->obj) {
		const struct bpf_map *old = bpf_object__find_map_by_name(d->lb->obj, bpf_map__name(map));
		int fd, r;

		if (bpf_map__is_internal(map) || bpf_map__fd(map) >= 0)
			continue;
		fd = map == n->lb->maps.slots && n->slots_fd >= 0 ? n->slots_fd : bpf_map__fd(old);
		r = bpf_map__reuse_fd(map, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

int dataplane_prepare(const struct dataplane *d, uint32_t slots, const struct dataplane_switches *s,
		      struct dataplane_next **ret, char error[DATAPLANE_ERROR_MAX])
{
	struct dataplane_next *n = calloc(1, sizeof(*n));
	int r = 0;

	if (!n)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	n->slots_fd = -1;
	n->spares = (struct spare_fds)SPARE_FDS_NONE;
	n->instance = d->instance;
	n->instance.small &= spares_unused(s);
	n->switches = *s;
	if (slots > d->instance.slots) {
		n->instance.slots = slots;
		n->slots_fd = new_slots(slots);
		r = n->slots_fd < 0 ? n->slots_fd : 0;
	}
	if (r == 0) {
		n->lb = lb_bpf__open();
		r = n->lb ? program_prepare(n->lb, &n->instance, s) : -errno;
	}
	if (r == 0)
		r = spares_create(n->lb, d->instance.small & ~n->instance.small, &n->instance, &n->spares);
	if (r == 0)
		r = share_maps(d, n);
	if (r < 0)
		dataplane_fail(r, error, "cannot prepare a program with %u slots: %s", n->instance.slots, strerror(-r));
	else
		r = program_load(n->lb, &n->verified, error);
	if (r < 0) {
		dataplane_next_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

int dataplane_commit(struct dataplane *d, struct dataplane_next *n, char error[DATAPLANE_ERROR_MAX])
{
	const bool grows = n->slots_fd >= 0;
	const uint32_t old_slots = d->instance.slots;
	struct lb_bpf *old = d->lb;
	void *slots = NULL;
	int r = 0;

	if (grows)
		r = mapping_add(d, n->slots_fd, n->instance.slots * sizeof(uint64_t), &slots);
	if (r == 0 && grows)
		memcpy(slots, d->maps.slots, old_slots * sizeof(uint64_t));
	if (r == 0)
		r = spares_map(d, &n->spares); /* the old program does not read them */
	if (r == 0)
		r = links_swap(d, bpf_program__fd(old->progs.lb), bpf_program__fd(n->lb->progs.lb));
	if (r < 0) {
		if (slots)
			mapping_drop(d, slots);
		return dataplane_fail(r, error, "cannot put the new program in the old one's place: %s", strerror(-r));
	}
	/* From here on nothing can fail that matters now: a pin that can't be made is missed by the next agent only. */
	if (grows) {
		mapping_drop(d, d->maps.slots);
		d->maps.slots = slots;
		d->maps.slot_count = n->instance.slots;
		r = map_pin_anew(d, "slots", n->slots_fd);
	}
	if (r == 0)
		r = spares_pin(d, &n->spares);
	d->instance = n->instance;
	d->switches = n->switches;
	d->verified = n->verified;
	d->lb = n->lb;
	n->lb = old;
	if (r == 0)
		r = instance_write(d);
	if (r < 0)
		dataplane_fail(r, error, "the new tables can't be pinned: %s; an agent that takes over would lose them",
			       strerror(-r));
	return 0;
}

void dataplane_next_free(struct dataplane_next *n)
{
	if (!n)
		return;
	lb_bpf__destroy(n->lb);
	cleanup_close(&n->slots_fd);
	spares_close(&n->spares);
	free(n);
}
