/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new configuration: everything that may refuse it is asked before anything changes. What is the same before and after
 * keeps its health, admin state and connections. It is read by a thread; where it takes large tables, or another program in
 * the kernel (more slots, other switches), threads make them next. Meanwhile the old configuration is in force. What is
 * left to the loop is done in steps, between which others have their turn.
 */
#include <errno.h>
#include <event2/event.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>

#include "agent/agent.h"
#include "agent/announce.h"
#include "agent/bases.h"
#include "agent/explain_packet.h"
#include "agent/monitor.h"
#include "agent/peers.h"
#include "agent/plugins.h"
#include "agent/probing.h"
#include "agent/program.h"
#include "agent/ready.h"
#include "agent/secret.h"
#include "agent/shared.h"
#include "agent/thread.h"
#include "agent/watchdog.h"
#include "base/cleanup.h"

enum { JOIN_MS = 30000, STEP_MS = 1 };

struct reload {
	struct agent *agent;
	struct agent_reload_ops ops;
	struct config_report report;
	struct hash_key secret;
	struct model *model;             /* NULL once it is the agent's */
	struct peers *peers;             /* those to come, or the agent's own */
	bool changed;
	uint64_t began_ms;
	char error[AGENT_ERROR_MAX];
	struct bases *bases;             /* of large tables; NULL = there are none */
	bool again;                      /* another was asked for meanwhile: what was read may be old */
	bool taken;                      /* it is in force; what is left is to tell of it */
	struct model *old;               /* that was in force before */
	struct event *timer;             /* of the next step */
	void (*step)(struct reload *l);
	/* While it is read, which is the thread's alone: model, report, changed, error. */
	pthread_t thread;
	bool threaded;
	struct event *read;
	int done_fd;
	int result;
};

/* Of backends that are the same otherwise. Only the words that go to the plugin hold it: it is shown to nobody. */
static bool same_passwords(const struct model *a, const struct model *b)
{
	for (size_t i = 0; i < a->backends.count; i++) {
		const struct model_plugin_check *x = &a->backends.items[i].plugin, *y = &b->backends.items[i].plugin;

		if (x->length != y->length || (x->length && memcmp(x->words, y->words, x->length)))
			return false;
	}
	return true;
}

static bool same_model(const struct model *a, const struct model *b)
{
	json_t *x = (json_t *)model_to_json(a), *y = (json_t *)model_to_json(b);
	bool same = x && y && json_equal(x, y);

	json_decref(x);
	json_decref(y);
	return same && same_passwords(a, b);
}

struct dataplane_switches agent_switches(const struct model *m)
{
	bool ipv6 = false, nat = false, dsr = false, transparent = false, quic = false, access = false, rates = false;
	bool shared = false;

	for (size_t i = 0; i < m->global.interfaces.count; i++)
		shared |= m->global.interfaces.items[i].mode == MODEL_XDP_SHARED;
	for (size_t i = 0; i < m->services.count; i++) {
		ipv6 |= m->services.items[i].addr.family == AF_INET6;
		access |= m->services.items[i].policy > 0;
		rates |= m->services.items[i].rate.used;
	}
	for (size_t b = 0; b < m->backends.count; b++) {
		const struct model_backend *backend = &m->backends.items[b];

		quic |= backend->quic_length;
		nat |= backend->forward == MODEL_NAT;
		transparent |= backend->forward == MODEL_TRANSPARENT;
		dsr |= backend->forward == MODEL_DSR || backend->forward == MODEL_IPIP;
		for (size_t s = 0; s < backend->servers.count; s++)
			ipv6 |= backend->servers.items[s].at.addr.family == AF_INET6;
	}
	return (struct dataplane_switches){
		.heartbeat = m->global.on_agent_death == MODEL_DEATH_PASS,
		.without_ipv6 = !ipv6, .without_nat = !nat, .without_dsr = !dsr, .without_transparent = !transparent,
		.without_quic = !quic, .without_access = !access, .without_rates = !rates, .shared = shared,
	};
}

/* Puts the new model in the place of the old one, *ret_old; on failure the old one is in force as before. */
static int take_model(struct agent *a, struct model *m, const struct hash_key *secret, struct model **ret_old,
		      char error[AGENT_ERROR_MAX])
{
	char ignored[RECONCILE_ERROR_MAX];
	int r = reconcile_set_model(a->reconcile, m, secret, error);

	if (r < 0)
		return r;
	r = probing_prepare(a, m, error);
	if (r == 0) {
		r = health_configure(a->health, m);
		if (r < 0)
			snprintf(error, AGENT_ERROR_MAX, "the checks can't be set up: %s", strerror(-r));
	}
	if (r < 0) {
		reconcile_set_model(a->reconcile, a->model, &a->secret, ignored);
		return r;
	}
	*ret_old = a->model;
	a->model = m;
	probing_commit(a);
	a->secret = *secret;
	if (a->running)
		sweep_set_model(a->sweep, m);
	agent_note_flow_table(a);
	if (announce_configure(a->announce) < 0)
		log_event(a->log, LOG_ERR, "announce_failed", "error=%s", log_quoted(strerror(ENOMEM)));
	return 0;
}

/* What takes long, and touches nothing that the loop changes: the present model stays as it is while this reload is there. */
static int read_all(struct reload *l)
{
	const struct agent *a = l->agent;
	int r = config_load(a->options->files, a->options->file_count, &l->model, &l->report);

	if (r < 0 && !l->report.errors) {
		snprintf(l->error, AGENT_ERROR_MAX, "%s; nothing has changed", strerror(-r));
		return r;
	}
	if (r < 0) {
		snprintf(l->error, AGENT_ERROR_MAX, "%zu error%s in the configuration; nothing has changed",
			 l->report.errors, l->report.errors == 1 ? "" : "s");
		return r;
	}
	r = notices_check_ports(l->model, l->error);
	if (r == 0)
		r = health_check_files(l->model, l->error);
	if (r == 0)
		l->changed = !same_model(a->model, l->model);
	return r;
}

/* Everything else that may refuse it, but for the kernel. */
static int ask_all(struct reload *l)
{
	struct agent *a = l->agent;
	int r = shared_check(a, l->model, l->error, AGENT_ERROR_MAX);
	bool ours;

	if (r == 0)
		r = plugins_validate(a->plugins, l->model, a->model, l->error);
	l->secret = a->secret;
	/* One that we made ourselves stays, also where its file was lost and can't be written. */
	ours = !l->model->global.hash_secret_file && !a->model->global.hash_secret_file;
	if (r == 0 && !(ours && secret_keep(a->state, &a->secret) < 0))
		r = secret_load(l->model->global.hash_secret_file, a->state, &l->secret, l->error);
	if (r == 0) {
		l->changed |= memcmp(&l->secret, &a->secret, sizeof(l->secret)) != 0;
		r = monitor_prepare(a->monitor, l->model, l->error, AGENT_ERROR_MAX);
	}
	l->peers = a->peers;
	if (r == 0)
		r = peers_prepare(a, l->model, &l->secret, a->peers, &l->peers, l->error, AGENT_ERROR_MAX);
	return r;
}

/* All have agreed: it comes into force. */
static int take(struct reload *l)
{
	struct agent *a = l->agent;
	int r = take_model(a, l->model, &l->secret, &l->old, l->error);

	if (r < 0)
		return r;
	l->model = NULL;
	if (a->running) {
		peers_commit(a, l->peers);
	} else if (a->peers_next != l->peers) {
		peers_free(a->peers_next);
		a->peers_next = l->peers;
	}
	l->peers = a->peers;
	bases_take(l->bases, a->reconcile);
	monitor_commit(a->monitor);
	explainer_forget(a->explainer);
	log_configure(a->log, &a->model->global);
	watchdog_set_limit(a->watchdog, a->model->global.watchdog_ms);
	r = control_configure(a->control, &a->model->global.stats);
	if (r < 0)
		log_event(a->log, LOG_WARNING, "control_socket", "error=%s", log_quoted(strerror(-r)));
	interfaces_configure(a);
	probing_follow(a);
	if (a->attaching)
		interfaces_apply(a);
	reconcile_addresses_changed(a->reconcile);
	l->taken = true;
	return 0;
}

static void note_failure(struct agent *a, const struct reload *l)
{
	for (size_t i = 0; i < l->report.messages.count && l->report.errors; i++) {
		const struct config_message *m = &l->report.messages.items[i];

		if (m->severity != CONFIG_ERROR)
			continue;
		snprintf(a->last_reload.error, sizeof(a->last_reload.error), "%s:%u:%u: %s", m->file, m->line, m->column,
			 m->text);
		break;
	}
	log_event(a->log, LOG_ERR, "reload_failed", "error=%s", log_quoted(a->last_reload.error));
}

static void *free_thread(void *arg)
{
	model_free(arg);
	malloc_trim(0); /* as after the start: its holes */
	return NULL;
}

/* Thousands of servers take their time to go, too. */
static void free_beside_loop(struct model *m)
{
	pthread_t thread;

	if (m && thread_start(&thread, "old model", free_thread, m) == 0)
		pthread_detach(thread);
	else
		model_free(m);
}

static void reload_free(struct reload *l)
{
	if (l->timer)
		event_free(l->timer);
	free_beside_loop(l->old);
	if (l->read)
		event_free(l->read);
	cleanup_close(&l->done_fd);
	if (l->peers != l->agent->peers)
		peers_free(l->peers);
	bases_free(l->bases);
	model_free(l->model);
	config_report_done(&l->report);
	free(l);
}

/* It is over, r says how; who asked is told. */
static void finish(struct reload *l, int r)
{
	struct agent *a = l->agent;
	bool again;

	a->reload = NULL;
	a->last_reload.at_ms = agent_wall_ms();
	a->last_reload.ok = r == 0;
	a->last_reload.count++;
	a->last_reload.failures += r < 0;
	snprintf(a->last_reload.error, sizeof(a->last_reload.error), "%s", r < 0 ? l->error : "");
	if (r < 0) {
		monitor_abandon(a->monitor);
		note_failure(a, l);
	} else {
		log_event(a->log, LOG_NOTICE, "reloaded", "changed=%s took_ms=%llu", l->changed ? "yes" : "no",
			  (unsigned long long)(agent_monotonic_ms() - l->began_ms));
		config_report_done(&a->report);
		a->report = l->report;
		memset(&l->report, 0, sizeof(l->report));
		notices_collect(a);
		drained_check(a);
		agent_save_state(a);
	}
	ready_started(NULL);
	if (l->ops.done)
		l->ops.done(&(struct agent_reload_result){
			.r = r, .changed = l->changed, .took_ms = agent_monotonic_ms() - l->began_ms,
			.report = r < 0 ? &l->report : &a->report, .error = l->error,
		}, l->ops.ctx);
	again = l->again;
	reload_free(l);
	if (again)
		agent_reload(a, &(struct agent_reload_ops){});
}

/* ---- steps ---- */

static void on_step(evutil_socket_t fd, short what, void *ctx)
{
	struct reload *l = ctx;

	l->step(l);
}

/* In a later turn of the loop, when others have had theirs. */
static void later(struct reload *l, void (*step)(struct reload *l))
{
	const struct timeval soon = { .tv_usec = STEP_MS * 1000 };

	l->step = step;
	if (!l->timer)
		l->timer = evtimer_new(l->agent->base, on_step, l);
	if (!l->timer || evtimer_add(l->timer, &soon))
		step(l);
}

/* Thousands of tables take several turns of their own. */
static void conclude(struct reload *l)
{
	const struct timeval soon = { .tv_usec = STEP_MS * 1000 };

	if (!reconcile_has_more(l->agent->reconcile) || !l->timer || evtimer_add(l->timer, &soon))
		finish(l, 0);
}

static void put(struct reload *l)
{
	struct agent *a = l->agent;

	if (a->running)
		reconcile_run(a->reconcile, a->health);
	announce_update(a->announce);
	later(l, conclude);
}

static void take_and_put(struct reload *l)
{
	const int r = take(l);

	if (r < 0)
		finish(l, r);
	else
		later(l, put);
}

/* ---- another program in the kernel ---- */

static void on_replaced(int r, const char *error, void *ctx)
{
	struct reload *l = ctx;

	if (r < 0)
		snprintf(l->error, AGENT_ERROR_MAX, "%.400s; nothing has changed", error);
	if (r < 0)
		finish(l, r);
	else
		take_and_put(l);
}

/* The tables are ready: with the program that there is, or with another. */
static void go_on(void *ctx)
{
	struct reload *l = ctx;
	struct agent *a = l->agent;
	const struct dataplane_switches *now = dataplane_switches(a->dataplane);
	struct dataplane_switches switches;
	uint32_t slots;
	int r;

	slots = reconcile_slots_for(a->reconcile, l->model, NULL, &l->secret);
	switches = agent_switches(l->model);
	/* Connections of what has left the configuration go on for a while: what was once used stays. */
	switches.without_ipv6 &= now->without_ipv6;
	switches.without_nat &= now->without_nat;
	switches.without_dsr &= now->without_dsr;
	switches.without_transparent &= now->without_transparent;
	switches.without_quic &= now->without_quic;
	switches.without_access &= now->without_access;
	switches.without_rates &= now->without_rates;
	switches.shared = now->shared || (switches.shared && !dataplane_sharing_refused(a->dataplane));
	if (slots == dataplane_maps(a->dataplane)->slot_count && memcmp(&switches, now, sizeof(*now)) == 0) {
		later(l, take_and_put);
		return;
	}
	r = program_replace(a, slots, &switches, on_replaced, l);
	if (r < 0) {
		snprintf(l->error, AGENT_ERROR_MAX, "another program can't be loaded: %s", strerror(-r));
		finish(l, r);
	}
}

static void plan(struct reload *l)
{
	struct agent *a = l->agent;

	l->bases = bases_plan(a->reconcile, l->model, a->model, a->health);
	if (l->bases && bases_start(l->bases, a->base, go_on, l) == 0)
		return;
	go_on(l);
}

/* It is read, and r says how. */
static void consider(struct reload *l, int r)
{
	if (r == 0)
		r = ask_all(l);
	if (r < 0)
		finish(l, r);
	else
		later(l, plan);
}

static void *read_thread(void *arg)
{
	struct reload *l = arg;

	l->result = read_all(l);
	eventfd_write(l->done_fd, 1);
	return NULL;
}

static void on_read(evutil_socket_t fd, short what, void *ctx)
{
	struct reload *l = ctx;

	thread_join(l->thread, JOIN_MS);
	l->threaded = false;
	event_del(l->read);
	consider(l, l->result);
}

/* 0 or -errno: nobody reads it. */
static int start_reading(struct reload *l)
{
	int r;

	l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->done_fd < 0)
		return -errno;
	l->read = event_new(l->agent->base, l->done_fd, EV_READ, on_read, l);
	if (!l->read || event_add(l->read, NULL))
		return -ENOMEM;
	r = thread_start(&l->thread, "reload", read_thread, l);
	l->threaded = r == 0;
	return r;
}

void agent_reload_again(struct agent *a)
{
	if (a->reload)
		a->reload->again = true;
	else
		agent_reload(a, &(struct agent_reload_ops){});
}

void agent_reload(struct agent *a, const struct agent_reload_ops *ops)
{
	struct reload *l = a->reload ? NULL : calloc(1, sizeof(*l));
	int r;

	if (!l) {
		const char *why = a->reload ? "a reload is under way" : "out of memory";

		log_event(a->log, LOG_ERR, "reload_failed", "error=%s", log_quoted(why));
		if (ops->done)
			ops->done(&(struct agent_reload_result){ .r = a->reload ? -EBUSY : -ENOMEM, .error = why,
								 .report = &a->report }, ops->ctx);
		return;
	}
	*l = (struct reload){ .agent = a, .ops = *ops, .began_ms = agent_monotonic_ms(), .done_fd = -1 };
	a->reload = l;
	ready_reloading();
	r = start_reading(l);
	if (r < 0) {
		snprintf(l->error, AGENT_ERROR_MAX, "the configuration can't be read beside the loop: %s; nothing has changed",
			 r == -EAGAIN ? "no memory for a thread, or too many tasks (ulimit -u, TasksMax=)" : strerror(-r));
		finish(l, r);
	}
}

void agent_reload_done(struct agent *a)
{
	struct reload *l = a->reload;

	if (!l)
		return;
	if (l->threaded && thread_join(l->thread, JOIN_MS) < 0)
		return; /* what it may still touch is left to it; the process is about to end */
	l->again = false;
	snprintf(l->error, AGENT_ERROR_MAX, "the agent is stopping");
	finish(l, l->taken ? 0 : -ECANCELED);
}
