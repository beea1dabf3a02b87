/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The entries of the service table: which address, port and protocol is whose. `*` is every address of the attached
 * interfaces; a specific bind beats it. Part of the reconciler.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "agent/macs.h"
#include "agent/reconcile_internal.h"
#include "base/cleanup.h"
#include "table/quic.h"

struct local_addresses {
	struct vec(struct addr) all;
	bool failed;
};

static bool visit_address(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct local_addresses *l = ctx;
	struct addr *new;

	/* An IPv6 link-local address is no service's: it means another host on every link. */
	if (a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80)
		return true;
	for (size_t i = 0; i < l->all.count; i++)
		if (addr_equal(&l->all.items[i], a))
			return true;
	new = vec_push(&l->all);
	if (!new) {
		l->failed = true;
		return false;
	}
	*new = *a;
	return true;
}

static int add_entries(struct reconcile *r, const struct model_service *service, uint32_t id, const struct addr *addr)
{
	uint16_t address;
	int e = addresses_take(&r->addresses, addr, &address);

	if (e < 0)
		return e;
	for (uint32_t port = service->port_low; port <= service->port_high; port++) {
		struct services_entry *entry = vec_push(&r->entries);

		if (!entry)
			return -ENOMEM;
		*entry = (struct services_entry){
			.addr = *addr, .port = port, .kind = ENTRY_SERVICE, .service = id, .address = address,
			.protocol = service->protocol == MODEL_UDP ? IPPROTO_UDP : IPPROTO_TCP,
		};
		if (model_service_has_all_ports(service)) {
			entry->port = 0;
			entry->kind = ENTRY_ALL_PORTS;
			break;
		}
	}
	return 0;
}

/* Replies of servers that see the client's address: by server and service, so each once a port of it. */
static int add_server_entries(struct reconcile *r, size_t index)
{
	const struct model_service *service = &r->model->services.items[index];
	const struct model_backend *b = &r->model->backends.items[service->backend];
	const bool all_ports = model_service_has_all_ports(service);
	uint16_t address;
	int e = b->forward == MODEL_TRANSPARENT ? addresses_take(&r->addresses, &service->addr, &address) : 0;

	for (size_t s = 0; e == 0 && b->forward == MODEL_TRANSPARENT && s < b->servers.count; s++) {
		const struct endpoint *at = &b->servers.items[s].at;
		const uint32_t high = all_ports ? service->port_low : service->port_high;

		for (uint32_t port = service->port_low; port <= high; port++) {
			const uint16_t served = all_ports ? 0 : port;
			struct services_entry *entry = vec_push(&r->entries);

			if (!entry)
				return -ENOMEM;
			*entry = (struct services_entry){
				.addr = at->addr, .port = at->port ? at->port : served, .kind = ENTRY_SERVER,
				.service = ENTRY_SERVED(r->at.services[index], htons(served)), .address = address,
				.protocol = service->protocol == MODEL_UDP ? IPPROTO_UDP : IPPROTO_TCP,
			};
		}
	}
	return e;
}

static int take_own(struct reconcile *r, const struct addr *addr)
{
	uint16_t address;
	const int e = addresses_take(&r->addresses, addr, &address);

	if (e == 0)
		r->addresses.own[address] = addr->family;
	return e;
}

/* Own addresses of all peers: nothing is dealt from the others', but connections of theirs may move here. */
static int take_peers_own(struct reconcile *r)
{
	const struct model_peers *peers = &r->model->global.peers;
	int e = 0;

	for (size_t i = 0; model_moves_sources(r->model) && i < peers->all.count; i++)
		for (size_t s = 0; e == 0 && s < peers->all.items[i].sources.count; s++)
			e = take_own(r, &peers->all.items[i].sources.items[s].addr);
	return e;
}

/* Own addresses: of pools, of peers, and those that connections may still have though no pool deals them any more. */
static int add_own_addresses(struct reconcile *r)
{
	int e = take_peers_own(r);

	if (e < 0)
		return e;
	for (size_t i = 0; i < r->pools.pools.count; i++) {
		const struct pool *pool = &r->pools.pools.items[i];

		for (size_t s = 0; pool->wanted && s < pool->sources.count; s++) {
			e = take_own(r, &pool->sources.items[s].addr);
			if (e < 0)
				return e;
		}
	}
	for (uint32_t id = 1; id < MAX_ADDRESSES; id++) {
		struct services_entry *entry;

		if (!r->addresses.own[id])
			continue;
		entry = vec_push(&r->entries);
		if (!entry)
			return -ENOMEM;
		*entry = (struct services_entry){
			.addr = addresses_get(&r->addresses, id, r->addresses.own[id] == AF_INET6),
			.kind = ENTRY_OWN, .address = id,
		};
	}
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct services_entry *x = a, *y = b;
	int order = addr_compare(&x->addr, &y->addr);

	if (order)
		return order;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->protocol != y->protocol)
		return x->protocol < y->protocol ? -1 : 1;
	return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static int compare_addresses(const void *a, const void *b)
{
	return addr_compare(a, b);
}

/* An entry of the active half that a server of `leaving`, sorted, still answers by. */
static int keep_entry(struct reconcile *r, const struct addr *leaving, size_t count, size_t fresh,
		      const struct services_entry *e)
{
	const uint32_t service = ENTRY_SERVED_SERVICE(e->service);
	const struct addr vip = addresses_get(&r->addresses, e->address, e->addr.family == AF_INET6);
	struct services_entry *entry;
	int error;

	if (!bsearch(&e->addr, leaving, count, sizeof(*leaving), compare_addresses) ||
	    bsearch(e, r->entries.items, fresh, sizeof(*e), compare_entries) ||
	    service >= MAX_SERVICES || !r->services.table[service].identity)
		return 0;
	entry = vec_push(&r->entries);
	if (!entry)
		return -ENOMEM;
	*entry = *e;
	error = addresses_take(&r->addresses, &vip, &entry->address);
	return error;
}

/* Servers that are leaving are not in the model, but answer until their connections are over. */
static int keep_leaving(struct reconcile *r)
{
	const struct service_entry4 *four = &r->maps->services4[r->half * SERVICE_TABLE_MAX];
	const struct service_entry6 *six = &r->maps->services6[r->half * SERVICE_TABLE_MAX];
	const uint64_t word = r->maps->control->word;
	const uint32_t count4 = 1u << (word >> CONTROL_SIZE4_SHIFT & CONTROL_SIZE_MASK);
	const uint32_t count6 = 1u << (word >> CONTROL_SIZE6_SHIFT & CONTROL_SIZE_MASK);
	const size_t fresh = r->entries.count;
	struct vec(struct addr) leaving = {};
	int e = 0;

	for (uint32_t id = 1; e == 0 && id < MAX_SERVERS; id++) {
		struct addr *addr;

		if (!r->servers.table[id].identity || r->servers.table[id].state != ID_LEAVING)
			continue;
		addr = vec_push(&leaving);
		if (addr)
			*addr = r->tracked[id].watched;
		else
			e = -ENOMEM;
	}
	if (leaving.count)
		qsort(leaving.items, leaving.count, sizeof(*leaving.items), compare_addresses);
	for (uint32_t i = 0; leaving.count && e == 0 && i < SERVICE_TABLE_MAX; i++) {
		if (i < count4 && four[i].kind == ENTRY_SERVER) {
			const struct services_entry old = {
				.addr = addr_from_v4(four[i].addr), .port = ntohs(four[i].port),
				.protocol = four[i].protocol, .kind = ENTRY_SERVER, .service = four[i].service,
				.address = four[i].address,
			};

			e = keep_entry(r, leaving.items, leaving.count, fresh, &old);
		}
		if (e == 0 && i < count6 && six[i].kind == ENTRY_SERVER) {
			struct services_entry old = {
				.addr.family = AF_INET6, .port = ntohs(six[i].port), .protocol = six[i].protocol,
				.kind = ENTRY_SERVER, .service = six[i].service, .address = six[i].address,
			};

			memcpy(old.addr.bytes, six[i].addr, 16);
			e = keep_entry(r, leaving.items, leaving.count, fresh, &old);
		}
	}
	vec_done(&leaving);
	if (r->entries.count != fresh)
		qsort(r->entries.items, r->entries.count, sizeof(*r->entries.items), compare_entries);
	return e;
}

struct owner {
	const struct addr *wanted;
	bool found;
};

static bool visit_owner(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct owner *o = ctx;

	o->found = addr_equal(a, o->wanted);
	return !o->found;
}

/* Each service address once, for ICMP to it. `service` 1: the host does not own it, so the program answers echoes. */
static int add_service_addresses(struct reconcile *r)
{
	const size_t count = r->entries.count;
	_cleanup_free_ uint8_t *seen = calloc(2 * MAX_ADDRESSES, 1);

	if (!seen)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct services_entry *service = &r->entries.items[i];
		const bool v6 = service->addr.family == AF_INET6;
		struct owner owner = { .wanted = &service->addr };
		struct services_entry entry = { .addr = service->addr, .kind = ENTRY_ADDRESS,
						.address = service->address };
		struct services_entry *new;

		if ((service->kind != ENTRY_SERVICE && service->kind != ENTRY_ALL_PORTS) || seen[v6 * MAX_ADDRESSES + service->address])
			continue;
		seen[v6 * MAX_ADDRESSES + service->address] = 1;
		net_addresses(r->net, 0, visit_owner, &owner);
		entry.service = !owner.found;
		new = vec_push(&r->entries);
		if (!new)
			return -ENOMEM;
		*new = entry;
	}
	return 0;
}

/* Does one of the first `specific` entries, sorted, have what this one, of `*`, would take? */
static bool is_beaten(const struct services_entry *first, size_t specific, const struct services_entry *e)
{
	struct services_entry all_ports = *e;

	if (bsearch(e, first, specific, sizeof(*first), compare_entries))
		return true;
	all_ports.port = 0;
	all_ports.kind = ENTRY_ALL_PORTS;
	return e->kind == ENTRY_SERVICE && bsearch(&all_ports, first, specific, sizeof(*first), compare_entries);
}

/* Takes out what `*` gave and a specific bind has, and doubles. */
static void drop_beaten(struct vec_entries *entries, size_t specific)
{
	struct services_entry *first = entries->items;
	size_t kept = specific;

	if (!entries->count)
		return;
	qsort(first, specific, sizeof(*first), compare_entries);
	for (size_t i = specific; i < entries->count; i++)
		if (!is_beaten(first, specific, &first[i]))
			first[kept++] = first[i];
	entries->count = kept;
	qsort(first, entries->count, sizeof(*first), compare_entries);
	kept = 0;
	for (size_t i = 0; i < entries->count; i++)
		if (!kept || compare_entries(&first[kept - 1], &first[i]))
			first[kept++] = first[i];
	entries->count = kept;
}

/* The servers that connection ids name: in the table of IPv6, whose keys have the room. */
static int add_quic_ids(struct reconcile *r)
{
	for (size_t b = 0; b < r->model->backends.count; b++) {
		const struct model_backend *backend = &r->model->backends.items[b];

		for (size_t s = 0; backend->quic_length && s < backend->servers.count; s++) {
			struct services_entry *entry = vec_push(&r->entries);

			if (!entry)
				return -ENOMEM;
			*entry = (struct services_entry){
				.addr = { .family = AF_INET6 }, .port = r->at.backends[b], .kind = ENTRY_QUIC,
				.service = r->at.servers[r->at.first[b] + s], .address = 1,
			};
			quic_first_bytes(backend->quic_config, backend->servers.items[s].quic_id, backend->quic_length,
					 entry->addr.bytes);
		}
	}
	return 0;
}

/* Those of the NICs that are steered on come first, and so are the ones that are found at once. */
static void set_near_macs(struct reconcile *r, const struct macs *macs)
{
	size_t near = 0;

	memset(r->near_macs, 0, sizeof(r->near_macs));
	for (size_t i = 0; i < macs->count && near < CONTROL_MACS_NEAR; i++) {
		uint64_t mac = 0;
		size_t n = 0;

		memcpy(&mac, macs->items[i].bytes, sizeof(macs->items[i].bytes));
		while (n < near && r->near_macs[n] != mac)
			n++;
		if (n == near)
			r->near_macs[near++] = mac;
	}
	for (size_t n = near; n && n < CONTROL_MACS_NEAR; n++)
		r->near_macs[n] = r->near_macs[0]; /* not zero: a frame can name that */
	r->has_macs = near > 0;
}

/* What frames to this host may name; where nobody can say, none are looked at. */
static int add_macs(struct reconcile *r, const struct dataplane_attachment *attached, size_t count)
{
	_cleanup_free_ unsigned *ifindexes = calloc(count + 1, sizeof(*ifindexes));
	struct macs macs = {};
	int e = -ENOMEM;

	for (size_t i = 0; ifindexes && i < count; i++)
		ifindexes[i] = attached[i].ifindex;
	if (ifindexes)
		e = macs_collect(r->net, ifindexes, count, &macs);
	for (size_t i = 0; e == 0 && i < macs.count; i++) {
		struct services_entry *entry = vec_push(&r->entries);

		if (entry)
			services_mac_entry(entry, macs.items[i].bytes);
		else
			e = -ENOMEM;
	}
	if (e == 0)
		set_near_macs(r, &macs);
	vec_done(&macs);
	return e;
}

int entries_collect(struct reconcile *r)
{
	const struct dataplane_attachment *attached;
	size_t attachments = dataplane_attachments(r->dataplane, &attached), specific;
	struct local_addresses local = {};
	int e = 0;

	addresses_unwant_all(&r->addresses);
	r->entries.count = 0;
	for (size_t i = 0; e == 0 && i < r->model->services.count; i++)
		if (!r->model->services.items[i].any_addr)
			e = add_entries(r, &r->model->services.items[i], r->at.services[i],
					&r->model->services.items[i].addr);
	specific = r->entries.count;
	for (size_t i = 0; i < attachments; i++)
		net_addresses(r->net, attached[i].ifindex, visit_address, &local);
	if (local.failed)
		e = -ENOMEM;
	for (size_t i = 0; e == 0 && i < r->model->services.count; i++) {
		const struct model_service *service = &r->model->services.items[i];

		for (size_t n = 0; service->any_addr && e == 0 && n < local.all.count; n++)
			if (local.all.items[n].family == service->addr.family)
				e = add_entries(r, service, r->at.services[i], &local.all.items[n]);
	}
	if (e == 0)
		e = add_service_addresses(r);
	if (e == 0)
		e = add_own_addresses(r);
	for (size_t i = 0; e == 0 && i < r->model->services.count; i++)
		e = add_server_entries(r, i);
	if (e == 0)
		e = add_quic_ids(r);
	if (e == 0)
		e = add_macs(r, attached, attachments);
	if (e == 0)
		drop_beaten(&r->entries, specific);
	if (e == 0)
		e = keep_leaving(r);
	vec_done(&local.all);
	return e;
}

static const struct services_entry *find_entry(const struct reconcile *r, struct services_entry *key)
{
	const struct services_entry *found;

	if (!r->entries.count)
		return NULL;
	found = bsearch(key, r->entries.items, r->entries.count, sizeof(*key), compare_entries);
	if (found || key->kind != ENTRY_SERVICE)
		return found;
	key->port = 0;
	key->kind = ENTRY_ALL_PORTS;
	return bsearch(key, r->entries.items, r->entries.count, sizeof(*key), compare_entries);
}

size_t reconcile_find_service(const struct reconcile *r, const struct addr *addr, uint16_t port, uint8_t protocol,
			      uint16_t *ret_address)
{
	struct services_entry key = { .addr = *addr, .port = port, .protocol = protocol, .kind = ENTRY_SERVICE };
	const struct services_entry *found = find_entry(r, &key);

	for (size_t i = 0; found && i < r->model->services.count; i++)
		if (r->at.services[i] == found->service) {
			*ret_address = found->address;
			return i;
		}
	return SIZE_MAX;
}

size_t reconcile_service_of(const struct reconcile *r, uint16_t address, bool v6, uint16_t port, uint8_t protocol)
{
	const struct addr addr = addresses_get(&r->addresses, address, v6);
	uint16_t id;

	return reconcile_find_service(r, &addr, port, protocol, &id);
}

uint16_t reconcile_find_own(const struct reconcile *r, const struct addr *addr)
{
	struct services_entry key = { .addr = *addr, .kind = ENTRY_OWN };
	const struct services_entry *found = find_entry(r, &key);

	return found ? found->address : 0;
}
