/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a packet that is for a service: follow what is remembered of its connection, else choose a server, remember
 * what must be remembered, forward. Until slots have states, every TCP flow and every nat flow is recorded.
 */
#ifndef BPF_STEER_H
#define BPF_STEER_H

#include "nat.h"
#include "reject.h"

/* A packet on its way: where it is going, found step by step. */
struct steer {
	__u64 word;               /* control word */
	struct place place;
	struct service *service;
	struct flow_key key;      /* of the request */
	__u64 hash;
	__u32 server_id;
	struct server *server;
	__u64 server_word;
	struct fields fields;     /* nat: what the packet's addresses become */
};

static __always_inline bool steer_load_server(struct steer *s, __u32 id)
{
	s->server_id = id;
	s->server = server_get(s->word, id);
	if (!id || !s->server)
		return false;
	s->server_word = load_u64(&s->server->word);
	return true;
}

/* Lays the packet's case before the functions of record.h. */
static __always_inline struct work *steer_work(const struct packet *p, const struct steer *s, const bool v6)
{
	struct work *w = work_get();

	if (!w)
		return NULL;
	w->key = s->key;
	w->hash = s->hash;
	w->server = s->server_id;
	w->server_word = s->server_word;
	w->protocol = p->protocol;
	w->nat = s->service->forward == FORWARD_NAT;
	w->reply.to[0] = v6 ? *(__u64 *)&p->ip6->saddr : p->ip4->saddr;
	w->reply.to[1] = v6 ? ((__u64 *)&p->ip6->saddr)[1] : 0;
	w->reply.to_port = p->sport;
	w->reply.from_port = p->dport;
	w->reply.from = s->place.address;
	return w;
}

static __always_inline void steer_forget(const struct packet *p, const struct steer *s, const bool v6)
{
	struct work *w = steer_work(p, s, v6);

	if (!w)
		return;
	if (v6)
		record_forget6(w);
	else
		record_forget4(w);
}

/*
 * A SYN on a remembered record. It does not follow the record to a server that takes no new connections; on that of a
 * closed one it opens it again. False: the record is gone, and the connection is new.
 */
static __always_inline bool steer_follow_syn(struct packet *p, struct steer *s, struct flow *f, const bool v6)
{
	const bool closed = FLOW_STATE(f->value) & (FLOW_FIN | FLOW_RST);

	if (SERVER_FLAGS(s->server_word) & SERVER_ACCEPTS) {
		struct work *w;

		if (!closed) {
			flow_touch(f, tick_now());
			return true;
		}
		w = steer_work(p, s, v6);
		if (w && (v6 ? record_reopen6(w) : record_reopen4(w))) {
			account_connection(s->place.service, s->server_id);
			return true;
		}
	}
	steer_forget(p, s, v6);
	return false;
}

/* Notes what a client's packet says of its connection. */
static __always_inline void steer_note_request(const struct packet *p, struct flow *f, const struct steer *s)
{
	const __u8 state = FLOW_STATE(f->value);
	const __u16 tick = tick_now();
	__u8 set, clear;

	if (!packet_is_tcp(p)) {
		flow_touch(f, tick);
		return;
	}
	set = (p->tcp_flags & TCP_FIN ? FLOW_FIN : 0) | (p->tcp_flags & TCP_RST ? FLOW_RST : 0);
	clear = set & FLOW_RST ? 0 : state & FLOW_RST;
	if ((p->tcp_flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK)
		set |= FLOW_PROVEN;
	if (!clear && !(set & ~state)) {
		flow_touch(f, tick);
		return;
	}
	if (flow_change(f, clear, set, tick) && (set & ~state & FLOW_PROVEN) &&
	    s->service->forward == FORWARD_NAT)
		record_half_open(s->server_id, -1);
}

static __noinline int steer_syn4(struct packet *p, struct steer *s, struct flow *f)
{
	return steer_follow_syn(p, s, f, false);
}

static __noinline int steer_syn6(struct packet *p, struct steer *s, struct flow *f)
{
	return steer_follow_syn(p, s, f, true);
}

/* Finds the record of the packet's connection, if it may be followed: not one whose server is gone. */
static __always_inline bool steer_remembered(struct packet *p, struct steer *s, const bool v6)
{
	struct flow f = flow_find(&s->key, s->hash, v6);

	if (!f.tag)
		return false;
	if (!steer_load_server(s, FLOW_SERVER(f.value)) ||
	    SERVER_GENERATION(s->server_word) != FLOW_GENERATION(f.value)) {
		steer_forget(p, s, v6);
		return false;
	}
	if (with_nat && s->service->forward == FORWARD_NAT)
		fields_load(f.record, &s->fields, v6);
	if (packet_opens(p))
		return v6 ? steer_syn6(p, s, &f) : steer_syn4(p, s, &f);
	steer_note_request(p, &f, s);
	return true;
}

/* Records a new connection: in both directions and with an own port for nat. */
static __always_inline enum verdict steer_record(struct packet *p, struct steer *s, const bool v6)
{
	const bool nat = s->service->forward == FORWARD_NAT;
	const bool must = nat || s->service->balance == BALANCE_ROUNDROBIN;
	struct work *w = steer_work(p, s, v6);
	enum verdict verdict;

	if (!w)
		return VERDICT_INTERNAL;
	__builtin_memset(&w->request, 0, sizeof(w->request));
	if (with_nat && nat) {
		w->request.to[0] = s->server->addr[0];
		w->request.to[1] = s->server->addr[1];
		w->request.to_port = s->server->port ? s->server->port : p->dport;
		w->request.hop = w->reply.hop = hop_learn(p);
		verdict = v6 ? record_reply6(w, s->server->pool_offset, s->server->pool_count) :
			       record_reply4(w, s->server->pool_offset, s->server->pool_count);
		if (verdict)
			return verdict;
	}
	verdict = v6 ? record_request6(w, must) : record_request4(w, must);
	if (verdict)
		return verdict;
	s->fields = w->request;
	return steer_load_server(s, w->server) ? VERDICT_CONTINUE : VERDICT_INTERNAL;
}

static __always_inline bool steer_is_hashed(const struct steer *s)
{
	return s->service->balance != BALANCE_ROUNDROBIN && s->service->forward != FORWARD_NAT;
}

/* A packet of no known connection: chooses a server. */
static __always_inline enum verdict steer_choose(struct packet *p, struct steer *s, const bool v6)
{
	if (packet_is_tcp(p) && !packet_opens(p) && !steer_is_hashed(s))
		return VERDICT_NO_FLOW;
	if (!steer_load_server(s, select_server(p, s->service, v6)))
		return s->service->all_down == ALL_DOWN_DROP ? VERDICT_NO_SERVER : VERDICT_REJECTED;
	if (!(SERVER_FLAGS(s->server_word) & SERVER_RESOLVED))
		return VERDICT_NO_NEIGHBOUR;
	return VERDICT_CONTINUE;
}

/*
 * What is done once a connection, and answers of our own, are calls: the stack of the hot path stays small. (A call
 * chain has 512 bytes, and kernels before 6.13 round each frame up to 32.)
 */
static __noinline int steer_choose4(struct packet *p, struct steer *s)
{
	return steer_choose(p, s, false);
}

static __noinline int steer_choose6(struct packet *p, struct steer *s)
{
	return steer_choose(p, s, true);
}

/* Chooses a server for a new connection and remembers it, unless the hash alone will find it again. */
static __always_inline enum verdict steer_new(struct packet *p, struct steer *s, const bool v6)
{
	enum verdict verdict = v6 ? steer_choose6(p, s) : steer_choose4(p, s);

	if (verdict || (steer_is_hashed(s) && !(packet_is_tcp(p) && packet_opens(p))))
		return verdict;
	verdict = steer_record(p, s, v6);
	if (!verdict)
		account_connection(s->place.service, s->server_id);
	return verdict;
}

static __noinline int reject4(struct packet *p, enum verdict sent)
{
	return reject(p, sent, false);
}

static __noinline int reject6(struct packet *p, enum verdict sent)
{
	return reject(p, sent, true);
}

static __always_inline enum verdict steer_refuse(struct packet *p, const struct steer *s, enum verdict verdict,
						 const bool v6)
{
	if (!packet_is_tcp(p) || packet_opens(p))
		account_refused(s->place.service);
	if (verdict == VERDICT_REJECTED || verdict == VERDICT_NO_FLOW)
		return v6 ? reject6(p, verdict) : reject4(p, verdict);
	return verdict;
}

/* The client's packets come another way than when the connection was recorded: its replies will follow. */
static __always_inline void steer_move_hop(const struct packet *p, struct steer *s, const bool v6)
{
	struct work *w = steer_work(p, s, v6);

	if (!w)
		return;
	w->hop = hop_learn(p);
	if (v6)
		record_move_hop6(w);
	else
		record_move_hop4(w);
}

/* From the service look-up to the frame that leaves. */
static __always_inline enum verdict steer(struct packet *p, __u64 word, const bool v6)
{
	const __u32 ip_header = v6 ? sizeof(struct ipv6hdr) : p->ip4->ihl * 4;
	struct steer s = { .word = word };
	enum verdict verdict;

	s.place = v6 ? service_find6(word, (const __u64 *)&p->ip6->daddr, p->dport, p->protocol, ENTRY_SERVICE) :
		       service_find4(word, p->ip4->daddr, p->dport, p->protocol, ENTRY_SERVICE);
	if (!s.place.address)
		return VERDICT_NO_SERVICE;
	if (packet_is_malformed(p, ip_header))
		return VERDICT_MALFORMED;
	s.service = service_get(word, s.place.service);
	if (!s.service)
		return VERDICT_INTERNAL;
	s.key = v6 ? flow_key6((const __u64 *)&p->ip6->saddr, p->sport, p->dport, s.place.address, p->protocol) :
		     flow_key4(p->ip4->saddr, p->sport, p->dport, s.place.address, p->protocol);
	s.hash = flow_hash(&s.key, v6);
	if (!steer_remembered(p, &s, v6)) {
		verdict = steer_new(p, &s, v6);
		if (verdict)
			return steer_refuse(p, &s, verdict, v6);
	} else if (with_nat && s.fields.hop && !hop_fits(p, s.fields.hop)) {
		steer_move_hop(p, &s, v6);
	}
	if (with_nat && s.service->forward == FORWARD_NAT)
		verdict = nat_send_request(p, &s.fields, s.server, s.server_word, v6);
	else if (with_dsr)
		verdict = dsr_forward(p, s.server, s.server_word, v6);
	else
		verdict = VERDICT_INTERNAL;
	if (verdict == VERDICT_NAT_REQUEST || verdict == VERDICT_DSR) {
		account_request(s.place.service, s.server_id, p->length);
		p->way_out = s.server->ifindex;
	}
	return verdict;
}

#endif
