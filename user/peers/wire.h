/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes between balancers: datagrams of a header, records of connections, and an authentication code. Read byte by
 * byte and never trusted; everything here is pure. A record names a connection by addresses, never by ids, which are each
 * machine's own. Used by the agent's peers and the fuzzer.
 *
 * All numbers are big-endian.
 *    0  4  "AOPR"                      16  8  receiver: hash of the peer's name
 *    4  1  version                     24  8  epoch of the sender: grows with each start of it
 *    5  1  kind (enum wire_kind)       32  8  epoch of the receiver, as the sender knows it; 0 = not yet
 *    6  1  wants: the number of a full copy asked for      40  8  number of the datagram, from 1
 *    7  1  gave: the last one that was sent in full        48     records
 *    8  8  sender: hash of its name    end-16  16  HMAC-SHA256 of all before, its first half
 *
 * A record: shape, protocol, states of both directions (1 byte each), age (2; in WIRE_AGE_MS), ports of client, service
 * and server (2 each), [nat: own port (2)], addresses of client, service, server [, nat: own]: 4 or 16 bytes each.
 */
#ifndef PEERS_WIRE_H
#define PEERS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum wire_limit {
	WIRE_VERSION = 1,
	WIRE_DATAGRAM_MAX = 1400, /* with its UDP and IPv6 headers below any MTU in use */
	WIRE_HEADER = 48,
	WIRE_MAC = 16,
	WIRE_RECORD_MIN = 24,     /* IPv4 without nat */
	WIRE_RECORD_MAX = 78,     /* IPv6 with nat */
	WIRE_AGE_MS = 2000,       /* unit of an age */
};

enum wire_kind { WIRE_HELLO = 1, WIRE_RECORDS = 2 };

struct wire_header {
	enum wire_kind kind;
	uint8_t wants, gave;
	uint64_t sender, receiver, epoch, echo, number;
};

struct wire_record {
	uint8_t protocol;         /* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t state, reply_state; /* abi.h's FLOW_OPENED, _PROVEN, _FIN, _RST, _BACK_FIN; reply_state: nat only */
	uint16_t age;             /* in WIRE_AGE_MS */
	struct endpoint client, service, server; /* server.port 0 = it keeps the packet's */
	struct endpoint own;      /* nat; else family 0 */
};

/* Writes WIRE_HEADER bytes. */
void wire_write_header(uint8_t *to, const struct wire_header *h);
/* Writes one record; its bytes, or 0 when `room` is too small or it can't be said. */
size_t wire_write_record(uint8_t *to, size_t room, const struct wire_record *r);

/*
 * Of a whole datagram, which may hold anything. 0; -EMSGSIZE: too short or too long; -EPROTONOSUPPORT: of another
 * version; -EBADMSG: none of ours.
 */
int wire_read_header(const uint8_t *data, size_t length, struct wire_header *ret);
/*
 * The next of the records between a datagram's header and its code: moves *at and *left. 1; 0 at the end; -EBADMSG: not
 * a record, and neither is what follows.
 */
int wire_read_record(const uint8_t **at, size_t *left, struct wire_record *ret);

#endif
