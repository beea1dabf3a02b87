/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replies as people see them. The replies are the examples of docs/control.md, so that the manual, the renderers and
 * what the agent is told to answer stay one thing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/render.h"
#include "model/model.h"
#include "unit/cli_docs.h"

static char *rendered(const struct cli_verb *v, const json_t *reply, const char *argument)
{
	const char *argv[] = { argument };
	char *text = NULL;
	size_t length;
	struct render to = { .argc = argument ? 1 : 0, .argv = argv };

	to.out = open_memstream(&text, &length);
	assert_int_equal(v->render(reply, &to), 0);
	fclose(to.out);
	return text;
}

static const struct cli_verb *verb(const char *words)
{
	for (size_t i = 0; i < cli_verb_count; i++)
		if (strcmp(cli_verbs[i].words, words) == 0)
			return &cli_verbs[i];
	fail_msg("no verb %s", words);
	return NULL;
}

static void assert_renders(const char *words, const char *argument, const char *wanted)
{
	json_t *reply = docs_example(words);
	char *text = rendered(verb(words), reply, argument);

	assert_string_equal(text, wanted);
	free(text);
	json_decref(reply);
}

static void every_verb_renders_its_example(void **state)
{
	for (size_t i = 0; i < cli_verb_count; i++) {
		json_t *reply;
		char *text;

		if (!cli_verbs[i].render) /* it is drawn from several replies: top */
			continue;
		reply = docs_example(cli_verbs[i].words);
		text = rendered(&cli_verbs[i], reply, NULL);

		assert_true(strlen(text) > 0);
		assert_int_equal(text[strlen(text) - 1], '\n');
		for (const char *line = text; *line; line = strchr(line, '\n') + 1)
			assert_true(line[strcspn(line, "\n")] == '\n' && strncmp(strchr(line, '\n') - 1, " ", 1) != 0);
		free(text);
		json_decref(reply);
	}
}

/* An agent of another version, or one gone wrong: dashes, never a crash. */
static void every_verb_renders_nonsense(void **state)
{
	static const char *const replies[] = {
		"{}",
		"{\"decap\":[{}],"
		"\"services\":[{}],\"servers\":[{}],\"flows\":[{}],\"verdicts\":[{}],\"interfaces\":[{}],\"backends\":[{}],"
		"\"server\":{},\"interface\":{},\"notices\":[{}],\"messages\":[{}],\"files\":[{}],\"global\":{}}",
		"{\"decap\":[3],"
		"\"services\":1,\"servers\":\"x\",\"flows\":[1],\"verdicts\":[[]],\"interfaces\":[null],\"backends\":[2],"
		"\"server\":[],\"interface\":3,\"notices\":[4],\"messages\":[5],\"files\":[6],\"global\":[],\"now_ms\":{}}",
	};

	for (size_t i = 0; i < cli_verb_count; i++)
		for (size_t j = 0; j < array_size(replies) && cli_verbs[i].render; j++) {
			json_t *reply = json_loads(replies[j], 0, NULL);

			assert_non_null(reply);
			free(rendered(&cli_verbs[i], reply, "b/s"));
			json_decref(reply);
		}
}

static void status_is_as_in_the_manual(void **state)
{
	json_t *reply = docs_example("status");
	char *text = rendered(verb("status"), reply, NULL);
	char *manual = docs_read("docs/alwayson.md");

	if (!strstr(manual, text))
		fail_msg("docs/alwayson.md does not show this:\n%s", text);
	free(manual);
	free(text);
	json_decref(reply);
}

static void status_says_what_is_wrong(void **state)
{
	json_t *reply = docs_example("status");
	json_t *last = json_object_get(reply, "last_reload");
	char *text;

	json_object_set_new(last, "ok", json_false());
	json_object_set_new(last, "error", json_string("lb.cfg:3:1: unknown keyword"));
	json_object_set_new(reply, "interfaces", json_array());
	text = rendered(verb("status"), reply, NULL);
	assert_non_null(strstr(text, "FAILED, the configuration before it is in force: lb.cfg:3:1: unknown keyword\n"));
	assert_non_null(strstr(text, "interfaces     none: no packet is steered\n"));
	free(text);
	json_decref(reply);
}

static void services(void **state)
{
	assert_renders("show services", NULL,
		       "SERVICE  BIND      BACKEND  STATE  SERVERS  CONNS  PACKETS IN         IN  PACKETS OUT      OUT\n"
		       "http     tcp *:80  nodes    up         2/2     12        9000  781.2 KiB         8000  6.6 MiB\n");
}

static void servers_show_overrides_beside_the_file(void **state)
{
	assert_renders("show servers", NULL,
		       "SERVER       ADDRESS           STATE  SINCE  ADMIN                     WEIGHT   SHARE  CONNS         IN"
		       "      OUT  NEXT HOP                LAST CHECK\n"
		       "nodes/node1  192.168.1.100:80  UP     3h11m  drain (file: ready)  5 (file: 1)  50.0 %     12"
		       "  781.2 KiB  6.6 MiB  eth0 52:54:00:12:34:56  L4OK\n");
}

static void one_server_is_told_in_full(void **state)
{
	assert_renders("show servers", "nodes/node1",
		       "server          nodes/node1\n"
		       "address         192.168.1.100:80\n"
		       "state           UP\n"
		       "since           3h11m\n"
		       "admin           drain (file: ready)\n"
		       "weight          5 (file: 1)\n"
		       "backup          no\n"
		       "share of slots  50.0 %\n"
		       "next hop        eth0 52:54:00:12:34:56\n"
		       "last check      L4OK\n"
		       "it took         1ms\n"
		       "checks          5700\n"
		       "failed checks   3\n"
		       "transitions     2\n"
		       "connections     12\n"
		       "packets in      9000\n"
		       "packets out     8000\n"
		       "bytes in        781.2 KiB\n"
		       "bytes out       6.6 MiB\n");
}

static void flows_say_that_there_are_more(void **state)
{
	assert_renders("show flows", NULL,
		       "PROTOCOL  SERVICE  CLIENT           OWN                 SERVER       STATE        IDLE\n"
		       "tcp       http     192.0.2.7:51034  192.168.1.10:20480  nodes/node1  established    4s\n"
		       "1 of 54321; more with --limit N\n");
}

static void config_is_a_configuration(void **state)
{
	assert_renders("show config", NULL,
		       "# in force, every default filled in; read from lb.cfg\n"
		       "global\n"
		       "    interface eth0 xdp auto\n"
		       "    on-agent-death keep\n"
		       "    watchdog 15s\n"
		       "    flow-table 349525 87381\n"
		       "    log /dev/log len 1024 local0 debug emerg  # lb.cfg:3\n"
		       "\n"
		       "frontend http\n"
		       "    bind *:80  # lb.cfg:11\n"
		       "    timeout client 50s\n"
		       "    default_backend nodes\n"
		       "\n"
		       "backend nodes  # lb.cfg:14\n"
		       "    mode http\n"
		       "    balance roundrobin\n"
		       "    forward nat\n"
		       "    on-all-down reject\n"
		       "    timeout connect 5s\n"
		       "    timeout server 50s\n"
		       "    option httpchk\n"
		       "    http-check send meth GET uri /health ver HTTP/1.0\n"
		       "    http-check expect status 200-399\n"
		       "    source-pool 192.168.1.10:10240-32767  # lb.cfg:16\n"
		       "    server node1 192.168.1.100:80 weight 1 check inter 2s fastinter 2s downinter 2s rise 2 fall 3"
		       "  # lb.cfg:17\n");
}

static void endpoint_of(struct endpoint *ret)
{
	ret->addr = addr_from_v4(0x0100007f);
	ret->port = 80;
}

/* Every member of the one is in the other, all the way down; arrays are compared by their first item. */
static void assert_same_members(const json_t *a, const json_t *b, const char *where)
{
	const char *key;
	json_t *value;

	if (json_is_array(a) && json_is_array(b)) {
		assert_same_members(json_array_get(a, 0), json_array_get(b, 0), where);
		return;
	}
	if (!json_is_object(a) || !json_is_object(b))
		return;
	json_object_foreach((json_t *)a, key, value) {
		if (!json_object_get(b, key))
			fail_msg("%s: only one of docs/control.md and model_to_json() has `%s`", where, key);
		assert_same_members(value, json_object_get(b, key), key);
	}
	json_object_foreach((json_t *)b, key, value)
		if (!json_object_get(a, key))
			fail_msg("%s: only one of docs/control.md and model_to_json() has `%s`", where, key);
}

static void config_example_is_what_the_model_gives(void **state)
{
	const struct model_place place = { .file = "lb.cfg", .line = 1 };
	struct model_interface interface = { .name = "eth0" };
	struct model_log log = { .path = (char *)"/dev/log", .place = place };
	struct model_server server = { .name = (char *)"node1", .check = true, .place = place };
	struct model_source source = { .addr = addr_from_v4(0x0100007f), .place = place };
	struct model_backend backend = { .name = (char *)"nodes", .check = MODEL_CHECK_HTTP, .place = place };
	struct model_service service = { .name = (char *)"http", .frontend = (char *)"http", .place = place };
	char *file = (char *)"lb.cfg";
	struct model m = {};
	json_t *given, *example = docs_example("show config");

	endpoint_of(&server.at);
	endpoint_of(&server.check_at);
	service.addr = server.at.addr;
	backend.servers.items = &server;
	backend.sources.items = &source;
	m.global.interfaces.items = &interface;
	m.global.logs.items = &log;
	m.backends.items = &backend;
	m.services.items = &service;
	m.files.items = &file;
	backend.servers.count = backend.sources.count = m.global.interfaces.count = m.global.logs.count = 1;
	m.backends.count = m.services.count = m.files.count = 1;
	given = model_to_json(&m);
	assert_non_null(given);
	json_object_del(example, "ok");
	json_object_del(example, "now_ms");
	assert_same_members(example, given, "show config");
	json_decref(given);
	json_decref(example);
}

static void config_tells_v6_checks_and_quotes(void **state)
{
	json_t *reply = docs_example("show config");
	json_t *service = json_array_get(json_object_get(reply, "services"), 0);
	json_t *backend = json_array_get(json_object_get(reply, "backends"), 0);
	json_t *server = json_array_get(json_object_get(backend, "servers"), 0);
	char *text;

	json_object_set_new(service, "address", json_string("2001:db8::1"));
	json_object_set_new(service, "any_address", json_false());
	json_object_set_new(service, "protocol", json_string("udp"));
	json_object_set_new(server, "check_address", json_string("[2001:db8::2]:8080"));
	json_object_set_new(backend, "check",
			    json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:b, s:[[i,i],[i,i]]}}", "kind", "http", "method",
				      "GET", "uri", "/it's up", "version", "HTTP/1.1", "host", "a.example", "expect",
				      "not", 1, "status", 500, 599, 404, 404));
	text = rendered(verb("show config"), reply, NULL);
	assert_non_null(strstr(text, "    bind udp@[2001:db8::1]:80  # lb.cfg:11\n"));
	assert_non_null(strstr(text, " check addr 2001:db8::2 port 8080 inter 2s "));
	assert_non_null(strstr(text, "    http-check send meth GET uri '/it'\\''s up' ver HTTP/1.1 hdr Host a.example\n"
				     "    http-check expect ! status 500-599,404\n"));
	free(text);
	json_decref(reply);
}

static void unload_says_that_connections_end(void **state)
{
	assert_renders("unload", NULL, "connections through eth0 end\n"
				       "eth0: packets are steered here no more\n"
				       "steering has stopped: 12 connections end now\n");
}

static void changes_are_one_line(void **state)
{
	assert_renders("reload", NULL, "lb.cfg:2:5: notice: maxconn is not enforced here\nreloaded in 120ms\n");
	assert_renders("wait drained", NULL, "nodes/node1: drained after 8s\n");
	assert_renders("load", NULL, "eth1: packets are steered here now, mode native\n");
	assert_renders("server drain", NULL, "nodes/node1: drain, UP, weight 1, connections 12\n");
}

static void lists_without_items_are_sentences(void **state)
{
	json_t *reply = json_pack("{s:[], s:[]}", "flows", "interfaces");
	char *text = rendered(verb("show flows"), reply, NULL);

	assert_string_equal(text, "no live connections\n");
	free(text);
	json_decref(reply);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_verb_renders_its_example),
		cmocka_unit_test(every_verb_renders_nonsense),
		cmocka_unit_test(status_is_as_in_the_manual),
		cmocka_unit_test(status_says_what_is_wrong),
		cmocka_unit_test(services),
		cmocka_unit_test(servers_show_overrides_beside_the_file),
		cmocka_unit_test(one_server_is_told_in_full),
		cmocka_unit_test(flows_say_that_there_are_more),
		cmocka_unit_test(config_is_a_configuration),
		cmocka_unit_test(config_example_is_what_the_model_gives),
		cmocka_unit_test(config_tells_v6_checks_and_quotes),
		cmocka_unit_test(unload_says_that_connections_end),
		cmocka_unit_test(changes_are_one_line),
		cmocka_unit_test(lists_without_items_are_sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
