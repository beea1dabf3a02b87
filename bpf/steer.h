/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The way of a packet that is for a service. Where every flow is recorded (nat, round robin): follow the record, else
 * choose a server and record. With consistent hash: the slot is the answer, and the flow table is touched only while the
 * slot has changed owner. Then forward.
 */
#ifndef BPF_STEER_H
#define BPF_STEER_H

#include "guard.h"
#include "nat.h"
#include "quic.h"
#include "tunnel.h"

/* A packet on its way: where it is going, found step by step. */
struct steer {
	__u64 word;               /* control word */
	struct place place;
	struct service *service;
	struct flow_key key;      /* of the request */
	__u64 hash;
	__u32 server_id;
	__u32 entropy;            /* ipip: the flow's hash, for the outer header */
	struct server *server;
	__u64 server_word;
	struct fields fields;     /* nat: what the packet's addresses become */
};

/* Addresses are translated: the record says the server's, and the way back to the client. */
static __always_inline bool steer_translates(const struct steer *s)
{
	return (with_nat && s->service->forward == FORWARD_NAT) ||
	       (with_transparent && s->service->forward == FORWARD_TRANSPARENT);
}

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
	w->known = 0;
	w->reply.to[0] = v6 ? *(__u64 *)&p->ip6->saddr : p->ip4->saddr;
	w->reply.to[1] = v6 ? ((__u64 *)&p->ip6->saddr)[1] : 0;
	w->reply.to_port = p->sport;
	w->reply.from_port = p->dport;
	w->reply.from = s->place.address;
	return w;
}

static __always_inline void steer_forget(const struct packet *p, const struct steer *s, __u64 seen, const bool v6)
{
	struct work *w = steer_work(p, s, v6);

	if (!w)
		return;
	w->seen = seen;
	if (v6)
		record_forget6(w);
	else
		record_forget4(w);
}

/*
 * A SYN on a remembered record. It does not follow the record to a server that takes no new connections; on that of a
 * closed one it opens it again, or (round robin) it is the next server's turn. False: the record is gone, and the
 * connection is new.
 */
static __always_inline bool steer_follow_syn(struct packet *p, struct steer *s, struct flow *f, const bool v6)
{
	bool closed = FLOW_STATE(f->value) & (FLOW_FIN | FLOW_RST);

	/* A server that refused it has closed it, though the client sent nothing after. */
	if (!closed && with_nat && s->service->forward == FORWARD_NAT) {
		struct work *w = steer_work(p, s, v6);

		closed = w && (v6 ? record_is_refused6(w) : record_is_refused4(w));
	}
	if (SERVER_FLAGS(s->server_word) & SERVER_ACCEPTS &&
	    !(closed && select_deals(s->service->balance))) {
		struct work *w;

		if (!closed) {
			flow_touch(f, tick_now());
			return true;
		}
		w = steer_work(p, s, v6);
		if (w && (v6 ? record_reopen6(w) : record_reopen4(w))) {
			if (!w->known)
				account_connection(s->place.service, s->server_id);
			return true;
		}
	}
	steer_forget(p, s, f->value, v6);
	return false;
}

/* Notes what a client's packet says of its connection. */
static __always_inline void steer_note_request(const struct packet *p, struct flow *f, const struct steer *s)
{
	const __u8 state = FLOW_STATE(f->value);
	const __u16 tick = tick_now();
	__u8 set, clear;

	if (!packet_is_tcp(p)) {
		/* Without translation nobody sees an answer: a datagram a tick later proves the flow. */
		if (!steer_translates(s) && !(state & FLOW_PROVEN) && FLOW_TICK(f->value) != tick)
			flow_change(f, 0, FLOW_PROVEN, tick);
		else
			flow_touch(f, tick);
		return;
	}
	set = (p->tcp_flags & TCP_FIN ? FLOW_FIN : 0) | (p->tcp_flags & TCP_RST ? FLOW_RST : 0);
	/*
	 * A reset before the client has answered the server does not end the record: it answers a bare ACK by which a
	 * server in TIME_WAIT refuses the SYN, and the SYN that is sent again must come by the same own port.
	 */
	if (!(state & FLOW_PROVEN))
		set &= ~FLOW_RST;
	clear = set & FLOW_RST || (with_transparent && s->service->forward == FORWARD_TRANSPARENT) ? 0 : state & FLOW_RST;
	/* The client's answer proves a connection it opened; one learnt underway is proven by a packet a tick later. */
	if ((p->tcp_flags & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK &&
	    (state & FLOW_OPENED || FLOW_TICK(f->value) != tick))
		set |= FLOW_PROVEN;
	if (!clear && !(set & ~state)) {
		flow_touch(f, tick);
		return;
	}
	/* Asked of the tag that was replaced: another CPU may have been first, and half-open is counted down once. */
	if (flow_change(f, clear, set, tick) && (set & ~FLOW_STATE(f->was) & FLOW_PROVEN) &&
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

/*
 * Finds the record of the packet's connection, if it may be followed: not one whose server is gone; nor, where the
 * connection id names another server, that of a connection which had this address and port before.
 */
static __always_inline bool steer_remembered(struct packet *p, struct steer *s, __u32 named, const bool v6)
{
	struct flow f = flow_find(&s->key, s->hash, v6);

	explain_record(f.tag, f.value);
	if (!f.tag)
		return false;
	if (!steer_load_server(s, FLOW_SERVER(f.value)) ||
	    SERVER_GENERATION(s->server_word) != FLOW_GENERATION(f.value)) {
		explain(EXPLAIN_RECORD_STALE);
		/* A packet of a connection that was ended is answered by a RST; the agent finds the record and tells the
		 * server as well. */
		if (!packet_is_tcp(p) || packet_opens(p) || !(s->service->flags & SERVICE_RECORDS) ||
		    (__u32)s->service->old_slots)
			steer_forget(p, s, f.value, v6);
		return false;
	}
	if ((SERVER_FLAGS(s->server_word) & SERVER_DOWN && !packet_is_tcp(p)) ||
	    (with_quic && packet_blur(p, named && named != s->server_id, 1))) {
		steer_forget(p, s, f.value, v6);
		return false;
	}
	if (steer_translates(s))
		fields_load(f.record, &s->fields, v6);
	if (packet_opens(p))
		return v6 ? steer_syn6(p, s, &f) : steer_syn4(p, s, &f);
	steer_note_request(p, &f, s);
	return true;
}

/* The server that a QUIC packet's connection id names; 0. */
static __always_inline __u32 steer_named(const struct packet *p, const struct steer *s)
{
	if (!with_quic || !(s->service->flags & SERVICE_QUIC) || packet_is_tcp(p))
		return 0;
	return quic_server(p->ctx, p->link + p->header, s->word, s->place.service);
}

/* What is recorded of a packet without a record: its flow, and (nat) the way back with an own port. */
static __always_inline struct work *steer_new_work(struct packet *p, struct steer *s, const bool v6)
{
	struct work *w = steer_work(p, s, v6);

	if (w) {
		w->state = !packet_is_tcp(p) || packet_opens(p) ? FLOW_OPENED : 0;
		__builtin_memset(&w->request, 0, sizeof(w->request));
	}
	return w;
}

static __always_inline enum verdict steer_record_request(struct work *w, struct steer *s, bool must, const bool v6)
{
	enum verdict verdict = v6 ? record_request6(w, must) : record_request4(w, must);

	if (verdict)
		return verdict;
	s->fields = w->request;
	return steer_load_server(s, w->server) ? VERDICT_CONTINUE : VERDICT_INTERNAL;
}

/* Where every flow must be recorded. */
static __always_inline enum verdict steer_record(struct packet *p, struct steer *s, const bool v6)
{
	struct work *w = steer_new_work(p, s, v6);
	enum verdict verdict;

	if (!w)
		return VERDICT_INTERNAL;
	if (steer_translates(s)) {
		w->request.to[0] = s->server->addr[0];
		w->request.to[1] = s->server->addr[1];
		w->request.to_port = s->server->port ? s->server->port : p->dport;
		w->request.hop = w->reply.hop = hop_learn(p);
	}
	if (with_nat && s->service->forward == FORWARD_NAT) {
		verdict = v6 ? record_reply6(w, s->server->pool_offset, s->server->pool_count) :
			       record_reply4(w, s->server->pool_offset, s->server->pool_count);
		if (verdict)
			return verdict;
	}
	verdict = steer_record_request(w, s, true, v6);
	if (!verdict && !w->known) {
		account_connection(s->place.service, s->server_id);
		if (s->service->balance == BALANCE_LEASTCONN)
			record_dealt(s->server_id);
	}
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

static __always_inline enum verdict steer_no_server(const struct steer *s)
{
	return s->service->all_down == ALL_DOWN_DROP ? VERDICT_NO_SERVER : VERDICT_REJECTED;
}

static __always_inline enum verdict steer_guard(const struct packet *p, const struct steer *s, const bool v6)
{
	if (v6)
		return guard6(s->word, s->place.service, *(__u64 *)&p->ip6->saddr, ((__u64 *)&p->ip6->saddr)[1]);
	return guard4(s->word, s->place.service, p->ip4->saddr);
}

/* A packet without a record where every flow has one: chooses a server for a new connection. */
static __always_inline enum verdict steer_choose(struct packet *p, struct steer *s, const bool v6)
{
	__u32 id;

	if (packet_is_tcp(p) && !packet_opens(p)) {
		/* Flows were not recorded until a reload less than X ago: the table of then knows. */
		id = select_before(p, s->service, v6);
		explain_old_table(id);
		if (!id)
			return VERDICT_NO_FLOW;
	} else {
		if (s->service->flags & SERVICE_GUARDED && !packet_is_tcp(p)) {
			const enum verdict verdict = steer_guard(p, s, v6);

			if (verdict)
				return verdict;
		}
		id = with_quic && s->server_id ? s->server_id : select_server(p, s->service, s->word, v6);
	}
	if (!steer_load_server(s, id))
		return steer_no_server(s);
	explain_server(id);
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

static __always_inline void steer_set_key(const struct packet *p, struct steer *s, const bool v6)
{
	s->key = v6 ? flow_key6((const __u64 *)&p->ip6->saddr, p->sport, p->dport, s->place.address, p->protocol) :
		      flow_key4(p->ip4->saddr, p->sport, p->dport, s->place.address, p->protocol);
	s->hash = flow_hash(&s->key, v6);
	s->entropy = s->hash >> 16;
}

/* Services that record every flow: follow the record, or make one. */
static __always_inline enum verdict steer_by_record(struct packet *p, struct steer *s, const bool v6)
{
	enum verdict verdict;
	__u32 named;

	steer_set_key(p, s, v6);
	named = steer_named(p, s);
	if (steer_remembered(p, s, named, v6)) {
		if (steer_translates(s) && s->fields.hop && !hop_fits(p, s->fields.hop))
			steer_move_hop(p, s, v6);
		return VERDICT_CONTINUE;
	}
	s->server_id = named;
	verdict = v6 ? steer_choose6(p, s) : steer_choose4(p, s);
	if (verdict)
		return verdict;
	/* Looked up once more: Linux 6.1 does not remember that a choice without a verdict has made one. */
	return steer_load_server(s, s->server_id) ? steer_record(p, s, v6) : VERDICT_INTERNAL;
}

/*
 * A TCP packet whose slot has changed owner (DESIGN, "states of a slot"). Dirty: a new connection goes to `current` and
 * is recorded, any other packet follows its record, else `previous`, and is learnt. Tracked: record, else `current`.
 */
static __always_inline enum verdict steer_unsettled(struct packet *p, struct steer *s, __u64 slot, const bool v6)
{
	enum verdict verdict;
	bool dirty, opens;
	struct work *w;
	__u32 id = 0;

	steer_set_key(p, s, v6);
	if (steer_remembered(p, s, 0, v6))
		return VERDICT_CONTINUE;
	asm volatile("" : "+r"(slot)); /* taken apart now: its parts would take stack during the look-up */
	dirty = SLOT_STATE(slot) == SLOT_DIRTY;
	opens = packet_opens(p);
	if (dirty && !opens && !SLOT_PREVIOUS(slot)) {
		id = select_before(p, s->service, v6);
		explain_old_table(id);
	} else if (dirty && !opens) {
		id = SLOT_PREVIOUS(slot);
	}
	if (!steer_load_server(s, id ? id : SLOT_CURRENT(slot)))
		return steer_no_server(s);
	if (opens)
		account_connection(s->place.service, s->server_id);
	/* A RST ends what it belongs to; there is nothing to remember. */
	if (!dirty || p->tcp_flags & TCP_RST)
		return VERDICT_CONTINUE;
	w = steer_new_work(p, s, v6);
	if (!w)
		return VERDICT_INTERNAL;
	verdict = steer_record_request(w, s, false, v6);
	return verdict == VERDICT_LOCK_BUSY ? VERDICT_CONTINUE : verdict;
}

static __noinline int steer_unsettled4(struct packet *p, struct steer *s, __u64 slot)
{
	return steer_unsettled(p, s, slot, false);
}

static __noinline int steer_unsettled6(struct packet *p, struct steer *s, __u64 slot)
{
	return steer_unsettled(p, s, slot, true);
}

/* Consistent hash, nothing remembered: the slot is the answer unless it has changed owner. UDP moves at once. */
static __always_inline enum verdict steer_by_slot(struct packet *p, struct steer *s, const bool v6)
{
	const __u64 hash = select_hash(p, s->service->key, s->service->balance, v6);
	const __u64 slot = select_hashed(s->service, hash);
	const __u32 named = steer_named(p, s);

	s->entropy = hash;
	if (s->service->balance == BALANCE_SOURCE) /* the flows of one client differ in their ports */
		s->entropy = hash_mix(hash ^ ((__u64)p->sport | (__u64)p->dport << 16));
	if (SLOT_STATE(slot) != SLOT_CLEAN && packet_is_tcp(p))
		return v6 ? steer_unsettled6(p, s, slot) : steer_unsettled4(p, s, slot);
	if (!steer_load_server(s, with_quic ? packet_blur(p, named ? named : SLOT_CURRENT(slot), 0xffffff) : SLOT_CURRENT(slot)))
		return steer_no_server(s);
	if (packet_opens(p))
		account_connection(s->place.service, s->server_id);
	return VERDICT_CONTINUE;
}

static __always_inline enum verdict steer_count_refused(const struct packet *p, const struct steer *s, enum verdict verdict)
{
	if (!packet_is_tcp(p) || packet_opens(p))
		account_refused(s->place.service);
	return verdict;
}

/* From the service look-up to the frame that leaves. */
static __always_inline enum verdict steer(struct packet *p, __u64 word, const bool v6)
{
	struct steer s; /* filled in as the way is found: zeros would cost as much as a look-up */
	enum verdict verdict;

	s.word = word;
	if (v6)
		service_of6(&s.place, word, (const __u64 *)&p->ip6->daddr, p->dport, p->protocol);
	else
		service_of4(&s.place, word, p->ip4->daddr, p->dport, p->protocol);
	if (!s.place.address)
		return VERDICT_NO_SERVICE;
	explain_service(s.place.service);
	if (packet_is_malformed(p))
		return VERDICT_MALFORMED;
	s.service = service_get(word, s.place.service);
	if (!s.service)
		return VERDICT_INTERNAL;
	/* Who may open it: asked of each SYN; of UDP where it has no record (steer_choose), or where nothing is recorded. */
	if (s.service->flags & SERVICE_GUARDED &&
	    (packet_opens(p) || (!packet_is_tcp(p) && !(s.service->flags & SERVICE_RECORDS)))) {
		verdict = steer_guard(p, &s, v6);
		if (verdict)
			return steer_count_refused(p, &s, verdict);
	}
	verdict = s.service->flags & SERVICE_RECORDS || !with_dsr ? steer_by_record(p, &s, v6) :
								    steer_by_slot(p, &s, v6);
	if (verdict)
		return steer_count_refused(p, &s, verdict);
	if (steer_translates(&s))
		verdict = nat_send_request(p, &s.fields, s.server, s.server_word,
					   with_transparent && s.service->forward == FORWARD_TRANSPARENT, v6);
	else if (with_dsr && s.service->forward == FORWARD_DSR)
		verdict = dsr_forward(p, s.server, s.server_word, v6);
	else if (with_dsr)
		verdict = tunnel_forward(p, s.server, s.server_word, s.entropy, v6);
	else
		verdict = VERDICT_INTERNAL;
	p->server = s.server_id;
	if (verdict <= VERDICT_IPIP) { /* the first verdicts are those that leave */
		account_request(s.place.service, s.server_id, p->length);
		p->way_out = s.server->ifindex;
	} else {
		p->mtu = s.server->mtu;
	}
	return verdict;
}

#endif
