/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What real networks put around and into packets: VLAN tags, fragments, IPv6 extension headers, ICMP errors with what
 * they quote. Edits of frames that packet.h built, and frames of its own; both for what goes in and what must come out.
 */
#ifndef PACKET_WIRE_H
#define PACKET_WIRE_H

#include "packet.h"

enum wire_next { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT_HEADER = 44, DESTINATION = 60 };

/* Puts a tag in front of those that are there: 0x8100 (802.1Q) or 0x88a8 (802.1ad). */
void wire_tag(struct frame *f, uint16_t type, uint16_t tci);
/* None, one 802.1Q, QinQ of both kinds, two of one kind. */
enum { WIRE_TAGGINGS = 5 };
void wire_tag_all(struct frame *f, unsigned tagging);

/* Puts an extension header of 8 * units bytes behind the fixed header, in front of those that are there. */
void wire_extend(struct frame *f, uint8_t type, unsigned units, uint8_t segments_left);

/* The payload's bytes from .. to (multiples of 8 but for the last) of a whole datagram; what follows says `more`. */
void wire_fragment(const struct frame *whole, size_t from, size_t to, uint32_t id, struct frame *ret);
/* How many bytes fragments share: what is behind the IP header. */
size_t wire_payload(const struct frame *whole);

/* An ICMP or ICMPv6 message of this type and code; `p` says Ethernet, addresses and TTL. */
struct wire_icmp {
	struct packet p;
	uint8_t type, code;
	uint32_t info;          /* the second word */
	const uint8_t *data;    /* quoted packet, or payload */
	size_t length;
};

void wire_icmp(const struct wire_icmp *i, struct frame *ret);

/* The frame's packet in an outer IP header, as a server in a tunnel gets it; the flow label is left 0. */
void wire_wrap(const struct frame *f, const char *from, const char *to, struct frame *ret);
/* Sets an IPv6 packet's flow label to 0. */
void wire_clear_label(struct frame *f);

#endif
