/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets by name: what a packet says in, a frame of bytes out, with every checksum computed from the whole packet in
 * plain C. Used by the suites for what goes in and for what must come out; shares no line with the program under test.
 */
#ifndef PACKET_PACKET_H
#define PACKET_PACKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum packet_limit {
	FRAME_MAX = 10240,
	ETH_SIZE = 14,
	IP4_SIZE = 20,
	IP6_SIZE = 40,
	TCP_SIZE = 20,
	UDP_SIZE = 8,
};

enum tcp_flag { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10 };

#define TCP IPPROTO_TCP
#define UDP IPPROTO_UDP

struct frame {
	size_t length;
	uint8_t bytes[FRAME_MAX];
};

/* Zero is a field's usual value: TTL 64, an ordinary sender's DF, id, window and TOS. */
struct packet {
	uint8_t l2_from, l2_to;  /* last byte of the MACs, 02:00:00:00:00:NN */
	const char *from, *to;   /* addresses; both of one family. NULL: no packet */
	uint16_t sport, dport;
	uint8_t protocol;
	uint8_t flags;           /* TCP: enum tcp_flag */
	uint8_t ttl;
	uint8_t ip_options;      /* IPv4: bytes of no-operation options, a multiple of 4 */
	uint8_t tcp_options;     /* likewise */
	uint8_t padding;         /* Ethernet's, behind the packet; zeros */
	uint16_t payload;        /* bytes; each says its place */
	uint32_t seq, ack;
	bool no_checksum;        /* UDP over IPv4 without one */
	bool bare;               /* as our own answers are: id, window and TOS are zero */
	unsigned nic;            /* ifindex it comes in by; 0 = lo's, 1 */
};

void frame_build(const struct packet *p, struct frame *ret);
/* IP bytes of a well-formed packet. */
size_t packet_ip_length(const struct packet *p);
bool packet_is_v6(const struct packet *p);

/* Where IP begins, behind VLAN tags. */
size_t frame_l3(const struct frame *f);
/* Where L4 begins: behind IPv4 options and IPv6 extension headers. */
size_t frame_l4(const struct frame *f);
/* One of a datagram in fragments: only its IPv4 header's sum can be judged. */
bool frame_is_fragment(const struct frame *f);
/* Computes the sums of a frame anew after an edit. Well-formed, whole packets of TCP, UDP, ICMP, ICMPv6 only. */
void frame_sum(struct frame *f);
/*
 * Is every checksum of this frame right? IPv4's header, TCP, UDP (0 is fine over IPv4 only), ICMP, ICMPv6, and all of
 * them inside a tunnel's header, by summing what a receiver would sum. Returns NULL, or what is wrong.
 */
const char *frame_wrong(const struct frame *f);

/* Pieces for those who lay a packet out by hand. */
uint64_t sum_bytes(const uint8_t *bytes, size_t length, uint64_t sum);
uint16_t sum_fold(uint64_t sum); /* host order */
void store16(uint8_t *at, uint16_t value); /* network order */
void store32(uint8_t *at, uint32_t value);
uint16_t load16(const uint8_t *at);
uint32_t load32(const uint8_t *at);

#endif
