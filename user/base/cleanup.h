/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scope-owned resources: what a scope opens or allocates is released when the scope ends.
 * Used by everybody; must stay free of dependencies.
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ __attribute__((cleanup(cleanup_free)))
#define _cleanup_close_ __attribute__((cleanup(cleanup_close)))
#define _cleanup_fclose_ __attribute__((cleanup(cleanup_fclose)))
/* By a function of its own, which takes a pointer to it. */
#define _cleanup_(f) __attribute__((cleanup(f)))

/* Hands ownership of *pp to the caller: returns the pointer and leaves NULL behind. */
#define take_ptr(p)                        \
	({                                 \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                \
		taken_;                    \
	})

#define array_size(a) (sizeof(a) / sizeof((a)[0]))

#endif
