/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A data plane of the bench's own, laid out by hand: services, servers, slots, own ports, written into the maps as the
 * agent would write them. Included by tests/bench/packet.c only. Attaches to nothing; its instance is removed at the
 * end.
 *
 * A site is one backend with its services: all of one family, protocol and way of forwarding. Sites of one world share
 * the flow table and nothing else. Addresses are numbers (SITE_* below), in IPv6 the last 32 bits behind a prefix.
 */
#ifndef BENCH_WORLD_H
#define BENCH_WORLD_H

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "dataplane/dataplane.h"
#include "table/access.h"
#include "table/maglev.h"
#include "table/services.h"
#include "table/smooth.h"

#define SITE_SERVICE(number) (0xc6120001U + ((number) << 8)) /* 198.18.NUMBER.1 */
#define SITE_OWN(number)     (0xc6120002U + ((number) << 8)) /* 198.18.NUMBER.2 */
#define SITE_SERVER(number)  (0x0a000000U + ((number) << 16)) /* 10.NUMBER.0.0 and on */
#define SITE_CLIENT          0x64400000U                     /* 100.64.0.0 and on */
#define SITE_OUTER           0xac100000U                     /* 172.16.0.0 and on: outer source of ipip */
#define SITE_NOBODY          0xc6130001U                     /* 198.19.0.1: nobody's */

enum {
	SITE_PORT = 40000,        /* of a site's first service; the others follow */
	SITE_SERVER_PORT = 8080,
	SITE_CLIENT_PORT = 1024,
	/*
	 * Own ports: about the default range, but a prime number of them. Flow i goes to server i % servers from the
	 * pool's port i % SITE_OWN_PORTS, and up to a million flows no pair comes twice: a reply's ends follow from i.
	 */
	SITE_OWN_LOW = 10240,
	SITE_OWN_PORTS = 22501,
	SITE_OWN_HIGH = SITE_OWN_LOW + SITE_OWN_PORTS - 1,
	SITE_MTU = 1500,
	SITE_OUTER_BITS = 16,
	SITE_NETWORK_SHIFT = 16,  /* the networks that may not connect lie so far from each other, as numbers ... */
	SITE_NETWORK_SIZE = 8,    /* ... and have so many bits */
	SITE_RATE_S = 10,
	WORLD_LOOPBACK = 1,       /* the NIC that a test run's packets come from, and so the way out */
};

/* Last byte of the first half of the addresses' prefix 2001:db8:N::. */
enum site_net { SITE_NET_CLIENT = 1, SITE_NET_SERVICE, SITE_NET_SERVER };

struct site_kind {
	bool v6;
	uint8_t protocol;
	enum abi_forward forward;
	enum abi_balance balance;
	uint32_t services, servers;
	uint32_t own_addresses;   /* nat: that have the ports; 0 = one, as STREAM_REPLY takes it */
	bool dirty;               /* every slot has just changed owner */
	uint32_t networks;        /* that may not connect; no client is in one */
	bool rate;                /* connections of each source are counted, and never too many */
};

struct site {
	struct site_kind kind;
	uint32_t number;
	uint32_t slots;
};

struct world {
	struct dataplane *d;
	struct dataplane_maps *m;
	struct vec(struct services_entry) entries;
	struct vec(uint32_t) pools; /* where each one's counter is */
	unsigned size4_log2, size6_log2; /* of the service tables */
	uint32_t sites, services, servers, addresses, slots, ports, bounds4, bounds6; /* how many are in use */
};

static const uint8_t world_own_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };
static const uint8_t world_peer_mac[6] = { 0x02, 0, 0, 0, 0, 0x02 };

/* The 16 bytes of an address in IPv6; of IPv4 the number in the first 4. */
static void site_address(bool v6, enum site_net net, uint32_t number, uint8_t ret[16])
{
	const uint32_t last = htonl(number);

	memset(ret, 0, 16);
	if (!v6) {
		memcpy(ret, &last, 4);
		return;
	}
	memcpy(ret, (const uint8_t[]){ 0x20, 0x01, 0x0d, 0xb8, 0, net }, 6);
	memcpy(ret + 12, &last, 4);
}

static int world_open(struct world *w, const char *name, uint32_t buckets4, uint32_t buckets6)
{
	const struct dataplane_options options = {
		.name = name, .buckets4 = buckets4, .buckets6 = buckets6, .fresh = true,
		/* As the agent loads it for a configuration with all that is measured, and nothing else. */
		.switches = { .without_transparent = true, .without_quic = true },
	};
	char error[DATAPLANE_ERROR_MAX] = "";
	int r = dataplane_open(&options, &w->d, error);

	if (r < 0) {
		fprintf(stderr, "bench: %s\n", error);
		return r;
	}
	w->m = dataplane_maps(w->d);
	w->servers = w->addresses = 1; /* 0 = none */
	return 0;
}

static void world_close(struct world *w)
{
	dataplane_close(w->d, false);
	vec_done(&w->entries);
	vec_done(&w->pools);
}

static int world_add_address(struct world *w, const uint8_t address[16], uint16_t *ret_id)
{
	if (w->addresses == MAX_ADDRESSES)
		return -ENOSPC;
	memcpy(w->m->addresses[w->addresses].addr, address, 16);
	*ret_id = w->addresses++;
	return 0;
}

static int world_add_entry(struct world *w, const struct site *site, uint32_t number, uint16_t port, uint8_t protocol,
			   uint8_t kind, uint32_t service, uint16_t address)
{
	struct services_entry *e = vec_push(&w->entries);

	if (!e)
		return -ENOMEM;
	e->addr.family = site->kind.v6 ? AF_INET6 : AF_INET;
	site_address(site->kind.v6, SITE_NET_SERVICE, number, e->addr.bytes);
	e->port = port;
	e->protocol = protocol;
	e->kind = kind;
	e->service = service;
	e->address = address;
	return 0;
}

/* One own address and its ports. */
static int world_add_own(struct world *w, const struct site *site, uint32_t number)
{
	uint8_t address[16];
	uint16_t id;
	int r;

	if (w->ports + SITE_OWN_PORTS > w->m->port_count)
		return -ENOSPC;
	site_address(site->kind.v6, SITE_NET_SERVICE, number, address);
	r = world_add_address(w, address, &id);
	if (r == 0)
		r = world_add_entry(w, site, number, 0, 0, ENTRY_OWN, 0, id);
	for (uint32_t i = 0; r == 0 && i < SITE_OWN_PORTS; i++) {
		struct own_port *own = &w->m->ports[w->ports++];

		own->address = id;
		own->port = htons(SITE_OWN_LOW + i);
	}
	return r;
}

static uint32_t site_own_addresses(const struct site *site)
{
	return site->kind.own_addresses ? site->kind.own_addresses : 1;
}

/* The own addresses' ports, behind the counter that deals them; shared by the site's servers. */
static int world_add_pool(struct world *w, const struct site *site, uint32_t *ret_offset)
{
	uint32_t *pool = vec_push(&w->pools);
	int r = 0;

	if (!pool)
		return -ENOMEM;
	if (w->ports >= w->m->port_count)
		return -ENOSPC;
	*ret_offset = *pool = w->ports++; /* the program's counter */
	for (uint32_t i = 0; r == 0 && i < site_own_addresses(site); i++)
		r = world_add_own(w, site, SITE_OWN(site->number) + i);
	return r;
}

/* The prepared outer header of ipip, of the server's family; its source's low 16 bits are the flow's hash. */
static void world_write_outer(const struct site *site, struct server *s)
{
	uint16_t words[4];

	site_address(site->kind.v6, SITE_NET_SERVICE, SITE_OUTER, (uint8_t *)s->outer_source);
	s->outer = site->kind.v6 ? 6 : 4;
	s->outer_bits = SITE_OUTER_BITS;
	s->mtu = SITE_MTU - (site->kind.v6 ? 40 : 20);
	s->outer_sum = htons(0x4000); /* DF */
	memcpy(words, s->outer_source, 4);
	memcpy(words + 2, s->addr, 4);
	for (int i = 0; i < 4 && !site->kind.v6; i++)
		s->outer_sum += words[i];
}

static void world_write_server(struct world *w, const struct site *site, uint32_t index, uint32_t pool_offset)
{
	const bool nat = site->kind.forward == FORWARD_NAT;
	struct server *s = &w->m->servers[w->servers + index];
	uint64_t mac = 0;

	memcpy(&mac, (const uint8_t[]){ 0x02, 0x01, site->number, 0, index >> 8, index }, 6);
	s->word = mac | (uint64_t)(SERVER_ACCEPTS | SERVER_RESOLVED) << 48 | 1ULL << 56;
	memcpy(s->own_mac, world_own_mac, 6);
	s->mtu = SITE_MTU;
	s->ifindex = WORLD_LOOPBACK;
	s->port = nat ? htons(SITE_SERVER_PORT) : 0;
	site_address(site->kind.v6, SITE_NET_SERVER, SITE_SERVER(site->number) + index, (uint8_t *)s->addr);
	s->pool_offset = pool_offset;
	s->pool_count = nat ? site_own_addresses(site) * SITE_OWN_PORTS : 0;
	if (site->kind.forward == FORWARD_IPIP)
		world_write_outer(site, s);
}

/* Fills the site's region of slots; returns its size, or -errno. */
static int world_fill_slots(struct world *w, const struct site *site)
{
	const uint32_t count = site->kind.servers;
	const bool turns = site->kind.balance == BALANCE_ROUNDROBIN;
	_cleanup_free_ struct maglev_server *hashed = calloc(count, sizeof(*hashed));
	_cleanup_free_ struct smooth_server *dealt = calloc(count, sizeof(*dealt));
	_cleanup_free_ uint32_t *values = NULL;
	uint32_t size;
	int r;

	if (!hashed || !dealt)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		dealt[i] = (struct smooth_server){ .weight = 1, .value = w->servers + i };
		hashed[i] = (struct maglev_server){ .key = i + 1, .weight = 1, .up = true, .value = w->servers + i };
	}
	size = turns ? smooth_size(dealt, count) : maglev_size(hashed, count);
	if (!size || w->slots + size > w->m->slot_count)
		return -ENOSPC;
	values = calloc(size, sizeof(*values));
	if (!values)
		return -ENOMEM;
	r = turns ? smooth_fill(dealt, count, values) : maglev_fill(hashed, count, values, size);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < size; i++)
		w->m->slots[w->slots + i] = site->kind.dirty ? SLOT(values[i], values[(i + 1) % size], SLOT_DIRTY) :
							       SLOT(values[i], 0, SLOT_CLEAN);
	return size;
}

/* As the agent decides it: these services remember every flow. */
static bool world_records(const struct site *site)
{
	return site->kind.forward == FORWARD_NAT || site->kind.balance == BALANCE_ROUNDROBIN;
}

/* Half of the networks below the clients' addresses, half above them. */
static int world_networks(const struct site *site, struct access_ranges *ret)
{
	struct addr a = { .family = site->kind.v6 ? AF_INET6 : AF_INET };
	const uint32_t count = site->kind.networks;
	const uint32_t first = SITE_CLIENT - (count / 2 << SITE_NETWORK_SHIFT) + (1U << (SITE_NETWORK_SHIFT - 1));
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count; i++) {
		site_address(site->kind.v6, SITE_NET_CLIENT, first + (i << SITE_NETWORK_SHIFT), a.bytes);
		r = access_add(ret, &a, (site->kind.v6 ? 128 : 32) - SITE_NETWORK_SIZE);
	}
	access_merge(ret);
	return r;
}

/* The site's part of access4 or access6, as the program reads it: offset << 32 | count. */
static int world_write_access(struct world *w, const struct site *site, uint64_t *ret_part)
{
	const bool v6 = site->kind.v6;
	uint32_t *used = v6 ? &w->bounds6 : &w->bounds4;
	_cleanup_free_ access_number *bounds = calloc(2 * site->kind.networks, sizeof(*bounds));
	struct access_ranges ranges = {};
	size_t count = 0;
	int r = bounds ? world_networks(site, &ranges) : -ENOMEM;

	if (r == 0)
		count = access_bounds(&ranges, v6 ? AF_INET6 : AF_INET, bounds);
	vec_done(&ranges);
	if (r == 0 && *used + count > (v6 ? ACCESS_BOUNDS6 : ACCESS_BOUNDS4))
		r = -ENOSPC;
	if (r < 0)
		return r;
	*ret_part = (uint64_t)*used << 32 | count;
	for (size_t i = 0; i < count; i++, ++*used) {
		if (v6)
			w->m->access6[*used] = (struct access_bound6){ bounds[i] >> 64, bounds[i] };
		else
			w->m->access4[*used] = bounds[i];
	}
	return 0;
}

static void world_write_rate(const struct world *w, const struct site *site, struct service *s)
{
	s->rate_table = site->number;
	s->rate_mask[0] = site->kind.v6 ? UINT64_MAX : 0;
	s->rate_mask[1] = site->kind.v6 ? UINT64_MAX : UINT32_MAX;
	s->rate_period = SITE_RATE_S * w->m->hz;
	s->rate_max = UINT32_MAX;
	s->flags |= SERVICE_RATE;
}

static int world_add_services(struct world *w, const struct site *site, uint64_t slots)
{
	uint8_t address[16];
	uint64_t access = 0;
	uint16_t id;
	int r;

	site_address(site->kind.v6, SITE_NET_SERVICE, SITE_SERVICE(site->number), address);
	r = world_add_address(w, address, &id);
	if (r == 0 && site->kind.networks)
		r = world_write_access(w, site, &access);
	for (uint32_t i = 0; r == 0 && i < site->kind.services; i++) {
		struct service *s = &w->m->services[w->services + i];

		s->slots = slots;
		s->key[0] = 0x0123456789abcdefULL;
		s->key[1] = 0xfedcba9876543210ULL;
		s->backend = site->number;
		s->forward = site->kind.forward;
		s->balance = site->kind.balance;
		s->flags = (world_records(site) ? SERVICE_RECORDS : 0) | (access ? SERVICE_ACCESS : 0);
		s->access = access;
		if (site->kind.rate)
			world_write_rate(w, site, s);
		r = world_add_entry(w, site, SITE_SERVICE(site->number), SITE_PORT + i, site->kind.protocol,
				    ENTRY_SERVICE, w->services + i, id);
	}
	w->services += site->kind.services;
	return r;
}

/* Adds a site; the program sees it after world_publish(). */
static int world_add(struct world *w, const struct site_kind *kind, struct site *ret)
{
	struct site site = { .kind = *kind, .number = w->sites + 1 };
	uint32_t pool = 0;
	int r = 0;

	if (site.number > 255 || w->services + kind->services > MAX_SERVICES ||
	    w->servers + kind->servers > MAX_SERVERS)
		return -ENOSPC;
	if (kind->forward == FORWARD_NAT)
		r = world_add_pool(w, &site, &pool);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < kind->servers; i++)
		world_write_server(w, &site, i, pool);
	r = world_fill_slots(w, &site);
	if (r < 0)
		return r;
	site.slots = r;
	w->slots += r;
	r = world_add_services(w, &site, (uint64_t)(w->slots - r) << 32 | r);
	if (r < 0)
		return r;
	w->servers += kind->servers;
	w->sites++;
	*ret = site;
	return 0;
}

/* The NIC's own address, which frames must name. */
static int world_add_mac(struct world *w)
{
	struct services_entry *e = vec_push(&w->entries);

	if (!e)
		return -ENOMEM;
	services_mac_entry(e, world_own_mac);
	for (size_t i = 0; i < CONTROL_MACS_NEAR; i++)
		memcpy((uint64_t *)&w->m->control->macs[i], world_own_mac, sizeof(world_own_mac));
	return 0;
}

static int world_publish(struct world *w)
{
	int r = world_add_mac(w);

	if (r == 0)
		r = services_layout4(w->entries.items, w->entries.count, w->m->services4, &w->size4_log2);
	if (r == 0)
		r = services_layout6(w->entries.items, w->entries.count, w->m->services6, &w->size6_log2);
	if (r < 0)
		return r;
	w->m->control->nat_low = SITE_OWN_LOW;
	w->m->control->nat_high = SITE_OWN_HIGH;
	w->m->control->word = CONTROL_MACS | (uint64_t)w->size4_log2 << CONTROL_SIZE4_SHIFT |
			      (uint64_t)w->size6_log2 << CONTROL_SIZE6_SHIFT;
	return 0;
}

/* No connection of the family is known any more, no own port was ever dealt. No packet may be under way. */
static void world_forget_flows(struct world *w, bool v6)
{
	if (v6)
		memset(w->m->flows6, 0, w->m->bucket6_count * sizeof(*w->m->flows6));
	else
		memset(w->m->flows4, 0, w->m->bucket4_count * sizeof(*w->m->flows4));
	memset(w->m->use, 0, MAX_SERVERS * sizeof(*w->m->use));
	for (size_t i = 0; i < w->pools.count; i++)
		memset(&w->m->ports[w->pools.items[i]], 0, sizeof(*w->m->ports));
}

/* Packets that had each verdict so far, on all CPUs. */
struct world_counts {
	uint64_t of[VERDICT_MAX];
};

static struct world_counts world_count(const struct world *w)
{
	struct world_counts c = {};

	for (uint32_t cpu = 0; cpu < w->m->cpu_count; cpu++)
		for (int v = 0; v < VERDICT_MAX; v++)
			c.of[v] += w->m->verdict_counters[cpu * VERDICT_MAX + v].packets;
	return c;
}

/*
 * Did all `count` packets since `before` have one of the two verdicts (VERDICT_CONTINUE = none)? If not, says on
 * standard error what they had.
 */
static bool world_expect(const struct world *w, const struct world_counts *before, uint64_t count,
			 enum verdict verdict, enum verdict other, const char *what)
{
	static const char *const labels[VERDICT_MAX] = {
#define X(name, action, label, text) [VERDICT_##name] = label,
		VERDICTS(X)
#undef X
	};
	const struct world_counts after = world_count(w);
	const uint64_t first = after.of[verdict] - before->of[verdict];

	if (first + (other ? after.of[other] - before->of[other] : 0) == count)
		return true;
	fprintf(stderr, "bench: %s: not all of %llu packets had the verdict %s:", what, (unsigned long long)count,
		labels[verdict]);
	for (int v = 1; v < VERDICT_MAX; v++)
		if (after.of[v] != before->of[v])
			fprintf(stderr, " %s %llu", labels[v], (unsigned long long)(after.of[v] - before->of[v]));
	fprintf(stderr, "\n");
	return false;
}

#endif
