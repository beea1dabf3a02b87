/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NICs that take VLAN tags off frames (rx-vlan-offload) hide them from the program, whose answers would go out without:
 * where packets are steered that is switched off, and switched on again when the steering ends. Called by interfaces.c
 * and at start and end; each call a few ioctls on a NIC that is being attached or detached anyway.
 */
#ifndef AGENT_VLAN_H
#define AGENT_VLAN_H

#include <jansson.h>

struct agent;

/* This NIC is steered on now: the tags stay in the frames. What stands in the way is logged. */
void vlan_keep_tags(struct agent *a, unsigned ifindex, const char *name);
/* Steered on no longer: as it was found. Nothing where nothing was changed. */
void vlan_give_back(struct agent *a, unsigned ifindex);
void vlan_give_back_all(struct agent *a);

/* What was changed, for an agent that takes over; NULL when out of memory. And back: not trusted. */
json_t *vlan_save(const struct agent *a);
void vlan_restore(struct agent *a, const json_t *from);
/* Without an agent: what one that is gone saved, given back. */
void vlan_give_back_saved(const json_t *from);

#endif
