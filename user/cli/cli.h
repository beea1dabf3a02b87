/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The `alwayson` program without its main(): reads the command line, asks the agent, prints. Called by main.c and the
 * tests. Needs no rights but those of the control socket; the decap verbs, which ask no agent, need root.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

/* Where one call's output goes. */
struct cli_output {
	FILE *out, *err;
	bool colour;
};

/* Returns the exit code, enum control_code. */
int cli_main(int argc, const char *const *argv, const struct cli_output *to);

#endif
