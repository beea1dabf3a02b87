/* SPDX-License-Identifier: BSD-2-Clause */
#include "packet.h"

#include <arpa/inet.h>
#include <string.h>

enum { ETHERTYPE_V4 = 0x0800, ETHERTYPE_V6 = 0x86dd, ICMP = IPPROTO_ICMP, ICMPV6 = IPPROTO_ICMPV6 };

void store16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

void store32(uint8_t *at, uint32_t value)
{
	store16(at, value >> 16);
	store16(at + 2, value);
}

uint16_t load16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t load32(const uint8_t *at)
{
	return (uint32_t)load16(at) << 16 | load16(at + 2);
}

/* RFC 1071: 16-bit words in network order, an odd last byte is padded with zero. */
uint64_t sum_bytes(const uint8_t *bytes, size_t length, uint64_t sum)
{
	size_t i;

	for (i = 0; i + 1 < length; i += 2)
		sum += load16(bytes + i);
	if (i < length)
		sum += (uint64_t)bytes[i] << 8;
	return sum;
}

uint16_t sum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

bool packet_is_v6(const struct packet *p)
{
	return strchr(p->to, ':');
}

static size_t l4_header(const struct packet *p)
{
	return p->protocol == TCP ? TCP_SIZE + p->tcp_options : p->protocol == UDP ? UDP_SIZE : 0;
}

size_t packet_ip_length(const struct packet *p)
{
	return (packet_is_v6(p) ? IP6_SIZE : IP4_SIZE + p->ip_options) + l4_header(p) + p->payload;
}

size_t frame_l3(const struct frame *f)
{
	size_t at = 2 * 6;

	while (at + 6 <= f->length && (load16(f->bytes + at) == 0x8100 || load16(f->bytes + at) == 0x88a8))
		at += 4;
	return at + 2;
}

static bool frame_is_v6(const struct frame *f)
{
	return load16(f->bytes + frame_l3(f) - 2) == ETHERTYPE_V6;
}

/* Steps over IPv6 extension headers (RFC 8200, section 4); ends at the frame's end whatever they say. */
static size_t walk(const struct frame *f, uint8_t *ret_protocol, bool *ret_fragment)
{
	const uint8_t *ip = f->bytes + frame_l3(f);
	size_t at = frame_l3(f) + IP6_SIZE;
	uint8_t next = ip[6];

	*ret_fragment = false;
	if (!frame_is_v6(f)) {
		*ret_protocol = ip[9];
		*ret_fragment = load16(ip + 6) & 0x3fff;
		return frame_l3(f) + (ip[0] & 15) * 4;
	}
	while ((next == 0 || next == 43 || next == 44 || next == 60) && at + 8 <= f->length) {
		const uint8_t *header = f->bytes + at;

		if (next == 44 && load16(header + 2) & 0xfff9)
			*ret_fragment = true;
		at += next == 44 ? 8 : (header[1] + 1) * 8;
		next = header[0];
		if (*ret_fragment && load16(header + 2) & 0xfff8)
			break;
	}
	*ret_protocol = next;
	return at;
}

static uint8_t frame_protocol(const struct frame *f)
{
	uint8_t protocol;
	bool fragment;

	walk(f, &protocol, &fragment);
	return protocol;
}

bool frame_is_fragment(const struct frame *f)
{
	uint8_t protocol;
	bool fragment;

	walk(f, &protocol, &fragment);
	return fragment;
}

size_t frame_l4(const struct frame *f)
{
	uint8_t protocol;
	bool fragment;

	return walk(f, &protocol, &fragment);
}

static size_t frame_l4_length(const struct frame *f)
{
	const uint8_t *ip = f->bytes + frame_l3(f);
	const size_t end = frame_l3(f) + (frame_is_v6(f) ? IP6_SIZE + load16(ip + 4) : load16(ip + 2));

	return end > frame_l4(f) ? end - frame_l4(f) : 0;
}

/* Sum over the pseudo-header (RFC 9293, 768, 4443) and all of L4. */
static uint64_t frame_l4_sum(const struct frame *f)
{
	const uint8_t *ip = f->bytes + frame_l3(f);
	const uint8_t protocol = frame_protocol(f);
	const size_t length = frame_l4_length(f);
	uint64_t sum = 0;

	if (protocol != ICMP) {
		sum = frame_is_v6(f) ? sum_bytes(ip + 8, 32, 0) : sum_bytes(ip + 12, 8, 0);
		sum += length + protocol;
	}
	return sum_bytes(f->bytes + frame_l4(f), length, sum);
}

void frame_sum(struct frame *f)
{
	const uint8_t protocol = frame_protocol(f);
	uint8_t *ip = f->bytes + frame_l3(f);
	uint8_t *l4 = f->bytes + frame_l4(f);
	uint8_t *at = l4 + (protocol == TCP ? 16 : protocol == UDP ? 6 : 2);
	uint16_t sum;

	if (!frame_is_v6(f)) {
		store16(ip + 10, 0);
		store16(ip + 10, ~sum_fold(sum_bytes(ip, (ip[0] & 15) * 4, 0)));
	}
	store16(at, 0);
	sum = ~sum_fold(frame_l4_sum(f));
	if (protocol == UDP && !sum)
		sum = 0xffff;
	store16(at, sum);
}

static void build_ip4(const struct packet *p, uint8_t *ip)
{
	const size_t header = IP4_SIZE + p->ip_options;

	ip[0] = 0x40 | header / 4;
	ip[1] = p->bare ? 0 : 0x10;
	store16(ip + 2, packet_ip_length(p));
	store16(ip + 4, p->bare ? 0 : 0x3039);
	store16(ip + 6, 0x4000);
	ip[8] = p->ttl ? p->ttl : 64;
	ip[9] = p->protocol;
	inet_pton(AF_INET, p->from, ip + 12);
	inet_pton(AF_INET, p->to, ip + 16);
	memset(ip + IP4_SIZE, 1, p->ip_options);
}

static void build_ip6(const struct packet *p, uint8_t *ip)
{
	store32(ip, p->bare ? 0x60000000 : 0x610a1b2c);
	store16(ip + 4, packet_ip_length(p) - IP6_SIZE);
	ip[6] = p->protocol;
	ip[7] = p->ttl ? p->ttl : 64;
	inet_pton(AF_INET6, p->from, ip + 8);
	inet_pton(AF_INET6, p->to, ip + 24);
}

static void build_l4(const struct packet *p, uint8_t *l4)
{
	const size_t header = l4_header(p);

	if (header) {
		store16(l4, p->sport);
		store16(l4 + 2, p->dport);
	}
	if (p->protocol == TCP) {
		store32(l4 + 4, p->seq);
		store32(l4 + 8, p->ack);
		l4[12] = header / 4 << 4;
		l4[13] = p->flags;
		store16(l4 + 14, p->bare ? 0 : 0x7210);
		memset(l4 + TCP_SIZE, 1, p->tcp_options);
	} else if (p->protocol == UDP) {
		store16(l4 + 4, header + p->payload);
	}
	for (size_t i = 0; i < p->payload; i++)
		l4[header + i] = i * 7 + (i >> 8);
}

void frame_build(const struct packet *p, struct frame *ret)
{
	uint8_t *ip = ret->bytes + ETH_SIZE;
	const bool v6 = packet_is_v6(p);

	memset(ret->bytes, 0, ETH_SIZE + packet_ip_length(p) + p->padding);
	ret->length = ETH_SIZE + packet_ip_length(p) + p->padding;
	ret->bytes[0] = ret->bytes[6] = 2;
	ret->bytes[5] = p->l2_to;
	ret->bytes[11] = p->l2_from;
	store16(ret->bytes + 12, v6 ? ETHERTYPE_V6 : ETHERTYPE_V4);
	if (v6)
		build_ip6(p, ip);
	else
		build_ip4(p, ip);
	build_l4(p, ret->bytes + frame_l4(ret));
	if (l4_header(p))
		frame_sum(ret);
	else if (!v6)
		store16(ip + 10, ~sum_fold(sum_bytes(ip, (ip[0] & 15) * 4, 0)));
	if (p->no_checksum)
		store16(ret->bytes + frame_l4(ret) + 6, 0);
}

/* What a tunnel packet carries is a packet. */
static const char *carried_wrong(const struct frame *f, bool v6)
{
	struct frame inner = { .length = ETH_SIZE + frame_l4_length(f) };

	memcpy(inner.bytes + ETH_SIZE, f->bytes + frame_l4(f), frame_l4_length(f));
	store16(inner.bytes + 12, v6 ? ETHERTYPE_V6 : ETHERTYPE_V4);
	return frame_wrong(&inner);
}

const char *frame_wrong(const struct frame *f)
{
	const uint8_t *ip = f->bytes + frame_l3(f);
	const uint8_t protocol = frame_protocol(f);

	if (!frame_is_v6(f) && sum_fold(sum_bytes(ip, (ip[0] & 15) * 4, 0)) != 0xffff)
		return "the IPv4 header's checksum is wrong";
	if (frame_l4(f) + frame_l4_length(f) > f->length)
		return "the packet says it is longer than its frame";
	if (frame_is_fragment(f))
		return NULL;
	if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6)
		return carried_wrong(f, protocol == IPPROTO_IPV6);
	if (protocol == UDP && !load16(f->bytes + frame_l4(f) + 6))
		return frame_is_v6(f) ? "UDP over IPv6 without a checksum" : NULL;
	if (sum_fold(frame_l4_sum(f)) == 0xffff)
		return NULL;
	switch (protocol) {
	case TCP:
		return "TCP's checksum is wrong";
	case UDP:
		return "UDP's checksum is wrong";
	case ICMP:
		return "ICMP's checksum is wrong";
	case ICMPV6:
		return "ICMPv6's checksum is wrong";
	}
	return "neither TCP, UDP nor ICMP";
}
