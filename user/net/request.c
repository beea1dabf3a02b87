/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Questions to the kernel in flight: routes asked for, neighbours set off; sent in batches, paced, matched by sequence
 * number. Called by net.c's events. Says nothing to the agent and judges no answer: destination.c and neighbour.c do.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include "net/internal.h"

void requests_init(struct net *n, size_t socket_buffer)
{
	size_t limit = socket_buffer / NET_REPLY_SIZE;

	/* An answer that does not fit the socket's buffer is lost: never more in flight than fit. */
	n->flight_limit = limit < 1 ? 1 : limit > NET_REQUESTS_MAX ? NET_REQUESTS_MAX : limit;
	n->generation = 1;
	for (unsigned i = 0; i < NET_REQUESTS_MAX; i++)
		n->free_flights[n->free_count++] = i;
}

static struct net_request *flight_take(struct net *n, enum request_kind kind)
{
	struct net_request *r;
	unsigned slot;

	if (NET_REQUESTS_MAX - n->free_count >= n->flight_limit)
		return NULL;
	slot = n->free_flights[--n->free_count];
	r = &n->flights[slot];
	*r = (struct net_request){
		.kind = kind,
		.seq = n->generation++ * NET_REQUESTS_MAX | slot,
		.sent_ms = net_now_ms(),
	};
	/* Sequence number 0 is what notifications carry. */
	if (n->generation >= UINT32_MAX / NET_REQUESTS_MAX)
		n->generation = 1;
	return r;
}

static void flight_free(struct net *n, struct net_request *r)
{
	if (r->destination)
		r->destination->in_flight = false;
	if (r->neighbour)
		r->neighbour->in_flight = false;
	r->kind = REQUEST_FREE;
	r->destination = NULL;
	r->neighbour = NULL;
	n->free_flights[n->free_count++] = r - n->flights;
}

/* Puts back what a failed send or a lost answer left undone. */
static void flight_return(struct net *n, struct net_request *r)
{
	struct net_destination *d = r->destination;
	struct net_neighbour *nb = r->neighbour;

	flight_free(n, r);
	if (d)
		destination_enqueue(n, d);
	if (nb)
		neighbour_enqueue(n, nb);
}

void requests_lost(struct net *n, uint64_t sent_before_ms)
{
	for (unsigned i = 0; i < NET_REQUESTS_MAX; i++)
		if (n->flights[i].kind != REQUEST_FREE && n->flights[i].sent_ms < sent_before_ms)
			flight_return(n, &n->flights[i]);
}

void requests_forget_destination(struct net *n, const struct net_destination *d)
{
	for (unsigned i = 0; d->in_flight && i < NET_REQUESTS_MAX; i++)
		if (n->flights[i].destination == d)
			n->flights[i].destination = NULL;
}

void requests_forget_neighbour(struct net *n, const struct net_neighbour *nb)
{
	for (unsigned i = 0; nb->in_flight && i < NET_REQUESTS_MAX; i++)
		if (n->flights[i].neighbour == nb)
			n->flights[i].neighbour = NULL;
}

/* Writes the next route question to buf; 0 when there is none or no slot. */
static size_t route_next(struct net *n, void *buf)
{
	struct net_destination *d = TAILQ_FIRST(&n->queries);
	struct net_request *r;

	if (!d)
		return 0;
	r = flight_take(n, REQUEST_ROUTE);
	if (!r)
		return 0;
	TAILQ_REMOVE(&n->queries, d, query_entry);
	d->queued = false;
	d->in_flight = true;
	d->asked_ms = r->sent_ms;
	TAILQ_REMOVE(&n->destinations, d, entry);
	TAILQ_INSERT_TAIL(&n->destinations, d, entry);
	r->destination = d;
	n->stats.queries++;
	return message_write_route_get(buf, r->seq, &d->node.key.addr);
}

static bool probe_token(struct net *n)
{
	uint64_t now = net_now_ms();
	uint64_t tokens = n->probe_tokens + (now - n->probe_tokens_ms) * NET_PROBES_PER_MS;

	n->probe_tokens = tokens > NET_PROBES_BURST ? NET_PROBES_BURST : tokens;
	n->probe_tokens_ms = now;
	if (!n->probe_tokens) {
		net_arm(&n->pump, NET_PROBE_WAIT_MS);
		return false;
	}
	n->probe_tokens--;
	return true;
}

static size_t probe_next(struct net *n, void *buf)
{
	struct net_neighbour *nb;
	struct net_request *r;
	enum request_kind kind;

	while ((nb = TAILQ_FIRST(&n->probes))) {
		kind = neighbour_request(n, nb);
		r = NULL;
		if (kind != REQUEST_FREE && probe_token(n))
			r = flight_take(n, kind);
		if (kind != REQUEST_FREE && !r)
			return 0;
		TAILQ_REMOVE(&n->probes, nb, probe_entry);
		nb->queued = false;
		if (!r)
			continue;
		nb->in_flight = true;
		r->neighbour = nb;
		n->stats.probes++;
		if (kind == REQUEST_USE)
			return message_write_neighbour_use(buf, r->seq, nb->node.key.ifindex, &nb->node.key.addr);
		return message_write_neighbour_probe(buf, r->seq, nb->node.key.ifindex, &nb->node.key.addr);
	}
	return 0;
}

void requests_send(struct net *n)
{
	_Alignas(struct nlmsghdr) char batch[NET_BATCH_MAX * MESSAGE_REQUEST_MAX];
	size_t length, written;
	unsigned count;

	do {
		length = 0;
		for (count = 0; count < NET_BATCH_MAX; count++) {
			written = route_next(n, batch + length);
			if (!written)
				written = probe_next(n, batch + length);
			if (!written)
				break;
			length += MNL_ALIGN(written);
		}
		if (length && mnl_socket_sendto(n->requests, batch, length) < 0) {
			requests_lost(n, UINT64_MAX);
			event_del(&n->pump); /* which queueing them has woken: not before the kernel had time */
			net_arm(&n->pump, NET_REQUEST_RETRY_MS);
			return;
		}
	} while (count == NET_BATCH_MAX);
}

static int request_now(struct net *n, struct net_request *r, const void *message, size_t length)
{
	if (mnl_socket_sendto(n->requests, message, length) >= 0)
		return 0;
	flight_free(n, r);
	return -errno;
}

int requests_claim(struct net *n, unsigned ifindex, const struct addr *a, bool replace, uint32_t valid_s)
{
	_Alignas(struct nlmsghdr) char message[MESSAGE_REQUEST_MAX];
	struct net_request *r = flight_take(n, REQUEST_CLAIM);

	if (!r)
		return -EAGAIN;
	r->claim = *a;
	return request_now(n, r, message, message_write_address(message, r->seq, ifindex, a, replace, valid_s,
								NET_CLAIM_PROTOCOL));
}

int requests_disclaim(struct net *n, unsigned ifindex, const struct addr *a)
{
	_Alignas(struct nlmsghdr) char message[MESSAGE_REQUEST_MAX];
	struct net_request *r = flight_take(n, REQUEST_DISCLAIM);

	if (!r)
		return -EAGAIN;
	r->claim = *a;
	return request_now(n, r, message, message_write_address_remove(message, r->seq, ifindex, a));
}

static void request_answered(struct net *n, const struct nlmsghdr *m)
{
	struct net_request *r = &n->flights[m->nlmsg_seq % NET_REQUESTS_MAX];
	struct net_destination *d = r->destination;
	struct net_neighbour *nb = r->neighbour;
	enum request_kind kind = r->kind;
	const struct addr claim = r->claim;
	struct message_route route = {};
	int error = 0;

	if (kind == REQUEST_FREE || r->seq != m->nlmsg_seq)
		return; /* given up before it came */
	if (m->nlmsg_type == NLMSG_ERROR && message_read_error(m, &error))
		error = EBADMSG;
	else if (m->nlmsg_type != NLMSG_ERROR && message_read_route(m, &route))
		error = EBADMSG;
	if (error == EBADMSG)
		n->stats.malformed++;
	flight_free(n, r);
	if ((kind == REQUEST_CLAIM || kind == REQUEST_DISCLAIM) && n->ops.on_claim)
		n->ops.on_claim(&claim, kind == REQUEST_CLAIM, error, n->ops.ctx);
	if (d)
		destination_answered(n, d, &route, error);
	if (nb)
		neighbour_answered(n, nb, kind, error);
}

void requests_read(struct net *n)
{
	for (unsigned i = 0; i < NET_READS_A_TURN; i++) {
		ssize_t length = net_receive(n, n->requests);
		int left;

		if (length == -ENOBUFS || length == -EMSGSIZE) {
			n->stats.overruns++;
			n->flight_limit = n->flight_limit > 1 ? n->flight_limit / 2 : 1;
			requests_lost(n, UINT64_MAX);
			continue;
		}
		if (length < 0)
			break;
		left = length;
		for (struct nlmsghdr *m = (struct nlmsghdr *)n->buffer; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
			request_answered(n, m);
	}
	net_pump_soon(n);
}
