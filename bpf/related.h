/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP to a service's or an own address. An error about a steered flow goes to the side that it speaks to: the server,
 * or (nat) the client, with what it quotes as that side knows it (RFC 5508, section 4, for the translation). An echo
 * request to a service's address that the host does not own is answered. All else is the host's.
 */
#ifndef BPF_RELATED_H
#define BPF_RELATED_H

#include "steer.h"

#define ICMP_HEADER 8

/* The quoted packet: who sent it to whom. Pointers are proven for the IP header and the ports. */
struct quote {
	union {
		struct iphdr *ip4;
		struct ipv6hdr *ip6;
	};
	__be16 *ports;     /* source, destination */
	__u8 protocol;
	bool has_tcp_sum;  /* so much of TCP is quoted that its checksum is */
};

static __always_inline bool related_is_error(__u8 type, const bool v6)
{
	return v6 ? type >= ICMPV6_DEST_UNREACH && type <= ICMPV6_PARAMPROB :
		    type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* All of it lies within what the outer header says is the packet: behind it is padding. */
static __always_inline bool related_quote(const struct packet *p, struct quote *q, const bool v6)
{
	const __u32 rest = p->length - p->header;
	void *at = p->l4 + ICMP_HEADER;
	__u32 header = sizeof(struct ipv6hdr);

	if (v6) {
		q->ip6 = at;
		if ((void *)(q->ip6 + 1) + 8 > p->end || q->ip6->version != 6)
			return false;
		q->protocol = q->ip6->nexthdr;
		q->ports = (void *)(q->ip6 + 1);
	} else {
		q->ip4 = at;
		if ((void *)(q->ip4 + 1) > p->end || q->ip4->version != 4 || q->ip4->ihl < 5 ||
		    q->ip4->frag_off & bpf_htons(IPV4_OFFSET))
			return false;
		header = q->ip4->ihl * 4;
		q->protocol = q->ip4->protocol;
		q->ports = at + header;
		if ((void *)(q->ports + 4) > p->end)
			return false;
	}
	q->has_tcp_sum = rest >= ICMP_HEADER + header + 18;
	return rest >= ICMP_HEADER + header + 8 && (q->protocol == IPPROTO_TCP || q->protocol == IPPROTO_UDP);
}

static __always_inline void related_addr(const void *from, __u64 to[2], const bool v6)
{
	to[0] = v6 ? ((const __u64 *)from)[0] : *(const __u32 *)from;
	to[1] = v6 ? ((const __u64 *)from)[1] : 0;
}

/*
 * The quoted L4 header's sum, as the side that gets it sent or would have sent it (RFC 5508, section 4.2); UDP's is always
 * quoted, TCP's may be. `diff` is what changed of addresses and ports; what the sum's own change adds is returned.
 */
static __always_inline __u64 related_write_sum(const struct packet *p, const struct quote *q, __u64 diff)
{
	const bool tcp = q->protocol == IPPROTO_TCP;
	__be16 *sum = q->ports + 3;
	__u16 old, new;

	if (tcp) {
		sum = q->ports + 8;
		if (!q->has_tcp_sum || (void *)(sum + 1) > p->end)
			return 0;
	}
	old = *sum;
	if (!tcp && !old)
		return 0;
	new = checksum_update(old, diff);
	if (!tcp && !new)
		new = 0xffff;
	*sum = new;
	return checksum_diff16(old, new);
}

/*
 * Rewrites the quoted packet's addresses and ports, and the outer header's addresses.
 * The quoted IPv4 header's own checksum keeps its sum what it was, so ICMP's sees only L4 change.
 */
static __always_inline void related_write(struct packet *p, struct quote *q, const struct translation *t,
					  const __u64 outer_from[2], const __u64 outer_to[2], const bool v6)
{
	struct icmphdr *icmp = p->l4;
	__u64 diff = checksum_diff16(q->ports[0], t->from_port) + checksum_diff16(q->ports[1], t->to_port);

	q->ports[0] = t->from_port;
	q->ports[1] = t->to_port;
	if (v6) {
		__u64 *inner = (__u64 *)&q->ip6->saddr, *outer = (__u64 *)&p->ip6->saddr;

		diff += nat_diff64(inner[0], t->from[0]) + nat_diff64(inner[1], t->from[1]) +
			nat_diff64(inner[2], t->to[0]) + nat_diff64(inner[3], t->to[1]);
		diff += related_write_sum(p, q, diff);
		diff += nat_diff64(outer[0], outer_from[0]) + nat_diff64(outer[1], outer_from[1]) +
			nat_diff64(outer[2], outer_to[0]) + nat_diff64(outer[3], outer_to[1]);
		inner[0] = t->from[0];
		inner[1] = t->from[1];
		inner[2] = t->to[0];
		inner[3] = t->to[1];
		outer[0] = outer_from[0];
		outer[1] = outer_from[1];
		outer[2] = outer_to[0];
		outer[3] = outer_to[1];
	} else {
		struct iphdr *inner = q->ip4, *outer = p->ip4;
		const __u64 moved = checksum_diff32(inner->saddr, t->from[0]) +
				    checksum_diff32(inner->daddr, t->to[0]);

		diff += related_write_sum(p, q, diff + moved);
		inner->check = checksum_update(inner->check, moved);
		inner->saddr = t->from[0];
		inner->daddr = t->to[0];
		outer->check = checksum_update(outer->check, checksum_diff32(outer->saddr, outer_from[0]) +
								     checksum_diff32(outer->daddr, outer_to[0]));
		outer->saddr = outer_from[0];
		outer->daddr = outer_to[0];
	}
	icmp->checksum = checksum_update(icmp->checksum, diff);
	forward_age(p, v6);
}

/* The slot's hash of the flow of a quoted packet, which travelled from the service to the client. */
static __always_inline __u64 related_hash(const struct quote *q, const __u64 words[2], __u8 balance, const bool v6)
{
	const struct hash_key key = { { words[0], words[1] } };

	if (v6) {
		const __u64 *client = (const __u64 *)&q->ip6->daddr;

		if (balance == BALANCE_SOURCE)
			return hash_source6(&key, client);
		return hash_tuple6(&key, client, (const __u64 *)&q->ip6->saddr, q->ports[1], q->ports[0], q->protocol);
	}
	if (balance == BALANCE_SOURCE)
		return hash_source4(&key, q->ip4->daddr);
	return hash_tuple4(&key, q->ip4->daddr, q->ip4->saddr, q->ports[1], q->ports[0], q->protocol);
}

/* The server of a flow without record, as steer_by_slot() has it: an error is about a connection that is open. */
static __always_inline __u32 related_slot_server(const struct quote *q, const struct service *s, const bool v6)
{
	__u64 slot = select_hashed(s, related_hash(q, s->key, s->balance, v6));
	__u64 old = s->old_slots;
	__u32 before = 0;

	if (SLOT_STATE(slot) != SLOT_DIRTY || q->protocol != IPPROTO_TCP)
		return SLOT_CURRENT(slot);
	if (SLOT_PREVIOUS(slot))
		return SLOT_PREVIOUS(slot);
	if ((__u32)old) {
		__u64 then = select_read((old >> 32) + hash_slot(related_hash(q, s->old_key, s->old_balance, v6), old));

		before = SLOT_STATE(then) == SLOT_DIRTY && SLOT_PREVIOUS(then) ? SLOT_PREVIOUS(then) : SLOT_CURRENT(then);
	}
	return before ? before : SLOT_CURRENT(slot);
}

/* From the network, about a packet from a service's address to a client: to the server that sent it. */
static __always_inline enum verdict related_to_server(struct packet *p, struct quote *q, __u64 word, const bool v6)
{
	struct translation t = {};
	struct steer s = { .word = word };
	__u64 client[2], outer_from[2];
	struct fields fields = {};
	enum verdict verdict;
	struct flow f;

	if (v6)
		service_of6(&s.place, word, (const __u64 *)&q->ip6->saddr, q->ports[0], q->protocol);
	else
		service_of4(&s.place, word, q->ip4->saddr, q->ports[0], q->protocol);
	if (!s.place.address)
		return VERDICT_OTHER_PROTOCOL;
	explain_service(s.place.service);
	s.service = service_get(word, s.place.service);
	if (!s.service)
		return VERDICT_INTERNAL;
	related_addr(v6 ? (void *)&q->ip6->daddr : (void *)&q->ip4->daddr, client, v6);
	s.key = flow_key_of(client, q->ports[1], q->ports[0], s.place.address, q->protocol, v6);
	s.hash = flow_hash(&s.key, v6);
	f = flow_find(&s.key, s.hash, v6);
	explain_record(f.tag, f.value);
	if (!f.tag && s.service->flags & SERVICE_RECORDS)
		return VERDICT_OTHER_PROTOCOL;
	if (!steer_load_server(&s, f.tag ? FLOW_SERVER(f.value) : related_slot_server(q, s.service, v6)))
		return VERDICT_OTHER_PROTOCOL;
	if (f.tag && SERVER_GENERATION(s.server_word) != FLOW_GENERATION(f.value))
		return VERDICT_OTHER_PROTOCOL;
	explain_server(s.server_id);
	p->way_out = s.server->ifindex;
	if (with_dsr && s.service->forward == FORWARD_IPIP) {
		verdict = tunnel_forward(p, s.server, s.server_word, s.hash, v6);
		return verdict == VERDICT_IPIP ? VERDICT_ICMP_ERROR : verdict;
	}
	if (with_dsr && s.service->forward == FORWARD_DSR) {
		verdict = dsr_forward(p, s.server, s.server_word, v6);
		return verdict == VERDICT_DSR ? VERDICT_ICMP_ERROR : verdict;
	}
	if (!f.tag || !(SERVER_FLAGS(s.server_word) & SERVER_RESOLVED))
		return VERDICT_OTHER_PROTOCOL;
	verdict = forward_check(p, s.server->mtu, v6);
	if (verdict)
		return verdict;
	fields_load(f.record, &fields, v6);
	if (with_transparent && s.service->forward == FORWARD_TRANSPARENT) {
		t.to[0] = client[0];
		t.to[1] = client[1];
		t.to_port = q->ports[1];
	} else {
		if (!nat_load_address(fields.from, t.to))
			return VERDICT_INTERNAL;
		t.to_port = fields.from_port;
	}
	t.from[0] = fields.to[0];
	t.from[1] = fields.to[1];
	t.from_port = fields.to_port;
	related_addr(v6 ? (void *)&p->ip6->saddr : (void *)&p->ip4->saddr, outer_from, v6);
	related_write(p, q, &t, outer_from, t.from, v6);
	forward_frame(p, s.server, s.server_word);
	return VERDICT_ICMP_ERROR;
}

/* From the servers' side, about a packet to `server`: on to the client whose packet it was. */
static __always_inline enum verdict related_send_back(struct packet *p, struct quote *q, const struct translation *t,
						      const __u64 server[2], __u32 hop, const bool v6)
{
	__u64 outer_from[2];
	enum verdict verdict;
	struct hop *h;

	/* The server itself is known to the client by the service's address; a router by its own. */
	related_addr(v6 ? (void *)&p->ip6->saddr : (void *)&p->ip4->saddr, outer_from, v6);
	if (outer_from[0] == server[0] && outer_from[1] == server[1]) {
		outer_from[0] = t->to[0];
		outer_from[1] = t->to[1];
	}
	related_write(p, q, t, outer_from, t->from, v6);
	h = bpf_map_lookup_elem(&hops, &hop);
	if (!hop || !h) {
		verdict = hop_look_up(p, v6);
		return verdict ? verdict : VERDICT_ICMP_ERROR;
	}
	mac_store(p->eth->h_dest, h->peer);
	mac_store(p->eth->h_source, h->own);
	p->way_out = h->ifindex;
	return VERDICT_ICMP_ERROR;
}

/* From the servers' side, about a packet from an own address to a server: to the client whose packet it was. */
static __always_inline enum verdict related_to_client(struct packet *p, struct quote *q, __u32 own, const bool v6)
{
	struct translation t = {};
	struct flow_key key;
	struct fields fields;
	enum verdict verdict;
	__u64 server[2];
	struct flow f;

	related_addr(v6 ? (void *)&q->ip6->daddr : (void *)&q->ip4->daddr, server, v6);
	key = flow_key_of(server, q->ports[1], q->ports[0], own, FLOW_REPLY | q->protocol, v6);
	f = flow_find(&key, flow_hash(&key, v6), v6);
	if (!f.tag)
		return VERDICT_OTHER_PROTOCOL;
	explain_reply(f.value);
	verdict = forward_check(p, ~0U, v6);
	if (verdict)
		return verdict;
	fields_load(f.record, &fields, v6);
	if (!nat_load_address(fields.from, t.to))
		return VERDICT_INTERNAL;
	t.to_port = fields.from_port;
	t.from[0] = fields.to[0];
	t.from[1] = fields.to[1];
	t.from_port = fields.to_port;
	return related_send_back(p, q, &t, server, fields.hop, v6);
}

/* The same where the client's address was kept (FORWARD_TRANSPARENT): it came to the client's own address. */
static __always_inline enum verdict related_to_kept_client(struct packet *p, struct quote *q, __u64 word, const bool v6)
{
	struct translation t = {};
	struct flow_key key;
	struct fields fields;
	struct place served;
	enum verdict verdict;
	__u64 server[2];
	struct flow f;

	related_addr(v6 ? (void *)&q->ip6->saddr : (void *)&q->ip4->saddr, t.from, v6);
	related_addr(v6 ? (void *)&q->ip6->daddr : (void *)&q->ip4->daddr, server, v6);
	if (v6)
		service_served6(&served, word, server[0], server[1], q->ports[1] | (__u32)q->protocol << 16);
	else
		service_served4(&served, word, server[0], q->ports[1], q->protocol);
	if (!served.address)
		return VERDICT_OTHER_PROTOCOL;
	t.from_port = q->ports[0];
	t.to_port = ENTRY_SERVED_PORT(served.service) ? ENTRY_SERVED_PORT(served.service) : q->ports[1];
	key = flow_key_of(t.from, t.from_port, t.to_port, served.address, q->protocol, v6);
	f = flow_find(&key, flow_hash(&key, v6), v6);
	if (!f.tag)
		return VERDICT_OTHER_PROTOCOL;
	fields_load(f.record, &fields, v6);
	if (fields.to[0] != server[0] || fields.to[1] != server[1] || fields.to_port != q->ports[1])
		return VERDICT_OTHER_PROTOCOL;
	explain_reply(f.value);
	verdict = forward_check(p, ~0U, v6);
	if (verdict)
		return verdict;
	if (!nat_load_address(served.address, t.to))
		return VERDICT_INTERNAL;
	return related_send_back(p, q, &t, server, fields.hop, v6);
}

static __noinline int related_to_server4(struct packet *p, struct quote *q, __u64 word)
{
	return related_to_server(p, q, word, false);
}

static __noinline int related_to_server6(struct packet *p, struct quote *q, __u64 word)
{
	return related_to_server(p, q, word, true);
}

static __noinline int related_to_client4(struct packet *p, struct quote *q, __u32 own)
{
	return related_to_client(p, q, own, false);
}

static __noinline int related_to_client6(struct packet *p, struct quote *q, __u32 own)
{
	return related_to_client(p, q, own, true);
}

static __noinline int related_to_kept_client4(struct packet *p, struct quote *q, __u64 word)
{
	return related_to_kept_client(p, q, word, false);
}

static __noinline int related_to_kept_client6(struct packet *p, struct quote *q, __u64 word)
{
	return related_to_kept_client(p, q, word, true);
}

static __always_inline enum verdict related(struct packet *p, __u64 word, const bool v6)
{
	struct place service, own;
	struct quote q = {};
	__u8 type;

	if (packet_fragment(p))
		return VERDICT_FRAGMENT;
	if (!answer_headers(p, v6))
		return VERDICT_TRUNCATED;
	p->l4 = (void *)p->ip4 + (p->header & 1023);
	if (p->l4 + ICMP_HEADER > p->end)
		return VERDICT_TRUNCATED;
	type = *(__u8 *)p->l4;
	service = v6 ? service_find6(word, (const __u64 *)&p->ip6->daddr, 0, 0, ENTRY_ADDRESS) :
		       service_find4(word, p->ip4->daddr, 0, 0, ENTRY_ADDRESS);
	if (service.address && service.service && type == (v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO))
		return icmp_echo(p, v6);
	if (!related_is_error(type, v6) || !related_quote(p, &q, v6))
		return VERDICT_OTHER_PROTOCOL;
	explain(EXPLAIN_ERROR);
	/* Only about what the address it came to has sent. */
	if (v6 ? ((__u64 *)&q.ip6->saddr)[0] != ((__u64 *)&p->ip6->daddr)[0] ||
			 ((__u64 *)&q.ip6->saddr)[1] != ((__u64 *)&p->ip6->daddr)[1] :
		 q.ip4->saddr != p->ip4->daddr)
		return VERDICT_OTHER_PROTOCOL;
	if (with_nat) {
		enum verdict verdict;

		own = v6 ? service_find6(word, (const __u64 *)&p->ip6->daddr, 0, 0, ENTRY_OWN) :
			   service_find4(word, p->ip4->daddr, 0, 0, ENTRY_OWN);
		verdict = !own.address ? VERDICT_OTHER_PROTOCOL :
			  v6	       ? related_to_client6(p, &q, own.address) :
					 related_to_client4(p, &q, own.address);
		if (verdict != VERDICT_OTHER_PROTOCOL)
			return verdict;
	}
	if (with_transparent && !service.address)
		return v6 ? related_to_kept_client6(p, &q, word) : related_to_kept_client4(p, &q, word);
	if (!service.address)
		return VERDICT_OTHER_PROTOCOL;
	return v6 ? related_to_server6(p, &q, word) : related_to_server4(p, &q, word);
}

#endif
