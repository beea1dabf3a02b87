/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long things took, in buckets: of a backend's checks, of the event loop's lateness. Filled by agent/, written out
 * by metrics/. Fixed bounds, so that the series of all balancers can be added up. Pure.
 */
#ifndef METRICS_HISTOGRAM_H
#define METRICS_HISTOGRAM_H

#include <stdint.h>

/* Upper bounds in us; what is longer is counted by count alone. */
#define HISTOGRAM_BOUNDS(X)                                                                           \
	X(250) X(500) X(1000) X(2500) X(5000) X(10000) X(25000) X(50000) X(100000) X(250000) X(500000) \
	X(1000000) X(2500000) X(5000000)

enum {
#define X(us) +1
	HISTOGRAM_BUCKETS = 0 HISTOGRAM_BOUNDS(X),
#undef X
};

extern const uint32_t histogram_bounds_us[HISTOGRAM_BUCKETS];

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS]; /* each alone, not summed up */
	uint64_t count, sum_us;
};

void histogram_add(struct histogram *h, uint64_t us);

#endif
