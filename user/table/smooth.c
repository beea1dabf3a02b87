/* SPDX-License-Identifier: BSD-2-Clause */
#include "table/smooth.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/gcd.h"

/* Turns of a server with this weight when the sum of the weights is `total` and their common divisor `divisor`. */
static uint32_t turns_of(uint32_t weight, uint64_t total, uint32_t divisor)
{
	uint64_t turns;

	if (!weight)
		return 0;
	turns = total / divisor <= SMOOTH_SLOTS_MAX ? weight / divisor : (uint64_t)weight * SMOOTH_SLOTS_MAX / total;
	return turns ? turns : 1;
}

static void sum_weights(const struct smooth_server *servers, size_t count, uint64_t *ret_total, uint32_t *ret_divisor)
{
	uint64_t total = 0;
	uint32_t divisor = 0;

	for (size_t i = 0; i < count; i++) {
		total += servers[i].weight;
		divisor = gcd(divisor, servers[i].weight);
	}
	*ret_total = total;
	*ret_divisor = divisor;
}

uint32_t smooth_size(const struct smooth_server *servers, size_t count)
{
	uint64_t total;
	uint32_t divisor, size = 0;

	sum_weights(servers, count, &total, &divisor);
	for (size_t i = 0; total && i < count; i++)
		size += turns_of(servers[i].weight, total, divisor);
	return size;
}

/* Turn k of n stands in the middle of the k-th of n equal parts of the cycle. */
struct turn {
	uint64_t at;
	uint32_t server;
};

static int compare_turns(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->server < y->server ? -1 : x->server > y->server;
}

int smooth_fill(const struct smooth_server *servers, size_t count, uint32_t *slots)
{
	_cleanup_free_ struct turn *turns = NULL;
	uint64_t total;
	uint32_t divisor, size = smooth_size(servers, count), n = 0;

	if (!size)
		return 0;
	turns = calloc(size, sizeof(*turns));
	if (!turns)
		return -ENOMEM;
	sum_weights(servers, count, &total, &divisor);
	for (size_t i = 0; i < count; i++) {
		uint64_t mine = turns_of(servers[i].weight, total, divisor);

		for (uint64_t k = 0; k < mine; k++) {
			turns[n].at = ((2 * k + 1) << 40) / mine;
			turns[n++].server = i;
		}
	}
	qsort(turns, size, sizeof(*turns), compare_turns);
	for (uint32_t i = 0; i < size; i++)
		slots[i] = servers[turns[i].server].value;
	return 0;
}
