/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/macs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct collection {
	const unsigned *attached;
	size_t attached_count;
	struct vec(unsigned) members; /* ifindexes of the others */
	size_t sorted;                /* so many of them are in order */
	struct macs *macs;
	bool failed;
};

static int compare_indexes(const void *a, const void *b)
{
	const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

static bool is_attached(const struct collection *c, unsigned ifindex)
{
	for (size_t i = 0; i < c->attached_count; i++)
		if (c->attached[i] == ifindex)
			return true;
	return false;
}

static bool is_member(const struct collection *c, unsigned ifindex)
{
	return is_attached(c, ifindex) ||
	       (c->sorted && bsearch(&ifindex, c->members.items, c->sorted, sizeof(ifindex), compare_indexes));
}

/* Those found in a pass count from the next one on. */
static void add_member(struct collection *c, unsigned ifindex)
{
	unsigned *new;

	if (is_member(c, ifindex))
		return;
	new = vec_push(&c->members);
	if (new)
		*new = ifindex;
	else
		c->failed = true;
}

static bool visit_relations(const struct net_interface *i, void *ctx)
{
	struct collection *c = ctx;

	if ((i->below && is_member(c, i->below)) || (i->bond && is_attached(c, i->bond)))
		add_member(c, i->ifindex);
	if (i->master && is_member(c, i->ifindex))
		add_member(c, i->master);
	return !c->failed;
}

static void sort_members(struct collection *c)
{
	size_t kept = 0;

	if (!c->members.count)
		return;
	qsort(c->members.items, c->members.count, sizeof(*c->members.items), compare_indexes);
	for (size_t i = 0; i < c->members.count; i++)
		if (!i || c->members.items[i] != c->members.items[i - 1])
			c->members.items[kept++] = c->members.items[i];
	c->members.count = c->sorted = kept;
}

static void add_mac(struct collection *c, const uint8_t mac[6])
{
	static const uint8_t none[6];
	struct mac *new;

	if (memcmp(mac, none, sizeof(none)) == 0)
		return;
	new = vec_push(c->macs);
	if (new)
		memcpy(new->bytes, mac, sizeof(new->bytes));
	else
		c->failed = true;
}

static void add_macs(struct collection *c, const struct net_interface *i)
{
	if (!i || !i->ethernet)
		return;
	add_mac(c, i->mac);
	/* A bond's address may become that of another port. */
	if (i->bond)
		add_mac(c, i->permanent_mac);
}

int macs_collect(const struct net *n, const unsigned *ifindexes, size_t count, struct macs *ret)
{
	struct collection c = { .attached = ifindexes, .attached_count = count, .macs = ret };
	size_t before;

	ret->count = 0;
	for (size_t i = 0; i < count; i++) {
		const struct net_interface *nic = net_interface_by_index(n, ifindexes[i]);

		if (!nic || !nic->ethernet)
			return 0;
	}
	do {
		before = c.members.count;
		net_interfaces(n, visit_relations, &c);
		sort_members(&c);
	} while (!c.failed && c.members.count > before);
	for (size_t i = 0; i < count; i++)
		add_macs(&c, net_interface_by_index(n, ifindexes[i]));
	for (size_t i = 0; i < c.members.count; i++)
		add_macs(&c, net_interface_by_index(n, c.members.items[i]));
	vec_done(&c.members);
	return c.failed ? -ENOMEM : 0;
}
