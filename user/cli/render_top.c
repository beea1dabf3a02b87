/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `alwayson top`, drawn: a sample with its rates as tables, of any height and width. Called by top.c, which cuts them
 * to the terminal.
 */
#include <errno.h>
#include <strings.h>

#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/units.h"

#define NUMBER "%" JSON_INTEGER_FORMAT

static enum tone tone_of_state(const char *state)
{
	if (strcasecmp(state, "up") == 0)
		return TONE_GOOD;
	return strcasecmp(state, "down") == 0 ? TONE_BAD : TONE_PLAIN;
}

static void rate_cell(struct table *t, enum tone tone, const json_t *of, const char *key)
{
	const json_t *rate = json_object_get(of, key);

	if (json_is_number(rate))
		table_cell(t, json_number_value(rate) > 0 ? tone : TONE_PLAIN, "%.0f", json_number_value(rate));
	else
		table_cell(t, TONE_PLAIN, "-");
}

static void bytes_cell(struct table *t, const json_t *of, const char *key)
{
	const json_t *rate = json_object_get(of, key);
	char text[UNITS_TEXT_MAX];

	if (json_is_number(rate))
		table_cell(t, TONE_PLAIN, "%s", units_bytes((uint64_t)json_number_value(rate), text));
	else
		table_cell(t, TONE_PLAIN, "-");
}

static void traffic_cells(struct table *t, const json_t *of)
{
	table_member(t, TONE_PLAIN, of, "connections");
	rate_cell(t, TONE_PLAIN, of, "connections_total_per_s");
	rate_cell(t, TONE_PLAIN, of, "packets_in_per_s");
	bytes_cell(t, of, "bytes_in_per_s");
	rate_cell(t, TONE_PLAIN, of, "packets_out_per_s");
	bytes_cell(t, of, "bytes_out_per_s");
}

static void print_head(const json_t *sample, const struct render *to)
{
	const json_t *status = json_object_get(sample, "status"), *services = json_object_get(status, "services");
	const json_t *servers = json_object_get(status, "servers"), *flows = json_object_get(status, "flows");
	char up[UNITS_TEXT_MAX];

	print_safe(to->out, field_text(status, "name"));
	fprintf(to->out, ", up %s; services " NUMBER " of " NUMBER ", ",
		units_duration((uint64_t)field_number(status, "uptime_ms"), up), field_number(services, "up"),
		field_number(services, "total"));
	fprintf(to->out, "servers " NUMBER " of " NUMBER " up; flows " NUMBER " of " NUMBER "\n",
		field_number(servers, "up"), field_number(servers, "total"), field_number(flows, "used"),
		field_number(flows, "capacity"));
}

static int finish(struct table *t, const struct render *to)
{
	int r = table_print(t, 0, to->colour, to->out);

	table_free(t);
	return r;
}

static int print_services(const json_t *sample, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "SERVICE", TABLE_LEFT }, { "STATE", TABLE_LEFT }, { "SERVERS", TABLE_RIGHT },
		{ "CONNS", TABLE_RIGHT }, { "NEW/s", TABLE_RIGHT }, { "PKT IN/s", TABLE_RIGHT },
		{ "IN/s", TABLE_RIGHT }, { "PKT OUT/s", TABLE_RIGHT }, { "OUT/s", TABLE_RIGHT },
		{ "REFUSED/s", TABLE_RIGHT },
	};
	struct table *t = table_new(columns, array_size(columns));
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(sample, "services"), i, s) {
		table_member(t, TONE_PLAIN, s, "name");
		table_member(t, tone_of_state(field_text(s, "state")), s, "state");
		table_cell(t, TONE_PLAIN, NUMBER "/" NUMBER, field_number(s, "servers_up"),
			   field_number(s, "servers_total"));
		traffic_cells(t, s);
		rate_cell(t, TONE_BAD, s, "refused_total_per_s");
	}
	return finish(t, to);
}

static int print_servers(const json_t *sample, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "SERVER", TABLE_LEFT }, { "STATE", TABLE_LEFT }, { "ADMIN", TABLE_LEFT }, { "SHARE", TABLE_RIGHT },
		{ "CONNS", TABLE_RIGHT }, { "NEW/s", TABLE_RIGHT }, { "PKT IN/s", TABLE_RIGHT },
		{ "IN/s", TABLE_RIGHT }, { "PKT OUT/s", TABLE_RIGHT }, { "OUT/s", TABLE_RIGHT },
		{ "LAST CHECK", TABLE_LEFT },
	};
	struct table *t = table_new(columns, array_size(columns));
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(sample, "servers"), i, s) {
		const json_t *share = json_object_get(s, "slots_share");

		table_cell(t, TONE_PLAIN, "%s/%s", field_text(s, "backend"), field_text(s, "server"));
		table_member(t, tone_of_state(field_text(s, "state")), s, "state");
		table_member(t, field_is(s, "admin", "ready") ? TONE_PLAIN : TONE_WARN, s, "admin");
		if (json_is_number(share))
			table_cell(t, TONE_PLAIN, "%.1f %%", json_number_value(share) * 100);
		else
			table_cell(t, TONE_PLAIN, "-");
		traffic_cells(t, s);
		table_member(t, TONE_PLAIN, s, "last_result");
	}
	return finish(t, to);
}

/* Reasons to drop that have ever been met. */
static int print_drops(const json_t *sample, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "DROPPED", TABLE_LEFT }, { "PKT/s", TABLE_RIGHT }, { "PACKETS", TABLE_RIGHT },
		{ "MEANING", TABLE_LEFT },
	};
	struct table *t = table_new(columns, array_size(columns));
	const json_t *v;
	bool any = false;
	size_t i;

	json_array_foreach(json_object_get(sample, "verdicts"), i, v) {
		if (!field_is(v, "action", "drop") || field_number(v, "packets") == 0)
			continue;
		any = true;
		table_member(t, TONE_PLAIN, v, "name");
		rate_cell(t, TONE_BAD, v, "packets_per_s");
		table_member(t, TONE_PLAIN, v, "packets");
		table_member(t, TONE_PLAIN, v, "help");
	}
	if (any)
		return finish(t, to);
	fputs("no packet has been dropped\n", to->out);
	table_free(t);
	return 0;
}

int render_top(const json_t *sample, const struct render *to)
{
	int r;

	print_head(sample, to);
	fputc('\n', to->out);
	r = print_services(sample, to);
	fputc('\n', to->out);
	if (r == 0)
		r = print_servers(sample, to);
	fputc('\n', to->out);
	return r < 0 ? r : print_drops(sample, to);
}
