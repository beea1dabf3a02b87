/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which MAC addresses frames to this host may name: those of the NICs that are steered on, of what lies on top of them (VLAN
 * devices, macvlans such as VRRP's, bonds and bridges that they are ports of, and so on), and of the ports of a bond that is
 * steered on. Pure: asks net, changes nothing.
 */
#ifndef AGENT_MACS_H
#define AGENT_MACS_H

#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"
#include "net/net.h"

struct mac {
	uint8_t bytes[6];
};

struct macs vec(struct mac);

/*
 * The addresses for NICs of these numbers, theirs first, in their order; one may come twice. None when one of them is not known, or
 * is no Ethernet device: then nobody can say which frames are for this host. 0 or -ENOMEM.
 */
int macs_collect(const struct net *n, const unsigned *ifindexes, size_t count, struct macs *ret);

#endif
