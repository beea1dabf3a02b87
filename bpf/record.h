/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is done with the flow table once a connection, not once a packet: record, reopen, forget, change of the way back.
 * These are global functions, which the verifier checks once each instead of on every path that leads to them; they see
 * no packet, only `struct work`. Each is there twice, for IPv4 and IPv6, from one source.
 */
#ifndef BPF_RECORD_H
#define BPF_RECORD_H

#include "flow.h"

/* The fields of a record behind its key, wherever the family puts them. */
struct fields {
	__u64 to[2];
	__be16 to_port;
	__be16 from_port;
	__u16 from;
	__u16 hop;
};

static __always_inline void fields_load(const void *record, struct fields *r, const bool v6)
{
	if (v6) {
		const struct flow6 *f = record;

		r->to[0] = f->to[0];
		r->to[1] = f->to[1];
		r->to_port = f->to_port;
		r->from_port = f->from_port;
		r->from = f->from;
		r->hop = *(const volatile __u16 *)&f->hop;
	} else {
		const struct flow4 *f = record;

		r->to[0] = f->to;
		r->to[1] = 0;
		r->to_port = f->to_port;
		r->from_port = f->from_port;
		r->from = f->from;
		r->hop = *(const volatile __u16 *)&f->hop;
	}
}

/* Key and fields as the words of a record, ready to be written. */
static __always_inline void fields_words(const struct flow_key *key, const struct fields *r, __u64 words[6],
					     const bool v6)
{
	const __u64 tail = (__u64)r->to_port | (__u64)r->from_port << 16 | (__u64)r->from << 32 | (__u64)r->hop << 48;

	words[0] = key->w[0];
	if (v6) {
		words[1] = key->w[1];
		words[2] = key->w[2];
		words[3] = r->to[0];
		words[4] = r->to[1];
		words[5] = tail;
	} else {
		words[1] = (__u32)key->w[1] | r->to[0] << 32;
		words[2] = tail;
	}
}

/*
 * One packet's case, laid before the functions below. Too large for the stack of a call chain (512 bytes in all): each
 * CPU has one, which no other packet touches meanwhile.
 */
struct work {
	struct flow_key key;     /* of the request */
	__u64 hash;
	__u64 server_word;
	__u32 server;            /* in: the one chosen; out: the one that counts */
	__u8 protocol;
	__u8 nat;
	__u8 state;              /* FLOW_OPENED, or 0: learnt from a packet that opens nothing */
	__u8 zero;
	__u16 zero2;
	__u16 hop;               /* the way the packet came */
	__u64 known;             /* out: another CPU recorded this connection first, and counts it */
	__u64 seen;              /* in: the tag of the record that is to be forgotten */
	struct fields request;   /* in: to = the server; out: from = the own address and port */
	struct fields reply;     /* to = the client, from = the service's address */
	/* Scratch. */
	struct flow_words words; /* a record being written */
	struct flow_key other_key;
	struct fields other;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} works SEC(".maps");

static __always_inline struct work *work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&works, &zero);
}

static __always_inline void record_store_hop(void *record, __u16 hop, const bool v6)
{
	*(volatile __u16 *)(v6 ? &((struct flow6 *)record)->hop : &((struct flow4 *)record)->hop) = hop;
}

/* The entry of the other direction: a reply's from a request's fields, and the reverse. */
static __always_inline struct flow record_other(const struct fields *f, __u8 kind, const bool v6)
{
	struct flow_key key = flow_key_of(f->to, f->to_port, f->from_port, f->from, kind, v6);

	return flow_find(&key, flow_hash(&key, v6), v6);
}

static __always_inline void record_half_open(__u32 server, __s64 change)
{
	struct server_use *u = bpf_map_lookup_elem(&use, &server);

	if (u)
		__sync_fetch_and_add(&u->half_open, change);
}

static __always_inline void record_dealt(__u32 server)
{
	struct server_use *u = bpf_map_lookup_elem(&use, &server);

	if (u)
		__sync_fetch_and_add(&u->dealt, 1);
}

/* Ends a request entry; what was half-open no longer is. */
static __always_inline bool record_kill_request(struct flow *f, const bool nat)
{
	if (!flow_kill(f))
		return false;
	if (nat && !(FLOW_STATE(f->value) & FLOW_PROVEN))
		record_half_open(FLOW_SERVER(f->value), -1);
	return true;
}

/*
 * An own port that a recorded connection holds: ends that one if it is closed, by a reset of either side or a FIN of
 * both. A reply without a request is another CPU's connection being recorded, unless a FIN or RST says that it is old.
 * The caller holds the reply key's lock.
 */
static __always_inline enum verdict record_evict_closed(struct work *w, const struct own_port *own,
							struct flow *old, const bool v6)
{
	const __u8 state = FLOW_STATE(old->value);
	struct flow request;
	bool closed;

	fields_load(old->record, &w->other, v6);
	request = record_other(&w->other, w->protocol, v6);
	if (request.tag) {
		/* Its client may have come back and got another port: then that entry is none of this connection. */
		fields_load(request.record, &w->other, v6);
		if (w->other.from_port != own->port || w->other.from != own->address ||
		    w->other.to_port != w->request.to_port || w->other.to[0] != w->request.to[0] ||
		    w->other.to[1] != w->request.to[1])
			request.tag = NULL;
	}
	if (request.tag)
		closed = (state | FLOW_STATE(request.value)) & FLOW_RST ||
			 (state & FLOW_STATE(request.value)) & FLOW_FIN;
	else
		closed = state & (FLOW_FIN | FLOW_RST);
	if (!closed || !flow_kill(old))
		return VERDICT_PORTS_EXHAUSTED;
	if (request.tag)
		record_kill_request(&request, true);
	account_event(EVENT_EARLY_REUSE);
	return VERDICT_CONTINUE;
}

/* Takes one own port if it is free, or if the connection that holds it is closed. PORTS_EXHAUSTED: try the next. */
static __always_inline enum verdict record_claim_port(struct work *w, const struct own_port *own, bool closed_too,
						      const bool v6)
{
	const __u8 kind = FLOW_REPLY | w->protocol;
	const struct flow_key *key = &w->other_key;
	enum verdict verdict = VERDICT_CONTINUE;
	struct flow f;
	__u64 *lock;
	__u64 hash;

	w->other_key = flow_key_of(w->request.to, w->request.to_port, own->port, own->address, kind, v6);
	hash = flow_hash(key, v6);
	lock = flow_lock(hash);
	if (!lock)
		return VERDICT_LOCK_BUSY;
	f = flow_find(key, hash, v6);
	if (f.tag)
		verdict = closed_too ? record_evict_closed(w, own, &f, v6) : VERDICT_PORTS_EXHAUSTED;
	if (!verdict) {
		fields_words(key, &w->reply, w->words.w, v6);
		if (!flow_insert(hash, &w->words, flow_new_tag(hash, 0, w->server, w->server_word), v6))
			verdict = VERDICT_FLOW_TABLE_FULL;
	}
	flow_unlock(lock);
	w->request.from = own->address;
	w->request.from_port = own->port;
	explain_own_port(own->address, own->port);
	return verdict;
}

/* Functions of their own: the verifier checks a port's claim once, not once for each that is tried. */
__noinline int record_claim_port4(struct work *w, __u32 address, __u32 port, __u32 closed_too)
{
	const struct own_port own = { .address = address, .port = port };

	return w ? record_claim_port(w, &own, closed_too, false) : VERDICT_INTERNAL;
}

__noinline int record_claim_port6(struct work *w, __u32 address, __u32 port, __u32 closed_too)
{
	const struct own_port own = { .address = address, .port = port };

	return w ? record_claim_port(w, &own, closed_too, true) : VERDICT_INTERNAL;
}

/* Finds an own port for the connection and records the way back. */
static __always_inline int record_reply(struct work *w, __u32 pool_offset, __u32 pool_count, const bool v6)
{
	__u32 server = w->server;
	struct server_use *u = bpf_map_lookup_elem(&use, &server);
	__u64 *next = bpf_map_lookup_elem(&ports, &pool_offset);
	enum verdict verdict = VERDICT_PORTS_EXHAUSTED;

	if (!u || !next || !pool_count)
		return VERDICT_PORTS_EXHAUSTED;
	if (u->half_open >= (__s64)(pool_count / 2 + (pool_count & 1)))
		return VERDICT_HALF_OPEN_LIMIT;
	for (int i = 0; i < NAT_PROBES && verdict == VERDICT_PORTS_EXHAUSTED; i++) {
		__u32 index = pool_offset + 1 + __sync_fetch_and_add(next, 1) % pool_count;
		struct own_port *own = bpf_map_lookup_elem(&ports, &index);

		if (!own)
			return VERDICT_INTERNAL;
		/* One that nobody has first: a server remembers a closed connection (TIME_WAIT) and may refuse its port. */
		verdict = v6 ? record_claim_port6(w, own->address, own->port, i >= NAT_PROBES / 2) :
			       record_claim_port4(w, own->address, own->port, i >= NAT_PROBES / 2);
	}
	return verdict;
}

/* Takes the reply entry of w back: its request could not be recorded. */
static __always_inline void record_undo_reply(const struct work *w, const bool v6)
{
	struct flow reply = record_other(&w->request, FLOW_REPLY | w->protocol, v6);

	if (reply.tag)
		flow_kill(&reply);
}

/*
 * Records the request's direction. Another CPU may have recorded the same connection meanwhile: then its entry counts,
 * and w is made to say what it says. `must`: no room is an error; else the packet goes unrecorded.
 */
static __always_inline int record_request(struct work *w, __u32 must, const bool v6)
{
	enum verdict verdict = VERDICT_CONTINUE;
	const struct flow_key *key = &w->key;
	__u64 *lock = flow_lock(w->hash);
	struct flow f;

	if (!lock) {
		verdict = VERDICT_LOCK_BUSY;
	} else {
		f = flow_find(key, w->hash, v6);
		if (f.tag) {
			if (w->nat)
				record_undo_reply(w, v6);
			fields_load(f.record, &w->request, v6);
			w->server = FLOW_SERVER(f.value);
			w->known = 1;
			flow_unlock(lock);
			return VERDICT_CONTINUE;
		}
		explain(EXPLAIN_RECORDED);
		fields_words(key, &w->request, w->words.w, v6);
		if (flow_insert(w->hash, &w->words, flow_new_tag(w->hash, w->state, w->server, w->server_word),
				v6)) {
			if (w->nat)
				record_half_open(w->server, 1);
		} else if (must) {
			verdict = VERDICT_FLOW_TABLE_FULL;
		} else {
			explain(EXPLAIN_UNRECORDED);
			account_event(EVENT_UNRECORDED);
		}
		flow_unlock(lock);
	}
	if (verdict && w->nat)
		record_undo_reply(w, v6);
	return verdict;
}

/* Does this reply entry belong to the client of w? */
static __always_inline bool record_is_own_reply(const struct work *w, const struct flow *reply, const bool v6)
{
	struct fields back;

	fields_load(reply->record, &back, v6);
	return back.to_port == w->reply.to_port && back.to[0] == w->reply.to[0] && back.to[1] == w->reply.to[1] &&
	       back.from == w->reply.from && back.from_port == w->reply.from_port;
}

/*
 * The connection begins anew on its closed record: as if it had just been recorded. 0 when it can't; w->known when
 * another CPU has just done it.
 */
static __always_inline int record_reopen(struct work *w, const bool v6)
{
	const __u16 tick = tick_now();
	struct flow_key key = w->key;
	struct flow f = flow_find(&key, w->hash, v6);

	if (!f.tag)
		return 0;
	if (w->nat) {
		struct fields fields;
		struct flow reply;

		fields_load(f.record, &fields, v6);
		reply = record_other(&fields, FLOW_REPLY | w->protocol, v6);
		if (!reply.tag || !record_is_own_reply(w, &reply, v6) ||
		    !flow_change(&reply, FLOW_FIN | FLOW_RST, 0, tick))
			return 0;
	}
	if (!flow_change(&f, FLOW_PROVEN | FLOW_FIN | FLOW_RST | FLOW_BACK_FIN, FLOW_OPENED, tick))
		return 0;
	explain(EXPLAIN_REOPENED);
	w->known = !(FLOW_STATE(f.was) & (FLOW_FIN | FLOW_RST));
	if (w->nat && FLOW_STATE(f.was) & FLOW_PROVEN)
		record_half_open(FLOW_SERVER(f.value), 1);
	return 1;
}

/* Has the server refused, or reset, the connection of this request (nat)? */
static __always_inline int record_is_refused(struct work *w, const bool v6)
{
	struct flow f = flow_find(&w->key, w->hash, v6);
	struct flow reply;

	if (!f.tag)
		return 0;
	fields_load(f.record, &w->other, v6);
	reply = record_other(&w->other, FLOW_REPLY | w->protocol, v6);
	return reply.tag && FLOW_STATE(reply.value) & FLOW_RST;
}

/* What a record that was seen differs in from the one that another CPU has made in its place. */
#define RECORD_SEEN_MASK FLOW_TAG(0, FLOW_FIN | FLOW_RST, 0xff, 0xffff, 0)

/* Drops a connection from the books, both directions: it is over, or its server is gone. Not the one that took its place. */
static __always_inline void record_forget(const struct work *w, const bool v6)
{
	struct flow_key key = w->key;
	struct flow f = flow_find(&key, w->hash, v6);
	struct fields fields;
	struct flow reply;

	if (!f.tag || (f.value ^ w->seen) & RECORD_SEEN_MASK)
		return;
	if (w->nat) {
		fields_load(f.record, &fields, v6);
		reply = record_other(&fields, FLOW_REPLY | w->protocol, v6);
		if (reply.tag && record_is_own_reply(w, &reply, v6))
			flow_kill(&reply);
	}
	explain(EXPLAIN_FORGOTTEN);
	record_kill_request(&f, w->nat);
}

/* The client's router changed: replies follow. */
static __always_inline void record_move_hop(const struct work *w, const bool v6)
{
	struct flow_key key = w->key;
	struct flow f = flow_find(&key, w->hash, v6);
	struct fields fields;
	struct flow reply;

	if (!f.tag)
		return;
	fields_load(f.record, &fields, v6);
	reply = record_other(&fields, FLOW_REPLY | w->protocol, v6);
	record_store_hop(f.record, w->hop, v6);
	if (reply.tag && record_is_own_reply(w, &reply, v6))
		record_store_hop(reply.record, w->hop, v6);
}

/* A UDP flow was answered twice (f: the reply's fields): its request entry is no longer half-open. */
static __always_inline void record_prove(const struct fields *fields, __u8 protocol, const bool v6)
{
	struct flow request = record_other(fields, protocol, v6);

	if (request.tag && flow_change(&request, 0, FLOW_PROVEN, tick_now()) &&
	    !(FLOW_STATE(request.was) & FLOW_PROVEN))
		record_half_open(FLOW_SERVER(request.value), -1);
}

/* The functions themselves, as the verifier and the callers see them. NULL never happens; the verifier wants it asked. */
#define RECORD_FUNCTIONS(family, v6)                                                               \
	__noinline int record_reply##family(struct work *w, __u32 pool_offset, __u32 pool_count)   \
	{                                                                                          \
		return w ? record_reply(w, pool_offset, pool_count, v6) : VERDICT_INTERNAL;        \
	}                                                                                          \
	__noinline int record_request##family(struct work *w, __u32 must)                          \
	{                                                                                          \
		return w ? record_request(w, must, v6) : VERDICT_INTERNAL;                         \
	}                                                                                          \
	__noinline int record_reopen##family(struct work *w)                                       \
	{                                                                                          \
		return w ? record_reopen(w, v6) : 0;                                               \
	}                                                                                          \
	__noinline int record_is_refused##family(struct work *w)                                   \
	{                                                                                          \
		return w ? record_is_refused(w, v6) : 0;                                           \
	}                                                                                          \
	__noinline int record_forget##family(struct work *w)                                       \
	{                                                                                          \
		if (w)                                                                             \
			record_forget(w, v6);                                                      \
		return 0;                                                                          \
	}                                                                                          \
	__noinline int record_move_hop##family(struct work *w)                                     \
	{                                                                                          \
		if (w)                                                                             \
			record_move_hop(w, v6);                                                    \
		return 0;                                                                          \
	}                                                                                          \
	__noinline int record_prove##family(struct work *w)                                        \
	{                                                                                          \
		if (w)                                                                             \
			record_prove(&w->reply, w->protocol, v6);                                  \
		return 0;                                                                          \
	}

RECORD_FUNCTIONS(4, false)
RECORD_FUNCTIONS(6, true)

#endif
