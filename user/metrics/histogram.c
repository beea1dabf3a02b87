/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/histogram.h"

const uint32_t histogram_bounds_us[HISTOGRAM_BUCKETS] = {
#define X(us) us,
	HISTOGRAM_BOUNDS(X)
#undef X
};

void histogram_add(struct histogram *h, uint64_t us)
{
	h->count++;
	h->sum_us += us;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
		if (us <= histogram_bounds_us[i]) {
			h->buckets[i]++;
			return;
		}
}
