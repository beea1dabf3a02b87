/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's verbs that only show; docs/control.md is their contract. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/version.h"
#include "dataplane/counters.h"
#include "dataplane/flows.h"

static json_t *mac_json(const uint8_t mac[6])
{
	return json_sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void set_traffic(json_t *to, struct traffic t)
{
	json_object_set_new(to, "packets_in", json_integer(t.packets_in));
	json_object_set_new(to, "bytes_in", json_integer(t.bytes_in));
	json_object_set_new(to, "packets_out", json_integer(t.packets_out));
	json_object_set_new(to, "bytes_out", json_integer(t.bytes_out));
	json_object_set_new(to, "connections_total", json_integer(t.connections));
}

/* ---- interfaces ---- */

static const struct dataplane_attachment *attachment(struct agent *a, const char *name)
{
	const struct dataplane_attachment *all;
	size_t count = dataplane_attachments(a->dataplane, &all);

	for (size_t i = 0; i < count; i++)
		if (strcmp(all[i].name, name) == 0)
			return &all[i];
	return NULL;
}

static json_t *interface_head(struct agent *a, const struct agent_interface *i)
{
	const struct dataplane_attachment *at = attachment(a, i->name);
	const struct net_interface *n = interfaces_nic(a, i);

	return json_pack("{s:s, s:I, s:s, s:o, s:I}", "name", i->name, "ifindex", (json_int_t)(n ? n->ifindex : 0), "mode",
			 dataplane_mode_name(at), "priority",
			 at && at->priority_known ? json_integer(at->priority) : json_null(), "attached_since_ms",
			 (json_int_t)(at ? at->since_ms : 0));
}

static bool visit_address(const struct addr *addr, unsigned ifindex, unsigned prefix, void *ctx)
{
	char text[ADDR_TEXT_MAX];

	json_array_append_new(ctx, json_sprintf("%s/%u", addr_format(addr, text), prefix));
	return true;
}

json_t *show_interface(struct agent *a, const struct agent_interface *i)
{
	const struct net_interface *n = interfaces_nic(a, i);
	json_t *j = interface_head(a, i), *addresses = json_array();

	if (n)
		net_addresses(a->net, n->ifindex, visit_address, addresses);
	json_object_set_new(j, "up", json_boolean(n && n->up));
	json_object_set_new(j, "mtu", n ? json_integer(n->mtu) : json_null());
	json_object_set_new(j, "mac", n ? mac_json(n->mac) : json_null());
	json_object_set_new(j, "addresses", addresses);
	json_object_set_new(j, "configured", json_boolean(i->configured));
	return j;
}

void verb_show_interfaces(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	json_t *all = json_array();

	for (size_t i = 0; i < a->interfaces.count; i++)
		json_array_append_new(all, show_interface(a, &a->interfaces.items[i]));
	control_reply(r, json_pack("{s:o}", "interfaces", all));
}

/* ---- servers ---- */

static const char *const check_states[] = {
	[HEALTH_UNCHECKED] = "NO CHECK", [HEALTH_INIT] = "INIT", [HEALTH_UP] = "UP", [HEALTH_DOWN] = "DOWN",
};
static const char *const admin_states[] = {
	[HEALTH_READY] = "ready", [HEALTH_DRAIN] = "drain", [HEALTH_MAINT] = "maint",
};
static const char *const hop_states[] = {
	[NET_HOP_UNKNOWN] = "unknown", [NET_HOP_NO_ROUTE] = "no_route", [NET_HOP_UNRESOLVED] = "unresolved",
	[NET_HOP_LOCAL] = "local", [NET_HOP_RESOLVED] = "resolved", [NET_HOP_NO_NEIGHBOUR] = "no_neighbour",
};

static json_t *hop_json(struct agent *a, const struct addr *to)
{
	const struct net_interface *n;
	struct net_hop hop = {};
	const char *text;

	net_hop(a->net, to, &hop);
	n = hop.ifindex ? net_interface_by_index(a->net, hop.ifindex) : NULL;
	text = net_hop_text(&hop);
	if (hop.state == NET_HOP_RESOLVED && n && !attachment(a, n->name))
		text = "resolved, but by an interface that is not steered on: give it with -i or `alwayson load`";
	return json_pack("{s:s, s:s, s:o, s:o}", "state", hop_states[hop.state], "text", text, "interface",
			 n ? json_string(n->name) : json_null(), "mac",
			 hop.state == NET_HOP_RESOLVED ? mac_json(hop.mac) : json_null());
}

/* "192.0.2.10:80", the service's address that its check goes to; null: it goes to its own. */
static json_t *via_json(const struct model_server *s)
{
	const struct endpoint at = { .addr = s->via.service, .port = s->check_at.port };
	char text[ENDPOINT_TEXT_MAX];

	return s->via.service.family ? json_string(endpoint_format(&at, text)) : json_null();
}

json_t *show_server(struct agent *a, size_t backend, size_t server)
{
	const struct model_backend *b = &a->model->backends.items[backend];
	const struct model_server *s = &b->servers.items[server];
	const uint32_t id = reconcile_server_id(a->reconcile, backend, server);
	struct reconcile_shares shares;
	const bool shared = reconcile_shares(a->reconcile, backend, &shares);
	char text[ENDPOINT_TEXT_MAX];
	struct health_view v;
	json_t *j;

	health_view(a->health, backend, server, &v);
	j = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:b, s:s, s:I, s:I, s:b, s:b, s:I, s:I, s:I}", "backend", b->name,
		      "server", s->name, "address",
		      s->at.port ? endpoint_format(&s->at, text) : addr_format(&s->at.addr, text), "state",
		      check_states[v.check], "since_ms", (json_int_t)v.changed_at_ms, "admin", admin_states[v.admin],
		      "admin_override", v.admin_is_override, "admin_configured", s->disabled ? "maint" : "ready",
		      "weight", (json_int_t)v.weight, "weight_configured", (json_int_t)v.weight_configured,
		      "weight_override", v.weight_is_override, "backup", s->backup, "checks", (json_int_t)v.checks,
		      "failures", (json_int_t)v.failures, "transitions", (json_int_t)v.transitions);
	json_object_set_new(j, "last_result", v.last_result[0] ? control_string(v.last_result) : json_null());
	json_object_set_new(j, "check_via", via_json(s));
	json_object_set_new(j, "last_duration_ms",
			    v.last_result[0] ? json_integer(v.last_duration_ms) : json_null());
	show_server_health(&v, j);
	json_object_set_new(j, "next_hop", hop_json(a, &s->at.addr));
	json_object_set_new(j, "connections", json_integer(sweep_connections(a->sweep, id)));
	set_traffic(j, counters_server(dataplane_maps(a->dataplane), id));
	json_object_set_new(j, "slots_share",
			    shared ? json_real((double)shares.owned[server] / shares.slots) : json_null());
	return j;
}

/*
 * A walk over what the configuration names: thousands of objects, a piece of them in a turn of the loop. It ends where a
 * reload comes in between: half of an answer would be about another configuration.
 */
struct walk {
	struct agent *agent;
	const struct model *model;
	size_t backend, server, backends_end; /* next_server() */
	size_t service;                       /* next_service() */
	struct backend_up {
		bool is_known, accepts;
		size_t up;
	} *up;                                /* by backend */
};

static void walk_free(void *ctx)
{
	struct walk *w = ctx;

	free(w->up);
	free(w);
}

static struct walk *walk_new(struct agent *a)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->agent = a;
	w->model = a->model;
	w->backends_end = a->model->backends.count;
	w->up = calloc(a->model->backends.count + 1, sizeof(*w->up));
	if (!w->up) {
		walk_free(w);
		return NULL;
	}
	return w;
}

static void start_walk(struct control_request *r, struct walk *w, const char *name, int (*next)(void *, json_t **))
{
	if (w)
		control_stream(r, json_object(), &(struct control_items){ name, next, walk_free, w });
	else
		control_fail(r, CONTROL_FAILED, "out of memory");
}

static int next_server(void *ctx, json_t **ret)
{
	struct walk *w = ctx;
	const struct model *m = w->agent->model;

	if (m != w->model)
		return -ESTALE;
	while (w->backend < w->backends_end && w->server >= m->backends.items[w->backend].servers.count) {
		w->backend++;
		w->server = 0;
	}
	if (w->backend >= w->backends_end)
		return 0;
	*ret = show_server(w->agent, w->backend, w->server++);
	return *ret ? 1 : -ENOMEM;
}

void verb_show_servers(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	size_t backend, server;
	struct walk *w;
	json_t *one;

	if (argc && strchr(argv[0], '/')) {
		if (!agent_find_server(a, argv[0], &backend, &server)) {
			control_fail(r, CONTROL_FAILED, "there is no server %s", argv[0]);
			return;
		}
		one = show_server(a, backend, server);
		json_object_set_new(one, "history", show_server_history(a, backend, server));
		control_reply(r, json_pack("{s:[o]}", "servers", one));
		return;
	}
	for (backend = 0; argc && backend < a->model->backends.count; backend++)
		if (strcmp(a->model->backends.items[backend].name, argv[0]) == 0)
			break;
	if (argc && backend == a->model->backends.count) {
		control_fail(r, CONTROL_FAILED, "there is no backend %s", argv[0]);
		return;
	}
	w = walk_new(a);
	if (w && argc) {
		w->backend = backend;
		w->backends_end = backend + 1;
	}
	start_walk(r, w, "servers", next_server);
}

/* ---- services ---- */

/* Services share backends: the servers of each are counted once for a reply. */
static const struct backend_up *count_up(struct walk *w, size_t backend)
{
	struct backend_up *up = &w->up[backend];

	if (up->is_known)
		return up;
	up->is_known = true;
	for (size_t s = 0; s < w->model->backends.items[backend].servers.count; s++) {
		struct health_view v;

		health_view(w->agent->health, backend, s, &v);
		up->up += v.up;
		up->accepts |= v.accepts_new;
	}
	return up;
}

static json_t *service_json(struct walk *w, size_t index)
{
	struct agent *a = w->agent;
	const struct model_service *s = &a->model->services.items[index];
	const struct model_backend *b = &a->model->backends.items[s->backend];
	const struct backend_up *up = count_up(w, s->backend);
	char address[ADDR_TEXT_MAX], ports[16];
	json_t *j;

	addr_format(&s->addr, address);
	snprintf(ports, sizeof(ports), s->port_low == s->port_high ? "%u" : "%u-%u", s->port_low, s->port_high);
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "name", s->name, "frontend", s->frontend,
		      "backend", b->name, "protocol", model_protocol_name(s->protocol), "address",
		      !s->any_addr ? address : s->addr.family == AF_INET6 ? "::" : "*", "ports", ports, "state",
		      up->accepts ? "up" : "down", "servers_up", (json_int_t)up->up, "servers_total",
		      (json_int_t)b->servers.count, "connections",
		      (json_int_t)sweep_service_connections(a->sweep, index));
	set_traffic(j, counters_service(dataplane_maps(a->dataplane), reconcile_service_id(a->reconcile, index)));
	json_object_set_new(j, "refused_total",
			    json_integer(counters_service(dataplane_maps(a->dataplane),
							  reconcile_service_id(a->reconcile, index)).refused));
	return j;
}

static int next_service(void *ctx, json_t **ret)
{
	struct walk *w = ctx;

	if (w->agent->model != w->model)
		return -ESTALE;
	if (w->service >= w->model->services.count)
		return 0;
	*ret = service_json(w, w->service++);
	return *ret ? 1 : -ENOMEM;
}

void verb_show_services(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	start_walk(r, walk_new(ctx), "services", next_service);
}

/* ---- status ---- */

static json_t *strings_json(const char *const *strings, size_t count)
{
	json_t *all = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(all, control_string(strings[i]));
	return all;
}

static json_t *files_json(const struct agent *a)
{
	return strings_json((const char *const *)a->model->files.items, a->model->files.count);
}

static json_t *reload_json(const struct agent *a)
{
	const struct agent_reload *l = &a->last_reload;

	if (!l->at_ms)
		return json_null();
	return json_pack("{s:I, s:b, s:o}", "at_ms", (json_int_t)l->at_ms, "ok", l->ok, "error",
			 l->ok ? json_null() : control_string(l->error));
}

static json_t *room_json(uint64_t used, uint64_t capacity)
{
	return json_pack("{s:I, s:I}", "used", (json_int_t)used, "capacity", (json_int_t)capacity);
}

static json_t *flows_json(struct agent *a)
{
	const struct dataplane_maps *m = dataplane_maps(a->dataplane);
	const struct sweep_counts *c = sweep_counts(a->sweep);
	const uint64_t room4 = (uint64_t)m->bucket4_count * FLOW_WAYS, room6 = (uint64_t)m->bucket6_count * FLOW_WAYS;
	json_t *j = room_json(c->used4 + c->used6, room4 + room6);

	json_object_set_new(j, "connections", json_integer(c->connections4 + c->connections6));
	json_object_set_new(j, "reset", json_integer(c->reset));
	json_object_set_new(j, "v4", room_json(c->used4, room4));
	json_object_set_new(j, "v6", room_json(c->used6, room6));
	return j;
}

void verb_status(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	size_t services_up = 0, servers_up = 0, servers = 0;
	struct walk *w = walk_new(a);
	json_t *interfaces;

	if (!w) {
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	interfaces = json_array();
	for (size_t i = 0; i < a->interfaces.count; i++)
		if (a->interfaces.items[i].wanted)
			json_array_append_new(interfaces, interface_head(a, &a->interfaces.items[i]));
	for (size_t i = 0; i < a->model->services.count; i++)
		services_up += count_up(w, a->model->services.items[i].backend)->accepts;
	for (size_t b = 0; b < a->model->backends.count; b++) {
		servers_up += count_up(w, b)->up;
		servers += a->model->backends.items[b].servers.count;
	}
	walk_free(w);
	control_reply(r, json_pack("{s:s, s:i, s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:{s:I, s:I}, s:{s:I, s:I}, s:o, s:o}",
				   "version", alwayson_version, "protocol", CONTROL_PROTOCOL, "name",
				   a->options->name, "pid", (json_int_t)getpid(), "uptime_ms",
				   (json_int_t)(agent_monotonic_ms() - a->started_ms), "ready", a->running, "files",
				   files_json(a), "last_reload", reload_json(a), "interfaces", interfaces, "services",
				   "total", (json_int_t)a->model->services.count, "up", (json_int_t)services_up,
				   "servers", "total", (json_int_t)servers, "up", (json_int_t)servers_up, "flows",
				   flows_json(a), "notices",
				   strings_json((const char *const *)a->notices.items, a->notices.count)));
}

/* ---- verdicts ---- */

void verb_show_verdicts(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	json_t *all = json_array();

	for (enum verdict v = VERDICT_CONTINUE + 1; v < VERDICT_MAX; v++) {
		struct counter c = counters_verdict(dataplane_maps(a->dataplane), v);

		json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", verdict_label(v), "action",
						     verdict_action(v), "help", verdict_text(v), "packets",
						     (json_int_t)c.packets, "bytes", (json_int_t)c.bytes));
	}
	control_reply(r, json_pack("{s:o}", "verdicts", all));
}
