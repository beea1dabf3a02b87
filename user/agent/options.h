/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alwaysond's command line. Called by main() once, before anything else. Judges the words only: opens nothing (it looks
 * whether the default configuration is there), logs nothing; what is wrong is printed to the stream it is given.
 */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define AGENT_CONFIG_DEFAULT "/etc/alwayson/alwayson.cfg"
#define AGENT_NAME_DEFAULT "default"

enum { AGENT_NAME_MAX = 32 }; /* bytes of an instance's name, without the NUL */

struct agent_options {
	const char **files;      /* -f, in order; files and directories. Never empty unless help or version is set */
	size_t file_count;
	const char **interfaces; /* -i, in order, no duplicates, at most MODEL_INTERFACES_MAX; may be empty */
	size_t interface_count;
	const char *name;        /* -n; AGENT_NAME_DEFAULT when not given */
	bool check_only;         /* -c */
	bool discard;            /* --discard: nothing of an earlier agent is taken over */
	bool unload;             /* --unload: what an earlier agent left goes, and that is all */
	bool help, version;      /* print it and exit 0; the rest is not to be used then */
};

/*
 * Reads argv, which the strings of *ret point into. 0; -EINVAL after one line on err that says what is wrong and how to
 * get help (exit 2); -ENOMEM. Done with agent_options_done().
 */
int agent_options_parse(int argc, char **argv, struct agent_options *ret, FILE *err);
void agent_options_done(struct agent_options *o);
void agent_options_help(FILE *to);

#endif
