/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "table/maglev.h"
#include "table/smooth.h"

static struct addr parse(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static void copy_addr(const struct addr *a, void *to)
{
	memcpy(to, a->bytes, 16);
}

uint16_t world_address(struct rig *r, const char *addr)
{
	struct addr a = parse(addr);
	uint64_t bytes[2];

	copy_addr(&a, bytes);
	for (uint32_t id = 1; id < r->address_count; id++)
		if (memcmp(r->m->addresses[id].addr, bytes, 16) == 0)
			return id;
	assert_true(r->address_count < MAX_ADDRESSES);
	memcpy(r->m->addresses[r->address_count].addr, bytes, 16);
	return r->address_count++;
}

static uint64_t word_of(uint32_t id, uint8_t flags, uint8_t generation)
{
	return 0x02ULL | (uint64_t)(L2_SERVER + id) << 40 | (uint64_t)flags << 48 | (uint64_t)generation << 56;
}

/* The outer header's constant part, as the agent prepares it: for IPv4 with the sum of DF and both addresses. */
static void set_outer(struct server *e, const struct world_server *s)
{
	const struct addr source = parse(s->outer);
	const bool v6 = source.family == AF_INET6;

	copy_addr(&source, e->outer_source);
	e->outer = v6 ? 6 : 4;
	e->outer_bits = s->outer_bits;
	e->mtu -= v6 ? IP6_SIZE : IP4_SIZE;
	e->outer_sum = 0;
	if (!v6) /* the program sums words as they lie in memory */
		e->outer_sum = htons(sum_fold(sum_bytes((uint8_t *)e->outer_source, 4, 0x4000) +
					      sum_bytes((uint8_t *)e->addr, 4, 0)));
}

uint32_t world_server(struct rig *r, const struct world_server *s)
{
	const uint32_t id = r->server_count++;
	struct rig_server *server = &r->servers[id];
	struct server *e = &server->entry;

	assert_true(id < RIG_SERVERS);
	server->addr = parse(s->addr);
	server->weight = s->weight ? s->weight : 1;
	server->up = true;
	e->weight = 100 * server->weight;
	e->word = word_of(id, SERVER_ACCEPTS | SERVER_RESOLVED, 1);
	e->own_mac[0] = 2;
	e->own_mac[5] = L2_LB;
	e->mtu = MTU;
	e->ifindex = NIC;
	e->port = htons(s->port);
	copy_addr(&server->addr, e->addr);
	if (s->outer)
		set_outer(e, s);
	if (!s->ports)
		return id;
	assert_true(r->ports_used + s->ports + 1 <= RIG_PORTS);
	r->m->ports[r->ports_used] = (struct own_port){}; /* the program's counter */
	e->pool_offset = r->ports_used++;
	e->pool_count = s->ports;
	for (unsigned i = 0; i < s->ports; i++)
		r->m->ports[r->ports_used++] = (struct own_port){
			.address = world_address(r, s->own),
			.port = htons(PORT_LOW + i),
		};
	return id;
}

/* The address's entry of this kind; there is one. */
static struct services_entry *entry_of(struct rig *r, const char *addr, uint8_t kind)
{
	struct addr a = parse(addr);
	struct services_entry *e;

	for (size_t i = 0; i < r->entries.count; i++)
		if (r->entries.items[i].kind == kind && addr_equal(&r->entries.items[i].addr, &a))
			return &r->entries.items[i];
	e = vec_push(&r->entries);
	assert_non_null(e);
	e->addr = a;
	e->kind = kind;
	e->address = world_address(r, addr);
	return e;
}

void world_own(struct rig *r, const char *addr)
{
	entry_of(r, addr, ENTRY_OWN);
}

void world_unowned(struct rig *r, const char *addr, bool unowned)
{
	entry_of(r, addr, ENTRY_ADDRESS)->service = unowned;
}

static void fill_roundrobin(struct rig *r, const struct rig_service *s, uint32_t *ret, uint32_t *ret_count)
{
	struct smooth_server servers[RIG_SERVERS];

	for (size_t i = 0; i < s->servers.count; i++) {
		const uint32_t id = s->servers.items[i];

		servers[i] = (struct smooth_server){ r->servers[id].up ? r->servers[id].weight : 0, id };
	}
	*ret_count = smooth_size(servers, s->servers.count);
	assert_true(*ret_count <= RIG_SLOTS);
	assert_int_equal(smooth_fill(servers, s->servers.count, ret), 0);
}

static void fill_maglev(struct rig *r, const struct rig_service *s, uint32_t *ret, uint32_t *ret_count)
{
	struct maglev_server servers[RIG_SERVERS];

	for (size_t i = 0; i < s->servers.count; i++) {
		const uint32_t id = s->servers.items[i];

		servers[i] = (struct maglev_server){
			.key = 0x1000 + id,
			.weight = r->servers[id].weight,
			.up = r->servers[id].up,
			.value = id,
		};
	}
	*ret_count = maglev_size(servers, s->servers.count);
	assert_true(*ret_count <= RIG_SLOTS);
	assert_int_equal(maglev_fill(servers, s->servers.count, ret, *ret_count), 0);
}

static bool deals(enum abi_balance balance)
{
	return balance == BALANCE_ROUNDROBIN || balance == BALANCE_LEASTCONN;
}

/* A region of its own for the service's slots as its servers are now. With none up a hash table stays, all zero. */
static void refill(struct rig *r, struct rig_service *s)
{
	_cleanup_free_ uint32_t *owners = calloc(RIG_SLOTS, sizeof(*owners));
	uint32_t count = 0;

	assert_non_null(owners);
	if (s->servers.count && deals(s->entry.balance))
		fill_roundrobin(r, s, owners, &count);
	else if (s->servers.count)
		fill_maglev(r, s, owners, &count);
	assert_true(r->slots_used + count <= RIG_SLOTS);
	for (uint32_t i = 0; i < count; i++)
		r->m->slots[r->slots_used + i] = SLOT(owners[i], 0, 0);
	s->entry.slots = (uint64_t)r->slots_used << 32 | count;
	r->slots_used += count;
}

/* What replies are known by. */
static void add_servers(struct rig *r, const struct world_service *s, uint32_t id, const uint32_t *servers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct rig_server *server = &r->servers[servers[i]];
		struct services_entry *e = vec_push(&r->entries);

		assert_non_null(e);
		*e = (struct services_entry){
			.addr = server->addr, .port = server->entry.port ? ntohs(server->entry.port) : s->port,
			.protocol = s->protocol, .kind = ENTRY_SERVER, .service = ENTRY_SERVED(id, htons(s->port)),
			.address = world_address(r, s->addr),
		};
	}
}

uint32_t world_service(struct rig *r, const struct world_service *s, const uint32_t *servers, size_t count)
{
	const uint32_t id = r->services.count;
	struct rig_service *service = vec_push(&r->services);
	struct services_entry *e = vec_push(&r->entries);

	assert_non_null(service);
	assert_non_null(e);
	e->addr = parse(s->addr);
	e->port = s->port;
	e->protocol = s->protocol;
	e->kind = s->port ? ENTRY_SERVICE : ENTRY_ALL_PORTS;
	e->service = id;
	e->address = world_address(r, s->addr);
	service->entry = (struct service){
		.key = { 0x0123456789abcdefULL + id, 0xfedcba9876543210ULL },
		.backend = id,
		.forward = s->forward,
		.balance = s->balance,
		.all_down = s->all_down,
		.flags = s->forward == FORWARD_NAT || s->forward == FORWARD_TRANSPARENT || deals(s->balance) ? SERVICE_RECORDS :
			 s->persists ? SERVICE_RECORDS | SERVICE_PERSISTS : 0,
	};
	for (size_t i = 0; i < count; i++) {
		uint32_t *at = vec_push(&service->servers);

		assert_non_null(at);
		*at = servers[i];
	}
	refill(r, service);
	if (s->forward == FORWARD_TRANSPARENT)
		add_servers(r, s, id, servers, count);
	return id;
}

void world_publish(struct rig *r)
{
	const uint64_t half = (r->m->control->word & CONTROL_HALF) ^ 1;
	unsigned size4 = 0, size6 = 0;
	bool all_ports = false;

	assert_int_equal(services_layout4(r->entries.items, r->entries.count,
					  r->m->services4 + half * SERVICE_TABLE_MAX, &size4), 0);
	assert_int_equal(services_layout6(r->entries.items, r->entries.count,
					  r->m->services6 + half * SERVICE_TABLE_MAX, &size6), 0);
	for (size_t i = 0; i < r->entries.count; i++)
		all_ports |= r->entries.items[i].kind == ENTRY_ALL_PORTS;
	for (size_t i = 0; i < r->services.count; i++)
		r->m->services[half * MAX_SERVICES + i] = r->services.items[i].entry;
	for (uint32_t id = 1; id < r->server_count; id++)
		r->m->servers[half * MAX_SERVERS + id] = r->servers[id].entry;
	r->m->control->nat_low = PORT_LOW;
	r->m->control->nat_high = PORT_LOW + RIG_PORTS - 1;
	__atomic_store_n(&r->m->control->word,
			 half | (all_ports ? CONTROL_ALL_PORTS : 0) | (uint64_t)size4 << CONTROL_SIZE4_SHIFT | (uint64_t)size6 << CONTROL_SIZE6_SHIFT,
			 __ATOMIC_RELEASE);
	rig_catch_up(r);
}

static void lay_family(struct rig *r, const struct world *w, bool v6)
{
	const uint8_t protocols[] = { TCP, UDP };
	uint32_t ids[RIG_SERVERS];

	for (unsigned i = 0; i < w->servers; i++) {
		char text[32];
		struct world_server s = {
			.addr = text,
			.port = w->keep_port ? 0 : 8080,
			.ports = w->forward != FORWARD_NAT ? 0 : w->ports ? w->ports : 16,
			.own = v6 ? OWN6 : OWN4,
			.outer = w->forward != FORWARD_IPIP ? NULL : v6 ? OWN6 : OWN4,
		};

		snprintf(text, sizeof(text), v6 ? "fd00::%x" : "10.0.0.%u", r->server_count);
		ids[i] = world_server(r, &s);
	}
	for (size_t i = 0; i < array_size(protocols); i++) {
		struct world_service s = {
			.addr = v6 ? VIP6 : VIP4,
			.port = protocols[i] == TCP ? 80 : 53,
			.protocol = protocols[i],
			.forward = w->forward,
			.balance = w->balance,
			.all_down = w->all_down,
		};

		world_service(r, &s, ids, w->servers);
		world_unowned(r, s.addr, false);
	}
	if (w->forward == FORWARD_NAT)
		world_own(r, v6 ? OWN6 : OWN4);
}

void world_lay(struct rig *r, const struct world *w)
{
	lay_family(r, w, false);
	lay_family(r, w, true);
	world_publish(r);
}

struct server *world_entry(const struct rig *r, uint32_t server)
{
	return &r->m->servers[(r->m->control->word & CONTROL_HALF) * MAX_SERVERS + server];
}

__u64 *world_word(const struct rig *r, uint32_t server)
{
	return &world_entry(r, server)->word;
}

void world_set_flags(struct rig *r, uint32_t server, uint8_t set, uint8_t clear)
{
	__u64 *word = &r->servers[server].entry.word;

	*word = (*word & ~((uint64_t)clear << 48)) | (uint64_t)set << 48;
	__atomic_store_n(world_word(r, server), *word, __ATOMIC_RELEASE);
}

/* Gives every service that has this server its slots anew. */
static void refill_of(struct rig *r, uint32_t server)
{
	for (size_t i = 0; i < r->services.count; i++) {
		struct rig_service *s = &r->services.items[i];

		for (size_t n = 0; n < s->servers.count; n++)
			if (s->servers.items[n] == server) {
				refill(r, s);
				break;
			}
	}
	world_publish(r);
}

void world_server_down(struct rig *r, uint32_t server)
{
	r->servers[server].up = false;
	world_set_flags(r, server, 0, SERVER_ACCEPTS);
	refill_of(r, server);
}

void world_server_up(struct rig *r, uint32_t server)
{
	r->servers[server].up = true;
	world_set_flags(r, server, SERVER_ACCEPTS, 0);
	refill_of(r, server);
}

void world_server_remove(struct rig *r, uint32_t server)
{
	const uint8_t generation = SERVER_GENERATION(r->servers[server].entry.word);

	r->servers[server].up = false;
	r->servers[server].entry.word = word_of(server, 0, generation + 1);
	refill_of(r, server);
}

uint32_t world_slot_count(const struct rig *r, uint32_t service)
{
	return (uint32_t)r->services.items[service].entry.slots;
}

uint32_t world_slot(const struct rig *r, uint32_t service, uint32_t slot)
{
	return SLOT_CURRENT(r->m->slots[(r->services.items[service].entry.slots >> 32) + slot]);
}

struct hash_key world_key(const struct rig *r, uint32_t service)
{
	const struct service *s = &r->services.items[service].entry;

	return (struct hash_key){ { s->key[0], s->key[1] } };
}

void gets_verdict(struct rig *r, const char *what, const struct packet *p, enum verdict verdict)
{
	static struct frame in;
	static struct outcome o;

	frame_build(p, &in);
	rig_run(r, &in, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
}

struct packet client_packet(bool v6, uint8_t protocol, uint16_t sport, uint8_t flags)
{
	struct packet p = {
		.l2_from = L2_CLIENT,
		.l2_to = L2_LB,
		.from = v6 ? CLIENT6 : CLIENT4,
		.to = v6 ? VIP6 : VIP4,
		.sport = sport,
		.dport = protocol == TCP ? 80 : 53,
		.protocol = protocol,
		.flags = flags,
		.seq = 1000,
		.ack = flags & ACK ? 5000 : 0,
		.payload = flags & (SYN | FIN | RST) ? 0 : 37,
	};

	return p;
}

/* Server addresses as text, alive as long as the process: ids are few. */
static const char *server_text(const struct rig *r, uint32_t server)
{
	static char texts[RIG_SERVERS][ADDR_TEXT_MAX];

	return addr_format(&r->servers[server].addr, texts[server]);
}

struct packet towards_server(const struct packet *request, const struct rig *r, uint32_t server, unsigned port)
{
	struct packet p = *request;
	const uint16_t own = ntohs(r->servers[server].entry.port);

	p.l2_from = L2_LB;
	p.l2_to = L2_SERVER + server;
	p.from = packet_is_v6(request) ? OWN6 : OWN4;
	p.sport = PORT_LOW + port;
	p.to = server_text(r, server);
	p.dport = own ? own : request->dport;
	p.ttl = (request->ttl ? request->ttl : 64) - 1;
	return p;
}

/* The counter in front of a server's part of ports. */
uint64_t *world_port_cursor(const struct rig *r, uint32_t server)
{
	return (uint64_t *)&r->m->ports[r->servers[server].entry.pool_offset];
}

unsigned own_port(const struct rig *r, const struct packet *request, uint32_t server)
{
	if (rig_has_flow(r, request))
		return rig_flow(r, request).from_port - PORT_LOW;
	return *world_port_cursor(r, server) % r->servers[server].entry.pool_count;
}

struct packet server_answer(const struct packet *sent, uint8_t flags)
{
	struct packet p = {
		.l2_from = sent->l2_to,
		.l2_to = sent->l2_from,
		.from = sent->to,
		.to = sent->from,
		.sport = sent->dport,
		.dport = sent->sport,
		.protocol = sent->protocol,
		.flags = flags,
		.seq = 5000,
		.ack = 1001,
		.payload = flags & (SYN | FIN | RST) ? 0 : 53,
	};

	return p;
}

struct packet towards_client(const struct packet *answer, const struct packet *request)
{
	struct packet p = *answer;

	p.l2_from = request->l2_to;
	p.l2_to = request->l2_from;
	p.from = request->to;
	p.to = request->from;
	p.sport = request->dport;
	p.dport = request->sport;
	p.ttl = (answer->ttl ? answer->ttl : 64) - 1;
	return p;
}

void client_sends(struct rig *r, bool v6, uint16_t sport, uint8_t flags, uint32_t server, unsigned port)
{
	struct packet p = client_packet(v6, TCP, sport, flags);

	expect(r, "the client's", p, NAT_REQUEST, .out = towards_server(&p, r, server, port), .server = server);
}

void server_sends(struct rig *r, bool v6, uint16_t sport, uint8_t flags, uint32_t server, unsigned port)
{
	struct packet request = client_packet(v6, TCP, sport, ACK);
	struct packet sent = towards_server(&request, r, server, port);
	struct packet p = server_answer(&sent, flags);

	expect(r, "the server's", p, NAT_REPLY, .out = towards_client(&p, &request), .server = server);
}

void handshake(struct rig *r, bool v6, uint16_t sport, uint32_t server, unsigned port)
{
	struct packet syn = client_packet(v6, TCP, sport, SYN);

	expect(r, "SYN", syn, NAT_REQUEST, .out = towards_server(&syn, r, server, port), .server = server,
	       .connections = 1);
	server_sends(r, v6, sport, SYN | ACK, server, port);
	client_sends(r, v6, sport, ACK, server, port);
}
