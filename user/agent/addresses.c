/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int addresses_init(struct addresses *a, struct address *map)
{
	static const struct address empty;

	a->map = map;
	a->state = calloc(MAX_ADDRESSES, 1);
	a->own = calloc(MAX_ADDRESSES, 1);
	if (!a->state || !a->own)
		return -ENOMEM;
	for (uint32_t id = 1; id < MAX_ADDRESSES; id++)
		if (memcmp(&map[id], &empty, sizeof(empty)))
			a->state[id] = ADDRESS_UNUSED;
	return 0;
}

void addresses_done(struct addresses *a)
{
	free(a->state);
	free(a->own);
	a->state = a->own = NULL;
}

int addresses_take(struct addresses *a, const struct addr *addr, uint16_t *ret_id)
{
	struct address wanted;
	uint32_t free_id = 0;

	memcpy(&wanted, addr->bytes, sizeof(wanted));
	for (uint32_t id = 1; id < MAX_ADDRESSES; id++) {
		if (a->state[id] == ADDRESS_FREE) {
			if (!free_id)
				free_id = id;
		} else if (memcmp(&a->map[id], &wanted, sizeof(wanted)) == 0) {
			a->state[id] = ADDRESS_WANTED;
			*ret_id = id;
			return 0;
		}
	}
	if (!free_id)
		return -ENOSPC;
	a->map[free_id] = wanted;
	a->state[free_id] = ADDRESS_WANTED;
	*ret_id = free_id;
	return 0;
}

void addresses_unwant_all(struct addresses *a)
{
	for (uint32_t id = 1; id < MAX_ADDRESSES; id++)
		if (a->state[id] == ADDRESS_WANTED)
			a->state[id] = ADDRESS_UNUSED;
}

bool addresses_free_unused(struct addresses *a, const uint8_t *used_by_flows)
{
	bool stale = false;

	for (uint32_t id = 1; id < MAX_ADDRESSES; id++) {
		if (a->state[id] != ADDRESS_UNUSED || used_by_flows[id])
			continue;
		if (a->own[id]) {
			a->own[id] = 0;
			stale = true;
		} else {
			a->state[id] = ADDRESS_FREE;
			memset(&a->map[id], 0, sizeof(a->map[id]));
		}
	}
	return stale;
}

struct addr addresses_get(const struct addresses *a, uint16_t id, bool v6)
{
	struct addr addr = { .family = v6 ? AF_INET6 : AF_INET };

	memcpy(addr.bytes, &a->map[id < MAX_ADDRESSES ? id : 0], v6 ? 16 : 4);
	return addr;
}
