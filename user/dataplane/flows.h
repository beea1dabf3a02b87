/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The flow table as the agent sees it: memory, read without a system call while the program goes on writing. Layout and
 * states are those of alwayson/abi.h; both families behind one view. Used by the sweep, `show flows` and the tests.
 */
#ifndef DATAPLANE_FLOWS_H
#define DATAPLANE_FLOWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "dataplane/dataplane.h"

struct flow_view {
	bool v6;
	uint64_t *tag;          /* in the shared memory */
	uint64_t value;         /* the tag as read */
	void *record;           /* struct flow4 or flow6, in the shared memory */
	struct addr remote;     /* key: who sends */
	uint16_t remote_port, local_port; /* host order */
	uint16_t local;         /* address id */
	uint8_t kind;           /* protocol | FLOW_REPLY */
	struct addr to;
	uint16_t to_port, from_port;
	uint16_t from;          /* address id */
	uint16_t hop;
};

uint32_t flows_buckets(const struct dataplane_maps *m, bool v6);
/* The tag of one entry, without the rest. */
uint64_t *flows_tag(const struct dataplane_maps *m, bool v6, uint32_t bucket, unsigned way);
/* Reads a whole entry. False when it is not live. */
bool flows_read(const struct dataplane_maps *m, bool v6, uint32_t bucket, unsigned way, struct flow_view *ret);
/* The live entry of the other direction of a nat connection; false when there is none. */
bool flows_find_other(const struct dataplane_maps *m, const struct flow_view *f, struct flow_view *ret);
/* The live entry of a request whose record (struct flow4 or flow6) has this key; false when there is none. */
bool flows_find(const struct dataplane_maps *m, bool v6, const void *record, struct flow_view *ret);
/* Ends a live entry, if its state is still as read (the tick may have moved). The caller frees it after a grace period. */
bool flows_kill(struct flow_view *f);
/* One entry for both directions of a connection whose server sees the client's address (FORWARD_TRANSPARENT). */
static inline bool flows_is_transparent(const struct flow_view *f)
{
	return !f->from && f->to_port;
}
/*
 * Makes a live entry one of an ended connection, if its state is still as read: the program resets who sends a packet of
 * it. `generation`: any but its server's.
 */
bool flows_end(struct flow_view *f, uint8_t generation, uint16_t tick);
/*
 * Does the entry of this tag (not an empty one) stand in another line than its own, and which is that one: the bucket, and
 * the way that begins it?
 */
bool flows_stands_away(const struct dataplane_maps *m, const uint64_t *tag, uint32_t *ret_bucket, unsigned *ret_home);
/*
 * Gives a dead entry back, and then takes it off its own line's count: who dies between the two leaves a line that is
 * looked at longer. Only after a grace period.
 */
void flows_free(const struct dataplane_maps *m, uint64_t *tag);

#endif
