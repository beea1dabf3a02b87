/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the program's tables ought to hold, from the model, health and the network. Part of the reconciler; changes no
 * map but the layout of own ports.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/reconcile_internal.h"
#include "base/cleanup.h"

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
		image->mtu = hop.mtu > UINT16_MAX ? UINT16_MAX : hop.mtu;
		flags |= SERVER_RESOLVED;
	}
	image->word = server_word(mac, flags, generation);
}

static int image_pool(struct reconcile *r, uint32_t id, const struct model_backend *backend, struct server *image)
{
	struct pool_source sources[MODEL_SOURCES_MAX];
	const struct tracked *t = &r->tracked[id];
	struct region region = {};
	size_t count = 0;
	int e;

	for (size_t i = 0; i < backend->sources.count && i < array_size(sources); i++) {
		const struct model_source *s = &backend->sources.items[i];
		struct addr addr = s->addr.family ? s->addr : t->source;

		if (addr.family == t->watched.family)
			sources[count++] = (struct pool_source){ addr, s->port_low, s->port_high };
	}
	if (!backend->sources.count && t->source.family)
		sources[count++] = (struct pool_source){ t->source, POOL_PORT_LOW, POOL_PORT_HIGH };
	if (count) {
		e = pools_take(&r->pools, sources, count, &r->addresses, &region);
		if (e < 0)
			return e;
	}
	image->pool_offset = region.offset;
	image->pool_count = region.size;
	return 0;
}

/* A server of the model. */
static int image_server(struct reconcile *r, uint32_t id, const struct model_backend *backend,
			const struct model_server *server, bool chosen)
{
	struct server *image = &r->server_image[id];

	*image = *active_server(r, id);
	memset(image->addr, 0, sizeof(image->addr));
	memcpy(image->addr, server->at.addr.bytes, server->at.addr.family == AF_INET ? 4 : 16);
	image->port = htons(server->at.port);
	image_way(r, id, image, chosen ? SERVER_ACCEPTS : 0);
	if (backend->forward != MODEL_NAT) {
		image->pool_offset = image->pool_count = 0;
		return 0;
	}
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
	}
}

static const uint8_t abi_balance[] = {
	[MODEL_ROUNDROBIN] = BALANCE_ROUNDROBIN,
	[MODEL_MAGLEV] = BALANCE_MAGLEV,
	[MODEL_SOURCE] = BALANCE_SOURCE,
};

void image_services(struct reconcile *r)
{
	memset(r->service_image, 0, MAX_SERVICES * sizeof(*r->service_image));
	r->service_count = 0;
	for (size_t i = 0; i < r->model->services.count; i++) {
		const struct model_service *service = &r->model->services.items[i];
		const struct model_backend *backend = &r->model->backends.items[service->backend];
		uint32_t id = r->at.services[i];
		uint32_t backend_id = r->at.backends[service->backend];
		const struct region *region = &r->held[backend_id].region;
		struct service *image = &r->service_image[id];

		image->slots = (uint64_t)region->offset << 32 | region->size;
		image->key[0] = r->secret.k[0];
		image->key[1] = r->secret.k[1];
		image->backend = backend_id;
		image->forward = backend->forward == MODEL_DSR ? FORWARD_DSR : FORWARD_NAT;
		image->balance = abi_balance[backend->balance];
		image->all_down = backend->on_all_down == MODEL_DROP ? ALL_DOWN_DROP : ALL_DOWN_REJECT;
		image->flags = SERVICE_RECORDS;
		if (id >= r->service_count)
			r->service_count = id + 1;
	}
}


/* The servers of backend b. */
static int image_backend(struct reconcile *r, const struct health *h, size_t b)
{
	const struct model_backend *backend = &r->model->backends.items[b];
	struct layout layout = {};
	int e = slots_choose(r, h, b, &layout);

	for (size_t s = 0; e == 0 && s < backend->servers.count; s++)
		e = image_server(r, r->at.servers[r->at.first[b] + s], backend, &backend->servers.items[s],
				 layout.members.items[s].chosen);
	layout_done(&layout);
	return e;
}

int image_servers(struct reconcile *r, const struct health *h)
{
	size_t pools = r->pools.pools.count;
	int e = 0;

	pools_unwant_all(&r->pools);
	for (size_t b = 0; e == 0 && b < r->model->backends.count; b++)
		e = image_backend(r, h, b);
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
