/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An entry of ours in libxdp's dispatcher, beside other tools' programs. Called by shared.c and pins.c, and by sharing.c
 * for an agent that has given up the rights that libxdp wants.
 *
 * An entry is bpf/shared.bpf.c, pinned as DIR/shared-IFINDEX; what it goes on to is the one element of a program array,
 * pinned as DIR/program-IFINDEX. Whoever has that map has what bpf_link is elsewhere: it is updated atomically and outlives
 * its maker. An entry whose array is empty passes everything on to the next program.
 */
#ifndef DATAPLANE_DISPATCHER_H
#define DATAPLANE_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"

enum { DISPATCHER_PATH_MAX = 256 };

/*
 * Adds an entry, if there is none, in the driver if it can, else in generic mode; existing programs of the dispatcher keep
 * running meanwhile, those with a lower priority before it. Its array is empty. Takes CAP_SYS_ADMIN. 0; -EBUSY: a program
 * without dispatcher is there; -ECANCELED: its pins have been removed meanwhile, so that it is gone too; -errno; with error.
 */
int dispatcher_add(const char *dir, unsigned ifindex, unsigned priority, char error[DATAPLANE_ERROR_MAX]);
/* Would one be taken? Loads what is loaded for one, and attaches nothing. Takes CAP_SYS_ADMIN. 0 or -errno with error. */
int dispatcher_try(char error[DATAPLANE_ERROR_MAX]);
/* Takes it out again; the others stay. Its pins go whatever becomes of it. Takes CAP_SYS_ADMIN. 0, -ENOENT or -errno. */
int dispatcher_remove(const char *dir, unsigned ifindex);
/* What it was added with. Takes CAP_SYS_ADMIN. 0, -ENOENT or -errno. */
int dispatcher_priority(const char *dir, unsigned ifindex, unsigned *ret);

/*
 * Is our pinned entry in the dispatcher that is attached now? Takes no right but to read the pins. *ret_native: is it in
 * the driver?
 */
bool dispatcher_holds(const char *dir, unsigned ifindex, bool *ret_native);
/* Descriptor of the entry's array, or -errno. */
int dispatcher_open(const char *dir, unsigned ifindex);
/* What the entry goes on to; -1: nothing. 0 or -errno. */
int dispatcher_set(int array, int program);
/* Drops pins of an entry that is in no dispatcher any more, libxdp's of a NIC that is gone too. */
void dispatcher_forget(const char *dir, unsigned ifindex);

#endif
