/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What health tells: it is logged and counted, and what follows for the tables is left to the next turn of the loop. Called
 * by health, through the callbacks that agent.c hands to it.
 */
#include <stdio.h>
#include <syslog.h>

#include "agent/agent.h"
#include "agent/monitor.h"

static const char *const check_names[] = {
	[HEALTH_UNCHECKED] = "no-check", [HEALTH_INIT] = "init", [HEALTH_UP] = "up", [HEALTH_DOWN] = "down",
};
static const char *const admin_names[] = {
	[HEALTH_READY] = "ready", [HEALTH_DRAIN] = "drain", [HEALTH_MAINT] = "maint",
};

static void on_health_change(const struct health_event *e, void *ctx)
{
	struct agent *a = ctx;
	char path[2 * MODEL_NAME_MAX + 2];
	size_t b, s;

	log_event(a->log, e->went_down ? LOG_WARNING : LOG_NOTICE,
		  e->went_down ? "server_down" : e->went_up ? "server_up" : "server_changed",
		  "backend=%s server=%s check=%s admin=%s weight=%u reason=%s", e->backend, e->server,
		  check_names[e->view->check], admin_names[e->view->admin], e->view->weight, log_quoted(e->reason));
	snprintf(path, sizeof(path), "%s/%s", e->backend, e->server);
	if (e->went_down && agent_find_server(a, path, &b, &s) &&
	    a->model->backends.items[b].servers.items[s].shutdown_sessions)
		reconcile_end_connections(a->reconcile, reconcile_server_id(a->reconcile, b, s));
	a->save_due = true;
	agent_run_soon(a);
}

/* What the agent can't find out concerns all servers at once, again and again: told of now and then. */
static void tell_inconclusive(struct agent *a, size_t backend, const char *server, const char *result)
{
	const uint64_t now = agent_monotonic_ms();

	if ((a->inconclusive_told_ms && now - a->inconclusive_told_ms < AGENT_INCONCLUSIVE_MS) ||
	    backend >= a->model->backends.count)
		return;
	a->inconclusive_told_ms = now;
	log_event(a->log, LOG_WARNING, "check_inconclusive", "backend=%s server=%s reason=%s",
		  a->model->backends.items[backend].name, server, log_quoted(result));
}

static void on_check_result(size_t backend, const char *server, const char *result, bool inconclusive,
			    uint32_t duration_us, void *ctx)
{
	struct agent *a = ctx;

	monitor_count_check(a->monitor, backend, duration_us, inconclusive);
	if (inconclusive)
		tell_inconclusive(a, backend, server, result);
	if (log_wants(a->log, LOG_DEBUG) && backend < a->model->backends.count)
		log_event(a->log, LOG_DEBUG, "check", "backend=%s server=%s duration_us=%u result=%s",
			  a->model->backends.items[backend].name, server, duration_us, log_quoted(result));
}

static bool was_cut_off(const struct addr *address, uint64_t since_ms, void *ctx)
{
	const struct agent *a = ctx;

	return net_was_cut_off(a->net, address, since_ms);
}

static void on_share(void *ctx)
{
	agent_run_soon(ctx);
}

static void on_conflict(const struct health_conflict *c, void *ctx)
{
	struct agent *a = ctx;

	if (c->begins)
		log_event(a->log, LOG_CRIT, "writer_conflict", "backend=%s writers=%zu kept=%s", c->backend, c->writers,
			  c->kept[0] ? c->kept : "none");
	else
		log_event(a->log, LOG_NOTICE, "writer_conflict_over", "backend=%s writers=%zu kept=%s", c->backend,
			  c->writers, c->kept[0] ? c->kept : "none");
	agent_run_soon(a);
}

struct health_ops told_ops(struct agent *a, void (*on_first_round)(void *ctx))
{
	return (struct health_ops){
		.on_change = on_health_change, .on_first_round = on_first_round, .on_share = on_share,
		.on_conflict = on_conflict, .on_result = on_check_result, .was_cut_off = was_cut_off, .ctx = a,
	};
}
