/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line as options, a verb and its arguments. Called by cli.c; reads the environment, prints nothing.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>

#include "cli/verbs.h"
#include "control/control.h"

enum { CLI_PATH_MAX = 256, CLI_GIVEN_MAX = 1024 };

/* One value of a verb's list. */
struct cli_given {
	const char *name; /* as in struct cli_list */
	const char *value;
};

struct cli_options {
	char socket[CLI_PATH_MAX];
	bool json, help, version;
	const char *words[CONTROL_WORDS_MAX]; /* the verb's and its arguments */
	unsigned word_count;
	/* Set unless help, version or no word was given: */
	const struct cli_verb *verb;
	unsigned verb_words;
	char value[CLI_VALUE_MAX]; /* of the verb's option; "" = not sent */
	struct cli_given given[CLI_GIVEN_MAX]; /* of its lists, in the order of the command line */
	unsigned given_count;
};

/* 0, or -EINVAL and what is wrong in error; verb is then set as far as it was understood. */
int cli_options_read(int argc, const char *const *argv, struct cli_options *ret, char error[static CLI_ERROR_MAX]);

#endif
