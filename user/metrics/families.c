/* SPDX-License-Identifier: BSD-2-Clause */
/* The rows that need more than a number from a fixed place write their lines themselves, above the table. */
#include "metrics/families.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "dataplane/counters.h"

void family_begin(struct text *t, const struct family *f, const char *suffix, const struct named *of)
{
	text_puts(t, f->name);
	text_puts(t, suffix);
	if (of) {
		text_lit(t, "{");
		text_add(t, of->labels, of->labels_length);
	}
}

static void end_u64(struct text *t, uint64_t value)
{
	text_u64(t, value);
	text_lit(t, "\n");
}

/* ---- what describes a thing ---- */

static void info_line(struct text *t, const struct family *f, const char *labels)
{
	text_puts(t, f->name);
	text_lit(t, "_info{");
	text_puts(t, labels);
	text_lit(t, "} 1\n");
}

static void write_service_info(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	info_line(t, f, s->names->services[i].info);
}

static void write_backend_info(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	info_line(t, f, s->names->backends[i].info);
}

static void write_server_info(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	info_line(t, f, s->names->servers[i].info);
}

static void write_build(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	struct text labels = {};

	text_lit(&labels, "version=\"");
	text_label(&labels, s->agent.version);
	text_lit(&labels, "\",abi=\"");
	text_u64(&labels, ABI_VERSION);
	text_lit(&labels, "\",instance_name=\"");
	text_label(&labels, s->agent.name);
	text_lit(&labels, "\"");
	text_add(&labels, "", 1);
	if (labels.failed)
		t->failed = true;
	else
		info_line(t, f, labels.data);
	text_done(&labels);
}

/* ---- states: one line for each, 1 where it is the one ---- */

static void write_states(struct text *t, const struct family *f, const struct named *of, const char *const *states,
			 size_t count, size_t now)
{
	for (size_t i = 0; i < count; i++) {
		family_begin(t, f, "", of);
		text_lit(t, ",state=\"");
		text_puts(t, states[i]);
		text_lit(t, "\"} ");
		text_add(t, i == now ? "1\n" : "0\n", 2);
	}
}

static void write_server_state(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	write_states(t, f, &s->names->servers[i], snapshot_checks, array_size(snapshot_checks), s->servers[i].check);
}

static void write_server_admin(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	write_states(t, f, &s->names->servers[i], snapshot_admins, array_size(snapshot_admins), s->servers[i].admin);
}

static void write_service_up(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	family_begin(t, f, "", &s->names->services[i]);
	text_lit(t, "} ");
	end_u64(t, s->backends[s->names->service_backend[i]].accepting > 0);
}

static void write_backend_servers(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	family_begin(t, f, "", &s->names->backends[i]);
	text_lit(t, "} ");
	end_u64(t, s->names->first[i + 1] - s->names->first[i]);
}

/* ---- a server's numbers that may be unknown ---- */

static void write_server_duration(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	if (!s->servers[i].result[0])
		return;
	family_begin(t, f, "", &s->names->servers[i]);
	text_lit(t, "} ");
	text_decimal(t, s->servers[i].duration_us, 6);
	text_lit(t, "\n");
}

static void write_server_changed(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	if (!s->servers[i].changed_at_ms)
		return;
	family_begin(t, f, "", &s->names->servers[i]);
	text_lit(t, "} ");
	text_decimal(t, s->servers[i].changed_at_ms, 3);
	text_lit(t, "\n");
}

static void write_server_share(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	size_t backend = 0, high = s->names->backend_count;

	/* The last one whose first server is not behind this one. */
	while (high - backend > 1) {
		size_t middle = backend + (high - backend) / 2;

		if (s->names->first[middle] <= i)
			backend = middle;
		else
			high = middle;
	}
	if (!s->backends[backend].slots)
		return;
	family_begin(t, f, "", &s->names->servers[i]);
	text_lit(t, "} ");
	text_ratio(t, s->servers[i].slots, s->backends[backend].slots);
	text_lit(t, "\n");
}

static void server_ports(struct text *t, const struct family *f, const struct snapshot *s, size_t i, uint32_t value)
{
	if (!s->servers[i].ports)
		return;
	family_begin(t, f, "", &s->names->servers[i]);
	text_lit(t, "} ");
	end_u64(t, value);
}

static void write_server_ports(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	server_ports(t, f, s, i, s->servers[i].ports);
}

static void write_server_ports_used(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	server_ports(t, f, s, i, s->servers[i].ports_used);
}

/* ---- what a database is ---- */

static void write_server_role(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	static const char *const roles[] = { "primary", "replica", "cluster", "unknown" };

	for (size_t r = 0; s->servers[i].role && r < array_size(roles); r++) {
		family_begin(t, f, "", &s->names->servers[i]);
		text_lit(t, ",role=\"");
		text_puts(t, roles[r]);
		text_lit(t, "\"} ");
		end_u64(t, strcmp(s->servers[i].role, roles[r]) == 0);
	}
}

static void write_server_lag(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	if (!s->servers[i].lag_known)
		return;
	family_begin(t, f, "", &s->names->servers[i]);
	text_lit(t, "} ");
	text_decimal(t, s->servers[i].lag_ms, 3);
	text_lit(t, "\n");
}

static void backend_role(struct text *t, const struct family *f, const struct snapshot *s, size_t i, uint64_t value)
{
	if (!s->backends[i].has_roles)
		return;
	family_begin(t, f, "", &s->names->backends[i]);
	text_lit(t, "} ");
	end_u64(t, value);
}

static void write_backend_digest(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	if (!s->backends[i].slots)
		return;
	family_begin(t, f, "", &s->names->backends[i]);
	text_lit(t, "} ");
	end_u64(t, s->backends[i].digest);
}

static void write_backend_writers(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	backend_role(t, f, s, i, s->backends[i].writers);
}

static void write_backend_conflict(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	backend_role(t, f, s, i, s->backends[i].conflict);
}

/* ---- histograms ---- */

/* labels: of one backend, or NULL. */
static void write_histogram(struct text *t, const struct family *f, const struct named *of, const struct histogram *h)
{
	uint64_t below = 0;

	for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++) {
		below += i < HISTOGRAM_BUCKETS ? h->buckets[i] : h->count - below;
		family_begin(t, f, "_bucket", of);
		text_add(t, of ? ",le=\"" : "{le=\"", 5);
		if (i < HISTOGRAM_BUCKETS)
			text_decimal(t, histogram_bounds_us[i], 6);
		else
			text_lit(t, "+Inf");
		text_lit(t, "\"} ");
		end_u64(t, below);
	}
	family_begin(t, f, "_sum", of);
	text_puts(t, of ? "} " : " ");
	text_decimal(t, h->sum_us, 6);
	text_lit(t, "\n");
	family_begin(t, f, "_count", of);
	text_puts(t, of ? "} " : " ");
	end_u64(t, h->count);
}

static void write_checks(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	write_histogram(t, f, &s->names->backends[i], &s->backends[i].checks);
}

static void write_lateness(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	write_histogram(t, f, NULL, &s->agent.lateness);
}

/* ---- the program ---- */

static void write_verdicts(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (enum verdict v = VERDICT_CONTINUE + 1; v < VERDICT_MAX; v++) {
		const struct counter *c = &s->agent.verdicts[v];
		const char *action = verdict_action(v);

		family_begin(t, f, "_total", NULL);
		text_lit(t, "{reason=\"");
		text_puts(t, verdict_label(v));
		text_lit(t, "\",action=\"");
		/* Which of the two a packet took is not counted: both are "forward". */
		text_puts(t, strcmp(action, "tx/redirect") == 0 ? "forward" : action);
		text_lit(t, "\"} ");
		end_u64(t, strcmp(f->unit, "bytes") == 0 ? c->bytes : c->packets);
	}
}

static void write_events(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	static const char *const labels[EVENT_MAX] = {
#define X(name, label, text) [EVENT_##name] = label,
		EVENTS(X)
#undef X
	};

	for (enum lb_event e = 0; e < EVENT_MAX; e++) {
		family_begin(t, f, "_total", NULL);
		text_lit(t, "{reason=\"");
		text_puts(t, labels[e]);
		text_lit(t, "\"} ");
		end_u64(t, s->agent.events[e]);
	}
}

static void table_line(struct text *t, const struct family *f, const char *family, uint64_t value)
{
	family_begin(t, f, "", NULL);
	text_lit(t, "{family=\"");
	text_puts(t, family);
	text_lit(t, "\"} ");
	end_u64(t, value);
}

static void write_flows_used(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	table_line(t, f, "ipv4", s->agent.flows4.used);
	table_line(t, f, "ipv6", s->agent.flows6.used);
}

static void write_flows_capacity(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	table_line(t, f, "ipv4", s->agent.flows4.capacity);
	table_line(t, f, "ipv6", s->agent.flows6.capacity);
}

static void write_connections(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	table_line(t, f, "ipv4", s->agent.flows4.connections);
	table_line(t, f, "ipv6", s->agent.flows6.connections);
}

static void write_interfaces(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	static const char *const modes[] = { "native", "generic", "shared" };

	for (size_t n = 0; n < s->agent.interface_count; n++)
		for (size_t m = 0; m < array_size(modes); m++) {
			const struct snapshot_interface *in = &s->agent.interfaces[n];

			family_begin(t, f, "", NULL);
			text_lit(t, "{interface=\"");
			text_label(t, in->name);
			text_lit(t, "\",mode=\"");
			text_puts(t, modes[m]);
			text_lit(t, "\"} ");
			end_u64(t, in->attached && strcmp(in->mode, modes[m]) == 0);
		}
}

static void announced_begin(struct text *t, const struct family *f, const char *suffix, const struct snapshot_announced *a)
{
	family_begin(t, f, suffix, NULL);
	text_lit(t, "{address=\"");
	text_puts(t, a->address);
	text_lit(t, "\",interface=\"");
	text_label(t, a->interface);
	text_lit(t, "\"} ");
}

static void write_announced(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.announced.count; n++) {
		announced_begin(t, f, "", &s->agent.announced.items[n]);
		end_u64(t, s->agent.announced.items[n].up);
	}
}

static void write_announced_fit(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.announced.count; n++) {
		announced_begin(t, f, "", &s->agent.announced.items[n]);
		end_u64(t, s->agent.announced.items[n].fit);
	}
}

static void write_announced_needed(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.announced.count; n++) {
		announced_begin(t, f, "", &s->agent.announced.items[n]);
		end_u64(t, s->agent.announced.items[n].need);
	}
}

static void write_announced_changes(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.announced.count; n++) {
		announced_begin(t, f, "_total", &s->agent.announced.items[n]);
		end_u64(t, s->agent.announced.items[n].changes);
	}
}

static void write_reloads(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	family_begin(t, f, "_total", NULL);
	text_lit(t, "{result=\"ok\"} ");
	end_u64(t, s->agent.reloads - s->agent.reloads_failed);
	family_begin(t, f, "_total", NULL);
	text_lit(t, "{result=\"failed\"} ");
	end_u64(t, s->agent.reloads_failed);
}

static void write_reload_at(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	if (!s->agent.reload_at_ms)
		return;
	family_begin(t, f, "", NULL);
	text_lit(t, " ");
	text_decimal(t, s->agent.reload_at_ms, 3);
	text_lit(t, "\n");
}

/* ---- peers ---- */

static void peer_begin(struct text *t, const struct family *f, const char *suffix, const struct snapshot_peer *p)
{
	family_begin(t, f, suffix, NULL);
	text_lit(t, "{peer=\"");
	text_label(t, p->name);
	text_lit(t, "\"");
}

static void peer_lines(struct text *t, const struct family *f, const struct snapshot *s, size_t offset)
{
	for (size_t n = 0; n < s->agent.peers.count; n++) {
		const struct snapshot_peer *p = &s->agent.peers.items[n];

		peer_begin(t, f, "_total", p);
		text_lit(t, "} ");
		end_u64(t, *(const uint64_t *)((const char *)p + offset));
	}
}

static void peer_counters(struct text *t, const struct family *f, const struct snapshot_peer *p, const char *label,
			  const char *const *names, const uint64_t *values)
{
	for (size_t i = 0; names && names[i]; i++) {
		peer_begin(t, f, "_total", p);
		text_lit(t, ",");
		text_puts(t, label);
		text_lit(t, "=\"");
		text_puts(t, names[i]);
		text_lit(t, "\"} ");
		end_u64(t, values[i]);
	}
}

static void write_peer_up(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.peers.count; n++) {
		peer_begin(t, f, "", &s->agent.peers.items[n]);
		text_lit(t, "} ");
		end_u64(t, s->agent.peers.items[n].up);
	}
}

static void write_peer_copied(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.peers.count; n++) {
		peer_begin(t, f, "", &s->agent.peers.items[n]);
		text_lit(t, "} ");
		end_u64(t, s->agent.peers.items[n].copied);
	}
}

static void write_peer_heard(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.peers.count; n++) {
		if (!s->agent.peers.items[n].heard)
			continue;
		peer_begin(t, f, "", &s->agent.peers.items[n]);
		text_lit(t, "} ");
		text_decimal(t, s->agent.peers.items[n].heard_ms, 3);
		text_lit(t, "\n");
	}
}

#define PEER_COUNTER(name, member)                                                                                  \
	static void write_peer_##name(struct text *t, const struct family *f, const struct snapshot *s, size_t i)   \
	{                                                                                                           \
		peer_lines(t, f, s, offsetof(struct snapshot_peer, member));                                        \
	}

PEER_COUNTER(sent, sent)
PEER_COUNTER(received, received)
PEER_COUNTER(sent_bytes, sent_bytes)
PEER_COUNTER(received_bytes, received_bytes)
PEER_COUNTER(sent_records, sent_records)
PEER_COUNTER(send_failures, send_failures)
PEER_COUNTER(missing, missing)
PEER_COUNTER(copies, copies)

static void write_peer_records(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.peers.count; n++)
		peer_counters(t, f, &s->agent.peers.items[n], "result", s->agent.peer_results,
			      s->agent.peers.items[n].results);
}

static void write_peer_drops(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	for (size_t n = 0; n < s->agent.peers.count; n++)
		peer_counters(t, f, &s->agent.peers.items[n], "reason", s->agent.peer_drops, s->agent.peers.items[n].drops);
}

#define AT_AGENT(kind, member) FAMILY_AGENT, FAMILY_##kind, offsetof(struct snapshot_agent, member), NULL
#define AT_SERVICE(kind, member) FAMILY_SERVICE, FAMILY_##kind, offsetof(struct snapshot_service, member), NULL
#define AT_BACKEND(kind, member) FAMILY_BACKEND, FAMILY_##kind, offsetof(struct snapshot_backend, member), NULL
#define AT_SERVER(kind, member) FAMILY_SERVER, FAMILY_##kind, offsetof(struct snapshot_server, member), NULL
#define OWN(scope, writer) FAMILY_##scope, FAMILY_OWN, 0, write_##writer
#define COUNTER(name, unit, where, help) { "alwayson_" name, FAMILY_COUNTER, unit, where, help },
#define GAUGE(name, unit, where, help) { "alwayson_" name, FAMILY_GAUGE, unit, where, help },
#define HISTOGRAM(name, unit, where, help) { "alwayson_" name, FAMILY_HISTOGRAM, unit, where, help },
#define INFO(name, where, help) { "alwayson_" name, FAMILY_INFO, "", where, help },

const struct family families[] = {
	INFO("build", OWN(AGENT, build),
	     "What runs: version, number of the program's map layout, name of the instance.")
	GAUGE("ready", "", AT_AGENT(BOOL, ready), "1: the first round of checks is over and packets are steered.")
	GAUGE("start_time_seconds", "seconds", AT_AGENT(MS, started_at_ms), "When the agent started, since 1970.")

	INFO("service", OWN(SERVICE, service_info), "A service: one bind of a frontend, and the backend it leads to.")
	GAUGE("service_up", "", OWN(SERVICE, service_up), "1: a server of its backend takes new connections.")
	GAUGE("service_open_connections", "", AT_SERVICE(U32, connections), "Connections remembered now.")
	COUNTER("service_connections", "", AT_SERVICE(U64, traffic.connections), "New connections given to a server.")
	COUNTER("service_refused_connections", "", AT_SERVICE(U64, traffic.refused),
		"New connections that could not be served: no server, no port, no room.")
	COUNTER("service_received_bytes", "bytes", AT_SERVICE(U64, traffic.bytes_in), "From clients, as IP packets.")
	COUNTER("service_received_packets", "", AT_SERVICE(U64, traffic.packets_in), "From clients.")
	COUNTER("service_sent_bytes", "bytes", AT_SERVICE(U64, traffic.bytes_out),
		"Back to clients, as IP packets; nat only: with dsr they do not come by.")
	COUNTER("service_sent_packets", "", AT_SERVICE(U64, traffic.packets_out), "Back to clients; nat only.")

	INFO("backend", OWN(BACKEND, backend_info), "A backend: how it balances and how packets reach it.")
	GAUGE("backend_servers", "", OWN(BACKEND, backend_servers), "Servers that the configuration names.")
	GAUGE("backend_servers_up", "", AT_BACKEND(U32, up), "Servers that are up as checked, and not in maint.")
	GAUGE("backend_servers_accepting", "", AT_BACKEND(U32, accepting), "Servers that take new connections.")
	GAUGE("backend_servers_misplaced", "", AT_BACKEND(U32, misplaced),
	      "Servers that are well, but not what the backend wants: replicas where a primary is asked for.")
	GAUGE("backend_table_digest", "", OWN(BACKEND, backend_digest),
	      "Equal on all balancers that steer alike: who owns each slot, and the secret; absent: no table.")
	GAUGE("backend_writers", "", OWN(BACKEND, backend_writers),
	      "Servers that take writes; absent: the checks do not tell.")
	GAUGE("backend_writer_conflict", "", OWN(BACKEND, backend_conflict),
	      "1: more servers take writes than may; absent: the checks do not tell.")
	HISTOGRAM("backend_check_duration_seconds", "seconds", OWN(BACKEND, checks),
		  "How long the checks of its servers took, whatever they found.")

	INFO("server", OWN(SERVER, server_info), "A server and its address.")
	GAUGE("server_state", "", OWN(SERVER, server_state), "1 for the state that the checks have found.")
	GAUGE("server_admin_state", "", OWN(SERVER, server_admin), "1 for the state that the operator has set.")
	GAUGE("server_up", "", AT_SERVER(BOOL, up), "1: up as checked, and not in maint.")
	GAUGE("server_accepting", "", AT_SERVER(BOOL, accepts_new), "1: takes new connections.")
	GAUGE("server_held", "", AT_SERVER(BOOL, held), "1: down, but kept in service, as too few others are up.")
	GAUGE("server_damped", "", AT_SERVER(BOOL, damped), "1: kept down, as it went up and down too often.")
	GAUGE("server_check_via_vip", "", AT_SERVER(BOOL, check_via),
	      "1: its check goes to the service's address by way of it, as clients' packets do.")
	GAUGE("server_misplaced", "", AT_SERVER(BOOL, misplaced), "1: well, but not what its backend wants.")
	GAUGE("server_role", "", OWN(SERVER, server_role), "1 for what the server is; absent: the checks do not tell.")
	GAUGE("server_replication_lag_seconds", "seconds", OWN(SERVER, server_lag),
	      "How far it is behind its source; absent: not known, or not a replica.")
	GAUGE("server_backup", "", AT_SERVER(BOOL, backup), "1: takes connections only when no other server does.")
	GAUGE("server_weight", "", AT_SERVER(U16, weight), "The weight in force.")
	GAUGE("server_share_ratio", "ratio", OWN(SERVER, server_share), "Its share of the backend's new connections.")
	GAUGE("server_next_hop_resolved", "", AT_SERVER(BOOL, resolved), "1: the MAC address towards it is known.")
	GAUGE("server_state_changed_timestamp_seconds", "seconds", OWN(SERVER, server_changed),
	      "When its state or admin state last changed, since 1970; absent: never.")
	COUNTER("server_checks", "", AT_SERVER(U64, checks), "Checks that ended.")
	COUNTER("server_check_failures", "", AT_SERVER(U64, failures), "Checks that failed.")
	COUNTER("server_state_transitions", "", AT_SERVER(U64, transitions), "Changes between up and down by checks.")
	GAUGE("server_check_duration_seconds", "seconds", OWN(SERVER, server_duration),
	      "How long the last check took; absent: none yet.")
	GAUGE("server_open_connections", "", AT_SERVER(U32, connections), "Connections remembered now.")
	GAUGE("server_half_open_connections", "", AT_SERVER(U32, half_open),
	      "Connections that no client has confirmed yet.")
	COUNTER("server_connections", "", AT_SERVER(U64, traffic.connections), "New connections given to it.")
	COUNTER("server_received_bytes", "bytes", AT_SERVER(U64, traffic.bytes_in), "From clients, as IP packets.")
	COUNTER("server_received_packets", "", AT_SERVER(U64, traffic.packets_in), "From clients.")
	COUNTER("server_sent_bytes", "bytes", AT_SERVER(U64, traffic.bytes_out),
		"Back to clients, as IP packets; nat only.")
	COUNTER("server_sent_packets", "", AT_SERVER(U64, traffic.packets_out), "Back to clients; nat only.")
	GAUGE("server_nat_ports", "", OWN(SERVER, server_ports),
	      "Own address and port pairs towards it; absent: not nat.")
	GAUGE("server_nat_ports_used", "", OWN(SERVER, server_ports_used),
	      "Of those, in use by a connection or just closed.")

	COUNTER("packets", "", OWN(AGENT, verdicts),
		"What became of each packet: reason is the verdict, action pass, drop, tx or forward.")
	COUNTER("packet_bytes", "bytes", OWN(AGENT, verdicts), "The same in bytes of frames.")
	COUNTER("program_events", "", OWN(AGENT, events), "What the program met with that is no verdict.")
	GAUGE("program_verified_instructions", "", AT_AGENT(U32, verified_instructions),
	      "Instructions that the kernel's verifier looked at.")
	GAUGE("program_taken_over", "", AT_AGENT(BOOL, taken_over),
	      "1: the maps were found, with their flows, not made.")
	GAUGE("interface_attached", "", OWN(AGENT, interfaces), "1 for the mode in which the program runs on it.")
	COUNTER("interface_attach_failures", "", AT_AGENT(U64, attach_failures),
		"Times that an interface could not be attached; it is tried again with the next change.")

	GAUGE("announced", "", OWN(AGENT, announced), "1: the service address is on the interface; packets may come.")
	GAUGE("announced_servers_accepting", "", OWN(AGENT, announced_fit),
	      "Servers of its services that take new connections.")
	GAUGE("announced_servers_needed", "", OWN(AGENT, announced_needed), "With fewer of them it is withdrawn.")
	COUNTER("announced_changes", "", OWN(AGENT, announced_changes), "Times it came up or was withdrawn.")
	GAUGE("peer_up", "", OWN(AGENT, peer_up), "1: the peer is heard, and it hears us.")
	GAUGE("peer_copied", "", OWN(AGENT, peer_copied), "1: everything that it knew when last asked has come.")
	GAUGE("peer_heard_seconds", "seconds", OWN(AGENT, peer_heard), "Since it was last heard.")
	COUNTER("peer_records_sent", "", OWN(AGENT, peer_sent_records), "Records of connections that it was told.")
	COUNTER("peer_records_received", "", OWN(AGENT, peer_records), "Records that came of it, and what became of them.")
	COUNTER("peer_datagrams_sent", "", OWN(AGENT, peer_sent), "Datagrams to it.")
	COUNTER("peer_datagrams_received", "", OWN(AGENT, peer_received), "Datagrams from its address.")
	COUNTER("peer_datagrams_dropped", "", OWN(AGENT, peer_drops), "Those of them that were not taken, by reason.")
	COUNTER("peer_datagrams_missing", "", OWN(AGENT, peer_missing), "Those that a later one overtook: lost, or late.")
	COUNTER("peer_send_failures", "", OWN(AGENT, peer_send_failures), "Datagrams that the kernel refused to send.")
	COUNTER("peer_sent_bytes", "bytes", OWN(AGENT, peer_sent_bytes), "Their bytes, UDP payload, to it.")
	COUNTER("peer_received_bytes", "bytes", OWN(AGENT, peer_received_bytes), "Their bytes, UDP payload, from its address.")
	COUNTER("peer_copies", "", OWN(AGENT, peer_copies), "Full copies that came of it.")
	COUNTER("peer_strangers", "", AT_AGENT(U64, peer_strangers), "Datagrams at the peers' port from addresses that are no peer's.")
	GAUGE("withdrawn", "", AT_AGENT(BOOL, withdrawn), "1: the operator has taken this balancer out of service.")

	GAUGE("flow_table_entries", "", OWN(AGENT, flows_used), "Entries in use; a nat connection takes two.")
	GAUGE("flow_table_capacity", "", OWN(AGENT, flows_capacity), "Entries there is room for.")
	GAUGE("open_connections", "", OWN(AGENT, connections), "Connections remembered now.")
	COUNTER("flows_expired", "", AT_AGENT(U64, flows_expired), "Entries ended as their time was over.")
	COUNTER("connections_reset", "", AT_AGENT(U64, connections_reset),
		"Live connections ended: of servers whose sessions are shut down, and nat ones silent for too long.")
	COUNTER("sweep_passes", "", AT_AGENT(U64, sweep_passes), "Walks over the whole flow table.")

	COUNTER("config_reloads", "", OWN(AGENT, reloads), "Reloads asked for.")
	GAUGE("config_last_reload_successful", "", AT_AGENT(BOOL, reload_ok),
	      "0: the files hold errors; the old ones rule.")
	GAUGE("config_last_reload_timestamp_seconds", "seconds", OWN(AGENT, reload_at),
	      "When the last reload was tried, since 1970; absent: none since start.")

	HISTOGRAM("loop_lateness_seconds", "seconds", OWN(AGENT, lateness),
		  "How much later than due the agent's loop came to a timer that runs ten times a second.")
	COUNTER("inconclusive_checks", "", AT_AGENT(U64, inconclusive),
		"Checks that said nothing about their server: no descriptor, no memory, no local port.")
	COUNTER("netlink_overruns", "", AT_AGENT(U64, overruns),
		"Times the kernel told more about the network than could be read; all was read anew.")
	COUNTER("loop_stalls", "", AT_AGENT(U64, stalls),
		"Times the agent's loop stood still for half the watchdog's time, or longer.")
	COUNTER("log_dropped_lines", "", AT_AGENT(U64, log_dropped), "Log lines that nobody took in time.")
	COUNTER("log_suppressed_lines", "", AT_AGENT(U64, log_suppressed), "Log lines held back by the rate limit.")
	GAUGE("state_kept", "", AT_AGENT(BOOL, keeps_state),
	      "0: the state directory cannot be used; a restart forgets.")
	COUNTER("state_saves", "", AT_AGENT(U64, state_saves), "Times the state was written.")
	COUNTER("state_save_failures", "", AT_AGENT(U64, state_failures), "Times it could not be written.")
	COUNTER("process_cpu_seconds", "seconds", AT_AGENT(US64, cpu_us),
		"Processor time of the agent, not of the program.")
	GAUGE("process_resident_memory_bytes", "bytes", AT_AGENT(U64, resident_bytes), "Memory of the agent.")
	GAUGE("process_open_fds", "", AT_AGENT(U64, open_files),
	      "File descriptors in use; each check under way takes one.")
	GAUGE("process_max_fds", "", AT_AGENT(U64, max_files), "File descriptors there may be.")
	GAUGE("http_connections", "", AT_AGENT(U32, http_connections), "Connections to this port now.")
	COUNTER("http_requests", "", AT_AGENT(U64, http_requests), "Requests answered on this port.")
	COUNTER("http_refused_requests", "", AT_AGENT(U64, http_refused),
		"Requests refused: malformed, too large, too late.")
	COUNTER("http_evicted_connections", "", AT_AGENT(U64, http_evicted),
		"Connections closed to make room for others.")
};
const size_t family_count = array_size(families);
