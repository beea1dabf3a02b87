/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long the agent takes from a health event to the last slot that changes: the real reconciler on real maps, with one
 * backend of many servers, each of which goes and comes back in turn; among them some that stay down. No packet passes
 * but for those of this namespace's loopback; every server is one hop away. Called by tests/bench/run; writes JSON to standard output.
 */
#include <errno.h>
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/reconcile.h"
#include "base/cleanup.h"
#include "base/loop.h"
#include "config/config.h"

#include "../namespaces.h"

enum { EVENTS = 200 };

/* ---- the network: this file's own, instead of user/net ---- */

int net_watch(struct net *n, const struct addr *destination)
{
	return 0;
}

void net_unwatch(struct net *n, const struct addr *destination)
{
}

bool net_hop(const struct net *n, const struct addr *destination, struct net_hop *ret)
{
	*ret = (struct net_hop){
		.state = NET_HOP_RESOLVED, .ifindex = 1, .mtu = 1500, .source = { AF_INET, { 10, 0, 0, 254 } },
		.mac = { 2, 0, 0, 0, 0, destination->bytes[3] }, .own_mac = { 2, 0, 0, 0, 0, 1 },
	};
	return true;
}

void net_interfaces(const struct net *n, bool (*visit)(const struct net_interface *i, void *ctx), void *ctx)
{
}

const struct net_interface *net_interface_by_index(const struct net *n, unsigned ifindex)
{
	return NULL;
}

void net_addresses(const struct net *n, unsigned ifindex,
		   bool (*visit)(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx), void *ctx)
{
}

/* ---- */

struct stand {
	struct event_base *base;
	struct dataplane *dataplane;
	struct grace *grace;
	struct reconcile *reconcile;
	struct health *health;
	struct model *model;
};

static void die(const char *what)
{
	fprintf(stderr, "bench: agent: %s\n", what);
	exit(1);
}

static void on_error(const char *text, void *ctx)
{
	die(text);
}

static void on_change(const struct health_event *e, void *ctx)
{
}

static void nothing(void *ctx)
{
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static struct model *build_model(const char *balance, const char *forward, unsigned servers, unsigned weights)
{
	const size_t room = 256 + servers * 64;
	_cleanup_free_ char *text = calloc(1, room);
	struct config_report report = {};
	struct model *m = NULL;
	int n;

	if (!text)
		die("out of memory");
	n = snprintf(text, room, "defaults\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n"
				 "frontend f\n bind 192.0.2.10:80\n default_backend b\n"
				 "backend b\n forward %s\n balance %s\n", forward, balance);
	for (unsigned i = 0; i < servers; i++)
		n += snprintf(text + n, room - n, " server s%u 10.0.%u.%u:80 weight %u\n", i, 1 + i / 250, 1 + i % 250,
			      1 + i % weights);
	if (config_load_text("bench", text, n, &m, &report) < 0) {
		config_report_print(&report, stderr);
		die("the configuration is bad");
	}
	config_report_done(&report);
	return m;
}

static void open_stand(struct stand *s, const char *balance, const char *forward, unsigned servers, unsigned weights)
{
	const struct reconcile_ops reconcile = { .on_error = on_error };
	const struct health_ops health = { .on_change = on_change, .on_first_round = nothing };
	const struct hash_key secret = { { 1, 2 } };
	char name[64], error[DATAPLANE_ERROR_MAX];
	const struct dataplane_options options = { .name = name, .slots = 1 << 20, .buckets4 = 1024, .buckets6 = 1024,
						   .fresh = true };

	snprintf(name, sizeof(name), "bench-agent-%d", (int)getpid());
	s->base = loop_new();
	s->health = health_new(s->base, &health);
	s->model = build_model(balance, forward, servers, weights);
	if (dataplane_open(&options, &s->dataplane, error) < 0 ||
	    dataplane_attach(s->dataplane, 1, "lo", MODEL_XDP_GENERIC, error) < 0)
		die(error);
	if (grace_new(s->base, &s->grace) < 0 ||
	    reconcile_new(s->dataplane, s->grace, NULL, &reconcile, &s->reconcile) < 0 ||
	    reconcile_set_model(s->reconcile, s->model, &secret, error) < 0 ||
	    health_configure(s->health, s->model) < 0)
		die("cannot set up the agent's parts");
	reconcile_run(s->reconcile, s->health);
	while (!reconcile_is_settled(s->reconcile))
		event_base_loop(s->base, EVLOOP_ONCE);
}

static void close_stand(struct stand *s)
{
	reconcile_free(s->reconcile);
	grace_free(s->grace);
	dataplane_close(s->dataplane, false);
	health_free(s->health);
	model_free(s->model);
	event_base_free(s->base);
}

static int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* One server's state changes, and the maps are made true: what the agent does in the turn of the loop that follows. */
static double change(struct stand *s, unsigned server, enum health_admin_state state)
{
	char path[32];
	double began;

	snprintf(path, sizeof(path), "b/s%u", server);
	event_base_loop(s->base, EVLOOP_NONBLOCK);
	began = now_us();
	if (health_set_admin(s->health, path, state) < 0)
		die("no such server");
	reconcile_run(s->reconcile, s->health);
	return now_us() - began;
}

/* Slots that a server has, of those that the program reads. */
static uint32_t count_slots(const struct stand *s, unsigned server)
{
	const struct dataplane_maps *m = dataplane_maps(s->dataplane);
	const uint32_t id = reconcile_server_id(s->reconcile, 0, server);
	const uint64_t region = m->services[(m->control->word & CONTROL_HALF) * MAX_SERVICES +
					    reconcile_service_id(s->reconcile, 0)].slots;
	uint32_t n = 0;

	for (uint32_t i = 0; i < (uint32_t)region; i++)
		n += SLOT_CURRENT(m->slots[(region >> 32) + i]) == id;
	return n;
}

/* weights: servers have 1, 2, ... of it in turn. */
static json_t *measure(const char *balance, const char *forward, unsigned servers, unsigned down, unsigned weights)
{
	struct stand s = {};
	static double us[EVENTS];
	json_t *row;

	open_stand(&s, balance, forward, servers, weights);
	for (unsigned i = 0; i < down; i++)
		change(&s, servers - 1 - i, HEALTH_MAINT);
	for (unsigned n = 0; n < EVENTS; n += 2) {
		const unsigned server = n * 7919 % (servers - down);

		us[n] = change(&s, server, HEALTH_MAINT);
		if (count_slots(&s, server) != 0)
			die("a server in maintenance has slots");
		us[n + 1] = change(&s, server, HEALTH_READY);
		if (count_slots(&s, server) == 0)
			die("a server that is back has no slots");
	}
	qsort(us, EVENTS, sizeof(*us), compare_doubles);
	row = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i}", "balance", balance, "forward", forward, "servers",
			(int)servers, "down", (int)down, "weights", (int)weights, "median_us", (int)us[EVENTS / 2], "p99_us",
			(int)us[EVENTS * 99 / 100], "events", EVENTS);
	close_stand(&s);
	return row;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *balance, *forward;
		unsigned servers, down, weights;
	} cases[] = {
		{ "roundrobin", "nat", 1000, 0, 1 }, { "maglev", "dsr", 10, 0, 1 },     { "maglev", "dsr", 100, 0, 1 },
		{ "maglev", "dsr", 1000, 0, 1 },     { "maglev", "dsr", 1000, 100, 1 }, { "maglev", "dsr", 1000, 0, 4 },
	};
	json_t *rows = json_array();

	if (argc > 1) {
		printf("usage: agent\n\nFrom a health event to the last changed slot, as JSON. Needs root.\n");
		return strcmp(argv[1], "--help") ? 2 : 0;
	}
	if (namespaces_enter() < 0)
		die("cannot make namespaces: run as root");
	for (size_t i = 0; i < array_size(cases); i++)
		json_array_append_new(rows, measure(cases[i].balance, cases[i].forward, cases[i].servers,
						    cases[i].down, cases[i].weights));
	if (json_dumpf(rows, stdout, JSON_INDENT(1)) < 0 || puts("") < 0)
		die("cannot write the figures");
	json_decref(rows);
	return 0;
}
