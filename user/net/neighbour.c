/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Neighbours: what the kernel knows of them, and keeping those that destinations need known. Called by net.c with what
 * the kernel said, by destination.c for use and release, by request.c around a probe. The kernel does the asking; an
 * entry that is permanent or that somebody else looks after is never touched (a probe would strip its flags).
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <stdlib.h>
#include <string.h>

#include "net/internal.h"

/* States in which the kernel itself would send to the entry's address. */
#define NUD_WITH_MAC (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)
#define NUD_FIXED (NUD_PERMANENT | NUD_NOARP)

static void neighbour_due(evutil_socket_t fd, short what, void *arg);

static bool is_used(const struct net_neighbour *nb)
{
	return !LIST_EMPTY(&nb->users);
}

static struct net_neighbour *neighbour_find(const struct net *n, unsigned ifindex, const struct addr *a)
{
	struct table_key key = { .ifindex = ifindex, .addr = *a };

	return (struct net_neighbour *)table_find(&n->neighbour_table, &key);
}

struct net_neighbour *neighbour_get(struct net *n, unsigned ifindex, const struct addr *a)
{
	struct net_neighbour *nb = neighbour_find(n, ifindex, a);

	if (nb)
		return nb;
	nb = calloc(1, sizeof(*nb));
	if (!nb)
		return NULL;
	nb->node.key.ifindex = ifindex;
	nb->node.key.addr = *a;
	nb->net = n;
	nb->epoch = n->dump.epoch;
	if (table_insert(&n->neighbour_table, &nb->node)) {
		free(nb);
		return NULL;
	}
	LIST_INIT(&nb->users);
	TAILQ_INSERT_TAIL(&n->neighbours, nb, entry);
	return nb;
}

static void neighbour_dequeue(struct net *n, struct net_neighbour *nb)
{
	if (nb->queued)
		TAILQ_REMOVE(&n->probes, nb, probe_entry);
	nb->queued = false;
}

static void neighbour_free(struct net *n, struct net_neighbour *nb)
{
	requests_forget_neighbour(n, nb);
	neighbour_dequeue(n, nb);
	if (nb->timer)
		event_free(nb->timer);
	table_remove(&n->neighbour_table, &nb->node);
	TAILQ_REMOVE(&n->neighbours, nb, entry);
	free(nb);
}

void neighbour_enqueue(struct net *n, struct net_neighbour *nb)
{
	if (nb->queued || nb->in_flight)
		return;
	nb->queued = true;
	TAILQ_INSERT_TAIL(&n->probes, nb, probe_entry);
	net_pump_soon(n);
}

enum request_kind neighbour_request(const struct net *n, const struct net_neighbour *nb)
{
	const struct net_link *l = link_find(n, nb->node.key.ifindex);

	if (!is_used(nb) || !l || !l->view.up || !link_has_neighbours(l))
		return REQUEST_FREE;
	if (nb->state && (nb->tended || nb->state & NUD_FIXED))
		return REQUEST_FREE;
	return nb->state & NUD_WITH_MAC ? REQUEST_PROBE : REQUEST_USE;
}

static void ask_after(struct net_neighbour *nb, unsigned ms)
{
	if (!nb->timer)
		return;
	if (ms)
		net_arm(nb->timer, ms);
	else
		neighbour_due(-1, 0, nb);
}

/* The first time at once, then after 200 ms, 400 ms ... 5 s, until it is reachable. */
static void ask_again(struct net_neighbour *nb)
{
	unsigned delay = nb->backoff_ms;

	nb->backoff_ms = delay ? delay * 2 : NET_BACKOFF_MIN_MS;
	if (nb->backoff_ms > NET_BACKOFF_MAX_MS)
		nb->backoff_ms = NET_BACKOFF_MAX_MS;
	ask_after(nb, delay);
}

static void confirm_later(struct net *n, struct net_neighbour *nb)
{
	ask_after(nb, NET_CONFIRM_MIN_MS + net_random(n, NET_CONFIRM_MIN_MS));
}

static void neighbour_due(evutil_socket_t fd, short what, void *arg)
{
	struct net_neighbour *nb = arg;

	event_del(nb->timer);
	neighbour_enqueue(nb->net, nb);
}

/* When to ask it next, after its state may have changed from old. */
static void neighbour_schedule(struct net *n, struct net_neighbour *nb, uint16_t old, bool moved)
{
	bool pending;

	if (!nb->timer)
		return;
	if (neighbour_request(n, nb) == REQUEST_FREE) {
		event_del(nb->timer);
		neighbour_dequeue(n, nb);
		return;
	}
	pending = nb->queued || nb->in_flight || event_pending(nb->timer, EV_TIMEOUT, NULL);
	if (nb->state & NUD_WITH_MAC) {
		if (nb->state == NUD_STALE && (moved || !pending))
			ask_after(nb, 1 + net_random(n, NET_DOUBT_MAX_MS));
		else if ((nb->state == NUD_REACHABLE && old != NUD_REACHABLE) || !pending)
			confirm_later(n, nb);
	} else if (nb->state & NUD_INCOMPLETE) {
		/* The kernel is at it; it says so when it gives up, but that may be lost. */
		if (!pending)
			ask_after(nb, NET_BACKOFF_MAX_MS);
	} else if (!pending || old != nb->state) {
		ask_again(nb);
	}
}

static void neighbour_tell(struct net *n, struct net_neighbour *nb)
{
	struct net_destination *d;

	LIST_FOREACH(d, &nb->users, user_entry)
		destination_update(n, d);
}

void neighbour_use(struct net *n, struct net_neighbour *nb, struct net_destination *d)
{
	bool first = !is_used(nb);

	d->neighbour = nb;
	LIST_INSERT_HEAD(&nb->users, d, user_entry);
	if (!first)
		return;
	if (!nb->timer)
		nb->timer = evtimer_new(n->base, neighbour_due, nb);
	if (!nb->timer)
		nb->error = ENOMEM;
	nb->backoff_ms = 0;
	neighbour_schedule(n, nb, nb->state, false);
}

void neighbour_release(struct net *n, struct net_destination *d)
{
	struct net_neighbour *nb = d->neighbour;

	if (!nb)
		return;
	LIST_REMOVE(d, user_entry);
	d->neighbour = NULL;
	if (is_used(nb))
		return;
	if (!nb->state) {
		neighbour_free(n, nb);
		return;
	}
	if (nb->timer)
		event_del(nb->timer);
	neighbour_dequeue(n, nb);
	/* What was only remembered past the kernel's own doubt is not for the next who needs it. */
	if (!(nb->state & NUD_WITH_MAC))
		nb->known = false;
}

void neighbour_heard(struct net *n, const struct message_neighbour *m)
{
	struct net_neighbour *nb = neighbour_get(n, m->ifindex, &m->addr);
	uint16_t old;
	bool moved = false;

	if (!nb) {
		net_arm(&n->resync, NET_TICK_MS);
		return;
	}
	old = nb->state;
	nb->state = m->state;
	nb->tended = m->managed || m->flags & NTF_EXT_LEARNED;
	nb->epoch = n->dump.epoch;
	if (m->state & NUD_WITH_MAC && m->has_mac) {
		moved = !nb->known || memcmp(nb->mac, m->mac, sizeof(nb->mac));
		memcpy(nb->mac, m->mac, sizeof(nb->mac));
		nb->known = true;
		nb->failures = 0;
		nb->error = 0;
		if (m->state & (NUD_REACHABLE | NUD_FIXED))
			nb->backoff_ms = 0;
	} else if (m->state & NUD_FAILED && old != NUD_FAILED) {
		/*
		 * The first failure is of unicast probes to the MAC that was known, the next one of broadcasts. That of
		 * a fixed entry is its removal: an administrator's word, which he took back.
		 */
		if (++nb->failures > 1 || !nb->known || !is_used(nb) || old & NUD_FIXED) {
			nb->known = false;
			nb->error = old & NUD_FIXED ? 0 : EHOSTUNREACH;
		}
	}
	neighbour_tell(n, nb);
	neighbour_schedule(n, nb, old, moved);
}

static void neighbour_lost(struct net *n, struct net_neighbour *nb)
{
	uint16_t old = nb->state;

	nb->state = 0;
	nb->tended = false;
	if (!is_used(nb)) {
		neighbour_free(n, nb);
		return;
	}
	if (old & NUD_FIXED)
		nb->known = false;
	neighbour_tell(n, nb);
	neighbour_schedule(n, nb, old, false);
}

void neighbour_gone(struct net *n, const struct message_neighbour *m)
{
	struct net_neighbour *nb = neighbour_find(n, m->ifindex, &m->addr);

	if (nb)
		neighbour_lost(n, nb);
}

void neighbours_sweep(struct net *n)
{
	struct net_neighbour *nb, *next;

	for (nb = TAILQ_FIRST(&n->neighbours); nb; nb = next) {
		next = TAILQ_NEXT(nb, entry);
		if (nb->state && nb->epoch != n->dump.epoch)
			neighbour_lost(n, nb);
	}
}

void neighbours_of_link_gone(struct net *n, unsigned ifindex)
{
	struct net_neighbour *nb, *next;

	for (nb = TAILQ_FIRST(&n->neighbours); nb; nb = next) {
		next = TAILQ_NEXT(nb, entry);
		if (nb->node.key.ifindex != ifindex)
			continue;
		nb->known = false;
		neighbour_lost(n, nb);
	}
}

void neighbours_recheck(struct net *n)
{
	struct net_neighbour *nb;

	TAILQ_FOREACH(nb, &n->neighbours, entry)
		if (is_used(nb))
			neighbour_schedule(n, nb, nb->state, false);
}

void neighbour_answered(struct net *n, struct net_neighbour *nb, enum request_kind kind, int error)
{
	if (!error) {
		/* Set off without a notification; what came of it may have been heard already. */
		if (kind == REQUEST_USE && !(nb->state & ~NUD_FAILED))
			nb->state = NUD_INCOMPLETE;
		neighbour_schedule(n, nb, nb->state, false);
		return;
	}
	if (kind == REQUEST_PROBE && (error == ENOENT || error == EINVAL)) {
		/* It was gone or without a MAC by then: the notification of that is on its way, if it was not lost. */
		nb->state = 0;
		ask_again(nb);
		return;
	}
	if (!nb->known && nb->error != error) {
		nb->error = error;
		neighbour_tell(n, nb);
	}
	if (!nb->backoff_ms)
		nb->backoff_ms = NET_BACKOFF_MIN_MS;
	ask_again(nb);
}

void neighbours_free(struct net *n)
{
	struct net_neighbour *nb;

	while ((nb = TAILQ_FIRST(&n->neighbours)))
		neighbour_free(n, nb);
	table_done(&n->neighbour_table);
}
