/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP to a service's or an own address. An error about a steered flow goes to the side that it speaks to: the server,
 * or (nat) the client, with what it quotes as that side knows it (RFC 5508, section 4, for the translation). An echo
 * request to a service's address that the host does not own is answered. All else is the host's.
 *
 * In stages, which lb.bpf.c calls one after the other (related_*4, related_*6): together they would take more stack than a
 * chain of calls has. What one hands to the next is in `struct related`; packet and quote are found anew by each.
 */
#ifndef BPF_RELATED_H
#define BPF_RELATED_H

#include "icmp.h"
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

/* What a stage hands to the next. Each CPU has one. */
struct related {
	struct translation t;    /* what the quoted packet's addresses become */
	struct flow_key key;     /* of the flow */
	__u64 hash;
	__u64 server[2];         /* the server's own address, which the quoted packet was sent to */
	__u64 server_word;
	__u32 server_id;
	__u32 hop;               /* towards the client */
	__u8 forward;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct related);
} relateds SEC(".maps");

static __always_inline struct related *related_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&relateds, &zero);
}

/* First stage: is it an error about what the address that it came to has sent? Echo requests are answered here. */
static __always_inline enum verdict related_ask(struct packet *p, __u64 word, const bool v6)
{
	struct place service;
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
	if (type == (v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO)) {
		service = v6 ? service_find6(word, (const __u64 *)&p->ip6->daddr, 0, 0, ENTRY_ADDRESS) :
			       service_find4(word, p->ip4->daddr, 0, 0, ENTRY_ADDRESS);
		return service.address && service.service ? icmp_echo(p, v6) : VERDICT_OTHER_PROTOCOL;
	}
	if (!related_is_error(type, v6) || !related_quote(p, &q, v6))
		return VERDICT_OTHER_PROTOCOL;
	explain(EXPLAIN_ERROR);
	if (v6 ? ((__u64 *)&q.ip6->saddr)[0] != ((__u64 *)&p->ip6->daddr)[0] ||
			 ((__u64 *)&q.ip6->saddr)[1] != ((__u64 *)&p->ip6->daddr)[1] :
		 q.ip4->saddr != p->ip4->daddr)
		return VERDICT_OTHER_PROTOCOL;
	return VERDICT_CONTINUE;
}

/* From the servers' side, about a packet from an own address to a server: the client whose packet it was. */
static __always_inline enum verdict related_find_client(struct packet *p, __u64 word, const bool v6)
{
	struct related *r = related_get();
	struct quote q = {};
	struct fields fields;
	struct place own;
	struct flow f;

	if (!r || !related_quote(p, &q, v6))
		return VERDICT_INTERNAL;
	own = v6 ? service_find6(word, (const __u64 *)&p->ip6->daddr, 0, 0, ENTRY_OWN) :
		   service_find4(word, p->ip4->daddr, 0, 0, ENTRY_OWN);
	if (!own.address)
		return VERDICT_OTHER_PROTOCOL;
	related_addr(v6 ? (void *)&q.ip6->daddr : (void *)&q.ip4->daddr, r->server, v6);
	r->key = flow_key_of(r->server, q.ports[1], q.ports[0], own.address, FLOW_REPLY | q.protocol, v6);
	f = flow_find(&r->key, flow_hash(&r->key, v6), v6);
	if (!f.tag)
		return VERDICT_OTHER_PROTOCOL;
	explain_reply(f.value);
	fields_load(f.record, &fields, v6);
	if (!nat_load_address(fields.from, r->t.to))
		return VERDICT_INTERNAL;
	r->t.to_port = fields.from_port;
	r->t.from[0] = fields.to[0];
	r->t.from[1] = fields.to[1];
	r->t.from_port = fields.to_port;
	r->hop = fields.hop;
	return VERDICT_CONTINUE;
}

/* The same where the client's address was kept (FORWARD_TRANSPARENT): it came to the client's own address. */
static __always_inline enum verdict related_find_kept_client(struct packet *p, __u64 word, const bool v6)
{
	struct related *r = related_get();
	struct quote q = {};
	struct fields fields;
	struct place served;
	struct flow f;

	if (!r || !related_quote(p, &q, v6))
		return VERDICT_INTERNAL;
	related_addr(v6 ? (void *)&q.ip6->saddr : (void *)&q.ip4->saddr, r->t.from, v6);
	related_addr(v6 ? (void *)&q.ip6->daddr : (void *)&q.ip4->daddr, r->server, v6);
	if (v6)
		service_served6(&served, word, r->server[0], r->server[1], q.ports[1] | (__u32)q.protocol << 16);
	else
		service_served4(&served, word, r->server[0], q.ports[1], q.protocol);
	if (!served.address)
		return VERDICT_OTHER_PROTOCOL;
	r->t.from_port = q.ports[0];
	r->t.to_port = ENTRY_SERVED_PORT(served.service) ? ENTRY_SERVED_PORT(served.service) : q.ports[1];
	r->key = flow_key_of(r->t.from, r->t.from_port, r->t.to_port, served.address, q.protocol, v6);
	f = flow_find(&r->key, flow_hash(&r->key, v6), v6);
	if (!f.tag)
		return VERDICT_OTHER_PROTOCOL;
	fields_load(f.record, &fields, v6);
	if (fields.to[0] != r->server[0] || fields.to[1] != r->server[1] || fields.to_port != q.ports[1])
		return VERDICT_OTHER_PROTOCOL;
	explain_reply(f.value);
	r->hop = fields.hop;
	return nat_load_address(served.address, r->t.to) ? VERDICT_CONTINUE : VERDICT_INTERNAL;
}

/* Towards the client that one of the two has found. */
static __always_inline enum verdict related_send_client(struct packet *p, const bool v6)
{
	struct related *r = related_get();
	struct quote q = {};
	__u64 outer_from[2];
	enum verdict verdict;

	if (!r || !related_quote(p, &q, v6))
		return VERDICT_INTERNAL;
	verdict = forward_check(p, ~0U, v6);
	if (verdict)
		return verdict;
	/* The server itself is known to the client by the service's address; a router by its own. */
	related_addr(v6 ? (void *)&p->ip6->saddr : (void *)&p->ip4->saddr, outer_from, v6);
	if (outer_from[0] == r->server[0] && outer_from[1] == r->server[1]) {
		outer_from[0] = r->t.to[0];
		outer_from[1] = r->t.to[1];
	}
	related_write(p, &q, &r->t, outer_from, r->t.from, v6);
	verdict = hop_send(p, r->hop, v6);
	return verdict ? verdict : VERDICT_ICMP_ERROR;
}

/* From the network, about a packet from a service's address to a client: the server that sent it. */
static __always_inline enum verdict related_find_server(struct packet *p, __u64 word, const bool v6)
{
	struct related *r = related_get();
	struct fields fields = {};
	struct service *service;
	struct server *server;
	struct quote q = {};
	struct place place;
	struct flow f;
	__u64 state;
	__u32 id;

	if (!r || !related_quote(p, &q, v6))
		return VERDICT_INTERNAL;
	if (v6)
		service_of6(&place, word, (const __u64 *)&q.ip6->saddr, q.ports[0], q.protocol);
	else
		service_of4(&place, word, q.ip4->saddr, q.ports[0], q.protocol);
	if (!place.address)
		return VERDICT_OTHER_PROTOCOL;
	explain_service(place.service);
	service = service_get(word, place.service);
	if (!service)
		return VERDICT_INTERNAL;
	related_addr(v6 ? (void *)&q.ip6->daddr : (void *)&q.ip4->daddr, r->t.to, v6);
	r->t.to_port = q.ports[1];
	r->key = flow_key_of(r->t.to, q.ports[1], q.ports[0], place.address, q.protocol, v6);
	r->hash = flow_hash(&r->key, v6);
	f = flow_find(&r->key, r->hash, v6);
	explain_record(f.tag, f.value);
	if (!f.tag && service->flags & SERVICE_RECORDS)
		return VERDICT_OTHER_PROTOCOL;
	id = f.tag ? FLOW_SERVER(f.value) : related_slot_server(&q, service, v6);
	server = server_get(word, id);
	if (!id || !server)
		return VERDICT_OTHER_PROTOCOL;
	state = load_u64(&server->word);
	if (f.tag && SERVER_GENERATION(state) != FLOW_GENERATION(f.value))
		return VERDICT_OTHER_PROTOCOL;
	explain_server(id);
	r->server_id = id;
	r->server_word = state;
	r->forward = service->forward;
	if (r->forward == FORWARD_IPIP || r->forward == FORWARD_DSR)
		return VERDICT_CONTINUE;
	if (!f.tag)
		return VERDICT_OTHER_PROTOCOL;
	fields_load(f.record, &fields, v6);
	r->t.from[0] = fields.to[0];
	r->t.from[1] = fields.to[1];
	r->t.from_port = fields.to_port;
	if (r->forward == FORWARD_TRANSPARENT)
		return VERDICT_CONTINUE;
	r->t.to_port = fields.from_port;
	return nat_load_address(fields.from, r->t.to) ? VERDICT_CONTINUE : VERDICT_INTERNAL;
}

/* Towards the server that was found: by its service's way of forwarding. */
static __always_inline enum verdict related_send_server(struct packet *p, __u64 word, const bool v6)
{
	struct related *r = related_get();
	struct server *server = r ? server_get(word, r->server_id) : NULL;
	struct quote q = {};
	__u64 outer_from[2];
	enum verdict verdict;

	if (!server || !related_quote(p, &q, v6))
		return VERDICT_INTERNAL;
	p->way_out = server->ifindex;
	if (with_dsr && r->forward == FORWARD_IPIP) {
		verdict = tunnel_forward(p, server, r->server_word, r->hash, v6);
		return verdict == VERDICT_IPIP ? VERDICT_ICMP_ERROR : verdict;
	}
	if (with_dsr && r->forward == FORWARD_DSR) {
		verdict = dsr_forward(p, server, r->server_word, v6);
		return verdict == VERDICT_DSR ? VERDICT_ICMP_ERROR : verdict;
	}
	if (!(SERVER_FLAGS(r->server_word) & SERVER_RESOLVED))
		return VERDICT_OTHER_PROTOCOL;
	verdict = forward_check(p, server->mtu, v6);
	if (verdict)
		return verdict;
	related_addr(v6 ? (void *)&p->ip6->saddr : (void *)&p->ip4->saddr, outer_from, v6);
	related_write(p, &q, &r->t, outer_from, r->t.from, v6);
	forward_frame(p, server, r->server_word);
	return VERDICT_ICMP_ERROR;
}

static __noinline int related_ask4(struct packet *p, __u64 word)
{
	return related_ask(p, word, false);
}

static __noinline int related_ask6(struct packet *p, __u64 word)
{
	return related_ask(p, word, true);
}

static __noinline int related_find_client4(struct packet *p, __u64 word)
{
	return related_find_client(p, word, false);
}

static __noinline int related_find_client6(struct packet *p, __u64 word)
{
	return related_find_client(p, word, true);
}

static __noinline int related_find_kept_client4(struct packet *p, __u64 word)
{
	return related_find_kept_client(p, word, false);
}

static __noinline int related_find_kept_client6(struct packet *p, __u64 word)
{
	return related_find_kept_client(p, word, true);
}

static __noinline int related_send_client4(struct packet *p)
{
	return related_send_client(p, false);
}

static __noinline int related_send_client6(struct packet *p)
{
	return related_send_client(p, true);
}

static __noinline int related_find_server4(struct packet *p, __u64 word)
{
	return related_find_server(p, word, false);
}

static __noinline int related_find_server6(struct packet *p, __u64 word)
{
	return related_find_server(p, word, true);
}

static __noinline int related_send_server4(struct packet *p, __u64 word)
{
	return related_send_server(p, word, false);
}

static __noinline int related_send_server6(struct packet *p, __u64 word)
{
	return related_send_server(p, word, true);
}

/* The stages in their order. */
static __always_inline enum verdict related(struct packet *p, __u64 word, const bool v6)
{
	enum verdict verdict = v6 ? related_ask6(p, word) : related_ask4(p, word);

	if (verdict)
		return verdict;
	verdict = VERDICT_OTHER_PROTOCOL;
	if (with_nat)
		verdict = v6 ? related_find_client6(p, word) : related_find_client4(p, word);
	if (with_transparent && verdict == VERDICT_OTHER_PROTOCOL)
		verdict = v6 ? related_find_kept_client6(p, word) : related_find_kept_client4(p, word);
	if (!verdict)
		return v6 ? related_send_client6(p) : related_send_client4(p);
	if (verdict == VERDICT_OTHER_PROTOCOL)
		verdict = v6 ? related_find_server6(p, word) : related_find_server4(p, word);
	if (verdict)
		return verdict;
	return v6 ? related_send_server6(p, word) : related_send_server4(p, word);
}

#endif
