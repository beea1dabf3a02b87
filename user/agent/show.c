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
#include "dataplane/counters.h"
#include "dataplane/flows.h"

enum { FLOWS_DEFAULT = 1000, FLOWS_MAX = 1000000, FLOWS_SLICE = 4096 /* buckets looked at in one turn */ };

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

	return json_pack("{s:s, s:I, s:s, s:I}", "name", i->name, "ifindex", (json_int_t)(n ? n->ifindex : 0), "mode",
			 at ? at->native ? "native" : "generic" : "detached", "attached_since_ms",
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
	const double share = reconcile_slots_share(a->reconcile, backend, server);
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
	json_object_set_new(j, "slots_share", share < 0 ? json_null() : json_real(share));
	return j;
}

void verb_show_servers(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	json_t *all = json_array(), *one;
	bool found = !argc;
	size_t backend, server;

	if (argc && strchr(argv[0], '/')) {
		found = agent_find_server(a, argv[0], &backend, &server);
		if (found) {
			one = show_server(a, backend, server);
			json_object_set_new(one, "history", show_server_history(a, backend, server));
			json_array_append_new(all, one);
		}
	} else {
		for (size_t b = 0; b < a->model->backends.count; b++) {
			const struct model_backend *m = &a->model->backends.items[b];

			if (argc && strcmp(m->name, argv[0]))
				continue;
			found = true;
			for (size_t s = 0; s < m->servers.count; s++)
				json_array_append_new(all, show_server(a, b, s));
		}
	}
	if (found) {
		control_reply(r, json_pack("{s:o}", "servers", all));
	} else {
		json_decref(all);
		control_fail(r, CONTROL_FAILED, "there is no %s %s", strchr(argv[0], '/') ? "server" : "backend",
			     argv[0]);
	}
}

/* ---- services ---- */

static size_t count_up(struct agent *a, size_t backend, bool *ret_accepts)
{
	size_t up = 0;

	*ret_accepts = false;
	for (size_t s = 0; s < a->model->backends.items[backend].servers.count; s++) {
		struct health_view v;

		health_view(a->health, backend, s, &v);
		up += v.up;
		*ret_accepts |= v.accepts_new;
	}
	return up;
}

static json_t *service_json(struct agent *a, size_t index)
{
	const struct model_service *s = &a->model->services.items[index];
	const struct model_backend *b = &a->model->backends.items[s->backend];
	char address[ADDR_TEXT_MAX], ports[16];
	bool accepts;
	size_t up = count_up(a, s->backend, &accepts);
	json_t *j;

	addr_format(&s->addr, address);
	snprintf(ports, sizeof(ports), s->port_low == s->port_high ? "%u" : "%u-%u", s->port_low, s->port_high);
	j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "name", s->name, "frontend", s->frontend,
		      "backend", b->name, "protocol", model_protocol_name(s->protocol), "address",
		      !s->any_addr ? address : s->addr.family == AF_INET6 ? "::" : "*", "ports", ports, "state",
		      accepts ? "up" : "down", "servers_up", (json_int_t)up, "servers_total",
		      (json_int_t)b->servers.count, "connections",
		      (json_int_t)sweep_service_connections(a->sweep, index));
	set_traffic(j, counters_service(dataplane_maps(a->dataplane), reconcile_service_id(a->reconcile, index)));
	json_object_set_new(j, "refused_total",
			    json_integer(counters_service(dataplane_maps(a->dataplane),
							  reconcile_service_id(a->reconcile, index)).refused));
	return j;
}

void verb_show_services(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	json_t *all = json_array();

	for (size_t i = 0; i < a->model->services.count; i++)
		json_array_append_new(all, service_json(a, i));
	control_reply(r, json_pack("{s:o}", "services", all));
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
	json_t *interfaces = json_array();

	for (size_t i = 0; i < a->interfaces.count; i++)
		if (a->interfaces.items[i].wanted)
			json_array_append_new(interfaces, interface_head(a, &a->interfaces.items[i]));
	for (size_t i = 0; i < a->model->services.count; i++) {
		bool accepts;

		count_up(a, a->model->services.items[i].backend, &accepts);
		services_up += accepts;
	}
	for (size_t b = 0; b < a->model->backends.count; b++) {
		bool accepts;

		servers_up += count_up(a, b, &accepts);
		servers += a->model->backends.items[b].servers.count;
	}
	control_reply(r, json_pack("{s:s, s:i, s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:{s:I, s:I}, s:{s:I, s:I}, s:o, s:o}",
				   "version", ALWAYSON_VERSION, "protocol", CONTROL_PROTOCOL, "name",
				   a->options->name, "pid", (json_int_t)getpid(), "uptime_ms",
				   (json_int_t)(agent_monotonic_ms() - a->started_ms), "ready", a->running, "files",
				   files_json(a), "last_reload", reload_json(a), "interfaces", interfaces, "services",
				   "total", (json_int_t)a->model->services.count, "up", (json_int_t)services_up,
				   "servers", "total", (json_int_t)servers, "up", (json_int_t)servers_up, "flows",
				   flows_json(a), "notices",
				   strings_json((const char *const *)a->notices.items, a->notices.count)));
}

/* ---- verdicts, config ---- */

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

void verb_show_config(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	json_t *j = (json_t *)model_to_json(a->model);

	if (j)
		json_object_set_new(j, "files", files_json(a));
	control_reply(r, j);
}

/* ---- flows ---- */

struct flow_walk {
	struct agent *agent;
	unsigned long left;
	bool v6;
	uint32_t bucket;
	unsigned way;
	uint16_t tick;
};

static const char *flow_state(const struct flow_view *f, const struct flow_view *reply)
{
	const uint8_t state = FLOW_STATE(f->value), back = reply ? FLOW_STATE(reply->value) : 0;

	if ((f->kind & ~FLOW_REPLY) == IPPROTO_UDP)
		return state & FLOW_PROVEN ? "answered" : "one_way";
	if ((state | back) & FLOW_RST || (reply ? state & back : state) & FLOW_FIN)
		return "closed";
	if ((state | back) & FLOW_FIN)
		return "closing";
	return state & FLOW_PROVEN ? "established" : "half_open";
}

static json_t *server_name(const struct agent *a, uint32_t id, const struct model_server **ret)
{
	size_t b, s;

	*ret = NULL;
	if (!reconcile_server_of(a->reconcile, id, &b, &s))
		return json_null();
	*ret = &a->model->backends.items[b].servers.items[s];
	return json_sprintf("%s/%s", a->model->backends.items[b].name, (*ret)->name);
}

static json_t *flow_json(const struct flow_walk *w, const struct flow_view *f)
{
	struct agent *a = w->agent;
	struct flow_view reply;
	const bool nat = f->from != 0, paired = nat && flows_find_other(dataplane_maps(a->dataplane), f, &reply);
	const size_t service = reconcile_service_of(a->reconcile, f->local, f->v6, f->local_port, f->kind);
	const struct endpoint client = { f->remote, f->remote_port }, to = { f->to, f->to_port };
	const struct endpoint own = { reconcile_address(a->reconcile, f->from, f->v6), f->from_port };
	char client_text[ENDPOINT_TEXT_MAX], to_text[ENDPOINT_TEXT_MAX], own_text[ENDPOINT_TEXT_MAX];
	uint16_t idle = w->tick - FLOW_TICK(f->value);
	const struct model_server *server;
	json_t *name = server_name(a, FLOW_SERVER(f->value), &server);

	if (paired && (uint16_t)(w->tick - FLOW_TICK(reply.value)) < idle)
		idle = w->tick - FLOW_TICK(reply.value);
	endpoint_format(nat ? &to : server ? &server->at : &to, to_text);
	return json_pack("{s:s, s:s, s:o, s:s, s:o, s:s, s:o, s:s, s:I}", "family", f->v6 ? "v6" : "v4", "protocol",
			 f->kind == IPPROTO_UDP ? "udp" : "tcp", "service",
			 service == SIZE_MAX ? json_null() : json_string(a->model->services.items[service].name),
			 "client", endpoint_format(&client, client_text), "server", name, "server_address", to_text,
			 "own", nat ? json_string(endpoint_format(&own, own_text)) : json_null(), "state",
			 flow_state(f, paired ? &reply : NULL), "idle_s",
			 (json_int_t)(dataplane_ms_from_ticks(a->dataplane, idle > INT16_MAX ? 0 : idle) / 1000));
}

static int next_flow(void *ctx, json_t **ret)
{
	struct flow_walk *w = ctx;
	const struct dataplane_maps *m = dataplane_maps(w->agent->dataplane);
	unsigned budget = FLOWS_SLICE;

	if (!w->left)
		return 0;
	for (; budget; w->way++) {
		struct flow_view f;

		if (w->way == FLOW_WAYS) {
			w->way = 0;
			w->bucket++;
			budget--;
		}
		if (w->bucket >= flows_buckets(m, w->v6)) {
			if (w->v6)
				return 0;
			w->v6 = true;
			w->bucket = 0;
		}
		if (!flows_read(m, w->v6, w->bucket, w->way, &f) || f.kind & FLOW_REPLY)
			continue;
		*ret = flow_json(w, &f);
		w->way++;
		w->left--;
		return *ret ? 1 : -ENOMEM;
	}
	return -EAGAIN;
}

void verb_show_flows(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const struct sweep_counts *c = sweep_counts(a->sweep);
	const unsigned long limit = argc ? strtoul(argv[0], NULL, 10) : FLOWS_DEFAULT;
	struct flow_walk *w;

	if (!limit || limit > FLOWS_MAX || (argc && strspn(argv[0], "0123456789") != strlen(argv[0]))) {
		control_fail(r, CONTROL_USAGE, "%s: a limit is a number from 1 to %d", argc ? argv[0] : "", FLOWS_MAX);
		return;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		control_fail(r, CONTROL_FAILED, "out of memory");
		return;
	}
	w->agent = a;
	w->left = limit;
	w->tick = dataplane_tick(a->dataplane);
	control_stream(r, json_pack("{s:I, s:I}", "total", (json_int_t)(c->connections4 + c->connections6), "limit",
				    (json_int_t)limit),
		       &(struct control_items){ "flows", next_flow, free, w });
}
