/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/sweep.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/vec.h"

struct vec_tags vec(uint64_t *);

/* What a pass counts; published as a whole when it is over. */
struct tally {
	uint32_t *connections, *entries; /* by server id */
	uint32_t *services;              /* by service index of the model */
	uint8_t *addresses, *hops;
	struct sweep_counts counts;
};

struct sweep {
	struct dataplane *dataplane;
	struct dataplane_maps *maps;
	struct grace *grace;
	struct reconcile *reconcile;
	const struct model *model;
	struct event *timer;
	struct sweep_ops ops;
	struct tally now, last;
	bool v6;                  /* position of the pass */
	uint32_t bucket;
	uint16_t tick;            /* at the slice's beginning */
	uint64_t epoch;           /* at the pass's beginning */
	struct vec_tags dead;     /* found dead, waiting for a grace period to be asked for */
	struct vec_tags freeing;  /* ... which has been */
	bool waiting;
	unsigned hurried_passes;  /* still to be made without pauses, this one included */
	int resets;               /* that this slice may still make */
	uint64_t *dealt;          /* by server id: use[].dealt at the pass's beginning */
};

static int tally_init(struct tally *t)
{
	t->connections = calloc(MAX_SERVERS, sizeof(*t->connections));
	t->entries = calloc(MAX_SERVERS, sizeof(*t->entries));
	t->services = calloc(MODEL_SERVICES_MAX, sizeof(*t->services));
	t->addresses = calloc(65536, 1);
	t->hops = calloc(65536, 1);
	return t->connections && t->entries && t->services && t->addresses && t->hops ? 0 : -ENOMEM;
}

static void tally_done(struct tally *t)
{
	free(t->connections);
	free(t->entries);
	free(t->services);
	free(t->addresses);
	free(t->hops);
}

static void tally_clear(struct tally *t)
{
	const struct sweep_counts kept = {
		.expired = t->counts.expired, .reset = t->counts.reset, .passes = t->counts.passes,
	};

	memset(t->connections, 0, MAX_SERVERS * sizeof(*t->connections));
	memset(t->entries, 0, MAX_SERVERS * sizeof(*t->entries));
	memset(t->services, 0, MODEL_SERVICES_MAX * sizeof(*t->services));
	memset(t->addresses, 0, 65536);
	memset(t->hops, 0, 65536);
	t->counts = kept;
}

/* The active half's word of a server. */
static uint64_t server_word(const struct sweep *s, uint32_t id)
{
	uint64_t half = __atomic_load_n(&s->maps->control->word, __ATOMIC_ACQUIRE) & CONTROL_HALF;

	return id < MAX_SERVERS ? __atomic_load_n(&s->maps->servers[half * MAX_SERVERS + id].word, __ATOMIC_ACQUIRE) :
				  0;
}

static uint16_t age(const struct sweep *s, uint64_t tag)
{
	uint16_t ticks = s->tick - FLOW_TICK(tag);

	return ticks > INT16_MAX ? 0 : ticks; /* stamped a moment after the slice read the clock */
}

static void forget_dead(struct sweep *s, uint64_t *tag)
{
	uint64_t **slot = vec_push(&s->dead);

	if (slot)
		*slot = tag; /* else the next pass finds it again */
}

static bool end_entry(struct sweep *s, struct flow_view *f)
{
	const bool request = !(f->kind & FLOW_REPLY);

	if (!flows_kill(f))
		return false;
	if (request && f->to.family && f->from && !(FLOW_STATE(f->value) & FLOW_PROVEN))
		__atomic_fetch_sub(&s->maps->use[FLOW_SERVER(f->value)].half_open, 1, __ATOMIC_RELAXED);
	s->now.counts.expired++;
	return true;
}

static bool is_udp(const struct flow_view *f)
{
	return (f->kind & ~FLOW_REPLY) == IPPROTO_UDP;
}

/* nat requests name an own port; those of dsr do not. */
static bool is_nat(const struct flow_view *f)
{
	return f->from != 0;
}

/* Who has seen both directions knows whether both are closed: with a pair, or by what one entry says of both (`to`). */
static bool is_closed(const struct flow_view *f, const struct flow_view *reply)
{
	const uint8_t state = FLOW_STATE(f->value);

	if (is_udp(f))
		return false;
	if (flows_is_transparent(f))
		return state & FLOW_RST || (state & FLOW_FIN && state & FLOW_BACK_FIN);
	if (!reply)
		return state & (FLOW_RST | FLOW_FIN);
	return ((state | FLOW_STATE(reply->value)) & FLOW_RST) || (state & FLOW_STATE(reply->value) & FLOW_FIN);
}

static uint32_t idle_limit_ms(const struct sweep *s, const struct flow_view *f, size_t service)
{
	if (service == SIZE_MAX)
		return MODEL_IDLE_TIMEOUT_DEFAULT_MS;
	return model_idle_timeout_ms(s->model, &s->model->services.items[service]);
}

static uint32_t udp_limit_ms(const struct sweep *s, const struct flow_view *f, size_t service)
{
	const uint32_t persist = service == SIZE_MAX ? 0 :
		s->model->backends.items[s->model->services.items[service].backend].udp_persist_ms;

	return persist ? persist : idle_limit_ms(s, f, service);
}

/* How long this connection may be silent. */
static uint32_t limit_ms(const struct sweep *s, const struct flow_view *f, const struct flow_view *reply,
			 size_t service)
{
	const uint8_t state = FLOW_STATE(f->value);

	if (is_udp(f))
		return f->to_port && !(state & FLOW_PROVEN) ? SWEEP_UDP_MS : udp_limit_ms(s, f, service);
	if (is_closed(f, reply))
		return (state | (reply ? FLOW_STATE(reply->value) : 0)) & FLOW_RST ? SWEEP_RESET_MS :
												       SWEEP_CLOSED_MS;
	if (!(state & FLOW_PROVEN))
		return service == SIZE_MAX ? MODEL_CONNECT_TIMEOUT_DEFAULT_MS :
					     s->model->backends.items[s->model->services.items[service].backend]
						     .connect_timeout_ms;
	return idle_limit_ms(s, f, service);
}

static struct endpoint endpoint_of(const struct sweep *s, uint16_t address, bool v6, uint16_t port)
{
	struct endpoint e = { .addr.family = v6 ? AF_INET6 : AF_INET, .port = port };

	memcpy(e.addr.bytes, s->maps->addresses[address % MAX_ADDRESSES].addr, v6 ? 16 : 4);
	return e;
}

/* A connection that is over for us only: neither end has closed it. */
static bool is_cut(const struct flow_view *f, const struct flow_view *reply)
{
	return !is_udp(f) && FLOW_STATE(f->value) & FLOW_PROVEN && !is_closed(f, reply);
}

static void tell_ends(struct sweep *s, const struct flow_view *f)
{
	const struct endpoint client = { f->remote, f->remote_port };
	const struct endpoint service = endpoint_of(s, f->local, f->v6, f->local_port);
	const struct endpoint server = { f->to_port ? f->to : (struct addr){}, f->to_port };
	const struct endpoint own = is_nat(f) ? endpoint_of(s, f->from, f->v6, f->from_port) : client;

	s->now.counts.reset++;
	s->resets--;
	s->ops.on_reset(&client, &service, &own, &server, s->ops.ctx);
}

static void count_entry(struct sweep *s, const struct flow_view *f)
{
	s->now.entries[FLOW_SERVER(f->value) % MAX_SERVERS]++;
	s->now.addresses[f->local] = 1;
	s->now.addresses[f->from] = 1;
	s->now.hops[f->hop] = 1;
}

/*
 * Both ends are told by what makes them send a packet, which the program answers with a reset: for that it must know the
 * connection for a while longer. In nat a reply that is not known is the host's, which resets it; here it is not.
 */
static bool end_transparent(struct sweep *s, struct flow_view *f)
{
	const uint8_t generation = SERVER_GENERATION(server_word(s, FLOW_SERVER(f->value)));

	if (!flows_is_transparent(f) || !is_cut(f, NULL) || !flows_end(f, generation - 1, s->tick))
		return false;
	tell_ends(s, f);
	return true;
}

static void sweep_request(struct sweep *s, struct flow_view *f)
{
	const uint32_t server = FLOW_SERVER(f->value);
	struct flow_view reply;
	const bool paired = is_nat(f) && flows_find_other(s->maps, f, &reply);
	size_t service = SIZE_MAX;
	uint16_t silent = age(s, f->value);
	const bool ended = SERVER_GENERATION(server_word(s, server)) != FLOW_GENERATION(f->value);
	bool gone = ended || (is_nat(f) && !paired);

	if (paired && age(s, reply.value) < silent)
		silent = age(s, reply.value);
	service = reconcile_service_of(s->reconcile, f->local, f->v6, f->local_port, f->kind);
	/* A pair that is being written right now has the request last: give it a tick. */
	if (is_nat(f) && !paired && silent == 0)
		gone = false;
	if (flows_is_transparent(f) && FLOW_STATE(f->value) & FLOW_RST)
		gone = false; /* end_transparent() has told them */
	if (gone || silent > dataplane_ticks_from_ms(s->dataplane, limit_ms(s, f, paired ? &reply : NULL, service))) {
		const bool tell = is_cut(f, paired ? &reply : NULL) && (ended || paired);

		if (end_transparent(s, f)) {
			count_entry(s, f);
			return;
		}
		if (paired)
			end_entry(s, &reply);
		if (end_entry(s, f) && tell)
			tell_ends(s, f);
		return;
	}
	if (reconcile_record_is_needless(s->reconcile, f, service)) {
		end_entry(s, f);
		return;
	}
	count_entry(s, f);
	if (s->ops.on_live && service != SIZE_MAX)
		s->ops.on_live(f, paired ? &reply : NULL, service, s->ops.ctx);
	if (is_closed(f, paired ? &reply : NULL))
		return;
	if (f->v6)
		s->now.counts.connections6++;
	else
		s->now.counts.connections4++;
	s->now.connections[server % MAX_SERVERS]++;
	if (service != SIZE_MAX)
		s->now.services[service]++;
}

/* A reply entry ages with its request; without one it is an orphan. */
static void sweep_reply(struct sweep *s, struct flow_view *f)
{
	struct flow_view request;

	if (age(s, f->value) > 1 &&
	    (!flows_find_other(s->maps, f, &request) || request.from != f->local || request.from_port != f->local_port)) {
		end_entry(s, f);
		return;
	}
	count_entry(s, f);
}

static void sweep_bucket(struct sweep *s, uint32_t bucket)
{
	for (unsigned way = 0; way < FLOW_WAYS; way++) {
		uint64_t *tag = flows_tag(s->maps, s->v6, bucket, way);
		uint64_t value = __atomic_load_n(tag, __ATOMIC_RELAXED);
		struct flow_view f;

		if (!value)
			continue;
		if (s->v6)
			s->now.counts.used6++;
		else
			s->now.counts.used4++;
		if ((FLOW_STATE(value) & FLOW_LIFE) == FLOW_DEAD)
			forget_dead(s, tag);
		else if (flows_read(s->maps, s->v6, bucket, way, &f)) {
			if (f.kind & FLOW_REPLY)
				sweep_reply(s, &f);
			else
				sweep_request(s, &f);
		}
	}
}

static void on_grace(void *ctx)
{
	struct sweep *s = ctx;

	for (size_t i = 0; i < s->freeing.count; i++)
		flows_free(s->maps, s->freeing.items[i]);
	s->freeing.count = 0;
	s->waiting = false;
}

static void free_dead(struct sweep *s)
{
	struct vec_tags swap = s->freeing;

	if (s->waiting || !s->dead.count)
		return;
	s->freeing = s->dead;
	s->dead = swap;
	s->dead.count = 0;
	if (grace_call(s->grace, on_grace, s) == 0)
		s->waiting = true;
}

/*
 * How many connections a server has, for `balance leastconn`: those this pass has counted, and those the program has
 * dealt since it began, some of which it has counted as well.
 */
static void publish_live(struct sweep *s, uint32_t id)
{
	struct server_use *use = &s->maps->use[id];
	const uint64_t dealt = __atomic_load_n(&use->dealt, __ATOMIC_RELAXED);

	__atomic_store_n(&use->live, (__s64)s->last.connections[id] - (__s64)s->dealt[id], __ATOMIC_RELAXED);
	s->dealt[id] = dealt;
}

static void finish_pass(struct sweep *s)
{
	struct tally swap = s->last;
	struct sweep_result result;

	s->now.counts.passes++;
	s->last = s->now;
	s->now = swap;
	s->now.counts.expired = s->last.counts.expired;
	s->now.counts.reset = s->last.counts.reset;
	s->now.counts.passes = s->last.counts.passes;
	tally_clear(&s->now);
	s->v6 = false;
	s->bucket = 0;
	for (uint32_t id = 1; id < MAX_SERVERS; id++)
		publish_live(s, id);
	result = (struct sweep_result){
		.connections = s->last.connections, .entries = s->last.entries, .addresses = s->last.addresses,
		.hops = s->last.hops, .epoch = s->epoch, .pass = s->last.counts.passes,
	};
	/* A dead tag found twice while it waits would be freed twice, and the second time be somebody else's. */
	if (!s->waiting)
		free_dead(s);
	else
		s->dead.count = 0;
	reconcile_after_sweep(s->reconcile, &result);
	s->epoch = reconcile_epoch(s->reconcile);
	reconcile_begin_pass(s->reconcile, s->last.counts.passes);
	if (s->hurried_passes)
		s->hurried_passes--;
	s->ops.on_pass(s->ops.ctx);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void plan_slice(struct sweep *s)
{
	const int after_ms = s->hurried_passes ? SWEEP_HURRIED_SLICE_MS : SWEEP_SLICE_MS;

	event_add(s->timer, &(struct timeval){ .tv_usec = after_ms * 1000 });
}

static void walk(struct sweep *s)
{
	const uint64_t end = now_us() + SWEEP_SLICE_BUDGET_US;
	uint64_t total = (uint64_t)s->maps->bucket4_count + s->maps->bucket6_count;
	uint64_t quota = s->hurried_passes ? total : total * SWEEP_SLICE_MS / SWEEP_PASS_MS + 1;

	s->resets = SWEEP_RESETS;
	s->tick = dataplane_tick(s->dataplane);
	for (; quota; quota--) {
		if (s->bucket >= flows_buckets(s->maps, s->v6)) {
			if (s->v6) {
				finish_pass(s);
				return;
			}
			s->v6 = true;
			s->bucket = 0;
		}
		sweep_bucket(s, s->bucket++);
		if (s->resets <= 0 || (quota % 64 == 0 && now_us() > end))
			return;
	}
}

static void on_slice(evutil_socket_t fd, short what, void *arg)
{
	struct sweep *s = arg;

	plan_slice(s);
	if (!s->model)
		return;
	walk(s);
	if (s->ops.on_slice)
		s->ops.on_slice(s->ops.ctx);
}

int sweep_new(struct event_base *base, struct dataplane *d, struct grace *grace, struct reconcile *r,
	      const struct sweep_ops *ops, struct sweep **ret)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->dataplane = d;
	s->maps = dataplane_maps(d);
	s->grace = grace;
	s->reconcile = r;
	s->ops = *ops;
	s->epoch = reconcile_epoch(r);
	s->dealt = calloc(MAX_SERVERS, sizeof(*s->dealt));
	if (!s->dealt || tally_init(&s->now) < 0 || tally_init(&s->last) < 0)
		goto fail;
	s->timer = evtimer_new(base, on_slice, s);
	if (!s->timer)
		goto fail;
	plan_slice(s);
	*ret = s;
	return 0;
fail:
	sweep_free(s);
	return -ENOMEM;
}

void sweep_free(struct sweep *s)
{
	if (!s)
		return;
	if (s->timer)
		event_free(s->timer);
	free(s->dealt);
	tally_done(&s->now);
	tally_done(&s->last);
	vec_done(&s->dead);
	vec_done(&s->freeing);
	free(s);
}

void sweep_set_model(struct sweep *s, const struct model *m)
{
	s->model = m;
	/* Service indices are of the new model from here on: a pass that is half done would mix them. */
	tally_clear(&s->now);
	memset(s->last.services, 0, MODEL_SERVICES_MAX * sizeof(*s->last.services));
	s->v6 = false;
	s->bucket = 0;
	s->dead.count = 0;
	s->epoch = reconcile_epoch(s->reconcile);
}

const struct sweep_counts *sweep_counts(const struct sweep *s)
{
	return &s->last.counts;
}

uint32_t sweep_connections(const struct sweep *s, uint32_t server_id)
{
	return server_id < MAX_SERVERS ? s->last.connections[server_id] : 0;
}

uint32_t sweep_entries(const struct sweep *s, uint32_t server_id)
{
	return server_id < MAX_SERVERS ? s->last.entries[server_id] : 0;
}

uint32_t sweep_service_connections(const struct sweep *s, size_t service)
{
	return service < MODEL_SERVICES_MAX ? s->last.services[service] : 0;
}

void sweep_hurry(struct sweep *s)
{
	s->hurried_passes = 2;
	plan_slice(s);
}

void sweep_finish(struct sweep *s)
{
	s->tick = dataplane_tick(s->dataplane);
	for (;; s->v6 = true, s->bucket = 0) {
		while (s->bucket < flows_buckets(s->maps, s->v6))
			sweep_bucket(s, s->bucket++);
		if (s->v6)
			break;
	}
	finish_pass(s);
}

uint64_t sweep_next_pass(const struct sweep *s)
{
	return s->last.counts.passes + 2;
}
