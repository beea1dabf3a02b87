/* SPDX-License-Identifier: BSD-2-Clause */
#include "table/services.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static uint64_t key_tail(const struct services_entry *e)
{
	return (uint64_t)htons(e->port) | (uint64_t)e->protocol << 16 | (uint64_t)e->kind << 24;
}

static int place4(const struct services_entry *e, struct service_entry4 *table, uint32_t mask)
{
	struct service_entry4 new = {
		.port = htons(e->port), .protocol = e->protocol, .kind = e->kind,
		.service = e->service, .address = e->address,
	};
	uint32_t hash;

	memcpy(&new.addr, e->addr.bytes, 4);
	hash = SERVICE_HASH((uint64_t)new.addr | key_tail(e) << 32);
	for (uint32_t i = 0; i < SERVICE_PROBES; i++) {
		struct service_entry4 *at = &table[(hash + i) & mask];

		if (at->kind == ENTRY_EMPTY) {
			*at = new;
			return 0;
		}
		if (memcmp(at, &new, 8) == 0)
			return -EEXIST;
	}
	return -ENOSPC;
}

static int place6(const struct services_entry *e, struct service_entry6 *table, uint32_t mask)
{
	struct service_entry6 new = {
		.port = htons(e->port), .protocol = e->protocol, .kind = e->kind,
		.service = e->service, .address = e->address,
	};
	uint32_t hash;

	memcpy(new.addr, e->addr.bytes, 16);
	hash = SERVICE_HASH(new.addr[0] ^ SERVICE_FOLD(new.addr[1]) ^ key_tail(e) << 32);
	for (uint32_t i = 0; i < SERVICE_PROBES; i++) {
		struct service_entry6 *at = &table[(hash + i) & mask];

		if (at->kind == ENTRY_EMPTY) {
			*at = new;
			return 0;
		}
		if (memcmp(at, &new, 20) == 0)
			return -EEXIST;
	}
	return -ENOSPC;
}

static size_t count_family(const struct services_entry *entries, size_t count, int family)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += entries[i].addr.family == family;
	return n;
}

/* Tries sizes from the first that is at most half full. */
#define LAYOUT(af, place)                                                                         \
	size_t n = count_family(entries, count, af);                                              \
	unsigned log2 = 3;                                                                        \
	int r = -ENOSPC;                                                                          \
                                                                                                  \
	while ((1U << log2) < 2 * n)                                                              \
		log2++;                                                                           \
	for (; r == -ENOSPC && (1U << log2) <= SERVICE_TABLE_MAX; log2++) {                       \
		memset(table, 0, sizeof(*table) << log2);                                         \
		r = 0;                                                                            \
		for (size_t i = 0; r == 0 && i < count; i++)                                      \
			if (entries[i].addr.family == (af))                                       \
				r = place(&entries[i], table, (1U << log2) - 1);                  \
	}                                                                                         \
	if (r == 0)                                                                               \
		*ret_size_log2 = log2 - 1;                                                        \
	return r

int services_layout4(const struct services_entry *entries, size_t count, struct service_entry4 *table,
		     unsigned *ret_size_log2)
{
	LAYOUT(AF_INET, place4);
}

int services_layout6(const struct services_entry *entries, size_t count, struct service_entry6 *table,
		     unsigned *ret_size_log2)
{
	LAYOUT(AF_INET6, place6);
}
