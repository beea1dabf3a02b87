/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A question to the agent and what becomes of it: the reply as JSON, or a sentence for people and an exit code. Called
 * by cli.c and by the verbs that ask more than once (watch.c, top.c). Prints failures, never replies.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include "cli/cli.h"
#include "cli/options.h"

struct ask_reply {
	json_t *json;  /* has a boolean "ok" */
	char *text;    /* as it came */
	size_t length;
};

/*
 * One request line. 0; -EBADMSG: what came is no agent's answer; or as client_request(). *ret is untouched then.
 */
int ask(const struct cli_options *o, const char *line, uint64_t timeout_ms, struct ask_reply *ret);
void ask_reply_done(struct ask_reply *r);
/* The exit code that a reply stands for. */
int ask_code(const json_t *reply);
/* Says what an error of ask() means, and returns the exit code. */
int ask_explain(const struct cli_options *o, const struct cli_output *to, int error, uint64_t timeout_ms);
/* A reply whose "ok" is false, said in words; returns the exit code. */
int ask_refused(const struct cli_options *o, const struct cli_output *to, const json_t *reply);

/*
 * Says why it ends, and returns code. With -j whoever reads our output finds one JSON document there, whatever
 * happened; else it goes to stderr.
 */
int ask_give_up(const struct cli_options *o, const struct cli_output *to, enum control_code code,
		const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
