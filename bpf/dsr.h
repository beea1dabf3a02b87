/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarding, direct server return: the frame goes to the server's MAC on the same layer 2, the packet stays as the
 * client made it; the server holds the service's address and answers the client itself. Also home of what every
 * forwarding mode shares: the frame's header towards a server, TTL, MTU.
 */
#ifndef BPF_DSR_H
#define BPF_DSR_H

#include "checksum.h"
#include "hop.h"
#include "select.h"

/* Whether the packet may travel one hop further, to a way with this MTU. */
static __always_inline enum verdict forward_check(const struct packet *p, __u32 mtu, const bool v6)
{
	if ((v6 ? p->ip6->hop_limit : p->ip4->ttl) <= 1)
		return VERDICT_TTL_EXCEEDED;
	if (p->length > mtu)
		return VERDICT_TOO_BIG;
	return VERDICT_CONTINUE;
}

/* One hop less to live: a misconfigured server that sends the packet back would loop it for ever otherwise. */
static __always_inline void forward_age(struct packet *p, const bool v6)
{
	if (v6) {
		p->ip6->hop_limit--;
	} else {
		__u16 *word = (__u16 *)&p->ip4->ttl; /* TTL and protocol: one word of the header's sum */
		__u16 old = *word;

		p->ip4->ttl--;
		p->ip4->check = checksum_update(p->ip4->check, checksum_diff16(old, *word));
	}
}

static __always_inline void forward_frame(struct packet *p, const struct server *s, __u64 server_word)
{
	mac_store(p->eth->h_dest, server_word);
	mac_store(p->eth->h_source, mac_load(s->own_mac));
}

static __always_inline enum verdict dsr_forward(struct packet *p, const struct server *s, __u64 server_word,
						const bool v6)
{
	enum verdict v;

	if (!(SERVER_FLAGS(server_word) & SERVER_RESOLVED))
		return VERDICT_NO_NEIGHBOUR;
	v = forward_check(p, s->mtu, v6);
	if (v)
		return v;
	forward_age(p, v6);
	forward_frame(p, s, server_word);
	return VERDICT_DSR;
}

#endif
