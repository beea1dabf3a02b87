/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What would the program do with this packet? The same program, loaded a second time with `dry_run` set and attached to
 * nothing: it reads the live tables that only the agent writes, and works on copies of all the others. So nothing it
 * does is seen by a packet of the network, whatever it writes. Called by agent/explain_packet.c in a thread of its own,
 * since loading takes a second and copying some 50 ms.
 */
#ifndef DATAPLANE_DRY_RUN_H
#define DATAPLANE_DRY_RUN_H

#include "dataplane/dataplane.h"

enum {
	DRY_RUN_PACKET_MIN = 14,
	DRY_RUN_PACKET_MAX = 18 + 9198, /* the largest frame of a jumbo MTU, two VLAN tags less */
	DRY_RUN_ROOM = 64,              /* what a tunnel's header may add */
};

struct dry_run;

struct dry_run_result {
	struct explanation explanation;
	bool passed;            /* to the host, as it came */
	size_t length;          /* of the frame that leaves; 0: none does */
	uint8_t packet[DRY_RUN_PACKET_MAX + DRY_RUN_ROOM];
};

/*
 * Loads it beside d, which must outlive it. Any thread may call these, one at a time. 0, or -errno and a line for people
 * in error.
 */
int dry_run_open(const struct dataplane *d, struct dry_run **ret, char error[DATAPLANE_ERROR_MAX]);
void dry_run_close(struct dry_run *r); /* takes NULL */
/* Copies the live tables as they are now; what earlier packets left in the copies is gone. 0 or -errno. */
int dry_run_copy(struct dry_run *r);
/*
 * Runs one Ethernet frame, as if it had come in by this NIC. What it leaves in the copies counts for the next one.
 * 0; -EINVAL: too short, too long, or no such NIC; or what the kernel says.
 */
int dry_run_packet(struct dry_run *r, unsigned ifindex, const uint8_t *packet, size_t length,
		   struct dry_run_result *ret);

#endif
