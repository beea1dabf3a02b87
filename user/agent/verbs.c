/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's verbs that do something; docs/control.md is their contract. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/announce.h"
#include "agent/explain_packet.h"
#include "agent/trace.h"
#include "agent/restart.h"
#include "agent/shared.h"
#include "agent/watch.h"
#include "base/version.h"

enum { DRAIN_TIMEOUT_DEFAULT_MS = 30000 };

static void reply_server(struct agent *a, struct control_request *r, const char *path, bool changed)
{
	size_t b, s;

	if (agent_find_server(a, path, &b, &s))
		control_reply(r, json_pack("{s:b, s:o}", "changed", changed, "server", show_server(a, b, s)));
	else
		control_fail(r, CONTROL_FAILED, "there is no server %s", path);
}

static struct health_view view_of(const struct agent *a, const char *path)
{
	struct health_view v = {};
	size_t b, s;

	if (agent_find_server(a, path, &b, &s))
		health_view(a->health, b, s, &v);
	return v;
}

static void set_admin(struct agent *a, struct control_request *r, const char *path, enum health_admin_state state)
{
	struct health_view before = view_of(a, path), after;
	int e = health_set_admin(a->health, path, state);

	if (e < 0) {
		control_fail(r, CONTROL_FAILED, "there is no server %s", path);
		return;
	}
	after = view_of(a, path);
	agent_run_soon(a);
	agent_save_state(a);
	drained_check(a);
	reply_server(a, r, path, before.admin != after.admin || before.weight != after.weight);
}

static void verb_drain(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	set_admin(ctx, r, argv[0], HEALTH_DRAIN);
}

static void verb_maint(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	set_admin(ctx, r, argv[0], HEALTH_MAINT);
}

static void verb_server_ready(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	set_admin(ctx, r, argv[0], HEALTH_READY);
}

static int read_number(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;
	unsigned long n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

static void verb_weight(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	struct health_view before = view_of(a, argv[0]);
	unsigned long weight;

	if (read_number(argv[1], MODEL_WEIGHT_MAX, &weight) < 0) {
		control_fail(r, CONTROL_USAGE, "%s: a weight is a number from 0 to %d", argv[1], MODEL_WEIGHT_MAX);
		return;
	}
	if (health_set_weight(a->health, argv[0], weight) < 0) {
		control_fail(r, CONTROL_FAILED, "there is no server %s", argv[0]);
		return;
	}
	agent_run_soon(a);
	agent_save_state(a);
	drained_check(a);
	reply_server(a, r, argv[0], before.weight != weight);
}

static void verb_wait_drained(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	unsigned long timeout_ms = DRAIN_TIMEOUT_DEFAULT_MS;

	if (argc > 1 && read_number(argv[1], MODEL_TIME_MAX_MS, &timeout_ms) < 0) {
		control_fail(r, CONTROL_USAGE, "%s: a time-out is a number of milliseconds up to %d", argv[1],
			     MODEL_TIME_MAX_MS);
		return;
	}
	drained_wait(ctx, r, argv[0], timeout_ms);
}

static json_t *message_json(const struct config_message *m)
{
	return json_pack("{s:s, s:o, s:I, s:I, s:o}", "severity", m->severity == CONFIG_ERROR ? "error" : "notice",
			 "file", control_string(m->file ? m->file : ""), "line", (json_int_t)m->line, "column",
			 (json_int_t)m->column, "text", control_string(m->text));
}

static json_t *messages_json(const struct config_report *report)
{
	json_t *all = json_array();

	for (size_t i = 0; i < report->messages.count; i++)
		json_array_append_new(all, message_json(&report->messages.items[i]));
	return all;
}

static void on_reloaded(const struct agent_reload_result *result, void *ctx)
{
	struct control_request *r = ctx;

	if (result->r == -EBUSY)
		control_fail(r, CONTROL_FAILED, "%s", result->error);
	else if (result->r < 0)
		control_fail_with(r, CONTROL_BAD_CONFIG, json_pack("{s:o}", "messages", messages_json(result->report)),
				  "%s", result->error);
	else
		control_reply(r, json_pack("{s:b, s:I, s:o}", "changed", result->changed, "took_ms",
					   (json_int_t)result->took_ms, "messages", messages_json(result->report)));
}

static void verb_reload(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	agent_reload(ctx, &(struct agent_reload_ops){ .done = on_reloaded, .ctx = r });
}

static const struct {
	const char *word;
	enum model_xdp_mode mode;
} modes[] = {
	{ "auto", MODEL_XDP_AUTO },
	{ "native", MODEL_XDP_NATIVE },
	{ "generic", MODEL_XDP_GENERIC },
};

static bool read_mode(const char *word, enum model_xdp_mode *ret)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(word, modes[i].word) == 0) {
			*ret = modes[i].mode;
			return true;
		}
	return false;
}

static bool is_attached(struct agent *a, const char *name)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, name) == 0)
			return true;
	return false;
}

static void reply_loaded(struct agent *a, struct control_request *r, const char *name, bool changed)
{
	reconcile_addresses_changed(a->reconcile);
	announce_update(a->announce);
	reconcile_run(a->reconcile, a->health);
	agent_save_state(a);
	control_reply(r, json_pack("{s:b, s:o, s:[]}", "changed", changed, "interface",
				   show_interface(a, interfaces_find(a, name)), "notices"));
}

/* libxdp has answered. */
static void on_loaded(struct agent *a, const struct shared_wait *w, const char *failed)
{
	struct agent_interface *i = interfaces_find(a, w->name);

	if (is_attached(a, w->name)) {
		reply_loaded(a, w->request, w->name, true);
		return;
	}
	if (i)
		i->wanted = w->was_wanted;
	control_fail(w->request, CONTROL_FAILED, "%s", failed ? failed : "it is not wanted any more");
}

static void verb_load(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const struct agent_interface *known = interfaces_find(a, argv[0]);
	enum model_xdp_mode mode = known && known->mode == MODEL_XDP_SHARED ? MODEL_XDP_SHARED : MODEL_XDP_AUTO;
	struct shared_wait wait = { .request = r, .done = on_loaded, .was_wanted = known && known->wanted };
	char error[AGENT_ERROR_MAX] = "";
	int e = -EALREADY;

	if (argc > 1 && !read_mode(argv[1], &mode)) {
		control_fail(r, CONTROL_USAGE, "%s: a mode is native, generic or auto", argv[1]);
		return;
	}
	if (!is_attached(a, argv[0]))
		e = interfaces_load(a, argv[0], mode, error);
	if (e == -EINPROGRESS) {
		snprintf(wait.name, sizeof(wait.name), "%s", argv[0]);
		if (!shared_wait(a->shared, &wait))
			control_fail(r, CONTROL_FAILED, "out of memory; libxdp is asked for %s all the same", argv[0]);
	} else if (e < 0 && e != -EALREADY) {
		control_fail(r, CONTROL_FAILED, "%s", error);
	} else {
		reply_loaded(a, r, argv[0], e == 0);
	}
}

static void on_unloaded(struct agent *a, const struct shared_wait *w, const char *failed)
{
	control_reply(w->request, w->reply);
}

static void verb_unload(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const struct sweep_counts *c = sweep_counts(a->sweep);
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);
	json_t *gone = json_array(), *left = json_array(), *notices = json_array();
	struct shared_wait wait = { .request = r, .done = on_unloaded };

	if (argc && !is_attached(a, argv[0])) {
		json_decref(gone);
		json_decref(left);
		json_decref(notices);
		control_fail(r, CONTROL_FAILED, "%s: nothing of this instance is attached there", argv[0]);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct agent_interface *in = interfaces_find(a, all[i].name);
		const bool leave = !argc || strcmp(all[i].name, argv[0]) == 0;

		json_array_append_new(leave ? gone : left, json_string(all[i].name));
		if (!leave)
			continue;
		if (in)
			in->wanted = false;
		json_array_append_new(notices, json_sprintf("connections through %s end", all[i].name));
	}
	interfaces_apply(a);
	announce_update(a->announce);
	reconcile_addresses_changed(a->reconcile);
	reconcile_run(a->reconcile, a->health);
	agent_save_state(a);
	wait.reply = json_pack("{s:o, s:o, s:I, s:o}", "interfaces", gone, "left", left, "connections",
			       (json_int_t)(c->connections4 + c->connections6), "notices", notices);
	/* Nothing is steered any more; who wants the NIC for something else waits for libxdp too. */
	if (!dataplane_is_asking(a->dataplane) || !shared_wait(a->shared, &wait))
		control_reply(r, wait.reply);
}

static void verb_restart(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	restart_begin(ctx, r);
}

static void set_withdrawn(struct agent *a, struct control_request *r, bool withdrawn)
{
	const bool changed = announce_set_withdrawn(a->announce, withdrawn);

	if (changed)
		log_event(a->log, LOG_NOTICE, withdrawn ? "withdrawn_by_hand" : "announced_by_hand", "text=%s",
			  log_quoted(withdrawn ? "all addresses, until `alwayson announce`" : "as the servers allow"));
	agent_save_state(a);
	control_reply(r, json_pack("{s:b, s:b}", "changed", changed, "withdrawn", withdrawn));
}

static void verb_announce(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	set_withdrawn(ctx, r, false);
}

static void verb_withdraw(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	set_withdrawn(ctx, r, true);
}

static void verb_version(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	control_reply(r, json_pack("{s:s, s:i, s:I}", "version", alwayson_version, "protocol", CONTROL_PROTOCOL, "pid",
				   (json_int_t)getpid()));
}

const struct control_verb agent_verbs[] = {
	{ "status", "", 0, 0, MODEL_LEVEL_USER, verb_status },
	{ "show services", "", 0, 0, MODEL_LEVEL_USER, verb_show_services },
	{ "show servers", "[BACKEND[/SERVER]]", 0, 1, MODEL_LEVEL_USER, verb_show_servers },
	{ "show flows", "[LIMIT]", 0, 1, MODEL_LEVEL_USER, verb_show_flows },
	{ "show config", "", 0, 0, MODEL_LEVEL_USER, verb_show_config },
	{ "show verdicts", "", 0, 0, MODEL_LEVEL_USER, verb_show_verdicts },
	{ "show interfaces", "", 0, 0, MODEL_LEVEL_USER, verb_show_interfaces },
	{ "show log", "", 0, 0, MODEL_LEVEL_USER, verb_show_log },
	{ "show table", "[LIMIT]", 0, 1, MODEL_LEVEL_USER, verb_show_table },
	{ "show acl", "[LIST]", 0, 1, MODEL_LEVEL_USER, verb_show_acl },
	{ "get acl", "LIST ADDRESS", 2, 2, MODEL_LEVEL_USER, verb_get_acl },
	{ "add acl", "LIST PREFIX", 2, 2, MODEL_LEVEL_ADMIN, verb_add_acl },
	{ "del acl", "LIST PREFIX", 2, 2, MODEL_LEVEL_ADMIN, verb_del_acl },
	{ "clear acl", "LIST", 1, 1, MODEL_LEVEL_ADMIN, verb_clear_acl },
	{ "show announce", "", 0, 0, MODEL_LEVEL_USER, verb_show_announce },
	{ "show peers", "", 0, 0, MODEL_LEVEL_USER, verb_show_peers },
	{ "explain config", "", 0, 0, MODEL_LEVEL_USER, verb_explain_config },
	{ "explain server", "BACKEND/SERVER", 1, 1, MODEL_LEVEL_USER, verb_explain_server },
	{ "explain packet", "SERVICE SRC:PORT [syn|ack|fin|rst]", 2, 3, MODEL_LEVEL_ADMIN, verb_explain_packet },
	{ "trace next", "NUMBER [WAIT_MS]", 1, 2, MODEL_LEVEL_ADMIN, verb_trace_next },
	{ "trace stop", "NUMBER", 1, 1, MODEL_LEVEL_ADMIN, verb_trace_stop },
	{ "trace", "[service S] [source PREFIX] [verdict V] [rate N] [snap N]", 0, 20, MODEL_LEVEL_ADMIN,
	  verb_trace_start },
	{ "explain frame", "IFACE LENGTH HEX [COPY]", 3, 4, MODEL_LEVEL_ADMIN, verb_explain_frame },
	{ "server drain", "BACKEND/SERVER", 1, 1, MODEL_LEVEL_ADMIN, verb_drain },
	{ "server maint", "BACKEND/SERVER", 1, 1, MODEL_LEVEL_ADMIN, verb_maint },
	{ "server ready", "BACKEND/SERVER", 1, 1, MODEL_LEVEL_ADMIN, verb_server_ready },
	{ "server weight", "BACKEND/SERVER WEIGHT", 2, 2, MODEL_LEVEL_ADMIN, verb_weight },
	{ "wait drained", "BACKEND/SERVER [TIMEOUT_MS]", 1, 2, MODEL_LEVEL_USER, verb_wait_drained },
	{ "watch", "[AFTER [WAIT_MS]]", 0, 2, MODEL_LEVEL_USER, verb_watch },
	{ "log level", "LEVEL", 1, 1, MODEL_LEVEL_ADMIN, verb_log_level },
	{ "reload", "", 0, 0, MODEL_LEVEL_ADMIN, verb_reload },
	{ "load", "IFACE [native|generic|auto]", 1, 2, MODEL_LEVEL_ADMIN, verb_load },
	{ "unload", "[IFACE]", 0, 1, MODEL_LEVEL_ADMIN, verb_unload },
	{ "restart", "", 0, 0, MODEL_LEVEL_ADMIN, verb_restart },
	{ "announce", "", 0, 0, MODEL_LEVEL_ADMIN, verb_announce },
	{ "withdraw", "", 0, 0, MODEL_LEVEL_ADMIN, verb_withdraw },
	{ "ready", "[FRONTEND]", 0, 1, MODEL_LEVEL_USER, verb_ready },
	{ "version", "", 0, 0, MODEL_LEVEL_USER, verb_version },
};
const size_t agent_verb_count = sizeof(agent_verbs) / sizeof(agent_verbs[0]);
