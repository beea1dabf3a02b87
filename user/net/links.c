/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces and addresses. Called by net.c with what the kernel said, and by the agent's look-ups. Decides what is a
 * change worth telling; a repetition (a lifetime refreshed, a counter) is none.
 */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include "net/internal.h"

/* For loops that remove what they visit; sys/queue.h of glibc lacks it. */
#define EACH_SAFE(item, list, entry, next) \
	for ((item) = TAILQ_FIRST(list); (item) && ((next) = TAILQ_NEXT(item, entry), true); (item) = (next))

static void links_changed(struct net *n)
{
	n->links_changed = true;
	n->hops_stale = true;
	net_turn_soon(n);
	/* An interface that goes down takes its IPv4 routes along without a word about them. */
	destinations_requery_soon(n);
}

struct net_link *link_find(const struct net *n, unsigned ifindex)
{
	struct table_key key = { .ifindex = ifindex };

	return (struct net_link *)table_find(&n->link_table, &key);
}

bool link_has_neighbours(const struct net_link *l)
{
	return l->view.ethernet && !(l->flags & (IFF_NOARP | IFF_LOOPBACK | IFF_POINTOPOINT));
}

static bool interface_equal(const struct net_interface *a, const struct net_interface *b)
{
	return a->mtu == b->mtu && a->xdp == b->xdp && a->up == b->up && a->ethernet == b->ethernet &&
	       a->bond == b->bond && a->master == b->master && a->below == b->below &&
	       !memcmp(a->permanent_mac, b->permanent_mac, sizeof(a->permanent_mac)) && !strcmp(a->name, b->name) && !memcmp(a->mac, b->mac, sizeof(a->mac));
}

void link_heard(struct net *n, const struct message_link *m)
{
	enum { FLAGS_USED = IFF_NOARP | IFF_LOOPBACK | IFF_POINTOPOINT };
	struct net_link *l = link_find(n, m->ifindex);
	struct net_interface view = {
		.ifindex = m->ifindex,
		.mtu = m->mtu,
		.xdp = m->xdp,
		.up = (m->flags & IFF_UP) && (m->flags & IFF_LOWER_UP),
		.ethernet = m->type == ARPHRD_ETHER && m->has_mac,
		.bond = m->bond,
		.master = m->master,
		.below = m->below,
	};

	memcpy(view.name, m->name, sizeof(view.name));
	if (view.ethernet)
		memcpy(view.mac, m->mac, sizeof(view.mac));
	if (view.ethernet && m->has_permanent_mac)
		memcpy(view.permanent_mac, m->permanent_mac, sizeof(view.permanent_mac));
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			goto no_memory;
		l->node.key.ifindex = m->ifindex;
		if (table_insert(&n->link_table, &l->node)) {
			free(l);
			goto no_memory;
		}
		TAILQ_INSERT_TAIL(&n->links, l, entry);
	} else if (interface_equal(&l->view, &view) && !((l->flags ^ m->flags) & FLAGS_USED)) {
		l->epoch = n->dump.epoch;
		return;
	}
	if (view.up && !l->view.up && l->view.ifindex)
		l->cut_ms = net_now_ms();
	l->view = view;
	l->flags = m->flags;
	l->epoch = n->dump.epoch;
	links_changed(n);
	return;
no_memory:
	net_arm(&n->resync, NET_TICK_MS);
}

static void link_remove(struct net *n, struct net_link *l)
{
	unsigned ifindex = l->view.ifindex;
	struct net_address *a, *next;

	table_remove(&n->link_table, &l->node);
	TAILQ_REMOVE(&n->links, l, entry);
	free(l);
	EACH_SAFE(a, &n->addresses, entry, next) {
		if (a->node.key.ifindex != ifindex)
			continue;
		table_remove(&n->address_table, &a->node);
		TAILQ_REMOVE(&n->addresses, a, entry);
		free(a);
	}
	neighbours_of_link_gone(n, ifindex);
	links_changed(n);
}

void link_gone(struct net *n, unsigned ifindex)
{
	struct net_link *l = link_find(n, ifindex);

	if (l)
		link_remove(n, l);
}

void links_sweep(struct net *n)
{
	struct net_link *l, *next;

	EACH_SAFE(l, &n->links, entry, next)
		if (l->epoch != n->dump.epoch)
			link_remove(n, l);
}

static struct table_key address_key(const struct message_address *m)
{
	return (struct table_key){ .ifindex = m->ifindex, .prefix = m->prefix, .addr = m->addr, .peer = m->peer };
}

void address_heard(struct net *n, const struct message_address *m)
{
	struct table_key key = address_key(m);
	struct net_address *a = (struct net_address *)table_find(&n->address_table, &key);
	bool ready = !(m->flags & IFA_F_DADFAILED) && (!(m->flags & IFA_F_TENTATIVE) || m->flags & IFA_F_OPTIMISTIC);
	bool was_ready = a && a->ready;

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a)
			goto no_memory;
		a->node.key = key;
		if (table_insert(&n->address_table, &a->node)) {
			free(a);
			goto no_memory;
		}
		TAILQ_INSERT_TAIL(&n->addresses, a, entry);
	}
	a->ready = ready;
	a->protocol = m->protocol;
	a->epoch = n->dump.epoch;
	if (ready != was_ready)
		links_changed(n);
	return;
no_memory:
	net_arm(&n->resync, NET_TICK_MS);
}

static void address_remove(struct net *n, struct net_address *a)
{
	bool was_ready = a->ready;

	table_remove(&n->address_table, &a->node);
	TAILQ_REMOVE(&n->addresses, a, entry);
	free(a);
	if (was_ready)
		links_changed(n);
}

void address_gone(struct net *n, const struct message_address *m)
{
	struct table_key key = address_key(m);
	struct net_address *a = (struct net_address *)table_find(&n->address_table, &key);

	if (a)
		address_remove(n, a);
}

void addresses_sweep(struct net *n)
{
	struct net_address *a, *next;

	EACH_SAFE(a, &n->addresses, entry, next)
		if (a->epoch != n->dump.epoch)
			address_remove(n, a);
}

void links_free(struct net *n)
{
	struct net_address *a;
	struct net_link *l;

	while ((a = TAILQ_FIRST(&n->addresses))) {
		TAILQ_REMOVE(&n->addresses, a, entry);
		free(a);
	}
	while ((l = TAILQ_FIRST(&n->links))) {
		TAILQ_REMOVE(&n->links, l, entry);
		free(l);
	}
	table_done(&n->address_table);
	table_done(&n->link_table);
}

const struct net_interface *net_interface_by_name(const struct net *n, const char *name)
{
	struct net_link *l;

	TAILQ_FOREACH(l, &n->links, entry)
		if (!strcmp(l->view.name, name))
			return &l->view;
	return NULL;
}

const struct net_interface *net_interface_by_index(const struct net *n, unsigned ifindex)
{
	struct net_link *l = link_find(n, ifindex);

	return l ? &l->view : NULL;
}

void net_interfaces(const struct net *n, bool (*visit)(const struct net_interface *i, void *ctx), void *ctx)
{
	struct net_link *l;

	TAILQ_FOREACH(l, &n->links, entry)
		if (!visit(&l->view, ctx))
			return;
}

void net_addresses(const struct net *n, unsigned ifindex,
		   bool (*visit)(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx), void *ctx)
{
	struct net_address *a;

	TAILQ_FOREACH(a, &n->addresses, entry) {
		if (!a->ready || (ifindex && a->node.key.ifindex != ifindex))
			continue;
		if (!visit(&a->node.key.addr, a->node.key.ifindex, a->node.key.prefix, ctx))
			return;
	}
}
