/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzzers are written in: libFuzzer calls LLVMFuzzerTestOneInput() with bytes of its own making, ASan and UBSan
 * see what goes wrong in memory, and demand() what goes wrong in sense. tests/system/fuzz.sh runs them.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define demand(what)                                                                        \
	do {                                                                                \
		if (!(what)) {                                                              \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
			abort();                                                            \
		}                                                                           \
	} while (0)

/* A copy that ends where the data ends, so that ASan sees a step beyond; with a NUL behind it where asked for. */
static inline char *fuzz_copy(const uint8_t *data, size_t size, bool nul)
{
	char *copy = malloc(size + nul + !(size + nul));

	demand(copy);
	if (size)
		memcpy(copy, data, size);
	if (nul)
		copy[size] = '\0';
	return copy;
}

/* A new folder, below $TMPDIR: who runs a fuzzer takes it away, for libFuzzer does not say when it ends. */
static inline void fuzz_folder(char *ret, size_t size)
{
	const char *parent = getenv("TMPDIR");

	demand(snprintf(ret, size, "%s/fuzz-XXXXXX", parent ? parent : "/tmp") < (int)size && mkdtemp(ret));
}

#endif
