/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/agent.h"

#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "agent/announce.h"
#include "agent/bases.h"
#include "agent/monitor.h"
#include "agent/peers.h"
#include "agent/plugins.h"
#include "agent/privileges.h"
#include "agent/probing.h"
#include "agent/program.h"
#include "agent/ready.h"
#include "agent/restart.h"
#include "agent/secret.h"
#include "agent/shared.h"
#include "agent/vlan.h"
#include "agent/watch.h"
#include "agent/watchdog.h"
#include "base/cleanup.h"
#include "base/handover.h"
#include "base/loop.h"
#include "dataplane/sharing.h"

enum { MORE_MS = 1 };

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

uint64_t agent_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

uint64_t agent_monotonic_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

bool agent_find_server(const struct agent *a, const char *path, size_t *ret_backend, size_t *ret_server)
{
	const struct model_backend *backend;
	const struct model_server *server = model_find_server(a->model, path, &backend);

	if (!server)
		return false;
	*ret_backend = backend - a->model->backends.items;
	*ret_server = server - backend->servers.items;
	return true;
}

void agent_run_soon(struct agent *a)
{
	event_active(a->run_event, 0, 0);
}

void agent_save_state(struct agent *a)
{
	json_t *health = NULL, *all;

	if (!a->state)
		return;
	health_save(a->health, &health);
	all = health ? json_pack("{s:i, s:o, s:o, s:o, s:o}", "version", 1, "health", health, "interfaces",
				 interfaces_save(a), "announce", announce_save(a->announce), "vlan_offloads",
				 vlan_save(a)) : NULL;
	state_save(a->state, all);
}

static void begin(struct agent *a);

static void on_run(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	/* Once for all that happened in a turn: thousands of servers may go at a time. */
	if (a->save_due)
		agent_save_state(a);
	a->save_due = false;
	if (a->running)
		reconcile_run(a->reconcile, a->health);
	else if (a->attaching || a->start_is_late || (a->round_over && reconcile_ways_are_known(a->reconcile)))
		begin(a);
	announce_update(a->announce);
}

static void on_reconcile_error(const char *text, void *ctx)
{
	struct agent *a = ctx;

	log_event(a->log, LOG_ERR, "reconcile_failed", "error=%s", log_quoted(text));
}

void agent_attach_failed(struct agent *a, const char *text)
{
	const bool fatal = a->attaching && !a->running && !dataplane_maps(a->dataplane)->taken_over;

	log_event(a->log, fatal ? LOG_CRIT : LOG_ERR, "attach_failed", "error=%s", log_quoted(text));
	if (!fatal)
		return;
	a->exit_code = 1;
	event_base_loopbreak(a->base);
}

/* The first round is over: attach, make the maps true, tell that we are ready. Called again when libxdp has answered. */
static void begin(struct agent *a)
{
	size_t up = 0, total = 0;

	if (a->running || a->bases || a->program)
		return;
	if (!a->attaching) {
		a->attaching = true;
		event_del(a->first_round_timer);
		interfaces_apply(a);
	}
	if (a->exit_code || dataplane_is_asking(a->dataplane))
		return;
	a->running = true;
	reconcile_addresses_changed(a->reconcile);
	/* Who announces the services' addresses, or waits for the start, counts on all tables. */
	for (reconcile_run(a->reconcile, a->health); reconcile_has_more(a->reconcile);)
		reconcile_go_on(a->reconcile);
	/* Not before the entries are known: flows of no service are not given their service's time. */
	sweep_set_model(a->sweep, a->model);
	peers_commit(a, a->peers_next);
	a->peers_next = NULL;
	for (size_t b = 0; b < a->model->backends.count; b++)
		for (size_t s = 0; s < a->model->backends.items[b].servers.count; s++) {
			struct health_view v;

			health_view(a->health, b, s, &v);
			up += v.up;
			total++;
		}
	log_event(a->log, LOG_NOTICE, "ready", "services=%zu servers_up=%zu servers=%zu start_ms=%llu",
		  a->model->services.count, up, total,
		  (unsigned long long)(agent_monotonic_ms() - a->started_ms));
	/* What reading the configuration took is given back: it lies between what stays, and would never be. */
	malloc_trim(0);
	announce_update(a->announce);
	ready_started("steering");
	restart_answer(a);
}

static void on_first_round(void *ctx)
{
	const struct timeval late = { .tv_sec = AGENT_WAYS_MS / 1000, .tv_usec = AGENT_WAYS_MS % 1000 * 1000 };
	struct agent *a = ctx;

	if (a->running)
		return;
	a->round_over = true;
	if (reconcile_ways_are_known(a->reconcile))
		begin(a);
	else
		evtimer_add(a->first_round_timer, &late);
}

static void on_start_late(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	a->start_is_late = true;
	log_event(a->log, LOG_WARNING, "start_late", "text=%s",
		  log_quoted(a->round_over ? "not all servers' neighbours have answered" :
					     "not all servers have been checked; what was known of them before holds"));
	begin(a);
}

static void on_links(void *ctx)
{
	struct agent *a = ctx;

	if (a->attaching)
		interfaces_apply(a);
	reconcile_addresses_changed(a->reconcile);
	agent_run_soon(a);
}

static void on_hop(const struct addr *destination, const struct net_hop *hop, void *ctx)
{
	struct agent *a = ctx;
	char text[ADDR_TEXT_MAX];

	if (peers_watch(a->peers, destination))
		sweep_hurry(a->sweep); /* records wait for this way */
	else
		log_event(a->log, hop->state == NET_HOP_RESOLVED ? LOG_INFO : LOG_NOTICE, "next_hop",
			  "server_address=%s state=%s", addr_format(destination, text), log_quoted(net_hop_text(hop)));
	agent_run_soon(a);
}

static void on_claim(const struct addr *addr, bool claimed, int error, void *ctx)
{
	const struct agent *a = ctx;

	announce_answered(a->announce, addr, claimed, error);
}

static void on_pass(void *ctx)
{
	struct agent *a = ctx;

	drained_check(a);
	peers_passed(a->peers);
}

static void on_live(const struct flow_view *f, const struct flow_view *reply, size_t service, void *ctx)
{
	const struct agent *a = ctx;

	if (a->peers)
		peers_see(a->peers, f, reply, service);
}

static void on_slice(void *ctx)
{
	const struct agent *a = ctx;

	peers_flush(a->peers);
}

static void on_ended(void *ctx)
{
	struct agent *a = ctx;

	sweep_hurry(a->sweep);
}

static void on_more_turn(evutil_socket_t fd, short what, void *ctx)
{
	const struct agent *a = ctx;

	reconcile_go_on(a->reconcile);
}

/* Others have their turn before. */
static void on_more(void *ctx)
{
	const struct timeval soon = { .tv_usec = MORE_MS * 1000 };
	struct agent *a = ctx;

	evtimer_add(a->more, &soon);
}

static void on_short(void *ctx)
{
	program_grow(ctx);
}

static void on_bases(void *ctx)
{
	struct agent *a = ctx;

	bases_take(a->bases, a->reconcile);
	bases_free(a->bases);
	a->bases = NULL;
	agent_run_soon(a);
}

/* What could not be begun is found not to be built, by the next run. */
static void build_bases(struct agent *a, struct bases *b)
{
	a->bases = b;
	if (bases_start(b, a->base, on_bases, a) < 0)
		on_bases(a);
}

static void on_slow(struct bases *b, void *ctx)
{
	struct agent *a = ctx;

	/* The run that follows what is being built asks again. */
	if (a->bases)
		bases_free(b);
	else
		build_bases(a, b);
}

static void on_reset(const struct endpoint *client, const struct endpoint *service, const struct endpoint *own,
		     const struct endpoint *server, void *ctx)
{
	struct agent *a = ctx;

	/* What can't be sent is counted there; the ends find out by their own time-outs then. */
	challenge_send(a->challenge, service, client);
	if (server->addr.family)
		challenge_send(a->challenge, own, server);
}

static void on_save(int error, const char *text, void *ctx)
{
	struct agent *a = ctx;

	log_event(a->log, error ? LOG_ERR : LOG_NOTICE, "state_save", "text=%s", log_quoted(text));
	/* The directory may be another one than before. */
	if (!error && !a->model->global.hash_secret_file && secret_keep(a->state, &a->secret) < 0)
		log_event(a->log, LOG_ERR, "state_save", "text=%s", log_quoted("the hash secret can't be written"));
}

static void on_hangup(evutil_socket_t fd, short what, void *ctx)
{
	agent_reload_again(ctx);
}

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
	const struct agent *a = ctx;

	if (a->dataplane)
		dataplane_beat(a->dataplane, 0);
}

static int add_signal(struct agent *a, size_t i, int number, event_callback_fn call)
{
	a->signals[i] = evsignal_new(a->base, number, call, a);
	return a->signals[i] && event_add(a->signals[i], NULL) == 0 ? 0 : -ENOMEM;
}

static int start_loop(struct agent *a)
{
	const struct timeval beat = { .tv_usec = AGENT_BEAT_MS * 1000 };
	int r;

	a->run_event = event_new(a->base, -1, 0, on_run, a);
	a->first_round_timer = evtimer_new(a->base, on_start_late, a);
	a->beat = event_new(a->base, -1, EV_PERSIST, on_beat, a);
	a->more = evtimer_new(a->base, on_more_turn, a);
	if (!a->run_event || !a->more || !a->first_round_timer || !a->beat || event_add(a->beat, &beat))
		return -ENOMEM;
	r = add_signal(a, 0, SIGHUP, on_hangup);
	if (r == 0)
		r = add_signal(a, 1, SIGTERM, stop_asked);
	if (r == 0)
		r = add_signal(a, 2, SIGINT, stop_asked);
	if (r == 0)
		r = add_signal(a, 3, SIGUSR2, leave_asked);
	return r;
}

/* State and secret; without a usable directory the agent goes on, with a secret of its own that nothing keeps. */
static int start_state(struct agent *a, char error[AGENT_ERROR_MAX])
{
	const struct state_ops ops = { .on_save = on_save, .ctx = a };
	int r = state_open(a->model->global.state_dir, a->options->name, &a->state, error);

	if (r == -EBUSY)
		return r;
	if (r < 0) {
		log_event(a->log, LOG_WARNING, "no_state", "error=%s", log_quoted(error));
		a->state = NULL;
	} else if (state_start(a->state, a->base, &ops) < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot start the thread that saves state");
		return -ENOMEM;
	}
	return secret_load(a->model->global.hash_secret_file, a->state, &a->secret, error);
}

void agent_note_flow_table(struct agent *a)
{
	const struct dataplane_maps *m = dataplane_maps(a->dataplane);
	const struct model_global *g = &a->model->global;

	if (m->bucket4_count != dataplane_buckets(g->flows4) || m->bucket6_count != dataplane_buckets(g->flows6))
		log_event(a->log, LOG_WARNING, "flow_table_kept",
			  "ipv4_entries=%u ipv6_entries=%u ipv4_wanted=%u ipv6_wanted=%u text=\"flow-table counts from a "
			  "start that takes nothing over: stop and start, or alwaysond --discard\"",
			  m->bucket4_count * FLOW_WAYS, m->bucket6_count * FLOW_WAYS,
			  dataplane_buckets(g->flows4) * FLOW_WAYS, dataplane_buckets(g->flows6) * FLOW_WAYS);
}

/* The process that may still ask libxdp when the agent may not; before there is anything that it would hold open. */
static int start_sharing(const struct dataplane_options *o, int *ret_fd)
{
	*ret_fd = handover_take("sharing");
	if (*ret_fd >= 0 || !(o->switches.shared || dataplane_is_shared(o->name)))
		return 0;
	return sharing_start(o->name, ret_fd);
}

/* Before anything is let go for the dispatcher. Where it can't be used, the program is none for it. */
static void try_sharing(struct dataplane_options *o, int fd, char refused[DATAPLANE_ERROR_MAX])
{
	refused[0] = '\0';
	if (fd >= 0 && sharing_try(fd, refused) < 0)
		o->switches.shared = false;
}

static int start_dataplane(struct agent *a, char error[AGENT_ERROR_MAX])
{
	struct dataplane_options options = {
		.name = a->options->name,
		.switches = agent_switches(a->model),
		.fresh = a->options->discard,
		.buckets4 = dataplane_buckets(a->model->global.flows4),
		.buckets6 = dataplane_buckets(a->model->global.flows6),
		.slots = reconcile_slots_at_start(a->model),
	};
	const struct reconcile_ops reconcile = { .on_error = on_reconcile_error, .on_ended = on_ended,
						 .on_short = on_short, .on_slow = on_slow,
						 .on_more = on_more, .slice_us = RECONCILE_SLICE_US, .ctx = a };
	const struct sweep_ops sweep = { .on_pass = on_pass, .on_reset = on_reset, .on_live = on_live,
					 .on_slice = on_slice, .ctx = a };
	const struct net_ops net = { .on_links = on_links, .on_hop = on_hop, .on_claim = on_claim, .ctx = a };
	struct interfaces_ports ports = {};
	char refused[DATAPLANE_ERROR_MAX];
	int sharing, r = net_new(a->base, &net, &a->net);

	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot ask the kernel about the network: %s", strerror(-r));
		return r;
	}
	r = start_sharing(&options, &sharing);
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot start the process that asks libxdp: %s", strerror(-r));
		return r;
	}
	try_sharing(&options, sharing, refused);
	interfaces_ports(a->net, &ports);
	options.bond_ports = ports.items;
	options.bond_port_count = ports.count;
	r = dataplane_open(&options, &a->dataplane, error);
	vec_done(&ports);
	if (r < 0) {
		cleanup_close(&sharing);
		return r;
	}
	dataplane_set_sharing(a->dataplane, sharing, refused);
	r = shared_new(a, &a->shared);
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "out of memory");
		return r;
	}
	r = interfaces_check(a, error);
	if (r < 0)
		return r;
	log_event(a->log, LOG_INFO, "loaded", "program=lb verified_instructions=%u taken_over=%s",
		  dataplane_verified_instructions(a->dataplane),
		  dataplane_maps(a->dataplane)->taken_over ? "yes" : "no");
	agent_note_flow_table(a);
	r = grace_new(a->base, &a->grace);
	if (r == 0)
		r = reconcile_new(a->dataplane, a->grace, a->net, &reconcile, &a->reconcile);
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot set up the tables: %s", strerror(-r));
		return r;
	}
	r = reconcile_set_model(a->reconcile, a->model, &a->secret, error);
	if (r < 0)
		return r;
	r = challenge_new(&a->challenge);
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot open a raw socket (CAP_NET_RAW), by which connections are ended: %s",
			 strerror(-r));
		return r;
	}
	r = sweep_new(a->base, a->dataplane, a->grace, a->reconcile, &sweep, &a->sweep);
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot set up the sweep: %s", strerror(-r));
		return r;
	}
	return 0;
}

/* A process for blocking checks is made even where there are none yet: later nobody here may make one. */
static int start_plugins(struct agent *a, char error[AGENT_ERROR_MAX])
{
	int r = plugins_new(a->base, a->log, plugins_are_used(a->model), &a->plugins, error);

	return r < 0 ? r : plugins_validate(a->plugins, a->model, NULL, error);
}

static int start_health(struct agent *a, char error[AGENT_ERROR_MAX])
{
	const struct health_ops ops = told_ops(a, on_first_round);
	json_t *saved = NULL;
	int r;

	r = probing_new(&a->probing);
	if (r == 0)
		r = probing_prepare(a, a->model, error);
	if (r < 0)
		return r;
	probing_commit(a);
	a->health = health_new(a->base, &ops);
	if (a->health) {
		health_set_elsewhere(a->health, plugins_elsewhere(a->plugins));
		health_set_via(a->health, probing_via(a->probing));
	}
	r = a->health ? health_configure(a->health, a->model) : -ENOMEM;
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot set up the checks: %s", strerror(-r));
		return r;
	}
	r = announce_new(a, &a->announce);
	if (r == 0)
		r = announce_configure(a->announce);
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot set up the announcements: %s", strerror(-r));
		return r;
	}
	if (!a->state)
		return 0;
	r = state_load(a->state, &saved, error);
	if (r == 0 && health_restore(a->health, json_object_get(saved, "health")) < 0) {
		snprintf(error, AGENT_ERROR_MAX, "what was saved is not of this version; it is passed over");
		r = -EINVAL;
	}
	if (r < 0 && r != -ENOENT)
		log_event(a->log, LOG_WARNING, "state_lost", "error=%s", log_quoted(error));
	/* An agent that is started anew begins with what its configuration says. */
	if (r == 0 && dataplane_maps(a->dataplane)->taken_over) {
		interfaces_restore(a, json_object_get(saved, "interfaces"));
		vlan_restore(a, json_object_get(saved, "vlan_offloads"));
	}
	announce_restore(a->announce, json_object_get(saved, "announce"));
	announce_update(a->announce);
	json_decref(saved);
	return 0;
}

/* What the tables say of a server that was in them before: it was given new connections, or not. */
static bool saw_server(size_t backend, size_t server, bool *ret_serves, void *ctx)
{
	const struct agent *a = ctx;

	return !a->model->backends.items[backend].servers.items[server].backup &&
	       reconcile_served(a->reconcile, backend, server, ret_serves);
}

/* The first round may last; an earlier agent's knowledge is good enough for less. */
static int start_first_round(struct agent *a)
{
	const bool taken_over = dataplane_maps(a->dataplane)->taken_over;
	const unsigned ms = taken_over ? AGENT_TAKEOVER_ROUND_MS : AGENT_FIRST_ROUND_MS;
	const struct timeval late = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	const struct health_witness tables = { .saw = saw_server, .ctx = a };

	if (taken_over)
		health_assume(a->health, &tables);
	return evtimer_add(a->first_round_timer, &late) ? -ENOMEM : 0;
}


/* Large tables are laid out while the first checks are made, and what room they lack is made. */
static void start_tables(struct agent *a)
{
	struct bases *b = bases_plan(a->reconcile, a->model, a->model, a->health);

	if (b)
		build_bases(a, b);
	/* What an earlier agent left may be in the way, and weights by hand may make for larger tables. */
	if (reconcile_slots_for(a->reconcile, a->model, a->health, &a->secret) > dataplane_maps(a->dataplane)->slot_count)
		program_grow(a);
}

static int start_control(struct agent *a, char error[AGENT_ERROR_MAX])
{
	char path[MODEL_SOCKET_PATH_MAX + 1];
	int r;

	snprintf(path, sizeof(path), "/run/alwayson/%s.sock",
		 strcmp(a->options->name, AGENT_NAME_DEFAULT) ? a->options->name : "control");
	r = control_new(a->base, &a->model->global.stats, path, agent_verbs, agent_verb_count, a, &a->control);
	if (r < 0)
		snprintf(error, AGENT_ERROR_MAX, "cannot open the control socket %s: %s",
			 a->model->global.stats.path ? a->model->global.stats.path : path, strerror(-r));
	return r;
}

int agent_start(struct agent *a, char error[AGENT_ERROR_MAX])
{
	int r;

	a->started_ms = agent_monotonic_ms();
	a->base = loop_new();
	r = a->base ? log_new(a->base, &a->log) : -ENOMEM;
	if (r == 0)
		r = log_configure(a->log, &a->model->global);
	if (r == 0)
		r = monitor_new(a, &a->monitor);
	if (r == 0)
		r = watches_new(a, &a->watches);
	if (r == 0)
		r = start_loop(a);
	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "cannot set up the event loop: %s", strerror(-r));
		return r;
	}
	r = start_plugins(a, error);
	if (r == 0)
		r = interfaces_configure(a);
	if (r == 0)
		r = start_state(a, error);
	if (r == 0)
		r = notices_check_ports(a->model, error);
	/* First, for it tells of another agent of the name where there is no state directory to hold the lock. */
	if (r == 0)
		r = start_control(a, error);
	if (r == 0)
		r = start_dataplane(a, error);
	if (r == 0)
		r = peers_prepare(a, a->model, &a->secret, NULL, &a->peers_next, error, AGENT_ERROR_MAX);
	if (r == 0)
		r = start_health(a, error);
	if (r == 0)
		r = start_first_round(a);
	if (r == 0)
		start_tables(a);
	if (r == 0)
		r = monitor_prepare(a->monitor, a->model, error, AGENT_ERROR_MAX);
	if (r < 0)
		return r;
	monitor_commit(a->monitor);
	plugins_started(a->plugins);
	notices_collect(a);
	r = privileges_drop(PRIVILEGES_NET_RAW, error);
	/* Last of all: until the loop turns there is nothing to watch. */
	return r < 0 ? r : watchdog_new(a->base, a->log, a->model->global.watchdog_ms, &a->watchdog);
}
