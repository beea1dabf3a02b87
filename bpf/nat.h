/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarding, network address translation: towards the server the packet carries an own address and port as source,
 * so that any unmodified server answers to us; the reply is given the service's address back. A connection is two
 * entries of the flow table, one for each direction, each holding all it needs.
 *
 * Own ports are dealt in the order of the server's part of `ports`, by an ever-growing counter: the port whose last use
 * began longest ago comes first. A port whose connection is closed may be used again early (counted); a live one never.
 * How connections are recorded is in record.h.
 */
#ifndef BPF_NAT_H
#define BPF_NAT_H

#include "dsr.h"
#include "record.h"

/* What a packet's addresses become. Addresses as two words, IPv4 in the first 4 bytes. */
struct translation {
	__u64 from[2];
	__u64 to[2];
	__be16 from_port;
	__be16 to_port;
};

static __always_inline void nat_write_l4(struct packet *p, __u64 diff, const struct translation *t)
{
	diff += checksum_diff16(p->sport, t->from_port) + checksum_diff16(p->dport, t->to_port);
	if (packet_is_tcp(p)) {
		struct tcphdr *tcp = packet_tcp(p);

		if (!tcp)
			return;
		tcp->source = t->from_port;
		tcp->dest = t->to_port;
		tcp->check = checksum_update(tcp->check, diff);
	} else {
		struct udphdr *udp = packet_udp(p);

		if (!udp)
			return;
		udp->source = t->from_port;
		udp->dest = t->to_port;
		/* Zero means "no checksum" (RFC 768) and stays; a sum that comes out as zero is sent as ones. */
		if (udp->check) {
			__u16 sum = checksum_update(udp->check, diff);

			udp->check = sum ? sum : 0xffff;
		}
	}
}

static __always_inline __u64 nat_diff64(__u64 old, __u64 new)
{
	return checksum_diff32(old, new) + checksum_diff32(old >> 32, new >> 32);
}

static __always_inline void nat_write(struct packet *p, const struct translation *t, const bool v6)
{
	__u64 diff;

	if (v6) {
		__u64 *source = (__u64 *)&p->ip6->saddr;
		__u64 *destination = (__u64 *)&p->ip6->daddr;

		diff = nat_diff64(source[0], t->from[0]) + nat_diff64(source[1], t->from[1]) +
		       nat_diff64(destination[0], t->to[0]) + nat_diff64(destination[1], t->to[1]);
		source[0] = t->from[0];
		source[1] = t->from[1];
		destination[0] = t->to[0];
		destination[1] = t->to[1];
	} else {
		__be32 from = t->from[0];
		__be32 to = t->to[0];

		diff = checksum_diff32(p->ip4->saddr, from) + checksum_diff32(p->ip4->daddr, to);
		p->ip4->saddr = from;
		p->ip4->daddr = to;
		p->ip4->check = checksum_update(p->ip4->check, diff);
	}
	nat_write_l4(p, diff, t);
	forward_age(p, v6);
}

static __always_inline bool nat_load_address(__u32 id, __u64 to[2])
{
	struct address *a = bpf_map_lookup_elem(&addresses, &id);

	if (!a)
		return false;
	to[0] = a->addr[0];
	to[1] = a->addr[1];
	return true;
}

/* Sends a packet of a recorded connection on to its server; r is the request's record. */
static __always_inline enum verdict nat_send_request(struct packet *p, const struct fields *r,
						     const struct server *s, __u64 server_word, bool transparent,
						     const bool v6)
{
	struct translation t = {};
	enum verdict v;

	if (!r->from && !transparent)
		return VERDICT_INTERNAL; /* a record without an own port: the agent forgot SERVICE_RECORDS */
	if (!(SERVER_FLAGS(server_word) & SERVER_RESOLVED))
		return VERDICT_NO_NEIGHBOUR;
	v = forward_check(p, s->mtu, v6);
	if (v)
		return v;
	if (transparent) {
		t.from[0] = v6 ? *(__u64 *)&p->ip6->saddr : p->ip4->saddr;
		t.from[1] = v6 ? ((__u64 *)&p->ip6->saddr)[1] : 0;
		t.from_port = p->sport;
	} else {
		if (!nat_load_address(r->from, t.from))
			return VERDICT_INTERNAL;
		t.from_port = r->from_port;
	}
	t.to[0] = r->to[0];
	t.to[1] = r->to[1];
	t.to_port = r->to_port;
	nat_write(p, &t, v6);
	forward_frame(p, s, server_word);
	return transparent ? VERDICT_TRANSPARENT_REQUEST : VERDICT_NAT_REQUEST;
}

static __always_inline void nat_prove(const struct fields *reply, const bool v6)
{
	struct work *w = work_get();

	if (!w)
		return;
	w->reply = *reply;
	w->protocol = IPPROTO_UDP;
	if (v6)
		record_prove6(w);
	else
		record_prove4(w);
}

/* What a reply tells of its connection. UDP has no handshake: answered twice is proven. */
static __always_inline void nat_note_reply(const struct packet *p, struct flow *f, const struct fields *r,
					   const bool v6)
{
	const __u8 state = FLOW_STATE(f->value);
	const __u16 tick = tick_now();

	if (packet_is_tcp(p)) {
		__u8 set = (p->tcp_flags & TCP_FIN ? FLOW_FIN : 0) | (p->tcp_flags & TCP_RST ? FLOW_RST : 0);
		__u8 clear = set & FLOW_RST ? 0 : state & FLOW_RST;

		if (clear || (set & ~state))
			flow_change(f, clear, set, tick);
		else
			flow_touch(f, tick);
	} else if (!(state & FLOW_PROVEN)) {
		flow_change(f, 0, state & FLOW_OPENED ? FLOW_PROVEN : FLOW_OPENED, tick);
		if (state & FLOW_OPENED)
			nat_prove(r, v6);
	} else {
		flow_touch(f, tick);
	}
}

/* Counts a reply of a service on all ports: what the look-up by port did not find. */
static __always_inline void nat_count_all_ports(const struct place *p, __u32 bytes)
{
	struct traffic *t = p->address ? account_service(p->service) : NULL;

	if (t) {
		t->packets_out += 1;
		t->bytes_out += bytes;
	}
}

__noinline int nat_count_all_ports4(__u64 word, __be32 addr, __u8 protocol, __u32 bytes)
{
	const struct place p = service_find4(word, addr, 0, protocol, ENTRY_ALL_PORTS);

	nat_count_all_ports(&p, bytes);
	return 0;
}

__noinline int nat_count_all_ports6(__u64 word, __u64 high, __u64 low, __u8 protocol, __u32 bytes)
{
	const __u64 addr[2] = { high, low };
	const struct place p = service_find6(word, addr, 0, protocol, ENTRY_ALL_PORTS);

	nat_count_all_ports(&p, bytes);
	return 0;
}

/*
 * Is this the reply of a server? Own address and a NAT port: an exact hit is; anything else goes on to the service
 * look-up. Fills p->way_out.
 */
static __always_inline enum verdict nat_reply(struct packet *p, __u64 word, const bool v6)
{
	const __u64 remote4[2] = { v6 ? 0 : p->ip4->saddr, 0 };
	const __u64 *remote = v6 ? (const __u64 *)&p->ip6->saddr : remote4;
	struct translation t = {};
	struct fields r;
	struct flow_key key;
	struct place own, at;
	struct traffic *traffic;
	enum verdict v;
	struct flow f;

	own = v6 ? service_find6(word, (const __u64 *)&p->ip6->daddr, 0, 0, ENTRY_OWN) :
		   service_find4(word, p->ip4->daddr, 0, 0, ENTRY_OWN);
	if (!own.address)
		return VERDICT_CONTINUE;
	key = flow_key_of(remote, p->sport, p->dport, own.address, FLOW_REPLY | p->protocol, v6);
	f = flow_find(&key, flow_hash(&key, v6), v6);
	if (!f.tag)
		return VERDICT_CONTINUE;
	explain_reply(f.value);
	fields_load(f.record, &r, v6);
	p->mtu = hop_mtu(r.hop);
	v = forward_check(p, p->mtu, v6);
	if (v)
		return v;
	if (!nat_load_address(r.from, t.from))
		return VERDICT_INTERNAL;
	nat_note_reply(p, &f, &r, v6);
	t.from_port = r.from_port;
	t.to[0] = r.to[0];
	t.to[1] = r.to[1];
	t.to_port = r.to_port;
	nat_write(p, &t, v6);
	v = hop_send(p, r.hop, v6);
	if (v)
		return v;
	at = v6 ? service_find6(word, t.from, t.from_port, p->protocol, ENTRY_SERVICE) :
		  service_find4(word, t.from[0], t.from_port, p->protocol, ENTRY_SERVICE);
	traffic = at.address ? account_service(at.service) : NULL;
	if (traffic) {
		traffic->packets_out += 1;
		traffic->bytes_out += p->length;
	} else if (word & CONTROL_ALL_PORTS) {
		if (v6)
			nat_count_all_ports6(word, t.from[0], t.from[1], p->protocol, p->length);
		else
			nat_count_all_ports4(word, t.from[0], p->protocol, p->length);
	}
	traffic = account_server(FLOW_SERVER(f.value));
	if (traffic) {
		traffic->packets_out += 1;
		traffic->bytes_out += p->length;
	}
	return VERDICT_NAT_REPLY;
}

#endif
