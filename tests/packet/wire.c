/* SPDX-License-Identifier: BSD-2-Clause */
#include "wire.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_v6(const struct frame *f)
{
	return load16(f->bytes + frame_l3(f) - 2) == 0x86dd;
}

static void insert(struct frame *f, size_t at, size_t count)
{
	memmove(f->bytes + at + count, f->bytes + at, f->length - at);
	memset(f->bytes + at, 0, count);
	f->length += count;
}

void wire_tag(struct frame *f, uint16_t type, uint16_t tci)
{
	insert(f, 12, 4);
	store16(f->bytes + 12, type);
	store16(f->bytes + 14, tci);
}

void wire_tag_all(struct frame *f, unsigned tagging)
{
	static const uint16_t types[WIRE_TAGGINGS][2] = {
		{ 0, 0 }, { 0x8100, 0 }, { 0x88a8, 0 }, { 0x8100, 0x88a8 }, { 0x8100, 0x8100 },
	};

	for (unsigned i = 0; i < 2; i++)
		if (types[tagging][i])
			wire_tag(f, types[tagging][i], i ? 0xe00a : 0x2064);
}

void wire_extend(struct frame *f, uint8_t type, unsigned units, uint8_t segments_left)
{
	const size_t l3 = frame_l3(f);
	uint8_t *ip = f->bytes + l3, *header = ip + IP6_SIZE;

	insert(f, l3 + IP6_SIZE, units * 8);
	header[0] = ip[6];
	ip[6] = type;
	store16(ip + 4, load16(ip + 4) + units * 8);
	if (type == FRAGMENT_HEADER) { /* a datagram that is one fragment, RFC 6946 */
		store32(header + 4, 0x01020304);
		return;
	}
	header[1] = units - 1;
	if (type == ROUTING) {
		header[2] = 4; /* segment routing, RFC 8754 */
		header[3] = segments_left;
	} else { /* PadN, as long as is left */
		for (size_t at = 2; at < units * 8; at += 2 + header[at + 1]) {
			const size_t rest = units * 8 - at - 2;

			header[at] = 1;
			header[at + 1] = rest > 255 ? 254 : rest;
		}
	}
}

size_t wire_payload(const struct frame *whole)
{
	const uint8_t *ip = whole->bytes + frame_l3(whole);

	return is_v6(whole) ? load16(ip + 4) : (size_t)load16(ip + 2) - (ip[0] & 15) * 4;
}

void wire_fragment(const struct frame *whole, size_t from, size_t to, uint32_t id, struct frame *ret)
{
	const size_t l3 = frame_l3(whole), payload = wire_payload(whole);
	const bool more = to < payload;
	const uint8_t *old = whole->bytes + l3;
	uint8_t *ip = ret->bytes + l3;

	if (to > payload)
		to = payload;
	if (is_v6(whole)) {
		uint8_t *header = ip + IP6_SIZE;

		memcpy(ret->bytes, whole->bytes, l3 + IP6_SIZE);
		memset(header, 0, 8);
		header[0] = old[6];
		ip[6] = FRAGMENT_HEADER;
		store16(header + 2, from | more);
		store32(header + 4, id);
		store16(ip + 4, 8 + to - from);
		memcpy(header + 8, old + IP6_SIZE + from, to - from);
		ret->length = l3 + IP6_SIZE + 8 + to - from;
	} else {
		const size_t size = (old[0] & 15) * 4;

		memcpy(ret->bytes, whole->bytes, l3 + size);
		store16(ip + 2, size + to - from);
		store16(ip + 4, id);
		store16(ip + 6, from / 8 | (more ? 0x2000 : 0));
		memcpy(ip + size, old + size + from, to - from);
		store16(ip + 10, 0);
		store16(ip + 10, ~sum_fold(sum_bytes(ip, size, 0)));
		ret->length = l3 + size + to - from;
	}
}

void wire_icmp(const struct wire_icmp *i, struct frame *ret)
{
	struct packet p = i->p;
	uint8_t *l4;

	p.protocol = packet_is_v6(&p) ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	p.payload = 8 + i->length;
	frame_build(&p, ret);
	l4 = ret->bytes + frame_l4(ret);
	l4[0] = i->type;
	l4[1] = i->code;
	store32(l4 + 4, i->info);
	memcpy(l4 + 8, i->data, i->length);
	frame_sum(ret);
}

void wire_wrap(const struct frame *f, const char *from, const char *to, struct frame *ret)
{
	const size_t l3 = frame_l3(f);
	const bool v6 = is_v6(f), outer_v6 = strchr(to, ':');
	const size_t grow = outer_v6 ? IP6_SIZE : IP4_SIZE, carried = wire_payload(f) + (v6 ? IP6_SIZE :
			    (f->bytes[l3] & 15) * 4);
	const uint8_t tos = v6 ? load16(f->bytes + l3) >> 4 : f->bytes[l3 + 1];
	uint8_t *ip = ret->bytes + l3;

	*ret = *f;
	insert(ret, l3, grow);
	store16(ip - 2, outer_v6 ? 0x86dd : 0x0800);
	if (outer_v6) {
		store32(ip, 0x60000000 | (uint32_t)tos << 20);
		store16(ip + 4, carried);
		ip[6] = v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
		ip[7] = 64;
		inet_pton(AF_INET6, from, ip + 8);
		inet_pton(AF_INET6, to, ip + 24);
		return;
	}
	ip[0] = 0x45;
	ip[1] = tos;
	store16(ip + 2, grow + carried);
	store16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	inet_pton(AF_INET, from, ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	store16(ip + 10, ~sum_fold(sum_bytes(ip, IP4_SIZE, 0)));
}

void wire_clear_label(struct frame *f)
{
	uint8_t *ip = f->bytes + frame_l3(f);

	if (is_v6(f))
		store32(ip, load32(ip) & 0xfff00000);
}
