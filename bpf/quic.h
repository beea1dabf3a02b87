/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * QUIC: the server that a packet's connection id names, whatever address the client has now. Ids are made by the servers
 * after draft-ietf-quic-load-balancers, unencrypted: first octet = config rotation (3 bits) and what the server likes,
 * then the server id, then a nonce. Called by steer.h for datagrams of services with SERVICE_QUIC.
 */
#ifndef BPF_QUIC_H
#define BPF_QUIC_H

#include "service.h"

#define QUIC_LONG 0x80
#define QUIC_TYPE 0x30
#define QUIC_V1   0x00000001
#define QUIC_V2   0x6b3343cf

/* Of a long header: everything before the destination connection id (RFC 8999, section 5.1). */
struct quic_long {
	__u8 first;
	__u8 version[4];
	__u8 length;
};

/* Where a connection id may begin, and the largest that is looked at: first octet and server id. */
struct quic_id {
	__u64 words[2];
};

__noinline int quic_find(__u64 word, __u64 first, __u64 second, __u32 backend)
{
	const __u64 id[2] = { first, second };

	return service_find6(word, id, bpf_htons(backend), 0, ENTRY_QUIC).service;
}

/*
 * Is the id of this long header the server's choice? Only in a Handshake: a client's Initial and 0-RTT have random ones,
 * and its Initial belongs to where its first one went. The bits that tell mean something in these versions only (RFC
 * 9000, section 17.2; RFC 9369, section 3.2).
 */
static __always_inline bool quic_is_handshake(const struct quic_long *q)
{
	const __u32 version = (__u32)q->version[0] << 24 | (__u32)q->version[1] << 16 | (__u32)q->version[2] << 8 |
			      q->version[3];
	const __u8 type = q->first & QUIC_TYPE;

	return (version == QUIC_V1 && type == 0x20) || (version == QUIC_V2 && type == 0x30);
}

/*
 * Id of the server, 0 = the packet names none, or one that is down: nobody there would know the connection. What is
 * shorter than 15 bytes of an id and their nonce is no QUIC. A global function, which the verifier checks once: it finds
 * the UDP header, so many bytes into the frame, anew.
 */
__noinline int quic_server(struct xdp_md *ctx, __u32 udp_at, __u64 word, __u32 service)
{
	const void *end = (void *)(long)ctx->data_end;
	const struct udphdr *udp = (void *)(long)ctx->data + (udp_at & 1023);
	const struct service *s = service_get(word, service);
	const struct quic_long *q = (void *)(udp + 1);
	const struct quic_id *id = (void *)q + 1;
	__u32 length = sizeof(*udp) + 1 + sizeof(*id);
	const struct server *server;
	__u32 found;

	if (!s || (void *)(q + 1) > end)
		return 0;
	if (q->first & QUIC_LONG) {
		if (!quic_is_handshake(q) || q->length < s->quic_length)
			return 0;
		id = (void *)(q + 1);
		length = sizeof(*udp) + sizeof(*q) + sizeof(*id);
	}
	if ((void *)(id + 1) > end || bpf_ntohs(udp->len) < length)
		return 0;
	found = quic_find(word, id->words[0] & s->quic_mask[0], id->words[1] & s->quic_mask[1], s->backend);
	server = server_get(word, found);
	if (!found || !server || SERVER_FLAGS(load_u64(&server->word)) & SERVER_DOWN)
		return 0;
	explain_quic(found);
	return found;
}

#endif
