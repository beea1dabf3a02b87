/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "cli/ask.h"
#include "cli/fields.h"
#include "cli/options.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "control/control.h"

static int show_help(const struct cli_options *o, const struct cli_output *to)
{
	char error[CLI_ERROR_MAX];
	const struct cli_verb *v;
	unsigned used;

	if (o->word_count == 0) {
		cli_help(to->out);
		return CONTROL_DONE;
	}
	v = cli_verb_match(o->words, o->word_count, &used, error);
	if (v) {
		cli_usage_line(to->out, v);
		fprintf(to->out, "\n%s.\n%s%s", v->summary, v->help ? v->help : "", v->help ? "\n" : "");
		return CONTROL_DONE;
	}
	if (strncmp(error, "incomplete", strlen("incomplete")) == 0) {
		cli_help_verbs(to->out, o->words, o->word_count);
		return CONTROL_DONE;
	}
	return ask_give_up(o, to, CONTROL_USAGE, "%s", error);
}

/* The request: the words as they are, the option's value last. */
static int make_request(const struct cli_options *o, char ret[static CONTROL_REQUEST_MAX + 1])
{
	size_t used = snprintf(ret, CONTROL_REQUEST_MAX + 1, "v%d", CONTROL_PROTOCOL);

	for (unsigned i = 0; i <= o->word_count && used <= CONTROL_REQUEST_MAX; i++) {
		const char *word = i < o->word_count ? o->words[i] : o->value;

		if (*word)
			used += snprintf(ret + used, CONTROL_REQUEST_MAX + 1 - used, " %s", word);
	}
	if (used >= CONTROL_REQUEST_MAX)
		return -E2BIG;
	strcpy(ret + used, "\n");
	return 0;
}

static uint64_t timeout_of(const struct cli_options *o)
{
	if (o->verb->timeout_ms)
		return o->verb->timeout_ms;
	return strtoull(o->value, NULL, 10) + CLI_ANSWER_MS;
}

static int print_reply(const struct cli_options *o, const struct cli_output *to, const json_t *reply)
{
	const struct render render = {
		.out = to->out, .colour = to->colour, .argc = o->word_count - o->verb_words,
		.argv = o->words + o->verb_words,
	};

	if (!field_true(reply, "ok"))
		return ask_refused(o, to, reply);
	if (o->verb->render(reply, &render) < 0)
		return ask_give_up(o, to, CONTROL_FAILED, "out of memory");
	return CONTROL_DONE;
}

static int ask_agent(const struct cli_options *o, const struct cli_output *to)
{
	char request[CONTROL_REQUEST_MAX + 1];
	struct ask_reply reply;
	int r, code;

	if (make_request(o, request) < 0)
		return ask_give_up(o, to, CONTROL_USAGE, "the command is longer than %d bytes", CONTROL_REQUEST_MAX);
	r = ask(o, request, timeout_of(o), &reply);
	if (r < 0)
		return ask_explain(o, to, r, timeout_of(o));
	if (o->json) {
		fwrite(reply.text, 1, reply.length, to->out);
		code = ask_code(reply.json);
	} else {
		code = print_reply(o, to, reply.json);
	}
	ask_reply_done(&reply);
	return code;
}

/* A verb that needs no agent. */
static int run_here(const struct cli_options *o, const struct cli_output *to)
{
	char error[CLI_ERROR_MAX] = "";
	json_t *reply = NULL;
	int code = o->verb->run(o, &reply, error);

	if (!reply) {
		code = ask_give_up(o, to, code, "%s", error);
	} else if (o->json) {
		json_dumpf(reply, to->out, JSON_COMPACT);
		fputc('\n', to->out);
	} else {
		const int printed = print_reply(o, to, reply);

		code = printed == CONTROL_DONE ? code : printed;
	}
	json_decref(reply);
	return code;
}

int cli_main(int argc, const char *const *argv, const struct cli_output *to)
{
	char error[CLI_ERROR_MAX];
	struct cli_options o;
	int code;

	if (cli_options_read(argc, argv, &o, error) < 0) {
		o.json = false; /* a mistake on the command line is for the person who typed it */
		code = ask_give_up(&o, to, CONTROL_USAGE, "%s", error);
		if (o.verb)
			cli_usage_line(to->err, o.verb);
		else
			fputs("`alwayson --help` explains\n", to->err);
		return code;
	}
	if (o.help)
		code = show_help(&o, to);
	else if (o.version)
		code = fprintf(to->out, "alwayson %s\n", alwayson_version) < 0 ? CONTROL_FAILED : CONTROL_DONE;
	else if (!o.verb) {
		cli_help(to->err);
		return CONTROL_USAGE;
	} else if (o.verb->follow)
		code = o.verb->follow(&o, to);
	else
		code = o.verb->run ? run_here(&o, to) : ask_agent(&o, to);
	if (fflush(to->out) != 0 || ferror(to->out)) {
		fprintf(to->err, "alwayson: cannot write the output: %s\n", strerror(errno));
		return code ? code : CONTROL_FAILED;
	}
	return code;
}
