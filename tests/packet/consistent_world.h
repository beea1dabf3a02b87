/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The world of the tests of consistency (test_packet_consistent*.c only): the real reconciler and the real program, simulated
 * connections, events by chance, and another balancer that has seen none of them. The network is this file's own: every server
 * is one hop away.
 *
 * EVENTS and SEED in the environment: how many events (360 over all suites), and which.
 */
#ifndef TESTS_PACKET_CONSISTENT_WORLD_H
#define TESTS_PACKET_CONSISTENT_WORLD_H

#include <errno.h>
#include <event2/event.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "../namespaces.h"

#include "agent/bases.h"
#include "agent/ids.h"
#include "agent/reconcile.h"
#include "agent/sweep.h"
#include "config/config.h"
#include "packet.h"
#include "table/maglev.h"

enum {
	SERVERS_MAX = 24,
	BACKENDS_MAX = 8,  /* each has all servers, and a service of its own */
	BACKUPS_FROM = 22, /* these stand in when no other takes connections */
	FLOWS = 600,
	WINDOW_MS = 300,       /* X: timeout client and server */
	LRU_ENTRIES = FLOWS / 2, /* of the simulated one: a flood, or its size, leaves no more to these connections */
	SILENCE_MS = 120,      /* an active connection sends at least this often */
	LOOPBACK = 1,
	PORT = 80,             /* of the first service; the others' follow */
	CLIENT_MAC = 0xfe,     /* last byte; no server's */
	SETTLE_MS = 20000,     /* far beyond what it takes */
};

/* ---- the network ---- */

int net_watch(struct net *n, const struct addr *destination)
{
	return 0;
}

void net_unwatch(struct net *n, const struct addr *destination)
{
}

bool net_hop(const struct net *n, const struct addr *destination, struct net_hop *ret)
{
	*ret = (struct net_hop){
		.state = NET_HOP_RESOLVED, .ifindex = LOOPBACK, .mtu = 1500,
		.source = { AF_INET, { 10, 0, 0, 254 } },
		.mac = { 2, 0, 0, 0, 0, destination->bytes[3] }, .own_mac = { 2, 0, 0, 0, 0, 1 },
	};
	return true;
}

const struct net_interface *net_interface_by_index(const struct net *n, unsigned ifindex)
{
	return NULL;
}

void net_interfaces(const struct net *n, bool (*visit)(const struct net_interface *i, void *ctx), void *ctx)
{
}

void net_addresses(const struct net *n, unsigned ifindex,
		   bool (*visit)(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx), void *ctx)
{
}

/* ---- the world ---- */

struct site {
	bool configured;
	unsigned weight;
	bool drained[BACKENDS_MAX];
	uint64_t left_ms;      /* when it was taken out of the configuration; 0 = it is in */
};

struct flow_state {
	bool open;
	unsigned service;
	uint16_t sport;
	uint32_t host;         /* last bits of the client's address */
	unsigned server;       /* where it was opened */
	uint64_t sent_ms;
	bool moved_stateless;  /* a table without memory would have moved it */
	bool moved_lru;        /* so would a full LRU */
	uint64_t lru_used;     /* when its entry was used last, in packets; 0 = it has none */
};

struct world {
	struct event_base *base;
	struct dataplane *dataplane;
	struct grace *grace;
	struct reconcile *reconcile;
	struct bases *bases;   /* being laid out, while events go on; NULL = none */
	struct event *more;    /* the next slice */
	bool held_up;          /* it does not come */
	struct sweep *sweep;
	struct health *health;
	struct model *model;
	struct hash_key secret;
	struct site servers[SERVERS_MAX];
	struct flow_state flows[FLOWS];
	char name[64];
	uint64_t seed;
	unsigned weight;       /* the least: it makes the table a small one, or one that is changed by its cache */
	unsigned backends;
	uint32_t slice_us;     /* 0: all tables in one turn */
	bool all_backups;      /* stand in */
	const char *forward;   /* NULL: dsr */
	const char *balance;
	unsigned opened, packets, broken, late, misplaced, refused, stateless, lru, lru_entries, events, laid;
};

static struct world w;

static inline uint32_t random_below(uint32_t n)
{
	w.seed += 0x9e3779b97f4a7c15ULL;
	return hash_slot(hash_mix(w.seed), n);
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void on_error(const char *text, void *ctx)
{
	fail_msg("%s", text);
}

static inline void on_change(const struct health_event *e, void *ctx)
{
}

static inline void nothing(void *ctx)
{
}

static inline void no_reset(const struct endpoint *client, const struct endpoint *service, const struct endpoint *own,
		     const struct endpoint *server, void *ctx)
{
}

static inline struct model *build_model(void)
{
	static char text[1 << 16];
	struct config_report report = {};
	struct model *m = NULL;
	int n = snprintf(text, sizeof(text), "defaults\n timeout connect 5s\n timeout client %dms\n timeout server %dms\n",
			 WINDOW_MS, WINDOW_MS);

	for (unsigned b = 0; b < w.backends; b++) {
		n += snprintf(text + n, sizeof(text) - n,
			      "frontend f%u\n bind 192.0.2.10:%u\n default_backend b%u\n"
			      "backend b%u\n forward %s\n balance %s\n%s", b, PORT + b, b, b,
			      w.forward ? w.forward : "dsr", w.balance,
			      w.all_backups ? " option allbackups\n" : "");
		for (unsigned i = 0; i < SERVERS_MAX; i++)
			if (w.servers[i].configured)
				n += snprintf(text + n, sizeof(text) - n, " server s%u 10.0.0.%u:%u weight %u%s\n", i, i + 1,
					      PORT + b, w.servers[i].weight, i >= BACKUPS_FROM ? " backup" : "");
	}
	if (config_load_text("test", text, n, &m, &report) < 0) {
		config_report_print(&report, stderr);
		fail_msg("the configuration is bad");
	}
	config_report_done(&report);
	return m;
}

static inline void turn(void)
{
	event_base_loop(w.base, EVLOOP_NONBLOCK);
}

/* Until nothing waits for a grace period, and no table is being laid out. */
static inline void settle(void)
{
	const uint64_t end = now_ms() + SETTLE_MS;

	while (!reconcile_is_settled(w.reconcile) || w.bases) {
		event_base_loop(w.base, EVLOOP_ONCE);
		assert_true(now_ms() < end);
	}
}

static inline void reload(void)
{
	char error[RECONCILE_ERROR_MAX];
	struct model *m = build_model();

	if (reconcile_set_model(w.reconcile, m, &w.secret, error) < 0)
		fail_msg("%s", error);
	assert_int_equal(health_configure(w.health, m), 0);
	sweep_set_model(w.sweep, m);
	model_free(w.model);
	w.model = m;
	reconcile_run(w.reconcile, w.health);
}

static inline void on_bases(void *ctx)
{
	bases_take(w.bases, w.reconcile);
	bases_free(w.bases);
	w.bases = NULL;
	reconcile_run(w.reconcile, w.health);
}

static inline void on_slow(struct bases *b, void *ctx)
{
	w.bases = b;
	w.laid++;
	assert_int_equal(bases_start(b, w.base, on_bases, NULL), 0);
}

static inline void on_more_turn(evutil_socket_t fd, short what, void *ctx)
{
	reconcile_go_on(w.reconcile);
}

static inline void on_more(void *ctx)
{
	const struct timeval at_once = {};

	if (!w.held_up)
		evtimer_add(w.more, &at_once);
}

static inline void open_agent(bool first)
{
	const struct sweep_ops sweep = { .on_pass = nothing, .on_reset = no_reset };
	const struct reconcile_ops reconcile = {
		.on_error = on_error, .on_slow = on_slow, .on_more = w.slice_us ? on_more : NULL, .slice_us = w.slice_us,
	};
	const struct dataplane_options options = {
		.name = w.name, .slots = 1 << 20, .ports = w.forward ? 1 << 17 : 1 << 10, .buckets4 = 1 << 16, .buckets6 = 8, .fresh = first,
	};
	char error[DATAPLANE_ERROR_MAX];

	if (dataplane_open(&options, &w.dataplane, error) < 0)
		fail_msg("%s", error);
	assert_int_equal(dataplane_maps(w.dataplane)->taken_over, !first);
	if (first && dataplane_attach(w.dataplane, LOOPBACK, "lo", MODEL_XDP_GENERIC, error) < 0)
		fail_msg("%s", error);
	w.more = evtimer_new(w.base, on_more_turn, NULL);
	assert_int_equal(grace_new(w.base, &w.grace), 0);
	assert_int_equal(reconcile_new(w.dataplane, w.grace, NULL, &reconcile, &w.reconcile), 0);
	assert_int_equal(sweep_new(w.base, w.dataplane, w.grace, w.reconcile, &sweep, &w.sweep), 0);
	reload();
}

static inline void close_agent(bool leave)
{
	bases_free(w.bases);
	w.bases = NULL;
	event_free(w.more);
	sweep_free(w.sweep);
	reconcile_free(w.reconcile);
	grace_free(w.grace);
	dataplane_close(w.dataplane, leave);
}

/* ---- packets ---- */

/* Gives the program one packet of a connection; returns the server it went to, -1 when it went nowhere. */
static inline int send_packet(const struct flow_state *f, uint8_t flags)
{
	static struct frame in, out;
	char from[ADDR_TEXT_MAX];
	const struct packet p = {
		.l2_from = CLIENT_MAC, .l2_to = 1, .from = from, .to = "192.0.2.10", .sport = f->sport,
		.dport = PORT + f->service,
		.protocol = TCP, .flags = flags,
	};
	struct xdp_md ctx = { .ingress_ifindex = LOOPBACK };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.bytes, .data_out = out.bytes,
		    .data_size_out = sizeof(out.bytes), .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	snprintf(from, sizeof(from), "198.51.%u.%u", f->host >> 8 & 255, f->host & 255);
	frame_build(&p, &in);
	ctx.data_end = in.length;
	opts.data_size_in = in.length;
	assert_int_equal(bpf_prog_test_run_opts(dataplane_program_fd(w.dataplane), &opts), 0);
	w.packets++;
	/* Back out by the same NIC, to another MAC than the client's: on its way to a server. */
	return opts.retval == XDP_TX && out.bytes[5] != p.l2_from ? out.bytes[5] - 1 : -1;
}

static inline bool is_fit(unsigned service, unsigned server)
{
	const struct site *s = &w.servers[server];

	return s->configured && s->weight && !s->drained[service];
}

static inline bool takes_new(unsigned service, unsigned server)
{
	for (unsigned i = 0; server >= BACKUPS_FROM && i < (w.all_backups ? BACKUPS_FROM : server); i++)
		if (is_fit(service, i))
			return false;
	return is_fit(service, server);
}

/* Would a table without memory, the slots' current owners, send it elsewhere? */
static inline bool is_moved_stateless(const struct flow_state *f)
{
	struct dataplane_maps *m = dataplane_maps(w.dataplane);
	const uint64_t half = m->control->word & CONTROL_HALF;
	const uint32_t id = reconcile_service_id(w.reconcile, f->service);
	const struct service *s = &m->services[half * MAX_SERVICES + id];
	const struct hash_key key = { { s->key[0], s->key[1] } };
	uint8_t source[4] = { 198, 51, f->host >> 8 & 255, f->host & 255 }, vip[4] = { 192, 0, 2, 10 };
	uint32_t from, to;
	uint64_t slot, word;

	memcpy(&from, source, 4);
	memcpy(&to, vip, 4);
	slot = m->slots[(s->slots >> 32) + hash_slot(hash_tuple4(&key, from, to, htons(f->sport), htons(PORT + f->service), TCP),
						      s->slots)];
	word = m->servers[half * MAX_SERVERS + SLOT_CURRENT(slot)].word;
	return (word >> 40 & 0xff) != f->server + 1;
}

/*
 * An LRU of all connections: an entry keeps its connection where it is, a packet without one is sent by the slot and
 * recorded in place of the entry that was not used for longest.
 */
static inline void look_lru(struct flow_state *f)
{
	struct flow_state *oldest = NULL;

	if (!f->lru_used) {
		f->moved_lru |= is_moved_stateless(f);
		for (unsigned i = 0; i < FLOWS && w.lru_entries >= LRU_ENTRIES; i++)
			if (w.flows[i].lru_used && (!oldest || w.flows[i].lru_used < oldest->lru_used))
				oldest = &w.flows[i];
		if (oldest)
			oldest->lru_used = 0;
		else
			w.lru_entries++;
	}
	f->lru_used = w.packets;
}

static inline void open_flow(struct flow_state *f)
{
	int server;

	f->service = random_below(w.backends);
	f->sport = 1024 + random_below(60000);
	f->host = random_below(65536);
	f->moved_stateless = f->moved_lru = false;
	server = send_packet(f, SYN);
	f->sent_ms = now_ms();
	if (server < 0) {
		w.refused++;
		return;
	}
	w.opened++;
	/* A table may wait for its turn. */
	w.misplaced += !takes_new(f->service, server) && !reconcile_has_more(w.reconcile);
	f->server = server;
	/* A handshake in flight across a change is no connection yet: it is finished before anything happens. */
	if (send_packet(f, ACK) != server)
		w.broken++;
	f->open = true;
	look_lru(f);
}

static inline void go_on(struct flow_state *f)
{
	const bool in_time = now_ms() - f->sent_ms < WINDOW_MS;
	int server = send_packet(f, ACK);

	f->moved_stateless |= is_moved_stateless(f);
	look_lru(f);
	f->sent_ms = now_ms();
	if (server == (int)f->server)
		return;
	/* Who was silent for longer than X was promised nothing: on a busy machine that happens. */
	w.broken += in_time;
	w.late += !in_time;
	f->open = false;
}

static inline void close_flow(struct flow_state *f)
{
	send_packet(f, FIN | ACK);
	w.stateless += f->moved_stateless;
	w.lru += f->moved_lru;
	f->open = false;
}

/* Everybody who has been silent for long speaks; some end, some begin. */
static inline void traffic(void)
{
	for (unsigned i = 0; i < FLOWS; i++) {
		struct flow_state *f = &w.flows[i];

		if (!f->open) {
			if (random_below(8) == 0)
				open_flow(f);
		} else if (random_below(60) == 0) {
			close_flow(f);
		} else if (now_ms() - f->sent_ms > SILENCE_MS || random_below(6) == 0) {
			go_on(f);
		}
	}
}

/* ---- events ---- */

static inline unsigned count_configured(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < SERVERS_MAX; i++)
		n += w.servers[i].configured;
	return n;
}

static inline void set_state(unsigned backend, unsigned i, enum health_admin_state state)
{
	char path[32];

	snprintf(path, sizeof(path), "b%u/s%u", backend, i);
	if (health_set_admin(w.health, path, state) == 0)
		w.servers[i].drained[backend] = state != HEALTH_READY;
}

static inline void admin(unsigned backend, unsigned i, enum health_admin_state state)
{
	set_state(backend, i, state);
	reconcile_run(w.reconcile, w.health);
}

/* Nobody takes a new connection, as when the balancer itself is cut off; then they come back one after the other. */
static inline void eclipse(unsigned backend, unsigned first)
{
	for (unsigned i = 0; i < SERVERS_MAX; i++)
		admin(backend, i, HEALTH_DRAIN);
	turn();
	traffic();
	for (unsigned i = 0; i < SERVERS_MAX; i++) {
		admin(backend, (first + i * 5) % SERVERS_MAX, HEALTH_READY);
		turn();
		traffic();
	}
}

static inline void add_or_remove(unsigned i)
{
	struct site *s = &w.servers[i];

	if (s->configured && count_configured() > 2) {
		s->configured = false;
		memset(s->drained, 0, sizeof(s->drained));
	} else if (!s->configured) {
		s->configured = true;
		s->weight = w.weight + random_below(3);
		memset(s->drained, 0, sizeof(s->drained));
	}
	reload();
}

static inline void restart(void)
{
	json_t *saved = NULL;

	settle();
	assert_int_equal(health_save(w.health, &saved), 0);
	close_agent(true);
	/* Packets go on being steered while there is no agent. */
	open_agent(false);
	json_decref(saved);
}

static inline void event(void)
{
	unsigned b = random_below(w.backends), i = random_below(SERVERS_MAX);

	w.events++;
	switch (random_below(16)) {
	case 0 ... 4:
		admin(b, i, HEALTH_DRAIN);
		break;
	case 5 ... 9:
		admin(b, i, HEALTH_READY);
		break;
	case 10:
		if (random_below(3) == 0)
			eclipse(b, i);
		else
			admin(b, i, HEALTH_MAINT);
		break;
	case 11 ... 12:
		add_or_remove(i);
		break;
	case 13:
		w.servers[i].weight = random_below(4) ? w.weight + random_below(3) : 0;
		reload();
		break;
	case 14:
		if (random_below(6) == 0)
			w.secret.k[0] = hash_mix(w.seed);
		reload();
		break;
	default:
		if (random_below(4) == 0)
			restart();
	}
}

/* ---- another balancer ---- */

/* Which server each slot of a service has now, by the last byte of its address. Returns how many slots. */
static inline uint32_t read_slots(struct dataplane *d, const struct reconcile *r, unsigned service, uint8_t **ret)
{
	const struct dataplane_maps *m = dataplane_maps(d);
	const uint64_t half = m->control->word & CONTROL_HALF;
	const uint64_t region = m->services[half * MAX_SERVICES + reconcile_service_id(r, service)].slots;
	uint8_t *owners = calloc((uint32_t)region + 1, 1);

	assert_non_null(owners);
	for (uint32_t i = 0; i < (uint32_t)region; i++)
		owners[i] = m->servers[half * MAX_SERVERS + SLOT_CURRENT(m->slots[(region >> 32) + i])].word >> 40;
	*ret = owners;
	return region;
}

/* A change of the table's shape waits while another is under way: X, and a sweep that finds it over. */
static inline void until_nothing_moves(void)
{
	const uint64_t end = now_ms() + 4 * WINDOW_MS;

	while (now_ms() < end) {
		turn();
		sweep_finish(w.sweep);
		reconcile_run(w.reconcile, w.health);
		usleep(1000);
	}
	settle();
}

/* It starts with the configuration and the health that are now, and has seen nothing of how they came about. */
static inline void another_balancer_has_the_same_slots(void)
{
	char error[DATAPLANE_ERROR_MAX];
	struct world before;
	uint8_t *mine[BACKENDS_MAX], *others;
	uint32_t count[BACKENDS_MAX];

	until_nothing_moves();
	before = w;
	for (unsigned b = 0; b < w.backends; b++) {
		count[b] = read_slots(w.dataplane, w.reconcile, b, &mine[b]);
		assert_true(count[b] > 0);
	}
	snprintf(w.name, sizeof(w.name), "consistent-other-%d", getpid());
	w.model = NULL;
	w.health = health_new(w.base, &(struct health_ops){ .on_change = on_change, .on_first_round = nothing });
	assert_int_equal(dataplane_detach(before.dataplane, LOOPBACK), 0); /* there is one NIC for both */
	open_agent(true);
	settle();
	for (unsigned b = w.backends; b-- > 0;)
		for (unsigned i = SERVERS_MAX; i-- > 0;)
			if (w.servers[i].configured && w.servers[i].drained[b])
				admin(b, i, HEALTH_DRAIN);
	settle();
	for (unsigned b = 0; b < w.backends; b++) {
		assert_int_equal(read_slots(w.dataplane, w.reconcile, b, &others), count[b]);
		assert_memory_equal(others, mine[b], count[b]);
		free(mine[b]);
		free(others);
	}
	close_agent(false);
	health_free(w.health);
	model_free(w.model);
	w = before;
	if (dataplane_attach(w.dataplane, LOOPBACK, "lo", MODEL_XDP_GENERIC, error) < 0)
		fail_msg("%s", error);
}

static inline unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static const struct world plain __attribute__((unused)) = { .backends = 1, .balance = "maglev" };
/* A turn is over after each table. */
static const struct world sliced __attribute__((unused)) = { .backends = BACKENDS_MAX, .balance = "maglev", .slice_us = 1 };

/* Tables of servers and of backups are large, and of different sizes. */
static const struct world two_sided __attribute__((unused)) = { .backends = 1, .balance = "maglev", .all_backups = true };

/* The first `count` servers are configured. */
static inline void begin_as(const struct world *kind, unsigned weight, unsigned count)
{
	const struct health_ops ops = { .on_change = on_change, .on_first_round = nothing };

	w = *kind;
	w.seed = from_environment("SEED", 1);
	w.weight = weight;
	w.secret = (struct hash_key){ { 1, 2 } };
	snprintf(w.name, sizeof(w.name), "consistent-test-%d", getpid());
	assert_int_equal(namespaces_enter(), 0);
	w.base = event_base_new();
	w.health = health_new(w.base, &ops);
	for (unsigned i = 0; i < count; i++)
		w.servers[i] = (struct site){ .configured = true, .weight = weight + (weight > 1 ? i % 3 : 0) };
	open_agent(true);
	settle();
}

static inline void begin(unsigned weight, unsigned count)
{
	begin_as(&plain, weight, count);
}

static inline void end(void)
{
	close_agent(false);
	health_free(w.health);
	model_free(w.model);
	event_base_free(w.base);
}

static inline void change_for_a_while(const struct world *kind, unsigned weight, unsigned percent)
{
	const unsigned events = from_environment("EVENTS", getenv("LONG") ? 5000 : 360) * percent / 100;
	unsigned still = 0;

	begin_as(kind, weight, 12);
	for (unsigned i = BACKUPS_FROM; i < SERVERS_MAX && kind->all_backups; i++)
		w.servers[i] = (struct site){ .configured = true, .weight = weight };
	for (unsigned round = 0; w.events < events; round++) {
		if (random_below(3) == 0)
			event();
		turn();
		traffic();
		if (round % 8 == 0)
			sweep_finish(w.sweep);
	}
	for (unsigned i = 0; i < FLOWS; i++) {
		still += w.flows[i].open;
		if (w.flows[i].open)
			close_flow(&w.flows[i]);
	}
	/* The last word of all: weights that want a table of another size, while one of another key takes the place of the first. */
	w.secret.k[0] = hash_mix(w.secret.k[0]);
	reload();
	for (unsigned i = 0; i < SERVERS_MAX; i++)
		w.servers[i].weight = (w.weight > 100 ? w.weight / 2 : 2 * w.weight) + 5 + i % 2;
	reload();
	another_balancer_has_the_same_slots();
	end();
	print_message("%u events, %u connections, %u packets: %u broken, %u to a server that takes none, %u refused, %u "
		      "broken after a silence longer than the window; a "
		      "table without memory would have moved %u, a full LRU %u\n", w.events, w.opened, w.packets, w.broken,
		      w.misplaced, w.refused, w.late, w.stateless, w.lru);
	assert_int_equal(w.broken, 0);
	assert_int_equal(w.misplaced, 0);
	assert_true(w.opened > events && still > 0);
	assert_true(w.stateless > 0 && w.lru > 0);
}

/* How many slots the service has. */
static inline uint32_t slots_now(void)
{
	uint8_t *owners;
	uint32_t count = read_slots(w.dataplane, w.reconcile, 0, &owners);

	free(owners);
	return count;
}

/* How many slots of a service a server has. */
static inline unsigned owned(unsigned service, unsigned server)
{
	uint8_t *owners;
	uint32_t count = read_slots(w.dataplane, w.reconcile, service, &owners);
	unsigned n = 0;

	for (uint32_t i = 0; i < count; i++)
		n += owners[i] == server + 1;
	free(owners);
	return n;
}

#endif
