/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarding, transparent (`source 0.0.0.0 usesrc clientip`): only the destination is translated, so the server sees the
 * client's address, and its replies come back by the route that it has to the client: through here. Requests go the way
 * of nat (nat.h); here are the replies, called by lb.bpf.c for what is for no service.
 *
 * One record, the request's, serves both directions. The reply's source says by the service table whose server it is,
 * and so the request's key. A packet without a record is the host's: its own checks, and what it routes for the servers.
 */
#ifndef BPF_TRANSPARENT_H
#define BPF_TRANSPARENT_H

#include "related.h"

/* What a server's packet tells of the connection. UDP has no handshake: answered twice is proven. */
static __always_inline void transparent_note_reply(const struct packet *p, struct flow *f)
{
	const __u8 state = FLOW_STATE(f->value);
	const __u16 tick = tick_now();
	__u8 set, clear = 0;

	if (packet_is_tcp(p)) {
		set = (p->tcp_flags & TCP_FIN ? FLOW_BACK_FIN : 0) | (p->tcp_flags & TCP_RST ? FLOW_RST : 0);
		clear = set & FLOW_RST ? 0 : state & FLOW_RST;
	} else {
		set = state & FLOW_BACK_FIN ? FLOW_PROVEN : FLOW_BACK_FIN;
	}
	if (clear || (set & ~state))
		flow_change(f, clear, set, tick);
	else
		flow_touch(f, tick);
}

static __always_inline void transparent_account(const struct packet *p, __u32 service, __u32 server)
{
	struct traffic *t = account_service(service);

	if (t) {
		t->packets_out += 1;
		t->bytes_out += p->length;
	}
	t = account_server(server);
	if (t) {
		t->packets_out += 1;
		t->bytes_out += p->length;
	}
}

static __always_inline enum verdict transparent_reply(struct packet *p, __u64 word, const bool v6)
{
	struct related *r = related_get();
	struct translation *t;
	struct place served;
	struct fields fields;
	struct server *server;
	enum verdict v;
	struct flow f;

	if (!r)
		return VERDICT_INTERNAL;
	if (!answer_headers(p, v6))
		return VERDICT_TRUNCATED;
	p->l4 = (void *)p->ip4 + (p->header & 1023);
	if (p->l4 + (packet_is_tcp(p) ? sizeof(struct tcphdr) : sizeof(struct udphdr)) > p->end)
		return VERDICT_TRUNCATED;
	t = &r->t;
	related_addr(v6 ? (void *)&p->ip6->saddr : (void *)&p->ip4->saddr, r->server, v6);
	related_addr(v6 ? (void *)&p->ip6->daddr : (void *)&p->ip4->daddr, t->to, v6);
	if (v6)
		service_served6(&served, word, r->server[0], r->server[1], p->sport | (__u32)p->protocol << 16);
	else
		service_served4(&served, word, r->server[0], p->sport, p->protocol);
	if (!served.address)
		return VERDICT_NO_SERVICE;
	t->to_port = p->dport;
	t->from_port = ENTRY_SERVED_PORT(served.service) ? ENTRY_SERVED_PORT(served.service) : p->sport;
	r->key = flow_key_of(t->to, t->to_port, t->from_port, served.address, p->protocol, v6);
	f = flow_find(&r->key, flow_hash(&r->key, v6), v6);
	if (!f.tag)
		return VERDICT_NO_SERVICE;
	/* Another server than the one that the client's packets go to: none of that connection. */
	fields_load(f.record, &fields, v6);
	if (fields.to[0] != r->server[0] || fields.to[1] != r->server[1] || fields.to_port != p->sport)
		return VERDICT_NO_SERVICE;
	explain_reply(f.value);
	server = server_get(word, FLOW_SERVER(f.value));
	if (!server)
		return VERDICT_INTERNAL;
	/* The connection was ended, and its client is told so as well. */
	if (SERVER_GENERATION(load_u64(&server->word)) != FLOW_GENERATION(f.value) && packet_is_tcp(p) &&
	    !packet_fragment(p))
		return VERDICT_NO_FLOW;
	p->mtu = hop_mtu(fields.hop);
	v = forward_check(p, p->mtu, v6);
	if (v)
		return v;
	if (!nat_load_address(served.address, t->from))
		return VERDICT_INTERNAL;
	transparent_note_reply(p, &f);
	nat_write(p, t, v6);
	v = hop_send(p, fields.hop, v6);
	if (v)
		return v;
	transparent_account(p, ENTRY_SERVED_SERVICE(served.service), FLOW_SERVER(f.value));
	return VERDICT_TRANSPARENT_REPLY;
}

static __noinline int transparent4(struct packet *p, __u64 word)
{
	return transparent_reply(p, word, false);
}

static __noinline int transparent6(struct packet *p, __u64 word)
{
	return transparent_reply(p, word, true);
}

#endif
