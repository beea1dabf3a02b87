/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel knows of the network, kept current over rtnetlink (libmnl): interfaces, their addresses, and for
 * each watched destination the next hop: egress interface, source address, neighbour's MAC. Owned by the agent.
 * Never touches maps, never logs. On the loop, never blocking it. Probing neighbours needs CAP_NET_ADMIN.
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
	uint8_t mac[6]; /* zero when it is no Ethernet device */
	unsigned mtu;
	uint32_t xdp;  /* id of the XDP program there, ours or another; 0 = none */
	bool up;       /* IFF_UP and carrier */
	bool ethernet; /* frames have an Ethernet header; false for lo, tun, wireguard, ipip ... */
	unsigned bond; /* ifindex of the bond whose port it is; 0 = none */
	unsigned master; /* of what it is a port of: a bond, a bridge ... */
	unsigned below;  /* of what it is on top of: a VLAN device or macvlan of a NIC; 0 = nothing here */
	uint8_t permanent_mac[6]; /* zero where it has none */
};

enum net_hop_state {
	NET_HOP_UNKNOWN,     /* not asked yet */
	NET_HOP_NO_ROUTE,
	NET_HOP_UNRESOLVED,  /* routed; the neighbour's MAC is not known (being asked for), or the interface is down */
	NET_HOP_LOCAL,       /* the address is this host's own */
	NET_HOP_RESOLVED,    /* the one state in which mac is valid */
	NET_HOP_NO_NEIGHBOUR, /* routed, but not by a MAC: over lo, tun, NOARP, an encapsulating route; XDP can't send there */
};

/*
 * A MAC once known stays RESOLVED while the kernel asks again (entry flushed, collected, or its unicast probes
 * unanswered); it is given up when its broadcast probes stay unanswered as well.
 */
struct net_hop {
	enum net_hop_state state;
	int error;            /* why it is NO_ROUTE or UNRESOLVED, a positive errno; 0 = not known (yet). See net_hop_text() */
	unsigned ifindex;     /* egress */
	unsigned mtu;         /* of the egress interface or the route, the smaller */
	struct addr gateway;  /* family 0 = on link; may be IPv6 for an IPv4 destination (RFC 5549) */
	struct addr source;   /* the address the kernel would use towards it; family 0 = it has none */
	uint8_t mac[6];       /* of the gateway, or of the destination itself; zero unless RESOLVED */
	uint8_t own_mac[6];   /* of the egress interface */
};

/*
 * Called from the loop only, never from inside a net_ function; they may call any of those except net_free(). on_links
 * comes before the on_hop calls of the same turn. What net_new() found is not announced.
 */
struct net_ops {
	/* An interface appeared, vanished, changed, or got or lost an address. Coalesced: at most one a loop turn. */
	void (*on_links)(void *ctx);
	/* A watched destination's hop differs from before. */
	void (*on_hop)(const struct addr *destination, const struct net_hop *hop, void *ctx);
	/* The kernel's answer to net_claim() (claimed) or net_disclaim(): 0 or a positive errno. May be NULL. */
	void (*on_claim)(const struct addr *a, bool claimed, int error, void *ctx);
	void *ctx;
};

struct net_stats {
	uint64_t overruns;  /* ENOBUFS on either socket; each was answered by a dump or by asking again */
	uint64_t dumps;     /* complete ones, the first included */
	uint64_t malformed; /* messages of the kernel's that could not be read */
	uint64_t queries;   /* routes asked for */
	uint64_t probes;    /* neighbours the kernel was told to ask */
	size_t watched;     /* destinations, now */
};

/* Opens the netlink sockets, dumps what is there. 0 or -errno. An overrun (ENOBUFS) is answered by a new dump. */
int net_new(struct event_base *base, const struct net_ops *ops, struct net **ret);
void net_free(struct net *n); /* takes NULL */
void net_stats(const struct net *n, struct net_stats *ret);

/* Pointers live until the loop's next turn. */
const struct net_interface *net_interface_by_name(const struct net *n, const char *name);
const struct net_interface *net_interface_by_index(const struct net *n, unsigned ifindex);
void net_interfaces(const struct net *n, bool (*visit)(const struct net_interface *i, void *ctx), void *ctx);
/*
 * Calls visit for every address of the interface (0 = of all), link-local IPv6 included; stops when it returns false.
 * An IPv6 address comes once duplicate detection has passed; one with two prefixes comes twice.
 */
void net_addresses(const struct net *n, unsigned ifindex,
		   bool (*visit)(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx), void *ctx);

enum { NET_CLAIM_PROTOCOL = 0xa0 }; /* IFA_PROTO of the addresses we made; `ip -d address` shows it as proto 0xa0 */

enum net_claim_state {
	NET_CLAIM_ABSENT,  /* the interface has no such address */
	NET_CLAIM_OURS,    /* we, or an agent before us, made it */
	NET_CLAIM_FOREIGN, /* somebody else did: it is not to be touched */
};
/* How an address is on an interface; as the kernel told last, so a turn of the loop behind net_claim(). */
enum net_claim_state net_claim_state(const struct net *n, unsigned ifindex, const struct addr *a);
/*
 * Makes an address (/32, /128) of an interface, marked as ours; renew: it is there, its lifetime begins anew. After
 * valid_s seconds the kernel takes it away again; 0 = never. net_disclaim() removes it. What the kernel answers comes by
 * on_claim. An address that is not ours is never changed: the kernel refuses to make it a second time (EEXIST), and who
 * renews or disclaims has asked net_claim_state(). 0, -EAGAIN (too much in flight: later), or another -errno.
 */
int net_claim(struct net *n, unsigned ifindex, const struct addr *a, bool renew, uint32_t valid_s);
int net_disclaim(struct net *n, unsigned ifindex, const struct addr *a);
/*
 * Tells everybody on an Ethernet interface that the address is here now: a gratuitous ARP request (RFC 5227, section 3)
 * or an unsolicited neighbour advertisement (RFC 4861, 7.2.6). 0 (also where there is nobody to tell), -EPERM: net_new()
 * lacked CAP_NET_RAW; -errno.
 */
int net_tell(struct net *n, unsigned ifindex, const struct addr *a);
/* The socket that it sends by, for a restart to hand over; -1 = none. */
int net_packets_fd(const struct net *n);

/*
 * Watches the way to a destination: resolved at once where the kernel knows (a turn of the loop later, by on_hop), kept
 * resolved afterwards: an unresolved neighbour is probed, through the kernel, with back-off from 200 ms to 5 s, a
 * known one is asked again every 5 to 10 s, because the kernel sees nothing of the traffic that XDP forwards.
 * Permanent entries and those that another program looks after are left alone. Watching twice counts.
 * 0, -ENOMEM, or -EINVAL (unspecified, multicast, or IPv6 link-local, which no route leads to without an interface).
 */
int net_watch(struct net *n, const struct addr *destination);
void net_unwatch(struct net *n, const struct addr *destination);
/* The hop as known now; false when the destination is not watched. */
bool net_hop(const struct net *n, const struct addr *destination, struct net_hop *ret);
/*
 * Has the interface towards a watched destination had no carrier, now or since since_ms (CLOCK_MONOTONIC)? What was asked
 * of the destination meanwhile says nothing about it. False also where it is not watched or has no route.
 */
bool net_was_cut_off(const struct net *n, const struct addr *destination, uint64_t since_ms);
/* The state and its error in words, without a full stop: "no route to it", "the neighbour does not answer" ... */
const char *net_hop_text(const struct net_hop *hop);

/*
 * Calls visit for each TCP listener and each bound, unconnected UDP socket of this host (of this network namespace),
 * until it returns false. A dual-stack socket on :: is reported for :: and for 0.0.0.0; duplicates happen. Reads
 * sock_diag, or /proc/net where the kernel lacks it. Short, but it blocks: for start and reload. 0 or -errno.
 */
int net_listeners(bool (*visit)(const struct endpoint *at, bool udp, void *ctx), void *ctx);
/* The ports the kernel gives to sockets that don't care (ip_local_port_range), inclusive. 0 or -errno. */
int net_port_range(uint16_t *ret_low, uint16_t *ret_high);

#endif
