/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataplane/peer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lb.skel.h"
#include "peer.skel.h"

#include "base/cleanup.h"
#include "dataplane/internal.h"

struct dataplane_peer {
	struct peer_bpf *program;
	struct peer_batch *batch;
	size_t size;
};

/* The live maps that the program needs; the others of its headers are not made. */
static int choose_maps(struct peer_bpf *program, const struct dataplane *d)
{
	static const char *const shared[] = { "flows4", "flows6", "locks", "use", "event_counters" };
	struct bpf_map *map;

	bpf_object__for_each_map(map, program->obj) {
		bool is_shared = false;
		int e;

		if (bpf_map__is_internal(map) || map == program->maps.peer_batches)
			continue;
		for (size_t i = 0; i < array_size(shared); i++)
			is_shared |= strcmp(shared[i], bpf_map__name(map)) == 0;
		e = is_shared ? bpf_map__reuse_fd(map, bpf_map__fd(bpf_object__find_map_by_name(d->lb->obj,
												   bpf_map__name(map)))) :
				bpf_map__set_autocreate(map, false);
		if (e < 0)
			return e;
	}
	return 0;
}

int dataplane_peer_open(struct dataplane *d, struct dataplane_peer **ret, char error[DATAPLANE_ERROR_MAX])
{
	const size_t page = sysconf(_SC_PAGESIZE);
	struct dataplane_peer *p = calloc(1, sizeof(*p));
	int e = 0;

	if (!p)
		return dataplane_fail(-ENOMEM, error, "out of memory");
	p->program = peer_bpf__open();
	if (!p->program) {
		e = dataplane_fail(-errno, error, "cannot open the program of the peers: %s", strerror(errno));
		goto fail;
	}
	p->program->rodata->tick_shift = d->lb->rodata->tick_shift;
	p->program->rodata->flow_mask4 = d->lb->rodata->flow_mask4;
	p->program->rodata->flow_mask6 = d->lb->rodata->flow_mask6;
	memcpy((void *)&p->program->rodata->flow_key, (const void *)&d->lb->rodata->flow_key, sizeof(struct hash_key));
	e = choose_maps(p->program, d);
	if (e == 0)
		e = peer_bpf__load(p->program);
	if (e < 0) {
		dataplane_fail(e, error, "cannot load the program of the peers: %s", strerror(-e));
		goto fail;
	}
	p->size = (sizeof(struct peer_batch) + page - 1) / page * page;
	p->batch = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(p->program->maps.peer_batches), 0);
	if (p->batch == MAP_FAILED) {
		e = -errno;
		p->batch = NULL;
		dataplane_fail(e, error, "cannot map the peers' records: %s", strerror(-e));
		goto fail;
	}
	*ret = p;
	return 0;
fail:
	dataplane_peer_close(p);
	return e;
}

void dataplane_peer_close(struct dataplane_peer *p)
{
	if (!p)
		return;
	if (p->batch)
		munmap(p->batch, p->size);
	peer_bpf__destroy(p->program);
	free(p);
}

struct peer_batch *dataplane_peer_batch(struct dataplane_peer *p)
{
	return p->batch;
}

int dataplane_peer_run(struct dataplane_peer *p)
{
	static const unsigned char frame[64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));

	return bpf_prog_test_run_opts(bpf_program__fd(p->program->progs.peer_insert), &opts);
}
