/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables that most configurations have no use for: own ports, the IPv6 services, access lists, sources counted by rate.
 * While nobody uses one its map has a single entry, and the agent sees zeros of its own in the place of the rest, which
 * cost nothing. When it comes into use the map is made anew, whole, with the program that reads it. Never the other way.
 * Called by dataplane.c, replace.c and pins.c.
 */
#ifndef DATAPLANE_SPARE_H
#define DATAPLANE_SPARE_H

#include <stdint.h>

#include "dataplane/dataplane.h"

struct lb_bpf;
struct instance;

enum { SPARES = 5 };

/* Descriptors of whole maps that replace spared ones; -1 = none. */
struct spare_fds {
	int of[SPARES];
};
#define SPARE_FDS_NONE { { -1, -1, -1, -1, -1 } }

/* A bit for each spare table: those that such a program does not read. */
uint32_t spares_unused(const struct dataplane_switches *s);
/* Of these switches, those stay on whose table is spared: there can be nothing that needs what they leave out. */
void spares_limit(struct dataplane_switches *s, uint32_t small);
/* How many entries a map has, of which the object or the instance says `whole`; i->small: bits of tables of one entry. */
uint32_t spare_entries(const char *map, const struct instance *i, uint32_t whole);
/* Which of them are pinned with one entry. */
uint32_t spares_found(const char *dir);

/* Whole maps for these tables, which the object gets before it is loaded. `fds` were none. 0 or -errno. */
int spares_create(struct lb_bpf *lb, uint32_t tables, const struct instance *i, struct spare_fds *fds);
/* Zeros in the place of the tables that i->small says; the others are mapped as all maps are. 0 or -errno. */
int spares_pretend(struct dataplane *d);
/* The maps where zeros were, at the same addresses. 0 or -errno; the zeros are there then. */
int spares_map(struct dataplane *d, const struct spare_fds *fds);
int spares_pin(const struct dataplane *d, const struct spare_fds *fds);
void spares_close(struct spare_fds *fds);

#endif
