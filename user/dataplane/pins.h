/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an earlier agent left pinned below DATAPLANE_PIN_ROOT/NAME: is it whole, and is it of our kind? And its removal.
 * Called by dataplane.c and by `alwaysond --unload`. Trusts nothing that it finds; changes nothing but where it says so.
 */
#ifndef DATAPLANE_PINS_H
#define DATAPLANE_PINS_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"

struct lb_bpf;

/* The pinned map `instance`: what a later agent must know before it can take the other maps over. */
struct instance {
	uint32_t abi;
	uint32_t cpu_count;
	uint32_t slots, ports, buckets4, buckets6;
	uint32_t tick_shift, hz;
	struct hash_key flow_key;
	uint32_t small, zero;     /* tables that nobody used (spare.h); what is pinned says it better */
};

enum pins {
	PINS_NONE,  /* nothing that steers: whatever lies there may be replaced */
	PINS_FIT,   /* can be taken over: *ret says how the maps are sized */
	PINS_ALIEN, /* something steers, and can't be taken over: why says it */
};

/*
 * wanted: ABI, CPUs and sizes of today; `slots` may be fewer there (they are enlarged, dataplane.c), all else must be the
 * same. lb is opened, not loaded: the maps' types are compared with it. why: DATAPLANE_ERROR_MAX bytes.
 */
enum pins pins_look(const char *dir, const struct lb_bpf *lb, const struct instance *wanted, struct instance *ret,
		    char *why);
/* Of pins that fit: takes away counters and the like of another size, which are made anew. */
void pins_drop_unfit(const char *dir, const struct lb_bpf *lb, const struct instance *i);
/* How many NICs are steered on by what is pinned there; their names in text, ", " between. */
unsigned pins_attached(const char *dir, char *text, size_t size);
/* Is there an entry in libxdp's dispatcher? */
bool pins_are_shared(const char *dir);
/* Takes everything away: who is attached is detached, of libxdp's dispatcher by the process behind sharing_fd (sharing.h). */
void pins_remove(const char *dir, int sharing_fd);

#endif
