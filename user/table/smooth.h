/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order in which a weighted round robin deals: a sequence in which every server stands as often as its weight says,
 * spread as evenly as can be, so that a heavy server gets its share without bursts. The program walks it with one
 * counter. Called by the agent; touches no map.
 */
#ifndef TABLE_SMOOTH_H
#define TABLE_SMOOTH_H

#include <stddef.h>
#include <stdint.h>

enum smooth_limit {
	SMOOTH_SLOTS_MAX = 262144, /* a longer sequence is scaled down; every server keeps at least one turn */
};

struct smooth_server {
	uint32_t weight; /* 0 gets no turn */
	uint32_t value;  /* a server id; never 0 */
};

/* How long the sequence is: the sum of the weights over their common divisor, scaled to the limit. 0 = nobody. */
uint32_t smooth_size(const struct smooth_server *servers, size_t count);

/* Fills slots[0..smooth_size()). Ties go to the server that is first in the array. 0 or -ENOMEM. */
int smooth_fill(const struct smooth_server *servers, size_t count, uint32_t *slots);

#endif
