/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions about addresses and the ways to the servers. Called by the table of doctor.c. */
#include <stdio.h>
#include <string.h>

#include "doctor/internal.h"

enum { OUTER4 = 20, OUTER6 = 40 };

struct owner {
	const struct addr *wanted;
	unsigned ifindex;
};

static bool visit_owner(const struct addr *addr, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct owner *o = ctx;

	if (!addr_equal(addr, o->wanted))
		return true;
	o->ifindex = ifindex;
	return false;
}

static bool is_seen_before(const struct model *m, size_t service)
{
	for (size_t i = 0; i < service; i++)
		if (!m->services.items[i].any_addr && addr_equal(&m->services.items[i].addr, &m->services.items[service].addr))
			return true;
	return false;
}

void doctor_address(struct doctor *d)
{
	const struct model *m = d->subject->model;

	for (size_t i = 0; m && i < m->services.count; i++) {
		const struct model_service *s = &m->services.items[i];
		struct owner o = { .wanted = &s->addr };
		const struct net_interface *n;
		char text[ADDR_TEXT_MAX];

		if (s->any_addr || is_seen_before(m, i))
			continue;
		net_addresses(d->net, 0, visit_owner, &o);
		n = o.ifindex ? net_interface_by_index(d->net, o.ifindex) : NULL;
		addr_format(&s->addr, text);
		if (!n)
			doctor_say(d, DOCTOR_NOTE, s->name,
				   doctor_remedy("ip address add %s/%u dev IFACE, unless a router leads it here", text, addr_bits(&s->addr)),
				   "no interface has its address %s: nobody answers ARP or ND for it", text);
		else if (n->ethernet && !doctor_nic_by_index(d, n->ifindex))
			doctor_say(d, DOCTOR_WARN, s->name, doctor_remedy("-i %s, or `interface %s` in global", n->name, n->name),
				   "its address %s is on %s, where nothing is steered", text, n->name);
		else
			doctor_say(d, DOCTOR_OK, s->name, "", "its address %s is on %s", text, n->name);
	}
}

static void say_hop(struct doctor *d, const struct model_backend *b, const struct model_server *s)
{
	char where[DOCTOR_WHERE_MAX], text[ADDR_TEXT_MAX];
	const struct net_interface *n;
	struct net_hop hop;

	doctor_server_name(where, b, s);
	if (!net_hop(d->net, &s->at.addr, &hop))
		return;
	n = hop.ifindex ? net_interface_by_index(d->net, hop.ifindex) : NULL;
	addr_format(&s->at.addr, text);
	if (hop.state == NET_HOP_LOCAL)
		doctor_say(d, DOCTOR_WARN, where, "move the server to another host",
			   "%s is this host's own address: what is steered can't reach it", text);
	else if (hop.state == NET_HOP_NO_NEIGHBOUR)
		doctor_say(d, DOCTOR_WARN, where, "a route to it by an Ethernet interface",
			   "the way to %s is no Ethernet (%s): frames can't be sent there", text, n ? n->name : "-");
	else if (hop.state != NET_HOP_RESOLVED)
		doctor_say(d, DOCTOR_WARN, where,
			   doctor_remedy("`ip route get %s`, `ip neigh show`; is the server on, and on this network?", text),
			   "the way to %s is not known: %s", text, net_hop_text(&hop));
	else if (b->forward == MODEL_DSR && hop.gateway.family)
		doctor_say(d, DOCTOR_FAIL, where, "`forward ipip` for servers behind a router",
			   "%s is behind a router, and `forward dsr` only reaches the own layer 2", text);
	else if (n && !doctor_nic_by_index(d, n->ifindex))
		doctor_say(d, DOCTOR_WARN, where, doctor_remedy("-i %s, or `interface %s` in global", n->name, n->name),
			   "the way to %s leads out by %s, where nothing is steered: its replies are not translated back",
			   text, n->name);
	else
		doctor_say(d, DOCTOR_OK, where, "", "its neighbour has answered on %s", n ? n->name : "-");
}

void doctor_neighbour(struct doctor *d)
{
	const struct model *m = d->subject->model;

	for (size_t b = 0; m && b < m->backends.count; b++)
		for (size_t s = 0; s < m->backends.items[b].servers.count; s++)
			say_hop(d, &m->backends.items[b], &m->backends.items[b].servers.items[s]);
}

/* Room for the outer header: what comes in at full size must fit the way out with it. */
void doctor_mtu(struct doctor *d)
{
	const struct model *m = d->subject->model;
	unsigned in = 0;

	for (size_t i = 0; i < d->nics.count; i++)
		if (d->nics.items[i].device.mtu > in)
			in = d->nics.items[i].device.mtu;
	for (size_t b = 0; m && b < m->backends.count; b++) {
		const struct model_backend *backend = &m->backends.items[b];

		for (size_t i = 0; backend->forward == MODEL_IPIP && i < backend->servers.count; i++) {
			const struct model_server *s = &backend->servers.items[i];
			const unsigned outer = s->at.addr.family == AF_INET6 ? OUTER6 : OUTER4;
			char where[DOCTOR_WHERE_MAX];
			struct net_hop hop;

			if (!net_hop(d->net, &s->at.addr, &hop) || !hop.mtu)
				continue;
			doctor_server_name(where, backend, s);
			if (hop.mtu < in + outer)
				doctor_say(d, DOCTOR_WARN, where,
					   doctor_remedy("an MTU of %u on the way to the servers; or smaller segments: `ip route "
							 "change ... advmss %u` on the servers", in + outer,
							 hop.mtu - outer - (s->at.addr.family == AF_INET6 ? 60 : 40)),
					   "packets of %u bytes come in, and with the outer header's %u only %u fit the way out: "
					   "clients are told (packet too big), and hang where ICMP is filtered", in, outer,
					   hop.mtu - outer);
			else
				doctor_say(d, DOCTOR_OK, where, "", "the way out takes %u bytes, outer header included", hop.mtu);
		}
	}
}
