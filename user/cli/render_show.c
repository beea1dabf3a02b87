/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lists: services, servers, flows, verdicts, interfaces. Called through the verb table.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/units.h"

/* Prints, frees, and says how it went; an empty list is a sentence. */
static int print_list(struct table *t, const json_t *list, const char *nothing, const struct render *to)
{
	int r;

	if (json_array_size(list) == 0) {
		fprintf(to->out, "%s\n", nothing);
		table_free(t);
		return 0;
	}
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	return r;
}

static enum tone tone_of_state(const char *state)
{
	if (strcasecmp(state, "up") == 0)
		return TONE_GOOD;
	if (strcasecmp(state, "down") == 0)
		return TONE_BAD;
	return TONE_PLAIN;
}

int render_services(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "SERVICE", TABLE_LEFT }, { "BIND", TABLE_LEFT }, { "BACKEND", TABLE_LEFT }, { "STATE", TABLE_LEFT },
		{ "SERVERS", TABLE_RIGHT }, { "CONNS", TABLE_RIGHT }, { "PACKETS IN", TABLE_RIGHT },
		{ "IN", TABLE_RIGHT }, { "PACKETS OUT", TABLE_RIGHT }, { "OUT", TABLE_RIGHT },
	};
	const json_t *list = json_object_get(reply, "services"), *s;
	struct table *t = table_new(columns, array_size(columns));
	size_t i;

	json_array_foreach(list, i, s) {
		bool v6 = strchr(field_text(s, "address"), ':');

		table_member(t, TONE_PLAIN, s, "name");
		table_cell(t, TONE_PLAIN, v6 ? "%s [%s]:%s" : "%s %s:%s", field_text(s, "protocol"),
			   field_text(s, "address"), field_text(s, "ports"));
		table_member(t, TONE_PLAIN, s, "backend");
		table_member(t, tone_of_state(field_text(s, "state")), s, "state");
		table_cell(t, TONE_PLAIN, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT,
			   field_number(s, "servers_up"), field_number(s, "servers_total"));
		table_member(t, TONE_PLAIN, s, "connections");
		table_member(t, TONE_PLAIN, s, "packets_in");
		table_bytes(t, s, "bytes_in");
		table_member(t, TONE_PLAIN, s, "packets_out");
		table_bytes(t, s, "bytes_out");
	}
	return print_list(t, list, "no services", to);
}

/* "drain (file: ready)": what was set at run time, beside what the file says. */
static void admin_cell(struct table *t, const json_t *s)
{
	enum tone tone = field_is(s, "admin", "ready") ? TONE_PLAIN : TONE_WARN;

	if (field_true(s, "admin_override"))
		table_cell(t, tone, "%s (file: %s)", field_text(s, "admin"), field_text(s, "admin_configured"));
	else
		table_member(t, tone, s, "admin");
}

static void weight_cell(struct table *t, const json_t *s)
{
	if (field_true(s, "weight_override"))
		table_cell(t, TONE_WARN, "%" JSON_INTEGER_FORMAT " (file: %" JSON_INTEGER_FORMAT ")",
			   field_number(s, "weight"), field_number(s, "weight_configured"));
	else
		table_member(t, TONE_PLAIN, s, "weight");
}

static void share_cell(struct table *t, const json_t *s)
{
	const json_t *share = json_object_get(s, "slots_share");

	if (json_is_number(share))
		table_cell(t, TONE_PLAIN, "%.1f %%", json_number_value(share) * 100);
	else
		table_cell(t, TONE_PLAIN, "-");
}

static void hop_cell(struct table *t, const json_t *s)
{
	const json_t *hop = json_object_get(s, "next_hop");

	if (field_is(hop, "state", "resolved"))
		table_cell(t, TONE_PLAIN, "%s %s", field_text(hop, "interface"), field_text(hop, "mac"));
	else
		table_member(t, field_is(hop, "state", "local") ? TONE_PLAIN : TONE_WARN, hop, "text");
}

static void row(struct table *t, const char *name)
{
	table_cell(t, TONE_PLAIN, "%s", name);
}

/* Why it is not simply what its last check says. */
static void health_rows(struct table *t, const json_t *s)
{
	const json_t *agent = json_object_get(s, "agent");

	if (field_true(s, "held"))
		row(t, "held"), table_cell(t, TONE_WARN, "down, but kept in service");
	if (field_true(s, "damped"))
		row(t, "damped"), table_cell(t, TONE_WARN, "kept down: it went up and down too often");
	if (json_is_string(json_object_get(s, "track")))
		row(t, "tracks"), table_member(t, TONE_PLAIN, s, "track");
	if (json_is_integer(json_object_get(s, "share_percent")) && field_number(s, "share_percent") < 100)
		row(t, "share of weight"), table_cell(t, TONE_WARN, "%" JSON_INTEGER_FORMAT " %%",
						      field_number(s, "share_percent"));
	if (!json_is_object(agent))
		return;
	row(t, "agent orders");
	table_cell(t, TONE_PLAIN, "%s, %s, %" JSON_INTEGER_FORMAT " %%", field_true(agent, "down") ? "down" : "up",
		   field_text(agent, "admin"), field_number(agent, "percent"));
	row(t, "agent said"), table_member(t, TONE_PLAIN, agent, "last_result");
}

int render_history(const json_t *list, json_int_t now_ms, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "CHANGED", TABLE_RIGHT }, { "FOR", TABLE_RIGHT }, { "TO", TABLE_LEFT }, { "ADMIN", TABLE_LEFT },
		{ "WHY", TABLE_LEFT },
	};
	struct table *t = table_new(columns, array_size(columns));
	const json_t *h;
	size_t i;
	int r;

	json_array_foreach(list, i, h) {
		table_age(t, h, "at_ms", now_ms);
		table_duration(t, h, "lasted_ms");
		table_cell(t, tone_of_state(field_text(h, "state")), "%s%s", field_text(h, "state"),
			   field_true(h, "held") ? " (held)" : "");
		table_member(t, TONE_PLAIN, h, "admin");
		table_member(t, TONE_PLAIN, h, "reason");
	}
	fputc('\n', to->out);
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	return r;
}

/* Everything about one server, a line each. */
static int render_one_server(const json_t *s, json_int_t now_ms, const struct render *to)
{
	static const struct table_column columns[] = { { NULL, TABLE_LEFT }, { NULL, TABLE_LEFT } };
	static const struct {
		const char *title, *key;
	} counters[] = {
		{ "checks", "checks" }, { "failed checks", "failures" }, { "transitions", "transitions" },
		{ "connections", "connections" }, { "packets in", "packets_in" }, { "packets out", "packets_out" },
	};
	struct table *t = table_new(columns, array_size(columns));
	int r;

	row(t, "server");
	table_cell(t, TONE_PLAIN, "%s/%s", field_text(s, "backend"), field_text(s, "server"));
	row(t, "address"), table_member(t, TONE_PLAIN, s, "address");
	row(t, "state"), table_member(t, tone_of_state(field_text(s, "state")), s, "state");
	row(t, "since"), table_age(t, s, "since_ms", now_ms);
	row(t, "admin"), admin_cell(t, s);
	row(t, "weight"), weight_cell(t, s);
	row(t, "backup"), table_member(t, TONE_PLAIN, s, "backup");
	row(t, "share of slots"), share_cell(t, s);
	row(t, "next hop"), hop_cell(t, s);
	health_rows(t, s);
	row(t, "last check"), table_member(t, TONE_PLAIN, s, "last_result");
	row(t, "it took"), table_duration(t, s, "last_duration_ms");
	for (size_t i = 0; i < array_size(counters); i++)
		row(t, counters[i].title), table_member(t, TONE_PLAIN, s, counters[i].key);
	row(t, "bytes in"), table_bytes(t, s, "bytes_in");
	row(t, "bytes out"), table_bytes(t, s, "bytes_out");
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	if (r == 0 && json_array_size(json_object_get(s, "history")))
		r = render_history(json_object_get(s, "history"), now_ms, to);
	return r;
}

int render_servers(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "SERVER", TABLE_LEFT }, { "ADDRESS", TABLE_LEFT }, { "STATE", TABLE_LEFT }, { "SINCE", TABLE_RIGHT },
		{ "ADMIN", TABLE_LEFT }, { "WEIGHT", TABLE_RIGHT }, { "SHARE", TABLE_RIGHT }, { "CONNS", TABLE_RIGHT },
		{ "IN", TABLE_RIGHT }, { "OUT", TABLE_RIGHT }, { "NEXT HOP", TABLE_LEFT }, { "LAST CHECK", TABLE_LEFT },
	};
	const json_t *list = json_object_get(reply, "servers"), *s;
	json_int_t now_ms = field_number(reply, "now_ms");
	struct table *t;
	size_t i;

	if (to->argc == 1 && strchr(to->argv[0], '/') && json_array_size(list) == 1)
		return render_one_server(json_array_get(list, 0), now_ms, to);
	t = table_new(columns, array_size(columns));
	json_array_foreach(list, i, s) {
		table_cell(t, TONE_PLAIN, "%s/%s%s", field_text(s, "backend"), field_text(s, "server"),
			   field_true(s, "backup") ? " (backup)" : "");
		table_member(t, TONE_PLAIN, s, "address");
		table_member(t, tone_of_state(field_text(s, "state")), s, "state");
		table_age(t, s, "since_ms", now_ms);
		admin_cell(t, s);
		weight_cell(t, s);
		share_cell(t, s);
		table_member(t, TONE_PLAIN, s, "connections");
		table_bytes(t, s, "bytes_in");
		table_bytes(t, s, "bytes_out");
		hop_cell(t, s);
		table_member(t, TONE_PLAIN, s, "last_result");
	}
	return print_list(t, list, "no servers", to);
}

int render_flows(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "PROTOCOL", TABLE_LEFT }, { "SERVICE", TABLE_LEFT }, { "CLIENT", TABLE_LEFT }, { "OWN", TABLE_LEFT },
		{ "SERVER", TABLE_LEFT }, { "STATE", TABLE_LEFT }, { "IDLE", TABLE_RIGHT },
	};
	const json_t *list = json_object_get(reply, "flows"), *f;
	struct table *t = table_new(columns, array_size(columns));
	char idle[UNITS_TEXT_MAX];
	size_t i;
	int r;

	json_array_foreach(list, i, f) {
		table_member(t, TONE_PLAIN, f, "protocol");
		table_member(t, TONE_PLAIN, f, "service");
		table_member(t, TONE_PLAIN, f, "client");
		table_member(t, TONE_PLAIN, f, "own");
		table_member(t, TONE_PLAIN, f, "server");
		table_member(t, TONE_PLAIN, f, "state");
		table_cell(t, TONE_PLAIN, "%s", units_duration((uint64_t)field_number(f, "idle_s") * 1000, idle));
	}
	r = print_list(t, list, "no live connections", to);
	if (r == 0 && field_number(reply, "total") > (json_int_t)json_array_size(list))
		fprintf(to->out, "%zu of %" JSON_INTEGER_FORMAT "; more with --limit N\n", json_array_size(list),
			field_number(reply, "total"));
	return r;
}

int render_verdicts(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "VERDICT", TABLE_LEFT }, { "ACTION", TABLE_LEFT }, { "PACKETS", TABLE_RIGHT },
		{ "BYTES", TABLE_RIGHT }, { "MEANING", TABLE_LEFT },
	};
	const json_t *list = json_object_get(reply, "verdicts"), *v;
	struct table *t = table_new(columns, array_size(columns));
	size_t i;

	json_array_foreach(list, i, v) {
		table_member(t, TONE_PLAIN, v, "name");
		table_member(t, TONE_PLAIN, v, "action");
		table_member(t, TONE_PLAIN, v, "packets");
		table_bytes(t, v, "bytes");
		table_member(t, TONE_PLAIN, v, "help");
	}
	return print_list(t, list, "no verdicts", to);
}

static void addresses_cell(struct table *t, const json_t *interface)
{
	const json_t *list = json_object_get(interface, "addresses"), *a;
	char text[512] = "";
	size_t i, used = 0;

	json_array_foreach(list, i, a) {
		int n = snprintf(text + used, sizeof(text) - used, "%s%s", used ? " " : "",
				 json_is_string(a) ? json_string_value(a) : "-");

		if ((size_t)n >= sizeof(text) - used) {
			strcpy(text + sizeof(text) - sizeof(" ..."), " ...");
			break;
		}
		used += n;
	}
	table_cell(t, TONE_PLAIN, "%s", *text ? text : "-");
}

int render_interfaces(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "INTERFACE", TABLE_LEFT }, { "INDEX", TABLE_RIGHT }, { "MODE", TABLE_LEFT }, { "LINK", TABLE_LEFT },
		{ "MTU", TABLE_RIGHT }, { "MAC", TABLE_LEFT }, { "SINCE", TABLE_RIGHT }, { "ADDRESSES", TABLE_LEFT },
	};
	const json_t *list = json_object_get(reply, "interfaces"), *n;
	struct table *t = table_new(columns, array_size(columns));
	size_t i;

	json_array_foreach(list, i, n) {
		bool up = field_true(n, "up");

		table_member(t, TONE_PLAIN, n, "name");
		table_member(t, TONE_PLAIN, n, "ifindex");
		if (json_is_integer(json_object_get(n, "priority")))
			table_cell(t, TONE_PLAIN, "%s %" JSON_INTEGER_FORMAT, field_text(n, "mode"), field_number(n, "priority"));
		else
			table_member(t, field_is(n, "mode", "detached") ? TONE_BAD : TONE_PLAIN, n, "mode");
		table_cell(t, up ? TONE_GOOD : TONE_BAD, "%s", up ? "up" : "down");
		table_member(t, TONE_PLAIN, n, "mtu");
		table_member(t, TONE_PLAIN, n, "mac");
		table_age(t, n, "attached_since_ms", field_number(reply, "now_ms"));
		addresses_cell(t, n);
	}
	return print_list(t, list, "packets are steered on no interface; `alwayson load IFACE` begins", to);
}

int render_announce(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "ADDRESS", TABLE_LEFT }, { "INTERFACE", TABLE_LEFT }, { "STATE", TABLE_LEFT }, { "FIT", TABLE_RIGHT },
		{ "NEED", TABLE_RIGHT }, { "SINCE", TABLE_RIGHT }, { "WHY", TABLE_LEFT },
	};
	const json_t *list = json_object_get(reply, "addresses"), *a;
	struct table *t = table_new(columns, array_size(columns));
	const json_int_t now = field_number(reply, "now_ms");
	char text[UNITS_TEXT_MAX];
	size_t i;

	json_array_foreach(list, i, a) {
		const json_int_t since = field_number(a, "since_ms");

		table_member(t, TONE_PLAIN, a, "address");
		table_member(t, TONE_PLAIN, a, "interface");
		table_member(t, tone_of_state(field_text(a, "state")), a, "state");
		table_member(t, TONE_PLAIN, a, "fit");
		table_member(t, TONE_PLAIN, a, "need");
		table_cell(t, TONE_PLAIN, "%s", since && now >= since ? units_duration(now - since, text) : "-");
		table_member(t, TONE_PLAIN, a, "why");
	}
	if (field_true(reply, "withdrawn"))
		fputs("withdrawn by the operator; `alwayson announce` ends that\n", to->out);
	return print_list(t, list, "no address is announced", to);
}

static json_int_t sum_of(const json_t *counters)
{
	json_int_t sum = 0;
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)counters, key, value)
		sum += json_integer_value(value);
	return sum;
}

int render_peers(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "PEER", TABLE_LEFT }, { "ADDRESS", TABLE_LEFT }, { "STATE", TABLE_LEFT }, { "COPY", TABLE_LEFT },
		{ "HEARD", TABLE_RIGHT }, { "TOLD", TABLE_RIGHT }, { "TAKEN", TABLE_RIGHT }, { "NOT TAKEN", TABLE_RIGHT },
		{ "MISSING", TABLE_RIGHT }, { "DROPPED", TABLE_RIGHT },
	};
	const json_t *list = json_object_get(reply, "peers"), *p;
	struct table *t = table_new(columns, array_size(columns));
	char text[UNITS_TEXT_MAX];
	size_t i;

	json_array_foreach(list, i, p) {
		const json_t *records = json_object_get(p, "records"), *heard = json_object_get(p, "heard_ms");
		const json_int_t taken = field_number(records, "inserted") + field_number(records, "updated");
		const bool up = field_true(p, "up");

		table_member(t, TONE_PLAIN, p, "name");
		table_member(t, TONE_PLAIN, p, "address");
		table_cell(t, up ? TONE_GOOD : TONE_BAD, "%s", up ? "up" : "down");
		table_cell(t, TONE_PLAIN, "%s", field_true(p, "copied") ? "whole" : "awaited");
		table_cell(t, TONE_PLAIN, "%s",
			   json_is_integer(heard) ? units_duration(json_integer_value(heard), text) : "never");
		table_member(t, TONE_PLAIN, p, "sent_records");
		table_cell(t, TONE_PLAIN, "%" JSON_INTEGER_FORMAT, taken);
		table_cell(t, TONE_PLAIN, "%" JSON_INTEGER_FORMAT, sum_of(records) - taken);
		table_member(t, TONE_PLAIN, p, "missing");
		table_cell(t, TONE_PLAIN, "%" JSON_INTEGER_FORMAT, sum_of(json_object_get(p, "dropped")));
	}
	return print_list(t, list, "there are no peers: the configuration has no peers section", to);
}

int render_withdraw(const json_t *reply, const struct render *to)
{
	fprintf(to->out, "%s%s\n", field_true(reply, "withdrawn") ? "withdrawn" : "announced, as the servers allow",
		field_true(reply, "changed") ? "" : ": nothing has changed");
	return 0;
}

int render_ready(const json_t *reply, const struct render *to)
{
	fprintf(to->out, "ready: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " services take connections\n",
		field_number(reply, "up"), field_number(reply, "services"));
	return 0;
}
