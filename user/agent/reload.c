/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A new configuration: everything that may refuse it is asked before anything changes. What is the same before and after
 * keeps its health, admin state and connections.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "agent/agent.h"
#include "agent/explain_packet.h"
#include "agent/plugins.h"
#include "agent/monitor.h"
#include "agent/probing.h"
#include "agent/ready.h"
#include "agent/secret.h"

static bool same_model(const struct model *a, const struct model *b)
{
	json_t *x = (json_t *)model_to_json(a), *y = (json_t *)model_to_json(b);
	bool same = x && y && json_equal(x, y);

	json_decref(x);
	json_decref(y);
	return same;
}

/* Puts the new model in the place of the old one; on failure the old one is in force as before. */
static int take_model(struct agent *a, struct model *m, const struct hash_key *secret, char error[AGENT_ERROR_MAX])
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
	model_free(a->model);
	a->model = m;
	probing_commit(a);
	a->secret = *secret;
	if (a->running)
		sweep_set_model(a->sweep, m);
	return 0;
}

static int reload(struct agent *a, bool *ret_changed, struct config_report *report, char error[AGENT_ERROR_MAX])
{
	struct hash_key secret = a->secret;
	struct model *m = NULL;
	const char *failed;
	int r = config_load(a->options->files, a->options->file_count, &m, report);

	if (r < 0) {
		snprintf(error, AGENT_ERROR_MAX, "%zu error%s in the configuration; nothing has changed",
			 report->errors, report->errors == 1 ? "" : "s");
		return r;
	}
	r = notices_check_ports(m, error);
	if (r == 0)
		r = health_check_files(m, error);
	if (r == 0)
		r = plugins_validate(a->plugins, m, a->model, error);
	if (r == 0)
		r = secret_load(m->global.hash_secret_file, a->state, &secret, error);
	if (r == 0) {
		*ret_changed = !same_model(a->model, m) || memcmp(&secret, &a->secret, sizeof(secret));
		r = monitor_prepare(a->monitor, m, error, AGENT_ERROR_MAX);
	}
	if (r == 0)
		r = take_model(a, m, &secret, error);
	if (r < 0) {
		monitor_abandon(a->monitor);
		model_free(m);
		return r;
	}
	monitor_commit(a->monitor);
	explainer_forget(a->explainer);
	log_configure(a->log, &m->global);
	r = control_configure(a->control, &m->global.stats);
	if (r < 0)
		log_event(a->log, LOG_WARNING, "control_socket", "error=%s", log_quoted(strerror(-r)));
	interfaces_configure(a);
	probing_follow(a);
	failed = a->running ? interfaces_apply(a) : NULL;
	if (failed)
		log_event(a->log, LOG_ERR, "attach_failed", "error=%s", log_quoted(failed));
	reconcile_addresses_changed(a->reconcile);
	if (a->running)
		reconcile_run(a->reconcile, a->health);
	return 0;
}

int agent_reload(struct agent *a, bool *ret_changed, struct config_report *report, char error[AGENT_ERROR_MAX])
{
	uint64_t began = agent_monotonic_ms();
	int r;

	ready_reloading();
	*ret_changed = false;
	error[0] = '\0';
	r = reload(a, ret_changed, report, error);
	a->last_reload.at_ms = agent_wall_ms();
	a->last_reload.ok = r == 0;
	a->last_reload.count++;
	a->last_reload.failures += r < 0;
	snprintf(a->last_reload.error, sizeof(a->last_reload.error), "%s", r < 0 ? error : "");
	if (r < 0) {
		for (size_t i = 0; i < report->messages.count && report->errors; i++)
			if (report->messages.items[i].severity == CONFIG_ERROR) {
				const struct config_message *m = &report->messages.items[i];

				snprintf(a->last_reload.error, sizeof(a->last_reload.error), "%s:%u:%u: %s", m->file,
					 m->line, m->column, m->text);
				break;
			}
		log_event(a->log, LOG_ERR, "reload_failed", "error=%s", log_quoted(a->last_reload.error));
	} else {
		log_event(a->log, LOG_NOTICE, "reloaded", "changed=%s took_ms=%llu", *ret_changed ? "yes" : "no",
			  (unsigned long long)(agent_monotonic_ms() - began));
		config_report_done(&a->report);
		a->report = *report;
		memset(report, 0, sizeof(*report));
		notices_collect(a);
		drained_check(a);
		agent_save_state(a);
	}
	ready_started(NULL);
	return r;
}
