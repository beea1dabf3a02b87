/* SPDX-License-Identifier: BSD-2-Clause */
#include "peers/wire.h"

#include <alwayson/abi.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

enum shape { SHAPE_V6 = 1, SHAPE_SERVER_V6 = 2, SHAPE_NAT = 4, SHAPE_ALL = 7 };
enum { FIXED = 12, STATES = FLOW_OPENED | FLOW_PROVEN | FLOW_FIN | FLOW_RST | FLOW_BACK_FIN };

static const uint8_t magic[4] = { 'A', 'O', 'P', 'R' };

static void put16(uint8_t *to, uint16_t v)
{
	v = htobe16(v);
	memcpy(to, &v, sizeof(v));
}

static void put64(uint8_t *to, uint64_t v)
{
	v = htobe64(v);
	memcpy(to, &v, sizeof(v));
}

static uint16_t get16(const uint8_t *from)
{
	uint16_t v;

	memcpy(&v, from, sizeof(v));
	return be16toh(v);
}

static uint64_t get64(const uint8_t *from)
{
	uint64_t v;

	memcpy(&v, from, sizeof(v));
	return be64toh(v);
}

void wire_write_header(uint8_t *to, const struct wire_header *h)
{
	memcpy(to, magic, sizeof(magic));
	to[4] = WIRE_VERSION;
	to[5] = h->kind;
	to[6] = h->wants;
	to[7] = h->gave;
	put64(to + 8, h->sender);
	put64(to + 16, h->receiver);
	put64(to + 24, h->epoch);
	put64(to + 32, h->echo);
	put64(to + 40, h->number);
}

int wire_read_header(const uint8_t *data, size_t length, struct wire_header *ret)
{
	if (length < WIRE_HEADER + WIRE_MAC || length > WIRE_DATAGRAM_MAX)
		return -EMSGSIZE;
	if (memcmp(data, magic, sizeof(magic)))
		return -EBADMSG;
	if (data[4] != WIRE_VERSION)
		return -EPROTONOSUPPORT;
	if (data[5] != WIRE_HELLO && data[5] != WIRE_RECORDS)
		return -EBADMSG;
	*ret = (struct wire_header){
		.kind = data[5], .wants = data[6], .gave = data[7], .sender = get64(data + 8),
		.receiver = get64(data + 16), .epoch = get64(data + 24), .echo = get64(data + 32),
		.number = get64(data + 40),
	};
	return ret->epoch && ret->number ? 0 : -EBADMSG;
}

static size_t size_of(uint8_t family)
{
	return family == AF_INET6 ? 16 : 4;
}

static uint8_t *put_addr(uint8_t *to, const struct addr *a)
{
	memcpy(to, a->bytes, size_of(a->family));
	return to + size_of(a->family);
}

static const uint8_t *get_addr(const uint8_t *from, uint8_t family, struct addr *ret)
{
	*ret = (struct addr){ .family = family };
	memcpy(ret->bytes, from, size_of(family));
	return from + size_of(family);
}

static size_t record_size(uint8_t shape)
{
	const size_t own = shape & SHAPE_V6 ? 16 : 4;

	return FIXED + 2 * own + (shape & SHAPE_SERVER_V6 ? 16 : 4) + (shape & SHAPE_NAT ? 2 + own : 0);
}

/* A translated connection is of one family from end to end. */
static bool shape_is_known(uint8_t shape)
{
	return shape <= SHAPE_ALL && !(shape & SHAPE_NAT && !(shape & SHAPE_V6) != !(shape & SHAPE_SERVER_V6));
}

size_t wire_write_record(uint8_t *to, size_t room, const struct wire_record *r)
{
	const uint8_t shape = (r->client.addr.family == AF_INET6 ? SHAPE_V6 : 0) |
			      (r->server.addr.family == AF_INET6 ? SHAPE_SERVER_V6 : 0) |
			      (r->own.addr.family ? SHAPE_NAT : 0);
	const size_t size = record_size(shape);
	uint8_t *at = to + FIXED;

	if (size > room || !shape_is_known(shape) || r->service.addr.family != r->client.addr.family)
		return 0;
	to[0] = shape;
	to[1] = r->protocol;
	to[2] = r->state & STATES;
	to[3] = r->reply_state & STATES;
	put16(to + 4, r->age);
	put16(to + 6, r->client.port);
	put16(to + 8, r->service.port);
	put16(to + 10, r->server.port);
	if (shape & SHAPE_NAT) {
		put16(at, r->own.port);
		at += 2;
	}
	at = put_addr(at, &r->client.addr);
	at = put_addr(at, &r->service.addr);
	at = put_addr(at, &r->server.addr);
	if (shape & SHAPE_NAT)
		put_addr(at, &r->own.addr);
	return size;
}

int wire_read_record(const uint8_t **at, size_t *left, struct wire_record *ret)
{
	const uint8_t *from = *at;
	uint8_t family, shape;
	size_t size;

	if (!*left)
		return 0;
	if (*left < WIRE_RECORD_MIN || !shape_is_known(from[0]))
		return -EBADMSG;
	shape = from[0];
	size = record_size(shape);
	if (size > *left || (from[1] != IPPROTO_TCP && from[1] != IPPROTO_UDP) || from[2] & ~STATES ||
	    from[3] & ~STATES || (from[3] && !(shape & SHAPE_NAT)))
		return -EBADMSG;
	family = shape & SHAPE_V6 ? AF_INET6 : AF_INET;
	*ret = (struct wire_record){
		.protocol = from[1], .state = from[2], .reply_state = from[3], .age = get16(from + 4),
		.client.port = get16(from + 6), .service.port = get16(from + 8), .server.port = get16(from + 10),
	};
	from += FIXED;
	if (shape & SHAPE_NAT) {
		ret->own.port = get16(from);
		from += 2;
	}
	from = get_addr(from, family, &ret->client.addr);
	from = get_addr(from, family, &ret->service.addr);
	from = get_addr(from, shape & SHAPE_SERVER_V6 ? AF_INET6 : AF_INET, &ret->server.addr);
	if (shape & SHAPE_NAT)
		get_addr(from, family, &ret->own.addr);
	*at += size;
	*left -= size;
	return 1;
}
