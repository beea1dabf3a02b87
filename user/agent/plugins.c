/* SPDX-License-Identifier: BSD-2-Clause */
#include "agent/plugins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "agent/log.h"
#include "checker/command.h"
#include "health/attempt.h"
#include "health/roles.h"

struct plugins {
	struct checker *checker;      /* NULL: it could not be started */
	char why_not[CHECKER_POOL_ERROR_MAX];
	bool idle;                    /* nothing uses it yet: what its start has to say is no news */
	struct log *log;
	bool starting;                /* a start that fails ends with its reason, not with what is good to know */
	int held_level;
	char held[CHECKER_POOL_ERROR_MAX]; /* "" = nothing to say yet */
	struct attempt_elsewhere elsewhere;
};

static void on_event(int level, const char *text, void *ctx)
{
	struct plugins *p = ctx;

	if (p->idle)
		level = LOG_INFO;
	if (p->starting && !p->held[0]) {
		snprintf(p->held, sizeof(p->held), "%s", text);
		p->held_level = level;
	} else if (p->log) {
		log_event(p->log, level, "checker", "text=%s", log_quoted(text));
	}
}

void plugins_started(struct plugins *p)
{
	p->starting = false;
	if (p->held[0])
		on_event(p->held_level, p->held, p);
}

static struct checker_words words_of(const struct model_plugin_check *c)
{
	return (struct checker_words){ .bytes = c->words, .length = c->length, .count = c->count };
}

static const enum check_code codes[PLUGIN_CODE_COUNT] = {
	[PLUGIN_PASSED] = CHECK_L7OK, [PLUGIN_CONNECT_TIMEOUT] = CHECK_L4TOUT, [PLUGIN_CONNECT_FAILED] = CHECK_L4CON,
	[PLUGIN_TIMEOUT] = CHECK_L7TOUT, [PLUGIN_BAD_ANSWER] = CHECK_L7RSP, [PLUGIN_REFUSED] = CHECK_L7STS,
	[PLUGIN_TROUBLE] = CHECK_SOCKERR,
};

/* What a plugin says may be what a server says: people's terminals see printable ASCII only. */
static void copy_text(char *to, const char *from, size_t size)
{
	snprintf(to, size, "%s", from);
	for (; *to; to++)
		if (*to < ' ' || *to > '~')
			*to = '?';
}

static void take_facts(struct role_facts *to, const struct plugin_result *r)
{
	*to = (struct role_facts){
		.figures = r->figures,
		.role = r->figures & PLUGIN_HAS_ROLE ? r->role : 0,
		.server_id = r->server_id,
		.cluster_id = r->cluster_id,
		.source_count = r->source_count < PLUGIN_SOURCES_MAX ? r->source_count : PLUGIN_SOURCES_MAX,
		.lag_ms = r->lag_ms,
		.weight_percent = r->weight_percent,
	};
	memcpy(to->source_ids, r->source_ids, sizeof(to->source_ids));
	copy_text(to->text, r->text, sizeof(to->text));
}

static void on_done(enum checker_outcome outcome, const struct plugin_result *r, const char *text, void *arg)
{
	struct attempt *a = arg;
	struct check_result result;
	struct role_facts facts;
	char detail[PLUGIN_TEXT_MAX];

	a->job = NULL;
	if (outcome != CHECKER_JOB_DONE) {
		check_result_set(&result, outcome == CHECKER_JOB_LATE ? CHECK_L7TOUT : CHECK_SOCKERR, text);
		attempt_answer(a, &result);
		return;
	}
	copy_text(detail, r->text, sizeof(detail));
	check_result_set(&result, codes[r->code], detail);
	if (r->code == PLUGIN_PASSED) {
		take_facts(&facts, r);
		result.facts = &facts;
	}
	attempt_answer(a, &result);
}

/* As HAProxy: 0 is good, anything else is not. */
static void on_command_done(enum command_end end, int value, void *arg)
{
	static const enum check_code ends[] = {
		[COMMAND_EXITED] = CHECK_PROCERR, [COMMAND_KILLED] = CHECK_PROCERR, [COMMAND_LATE] = CHECK_PROCTOUT,
		[COMMAND_UNKNOWN] = CHECK_SOCKERR,
	};
	struct attempt *a = arg;
	struct check_result result;
	char text[CHECK_DETAIL_MAX] = "";

	a->job = NULL;
	if (end == COMMAND_EXITED && value)
		snprintf(text, sizeof(text), "exit code %d", value);
	else if (end == COMMAND_KILLED)
		snprintf(text, sizeof(text), "ended by signal %d", value);
	else if (end == COMMAND_UNKNOWN)
		snprintf(text, sizeof(text), "%s", strerror(value));
	check_result_set(&result, end == COMMAND_EXITED && !value ? CHECK_PROCOK : ends[end], text);
	attempt_answer(a, &result);
}

static int start_command(struct plugins *p, struct attempt *a)
{
	const struct attempt_target *t = a->target;
	const struct command_line line = { t->request, t->request_length, t->argc, t->envc };

	a->job_is_command = true;
	return command_begin(p->checker, &line, (uint32_t)(a->deadline_ms - a->started_ms), on_command_done, a,
			     (struct command_job **)&a->job);
}

static int start(struct attempt *a, void *ctx)
{
	struct plugins *p = ctx;
	uint64_t connect_ms = schedule_connect_deadline_ms(a->schedule, a->started_ms) - a->started_ms;
	struct checker_check c = {
		.words = words_of(&a->target->plugin),
		.at = a->target->at,
		.socket = -1,
		.total_ms = (uint32_t)(a->deadline_ms - a->started_ms),
	};

	if (p->checker && a->target->argc)
		return start_command(p, a);
	if (!p->checker || !c.words.bytes)
		return -EOPNOTSUPP;
	a->job_is_command = false;
	c.connect_ms = connect_ms < c.total_ms ? (uint32_t)connect_ms : c.total_ms;
	/* The process may not mark a socket, nor know our addresses: it gets one. */
	if (wire_is_steered(&a->steer)) {
		c.socket = wire_steered_socket(c.at.addr.family, &a->steer);
		if (c.socket < 0)
			return c.socket;
	}
	return checker_begin(p->checker, &c, on_done, a, (struct checker_job **)&a->job);
}

static void cancel(struct attempt *a, void *ctx)
{
	if (a->job && a->job_is_command)
		command_cancel(a->job);
	else if (a->job)
		checker_cancel(a->job);
	a->job = NULL;
}

int plugins_new(struct event_base *base, struct log *log, bool needed, struct plugins **ret,
		char error[PLUGINS_ERROR_MAX])
{
	struct plugins *p = calloc(1, sizeof(*p));
	const struct checker_ops ops = { .on_event = on_event, .ctx = p };
	int r;

	if (!p) {
		snprintf(error, PLUGINS_ERROR_MAX, "out of memory");
		return -ENOMEM;
	}
	p->log = log;
	p->starting = true;
	p->idle = !needed;
	p->elsewhere = (struct attempt_elsewhere){ .start = start, .cancel = cancel, .ctx = p };
	r = checker_new(base, NULL, &ops, &p->checker, p->why_not);
	if (r < 0 && needed) {
		snprintf(error, PLUGINS_ERROR_MAX, "checks by plugins: %.480s", p->why_not);
		free(p);
		return r;
	}
	if (r < 0)
		on_event(LOG_INFO, p->why_not, p);
	p->idle = false;
	*ret = p;
	return 0;
}

void plugins_free(struct plugins *p)
{
	if (!p)
		return;
	checker_free(p->checker);
	free(p);
}

bool plugins_are_used(const struct model *m)
{
	for (size_t i = 0; i < m->backends.count; i++)
		if (m->backends.items[i].check == MODEL_CHECK_PLUGIN ||
		    m->backends.items[i].check == MODEL_CHECK_EXTERNAL)
			return true;
	return false;
}

/* Has a backend before the count-th the same words? */
static bool is_known(const struct model *m, size_t count, const struct model_plugin_check *c)
{
	for (size_t i = 0; i < count; i++) {
		const struct model_backend *b = &m->backends.items[i];

		if (b->check == MODEL_CHECK_PLUGIN && b->plugin.length == c->length &&
		    !memcmp(b->plugin.words, c->words, c->length))
			return true;
	}
	return false;
}

int plugins_validate(struct plugins *p, const struct model *m, const struct model *known,
		     char error[PLUGINS_ERROR_MAX])
{
	char why[CHECKER_POOL_ERROR_MAX] = "";

	for (size_t i = 0; i < m->backends.count; i++) {
		const struct model_backend *b = &m->backends.items[i];
		const struct checker_words words = words_of(&b->plugin);
		int r;

		if (b->check != MODEL_CHECK_PLUGIN || is_known(m, i, &b->plugin) ||
		    (known && is_known(known, known->backends.count, &b->plugin)))
			continue;
		r = p->checker ? checker_validate(p->checker, &words, why) : -ENOTCONN;
		if (r < 0) {
			snprintf(error, PLUGINS_ERROR_MAX, "%.150s:%u: backend '%.64s': %.250s", b->plugin.place.file,
				 b->plugin.place.line, b->name, p->checker ? why : p->why_not);
			return -EINVAL;
		}
	}
	return 0;
}

const struct attempt_elsewhere *plugins_elsewhere(struct plugins *p)
{
	return &p->elsewhere;
}

void plugins_count(const struct plugins *p, struct checker_counts *ret)
{
	*ret = (struct checker_counts){};
	if (p && p->checker)
		checker_count(p->checker, ret);
}

bool plugins_hand_over(const struct plugins *p)
{
	return !p || !p->checker || checker_hand_over(p->checker);
}

unsigned plugins_protocol(void)
{
	return checker_protocol();
}
