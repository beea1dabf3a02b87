/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/monitor.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/announce.h"
#include "agent/peers.h"
#include "agent/ids.h"
#include "agent/watch.h"
#include "agent/watchdog.h"
#include "base/cleanup.h"
#include "base/version.h"
#include "dataplane/counters.h"
#include "web/site.h"

/* What hangs on the model, and is replaced with it. */
struct shown {
	struct names *names;
	struct histogram *checks;  /* by backend */
};

struct monitor {
	struct agent *agent;
	struct site *site;
	struct events events;
	struct shown now, next;
	struct event *tick;
	struct histogram lateness;
	uint64_t inconclusive;
	uint64_t due_us, started_at_ms;
};

static uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- gathering ---- */

static void gather_role(struct snapshot *s, size_t backend, struct snapshot_server *to, const struct health_view *v)
{
	to->role = v->role;
	to->misplaced = v->misplaced;
	to->lag_known = v->lag_known;
	to->lag_ms = v->lag_ms;
	snprintf(to->role_text, sizeof(to->role_text), "%s", v->role_text);
	s->backends[backend].has_roles = true;
	s->backends[backend].misplaced += v->misplaced;
}

static void gather_server(struct monitor *m, struct snapshot *s, size_t backend, size_t server)
{
	struct agent *a = m->agent;
	const struct dataplane_maps *maps = dataplane_maps(a->dataplane);
	struct snapshot_server *to = &s->servers[s->names->first[backend] + server];
	const uint32_t id = reconcile_server_id(a->reconcile, backend, server);
	const uint64_t half = maps->control->word & CONTROL_HALF;
	struct health_view v;

	health_view(a->health, backend, server, &v);
	to->check = v.check;
	to->admin = v.admin;
	to->admin_is_override = v.admin_is_override;
	to->weight_is_override = v.weight_is_override;
	to->weight = v.weight;
	to->weight_configured = v.weight_configured;
	to->up = v.up;
	to->accepts_new = v.accepts_new;
	to->backup = a->model->backends.items[backend].servers.items[server].backup;
	to->check_via = a->model->backends.items[backend].servers.items[server].via.service.family;
	to->changed_at_ms = v.changed_at_ms;
	to->checks = v.checks;
	to->failures = v.failures;
	to->transitions = v.transitions;
	to->duration_us = v.last_duration_us;
	snprintf(to->result, sizeof(to->result), "%s", v.last_result);
	to->held = v.held;
	to->damped = v.damped;
	s->backends[backend].up += v.up;
	s->backends[backend].accepting += v.accepts_new;
	if (v.has_role)
		gather_role(s, backend, to, &v);
	if (id < MAX_SERVERS) {
		const struct server *entry = &maps->servers[half * MAX_SERVERS + id];
		const int64_t half_open = maps->use[id].half_open;

		to->traffic = counters_server(maps, id);
		to->connections = sweep_connections(a->sweep, id);
		to->half_open = half_open > 0 ? half_open : 0;
		to->resolved = SERVER_FLAGS(entry->word) & SERVER_RESOLVED;
		to->ports = entry->pool_count;
		to->ports_used = entry->pool_count ? sweep_entries(a->sweep, id) / 2 : 0;
	}
}

/* How the backend's slots are shared out. */
static void gather_slots(struct monitor *m, struct snapshot *s, size_t backend)
{
	const size_t first = s->names->first[backend], count = s->names->first[backend + 1] - first;
	struct reconcile_shares shares;

	if (!reconcile_shares(m->agent->reconcile, backend, &shares))
		return;
	for (size_t i = 0; i < count; i++)
		s->servers[first + i].slots = shares.owned[i];
	s->backends[backend].slots = shares.slots;
	s->backends[backend].digest = shares.digest;
}

static void gather_service(struct monitor *m, struct snapshot *s, size_t i)
{
	struct agent *a = m->agent;
	const uint32_t id = reconcile_service_id(a->reconcile, i);

	if (id < MAX_SERVICES)
		s->services[i].traffic = counters_service(dataplane_maps(a->dataplane), id);
	s->services[i].connections = sweep_service_connections(a->sweep, i);
}

static const char *mode_of(struct agent *a, const char *name)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, name) == 0)
			return dataplane_mode_name(&all[i]);
	return dataplane_mode_name(NULL);
}

static void gather_announced(const struct announce_view *v, void *ctx)
{
	struct snapshot_agent *to = ctx;
	struct snapshot_announced *a = vec_push(&to->announced);

	if (!a)
		return; /* the next scrape may have memory again */
	addr_format(&v->addr, a->address);
	snprintf(a->interface, sizeof(a->interface), "%s", v->interface);
	a->up = v->up;
	a->need = v->need;
	a->fit = v->fit;
	a->changes = v->changes;
}

static void gather_peer(const struct peers_view *v, void *ctx)
{
	struct snapshot_agent *to = ctx;
	struct snapshot_peer *p = vec_push(&to->peers);

	_Static_assert(PEERS_DROP_MAX <= array_size(p->drops) && PEERS_RESULT_MAX <= array_size(p->results), "room");
	if (!p)
		return; /* the next scrape may have memory again */
	snprintf(p->name, sizeof(p->name), "%s", v->name);
	p->up = v->up;
	p->copied = v->copied;
	p->heard = v->heard_ms != UINT64_MAX;
	p->heard_ms = v->heard_ms;
	p->sent = v->sent;
	p->received = v->received;
	p->sent_bytes = v->sent_bytes;
	p->received_bytes = v->received_bytes;
	p->sent_records = v->sent_records;
	p->send_failures = v->send_failures;
	p->missing = v->missing;
	p->copies = v->copies;
	memcpy(p->drops, v->drops, sizeof(v->drops));
	memcpy(p->results, v->results, sizeof(v->results));
}

static void gather_interfaces(struct agent *a, struct snapshot_agent *to)
{
	for (size_t i = 0; i < a->interfaces.count && to->interface_count < MODEL_INTERFACES_MAX; i++) {
		struct snapshot_interface *in = &to->interfaces[to->interface_count];

		if (!a->interfaces.items[i].wanted)
			continue;
		snprintf(in->name, sizeof(in->name), "%s", a->interfaces.items[i].name);
		in->mode = mode_of(a, in->name);
		in->attached = strcmp(in->mode, "detached") != 0;
		to->interface_count++;
	}
}

/* Kernels from 6.2 say in the folder's size how many there are; others have them counted. */
static uint64_t open_files(void)
{
	struct stat st;
	uint64_t count = 0;
	DIR *d;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	d = opendir("/proc/self/fd");
	if (!d)
		return 0;
	while (readdir(d))
		count++;
	closedir(d);
	return count > 3 ? count - 3 : 0; /* ., .. and the folder itself */
}

static void gather_process(struct snapshot_agent *to)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;
	struct rusage use;
	struct rlimit limit;

	if (f && fscanf(f, "%*u %llu", &pages) == 1)
		to->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	if (f)
		fclose(f);
	if (getrusage(RUSAGE_SELF, &use) == 0)
		to->cpu_us = ((uint64_t)use.ru_utime.tv_sec + (uint64_t)use.ru_stime.tv_sec) * 1000000 +
			     (uint64_t)use.ru_utime.tv_usec + (uint64_t)use.ru_stime.tv_usec;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		to->max_files = limit.rlim_cur;
	to->open_files = open_files();
}

static void gather_tables(struct agent *a, struct snapshot_agent *to)
{
	const struct dataplane_maps *maps = dataplane_maps(a->dataplane);
	const struct sweep_counts *c = sweep_counts(a->sweep);

	for (enum verdict v = VERDICT_CONTINUE + 1; v < VERDICT_MAX; v++)
		to->verdicts[v] = counters_verdict(maps, v);
	for (enum lb_event e = 0; e < EVENT_MAX; e++)
		to->events[e] = counters_event(maps, e);
	to->flows4 = (struct snapshot_table){ c->used4, (uint64_t)maps->bucket4_count * FLOW_WAYS, c->connections4 };
	to->flows6 = (struct snapshot_table){ c->used6, (uint64_t)maps->bucket6_count * FLOW_WAYS, c->connections6 };
	to->flows_expired = c->expired;
	to->connections_reset = c->reset;
	to->sweep_passes = c->passes;
	to->verified_instructions = dataplane_verified_instructions(a->dataplane);
	to->taken_over = maps->taken_over;
}

static void gather_agent(struct monitor *m, struct snapshot_agent *to)
{
	struct agent *a = m->agent;
	struct web_counts web;
	struct net_stats net;

	to->version = alwayson_version;
	snprintf(to->name, sizeof(to->name), "%s", a->options->name);
	to->now_ms = agent_wall_ms();
	to->started_at_ms = m->started_at_ms;
	to->ready = a->running;
	gather_tables(a, to);
	gather_interfaces(a, to);
	announce_each(a->announce, gather_announced, to);
	peers_each(a->peers, gather_peer, to);
	to->peer_drops = peers_drops;
	to->peer_results = peers_results;
	to->peer_strangers = peers_strangers(a->peers);
	to->withdrawn = announce_is_withdrawn(a->announce);
	gather_process(to);
	to->attach_failures = a->attach_failures;
	to->reloads = a->last_reload.count;
	to->reloads_failed = a->last_reload.failures;
	to->reload_at_ms = a->last_reload.at_ms;
	to->reload_ok = a->last_reload.ok || !a->last_reload.at_ms;
	snprintf(to->reload_error, sizeof(to->reload_error), "%s", a->last_reload.error);
	to->lateness = m->lateness;
	net_stats(a->net, &net);
	to->overruns = net.overruns;
	to->inconclusive = m->inconclusive;
	to->stalls = watchdog_stalls(a->watchdog);
	to->log_dropped = log_dropped(a->log);
	to->log_suppressed = log_suppressed(a->log);
	to->keeps_state = a->state;
	to->state_saves = a->state ? state_saves(a->state) : 0;
	to->state_failures = a->state ? state_save_failures(a->state) : 0;
	web_server_counts(site_server(m->site), &web);
	to->http_requests = web.requests;
	to->http_refused = web.refused;
	to->http_evicted = web.evicted;
	to->http_connections = web.connections;
}

/* One server, or the rest of a backend behind its last one. */
static void gather_backend(struct monitor *m, struct snapshot *s)
{
	const size_t backend = s->backends_done, count = s->names->first[backend + 1] - s->names->first[backend];
	size_t writers = 0;

	if (s->servers_done < count) {
		gather_server(m, s, backend, s->servers_done++);
		return;
	}
	gather_slots(m, s, backend);
	s->backends[backend].checks = m->now.checks[backend];
	s->backends[backend].conflict = health_conflict(m->agent->health, backend, &writers);
	s->backends[backend].writers = (uint32_t)writers;
	s->backends_done++;
	s->servers_done = 0;
}

static int gather(struct snapshot *s, void *ctx)
{
	struct monitor *m = ctx;
	const uint64_t end = clock_us() + MONITOR_SLICE_US;

	if (s->names != m->now.names && snapshot_begin(s, m->now.names) < 0)
		return -ENOMEM;
	while (s->backends_done < s->names->backend_count) {
		gather_backend(m, s);
		/* The end of a backend may have cost a look at all its slots. */
		if (s->servers_done % 16 == 0 && clock_us() >= end)
			return -EAGAIN;
	}
	for (; s->services_done < s->names->service_count; s->services_done++) {
		if (s->services_done % 16 == 0 && clock_us() >= end)
			return -EAGAIN;
		gather_service(m, s, s->services_done);
	}
	gather_agent(m, &s->agent);
	return 0;
}

static bool is_ready(void *ctx)
{
	struct monitor *m = ctx;
	const struct dataplane_attachment *all;

	return m->agent->running && dataplane_attachments(m->agent->dataplane, &all) > 0;
}

/* ---- what is counted and kept ---- */

static void wait_tick(struct monitor *m)
{
	const struct timeval after = { .tv_usec = MONITOR_TICK_MS * 1000 };

	m->due_us = clock_us() + MONITOR_TICK_MS * 1000;
	evtimer_add(m->tick, &after);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct monitor *m = ctx;
	const uint64_t now = clock_us();

	histogram_add(&m->lateness, now > m->due_us ? now - m->due_us : 0);
	wait_tick(m);
}

static void on_event(int level, const char *event, const char *pairs, void *ctx)
{
	struct monitor *m = ctx;

	events_add(&m->events, agent_wall_ms(), level, event, pairs);
	watches_wake(m->agent->watches);
}

void monitor_count_check(struct monitor *m, size_t backend, uint32_t duration_us, bool inconclusive)
{
	if (m)
		m->inconclusive += inconclusive;
	if (m && m->now.names && backend < m->now.names->backend_count)
		histogram_add(&m->now.checks[backend], duration_us);
}

const struct events *monitor_events(const struct monitor *m)
{
	return &m->events;
}

/* ---- from one model to the next ---- */

static void shown_done(struct shown *s)
{
	names_unref(s->names);
	free(s->checks);
	*s = (struct shown){};
}

static int shown_init(struct shown *s, const struct model *model)
{
	const size_t count = model->backends.count;

	s->names = names_new(model);
	s->checks = calloc(count + 1, sizeof(*s->checks));
	if (!s->names || !s->checks) {
		shown_done(s);
		return -ENOMEM;
	}
	return 0;
}

struct place {
	const char *labels;
	size_t index;
};

static int compare_places(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->labels, ((const struct place *)b)->labels);
}

/* The backend's checks so far go on under the same name. Without memory for it they begin anew. */
static void carry_checks(const struct shown *old, struct shown *new)
{
	const size_t count = old->names ? old->names->backend_count : 0;
	_cleanup_free_ struct place *places = calloc(count + 1, sizeof(*places));

	if (!places || !count)
		return;
	for (size_t i = 0; i < count; i++)
		places[i] = (struct place){ old->names->backends[i].labels, i };
	qsort(places, count, sizeof(*places), compare_places);
	for (size_t i = 0; i < new->names->backend_count; i++) {
		const struct place key = { new->names->backends[i].labels, 0 };
		const struct place *found = bsearch(&key, places, count, sizeof(*places), compare_places);

		if (found)
			new->checks[i] = old->checks[found->index];
	}
}

int monitor_prepare(struct monitor *m, const struct model *model, char *error, size_t size)
{
	const struct endpoint *at = model->global.metrics.port ? &model->global.metrics : NULL;
	char text[WEB_ERROR_MAX] = "";
	int r;

	shown_done(&m->next);
	r = web_server_prepare(site_server(m->site), at, text);
	if (r == 0)
		r = shown_init(&m->next, model);
	if (r < 0) {
		snprintf(error, size, "%s", text[0] ? text : "out of memory");
		monitor_abandon(m);
	}
	return r;
}

void monitor_commit(struct monitor *m)
{
	carry_checks(&m->now, &m->next);
	shown_done(&m->now);
	m->now = m->next;
	m->next = (struct shown){};
	web_server_commit(site_server(m->site));
}

void monitor_abandon(struct monitor *m)
{
	shown_done(&m->next);
	web_server_abandon(site_server(m->site));
}

int monitor_new(struct agent *a, struct monitor **ret)
{
	struct monitor *m = calloc(1, sizeof(*m));
	const struct site_ops ops = { .gather = gather, .is_ready = is_ready, .ctx = m };

	if (!m)
		return -ENOMEM;
	m->agent = a;
	m->started_at_ms = agent_wall_ms();
	m->tick = evtimer_new(a->base, on_tick, m);
	if (!m->tick || site_new(a->base, &ops, &m->events, &m->site) < 0) {
		monitor_free(m);
		return -ENOMEM;
	}
	wait_tick(m);
	log_observe(a->log, on_event, m);
	*ret = m;
	return 0;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	log_observe(m->agent->log, NULL, NULL);
	site_free(m->site);
	shown_done(&m->now);
	shown_done(&m->next);
	if (m->tick)
		event_free(m->tick);
	free(m);
}

int monitor_listener(const struct monitor *m)
{
	return web_server_listener(site_server(m->site));
}

bool monitor_is_quiet(const struct monitor *m)
{
	return web_server_is_quiet(site_server(m->site));
}

void monitor_pause(struct monitor *m, bool pause)
{
	web_server_pause(site_server(m->site), pause);
}
