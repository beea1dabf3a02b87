/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watched destinations: which way the kernel would send, and what of it the program needs to send itself. Called by
 * the agent to watch, by request.c with routes, by neighbour.c and net.c when what a hop is made of has changed. Tells
 * the agent from the loop's turn only.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "net/internal.h"

static struct net_destination *destination_find(const struct net *n, const struct addr *a)
{
	struct table_key key = { .addr = *a };

	return (struct net_destination *)table_find(&n->destination_table, &key);
}

static int route_error(const struct message_route *route)
{
	switch (route->type) {
	case RTN_UNICAST:
	case RTN_LOCAL:
		return 0;
	case RTN_PROHIBIT:
		return EACCES;
	case RTN_BLACKHOLE:
		return EINVAL;
	case RTN_UNREACHABLE:
		return EHOSTUNREACH;
	case RTN_BROADCAST:
	case RTN_ANYCAST:
	case RTN_MULTICAST:
		return EADDRNOTAVAIL;
	default:
		return ENETUNREACH;
	}
}

/* The neighbour's part of a hop that is routed over interface l (NULL = unknown or gone). */
static void hop_neighbour(const struct net_destination *d, const struct net_link *l, struct net_hop *hop)
{
	const struct net_neighbour *nb = d->neighbour;

	hop->state = NET_HOP_UNRESOLVED;
	if (!l) {
		hop->error = ENODEV;
		return;
	}
	if (!l->view.ethernet || d->route.encap) {
		hop->state = NET_HOP_NO_NEIGHBOUR;
		return;
	}
	memcpy(hop->own_mac, l->view.mac, sizeof(hop->own_mac));
	if (!l->view.up) {
		hop->error = ENETDOWN;
		return;
	}
	if (!nb) {
		hop->error = ENOMEM;
		return;
	}
	/* Where nobody is asked, only what an administrator entered counts: the kernel fills in addresses of no meaning. */
	if (!link_has_neighbours(l) && nb->state != NUD_PERMANENT) {
		hop->state = NET_HOP_NO_NEIGHBOUR;
		return;
	}
	if (!nb->known) {
		hop->error = nb->error;
		return;
	}
	hop->state = NET_HOP_RESOLVED;
	memcpy(hop->mac, nb->mac, sizeof(hop->mac));
}

static struct net_hop hop_of(const struct net *n, const struct net_destination *d)
{
	const struct message_route *route = &d->route;
	const struct net_link *l;
	struct net_hop hop = {};

	if (!d->answered)
		return hop;
	hop.error = d->error ? d->error : route_error(route);
	if (hop.error) {
		hop.state = NET_HOP_NO_ROUTE;
		return hop;
	}
	l = link_find(n, route->ifindex);
	hop.ifindex = route->ifindex;
	hop.gateway = route->gateway;
	hop.source = route->source;
	hop.mtu = l ? l->view.mtu : 0;
	if (route->mtu && (!hop.mtu || route->mtu < hop.mtu))
		hop.mtu = route->mtu;
	if (route->type == RTN_LOCAL)
		hop.state = NET_HOP_LOCAL;
	else
		hop_neighbour(d, l, &hop);
	return hop;
}

static bool hop_equal(const struct net_hop *a, const struct net_hop *b)
{
	return a->state == b->state && a->error == b->error && a->ifindex == b->ifindex && a->mtu == b->mtu &&
	       addr_equal(&a->gateway, &b->gateway) && addr_equal(&a->source, &b->source) &&
	       !memcmp(a->mac, b->mac, sizeof(a->mac)) && !memcmp(a->own_mac, b->own_mac, sizeof(a->own_mac));
}

void destination_update(struct net *n, struct net_destination *d)
{
	d->hop = hop_of(n, d);
	if (d->changed || hop_equal(&d->hop, &d->told))
		return;
	d->changed = true;
	TAILQ_INSERT_TAIL(&n->changes, d, changed_entry);
	net_turn_soon(n);
}

void destinations_update(struct net *n)
{
	struct net_destination *d;

	TAILQ_FOREACH(d, &n->destinations, entry)
		destination_update(n, d);
}

void destinations_tell(struct net *n)
{
	struct net_destination *d;
	struct addr addr;

	/* The callback may unwatch this very one, or any other: nothing of d is touched after it. */
	while ((d = TAILQ_FIRST(&n->changes))) {
		TAILQ_REMOVE(&n->changes, d, changed_entry);
		d->changed = false;
		if (hop_equal(&d->hop, &d->told))
			continue;
		d->told = d->hop;
		addr = d->node.key.addr;
		if (n->ops.on_hop) {
			struct net_hop hop = d->hop;

			n->ops.on_hop(&addr, &hop, n->ops.ctx);
		}
	}
}

void destination_enqueue(struct net *n, struct net_destination *d)
{
	if (d->in_flight) {
		/* The answer on its way may be from before what made us ask. */
		d->again = true;
		return;
	}
	if (d->queued)
		return;
	d->queued = true;
	TAILQ_INSERT_TAIL(&n->queries, d, query_entry);
	net_pump_soon(n);
}

static void destination_attach(struct net *n, struct net_destination *d)
{
	const struct message_route *route = &d->route;
	const struct addr *next = route->gateway.family ? &route->gateway : &d->node.key.addr;
	struct net_neighbour *nb = NULL, *old = d->neighbour;

	if (!d->error && route->type == RTN_UNICAST && route->ifindex && !route->encap) {
		nb = neighbour_get(n, route->ifindex, next);
		if (nb && nb == old)
			return;
	}
	neighbour_release(n, d);
	if (nb)
		neighbour_use(n, nb, d);
}

static bool is_temporary(int error)
{
	return error == ENOBUFS || error == ENOMEM || error == EAGAIN || error == EINTR || error == EBUSY;
}

void destination_answered(struct net *n, struct net_destination *d, const struct message_route *route, int error)
{
	if (is_temporary(error)) {
		d->queued = true;
		TAILQ_INSERT_TAIL(&n->queries, d, query_entry);
		net_arm(&n->pump, NET_REQUEST_RETRY_MS);
		return;
	}
	d->answered = true;
	d->error = error;
	d->route = *route;
	destination_attach(n, d);
	destination_update(n, d);
	if (d->again) {
		d->again = false;
		destination_enqueue(n, d);
	}
}

void destinations_requery_soon(struct net *n)
{
	uint64_t now = net_now_ms();
	uint64_t rest = n->requeried_ms + NET_REQUERY_REST_MS + n->destination_table.count / NET_REQUERIES_PER_MS;

	if (TAILQ_EMPTY(&n->destinations) || event_pending(&n->requery, EV_TIMEOUT, NULL))
		return;
	net_arm(&n->requery, rest > now + NET_REQUERY_DELAY_MS ? rest - now : NET_REQUERY_DELAY_MS);
}

void destinations_requery(struct net *n)
{
	struct net_destination *d;

	n->requeried_ms = net_now_ms();
	TAILQ_FOREACH(d, &n->destinations, entry)
		destination_enqueue(n, d);
}

void destinations_refresh(struct net *n)
{
	uint64_t now = net_now_ms();
	struct net_destination *d;

	TAILQ_FOREACH(d, &n->destinations, entry) {
		if (d->asked_ms + NET_ROUTE_AGE_MS > now)
			break;
		destination_enqueue(n, d);
	}
}

static void destination_free(struct net *n, struct net_destination *d)
{
	requests_forget_destination(n, d);
	if (d->queued)
		TAILQ_REMOVE(&n->queries, d, query_entry);
	if (d->changed)
		TAILQ_REMOVE(&n->changes, d, changed_entry);
	neighbour_release(n, d);
	table_remove(&n->destination_table, &d->node);
	TAILQ_REMOVE(&n->destinations, d, entry);
	free(d);
}

void destinations_free(struct net *n)
{
	struct net_destination *d;

	while ((d = TAILQ_FIRST(&n->destinations)))
		destination_free(n, d);
	table_done(&n->destination_table);
}

static bool is_watchable(const struct addr *a)
{
	if (addr_is_unspecified(a))
		return false;
	if (a->family == AF_INET)
		return (a->bytes[0] & 0xf0) != 0xe0 && a->bytes[0] != 0xff;
	/* ff00::/8, fe80::/10 */
	return a->family == AF_INET6 && a->bytes[0] != 0xff && !(a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80);
}

int net_watch(struct net *n, const struct addr *destination)
{
	struct net_destination *d;

	if (!is_watchable(destination))
		return -EINVAL;
	d = destination_find(n, destination);
	if (d) {
		d->watches++;
		return 0;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->node.key.addr = *destination;
	if (table_insert(&n->destination_table, &d->node)) {
		free(d);
		return -ENOMEM;
	}
	d->watches = 1;
	d->asked_ms = net_now_ms();
	TAILQ_INSERT_TAIL(&n->destinations, d, entry);
	destination_enqueue(n, d);
	return 0;
}

void net_unwatch(struct net *n, const struct addr *destination)
{
	struct net_destination *d = destination_find(n, destination);

	if (d && --d->watches == 0)
		destination_free(n, d);
}

bool net_hop(const struct net *n, const struct addr *destination, struct net_hop *ret)
{
	const struct net_destination *d = destination_find(n, destination);

	if (!d)
		return false;
	*ret = d->hop;
	return true;
}

bool net_was_cut_off(const struct net *n, const struct addr *destination, uint64_t since_ms)
{
	const struct net_link *l;
	struct net_hop hop;

	if (!net_hop(n, destination, &hop) || !hop.ifindex)
		return false;
	l = link_find(n, hop.ifindex);
	return l && (!l->view.up || (l->cut_ms && l->cut_ms >= since_ms));
}

const char *net_hop_text(const struct net_hop *hop)
{
	switch (hop->state) {
	case NET_HOP_UNKNOWN:
		return "not known yet";
	case NET_HOP_LOCAL:
		return "an address of this host";
	case NET_HOP_RESOLVED:
		return "resolved";
	case NET_HOP_NO_NEIGHBOUR:
		return "routed over an interface without Ethernet neighbours";
	case NET_HOP_NO_ROUTE:
		return hop->error == EADDRNOTAVAIL ? "a broadcast or anycast address" :
		       hop->error == EACCES	   ? "its route says prohibit" :
		       hop->error == EINVAL	   ? "its route says blackhole" :
						     "no route to it";
	case NET_HOP_UNRESOLVED:
		break;
	}
	switch (hop->error) {
	case 0:
		return "its neighbour is being asked";
	case ENETDOWN:
		return "the interface is down";
	case ENODEV:
		return "the interface is gone";
	case ENOBUFS:
		return "the kernel's neighbour table is full (raise net.ipv4.neigh.default.gc_thresh3, or ipv6's)";
	case EPERM:
		return "asking its neighbour is not permitted (CAP_NET_ADMIN)";
	default:
		return "its neighbour does not answer";
	}
}
