/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verbs that go on until they are told to stop: each asks the agent more than once. Named by the verb table. They
 * print replies and failures themselves and return the exit code.
 */
#ifndef CLI_FOLLOW_H
#define CLI_FOLLOW_H

#include "cli/cli.h"
#include "cli/options.h"

int follow_watch(const struct cli_options *o, const struct cli_output *to);
int follow_explain_packet(const struct cli_options *o, const struct cli_output *to);
int follow_trace(const struct cli_options *o, const struct cli_output *to);
int follow_top(const struct cli_options *o, const struct cli_output *to);

/* top.c: a picture of any size, cut to a terminal of that one, from its upper left corner on. */
void top_cut(const char *text, unsigned rows, unsigned columns, FILE *to);

#endif
