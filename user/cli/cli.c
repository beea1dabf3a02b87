/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/fields.h"
#include "cli/options.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "control/control.h"

/* With -j whoever reads our output finds one JSON document there, whatever happened; else the error goes to stderr. */
static int __attribute__((format(printf, 4, 5)))
give_up(const struct cli_options *o, const struct cli_output *to, enum control_code code, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	json_t *reply = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (o->json && text)
		reply = json_pack("{s:b, s:i, s:o}", "ok", 0, "code", (int)code, "error", control_string(text));
	if (reply) {
		json_dumpf(reply, to->out, JSON_COMPACT);
		fputc('\n', to->out);
	} else {
		fputs("alwayson: ", to->err);
		print_safe(to->err, text ? text : "out of memory");
		fputc('\n', to->err);
	}
	json_decref(reply);
	return code;
}

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
	return give_up(o, to, CONTROL_USAGE, "%s", error);
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

static int explain_failure(const struct cli_options *o, const struct cli_output *to, int r)
{
	const char *path = o->socket;

	switch (r) {
	case -ENOENT:
	case -ECONNREFUSED:
		return give_up(o, to, CONTROL_NO_AGENT,
			       "no agent at %s: %s. Start it with `systemctl start alwaysond` or `alwaysond -f FILE -i "
			       "INTERFACE`; if it runs elsewhere, give --name N or -s SOCKET", path,
			       r == -ENOENT ? "there is no such socket" : "nobody listens there");
	case -ENOTSOCK:
		return give_up(o, to, CONTROL_NO_AGENT,
			       "no agent at %s: it is not a socket; see -s SOCKET and --name N", path);
	case -ENAMETOOLONG:
		return give_up(o, to, CONTROL_USAGE, "%s: a socket's path has at most 107 bytes", path);
	case -EACCES:
	case -EPERM:
		return give_up(o, to, CONTROL_FAILED,
			       "permission denied at %s: run this as root, or as a member of the group that the "
			       "configuration's `stats socket` line names", path);
	case -ETIMEDOUT:
		return give_up(o, to, CONTROL_TIMED_OUT,
			       "the agent at %s did not answer within %" PRIu64 " s; it may be stopped or overloaded",
			       path, timeout_of(o) / 1000);
	case -EFBIG:
		return give_up(o, to, CONTROL_FAILED, "the answer is larger than 64 MiB; ask for less (--limit N)");
	case -EPROTO:
		return give_up(o, to, CONTROL_FAILED,
			       "the agent at %s closed the connection before its answer was complete; see its log",
			       path);
	default:
		return give_up(o, to, CONTROL_FAILED, "%s: %s", path, strerror(-r));
	}
}

static int code_of(const json_t *reply)
{
	json_int_t code = field_number(reply, "code");

	if (field_true(reply, "ok"))
		return CONTROL_DONE;
	return code > CONTROL_DONE && code <= CONTROL_TIMED_OUT ? (int)code : CONTROL_FAILED;
}

static int print_reply(const struct cli_options *o, const struct cli_output *to, const json_t *reply)
{
	const struct render render = {
		.out = to->out, .colour = to->colour, .argc = o->word_count - o->verb_words,
		.argv = o->words + o->verb_words,
	};

	if (!field_true(reply, "ok")) {
		render_messages(reply, to->err);
		return give_up(o, to, code_of(reply), "%s", field_text(reply, "error"));
	}
	if (o->verb->render(reply, &render) < 0)
		return give_up(o, to, CONTROL_FAILED, "out of memory");
	return CONTROL_DONE;
}

static int ask(const struct cli_options *o, const struct cli_output *to)
{
	char request[CONTROL_REQUEST_MAX + 1];
	_cleanup_free_ char *text = NULL;
	json_error_t error;
	json_t *reply;
	size_t length;
	int r, code;

	if (make_request(o, request) < 0)
		return give_up(o, to, CONTROL_USAGE, "the command is longer than %d bytes", CONTROL_REQUEST_MAX);
	r = client_request(o->socket, request, timeout_of(o), &text, &length);
	if (r < 0)
		return explain_failure(o, to, r);
	reply = json_loadb(text, length, 0, &error);
	if (!json_is_boolean(json_object_get(reply, "ok"))) {
		json_decref(reply);
		return give_up(o, to, CONTROL_FAILED,
			       "what came from %s is not an agent's answer: does alwaysond listen there?", o->socket);
	}
	if (o->json) {
		fwrite(text, 1, length, to->out);
		code = code_of(reply);
	} else {
		code = print_reply(o, to, reply);
	}
	json_decref(reply);
	return code;
}

/* A verb that needs no agent. */
static int run_here(const struct cli_options *o, const struct cli_output *to)
{
	char error[CLI_ERROR_MAX] = "";
	json_t *reply = NULL;
	int code = o->verb->run(o, &reply, error);

	if (code != CONTROL_DONE) {
		code = give_up(o, to, code, "%s", error);
	} else if (o->json) {
		json_dumpf(reply, to->out, JSON_COMPACT);
		fputc('\n', to->out);
	} else {
		code = print_reply(o, to, reply);
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
		code = give_up(&o, to, CONTROL_USAGE, "%s", error);
		if (o.verb)
			cli_usage_line(to->err, o.verb);
		else
			fputs("`alwayson --help` explains\n", to->err);
		return code;
	}
	if (o.help)
		code = show_help(&o, to);
	else if (o.version)
		code = fputs("alwayson " ALWAYSON_VERSION "\n", to->out) < 0 ? CONTROL_FAILED : CONTROL_DONE;
	else if (!o.verb) {
		cli_help(to->err);
		return CONTROL_USAGE;
	} else
		code = o.verb->run ? run_here(&o, to) : ask(&o, to);
	if (fflush(to->out) != 0 || ferror(to->out)) {
		fprintf(to->err, "alwayson: cannot write the output: %s\n", strerror(errno));
		return code ? code : CONTROL_FAILED;
	}
	return code;
}
