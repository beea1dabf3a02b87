/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams of one peer: sent with number and code, heard with suspicion. What does not come from a peer's address, or
 * carries no right code, changes nothing but a counter. Part of agent/peers.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/peers_internal.h"

bool rate_take(struct rate *r, uint64_t now_ms, uint32_t per_second)
{
	const uint64_t grown = r->tokens + (now_ms - r->at_ms) * per_second / 1000;

	if (grown > r->tokens) {
		r->tokens = grown > per_second / 10 ? per_second / 10 : (uint32_t)grown;
		r->at_ms = now_ms;
	}
	if (!r->tokens)
		return false;
	r->tokens--;
	return true;
}

static void send_out(struct link *l, enum wire_kind kind)
{
	struct peers *p = l->peers;
	struct sockaddr_storage to;
	const socklen_t size = endpoint_to_sockaddr(&l->at, &to);
	const struct wire_header h = {
		.kind = kind, .wants = l->wants, .gave = l->gave, .sender = p->identity, .receiver = l->identity,
		.epoch = p->epoch, .echo = l->session.epoch, .number = ++l->number,
	};
	const size_t length = (kind == WIRE_RECORDS ? l->length : WIRE_HEADER) + WIRE_MAC;

	wire_write_header(l->out, &h);
	if (seal_put(p->seal, l->out, length - WIRE_MAC) < 0 ||
	    sendto(p->fd, l->out, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, size) < 0)
		l->counts.send_failures++; /* as lost: the peer misses the number, if it is there, and asks */
	l->counts.sent++;
	l->counts.sent_bytes += length;
	l->counts.sent_records += kind == WIRE_RECORDS ? l->records : 0;
	l->length = 0;
	l->records = 0;
}

void link_flush(struct link *l)
{
	if (l->records)
		send_out(l, WIRE_RECORDS);
}

bool link_has_room(struct link *l)
{
	if (l->records && WIRE_DATAGRAM_MAX - WIRE_MAC - l->length >= WIRE_RECORD_MAX)
		return true;
	link_flush(l);
	if (!rate_take(&l->send, agent_monotonic_ms(), PEERS_SEND_RATE))
		return false;
	l->length = WIRE_HEADER;
	return true;
}

void link_greet(struct link *l)
{
	link_flush(l);
	l->greeted_ms = agent_monotonic_ms();
	send_out(l, WIRE_HELLO);
}

static struct link *link_of(struct peers *p, const struct sockaddr_storage *from)
{
	struct addr addr = { .family = from->ss_family };

	if (from->ss_family == AF_INET)
		memcpy(addr.bytes, &((const struct sockaddr_in *)from)->sin_addr, 4);
	else
		memcpy(addr.bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	for (size_t i = 0; i < p->links.count; i++)
		if (addr_equal(&p->links.items[i]->at.addr, &addr))
			return p->links.items[i];
	return NULL;
}

static void come_up(struct link *l)
{
	char text[ENDPOINT_TEXT_MAX];

	l->up = true;
	log_event(l->peers->agent->log, LOG_NOTICE, "peer_up", "peer=%s address=%s", l->name,
		  endpoint_format(&l->at, text));
}

/* It asks for a copy, or has one of ours; it has sent us one. */
static void note_copies(struct link *l, const struct wire_header *h)
{
	if (h->wants != l->asked && h->wants != l->gave)
		sweep_hurry(l->peers->agent->sweep);
	l->asked = h->wants;
	if (l->got != l->wants && h->gave == l->wants) {
		l->got = l->wants;
		l->counts.copies++;
		log_event(l->peers->agent->log, LOG_INFO, "peer_copied", "peer=%s records=%llu", l->name,
			  (unsigned long long)l->counts.results[PEERS_INSERTED]);
		agent_run_soon(l->peers->agent);
	}
}

/* A number that the peer has not given yet in this epoch; never 0. */
static void ask_anew(struct link *l)
{
	l->wants = l->wants == UINT8_MAX ? 1 : l->wants + 1;
	l->got = l->wants - 1;
	l->missing = 0;
	l->asked_ms = agent_monotonic_ms();
}

/* 0, or what is wrong with it. */
static enum peers_drop judge(struct link *l, const uint8_t *data, size_t length, struct wire_header *ret)
{
	struct peers *p = l->peers;
	const int r = wire_read_header(data, length, ret);

	if (r < 0)
		return r == -EPROTONOSUPPORT ? PEERS_DROP_VERSION : PEERS_DROP_MALFORMED;
	if (ret->sender != l->identity || ret->receiver != p->identity || !seal_fits(p->seal, data, length))
		return PEERS_DROP_AUTHENTICATION;
	return PEERS_DROP_MAX;
}

static void hear(struct link *l, const uint8_t *data, size_t length)
{
	struct peers *p = l->peers;
	const uint64_t now = agent_monotonic_ms();
	enum session_answer answer;
	struct wire_header h;
	enum peers_drop drop;
	int64_t missing;
	bool new;

	l->counts.received++;
	l->counts.received_bytes += length;
	if (!rate_take(&l->receive, now, PEERS_RECEIVE_RATE)) {
		l->counts.drops[PEERS_DROP_RATE]++;
		return;
	}
	drop = judge(l, data, length, &h);
	if (drop != PEERS_DROP_MAX) {
		l->counts.drops[drop]++;
		return;
	}
	/* It knows a later start of ours: the clock went back meanwhile. */
	if (h.echo > p->epoch)
		p->epoch = h.echo + 1;
	answer = session_hear(&l->session, p->epoch, &h, &new, &missing);
	if (new) {
		l->giving = false;
		l->asked = l->gave = 0;
		ask_anew(l);
	}
	if (answer == SESSION_GREETING && (new || now - l->greeted_ms >= PEERS_HELLO_MS / 10))
		link_greet(l);
	if (answer != SESSION_TAKE) {
		if (answer != SESSION_GREETING || h.kind == WIRE_RECORDS)
			l->counts.drops[answer == SESSION_REPLAYED ? PEERS_DROP_REPLAYED : PEERS_DROP_STALE]++;
		return;
	}
	l->heard_ms = now;
	l->missing += missing;
	if (missing > 0)
		l->counts.missing += (uint64_t)missing;
	if (!l->up)
		come_up(l);
	note_copies(l, &h);
	if (h.kind == WIRE_RECORDS)
		records_take(l, data + WIRE_HEADER, length - WIRE_HEADER - WIRE_MAC);
	else if (l->missing > 0 && l->got == l->wants && now - l->asked_ms >= PEERS_ASK_MS)
		ask_anew(l);
}

void links_read(struct peers *p)
{
	for (unsigned i = 0; i < PEERS_TURN; i++) {
		uint8_t data[WIRE_DATAGRAM_MAX + 1]; /* one more: what is too long is seen to be */
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		const ssize_t n = recvfrom(p->fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from, &size);
		struct link *l;

		if (n < 0 && errno != ECONNREFUSED)
			return;
		if (n < 0)
			continue; /* a peer is not there: an answer to what we sent */
		l = link_of(p, &from);
		if (l)
			hear(l, data, (size_t)n);
		else
			p->strangers++;
	}
}
