/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parts of a flat array: who has which range. First fit over a list of free ranges; frees join their neighbours. Used
 * for slots and own ports. The caller waits for a grace period before it frees what the program may still read.
 */
#ifndef TABLE_REGION_H
#define TABLE_REGION_H

#include <stdint.h>

#include "base/vec.h"

struct region {
	uint32_t offset, size;
};

struct region_map {
	struct vec(struct region) free; /* ascending, never adjacent */
};

/* 0 or -ENOMEM. */
int region_init(struct region_map *m, uint32_t size);
/* 0 or -ENOMEM. */
int region_copy(const struct region_map *m, struct region_map *ret);
void region_done(struct region_map *m);
/* 0, or -ENOSPC. A size of 0 is given offset 0 and takes nothing. */
int region_take(struct region_map *m, uint32_t size, struct region *ret);
/* Takes exactly this range. 0, -EBUSY when part of it is taken, -ENOMEM. */
int region_take_at(struct region_map *m, struct region r);
/* 0 or -ENOMEM (the range is lost then). */
int region_give(struct region_map *m, struct region r);
uint32_t region_largest(const struct region_map *m);

#endif
