/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of one load of the configuration: what the parser keeps between its passes, released in one go. So settings
 * that hold strings can be copied by assignment when a section inherits them. Used inside config/ only.
 */
#ifndef CONFIG_ARENA_H
#define CONFIG_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
};

/* Zeroed memory, aligned for anything; NULL when out of memory. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *text);
void arena_done(struct arena *a);

#endif
