/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Own address and port pairs towards servers (forward nat), laid out in the order in which the program deals them. All
 * servers with the same sources share one part of the map; ports are told apart by the server's address.
 * Used by the reconciler.
 */
#ifndef AGENT_POOLS_H
#define AGENT_POOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/addresses.h"
#include "base/vec.h"
#include "model/model.h"
#include "table/region.h"

enum pools_limit {
	POOL_PORT_LOW = MODEL_POOL_PORT_LOW, /* without source-pool */
	POOL_PORT_HIGH = MODEL_POOL_PORT_HIGH,
};

struct pool_source {
	struct addr addr;
	uint16_t low, high;
};

struct pool {
	struct vec(struct pool_source) sources; /* the key */
	struct region region;
	bool wanted;
};

struct pools {
	struct own_port *map;
	struct region_map regions;
	struct vec(struct pool) pools;
	uint8_t *skip;   /* bitmap of ports that are never dealt: 8 KiB */
};

int pools_init(struct pools *p, struct own_port *map, uint32_t size); /* 0 or -ENOMEM */
void pools_done(struct pools *p);
/* Ports never dealt from pools laid out from now on: services' and the host's listeners'. */
void pools_skip(struct pools *p, uint16_t port);
/*
 * The part of the map for these sources, its counter included, laid out if it is new; marked wanted. 0, -ENOSPC (the map is full), -ENOMEM.
 */
int pools_take(struct pools *p, const struct pool_source *sources, size_t count, struct addresses *addresses,
	       struct region *ret);
/* A part of the map that an earlier agent laid out: kept until pools_free_unwanted(). 0 or -ENOMEM. */
int pools_adopt(struct pools *p, struct region region);
void pools_unwant_all(struct pools *p);
/* Gives back what is not wanted. Only after a grace period since nothing refers to it. */
void pools_free_unwanted(struct pools *p);

#endif
