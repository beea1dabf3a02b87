/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an address ought to be is decided from the servers' health (decide); what it is, the kernel tells (net_claim_state);
 * act() brings the two together, again and again: a request that was lost, refused or undone by somebody is made anew
 * with the next tick.
 */
#include "agent/announce.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "agent/agent.h"
#include "agent/peers.h"

enum life { LIFE_UNKNOWN, LIFE_MORTAL, LIFE_FOR_EVER };

struct address_entry {
	struct addr addr;
	struct model_announce how;
	struct vec(size_t) backends;
	unsigned fit;
	bool decided;            /* it has been up or down for a reason, not only since the start */
	bool wanted;             /* it is to be up */
	bool enough;             /* servers, since edge_ms */
	uint64_t edge_ms;
	bool was_up;             /* as last seen on the interface */
	bool blocked;            /* the log knows that it is somebody else's */
	bool gone;               /* no longer configured: forgotten once it is off the interface */
	int error;               /* of the last request */
	enum life life;          /* as last asked for */
	unsigned tells;          /* still to be sent */
	uint64_t tell_ms;
	uint64_t since_ms, changes;
};

struct announce {
	struct agent *agent;
	struct event *tick;
	uint64_t tick_ms;   /* when it comes, if it is pending */
	struct vec(struct address_entry) entries;
	bool withdrawn, stopped;
};

static bool steers(const struct agent *a)
{
	const struct dataplane_attachment *all;

	return a->running && dataplane_attachments(a->dataplane, &all) > 0;
}

static unsigned ifindex_of(const struct announce *an, const struct address_entry *e)
{
	const struct net_interface *in = net_interface_by_name(an->agent->net, e->how.interface);

	return in ? in->ifindex : 0;
}

static enum net_claim_state state_of(const struct announce *an, const struct address_entry *e)
{
	const unsigned ifindex = ifindex_of(an, e);

	return ifindex ? net_claim_state(an->agent->net, ifindex, &e->addr) : NET_CLAIM_ABSENT;
}

static void entry_done(struct address_entry *e)
{
	vec_done(&e->backends);
}

static void wait_ms(struct announce *an, unsigned ms)
{
	const struct timeval after = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	const uint64_t at_ms = agent_monotonic_ms() + ms;

	/* An earlier one stays. */
	if (evtimer_pending(an->tick, NULL) && an->tick_ms <= at_ms)
		return;
	an->tick_ms = at_ms;
	evtimer_add(an->tick, &after);
}

static unsigned count_fit(const struct announce *an, const struct address_entry *e)
{
	const struct agent *a = an->agent;
	unsigned fit = 0;

	for (size_t i = 0; i < e->backends.count; i++)
		for (size_t s = 0; s < a->model->backends.items[e->backends.items[i]].servers.count; s++) {
			struct health_view v;

			health_view(a->health, e->backends.items[i], s, &v);
			fit += v.accepts_new;
		}
	return fit;
}

/* Is it to be up? Arms the timer where time is what is missing. */
static void decide(struct announce *an, struct address_entry *e, uint64_t now)
{
	const bool allowed = !an->withdrawn && !an->stopped && !e->gone && steers(an->agent);
	const bool enough = e->fit >= e->how.need;
	uint64_t due;

	if (!an->stopped && !e->gone && !an->agent->running)
		return; /* before the first round of checks nothing is known: what a former agent left stays */
	if (allowed && !e->gone && peers_are_awaited(an->agent->peers))
		return; /* connections that others recorded would be reset: their records first. on_run() comes back */
	if (enough != e->enough || !e->decided) {
		e->enough = enough;
		e->edge_ms = now;
	}
	if (!allowed || !e->decided) {
		e->wanted = allowed && enough;
		e->decided = true;
		return;
	}
	if (e->wanted == enough)
		return;
	due = e->edge_ms + (enough ? ANNOUNCE_RISE_MS : ANNOUNCE_FALL_MS);
	if (now >= due)
		e->wanted = enough;
	else
		wait_ms(an, due - now);
}

/* One line for each change of what is on the interface. */
static void note_change(struct announce *an, struct address_entry *e, bool up)
{
	char text[ADDR_TEXT_MAX];

	if (up == e->was_up)
		return;
	e->was_up = up;
	e->since_ms = agent_wall_ms();
	e->changes++;
	e->tells = up ? ANNOUNCE_TELLS : 0;
	e->tell_ms = 0;
	log_event(an->agent->log, up || e->gone || an->stopped || an->withdrawn ? LOG_NOTICE : LOG_WARNING,
		  up ? "announced" : "withdrawn", "address=%s interface=%s fit=%u need=%u", addr_format(&e->addr, text),
		  e->how.interface, e->fit, e->how.need);
	an->agent->save_due = true;
	agent_run_soon(an->agent);
}

static void tell(struct announce *an, struct address_entry *e, unsigned ifindex, uint64_t now)
{
	if (!e->tells)
		return;
	if (now >= e->tell_ms) {
		const int r = net_tell(an->agent->net, ifindex, &e->addr);
		char text[ADDR_TEXT_MAX];

		if (r < 0 && e->tells == ANNOUNCE_TELLS)
			log_event(an->agent->log, LOG_WARNING, "announce_untold", "address=%s interface=%s error=%s",
				  addr_format(&e->addr, text), e->how.interface, log_quoted(strerror(-r)));
		e->tells--;
		e->tell_ms = now + ANNOUNCE_TELL_MS;
	}
	if (e->tells)
		wait_ms(an, e->tell_ms > now ? e->tell_ms - now : 1);
}

static void note_foreign(struct announce *an, struct address_entry *e, bool foreign)
{
	char text[ADDR_TEXT_MAX];

	if (foreign && !e->blocked)
		log_event(an->agent->log, LOG_WARNING, "announce_foreign", "address=%s interface=%s text=%s",
			  addr_format(&e->addr, text), e->how.interface,
			  log_quoted("somebody else has put it there: it is left as it is, and never withdrawn"));
	e->blocked = foreign;
}

/* renew: a tick, the lifetime of what is there begins anew. */
static void act(struct announce *an, struct address_entry *e, uint64_t now, bool renew)
{
	struct agent *a = an->agent;
	const bool mortal = a->model->global.on_agent_death == MODEL_DEATH_WITHDRAW;
	const enum life life = mortal ? LIFE_MORTAL : LIFE_FOR_EVER;
	const unsigned ifindex = ifindex_of(an, e);
	const enum net_claim_state state = state_of(an, e);
	/* Before the first round what a former agent left is kept alive, and nothing more. */
	const bool wanted = e->decided ? e->wanted : state == NET_CLAIM_OURS;
	int r = 0;

	note_foreign(an, e, state == NET_CLAIM_FOREIGN);
	note_change(an, e, state == NET_CLAIM_OURS);
	if (!ifindex || state == NET_CLAIM_FOREIGN)
		return;
	if (wanted && (state == NET_CLAIM_ABSENT || e->life != life || (mortal && renew))) {
		r = net_claim(a->net, ifindex, &e->addr, state == NET_CLAIM_OURS, mortal ? ANNOUNCE_LIFE_S : 0);
		e->life = r == 0 ? life : LIFE_UNKNOWN;
	}
	if (!wanted && state == NET_CLAIM_OURS)
		r = net_disclaim(a->net, ifindex, &e->addr);
	if (r < 0)
		wait_ms(an, ANNOUNCE_SOON_MS);
	if (wanted && state == NET_CLAIM_OURS)
		tell(an, e, ifindex, now);
}

/* What is no longer configured is forgotten once it is off the interface, or cannot be there. */
static void forget(struct announce *an)
{
	for (size_t i = 0; i < an->entries.count;) {
		struct address_entry *e = &an->entries.items[i];

		if (e->gone && state_of(an, e) != NET_CLAIM_OURS) {
			entry_done(e);
			memmove(e, e + 1, (--an->entries.count - i) * sizeof(*e));
		} else {
			i++;
		}
	}
}

static void run(struct announce *an, bool renew)
{
	const uint64_t now = agent_monotonic_ms();

	for (size_t i = 0; i < an->entries.count; i++) {
		struct address_entry *e = &an->entries.items[i];

		if (!renew && an->agent->running)
			e->fit = count_fit(an, e);
		decide(an, e, now);
		act(an, e, now, renew);
	}
	forget(an);
	if (an->entries.count)
		wait_ms(an, ANNOUNCE_TICK_MS);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	run(ctx, true);
}

void announce_update(struct announce *an)
{
	if (an)
		run(an, false);
}

void announce_answered(struct announce *an, const struct addr *addr, bool claimed, int error)
{
	char text[ADDR_TEXT_MAX];

	/* Somebody was faster: the state, once heard, tells the rest. An address that is gone already is what was asked. */
	if (!an || error == EEXIST || (!claimed && error == EADDRNOTAVAIL))
		error = 0;
	for (size_t i = 0; an && i < an->entries.count; i++) {
		struct address_entry *e = &an->entries.items[i];

		if (!addr_equal(&e->addr, addr))
			continue;
		if (error && error != e->error)
			log_event(an->agent->log, LOG_ERR, claimed ? "announce_failed" : "withdraw_failed",
				  "address=%s interface=%s error=%s", addr_format(addr, text), e->how.interface,
				  log_quoted(strerror(error)));
		e->error = error;
	}
}

static struct address_entry *find(struct announce *an, const struct addr *addr, const char *interface)
{
	for (size_t i = 0; i < an->entries.count; i++)
		if (addr_equal(&an->entries.items[i].addr, addr) &&
		    !strcmp(an->entries.items[i].how.interface, interface))
			return &an->entries.items[i];
	return NULL;
}

/* The entry there is of an address, or a new one; *ret_new: nobody had named it yet. NULL: no memory. */
static struct address_entry *enter(struct announce *an, const struct addr *addr, const struct model_announce *how,
				   bool *ret_new)
{
	struct address_entry *e = find(an, addr, how->interface);

	if (!e) {
		e = vec_push(&an->entries);
		if (!e)
			return NULL;
		e->addr = *addr;
		e->gone = true;
	}
	*ret_new = e->gone;
	if (e->gone) {
		e->gone = false;
		e->how = *how;
		e->backends.count = 0;
	}
	return e;
}

/* Own addresses towards servers that move between the peers are up whatever the servers do: replies are on their way. */
static int add_sources(struct announce *an)
{
	const struct model_global *g = &an->agent->model->global;
	struct model_announce how = g->announce;
	bool new;

	how.need = 0;
	if (!how.interface[0] || !model_moves_sources(an->agent->model))
		return 0;
	for (size_t i = 0; i < g->peers.all.count; i++)
		for (size_t s = 0; s < g->peers.all.items[i].sources.count; s++)
			if (!enter(an, &g->peers.all.items[i].sources.items[s].addr, &how, &new))
				return -ENOMEM;
	return 0;
}

/* A service's address. */
static int add_service(struct announce *an, const struct model_service *s)
{
	bool new;
	struct address_entry *e = enter(an, &s->addr, &s->announce, &new);
	size_t *backend;

	if (!e)
		return -ENOMEM;
	if (!new && s->announce.wait_ms > e->how.wait_ms)
		e->how.wait_ms = s->announce.wait_ms;
	for (size_t i = 0; i < e->backends.count; i++)
		if (e->backends.items[i] == s->backend)
			return 0;
	backend = vec_push(&e->backends);
	if (!backend)
		return -ENOMEM;
	*backend = s->backend;
	return 0;
}

int announce_configure(struct announce *an)
{
	const struct model *m = an->agent->model;
	int r = 0;

	for (size_t i = 0; i < an->entries.count; i++) {
		an->entries.items[i].gone = true;
		an->entries.items[i].fit = 0;
	}
	for (size_t i = 0; i < m->services.count && r == 0; i++)
		if (m->services.items[i].announce.interface[0])
			r = add_service(an, &m->services.items[i]);
	if (r == 0)
		r = add_sources(an);
	for (size_t i = 0; i < an->entries.count; i++)
		if (an->entries.items[i].gone)
			an->entries.items[i].backends.count = 0; /* indices of the model before */
	return r;
}

bool announce_set_withdrawn(struct announce *an, bool withdrawn)
{
	const bool changed = an->withdrawn != withdrawn;

	an->withdrawn = withdrawn;
	if (changed && !withdrawn) /* the operator knows that it may come back: no wait */
		for (size_t i = 0; i < an->entries.count; i++)
			an->entries.items[i].decided = false;
	run(an, false);
	return changed;
}

bool announce_is_withdrawn(const struct announce *an)
{
	return an && an->withdrawn;
}

uint32_t announce_stop(struct announce *an)
{
	uint32_t longest = 0;

	if (!an || an->stopped)
		return 0;
	an->stopped = true;
	for (size_t i = 0; i < an->entries.count; i++) {
		const struct address_entry *e = &an->entries.items[i];

		if (state_of(an, e) == NET_CLAIM_OURS && e->how.wait_ms > longest)
			longest = e->how.wait_ms;
	}
	run(an, false);
	return longest;
}

static struct announce_view view_of(const struct announce *an, const struct address_entry *e)
{
	const enum net_claim_state state = state_of(an, e);
	struct announce_view v = {
		.addr = e->addr, .interface = e->how.interface, .state = "down", .why = "", .need = e->how.need,
		.fit = e->fit, .up = state != NET_CLAIM_ABSENT, .since_ms = e->since_ms, .changes = e->changes,
	};

	if (state == NET_CLAIM_FOREIGN) {
		v.state = "foreign";
		v.why = "somebody else has put the address there; it is never withdrawn";
	} else if (!ifindex_of(an, e)) {
		v.state = "failed";
		v.why = "there is no such interface";
	} else if (e->error) {
		v.state = "failed";
		v.why = "the kernel refuses; see the log";
	} else if (state == NET_CLAIM_OURS) {
		v.state = "up";
		v.why = e->decided && !e->wanted ? "about to be withdrawn" : "";
	} else if (!an->agent->running) {
		v.state = "starting";
		v.why = "the first round of checks is not over";
	} else if (an->withdrawn || an->stopped) {
		v.state = "withdrawn";
		v.why = an->stopped ? "the agent stops" : "by the operator; `alwayson announce` ends that";
	} else if (!steers(an->agent)) {
		v.why = "no interface is steered on";
	} else if (!e->enough) {
		v.why = "too few servers take new connections";
	} else if (!e->wanted) {
		v.why = "enough servers, but not for long enough yet";
	}
	return v;
}

void announce_each(const struct announce *an, void (*visit)(const struct announce_view *v, void *ctx), void *ctx)
{
	for (size_t i = 0; an && i < an->entries.count; i++) {
		const struct announce_view v = view_of(an, &an->entries.items[i]);

		if (!an->entries.items[i].gone)
			visit(&v, ctx);
	}
}

json_t *announce_save(const struct announce *an)
{
	json_t *ours = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; an && i < an->entries.count; i++) {
		const struct address_entry *e = &an->entries.items[i];

		if (state_of(an, e) == NET_CLAIM_OURS)
			json_array_append_new(ours, json_pack("{s:s, s:s}", "address", addr_format(&e->addr, text),
							      "interface", e->how.interface));
	}
	return json_pack("{s:b, s:o}", "withdrawn", an && an->withdrawn, "addresses", ours);
}

void announce_restore(struct announce *an, const json_t *from)
{
	const json_t *one;
	size_t i;

	an->withdrawn = json_is_true(json_object_get(from, "withdrawn"));
	json_array_foreach(json_object_get(from, "addresses"), i, one) {
		const char *address = json_string_value(json_object_get(one, "address"));
		const char *interface = json_string_value(json_object_get(one, "interface"));
		struct address_entry *e;
		struct addr addr;

		if (!address || !interface || strlen(interface) >= sizeof(e->how.interface) ||
		    addr_parse(address, &addr) < 0 || find(an, &addr, interface))
			continue;
		e = vec_push(&an->entries);
		if (!e)
			return;
		e->addr = addr;
		e->gone = true;
		snprintf(e->how.interface, sizeof(e->how.interface), "%s", interface);
	}
}

int announce_new(struct agent *a, struct announce **ret)
{
	struct announce *an = calloc(1, sizeof(*an));

	if (!an)
		return -ENOMEM;
	an->agent = a;
	an->tick = evtimer_new(a->base, on_tick, an);
	if (!an->tick) {
		free(an);
		return -ENOMEM;
	}
	*ret = an;
	return 0;
}

void announce_free(struct announce *an)
{
	if (!an)
		return;
	for (size_t i = 0; i < an->entries.count; i++)
		entry_done(&an->entries.items[i]);
	vec_done(&an->entries);
	event_free(an->tick);
	free(an);
}
