/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What explains and what is told as it happens: `explain config`, `explain server`, `watch`, `top`. Places come from
 * the real parser, replies from the examples of docs/control.md; docs/alwayson.md must show what comes out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/follow.h"
#include "cli/render.h"
#include "cli/sample.h"
#include "config/config.h"
#include "model/model.h"
#include "unit/cli_docs.h"

static const char text[] =
	"global\n"
	"    state-dir /var/lib/lb\n"
	"defaults base\n"
	"    mode http\n"
	"    balance source\n"
	"    timeout connect 1s\n"
	"    timeout connect 2s\n" /* 7: the later line of a section is in force */
	"    timeout client 1m\n"
	"    timeout server 1m\n"
	"    option httpchk GET /health\n" /* 10 */
	"    default-server inter 1s rise 3\n"
	"defaults tcp\n"
	"    mode tcp\n"
	"    timeout client 2m\n"
	"frontend web from base\n" /* 15 */
	"    bind *:80\n"
	"    default_backend nodes\n"
	"backend nodes from base\n"
	"    balance maglev\n"
	"    default-server fall 5\n" /* 20 */
	"    server one 192.0.2.1:80 check\n"
	"    server two 192.0.2.2:80 check rise 4 weight 7\n"
	"listen plain from tcp\n"
	"    bind *:81\n"
	"    server one 192.0.2.1:80\n";

static json_t *load(const char *config)
{
	char path[] = "/tmp/alwayson-explain-XXXXXX";
	const char *const files[] = { path };
	struct config_report report = {};
	struct model *m = NULL;
	int fd = mkstemp(path);
	json_t *j;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, config, strlen(config)), strlen(config));
	close(fd);
	if (config_load(files, 1, &m, &report) < 0) {
		config_report_print(&report, stderr);
		fail_msg("not understood:\n%s", config);
	}
	unlink(path);
	j = (json_t *)model_to_json_explained(m);
	assert_non_null(j);
	config_report_done(&report);
	model_free(m);
	return j;
}

/* The thing of that name in a list. */
static const json_t *named(const json_t *of, const char *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(json_object_get(of, list), i, item)
		if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
			return item;
	fail_msg("there is no %s in %s", name, list);
	return NULL;
}

/* Line 0: nothing was written, it is a default. */
static void assert_origin(const json_t *thing, const char *words, json_int_t line)
{
	const json_t *place = json_object_get(json_object_get(thing, "origins"), words);

	if (json_integer_value(json_object_get(place, "line")) != line)
		fail_msg("%s comes from line %d, not %d", words,
			 (int)json_integer_value(json_object_get(place, "line")), (int)line);
}

static void every_setting_has_the_line_it_came_from(void **state)
{
	json_t *j = load(text);
	const json_t *nodes = named(j, "backends", "nodes"), *plain = named(j, "backends", "plain");
	const json_t *web = named(j, "services", "web"), *one = named(nodes, "servers", "one");
	const json_t *two = named(nodes, "servers", "two");

	assert_origin(json_object_get(j, "global"), "state-dir", 2);
	assert_origin(json_object_get(j, "global"), "metrics", 0);
	assert_origin(nodes, "mode", 4);
	assert_origin(nodes, "balance", 19);
	assert_origin(nodes, "forward", 0);
	assert_origin(nodes, "timeout connect", 7);
	assert_origin(nodes, "timeout tunnel", 0);
	assert_origin(nodes, "option httpchk", 10);
	assert_origin(web, "timeout client", 8);
	assert_origin(web, "default_backend", 17);
	assert_origin(one, "inter", 11);
	assert_origin(one, "rise", 11);
	assert_origin(one, "fall", 20);
	assert_origin(one, "check", 21);
	assert_origin(one, "weight", 0);
	assert_origin(two, "rise", 22);
	assert_origin(two, "weight", 22);
	assert_origin(two, "fall", 20);
	assert_origin(plain, "mode", 13);
	assert_origin(plain, "balance", 0);
	assert_origin(plain, "option httpchk", 0);
	assert_origin(named(plain, "servers", "one"), "inter", 0);
	json_decref(j);
}

static char *rendered(int (*render)(const json_t *reply, const struct render *to), const json_t *reply)
{
	char *out = NULL;
	size_t length;
	struct render to = { .out = open_memstream(&out, &length) };

	assert_int_equal(render(reply, &to), 0);
	fclose(to.out);
	return out;
}

static bool is_about_check(const char *line)
{
	return strncmp(line, "    option httpchk", 18) == 0 || strncmp(line, "    http-check", 14) == 0;
}

/*
 * No line without a word of where it is from, but for checks, which have it below them; and with all of them it is
 * still a configuration, of the same meaning.
 */
static void what_is_explained_is_a_configuration(void **state)
{
	json_t *j = load(text), *again;
	char *out = rendered(render_config, j), *a, *b;

	assert_non_null(strstr(out, "\n    balance maglev  # /tmp/"));
	assert_non_null(strstr(out, "\n    forward nat  # default\n"));
	assert_non_null(strstr(out, ":11: inter"));
	for (const char *line = out; *line; line = strchr(line, '\n') + 1)
		if (line[0] == ' ' && !is_about_check(line) && !memchr(line, '#', strcspn(line, "\n")))
			fail_msg("not explained: %.*s", (int)strcspn(line, "\n"), line);
	again = load(out);
	json_object_del(j, "files");
	free(out);
	out = rendered(render_config, again);
	assert_non_null(strstr(out, "weight 7 check inter 1s fastinter 1s downinter 1s rise 4 fall 5"));
	a = json_dumps(json_object_get(named(named(j, "backends", "nodes"), "servers", "two"), "rise"),
		       JSON_ENCODE_ANY);
	b = json_dumps(json_object_get(named(named(again, "backends", "nodes"), "servers", "two"), "rise"),
		       JSON_ENCODE_ANY);
	assert_string_equal(a, b);
	free(a);
	free(b);
	free(out);
	json_decref(j);
	json_decref(again);
}

static void assert_in_manual(const char *words, int (*render)(const json_t *reply, const struct render *to),
			     const char *from)
{
	json_t *reply = docs_example(words);
	char *out = rendered(render, reply), *manual = docs_read("docs/alwayson.md");
	const char *at = from ? strstr(out, from) : out;

	assert_non_null(at);
	if (!strstr(manual, at))
		fail_msg("docs/alwayson.md does not show this:\n%s", at);
	free(out);
	free(manual);
	json_decref(reply);
}

static void the_manual_shows_it(void **state)
{
	setenv("TZ", "UTC", 1);
	assert_in_manual("watch", render_watch, NULL);
	assert_in_manual("explain server", render_explain_server, NULL);
	assert_in_manual("explain config", render_config, "\nbackend nodes");
	assert_in_manual("explain packet", render_explain_packet, NULL);
}

/* What a server or a file says can't steer the terminal. */
static void a_hostile_event_is_one_tame_line(void **state)
{
	json_t *reply = json_pack("{s:[{s:i, s:I, s:s, s:s, s:{s:s, s:s, s:s, s:i}}]}", "events", "number", 1, "at_ms",
				  (json_int_t)1764143999000, "level", "warning", "event", "server_down", "fields",
				  "backend", "a\033[2Jb", "k\ney", "v\r", "reason", "x\ny", "odd", 3);
	char *out = rendered(render_watch, reply);

	assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
	assert_null(strchr(out, '\033'));
	assert_null(strchr(out, '\r'));
	free(out);
	json_decref(reply);
}

/* What is drawn on a terminal of that size: rows as they stand there, without what steers it. */
static void assert_cut(const char *picture, unsigned rows, unsigned columns, const char *wanted)
{
	char *out = NULL;
	size_t length;
	FILE *to = open_memstream(&out, &length);

	top_cut(picture, rows, columns, to);
	fclose(to);
	assert_string_equal(out, wanted);
	free(out);
}

static void a_picture_is_cut_to_the_terminal(void **state)
{
	assert_cut("abc\nde\n", 5, 10, "\033[Habc\033[0m\033[K\r\nde\033[0m\033[K\r\n\033[J");
	assert_cut("abc\nde\n", 2, 2, "\033[Hab\033[0m\033[K\r\nde\033[0m\033[K");
	assert_cut("a\nb\nc\n", 2, 9, "\033[Ha\033[0m\033[K\r\n... 2 mor\033[K");
	/* Colours take no column, a character of two bytes takes one; neither is cut in the middle. */
	assert_cut("\033[31mab\033[0mc\n", 3, 2, "\033[H\033[31mab\033[0m\033[0m\033[K\r\n\033[J");
	assert_cut("\303\251\303\251x\n", 3, 1, "\033[H\303\251\033[0m\033[K\r\n\033[J");
	assert_cut("", 3, 1, "\033[H\033[J");
}

/* A counter that began anew, a server that is new, a clock that was set: no rate, rather than a wrong one. */
static void rates_are_those_of_the_same_thing(void **state)
{
	json_t *before = json_loads("{\"now_ms\":1000,\"servers\":["
				    "{\"backend\":\"b\",\"server\":\"x\",\"bytes_in\":100,\"bytes_out\":50},"
				    "{\"backend\":\"b\",\"server\":\"y\",\"bytes_in\":900}]}", 0, NULL);
	json_t *now = json_loads("{\"now_ms\":3000,\"servers\":["
				 "{\"backend\":\"b\",\"server\":\"y\",\"bytes_in\":1900},"
				 "{\"backend\":\"b\",\"server\":\"x\",\"bytes_in\":100,\"bytes_out\":7},"
				 "{\"backend\":\"c\",\"server\":\"x\",\"bytes_in\":5}]}", 0, NULL);
	const json_t *list = json_object_get(now, "servers");

	sample_rates(before, now);
	assert_true(json_real_value(json_object_get(json_array_get(list, 0), "bytes_in_per_s")) == 500);
	assert_true(json_real_value(json_object_get(json_array_get(list, 1), "bytes_in_per_s")) == 0);
	assert_null(json_object_get(json_array_get(list, 1), "bytes_out_per_s"));
	assert_null(json_object_get(json_array_get(list, 2), "bytes_in_per_s"));
	json_object_set_new(now, "now_ms", json_integer(500));
	json_object_clear(json_array_get(list, 0));
	sample_rates(before, now);
	assert_int_equal(json_object_size(json_array_get(list, 0)), 0);
	json_decref(before);
	json_decref(now);
}

static void top_draws_what_there_is(void **state)
{
	static const char *const replies[] = { "{}", "{\"services\":[{}],\"servers\":[{}],\"verdicts\":[{}]}",
					       "{\"services\":1,\"servers\":[2],\"verdicts\":\"x\",\"status\":[]}" };

	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
		json_t *sample = json_loads(replies[i], 0, NULL);

		free(rendered(render_top, sample));
		json_decref(sample);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setting_has_the_line_it_came_from),
		cmocka_unit_test(what_is_explained_is_a_configuration),
		cmocka_unit_test(the_manual_shows_it),
		cmocka_unit_test(a_hostile_event_is_one_tame_line),
		cmocka_unit_test(a_picture_is_cut_to_the_terminal),
		cmocka_unit_test(rates_are_those_of_the_same_thing),
		cmocka_unit_test(top_draws_what_there_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
