/* SPDX-License-Identifier: BSD-2-Clause */
/* What the configuration and a running agent say themselves. Called by the tables of doctor.c. */
#include <string.h>

#include "base/cleanup.h"
#include "doctor/internal.h"

void doctor_configuration(struct doctor *d)
{
	const struct model *m = d->subject->model;

	if (m)
		doctor_say(d, DOCTOR_OK, "configuration", "", "%zu services, %zu backends", m->services.count,
			   m->backends.count);
	else
		doctor_say(d, DOCTOR_NOTE, "configuration", "--file FILE names it",
			   "none is known: what depends on it is not looked at");
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static void say_interfaces(struct doctor *d)
{
	const json_t *list = json_object_get(d->subject->interfaces, "interfaces"), *i;
	size_t at;

	json_array_foreach(list, at, i)
		if (strcmp(text_of(i, "mode"), "detached") == 0)
			doctor_say(d, DOCTOR_FAIL, text_of(i, "name"),
				   doctor_remedy("alwayson load %s; the agent's log says why it was not attached",
						 text_of(i, "name")),
				   "the agent ought to steer here and does not");
}

void doctor_agent(struct doctor *d)
{
	const json_t *s = d->subject->status, *reload = json_object_get(s, "last_reload");
	json_int_t up, total;

	if (!s) {
		doctor_say(d, DOCTOR_NOTE, "agent", "systemctl start alwaysond; -s and --name say which one to ask",
			   "none answers: what only it knows is not looked at");
		return;
	}
	doctor_say(d, DOCTOR_OK, "agent", "", "%s, instance %s, pid %d", text_of(s, "version"), text_of(s, "name"),
		   doctor_agent_pid(d));
	say_interfaces(d);
	if (json_is_object(reload) && !json_is_true(json_object_get(reload, "ok")))
		doctor_say(d, DOCTOR_WARN, "agent", "mend the configuration, then `alwayson reload`",
			   "the last reload was refused: %s", text_of(reload, "error"));
	up = json_integer_value(json_object_get(json_object_get(s, "services"), "up"));
	total = json_integer_value(json_object_get(json_object_get(s, "services"), "total"));
	if (up < total)
		doctor_say(d, DOCTOR_WARN, "agent", "`alwayson show servers` lists them, `alwayson explain server` says why",
			   "%lld of %lld services have no server that takes new connections", (long long)(total - up),
			   (long long)total);
}

void doctor_notices(struct doctor *d)
{
	const json_t *list = json_object_get(d->subject->status, "notices"), *item;
	size_t i;

	json_array_foreach(list, i, item)
		doctor_say(d, DOCTOR_NOTE, "agent", "", "%s", json_string_value(item) ? json_string_value(item) : "-");
}

/* Verdicts that say that something is too small, or broken. */
static const struct {
	const char *name, *remedy;
} telling[] = {
	{ "no_neighbour", "see `neighbour` above; `alwayson show servers` has each server's next hop" },
	{ "no_headroom", "another driver, or `interface IFACE xdp generic`" },
	{ "ports_exhausted", "more own addresses or ports by `source-pool`" },
	{ "half_open_limit", "a shorter `timeout connect`, more own ports by `source-pool`, or ask who floods" },
	{ "flow_table_full", "fewer remembered connections: shorter time-outs, or `balance maglev` with dsr or ipip" },
	{ "internal", "a defect: please report it with `alwayson status`" },
};

void doctor_drops(struct doctor *d)
{
	const json_t *list = json_object_get(d->subject->verdicts, "verdicts"), *v;
	bool well = true;
	size_t i;

	if (!list)
		return;
	json_array_foreach(list, i, v) {
		const json_int_t packets = json_integer_value(json_object_get(v, "packets"));

		for (size_t t = 0; packets > 0 && t < array_size(telling); t++) {
			if (strcmp(text_of(v, "name"), telling[t].name) != 0)
				continue;
			well = false;
			doctor_say(d, DOCTOR_WARN, telling[t].name, telling[t].remedy,
				   "%lld packets were dropped since the agent's first start: %s", (long long)packets,
				   text_of(v, "help"));
		}
	}
	if (well)
		doctor_say(d, DOCTOR_OK, "agent", "", "no packet was dropped for want of room or of a way");
}
