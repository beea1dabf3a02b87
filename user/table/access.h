/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of addresses as ranges, and the bounds that the program searches (bpf/access.h is the other side of the
 * contract). Pure. One family at a time: IPv4 addresses are numbers below 2^32.
 */
#ifndef TABLE_ACCESS_H
#define TABLE_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/vec.h"

__extension__ typedef unsigned __int128 access_number; /* an address in host order */

struct access_range {
	access_number first, last;
};

struct access_ranges vec(struct access_range);

access_number access_number_of(const struct addr *a);
/* Adds the addresses of a prefix; bits behind its length do not count. 0 or -ENOMEM. */
int access_add(struct access_ranges *r, const struct addr *a, unsigned length);
/* Adds all of `from`. 0 or -ENOMEM. */
int access_add_all(struct access_ranges *r, const struct access_ranges *from);
/* Sorts, and joins what overlaps or touches. */
void access_merge(struct access_ranges *r);
/* All addresses of the family that are in none of the ranges, which are merged. 0 or -ENOMEM; *ret is empty before. */
int access_invert(const struct access_ranges *r, uint8_t family, struct access_ranges *ret);
/* Merged ranges hold the address? */
bool access_has(const struct access_ranges *r, access_number n);
/*
 * Their bounds, ascending: where a range begins, and behind its last address unless that is the family's last one.
 * At most 2 a range; returns how many.
 */
size_t access_bounds(const struct access_ranges *r, uint8_t family, access_number *ret);

#endif
