/* SPDX-License-Identifier: BSD-2-Clause */
#include "table/services.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* Where the program's probe for an entry begins. */
static uint32_t home4(const struct service_entry4 *e)
{
	uint64_t key;

	memcpy(&key, e, sizeof(key));
	return SERVICE_HASH(key);
}

static uint32_t home6(const struct service_entry6 *e)
{
	uint32_t tail;

	memcpy(&tail, &e->port, sizeof(tail));
	return SERVICE_HASH(e->addr[0] ^ SERVICE_FOLD(e->addr[1]) ^ (uint64_t)tail << 32);
}

static struct service_entry4 make4(const struct services_entry *e)
{
	struct service_entry4 new = {
		.port = htons(e->port), .protocol = e->protocol, .kind = e->kind,
		.service = e->service, .address = e->address,
	};

	memcpy(&new.addr, e->addr.bytes, 4);
	return new;
}

static struct service_entry6 make6(const struct services_entry *e)
{
	struct service_entry6 new = {
		.port = htons(e->port), .protocol = e->protocol, .kind = e->kind,
		.service = e->service, .address = e->address,
	};

	memcpy(new.addr, e->addr.bytes, 16);
	return new;
}

/*
 * Robin Hood: an entry that has come further from its home takes the place of one that has come less far, which moves
 * on. The longest way grows far more slowly so, and the tables stay small (Celis, "Robin Hood Hashing", 1986). An equal
 * key is met before anybody is moved.
 */
#define PLACE(name, type, make, home, key_size)						\
	static int name(const struct services_entry *entry, struct type *table, uint32_t mask)\
	{										\
		struct type new = make(entry);						\
		uint32_t at = home(&new);						\
											\
		for (uint32_t way = 0; way < SERVICE_PROBES; way++, at++) {		\
			struct type *e = &table[at & mask], moves_on = *e;		\
			uint32_t its_way = (at - home(e)) & mask;			\
											\
			if (e->kind == ENTRY_EMPTY) {					\
				*e = new;						\
				return 0;						\
			}								\
			if (memcmp(e, &new, key_size) == 0)				\
				return -EEXIST;						\
			if (its_way < way) {						\
				*e = new;						\
				new = moves_on;						\
				way = its_way;						\
			}								\
		}									\
		return -ENOSPC;								\
	}

PLACE(place4, service_entry4, make4, home4, 8)
PLACE(place6, service_entry6, make6, home6, 20)

void services_mac_entry(struct services_entry *ret, const uint8_t mac[6])
{
	uint16_t last;

	memcpy(&last, mac + 4, sizeof(last));
	*ret = (struct services_entry){ .addr.family = AF_INET, .port = ntohs(last), .kind = ENTRY_MAC, .address = 1 };
	memcpy(ret->addr.bytes, mac, 4);
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
