/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A growing array, declared in place:  struct vec(struct server) servers;  then servers.items[i], servers.count.
 * Zero-initialised is empty. Elements move when it grows: keep indices, not pointers, across a push.
 */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define vec(type)                \
	{                        \
		type *items;     \
		size_t count;    \
		size_t capacity; \
	}

/* Makes room for one more element. 0 or -1 (out of memory; the array is as before). */
static inline int vec_reserve_one(void **items, size_t count, size_t *capacity, size_t size)
{
	size_t wanted;
	void *grown;

	if (count < *capacity)
		return 0;
	wanted = *capacity ? *capacity * 2 : 8;
	grown = reallocarray(*items, wanted, size);
	if (!grown)
		return -1;
	*items = grown;
	*capacity = wanted;
	return 0;
}

/* Appends a zeroed element and returns it; NULL when out of memory. */
#define vec_push(v)                                                                                              \
	(vec_reserve_one((void **)&(v)->items, (v)->count, &(v)->capacity, sizeof(*(v)->items)) ?                 \
		 NULL :                                                                                          \
		 (memset(&(v)->items[(v)->count], 0, sizeof(*(v)->items)), &(v)->items[(v)->count++]))

#define vec_done(v)                 \
	do {                        \
		free((v)->items);   \
		(v)->items = NULL;  \
		(v)->count = 0;     \
		(v)->capacity = 0;  \
	} while (0)

#endif
