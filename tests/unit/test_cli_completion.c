/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Completion knows what the program knows: the verbs in tools/completion are the verb table's, and bash, given the
 * beginning of a command, offers what may follow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/verbs.h"
#include "unit/cli_docs.h"

static const char *const kinds[] = {
	[CLI_SERVER] = " SERVER", [CLI_BACKEND_OR_SERVER] = " BACKEND", [CLI_WEIGHT] = " WEIGHT",
	[CLI_FRONTEND] = " FRONTEND",
	[CLI_INTERFACE] = " IFACE", [CLI_XDP_MODE] = " MODE", [CLI_SERVICE] = " SERVICE", [CLI_SOURCE] = " SOURCE",
	[CLI_PACKET] = " PACKET",
	[CLI_LOG_LEVEL] = " LEVEL",
	[CLI_ACL] = " ACL", [CLI_PREFIX] = " PREFIX", [CLI_ADDRESS] = " ADDRESS",
};

/* A verb's line as completion has it: words, kinds of arguments, options. */
static void line_of(const struct cli_verb *v, char *buf, size_t size)
{
	size_t used = snprintf(buf, size, "\n%s", v->words);

	for (unsigned i = 0; i < v->args_max; i++) {
		if (v->args[i] >= array_size(kinds) || !kinds[v->args[i]])
			fail_msg("this test and tools/completion do not know the argument of `%s`", v->words);
		used += snprintf(buf + used, size - used, "%s", kinds[v->args[i]]);
	}
	if (v->option.name)
		used += snprintf(buf + used, size - used, " %s", v->option.name);
	for (size_t i = 0; i < CLI_LISTS_MAX; i++)
		if (v->lists[i].name)
			used += snprintf(buf + used, size - used, " %s", v->lists[i].name);
	snprintf(buf + used, size - used, "\n");
}

static void assert_knows_the_table(const char *path)
{
	char *text = docs_read(path), line[256];
	const char *at = strstr(text, "verbs='\n"), *end;
	size_t lines = 0;

	assert_non_null(at);
	end = strstr(at, "\n'\n");
	assert_non_null(end);
	for (size_t i = 0; i < cli_verb_count; i++) {
		const char *found;

		line_of(&cli_verbs[i], line, sizeof(line));
		found = strstr(at, line);
		if (!found || found > end)
			fail_msg("%s lacks the line `%.*s`", path, (int)strlen(line) - 2, line + 1);
	}
	for (at = strchr(at, '\n'); at < end; at = strchr(at + 1, '\n'))
		lines++;
	if (lines != cli_verb_count)
		fail_msg("%s has %zu verbs, the program %zu", path, lines, cli_verb_count);
	free(text);
}

static void the_files_know_every_verb(void **state)
{
	assert_knows_the_table("tools/completion/alwayson.bash");
	assert_knows_the_table("tools/completion/_alwayson");
}

/* What bash offers for the words of a line, the last of them unfinished; on one line. */
static void assert_offers(const char *line, const char *wanted)
{
	char command[1024], got[1024] = "";
	FILE *p;

	snprintf(command, sizeof(command),
		 "bash -c '. tools/completion/alwayson.bash; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); "
		 "_alwayson; echo \"${COMPREPLY[*]}\"'", line);
	p = popen(command, "r");
	assert_non_null(p);
	assert_non_null(fgets(got, sizeof(got), p));
	assert_int_equal(pclose(p), 0);
	got[strcspn(got, "\n")] = '\0';
	assert_string_equal(got, wanted);
}

static void bash_offers_what_may_follow(void **state)
{
	assert_offers("alwayson sh", "show");
	assert_offers("alwayson server \"\"", "drain maint ready weight");
	assert_offers("alwayson -s /x -j show s", "servers services");
	assert_offers("alwayson show flows --l", "--limit");
	assert_offers("alwayson wait --t", "");
	assert_offers("alwayson wait drained a/b --t", "--timeout");
	assert_offers("alwayson load lo \"\"", "auto generic native");
	assert_offers("alwayson load l", "lo");
	assert_offers("alwayson status \"\"", "");
	assert_offers("alwayson decap load eth0 --f", "--from");
	assert_offers("alwayson --v", "--version");
	assert_offers("alwayson nonsense \"\"", "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_files_know_every_verb),
		cmocka_unit_test(bash_offers_what_may_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
