/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every file of tests/config: those in good/ must load with exactly the notices and values they name, those in bad/
 * must be refused with exactly the errors they name. Runs in the root of the source tree.
 *
 *   # notice: LINE:COLUMN: TEXT    good: a notice, in this order
 *   # is: PATH VALUE               good: the model as JSON holds VALUE at PATH, as in backends.0.balance maglev
 *   # expect: LINE:COLUMN: TEXT    bad: an error, in this order; 0:0 = of the whole file. Its notices do not matter
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/cleanup.h"
#include "config/config.h"

static unsigned failures;

static void __attribute__((format(printf, 2, 3))) complain(const char *file, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print_error("%s: ", file);
	vprint_error(format, args);
	print_error("\n");
	va_end(args);
	failures++;
}

/* The value at a path such as "backends.0.balance"; NULL when there is none. */
static const json_t *at_path(const json_t *v, char *path)
{
	char *save, *part;

	for (part = strtok_r(path, ".", &save); part && v; part = strtok_r(NULL, ".", &save))
		v = json_is_array(v) ? json_array_get(v, strtoul(part, NULL, 10)) : json_object_get(v, part);
	return v;
}

static void check_value(const char *file, const json_t *model, const char *expectation)
{
	_cleanup_free_ char *path = strdup(expectation), *encoded = NULL;
	char *value = strchr(path, ' ');
	const json_t *found;
	const char *text;

	assert_non_null(value);
	*value++ = '\0';
	found = at_path(model, path);
	encoded = found ? json_dumps(found, JSON_ENCODE_ANY) : NULL;
	text = json_is_string(found) ? json_string_value(found) : encoded;
	if (!text || strcmp(text, value))
		complain(file, "is %s, not %s", text ? text : "absent", expectation);
}

/* Compares the next message of the kind with what the file expects; returns where to go on. */
static size_t check_message(const char *file, const struct config_report *report, size_t next,
			    enum config_severity severity, const char *expectation)
{
	char text[2048];

	for (; next < report->messages.count; next++) {
		const struct config_message *m = &report->messages.items[next];

		if (m->severity != severity)
			continue;
		snprintf(text, sizeof(text), "%u:%u: %s", m->line, m->column, m->text);
		if (strcmp(text, expectation))
			complain(file, "says      %s\n   instead of %s", text, expectation);
		return next + 1;
	}
	complain(file, "lacks %s", expectation);
	return next;
}

static void check_rest(const char *file, const struct config_report *report, size_t next, enum config_severity severity)
{
	for (; next < report->messages.count; next++) {
		const struct config_message *m = &report->messages.items[next];

		if (m->severity == severity)
			complain(file, "says unexpectedly %u:%u: %s", m->line, m->column, m->text);
	}
}

static void check_file(const char *file, bool good)
{
	_cleanup_fclose_ FILE *stream = fopen(file, "re");
	struct config_report report = {};
	struct model *model = NULL;
	json_t *json = NULL;
	char line[4096];
	size_t next = 0;
	int r;

	assert_non_null(stream);
	r = config_load(&file, 1, &model, &report);
	if (r != (good ? 0 : -EINVAL) || !model != !good || !report.errors != good)
		complain(file, "returns %d with %zu errors", r, report.errors);
	if (model)
		assert_non_null(json = model_to_json(model));
	while (fgets(line, sizeof(line), stream)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (!strncmp(line, "# notice: ", 10) && good)
			next = check_message(file, &report, next, CONFIG_NOTICE, line + 10);
		else if (!strncmp(line, "# expect: ", 10) && !good)
			next = check_message(file, &report, next, CONFIG_ERROR, line + 10);
		else if (!strncmp(line, "# is: ", 6) && json)
			check_value(file, json, line + 6);
	}
	if (next || good)
		check_rest(file, &report, next, good ? CONFIG_NOTICE : CONFIG_ERROR);
	if (!good && !next && report.messages.count != 1)
		complain(file, "a bad file names no error");
	json_decref(json);
	model_free(model);
	config_report_done(&report);
}

static int is_cfg(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void check_directory(const char *directory, bool good, int least)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_cfg, alphasort), i;

	if (count < least)
		fail_msg("%s: %d files; run this in the root of the source tree", directory, count);
	failures = 0;
	for (i = 0; i < count; i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
		check_file(path, good);
		free(entries[i]);
	}
	free(entries);
	assert_int_equal(failures, 0);
}

static void good_files_load(void **state)
{
	check_directory("tests/config/good", true, 80);
}

static void bad_files_are_refused(void **state)
{
	check_directory("tests/config/bad", false, 80);
}

static char password_file[] = "/tmp/alwayson-password-XXXXXX";

/* A checkout gives files to be read by all, which a password file must not be. */
static int make_password_file(void)
{
	int fd = mkstemp(password_file), failed = fd < 0 || write(fd, "secret\n", 7) != 7;

	if (fd >= 0)
		close(fd);
	return failed || setenv("PASSWORD_FILE", password_file, 1);
}

static int remove_password_file(void **state)
{
	return unlink(password_file);
}

static int set_environment(void **state)
{
	if (make_password_file())
		return -1;
	unsetenv("ALWAYSON_TEST_UNSET");
	return setenv("ALWAYSON_TEST_TIME", "7s", 1) || setenv("ALWAYSON_TEST_ADDR", "192.0.2.77", 1) ||
	       setenv("ALWAYSON_TEST_LIST", " name  x ", 1) || setenv("ALWAYSON_TEST_BLANK", "  ", 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_files_load),
		cmocka_unit_test(bad_files_are_refused),
	};

	return cmocka_run_group_tests_name("config_files", tests, set_environment, remove_password_file);
}
