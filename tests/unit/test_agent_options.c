/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alwaysond's command line: what is understood, and what is said about the rest.
 */
#include "unit/agent_rig.h"

#include "agent/options.h"
#include "model/model.h"

enum { WORDS_MAX = 80 };

struct parsed {
	struct agent_options o;
	char *words[WORDS_MAX];
	int count, result;
	char *said;
	size_t said_length;
};

/* Words by blanks; '' is an empty one. */
static void parse(struct parsed *p, const char *line)
{
	char *copy = strdup(line), *rest = copy, *word;
	FILE *err;

	memset(p, 0, sizeof(*p));
	p->words[p->count++] = strdup("alwaysond");
	while ((word = strsep(&rest, " ")) && p->count < WORDS_MAX - 1)
		if (*word)
			p->words[p->count++] = strdup(strcmp(word, "''") ? word : "");
	free(copy);
	err = open_memstream(&p->said, &p->said_length);
	p->result = agent_options_parse(p->count, p->words, &p->o, err);
	fclose(err);
}

static void parsed_done(struct parsed *p)
{
	for (int i = 0; i < p->count; i++)
		free(p->words[i]);
	free(p->said);
	agent_options_done(&p->o);
}

static void takes_short_and_long_forms(void **state)
{
	static const char *const lines[] = {
		"-f a.cfg -f conf.d -i eth0 -i eth1 -n lb-2 -c",
		"--file a.cfg --file=conf.d --interface eth0 --interface=eth1 --name=lb-2 --check",
		"-cfa.cfg -fconf.d -ieth0 -ieth1 -nlb-2",
	};

	for (size_t i = 0; i < array_size(lines); i++) {
		struct parsed p;

		parse(&p, lines[i]);
		assert_int_equal(p.result, 0);
		assert_string_equal(p.said, "");
		assert_int_equal(p.o.file_count, 2);
		assert_string_equal(p.o.files[0], "a.cfg");
		assert_string_equal(p.o.files[1], "conf.d");
		assert_int_equal(p.o.interface_count, 2);
		assert_string_equal(p.o.interfaces[0], "eth0");
		assert_string_equal(p.o.interfaces[1], "eth1");
		assert_string_equal(p.o.name, "lb-2");
		assert_true(p.o.check_only);
		assert_false(p.o.help || p.o.version);
		parsed_done(&p);
	}
}

static void has_a_name_when_none_is_given(void **state)
{
	struct parsed p;

	parse(&p, "-f a.cfg");
	assert_int_equal(p.result, 0);
	assert_string_equal(p.o.name, "default");
	assert_int_equal(p.o.interface_count, 0);
	assert_false(p.o.check_only);
	parsed_done(&p);
}

static void help_and_version_need_nothing_else(void **state)
{
	static const char *const lines[] = { "-h", "--help", "-v", "--version", "-i eth0 -h" };

	for (size_t i = 0; i < array_size(lines); i++) {
		struct parsed p;

		parse(&p, lines[i]);
		assert_int_equal(p.result, 0);
		assert_true(p.o.help || p.o.version);
		parsed_done(&p);
	}
}

static void says_what_is_wrong(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "--bogus", "unknown option '--bogus'" },
		{ "--interfaces eth0", "did you mean '--interface'" },
		{ "--nmae=x", "did you mean '--name'" },
		{ "-f a.cfg -x", "unknown option '-x'" },
		{ "-f a.cfg -cx", "unknown option '-x'" },
		{ "-f", "'-f' lacks its value" },
		{ "--name", "'--name' lacks its value" },
		{ "--check=yes -f a.cfg", "takes no value" },
		{ "-f ''", "empty path" },
		{ "a.cfg", "unexpected 'a.cfg'" },
		{ "-f a.cfg eth0", "unexpected 'eth0'" },
		{ "-f a.cfg -- -c", "unexpected '-c'" },
		{ "-f a.cfg -i ''", "cannot be the name of an interface" },
		{ "-f a.cfg -i eth0:1", "cannot be the name of an interface" },
		{ "-f a.cfg -i ../x", "cannot be the name of an interface" },
		{ "-f a.cfg -i abcdefghijklmnop", "cannot be the name of an interface" },
		{ "-f a.cfg -i eth0 -i eth0", "-i eth0 is given twice" },
		{ "-f a.cfg -n a -n b", "--name is given twice" },
		{ "-f a.cfg -n ''", "1 to 32 characters" },
		{ "-f a.cfg -n ..", "no dot" },
		{ "-f a.cfg -n .hidden", "no dot" },
		{ "-f a.cfg -n a/b", "only letters" },
		{ "-f a.cfg -n caf\303\251", "only letters" },
		{ "-f a.cfg -n control", "control.sock" },
		{ "-f a.cfg -n abcdefghijklmnopqrstuvwxyz0123456", "1 to 32 characters" },
	};

	for (size_t i = 0; i < array_size(cases); i++) {
		struct parsed p;

		parse(&p, cases[i].line);
		if (p.result != -EINVAL || !strstr(p.said, cases[i].says))
			fail_msg("`%s` gave %d: %s", cases[i].line, p.result, p.said);
		assert_int_equal(strncmp(p.said, "alwaysond: ", 11), 0);
		assert_non_null(strstr(p.said, "; try 'alwaysond --help'\n"));
		/* One line. */
		assert_ptr_equal(strchr(p.said, '\n'), p.said + p.said_length - 1);
		parsed_done(&p);
	}
}

static void takes_what_is_at_the_limit(void **state)
{
	char line[WORDS_MAX * 12] = "-f a.cfg -n abcdefghijklmnopqrstuvwxyz012345 -i abcdefghijklmno";
	struct parsed p;

	for (int i = 1; i < MODEL_INTERFACES_MAX; i++)
		snprintf(line + strlen(line), sizeof(line) - strlen(line), " -ieth%d", i);
	parse(&p, line);
	assert_int_equal(p.result, 0);
	assert_int_equal(p.o.interface_count, MODEL_INTERFACES_MAX);
	assert_int_equal(strlen(p.o.name), AGENT_NAME_MAX);
	parsed_done(&p);
	strcat(line, " -i more");
	parse(&p, line);
	assert_int_equal(p.result, -EINVAL);
	assert_non_null(strstr(p.said, "at most 32 interfaces"));
	parsed_done(&p);
}

/* With a /etc of its own: nothing there, then the default file. */
static int look_for_default(void *arg)
{
	struct parsed p;

	child_check(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	child_check(mount("none", "/etc", "tmpfs", 0, "size=64k") == 0);
	parse(&p, "-i eth0");
	child_check(p.result == -EINVAL && strstr(p.said, "/etc/alwayson/alwayson.cfg") &&
		    strstr(p.said, "No such file"));
	parsed_done(&p);
	child_check(mkdir("/etc/alwayson", 0755) == 0 && close(creat("/etc/alwayson/alwayson.cfg", 0644)) == 0);
	parse(&p, "-i eth0");
	child_check(p.result == 0 && p.o.file_count == 1);
	child_check(strcmp(p.o.files[0], "/etc/alwayson/alwayson.cfg") == 0);
	parsed_done(&p);
	return 0;
}

static void looks_for_the_default_file(void **state)
{
	assert_int_equal(in_child(look_for_default, NULL), 0);
}

static void helps(void **state)
{
	static const char *const options[] = { "--file", "--interface", "--name", "--check", "--version", "--help",
					       "-f",	 "-i",		"-n",	  "-c",	     "-v",	  "-h" };
	size_t length;
	char *text;
	FILE *f = open_memstream(&text, &length);

	agent_options_help(f);
	fclose(f);
	for (size_t i = 0; i < array_size(options); i++)
		assert_non_null(strstr(text, options[i]));
	assert_non_null(strstr(text, AGENT_CONFIG_DEFAULT));
	free(text);
	/* And the manual knows them too. Tests run in the tree's top folder. */
	text = file_read("docs/alwaysond.md");
	for (size_t i = 0; i < array_size(options); i++) {
		char quoted[32];

		snprintf(quoted, sizeof(quoted), "`%s", options[i]);
		assert_non_null(strstr(text, quoted));
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_short_and_long_forms),
		cmocka_unit_test(has_a_name_when_none_is_given),
		cmocka_unit_test(help_and_version_need_nothing_else),
		cmocka_unit_test(says_what_is_wrong),
		cmocka_unit_test(takes_what_is_at_the_limit),
		cmocka_unit_test(looks_for_the_default_file),
		cmocka_unit_test(helps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
