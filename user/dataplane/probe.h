/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs that send health checks to a service's address by way of one server (bpf/probe.bpf.c): loads them, attaches
 * them to NICs, keeps the table of paths. Called by agent/probing.c alone; never logs. Nothing is pinned: what is attached
 * goes with this process where the kernel has tcx links (6.6); as filters of clsact, on older ones, it may be left behind,
 * touches marked packets only, and is replaced by the next process.
 */
#ifndef DATAPLANE_PROBE_H
#define DATAPLANE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <alwayson/probe.h>

#include "dataplane/dataplane.h"

struct probe;

/* tcx: false = as on kernels without it, for tests. 0 or -errno with a line for people. */
int probe_open(bool tcx, struct probe **ret, char error[DATAPLANE_ERROR_MAX]);
void probe_close(struct probe *p); /* takes NULL; detaches */

/*
 * A new set of paths: begin, want each, then settle, which drops those that were not wanted; until then the old ones work.
 * The fields kind to server of a path identify it: its index stays as long as it is wanted. 0, -ENOSPC (PROBE_PATHS_MAX)
 * or -ENOMEM.
 */
void probe_begin(struct probe *p);
int probe_want(struct probe *p, const struct probe_path *path);
void probe_settle(struct probe *p);
/* The mark of a path that was wanted; 0 = it was not. */
uint32_t probe_mark(const struct probe *p, const struct probe_path *path);
/* Packets sent with this mark. */
uint64_t probe_sent(const struct probe *p, uint32_t mark);

/* Attached to exactly these NICs from now on. 0, or the first -errno with a line for people; the others are done. */
int probe_attach(struct probe *p, const unsigned *ifindexes, size_t count, char error[DATAPLANE_ERROR_MAX]);
/* File descriptors of the programs, for test runs. */
int probe_out_fd(const struct probe *p);
int probe_in_fd(const struct probe *p);

#endif
