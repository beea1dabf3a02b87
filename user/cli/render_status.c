/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's condition, and the answers of the verbs that change something. Called through the verb table.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "base/version.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/units.h"

#define NUMBER "%" JSON_INTEGER_FORMAT

static const struct table_column pair[] = { { NULL, TABLE_LEFT }, { NULL, TABLE_LEFT } };

static void files_rows(struct table *t, const json_t *reply)
{
	const json_t *files = json_object_get(reply, "files"), *f;
	size_t i;

	json_array_foreach(files, i, f) {
		table_cell(t, TONE_PLAIN, "%s", i ? "" : "configuration");
		table_cell(t, TONE_PLAIN, "%s", json_is_string(f) ? json_string_value(f) : "-");
	}
}

static void reload_row(struct table *t, const json_t *reply, json_int_t now_ms)
{
	const json_t *last = json_object_get(reply, "last_reload");
	json_int_t at = field_number(last, "at_ms");
	char ago[UNITS_TEXT_MAX];

	table_cell(t, TONE_PLAIN, "last reload");
	if (!json_is_object(last)) {
		table_cell(t, TONE_PLAIN, "none since start");
		return;
	}
	units_duration(at < now_ms ? now_ms - at : 0, ago);
	if (field_true(last, "ok"))
		table_cell(t, TONE_PLAIN, "%s ago", ago);
	else
		table_cell(t, TONE_BAD, "%s ago FAILED, the configuration before it is in force: %s", ago,
			   field_text(last, "error"));
}

static void interfaces_rows(struct table *t, const json_t *reply, json_int_t now_ms)
{
	const json_t *list = json_object_get(reply, "interfaces"), *n;
	char since[UNITS_TEXT_MAX];
	size_t i;

	if (json_array_size(list) == 0) {
		table_cell(t, TONE_PLAIN, "interfaces");
		table_cell(t, TONE_BAD, "none: no packet is steered");
	}
	json_array_foreach(list, i, n) {
		json_int_t at = field_number(n, "attached_since_ms");
		bool detached = field_is(n, "mode", "detached");

		table_cell(t, TONE_PLAIN, "%s", i ? "" : "interfaces");
		if (detached)
			table_cell(t, TONE_BAD, "%s detached: no packet is steered there", field_text(n, "name"));
		else
			table_cell(t, TONE_PLAIN, "%s %s, for %s", field_text(n, "name"), field_text(n, "mode"),
				   units_duration(at < now_ms ? now_ms - at : 0, since));
	}
}

static void up_row(struct table *t, const char *title, const json_t *counts)
{
	json_int_t up = field_number(counts, "up"), total = field_number(counts, "total");

	table_cell(t, TONE_PLAIN, "%s", title);
	table_cell(t, up == total ? TONE_GOOD : up ? TONE_WARN : TONE_BAD, NUMBER " of " NUMBER " up", up, total);
}

static void flows_row(struct table *t, const json_t *flows)
{
	const json_t *v4 = json_object_get(flows, "v4"), *v6 = json_object_get(flows, "v6");
	json_int_t used = field_number(flows, "used"), capacity = field_number(flows, "capacity");

	table_cell(t, TONE_PLAIN, "flows");
	table_cell(t, capacity && used >= capacity / 10 * 9 ? TONE_WARN : TONE_PLAIN,
		   NUMBER " of " NUMBER " (v4 " NUMBER " of " NUMBER ", v6 " NUMBER " of " NUMBER ")", used, capacity,
		   field_number(v4, "used"), field_number(v4, "capacity"), field_number(v6, "used"),
		   field_number(v6, "capacity"));
}

static void notices_rows(struct table *t, const json_t *reply)
{
	const json_t *notices = json_object_get(reply, "notices"), *n;
	size_t i;

	json_array_foreach(notices, i, n) {
		table_cell(t, TONE_PLAIN, "%s", i ? "" : "notices");
		table_cell(t, TONE_PLAIN, "%s", json_is_string(n) ? json_string_value(n) : "-");
	}
}

int render_status(const json_t *reply, const struct render *to)
{
	json_int_t now_ms = field_number(reply, "now_ms");
	struct table *t = table_new(pair, array_size(pair));
	char up[UNITS_TEXT_MAX];
	int r;

	table_cell(t, TONE_PLAIN, "agent");
	table_cell(t, TONE_PLAIN, "%s, instance %s, pid " NUMBER ", up %s", field_text(reply, "version"),
		   field_text(reply, "name"), field_number(reply, "pid"),
		   units_duration(field_number(reply, "uptime_ms"), up));
	files_rows(t, reply);
	reload_row(t, reply, now_ms);
	interfaces_rows(t, reply, now_ms);
	up_row(t, "services", json_object_get(reply, "services"));
	up_row(t, "servers", json_object_get(reply, "servers"));
	flows_row(t, json_object_get(reply, "flows"));
	notices_rows(t, reply);
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	return r;
}

int render_server(const json_t *reply, const struct render *to)
{
	const json_t *s = json_object_get(reply, "server");

	fputs(field_true(reply, "changed") ? "" : "already so: ", to->out);
	print_safe(to->out, field_text(s, "backend"));
	fputc('/', to->out);
	print_safe(to->out, field_text(s, "server"));
	fputs(": ", to->out);
	print_safe(to->out, field_text(s, "admin"));
	fputs(", ", to->out);
	print_safe(to->out, field_text(s, "state"));
	fprintf(to->out, ", weight " NUMBER ", connections " NUMBER "\n", field_number(s, "weight"),
		field_number(s, "connections"));
	return 0;
}

int render_drained(const json_t *reply, const struct render *to)
{
	char waited[UNITS_TEXT_MAX];

	print_safe(to->out, field_text(reply, "server"));
	fprintf(to->out, ": drained after %s\n", units_duration(field_number(reply, "waited_ms"), waited));
	return 0;
}

void render_messages(const json_t *reply, FILE *to)
{
	const json_t *messages = json_object_get(reply, "messages"), *m;
	size_t i;

	json_array_foreach(messages, i, m) {
		print_safe(to, field_text(m, "file"));
		if (field_number(m, "line"))
			fprintf(to, ":" NUMBER, field_number(m, "line"));
		if (field_number(m, "column"))
			fprintf(to, ":" NUMBER, field_number(m, "column"));
		fputs(": ", to);
		print_safe(to, field_text(m, "severity"));
		fputs(": ", to);
		print_safe(to, field_text(m, "text"));
		fputc('\n', to);
	}
}

int render_reload(const json_t *reply, const struct render *to)
{
	char took[UNITS_TEXT_MAX];

	render_messages(reply, to->out);
	fprintf(to->out, "reloaded in %s%s\n", units_duration(field_number(reply, "took_ms"), took),
		field_true(reply, "changed") ? "" : ": nothing has changed");
	return 0;
}

static void print_notices(const json_t *reply, FILE *to)
{
	const json_t *notices = json_object_get(reply, "notices"), *n;
	size_t i;

	json_array_foreach(notices, i, n) {
		print_safe(to, json_is_string(n) ? json_string_value(n) : "-");
		fputc('\n', to);
	}
}

int render_load(const json_t *reply, const struct render *to)
{
	const json_t *n = json_object_get(reply, "interface");

	print_notices(reply, to->out);
	print_safe(to->out, field_text(n, "name"));
	fputs(field_true(reply, "changed") ? ": packets are steered here now, mode " :
					     ": packets were steered here already, mode ", to->out);
	print_safe(to->out, field_text(n, "mode"));
	fputc('\n', to->out);
	return 0;
}

int render_unload(const json_t *reply, const struct render *to)
{
	const json_t *list = json_object_get(reply, "interfaces"), *n;
	const json_t *left = json_object_get(reply, "left");
	size_t i;

	print_notices(reply, to->out);
	json_array_foreach(list, i, n) {
		print_safe(to->out, json_is_string(n) ? json_string_value(n) : "-");
		fputs(": packets are steered here no more\n", to->out);
	}
	if (json_array_size(list) == 0)
		fputs("no packets were steered anyway\n", to->out);
	else if (json_array_size(left) == 0)
		fprintf(to->out, "steering has stopped: " NUMBER " connections end now\n",
			field_number(reply, "connections"));
	return 0;
}

int render_restart(const json_t *reply, const struct render *to)
{
	char took[UNITS_TEXT_MAX];

	fputs("restarted: version ", to->out);
	print_safe(to->out, field_text(reply, "version"));
	fprintf(to->out, ", pid " NUMBER ", ready after %s\n", field_number(reply, "pid"),
		units_duration(field_number(reply, "took_ms"), took));
	return 0;
}

int render_version(const json_t *reply, const struct render *to)
{
	fprintf(to->out, "alwayson  %s\nalwaysond ", alwayson_version);
	print_safe(to->out, field_text(reply, "version"));
	fprintf(to->out, " (pid " NUMBER ", protocol " NUMBER ")\n", field_number(reply, "pid"),
		field_number(reply, "protocol"));
	return 0;
}
