/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink messages, read into plain structs and written from them. Used inside net/; pure: no sockets, no state.
 * Readers trust nothing but that nlmsg_len bytes are readable, and leave *ret untouched on failure:
 * -EBADMSG = malformed or incomplete, -ENOMSG = well-formed, but of a kind that is none of our business.
 */
#ifndef NET_MESSAGE_H
#define NET_MESSAGE_H

#include <linux/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum { MESSAGE_REQUEST_MAX = 96 }; /* bytes; no request written here is longer */

struct message_link {
	unsigned ifindex;
	char name[16];
	uint8_t mac[6];
	unsigned mtu;
	uint32_t xdp;      /* id of the XDP program there; 0 = none */
	unsigned flags;    /* IFF_* */
	uint16_t type;     /* ARPHRD_* */
	bool has_mac;      /* six bytes of it */
	unsigned bond;     /* whose port it is; 0 = no bond's */
	unsigned master;   /* whose port it is, a bond's, a bridge's or another's; 0 = none */
	unsigned below;    /* whose frames it takes, as a VLAN or macvlan does; 0 = none's, or another namespace's */
	bool has_permanent_mac;
	uint8_t permanent_mac[6];
};

struct message_address {
	unsigned ifindex;
	struct addr addr;  /* the host's own */
	struct addr peer;  /* of a point-to-point address; family 0 = none */
	unsigned prefix;
	uint32_t flags;    /* IFA_F_* */
	uint8_t protocol;  /* IFAPROT_*: who made it; 0 = not told */
};

struct message_neighbour {
	unsigned ifindex;
	struct addr addr;
	uint16_t state;    /* NUD_* */
	uint32_t flags;    /* NTF_* */
	bool managed;      /* NTF_EXT_MANAGED: the kernel keeps it resolved itself */
	bool has_mac;
	uint8_t mac[6];
};

struct message_route {
	uint8_t type;        /* RTN_* */
	unsigned ifindex;    /* 0 = none given */
	struct addr gateway; /* family 0 = on link */
	struct addr source;
	unsigned mtu;        /* 0 = the interface's */
	bool encap;          /* a tunnel or MPLS header belongs around the packet */
};

int message_read_link(const struct nlmsghdr *m, struct message_link *ret);
int message_read_address(const struct nlmsghdr *m, struct message_address *ret);
int message_read_neighbour(const struct nlmsghdr *m, struct message_neighbour *ret);
int message_read_route(const struct nlmsghdr *m, struct message_route *ret);
/* The positive errno of an NLMSG_ERROR (0 = an acknowledgement) or of an NLMSG_DONE. */
int message_read_error(const struct nlmsghdr *m, int *ret);

/* Each writes one request to buf, which holds MESSAGE_REQUEST_MAX bytes and is aligned to 4; returns its length. */
size_t message_write_dump(void *buf, uint16_t type, uint32_t seq);
size_t message_write_route_get(void *buf, uint32_t seq, const struct addr *destination);
/* Tells the kernel to find a neighbour out (it is created where missing), as if a packet waited for it. */
size_t message_write_neighbour_use(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a);
/* Tells the kernel to ask a neighbour whose MAC it has, by unicast, now. */
size_t message_write_neighbour_probe(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a);
/*
 * An own address that is made, or whose lifetime is set anew (replace), or removed. valid_s: 0 = for ever. An IPv6 one is
 * usable at once and never chosen as a source; protocol is the mark it carries (IFA_PROTO).
 */
size_t message_write_address(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a, bool replace,
			     uint32_t valid_s, uint8_t protocol);
size_t message_write_address_remove(void *buf, uint32_t seq, unsigned ifindex, const struct addr *a);

#endif
