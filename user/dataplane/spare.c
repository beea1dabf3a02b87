/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/spare.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dataplane/internal.h"

#include "lb.skel.h"

enum { SPARE_PORTS, SPARE_SERVICES6, SPARE_ACCESS4, SPARE_ACCESS6, SPARE_RATES };

static const struct {
	const char *map;
	size_t memory;        /* where in struct dataplane_maps its memory is told */
	uint32_t entries;     /* 0 = the instance says */
} spares[SPARES] = {
	[SPARE_PORTS] = { "ports", offsetof(struct dataplane_maps, ports), 0 },
	[SPARE_SERVICES6] = { "services6", offsetof(struct dataplane_maps, services6), 2 * SERVICE_TABLE_MAX },
	[SPARE_ACCESS4] = { "access4", offsetof(struct dataplane_maps, access4), ACCESS_BOUNDS4 },
	[SPARE_ACCESS6] = { "access6", offsetof(struct dataplane_maps, access6), ACCESS_BOUNDS6 },
	[SPARE_RATES] = { "rates", offsetof(struct dataplane_maps, rates), RATE_BUCKETS },
};

uint32_t spares_unused(const struct dataplane_switches *s)
{
	uint32_t unused = 0;

	if (s->without_nat)
		unused |= 1u << SPARE_PORTS;
	if (s->without_ipv6 && s->without_quic) /* connection ids stand among the IPv6 services */
		unused |= 1u << SPARE_SERVICES6;
	if (s->without_access)
		unused |= 1u << SPARE_ACCESS4;
	if (s->without_access || s->without_ipv6)
		unused |= 1u << SPARE_ACCESS6;
	if (s->without_rates)
		unused |= 1u << SPARE_RATES;
	return unused;
}

void spares_limit(struct dataplane_switches *s, uint32_t small)
{
	s->without_nat &= small >> SPARE_PORTS;
	s->without_ipv6 &= small >> SPARE_SERVICES6;
	s->without_access &= small >> SPARE_ACCESS4;
	s->without_rates &= small >> SPARE_RATES;
}

uint32_t spare_entries(const char *map, const struct instance *i, uint32_t whole)
{
	for (size_t n = 0; n < SPARES; n++)
		if (i->small & 1u << n && strcmp(spares[n].map, map) == 0)
			return 1;
	return whole;
}

static uint32_t whole_entries(size_t n, const struct instance *i)
{
	return spares[n].entries ? spares[n].entries : i->ports;
}

uint32_t spares_found(const char *dir)
{
	uint32_t small = 0;

	for (size_t n = 0; n < SPARES; n++) {
		struct bpf_map_info info = {};
		__u32 size = sizeof(info);
		char path[512];
		int fd;

		snprintf(path, sizeof(path), "%s/%s", dir, spares[n].map);
		fd = bpf_obj_get(path);
		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.max_entries == 1)
			small |= 1u << n;
		cleanup_close(&fd);
	}
	return small;
}

int spares_create(struct lb_bpf *lb, uint32_t tables, const struct instance *i, struct spare_fds *fds)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int r = 0;

	for (size_t n = 0; r == 0 && n < SPARES; n++) {
		struct bpf_map *map = bpf_object__find_map_by_name(lb->obj, spares[n].map);

		if (!(tables & 1u << n))
			continue;
		fds->of[n] = bpf_map_create(BPF_MAP_TYPE_ARRAY, spares[n].map, sizeof(uint32_t), bpf_map__value_size(map),
					whole_entries(n, i), &opts);
		r = fds->of[n] < 0 ? -errno : bpf_map__reuse_fd(map, fds->of[n]);
	}
	return r;
}

static size_t whole_bytes(const struct dataplane *d, size_t n)
{
	const struct bpf_map *map = bpf_object__find_map_by_name(d->lb->obj, spares[n].map);
	const size_t page = sysconf(_SC_PAGESIZE), value = (bpf_map__value_size(map) + 7) / 8 * 8;

	return (value * whole_entries(n, &d->instance) + page - 1) / page * page;
}

static void **memory_of(struct dataplane *d, size_t n)
{
	return (void **)((char *)&d->maps + spares[n].memory);
}

static void *zeros(void *at, size_t size)
{
	return mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED : 0),
		    -1, 0);
}

int spares_pretend(struct dataplane *d)
{
	for (size_t n = 0; n < SPARES; n++) {
		void **memory = memory_of(d, n), *instead;
		int r;

		if (!(d->instance.small & 1u << n))
			continue;
		mapping_drop(d, *memory);
		instead = zeros(NULL, whole_bytes(d, n));
		if (instead == MAP_FAILED)
			return -errno;
		r = mapping_remember(d, instead, whole_bytes(d, n));
		if (r < 0)
			return r;
		*memory = instead;
	}
	return 0;
}

int spares_map(struct dataplane *d, const struct spare_fds *fds)
{
	for (size_t n = 0; n < SPARES; n++) {
		void *at = *memory_of(d, n);

		if (fds->of[n] < 0 ||
		    mmap(at, whole_bytes(d, n), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fds->of[n], 0) != MAP_FAILED)
			continue;
		int r = -errno;

		zeros(at, whole_bytes(d, n));
		return r;
	}
	return 0;
}

int spares_pin(const struct dataplane *d, const struct spare_fds *fds)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < SPARES; n++)
		if (fds->of[n] >= 0)
			r = map_pin_anew(d, spares[n].map, fds->of[n]);
	return r;
}

void spares_close(struct spare_fds *fds)
{
	for (size_t n = 0; n < SPARES; n++) {
		cleanup_close(&fds->of[n]);
		fds->of[n] = -1;
	}
}
