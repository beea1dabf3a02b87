/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end: who asks for it, and all parts taken down in the reverse order of the start. What steers is taken out of the
 * kernel, unless a start has failed that found it there.
 */
#include <event2/event.h>
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
#include "agent/restart.h"
#include "agent/shared.h"
#include "agent/trace.h"
#include "agent/vlan.h"
#include "agent/watch.h"
#include "agent/watchdog.h"

static void terminate(struct agent *a)
{
	const struct sweep_counts *c = sweep_counts(a->sweep);

	a->detach = true;
	log_event(a->log, LOG_NOTICE, "stopping", "connections=%llu text=%s",
		  (unsigned long long)(c->connections4 + c->connections6),
		  log_quoted("detaching: connections through this balancer end"));
	ready_stopping("detaching");
	event_base_loopbreak(a->base);
}

static void on_terminate_now(evutil_socket_t fd, short what, void *ctx)
{
	terminate(ctx);
}

/* Addresses first, so that no packet comes any more when the program goes. */
void stop_asked(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;
	uint32_t wait_ms = announce_stop(a->announce); /* 0 the second time: who asks twice does not want to wait */

	if (wait_ms && !a->stop_timer) {
		const struct timeval after = { .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };

		log_event(a->log, LOG_NOTICE, "stopping", "wait_ms=%u text=%s", wait_ms,
			  log_quoted("addresses are withdrawn, what still comes is steered meanwhile"));
		ready_stopping("addresses are withdrawn");
		a->stop_timer = evtimer_new(a->base, on_terminate_now, a);
		if (a->stop_timer && evtimer_add(a->stop_timer, &after) == 0)
			return;
	}
	terminate(a);
}

/* For who starts it again at once. Before it is ready there is nothing of its own to leave. */
void leave_asked(evutil_socket_t fd, short what, void *ctx)
{
	struct agent *a = ctx;

	a->leave = a->running;
	log_event(a->log, LOG_NOTICE, "stopping", "text=%s",
		  log_quoted("the program goes on steering; the next agent takes over"));
	ready_stopping("the program goes on steering");
	event_base_loopbreak(a->base);
}

void agent_stop(struct agent *a)
{
	bool leave;

	watchdog_free(a->watchdog);
	a->watchdog = NULL;
	if (a->health && a->running)
		agent_save_state(a);
	restart_done(a);
	program_stop(a);
	agent_reload_done(a);
	if (a->control)
		drained_done(a);
	watches_free(a->watches);
	a->watches = NULL; /* events go on */
	shared_free(a->shared);
	a->shared = NULL;
	control_free(a->control);
	explainer_free(a->explainer);
	tracer_free(a->tracer);
	monitor_free(a->monitor);
	announce_free(a->announce);
	a->announce = NULL;
	health_free(a->health);
	plugins_free(a->plugins);
	probing_free(a->probing);
	peers_free(a->peers);
	peers_free(a->peers_next);
	bases_free(a->bases);
	sweep_free(a->sweep);
	challenge_free(a->challenge);
	reconcile_free(a->reconcile);
	grace_free(a->grace);
	/* A start that failed leaves what it found: it goes on steering. */
	leave = a->dataplane && !a->detach && (a->leave || dataplane_maps(a->dataplane)->taken_over);
	if (leave && a->leave)
		dataplane_beat(a->dataplane, AGENT_RESTART_LEAVE_MS);
	dataplane_close(a->dataplane, leave);
	if (!leave)
		vlan_give_back_all(a);
	net_free(a->net);
	state_close(a->state);
	for (size_t i = 0; i < sizeof(a->signals) / sizeof(a->signals[0]); i++)
		if (a->signals[i])
			event_free(a->signals[i]);
	if (a->beat)
		event_free(a->beat);
	if (a->run_event)
		event_free(a->run_event);
	if (a->more)
		event_free(a->more);
	if (a->first_round_timer)
		event_free(a->first_round_timer);
	if (a->stop_timer)
		event_free(a->stop_timer);
	notices_done(a);
	config_report_done(&a->report);
	vec_done(&a->interfaces);
	vec_done(&a->vlan_offloads);
	model_free(a->model);
	log_free(a->log);
	if (a->base)
		event_base_free(a->base);
}
