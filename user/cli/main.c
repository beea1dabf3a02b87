/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `alwayson`: the command line of the load balancer's agent. Knows the terminal; everything else is cli.c's.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

int main(int argc, char **argv)
{
	const struct cli_output to = { .out = stdout, .err = stderr, .colour = wants_colour() };

	return cli_main(argc, (const char *const *)argv, &to);
}
