/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket's verbs about the log: where it goes, and how much of it. docs/control.md is their contract. */
#include <string.h>
#include <syslog.h>

#include "agent/agent.h"

static json_t *level_json(int level)
{
	return level < 0 ? json_null() : json_string(log_level_name(level));
}

static json_t *log_json(struct agent *a)
{
	json_t *targets = json_array();
	struct log_target_view t;

	for (size_t i = 0; log_target(a->log, i, &t); i++)
		json_array_append_new(targets, json_pack("{s:s, s:o, s:o, s:o, s:b, s:I}", "kind", t.kind, "name",
							 control_string(t.name), "level", level_json(t.level),
							 "level_configured", level_json(t.level_configured), "lost", t.lost,
							 "dropped", (json_int_t)t.dropped));
	return json_pack("{s:o, s:o, s:I, s:I}", "level", level_json(log_level(a->log)), "targets", targets, "dropped",
			 (json_int_t)log_dropped(a->log), "suppressed", (json_int_t)log_suppressed(a->log));
}

void verb_show_log(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	control_reply(r, log_json(ctx));
}

/* -2: the word is none. */
static int read_level(const char *word)
{
	if (strcmp(word, "default") == 0)
		return -1;
	for (int level = LOG_EMERG; level <= LOG_DEBUG; level++)
		if (strcmp(word, log_level_name(level)) == 0)
			return level;
	return -2;
}

void verb_log_level(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	const int level = read_level(argv[0]), before = log_level(a->log);

	if (level == -2) {
		control_fail(r, CONTROL_USAGE, "%s: a level is emerg, alert, crit, err, warning, notice, info, debug or "
					       "default", argv[0]);
		return;
	}
	/* Told while the log still takes it, or takes it already. */
	if (level >= 0 && level < LOG_NOTICE)
		log_event(a->log, LOG_NOTICE, "log_level", "level=%s", argv[0]);
	log_set_level(a->log, level);
	if (level < 0 || level >= LOG_NOTICE)
		log_event(a->log, LOG_NOTICE, "log_level", "level=%s", argv[0]);
	control_reply(r, json_pack("{s:b, s:o}", "changed", level != before, "log", log_json(a)));
}
