/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What `alwayson` can be told: one line a verb, from which come the grammar, the help and the request. A new verb is a
 * line in verbs.c, a renderer, its place in docs/alwayson.md and docs/control.md, and its line in tools/completion
 * (tests compare them).
 */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum cli_argument {
	CLI_NONE,
	CLI_SERVER,            /* BACKEND/SERVER */
	CLI_BACKEND_OR_SERVER, /* BACKEND[/SERVER] */
	CLI_FRONTEND,
	CLI_WEIGHT,
	CLI_INTERFACE,
	CLI_XDP_MODE,
	CLI_ACL,               /* a list: its file, or #N */
	CLI_PREFIX,
	CLI_ADDRESS,
	CLI_SERVICE,
	CLI_SOURCE,            /* ADDR:PORT */
	CLI_PACKET,            /* which of a connection's packets */
	CLI_LOG_LEVEL,
};

enum { CLI_ARGUMENTS_MAX = 3, CLI_LISTS_MAX = 7, CLI_VALUE_MAX = 16, CLI_ERROR_MAX = 512 };

/* What a renderer may know besides the reply. */
struct render {
	FILE *out;
	bool colour;
	unsigned argc;
	const char *const *argv; /* the verb's arguments as typed */
};

/* An option that belongs to one verb; its value is the request's last word. */
struct cli_option {
	const char *name;     /* "--limit"; NULL = the verb has none */
	const char *argument; /* "N"; NULL = it is a switch, "1" when it is given */
	const char *fallback; /* the value when it is not given; NULL = the word is left out */
	/* Checks text and writes the request's word for it. 0 or -EINVAL. */
	int (*read)(const char *text, char ret[static CLI_VALUE_MAX]);
	const char *expects;  /* "a number from 1 to 1000000" */
};

/* An option that may be repeated, of a verb that runs here. */
struct cli_list {
	const char *name;     /* "--from" */
	const char *argument; /* "PREFIX" */
	bool required;        /* at least once */
	bool (*fits)(const char *text);
	const char *expects;
};

struct cli_options;
struct cli_output;

struct cli_verb {
	const char *words;
	const char *arguments; /* for people */
	unsigned args_min, args_max;
	enum cli_argument args[CLI_ARGUMENTS_MAX];
	struct cli_option option;
	struct cli_list lists[CLI_LISTS_MAX];
	uint32_t timeout_ms;   /* for the answer to begin; 0 = the option's value and CLI_ANSWER_MS */
	const char *summary;   /* one line */
	const char *help;      /* the rest; may be empty */
	int (*render)(const json_t *reply, const struct render *to); /* of a good reply; 0 or -ENOMEM */
	/*
	 * A verb that this program carries out itself, without an agent; NULL for all others. The exit code and the reply;
	 * without a reply, why in error.
	 */
	int (*run)(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX]);
	bool may_ask;          /* run does ask an agent, if there is one */
	/* A verb that asks the agent again and again and prints by itself (follow.h); NULL for all others. */
	int (*follow)(const struct cli_options *o, const struct cli_output *to);
};

enum { CLI_ANSWER_MS = 10000, CLI_RELOAD_MS = 60000 };

extern const struct cli_verb cli_verbs[];
extern const size_t cli_verb_count;

/* The verb the words name and how many of them are its name; NULL and why in error. */
const struct cli_verb *cli_verb_match(const char *const *words, unsigned count, unsigned *ret_used,
				      char error[static CLI_ERROR_MAX]);
/* The verb that has this option, NULL when none has. */
const struct cli_verb *cli_verb_with_option(const char *name);
/* Has any verb a list of this name? */
bool cli_is_list(const char *name);
/* The verb's list of this name, or NULL. */
const struct cli_list *cli_verb_list(const struct cli_verb *v, const char *name);
/* The verb as it is written: "show flows [--limit N]". Returns its length. */
int cli_verb_synopsis(const struct cli_verb *v, char *buf, size_t size);
/* Checks the arguments, in number and kind. 0, or -EINVAL and what is wrong in error. */
int cli_verb_check(const struct cli_verb *v, const char *const *args, unsigned count, char error[static CLI_ERROR_MAX]);

/* Help: all verbs (words NULL), those that begin with words, or one in full. */
void cli_help(FILE *to);
void cli_help_verbs(FILE *to, const char *const *words, unsigned count);
void cli_usage_line(FILE *to, const struct cli_verb *v);

#endif
