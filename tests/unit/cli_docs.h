/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manuals as test data: a verb's section of docs/control.md (docs/decap.md) and the JSON example in it. Used by the test_cli_*
 * files, which run in the tree's top folder.
 */
#ifndef TESTS_UNIT_CLI_DOCS_H
#define TESTS_UNIT_CLI_DOCS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verbs.h"

/* Out of line: inlined, gcc 12 takes the buffer for a dangling pointer. */
static __attribute__((noinline, unused)) char *docs_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;
	ssize_t n;

	if (!f)
		fail_msg("%s can't be read: run this in the top folder of the tree", path);
	n = getdelim(&text, &size, '\0', f);
	assert_true(n > 0);
	fclose(f);
	return text;
}

/* The example reply of a verb, with what the control room adds to it. */
static inline json_t *docs_example(const char *words)
{
	const bool here = strncmp(words, "decap ", 6) == 0; /* no agent's verb */
	const char *manual = here ? "docs/decap.md" : strcmp(words, "doctor") == 0 ? "docs/doctor.md" : "docs/control.md";
	char *text = docs_read(manual), heading[64];
	const char *at, *next;
	json_error_t error;
	json_t *reply;
	char *end;

	snprintf(heading, sizeof(heading), "\n### %s\n",
		 strncmp(words, "server ", 7) == 0 ? "server drain, maint, ready, weight" :
		 here && strcmp(words, "decap unload") ? "decap load, show" : words);
	at = strstr(text, heading);
	if (!at)
		fail_msg("%s has no section for `%s`", manual, words);
	next = strstr(at + 1, "\n### ");
	at = strstr(at, "```json\n");
	if (!at || (next && at > next))
		fail_msg("%s has no example for `%s`", manual, words);
	end = strstr(at + 8, "```");
	reply = json_loadb(at + 8, end - (at + 8), JSON_REJECT_DUPLICATES, &error);
	if (!reply)
		fail_msg("%s: the example for `%s`: line %d: %s", manual, words, error.line, error.text);
	json_object_set_new(reply, "ok", json_true());
	json_object_set_new(reply, "now_ms", json_integer(1764144000000));
	free(text);
	return reply;
}

#endif
