/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel knows of the network, kept current over rtnetlink (libmnl): interfaces, their addresses, and for
 * each watched destination the next hop: egress interface, source address, neighbour's MAC. Owned by the agent.
 * Never touches maps, never logs. On the loop, never blocking it.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct event_base;
struct net;

struct net_interface {
	unsigned ifindex;
	char name[16];
	uint8_t mac[6];
	unsigned mtu;
	bool up; /* IFF_UP and carrier */
};

enum net_hop_state {
	NET_HOP_UNKNOWN,     /* not asked yet */
	NET_HOP_NO_ROUTE,
	NET_HOP_UNRESOLVED,  /* routed; the neighbour's MAC is not known (being asked for) */
	NET_HOP_LOCAL,       /* the address is this host's own */
	NET_HOP_RESOLVED,
};

struct net_hop {
	enum net_hop_state state;
	unsigned ifindex;     /* egress */
	unsigned mtu;         /* of the egress interface or the route, the smaller */
	struct addr gateway;  /* family 0 = on link */
	struct addr source;   /* the address the kernel would use towards it */
	uint8_t mac[6];       /* of the gateway, or of the destination itself */
	uint8_t own_mac[6];   /* of the egress interface */
};

struct net_ops {
	/* An interface appeared, vanished, changed, or got or lost an address. Coalesced: at most one a loop turn. */
	void (*on_links)(void *ctx);
	/* A watched destination's hop differs from before. */
	void (*on_hop)(const struct addr *destination, const struct net_hop *hop, void *ctx);
	void *ctx;
};

/* Opens the netlink sockets, dumps what is there. 0 or -errno. An overrun (ENOBUFS) is answered by a new dump. */
int net_new(struct event_base *base, const struct net_ops *ops, struct net **ret);
void net_free(struct net *n);

const struct net_interface *net_interface_by_name(const struct net *n, const char *name);
const struct net_interface *net_interface_by_index(const struct net *n, unsigned ifindex);
/* Calls visit for every address of the interface (0 = of all), link-local IPv6 included; stops when it returns false. */
void net_addresses(const struct net *n, unsigned ifindex,
		   bool (*visit)(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx), void *ctx);

/*
 * Watches the way to a destination: resolved at once where the kernel knows, kept resolved afterwards (an unresolved
 * or stale neighbour is probed, through the kernel, with back-off from 200 ms to 5 s). Watching twice counts. 0 or -errno.
 */
int net_watch(struct net *n, const struct addr *destination);
void net_unwatch(struct net *n, const struct addr *destination);
/* The hop as known now; false when the destination is not watched. */
bool net_hop(const struct net *n, const struct addr *destination, struct net_hop *ret);

#endif
