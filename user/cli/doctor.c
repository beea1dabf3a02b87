/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/doctor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/ask.h"
#include "cli/fields.h"
#include "cli/table.h"
#include "config/config.h"
#include "doctor/doctor.h"

#define DEFAULT_FILE "/etc/alwayson/alwayson.cfg"

enum { FILES_MAX = 64, PATH_TEXT_MAX = 512 };

bool doctor_is_file(const char *text)
{
	return *text && strlen(text) < PATH_TEXT_MAX;
}

/* A new reference to the agent's answer; NULL: there is none, or no good one. */
static json_t *ask_agent(const struct cli_options *o, const char *line)
{
	struct ask_reply reply;
	json_t *j = NULL;

	if (ask(o, line, CLI_ANSWER_MS, &reply) < 0)
		return NULL;
	if (field_true(reply.json, "ok"))
		j = json_incref(reply.json);
	ask_reply_done(&reply);
	return j;
}

struct files {
	const char *paths[FILES_MAX];
	char text[FILES_MAX][PATH_TEXT_MAX]; /* of the agent's, which may be relative to where it runs */
	size_t count;
};

/* The files of --file, else the agent's, else the default one where it is. */
static void choose_files(const struct cli_options *o, const json_t *status, struct files *ret)
{
	const json_t *list = json_object_get(status, "files"), *item;
	size_t i;

	for (i = 0; i < o->given_count && ret->count < FILES_MAX; i++)
		ret->paths[ret->count++] = o->given[i].value;
	if (ret->count)
		return;
	json_array_foreach(list, i, item) {
		const char *path = json_string_value(item);

		if (!path || ret->count == FILES_MAX)
			continue;
		if (*path == '/')
			snprintf(ret->text[ret->count], PATH_TEXT_MAX, "%s", path);
		else
			snprintf(ret->text[ret->count], PATH_TEXT_MAX, "/proc/%lld/cwd/%s", (long long)field_number(status, "pid"),
				 path);
		ret->paths[ret->count] = ret->text[ret->count];
		ret->count++;
	}
	if (!ret->count && !status && access(DEFAULT_FILE, F_OK) == 0)
		ret->paths[ret->count++] = DEFAULT_FILE;
}

static int load(const struct files *f, struct model **ret, char error[static CLI_ERROR_MAX])
{
	struct config_report report = {};
	int r = f->count ? config_load(f->paths, f->count, ret, &report) : 0;

	if (r < 0)
		snprintf(error, CLI_ERROR_MAX, "%s: the configuration is not good (%s)", f->paths[0], strerror(-r));
	for (size_t i = 0; r < 0 && i < report.messages.count; i++) {
		const struct config_message *m = &report.messages.items[i];

		if (m->severity != CONFIG_ERROR)
			continue;
		snprintf(error, CLI_ERROR_MAX, "%.200s:%u:%u: %.240s; `alwaysond -c -f FILE` lists all errors",
			 m->file ? m->file : f->paths[0], m->line, m->column, m->text);
		break;
	}
	config_report_done(&report);
	return r;
}

static json_t *report_json(const struct doctor_report *r)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->findings.count; i++) {
		const struct doctor_finding *f = &r->findings.items[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:o, s:o, s:o}", "level", doctor_level_name(f->level), "check",
						      f->check, "where", control_string(f->where), "text",
						      control_string(f->text), "remedy",
						      *f->remedy ? control_string(f->remedy) : json_null()));
	}
	return json_pack("{s:b, s:s, s:o}", "ok", 1, "worst", doctor_level_name(r->worst), "findings", list);
}

static int code_of(const struct doctor_report *r)
{
	return r->worst == DOCTOR_FAIL ? CONTROL_FAILED : r->worst == DOCTOR_WARN ? CONTROL_WARNINGS : CONTROL_DONE;
}

static int examine(const struct cli_options *o, const struct doctor_subject *s, json_t **ret_reply,
		   char error[static CLI_ERROR_MAX])
{
	struct doctor_report report;
	int r = doctor_examine(s, &report), code;

	if (r < 0) {
		snprintf(error, CLI_ERROR_MAX, r == -ENODEV ? "%s: there is no such interface; `ip link` shows those there are" :
							      "%scan't look: %s", r == -ENODEV ? s->interface : "", strerror(-r));
		return CONTROL_FAILED;
	}
	*ret_reply = report_json(&report);
	code = code_of(&report);
	doctor_report_done(&report);
	if (*ret_reply)
		return code;
	strcpy(error, "out of memory");
	return CONTROL_FAILED;
}

int doctor_run(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX])
{
	json_t *status = ask_agent(o, "v1 status\n");
	json_t *interfaces = status ? ask_agent(o, "v1 show interfaces\n") : NULL;
	json_t *verdicts = status ? ask_agent(o, "v1 show verdicts\n") : NULL;
	struct doctor_subject s = {
		.interface = o->verb_words < o->word_count ? o->words[o->verb_words] : NULL,
		.status = status, .interfaces = interfaces, .verdicts = verdicts,
	};
	struct files files = {};
	struct model *m = NULL;
	int code = CONTROL_BAD_CONFIG;

	choose_files(o, status, &files);
	if (load(&files, &m, error) == 0) {
		s.model = m;
		code = examine(o, &s, ret_reply, error);
	}
	model_free(m);
	json_decref(verdicts);
	json_decref(interfaces);
	json_decref(status);
	return code;
}

/* ---- for people ---- */

static const struct {
	const char *name, *shown;
	enum tone tone;
} levels[] = {
	{ "ok", "OK", TONE_GOOD }, { "note", "NOTE", TONE_PLAIN }, { "warn", "WARN", TONE_WARN }, { "fail", "FAIL", TONE_BAD },
};

int render_doctor(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "LEVEL", TABLE_LEFT }, { "CHECK", TABLE_LEFT }, { "WHERE", TABLE_LEFT }, { "FOUND", TABLE_LEFT },
	};
	const json_t *list = json_object_get(reply, "findings"), *f;
	struct table *t = table_new(columns, array_size(columns));
	size_t counts[array_size(levels)] = {}, i;
	int r;

	json_array_foreach(list, i, f) {
		size_t l = 0;

		while (l + 1 < array_size(levels) && !field_is(f, "level", levels[l].name))
			l++;
		counts[l]++;
		table_cell(t, levels[l].tone, "%s", levels[l].shown);
		table_member(t, TONE_PLAIN, f, "check");
		table_member(t, TONE_PLAIN, f, "where");
		table_member(t, TONE_PLAIN, f, "text");
		if (!json_is_string(json_object_get(f, "remedy")))
			continue;
		/* The remedy has a row of its own, below what it is for. */
		table_cell(t, TONE_PLAIN, "%s", "");
		table_cell(t, TONE_PLAIN, "%s", "");
		table_cell(t, TONE_PLAIN, "%s", "remedy");
		table_member(t, TONE_PLAIN, f, "remedy");
	}
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	fprintf(to->out, "%zu well, %zu to note, %zu warnings, %zu failures\n", counts[0], counts[1], counts[2], counts[3]);
	return r;
}
