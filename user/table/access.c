/* SPDX-License-Identifier: BSD-2-Clause */
#include "table/access.h"

#include <errno.h>
#include <stdlib.h>

static access_number last_of(uint8_t family)
{
	return family == AF_INET6 ? ~(access_number)0 : UINT32_MAX;
}

access_number access_number_of(const struct addr *a)
{
	const unsigned bytes = a->family == AF_INET6 ? 16 : 4;
	access_number n = 0;

	for (unsigned i = 0; i < bytes; i++)
		n = n << 8 | a->bytes[i];
	return n;
}

static int add(struct access_ranges *r, access_number first, access_number last)
{
	struct access_range *new = vec_push(r);

	if (!new)
		return -ENOMEM;
	*new = (struct access_range){ first, last };
	return 0;
}

int access_add(struct access_ranges *r, const struct addr *a, unsigned length)
{
	const unsigned behind = addr_bits(a) - length;
	const struct addr masked = addr_mask(a, length);
	const access_number first = access_number_of(&masked);

	/* All of IPv6: a shift by the whole width is not defined. */
	return add(r, first, first | (behind == 128 ? ~(access_number)0 : ((access_number)1 << behind) - 1));
}

int access_add_all(struct access_ranges *r, const struct access_ranges *from)
{
	int e = 0;

	for (size_t i = 0; e == 0 && i < from->count; i++)
		e = add(r, from->items[i].first, from->items[i].last);
	return e;
}

static int compare(const void *a, const void *b)
{
	const struct access_range *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->last < y->last ? -1 : x->last > y->last;
}

void access_merge(struct access_ranges *r)
{
	size_t kept = 0;

	if (!r->count)
		return;
	qsort(r->items, r->count, sizeof(*r->items), compare);
	for (size_t i = 1; i < r->count; i++) {
		struct access_range *at = &r->items[kept];

		/* last + 1 may be 0: then it reaches to the end, and has the rest. */
		if (r->items[i].first <= at->last || r->items[i].first == at->last + 1) {
			if (r->items[i].last > at->last)
				at->last = r->items[i].last;
		} else {
			r->items[++kept] = r->items[i];
		}
	}
	r->count = kept + 1;
}

int access_invert(const struct access_ranges *r, uint8_t family, struct access_ranges *ret)
{
	access_number next = 0;
	int e = 0;

	for (size_t i = 0; e == 0 && i < r->count; i++) {
		if (r->items[i].first > next)
			e = add(ret, next, r->items[i].first - 1);
		if (r->items[i].last == last_of(family))
			return e;
		next = r->items[i].last + 1;
	}
	return e ? e : add(ret, next, last_of(family));
}

bool access_has(const struct access_ranges *r, access_number n)
{
	for (size_t i = 0; i < r->count; i++)
		if (r->items[i].first <= n && n <= r->items[i].last)
			return true;
	return false;
}

size_t access_bounds(const struct access_ranges *r, uint8_t family, access_number *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		ret[n++] = r->items[i].first;
		if (r->items[i].last != last_of(family))
			ret[n++] = r->items[i].last + 1;
	}
	return n;
}
