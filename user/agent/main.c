/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alwaysond: command line, start, stop. Exit codes: 0 stopped as asked, or the configuration is good; 1 it could not
 * start, or the configuration is bad; 2 usage.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/agent.h"
#include "agent/plugins.h"
#include "agent/restart.h"
#include "agent/thread.h"
#include "agent/vlan.h"
#include "base/cleanup.h"
#include "base/loop.h"
#include "base/version.h"

enum { EXIT_BAD = 1, EXIT_USAGE = 2 };

/* For -c, plugins are loaded where they are loaded otherwise: in a process without rights. */
static int check_plugins(const struct model *m)
{
	struct event_base *base = loop_new();
	struct plugins *p = NULL;
	char error[PLUGINS_ERROR_MAX] = "out of memory";
	int r = base ? plugins_new(base, NULL, true, &p, error) : -ENOMEM;

	if (r == 0)
		r = plugins_validate(p, m, NULL, error);
	if (r < 0)
		fprintf(stderr, "%s\n", error);
	plugins_free(p);
	if (base)
		event_base_free(base);
	return r;
}

struct reading {
	const struct agent_options *options;
	struct model **model;
	struct config_report *report;
	int result;
};

static void *read_thread(void *arg)
{
	struct reading *r = arg;

	r->result = config_load(r->options->files, r->options->file_count, r->model, r->report);
	return NULL;
}

/* By a thread, as a reload does: the model is in no heap of the loop's, which its end would leave full of holes. */
static int read_all(const struct agent_options *o, struct model **ret, struct config_report *report)
{
	struct reading reading = { .options = o, .model = ret, .report = report };
	pthread_t thread;

	if (thread_start(&thread, "read", read_thread, &reading) == 0)
		pthread_join(thread, NULL);
	else
		read_thread(&reading);
	return reading.result;
}

static int load(const struct agent_options *o, struct model **ret, struct config_report *report)
{
	char error[HEALTH_ERROR_MAX];
	int r = read_all(o, ret, report);

	if (r < 0 || o->check_only)
		config_report_print(report, stderr);
	if (r == 0) {
		r = health_check_files(*ret, error);
		if (r == -EINVAL)
			fprintf(stderr, "%s\n", error);
	}
	if (r == 0 && o->check_only)
		r = restart_check_successor();
	if (r == 0 && o->check_only && !restart_is_asked() && plugins_are_used(*ret))
		r = check_plugins(*ret);
	if (r == -ENOMEM)
		fprintf(stderr, "alwaysond: out of memory\n");
	return r;
}

/* Without -i or `interface` there is nothing to steer on: say what would make sense. */
static int complain_no_interface(const struct model *m)
{
	struct event_base *base = loop_new();
	const struct net_ops ops = {};
	struct net *n = NULL;
	char text[512] = "";

	if (base && net_new(base, &ops, &n) == 0)
		interfaces_suggest(n, m, text, sizeof(text));
	net_free(n);
	if (base)
		event_base_free(base);
	fprintf(stderr, "alwaysond: no interface to steer on: give -i IFACE, or `interface IFACE` in global%s%s\n",
		text[0] ? "; the binds' addresses suggest:" : "", text);
	return EXIT_USAGE;
}

/* Thousands of checks each hold a socket; old kernels charge maps to the memory lock limit. */
static void raise_limits(void)
{
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct rlimit files;

	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		const struct rlimit wanted = { 65536, files.rlim_max > 65536 ? files.rlim_max : 65536 };

		if (setrlimit(RLIMIT_NOFILE, &wanted) < 0) {
			files.rlim_cur = files.rlim_max;
			setrlimit(RLIMIT_NOFILE, &files);
		}
	}
}

/* What the agent that steered had switched off for it. Without its state nobody knows. */
static void give_back_offloads(struct state *state)
{
	char error[STATE_ERROR_MAX];
	json_t *saved = NULL;

	if (state_load(state, &saved, error) == 0)
		vlan_give_back_saved(json_object_get(saved, "vlan_offloads"));
	json_decref(saved);
}

/* Stops the steering that goes on without an agent. An agent that runs holds the lock. */
static int unload(const struct agent_options *o)
{
	char error[STATE_ERROR_MAX], names[256];
	struct config_report report = {};
	struct model *m = NULL;
	struct state *state = NULL;
	unsigned count;
	int r;

	if (o->file_count && config_load(o->files, o->file_count, &m, &report) < 0)
		config_report_print(&report, stderr); /* the default state-dir has to do */
	r = state_open(m ? m->global.state_dir : NULL, o->name, &state, error);
	if (r == -EBUSY) {
		fprintf(stderr, "alwaysond: %s; `alwayson --name %s unload` tells it\n", error, o->name);
	} else {
		count = dataplane_left_behind(o->name, names, sizeof(names));
		dataplane_discard(o->name);
		if (count && r == 0)
			give_back_offloads(state);
		r = 0;
		if (count)
			printf("detached from %s; connections through this balancer end\n", names);
		else
			printf("nothing was attached\n");
	}
	state_close(state);
	model_free(m);
	config_report_done(&report);
	return r;
}

static int serve(const struct agent_options *o, struct model *m, struct config_report *report)
{
	struct agent a = { .options = o, .model = m, .report = *report };
	char error[AGENT_ERROR_MAX] = "";
	int r;

	memset(report, 0, sizeof(*report));
	signal(SIGPIPE, SIG_IGN);
	raise_limits();
	r = agent_start(&a, error);
	if (r < 0) {
		fprintf(stderr, "alwaysond: %s\n", error[0] ? error : strerror(-r));
		a.exit_code = EXIT_BAD;
	} else {
		event_base_dispatch(a.base);
	}
	agent_stop(&a);
	return a.exit_code;
}

int main(int argc, char **argv)
{
	struct agent_options o;
	struct config_report report = {};
	struct model *m = NULL;
	int r;

	restart_remember(argv);
	r = agent_options_parse(argc, argv, &o, stderr);
	if (r < 0)
		return EXIT_USAGE;
	if (o.help) {
		agent_options_help(stdout);
	} else if (o.version) {
		printf("alwaysond %s\n", alwayson_version);
	} else if (o.unload) {
		r = unload(&o) < 0 ? EXIT_BAD : 0;
	} else if (load(&o, &m, &report) < 0) {
		r = EXIT_BAD;
	} else if (o.check_only) {
		printf("the configuration is good\n");
	} else if (!o.interface_count && !m->global.interfaces.count) {
		r = complain_no_interface(m);
	} else {
		r = serve(&o, m, &report);
		m = NULL;
	}
	model_free(m);
	config_report_done(&report);
	agent_options_done(&o);
	return r;
}
