/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program's tables ought to hold, from the model, health and the network. Part of the reconciler; changes no
 * map but the layout of own ports.
 */
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"
#include "table/quic.h"

static bool is_attached(const struct reconcile *r, unsigned ifindex)
{
	const struct dataplane_attachment *a;
	size_t count = dataplane_attachments(r->dataplane, &a);

	for (size_t i = 0; i < count; i++)
		if (a[i].ifindex == ifindex)
			return true;
	return false;
}

bool reconcile_has_way(const struct reconcile *r, uint32_t id, struct net_hop *ret)
{
	const struct tracked *t = &r->tracked[id];

	return t->watched.family && net_hop(r->net, &t->watched, ret) && ret->state == NET_HOP_RESOLVED &&
	       is_attached(r, ret->ifindex);
}

static uint64_t server_word(const uint8_t mac[6], uint8_t flags, uint8_t generation)
{
	uint64_t word = (uint64_t)flags << 48 | (uint64_t)generation << 56;

	memcpy(&word, mac, 6);
	return word;
}

/* The part of an entry that follows the network. What is not known now stays as it was: the flags tell. */
static void image_way(struct reconcile *r, uint32_t id, struct server *image, uint8_t flags)
{
	const uint8_t generation = r->servers.table[id].generation;
	struct tracked *t = &r->tracked[id];
	struct net_hop hop;
	uint8_t mac[6];

	memcpy(mac, image, 6);
	if (reconcile_has_way(r, id, &hop)) {
		if (hop.source.family)
			t->source = hop.source;
		memcpy(mac, hop.mac, 6);
		memcpy(image->own_mac, hop.own_mac, 6);
		image->ifindex = hop.ifindex;
		t->mtu = hop.mtu > UINT16_MAX ? UINT16_MAX : hop.mtu;
		flags |= SERVER_RESOLVED;
	}
	image->word = server_word(mac, flags, generation);
}

static int image_pool(struct reconcile *r, uint32_t id, const struct model_backend *backend, struct server *image)
{
	struct pool_source sources[MODEL_SOURCES_MAX];
	const struct tracked *t = &r->tracked[id];
	struct region region = {};
	size_t count = 0, given;
	const struct model_source *from = model_sources(r->model, backend, &given);
	int e;

	for (size_t i = 0; i < given && i < array_size(sources); i++) {
		struct addr addr = from[i].addr.family ? from[i].addr : t->source;

		if (addr.family == t->watched.family)
			sources[count++] = (struct pool_source){ addr, from[i].port_low, from[i].port_high };
	}
	if (!given && t->source.family)
		sources[count++] = (struct pool_source){ t->source, POOL_PORT_LOW, POOL_PORT_HIGH };
	if (count) {
		e = pools_take(&r->pools, sources, count, &r->addresses, &region);
		if (e < 0)
			return e;
	}
	image->pool_offset = region.offset;
	image->pool_count = region.size ? region.size - 1 : 0;
	return 0;
}

static uint64_t sum_words(const void *from, size_t bytes)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < bytes; i += 2) {
		uint16_t word;

		memcpy(&word, (const uint8_t *)from + i, sizeof(word));
		sum += word;
	}
	return sum;
}

/* The outer header of forward ipip: the parts that are the same for every packet. */
static void image_outer(struct reconcile *r, uint32_t id, const struct model_backend *backend, struct server *image)
{
	const struct tracked *t = &r->tracked[id];
	const bool v6 = t->watched.family == AF_INET6;
	const uint16_t dont_fragment = htons(0x4000);
	struct addr source = t->source;
	unsigned bits = 0;

	for (size_t i = 0; i < backend->tunnel_sources.count; i++)
		if (backend->tunnel_sources.items[i].addr.family == t->watched.family) {
			source = backend->tunnel_sources.items[i].addr;
			bits = backend->tunnel_sources.items[i].bits;
		}
	memset(image->outer_source, 0, sizeof(image->outer_source));
	if (source.family != t->watched.family) {
		image->outer = 0;
		return;
	}
	image->outer = v6 ? 6 : 4;
	image->outer_bits = bits;
	memcpy(image->outer_source, source.bytes, v6 ? 16 : 4);
	image->outer_sum = v6 ? 0 : sum_words(&dont_fragment, 2) + sum_words(image->outer_source, 4) +
					    sum_words(image->addr, 4);
}

/* What fits into a frame towards it. */
static void image_mtu(struct reconcile *r, uint32_t id, struct server *image)
{
	const unsigned overhead = image->outer == 6 ? sizeof(struct ip6_hdr) :
				  image->outer == 4 ? sizeof(struct iphdr) : 0;

	if (r->tracked[id].mtu > overhead)
		image->mtu = r->tracked[id].mtu - overhead;
}

/* A server of the model. */
static int image_server(struct reconcile *r, uint32_t id, const struct model_backend *backend,
			const struct model_server *server, const struct layout_member *m)
{
	struct server *image = &r->server_image[id];

	*image = *active_server(r, id);
	memset(image->addr, 0, sizeof(image->addr));
	memcpy(image->addr, server->at.addr.bytes, server->at.addr.family == AF_INET ? 4 : 16);
	image->port = htons(server->at.port);
	image->weight = backend->balance == MODEL_LEASTCONN ? m->weight * m->share : 0;
	image_way(r, id, image, m->chosen ? SERVER_ACCEPTS : m->down ? SERVER_DOWN : 0);
	image->outer = 0;
	if (backend->forward != MODEL_NAT) {
		image->pool_offset = image->pool_count = 0;
		if (backend->forward == MODEL_IPIP)
			image_outer(r, id, backend, image);
		image_mtu(r, id, image);
		return 0;
	}
	image_mtu(r, id, image);
	return image_pool(r, id, backend, image);
}

/* Servers that are leaving keep their way; their connections go on. */
static void image_leaving(struct reconcile *r)
{
	for (uint32_t id = 1; id < MAX_SERVERS; id++) {
		const struct dataplane_identity *e = &r->servers.table[id];
		struct server *image = &r->server_image[id];

		if (!e->identity || e->state == ID_ACTIVE)
			continue;
		*image = *active_server(r, id);
		/* Its part of `ports` may be given to others: it takes no new connections. */
		image->pool_offset = image->pool_count = 0;
		image_way(r, id, image, 0);
		image_mtu(r, id, image);
	}
}

static const uint8_t abi_forward[] = {
	[MODEL_NAT] = FORWARD_NAT,
	[MODEL_DSR] = FORWARD_DSR,
	[MODEL_IPIP] = FORWARD_IPIP,
	[MODEL_TRANSPARENT] = FORWARD_TRANSPARENT,
};

static const uint8_t abi_balance[] = {
	[MODEL_ROUNDROBIN] = BALANCE_ROUNDROBIN,
	[MODEL_MAGLEV] = BALANCE_MAGLEV,
	[MODEL_SOURCE] = BALANCE_SOURCE,
	[MODEL_LEASTCONN] = BALANCE_LEASTCONN,
};

static uint64_t region_word(const struct region *r)
{
	return (uint64_t)r->offset << 32 | r->size;
}

/* The high or low half of an IPv6 mask of this length; an IPv4 address is the low half's low bits. */
static uint64_t mask_half(unsigned length)
{
	return length >= 64 ? UINT64_MAX : length ? ~(UINT64_MAX >> length) : 0;
}

static void image_rate(struct reconcile *r, const struct model_service *service, struct service *image)
{
	const struct model_rate *rate = &service->rate;
	const bool v6 = service->addr.family == AF_INET6;
	uint64_t period = (uint64_t)rate->period_ms * r->maps->hz / 1000;

	/* A table of the frontend, whatever becomes of its binds. */
	image->rate_table = identity_of("rate %s %d", service->frontend, v6 ? 6 : 4);
	image->rate_mask[0] = v6 ? mask_half(rate->length6) : 0;
	image->rate_mask[1] = v6 ? mask_half(rate->length6 > 64 ? rate->length6 - 64 : 0) :
				   mask_half(32 + rate->length4) & UINT32_MAX;
	image->rate_period = period ? period : 1;
	image->rate_max = rate->max;
	image->flags |= SERVICE_RATE;
}

int image_services(struct reconcile *r)
{
	int e = 0;

	acls_unwant_all(&r->acls);
	memset(r->service_image, 0, r->service_count * sizeof(*r->service_image)); /* beyond are zeros */
	r->service_count = 0;
	for (size_t i = 0; e == 0 && i < r->model->services.count; i++) {
		const struct model_service *service = &r->model->services.items[i];
		const struct model_backend *backend = &r->model->backends.items[service->backend];
		uint32_t id = r->at.services[i];
		uint32_t backend_id = r->at.backends[service->backend];
		const struct held *held = &r->held[backend_id];
		struct service *image = &r->service_image[id];

		image->slots = region_word(&held->region);
		image->key[0] = held->shape.key.k[0];
		image->key[1] = held->shape.key.k[1];
		if (held->old_region.size && backend->forward != MODEL_NAT && backend->forward != MODEL_TRANSPARENT) {
			image->old_slots = region_word(&held->old_region);
			image->old_key[0] = held->old_shape.key.k[0];
			image->old_key[1] = held->old_shape.key.k[1];
			image->old_balance = abi_balance[held->old_shape.balance];
		}
		image->backend = backend_id;
		image->forward = abi_forward[backend->forward];
		image->balance = abi_balance[held->shape.balance];
		image->all_down = backend->on_all_down == MODEL_DROP ? ALL_DOWN_DROP : ALL_DOWN_REJECT;
		image->flags = held->shape.records ? SERVICE_RECORDS : 0;
		if (!held->shape.records && service->protocol == MODEL_UDP && backend->udp_persist_ms)
			image->flags = SERVICE_RECORDS | SERVICE_PERSISTS;
		e = acls_word(&r->acls, service->policy, service->addr.family == AF_INET6, (uint64_t *)&image->access);
		if (image->access)
			image->flags |= SERVICE_ACCESS;
		if (service->rate.used)
			image_rate(r, service, image);
		if (backend->quic_length && service->protocol == MODEL_UDP) {
			image->flags |= SERVICE_QUIC;
			image->quic_length = (uint8_t)(1 + backend->quic_length);
			quic_mask(backend->quic_length, (uint64_t *)image->quic_mask);
		}
		if (id >= r->service_count)
			r->service_count = id + 1;
	}
	return e;
}


/* The servers of backend b. */
static int image_backend(struct reconcile *r, const struct health *h, size_t b, struct layout *ret_layout)
{
	const struct model_backend *backend = &r->model->backends.items[b];
	int e = slots_choose(r, h, b, ret_layout);

	for (size_t s = 0; e == 0 && s < backend->servers.count; s++)
		e = image_server(r, r->at.servers[r->at.first[b] + s], backend, &backend->servers.items[s],
				 &ret_layout->members.items[s]);
	return e;
}

int image_servers(struct reconcile *r, const struct health *h, struct layout *ret_layouts)
{
	size_t pools = r->pools.pools.count;
	int e = 0;

	pools_unwant_all(&r->pools);
	for (size_t b = 0; e == 0 && b < r->model->backends.count; b++)
		e = image_backend(r, h, b, &ret_layouts[b]);
	image_leaving(r);
	if (pools != r->pools.pools.count)
		r->entries_stale = true;
	return e;
}

bool reconcile_ways_are_known(const struct reconcile *r)
{
	for (uint32_t id = 1; id < MAX_SERVERS; id++) {
		const struct tracked *t = &r->tracked[id];
		struct net_hop hop;

		if (t->watched.family && net_hop(r->net, &t->watched, &hop) &&
		    (hop.state == NET_HOP_UNKNOWN || hop.state == NET_HOP_UNRESOLVED))
			return false;
	}
	return true;
}
