/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records between this machine's ids and addresses: what the sweep finds is told by addresses, what a peer tells is put
 * into the flow table by ids, if it is of a service, server and own address that are here too. Part of agent/peers.
 */
#include <arpa/inet.h>
#include <string.h>

#include "agent/peers_internal.h"

/* ---- the way back to a client ---- */

static uint64_t mac_word(const uint8_t mac[6])
{
	uint64_t word = 0;

	memcpy(&word, mac, 6);
	return word;
}

/* As bpf/hop.h learns one: the id of this next hop, claimed if it is new. PEER_HOP: there is no room. */
static uint16_t claim_hop(const struct dataplane_maps *m, const struct net_hop *hop)
{
	const uint64_t peer = mac_word(hop->mac), own = mac_word(hop->own_mac);
	const uint32_t start = hash_mix(peer ^ (uint64_t)hop->ifindex << 48) >> 32;

	for (uint32_t i = 0; i < HOP_PROBES; i++) {
		const uint32_t id = (start + i) & (MAX_HOPS - 1);
		struct hop *h = &m->hops[id];
		__u64 there = __atomic_load_n(&h->peer, __ATOMIC_ACQUIRE);

		if (!id)
			continue;
		if (there == (peer | HOP_LIVE) && h->own == own && h->ifindex == hop->ifindex)
			return id;
		if (there || !__atomic_compare_exchange_n(&h->peer, &there, HOP_BUSY, false, __ATOMIC_ACQ_REL,
							  __ATOMIC_RELAXED))
			continue;
		h->own = own;
		h->ifindex = hop->ifindex;
		__atomic_store_n(&h->peer, peer | HOP_LIVE, __ATOMIC_RELEASE);
		return id;
	}
	return PEER_HOP;
}

static uint16_t claim_way(struct peers *p, const struct addr *client)
{
	struct net_hop hop;

	return net_hop(p->agent->net, client, &hop) && hop.state == NET_HOP_RESOLVED ?
		       claim_hop(dataplane_maps(p->agent->dataplane), &hop) : PEER_HOP;
}

/* The gateway that most of the watched networks are behind: further ones are taken to be behind it too. */
static uint16_t usual_way(struct peers *p, const struct ways *ways)
{
	const struct addr *best = NULL;
	unsigned most = 0;

	for (size_t i = 0; i < ways->count; i++) {
		struct net_hop hop, other;
		unsigned n = 0;

		if (!net_hop(p->agent->net, &ways->clients[i], &hop) || !hop.gateway.family)
			continue;
		for (size_t j = 0; j < ways->count; j++)
			n += net_hop(p->agent->net, &ways->clients[j], &other) && other.ifindex == hop.ifindex &&
			     addr_equal(&other.gateway, &hop.gateway);
		if (n > most) {
			most = n;
			best = &ways->clients[i];
		}
	}
	return best ? claim_way(p, best) : PEER_HOP;
}

/*
 * The first packet here may be the server's, and behind ECMP the client's may all pass another balancer: nobody has seen how
 * they come. One client of each network is watched, so that its next hop is known.
 */
static uint16_t hop_of(struct peers *p, const struct addr *client)
{
	const unsigned length = client->family == AF_INET6 ? 48 : 24;
	const struct addr network = addr_mask(client, length);
	struct ways *ways = client->family == AF_INET6 ? &p->ways6 : &p->ways4;

	for (size_t i = 0; i < ways->count; i++) {
		const struct addr other = addr_mask(&ways->clients[i], length);

		if (addr_equal(&other, &network))
			return claim_way(p, &ways->clients[i]);
	}
	if (ways->count == PEERS_WAYS_MAX)
		return usual_way(p, ways);
	if (net_watch(p->agent->net, client) == 0)
		ways->clients[ways->count++] = *client;
	return PEER_HOP;
}

/* Only where none was known: what a client's own packet has taught meanwhile is better. */
static void store_hop(const struct flow_view *f, uint16_t hop)
{
	uint16_t *at = f->v6 ? &((struct flow6 *)f->record)->hop : &((struct flow4 *)f->record)->hop;
	uint16_t none = PEER_HOP;

	__atomic_compare_exchange_n(at, &none, hop, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* The way to the client of a record that was told of was not known then. */
static void find_way(struct peers *p, const struct flow_view *f, const struct flow_view *reply)
{
	const struct flow_view *to_client = reply ? reply : f;
	const uint16_t hop = to_client->hop == PEER_HOP ? hop_of(p, &f->remote) : PEER_HOP;

	if (hop == PEER_HOP)
		return;
	store_hop(to_client, hop);
	store_hop(f, hop);
}

/* ---- what goes out ---- */

static bool is_tcp(const struct flow_view *f)
{
	return (f->kind & ~FLOW_REPLY) == IPPROTO_TCP;
}

static bool is_closed(const struct flow_view *f, const struct flow_view *reply)
{
	const uint8_t state = FLOW_STATE(f->value), reply_state = reply ? FLOW_STATE(reply->value) : 0;

	if (flows_is_transparent(f))
		return state & FLOW_RST || (state & FLOW_FIN && state & FLOW_BACK_FIN);
	return reply ? ((state | reply_state) & FLOW_RST) || (state & reply_state & FLOW_FIN) : state & (FLOW_FIN | FLOW_RST);
}

/* Where the entry stands: families one behind the other. */
static uint64_t position_of(const struct peers *p, const struct flow_view *f)
{
	const struct dataplane_maps *m = dataplane_maps(p->agent->dataplane);
	const size_t size = f->v6 ? sizeof(struct flow_entry6) : sizeof(struct flow_entry4);
	const size_t at = (size_t)((const char *)f->tag - (f->v6 ? (const char *)m->flows6 : (const char *)m->flows4));

	return (f->v6 ? (uint64_t)m->bucket4_count * FLOW_WAYS : 0) + at / size;
}

static uint64_t *known_at(struct peers *p, const struct flow_view *f, uint64_t position)
{
	const uint64_t first6 = (uint64_t)dataplane_maps(p->agent->dataplane)->bucket4_count * FLOW_WAYS;

	return f->v6 ? &p->known6[position - first6] : &p->known4[position];
}

/* All that is told of an entry, but for addresses: its tag, stamped with the later packet of both directions. */
static uint64_t summary_of(const struct flow_view *f, const struct flow_view *reply)
{
	uint16_t tick = FLOW_TICK(f->value);
	uint64_t state = reply ? FLOW_STATE(reply->value) : 0;

	if (reply && (int16_t)(FLOW_TICK(reply->value) - tick) > 0)
		tick = FLOW_TICK(reply->value);
	return ((f->value & ~0xffffULL) | tick) ^ state << 56;
}

static uint32_t refresh_ms(const struct model *m, const struct model_service *s, bool tcp)
{
	const uint32_t persist = m->backends.items[s->backend].udp_persist_ms;
	const uint32_t idle = !tcp && persist ? persist : model_idle_timeout_ms(m, s);

	return idle / 8 < PEERS_REFRESH_MS ? idle / 8 : PEERS_REFRESH_MS;
}

/* What the server is called here: its address, and its port if it has one of its own. */
static struct endpoint server_endpoint(const struct dataplane_maps *m, const struct flow_view *f)
{
	const uint64_t half = __atomic_load_n(&m->control->word, __ATOMIC_ACQUIRE) & CONTROL_HALF;
	const struct server *s = &m->servers[half * MAX_SERVERS + FLOW_SERVER(f->value) % MAX_SERVERS];
	const bool v6 = s->outer ? s->outer == 6 : f->v6;
	struct endpoint e = { .addr.family = v6 ? AF_INET6 : AF_INET, .port = ntohs(s->port) };

	memcpy(e.addr.bytes, s->addr, v6 ? 16 : 4);
	return e;
}

static struct wire_record record_of(struct peers *p, const struct flow_view *f, const struct flow_view *reply,
				    uint64_t summary)
{
	struct agent *a = p->agent;
	const struct dataplane_maps *m = dataplane_maps(a->dataplane);
	const uint16_t ticks = dataplane_tick(a->dataplane) - FLOW_TICK(summary);
	const uint64_t age = ticks > INT16_MAX ? 0 : dataplane_ms_from_ticks(a->dataplane, ticks);
	struct wire_record r = {
		.protocol = f->kind, .state = FLOW_STATE(f->value), .reply_state = reply ? FLOW_STATE(reply->value) : 0,
		.age = (age + WIRE_AGE_MS - 1) / WIRE_AGE_MS, .client = { f->remote, f->remote_port },
		.service = { reconcile_address(a->reconcile, f->local, f->v6), f->local_port },
		.server = server_endpoint(m, f),
	};

	if (reply)
		r.own = (struct endpoint){ reconcile_address(a->reconcile, f->from, f->v6), f->from_port };
	return r;
}

static bool put_record(struct link *l, const struct wire_record *r)
{
	size_t size;

	if (!link_has_room(l))
		return false;
	size = wire_write_record(l->out + l->length, WIRE_DATAGRAM_MAX - WIRE_MAC - l->length, r);
	l->length += size;
	l->records += size > 0;
	return true;
}

/* Are all told? Those that get a copy are told as their copy comes to this place. */
static bool tell(struct peers *p, const struct wire_record *r, bool changed, uint64_t position)
{
	bool all = true;

	for (size_t i = 0; i < p->links.count; i++) {
		struct link *l = p->links.items[i];
		const bool copied = l->giving && !l->stalled && position >= l->cursor;

		if (!l->up || !(changed || copied))
			continue;
		if (put_record(l, r)) {
			if (copied)
				l->cursor = position + 1;
		} else {
			l->stalled |= l->giving;
			all = false;
		}
	}
	return all;
}

static bool anybody_wants(const struct peers *p, bool changed)
{
	for (size_t i = 0; i < p->links.count; i++)
		if (p->links.items[i]->up && (changed || p->links.items[i]->giving))
			return true;
	return false;
}

void peers_see(struct peers *p, const struct flow_view *f, const struct flow_view *reply, size_t service)
{
	const struct model *m = p ? p->agent->model : NULL;
	uint64_t summary, position, *known;
	struct wire_record r;
	bool changed, closed;

	if (!p || !m->backends.items[m->services.items[service].backend].flow_peers || (f->from && !reply))
		return;
	find_way(p, f, reply);
	/* What no second packet has proven may be a flood's: it stays here. */
	if (!(FLOW_STATE(f->value) & FLOW_PROVEN))
		return;
	summary = summary_of(f, reply);
	position = position_of(p, f);
	known = known_at(p, f, position);
	closed = is_tcp(f) && is_closed(f, reply);
	changed = (summary ^ *known) >> 16 ||
		  (!closed && (uint16_t)(FLOW_TICK(summary) - FLOW_TICK(*known)) >=
			   dataplane_ticks_from_ms(p->agent->dataplane,
						   refresh_ms(m, &m->services.items[service], is_tcp(f))));
	/* One that is over, and that nobody was told of. */
	if (closed && FLOW_SERVER(summary) != FLOW_SERVER(*known))
		return;
	if (!anybody_wants(p, changed))
		return;
	r = record_of(p, f, reply, summary);
	if (tell(p, &r, changed, position))
		*known = summary;
}

/* ---- what comes in ---- */

static uint64_t word_of(const struct dataplane_maps *m, uint32_t id)
{
	const uint64_t half = __atomic_load_n(&m->control->word, __ATOMIC_ACQUIRE) & CONTROL_HALF;

	return __atomic_load_n(&m->servers[half * MAX_SERVERS + id].word, __ATOMIC_ACQUIRE);
}

static bool find_server(const struct model_backend *b, const struct endpoint *at, size_t *ret)
{
	for (size_t i = 0; i < b->servers.count; i++)
		if (b->servers.items[i].at.port == at->port && addr_equal(&b->servers.items[i].at.addr, &at->addr)) {
			*ret = i;
			return true;
		}
	return false;
}

/* What an entry says: who sends to which address of ours, and where it goes on to, from where. */
struct way {
	struct endpoint remote, to;  /* to: family 0 where no address is translated */
	uint16_t local, local_port, from, from_port, hop;
	uint8_t kind;
};

static void fill(__u64 words[6], const struct way *w)
{
	if (w->remote.addr.family == AF_INET6) {
		struct flow6 f = { .remote_port = htons(w->remote.port), .local_port = htons(w->local_port),
				   .local = w->local, .kind = w->kind, .to_port = htons(w->to.port),
				   .from_port = htons(w->from_port), .from = w->from, .hop = w->hop };

		memcpy(f.remote, w->remote.addr.bytes, 16);
		memcpy(f.to, w->to.addr.bytes, 16);
		memcpy(words, &f, sizeof(f));
	} else {
		struct flow4 f = { .remote_port = htons(w->remote.port), .local_port = htons(w->local_port),
				   .local = w->local, .kind = w->kind, .to_port = htons(w->to.port),
				   .from_port = htons(w->from_port), .from = w->from, .hop = w->hop };

		memcpy(&f.remote, w->remote.addr.bytes, 4);
		memcpy(&f.to, w->to.addr.bytes, 4);
		memcpy(words, &f, sizeof(f));
	}
}

/* Both directions of a translated connection. */
static void fill_both(struct peer_record *r, const struct wire_record *w, uint16_t address, uint16_t own, uint16_t hop)
{
	struct endpoint server = w->server;
	struct way request, reply;

	if (!server.port)
		server.port = w->service.port;
	request = (struct way){ .remote = w->client, .to = server, .local = address, .local_port = w->service.port,
				.from = own, .from_port = w->own.port, .hop = hop, .kind = w->protocol };
	reply = (struct way){ .remote = server, .to = w->client, .local = own, .local_port = w->own.port,
			      .from = address, .from_port = w->service.port, .hop = hop,
			      .kind = w->protocol | FLOW_REPLY };
	fill(r->request, &request);
	fill(r->reply, &reply);
}

/* By this machine's ids. PEERS_RESULT_MAX, or why not. */
static enum peers_result translate(struct peers *p, const struct wire_record *w, struct peer_record *r)
{
	struct agent *a = p->agent;
	const struct dataplane_maps *m = dataplane_maps(a->dataplane);
	const struct model_backend *b;
	uint16_t address, own = 0;
	uint64_t word;
	size_t service, s;
	uint32_t id, ticks;

	service = reconcile_find_service(a->reconcile, &w->service.addr, w->service.port, w->protocol, &address);
	if (service == SIZE_MAX)
		return PEERS_SERVICE;
	b = &a->model->backends.items[a->model->services.items[service].backend];
	/* The mode differs, or the backend keeps to itself here: no service that this record could be of. */
	if (!b->flow_peers || (b->forward == MODEL_NAT) != (w->own.addr.family != 0))
		return PEERS_SERVICE;
	if (!find_server(b, &w->server, &s))
		return PEERS_SERVER;
	id = reconcile_server_id(a->reconcile, a->model->services.items[service].backend, s);
	if (id == 0 || id >= MAX_SERVERS)
		return PEERS_SERVER;
	word = word_of(m, id);
	if (b->servers.items[s].shutdown_sessions && SERVER_FLAGS(word) & SERVER_DOWN)
		return PEERS_ENDED;
	if (w->own.addr.family) {
		own = reconcile_find_own(a->reconcile, &w->own.addr);
		if (!own)
			return PEERS_SOURCE;
	}
	ticks = dataplane_ticks_from_ms(a->dataplane, (uint64_t)w->age * WIRE_AGE_MS);
	*r = (struct peer_record){
		.server = id, .generation = SERVER_GENERATION(word), .state = w->state, .reply_state = w->reply_state,
		.v6 = w->client.addr.family == AF_INET6, .nat = own != 0, .age = ticks > INT16_MAX ? INT16_MAX : ticks,
	};
	if (own) {
		fill_both(r, w, address, own, hop_of(p, &w->client.addr));
	} else {
		struct way request = { .remote = w->client, .local = address, .local_port = w->service.port,
				       .kind = w->protocol };

		if (b->forward == MODEL_TRANSPARENT) {
			request.to = w->server;
			request.to.port = w->server.port ? w->server.port : w->service.port;
			request.hop = hop_of(p, &w->client.addr);
		}
		fill(r->request, &request);
	}
	return PEERS_RESULT_MAX;
}

/* What a peer has told needs not be told back to it, nor to the others: it tells them too. */
static void note_known(struct peers *p, const struct peer_record *r)
{
	const struct dataplane_maps *m = dataplane_maps(p->agent->dataplane);
	struct flow_view f, reply;
	bool paired;

	if (!flows_find(m, r->v6, r->request, &f))
		return;
	paired = f.from && flows_find_other(m, &f, &reply);
	*known_at(p, &f, position_of(p, &f)) = summary_of(&f, paired ? &reply : NULL);
}

static void run_batch(struct link *l)
{
	static const enum peers_result results[] = {
		[PEER_NONE] = PEERS_BUSY, [PEER_INSERTED] = PEERS_INSERTED, [PEER_UPDATED] = PEERS_UPDATED,
		[PEER_OLDER] = PEERS_OLDER, [PEER_FULL] = PEERS_FULL, [PEER_BUSY] = PEERS_BUSY,
	};
	struct peer_batch *b = dataplane_peer_batch(l->peers->program);

	if (!b->count)
		return;
	dataplane_peer_run(l->peers->program); /* when it fails, results stay PEER_NONE */
	for (uint32_t i = 0; i < b->count; i++) {
		const struct peer_record *r = &b->records[i];

		l->counts.results[results[r->result <= PEER_BUSY ? r->result : PEER_NONE]]++;
		if (r->result == PEER_INSERTED || r->result == PEER_UPDATED)
			note_known(l->peers, r);
	}
	b->count = 0;
}

_Static_assert((WIRE_DATAGRAM_MAX - WIRE_HEADER - WIRE_MAC) / WIRE_RECORD_MIN <= PEER_BATCH, "a datagram is a batch");

void records_take(struct link *l, const uint8_t *data, size_t length)
{
	struct peer_batch *b = dataplane_peer_batch(l->peers->program);
	struct wire_record w;
	int r;

	b->count = 0;
	while ((r = wire_read_record(&data, &length, &w)) > 0 && b->count < PEER_BATCH) {
		const enum peers_result result = translate(l->peers, &w, &b->records[b->count]);

		if (result == PEERS_RESULT_MAX)
			b->count++;
		else
			l->counts.results[result]++;
	}
	if (r < 0)
		l->counts.drops[PEERS_DROP_MALFORMED]++;
	run_batch(l);
}
