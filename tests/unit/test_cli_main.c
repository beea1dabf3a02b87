/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `alwayson` as a whole: the command line in, an agent at the other end of a real socket, output and exit code out.
 * The agent is a real control room with made-up verbs, or a few canned bytes, in a child.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/cli.h"
#include "control/control.h"
#include "unit/cli_docs.h"

struct call {
	int code;
	char *out, *err;
};

struct stage {
	char folder[32], path[64];
	pid_t agent;
};

static int stage_open(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	strcpy(s->folder, "/tmp/alwayson-cli-XXXXXX");
	assert_non_null(mkdtemp(s->folder));
	assert_int_equal(chmod(s->folder, 0755), 0);
	snprintf(s->path, sizeof(s->path), "%s/c.sock", s->folder);
	unsetenv("ALWAYSON_SOCKET");
	*state = s;
	return 0;
}

static int stage_close(void **state)
{
	struct stage *s = *state;

	if (s->agent) {
		kill(s->agent, SIGKILL);
		assert_int_equal(waitpid(s->agent, NULL, 0), s->agent);
	}
	unlink(s->path);
	assert_int_equal(rmdir(s->folder), 0);
	free(s);
	return 0;
}

/* The words of one call, split at blanks; @ stands for the stage's socket. */
static struct call call(const struct stage *s, const char *line)
{
	const char *argv[64] = { "alwayson" };
	char *words = strdup(line), *save = NULL;
	struct call c = {};
	size_t size;
	int argc = 1;
	struct cli_output to = { .out = open_memstream(&c.out, &size), .err = open_memstream(&c.err, &size) };

	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = strcmp(w, "@") == 0 ? s->path : w;
	c.code = cli_main(argc, argv, &to);
	fclose(to.out);
	fclose(to.err);
	free(words);
	return c;
}

static void call_done(struct call *c)
{
	free(c->out);
	free(c->err);
}

/* One call: its exit code, and a part of each output ("" = it must be empty). */
static void expect(const struct stage *s, const char *line, int code, const char *out, const char *err)
{
	struct call c = call(s, line);

	if (c.code != code)
		fail_msg("`%s` gave %d, not %d: %s%s", line, c.code, code, c.out, c.err);
	if (*out ? !strstr(c.out, out) : *c.out)
		fail_msg("`%s` said `%s`, not `%s`", line, c.out, out);
	if (*err ? !strstr(c.err, err) : *c.err)
		fail_msg("`%s` complained `%s`, not `%s`", line, c.err, err);
	call_done(&c);
}

/* Starts play in a child and waits until it is ready: the pipe's end says so. */
static void start_agent(struct stage *s, void (*play)(const struct stage *s, int ready, const void *ctx),
			const void *ctx)
{
	int ends[2];
	char byte;

	assert_int_equal(pipe(ends), 0);
	s->agent = fork();
	assert_true(s->agent >= 0);
	if (s->agent == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		play(s, ends[1], ctx);
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
}

static void say_ready(int ready)
{
	if (write(ready, "r", 1) != 1)
		_exit(1);
}

/* Answers each connection with the same bytes, whatever it asks. */
static void play_canned(const struct stage *s, int ready, const void *ctx)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char request[CONTROL_REQUEST_MAX];

	strcpy(at.sun_path, s->path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
		return;
	say_ready(ready);
	while (true) {
		int peer = accept(fd, NULL, NULL);

		if (recv(peer, request, sizeof(request), 0) <= 0 ||
		    send(peer, ctx, strlen(ctx), MSG_NOSIGNAL) != (ssize_t)strlen(ctx))
			return;
		close(peer);
	}
}

/* Each verb of the real table answers with the manual's example and what it was asked. */
static void run_example(struct control_request *r, const char *words, unsigned argc, const char *const *argv)
{
	json_t *body = docs_example(words), *args = json_array();

	for (unsigned i = 0; i < argc; i++)
		json_array_append_new(args, json_string(argv[i]));
	json_object_set_new(body, "asked", args);
	json_object_del(body, "now_ms");
	if (argc > 0 && strstr(argv[0], "nowhere"))
		control_fail(r, CONTROL_FAILED, "%s: no such server", argv[0]);
	else if (strcmp(words, "wait drained") == 0 && strcmp(argv[1], "30000") != 0)
		control_fail_with(r, CONTROL_TIMED_OUT, json_pack("{s:i}", "connections", 7), "7 connections left");
	else if (strcmp(words, "load") == 0)
		control_fail_with(r, CONTROL_BAD_CONFIG,
				  json_pack("{s:[{s:s, s:s, s:i, s:i, s:s}]}", "messages", "severity", "error", "file",
					    "lb.cfg", "line", 3, "column", 5, "text", "no\033[2J"), "1 error");
	else
		control_reply(r, json_incref(body));
	json_decref(body);
}

#define EXAMPLE(name, words)                                                                                  \
	static void run_##name(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)  \
	{                                                                                                     \
		run_example(r, words, argc, argv);                                                            \
	}
EXAMPLE(status, "status")
EXAMPLE(servers, "show servers")
EXAMPLE(flows, "show flows")
EXAMPLE(weight, "server weight")
EXAMPLE(drained, "wait drained")
EXAMPLE(reload, "reload")
EXAMPLE(load, "load")

static const struct control_verb verbs[] = {
	{ "status", "", 0, 0, MODEL_LEVEL_USER, run_status },
	{ "show servers", "", 0, 1, MODEL_LEVEL_USER, run_servers },
	{ "show flows", "", 1, 1, MODEL_LEVEL_USER, run_flows },
	{ "server weight", "", 2, 2, MODEL_LEVEL_ADMIN, run_weight },
	{ "wait drained", "", 2, 2, MODEL_LEVEL_USER, run_drained },
	{ "reload", "", 0, 0, MODEL_LEVEL_ADMIN, run_reload },
	{ "load", "", 1, 2, MODEL_LEVEL_ADMIN, run_load },
};

static void play_agent(const struct stage *s, int ready, const void *ctx)
{
	const struct model_stats_socket where = { .mode = 0666, .uid = -1, .gid = -1 };
	struct event_base *base = event_base_new();
	struct control *c;

	if (control_new(base, &where, s->path, verbs, array_size(verbs), NULL, &c) < 0)
		return;
	say_ready(ready);
	event_base_dispatch(base);
}

static void shows_what_the_agent_says(void **state)
{
	struct stage *s = *state;

	start_agent(s, play_agent, NULL);
	expect(s, "-s @ status", 0, "servers        3 of 4 up\n", "");
	expect(s, "status --socket=@", 4, "", "no agent at @");
	expect(s, "show servers -s @", 0, "SERVER ", "");
	expect(s, "show servers nodes/node1 -s @", 0, "server          nodes/node1\n", "");
	setenv("ALWAYSON_SOCKET", s->path, 1);
	expect(s, "status", 0, "agent ", "");
	expect(s, "--name lb7 status", 4, "", "/run/alwayson/lb7.sock");
	expect(s, "server weight nodes/node1 256", 0, "nodes/node1: drain", "");
}

static void prints_json_as_it_came(void **state)
{
	struct stage *s = *state;

	start_agent(s, play_agent, NULL);
	expect(s, "-s @ -j server weight nodes/node1 7", 0, "\"asked\":[\"nodes/node1\",\"7\"]}\n", "");
	expect(s, "-s @ show flows -j", 0, "\"asked\":[\"1000\"]}\n", "");
	expect(s, "-s @ show flows -j --limit 5", 0, "\"asked\":[\"5\"]}\n", "");
	expect(s, "-s @ wait drained nodes/node1 --json", 0, "\"asked\":[\"nodes/node1\",\"30000\"]}\n", "");
	expect(s, "-s @ -j wait drained nodes/node1 --timeout=2m", 5, "\"connections\":7", "");
	expect(s, "-j -s /nonexistent status", 4, "{\"ok\":false,\"code\":4,\"error\":\"no agent at /nonexistent", "");
}

static void exits_with_what_happened(void **state)
{
	struct stage *s = *state;

	start_agent(s, play_agent, NULL);
	expect(s, "-s @ show servers nowhere/x", 1, "", "alwayson: nowhere/x: no such server\n");
	expect(s, "-s @ version", 2, "", "unknown command `version`"); /* an agent that does not know the verb */
	expect(s, "-s @ load eth0", 3, "", "lb.cfg:3:5: error: no?[2J\nalwayson: 1 error\n");
	expect(s, "-s @ wait drained nodes/node1 --timeout 1s", 5, "", "7 connections left");
	expect(s, "-s @ reload", 0, "reloaded in 120ms\n", "");
}

static void tells_how_to_reach_an_agent(void **state)
{
	struct stage *s = *state;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char line[256];
	int fd;

	expect(s, "-s @ status", 4, "", "there is no such socket. Start it with `systemctl start alwaysond` or `");
	expect(s, "-s @ status", 4, "", s->path);
	strcpy(at.sun_path, s->path);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	expect(s, "-s @ status", 4, "", "nobody listens there");
	close(fd);
	expect(s, "-s /etc/passwd status", 4, "", "not a socket");
	expect(s, "-s /etc/passwd/x status", 4, "", "no such socket");
	memset(line, 'p', sizeof(line));
	memcpy(line, "status -s ", 10);
	line[10 + 108] = '\0';
	expect(s, line, 2, "", "at most 107 bytes");
	line[10 + 107] = '\0';
	expect(s, line, 4, "", "no such socket");
}

static void tells_whom_the_socket_keeps_out(void **state)
{
	struct stage *s = *state;
	int status;
	pid_t child;

	start_agent(s, play_agent, NULL);
	assert_int_equal(chmod(s->path, 0600), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct call c = {};

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(1);
		c = call(s, "-s @ status");
		_exit(c.code == CONTROL_FAILED && strstr(c.err, "permission denied at ") &&
		      strstr(c.err, "run this as root") ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void distrusts_what_is_no_agent(void **state)
{
	static const struct {
		const char *bytes, *complaint;
	} cases[] = {
		{ "HTTP/1.1 400 Bad Request\r\n\r\n", "not an agent's answer" },
		{ "[]\n", "not an agent's answer" },
		{ "{\"ok\":1}\n", "not an agent's answer" },
		{ "{\"ok\":true,\"services\":[{\"na", "closed the connection before" },
		{ "", "closed the connection before" },
		{ "{\"ok\":false}\n", "alwayson: -\n" },
		{ "{\"ok\":false,\"code\":77,\"error\":\"x\\u001b[2J\"}\n", "alwayson: x?[2J\n" },
	};
	struct stage *s = *state;

	for (size_t i = 0; i < array_size(cases); i++) {
		start_agent(s, play_canned, cases[i].bytes);
		expect(s, "-s @ status", 1, "", cases[i].complaint);
		kill(s->agent, SIGKILL);
		assert_int_equal(waitpid(s->agent, NULL, 0), s->agent);
		s->agent = 0;
		unlink(s->path);
	}
}

static void refuses_what_it_does_not_understand(void **state)
{
	static const struct {
		const char *line, *complaint;
	} cases[] = {
		{ "", "usage: alwayson" },
		{ "frobnicate", "unknown command `frobnicate`; there is: status, show services" },
		{ "stauts", "unknown command `stauts`; did you mean `status`?\n" },
		{ "shwo flows", "unknown command `shwo`; did you mean `show`?\n" },
		{ "show flosw", "unknown command `show flosw`; did you mean `show flows`?\n" },
		{ "show frobnicate", "unknown command `show frobnicate`; there is: show services, show servers" },
		{ "drian nodes/node1", "unknown command `drian`; did you mean `server drain`?\n" },
		{ "drain nodes/node1", "unknown command `drain`; did you mean `server drain`?\n" },
		{ "server drian nodes/node1", "unknown command `server drian`; did you mean `server drain`?\n" },
		{ "server flows", "unknown command `server flows`; there is: server drain, server maint" },
		{ "show", "incomplete command `show`; there is: show services, show servers" },
		{ "status now", "`now` is one argument too many" },
		{ "server drain", "server drain: an argument is missing: BACKEND/SERVER" },
		{ "server drain nodes", "`nodes` is not BACKEND/SERVER" },
		{ "server drain nodes/", "is not BACKEND/SERVER" },
		{ "server drain a/b/c", "is not BACKEND/SERVER" },
		{ "server drain a/b@c", "is not BACKEND/SERVER" },
		{ "server weight a/b 257", "`257` is not a weight from 0 to 256" },
		{ "server weight a/b -- -1", "`-1` is not a weight" },
		{ "server weight a/b 1x", "is not a weight" },
		{ "load", "an argument is missing: IFACE" },
		{ "load a/b", "is not an interface's name" },
		{ "load abcdefghijklmnop", "is not an interface's name" },
		{ "load eth0 fast", "`fast` is not native, generic or auto" },
		{ "show flows --limit 0", "--limit: `0` is not a number from 1 to 1000000" },
		{ "show flows --limit 1000001", "is not a number" },
		{ "show flows --limit", "--limit needs a value" },
		{ "status --limit 5", "--limit does not belong to `status`" },
		{ "wait drained a/b --timeout 1y", "--timeout: `1y` is not a time" },
		{ "wait drained a/b --timeout 86400001", "is not a time" },
		{ "decap load eth0", "decap load: --from PREFIX is missing" },
		{ "decap load --from 192.0.2.1", "decap load: an argument is missing: IFACE" },
		{ "decap load eth0 --from 192.0.2.1/33", "--from: `192.0.2.1/33` is not a prefix such as" },
		{ "decap load eth0 --from 192.0.2.1/24", "is not a prefix such as 192.0.2.0/24" },
		{ "decap load eth0 --from lb", "is not a prefix" },
		{ "decap load eth0 --from 192.0.2.1 --address 0.0.0.0", "--address: `0.0.0.0` is not an IP address" },
		{ "decap load eth0 --from", "--from needs a value" },
		{ "decap load eth0 shared --from ::1", "`shared` is not native, generic or auto" },
		{ "decap load eth0 --from ::1 --name lb", "`decap load` asks no agent" },
		{ "decap show --from 192.0.2.1", "--from does not belong to `decap show`" },
		{ "status --address 192.0.2.1", "--address does not belong to `status`" },
		{ "decap unload", "an argument is missing: IFACE" },
		{ "decap", "incomplete command `decap`; there is: decap load, decap unload, decap show" },
		{ "status --frob", "unknown option `--frob`" },
		{ "status -x", "unknown option `-x`" },
		{ "status --json=yes", "--json takes no value" },
		{ "status -s", "-s needs a value" },
		{ "status -s /a --name b", "give one of them" },
		{ "status --name ../../etc", "is not an instance's name" },
	};

	for (size_t i = 0; i < array_size(cases); i++)
		expect(*state, cases[i].line, CONTROL_USAGE, "", cases[i].complaint);
}

static void helps_everywhere(void **state)
{
	struct stage *s = *state;
	char line[64];

	expect(s, "--help", 0, "exit codes:", "");
	expect(s, "server --help", 0, "server weight BACKEND/SERVER N", "");
	expect(s, "-h nonsense", 2, "", "unknown command");
	expect(s, "--version", 0, "alwayson ", "");
	for (size_t i = 0; i < cli_verb_count; i++) {
		expect(s, "--help", 0, cli_verbs[i].words, "");
		expect(s, "--help", 0, cli_verbs[i].summary, "");
		snprintf(line, sizeof(line), "%s --help", cli_verbs[i].words);
		expect(s, line, 0, cli_verbs[i].words, "");
		expect(s, line, 0, "usage: alwayson", "");
	}
}

/* A verb that is in the table is in both manuals, with its arguments, and nothing else is. */
static void the_manuals_know_every_verb(void **state)
{
	char *manual = docs_read("docs/alwayson.md"), *protocol = docs_read("docs/control.md"), wanted[160], synopsis[128];
	size_t sections = 0;

	for (size_t i = 0; i < cli_verb_count; i++) {
		const struct cli_verb *v = &cli_verbs[i];

		cli_verb_synopsis(v, synopsis, sizeof(synopsis));
		snprintf(wanted, sizeof(wanted), "\n### `%s`\n", synopsis);
		if (!strstr(manual, wanted))
			fail_msg("docs/alwayson.md lacks %s", wanted);
		snprintf(wanted, sizeof(wanted), "\n| `%s` |", v->words);
		if ((!v->run && v->render) != !!strstr(protocol, wanted))
			fail_msg("docs/control.md %s %s", v->run || !v->render ? "is not the place of" : "lacks",
				 wanted);
	}
	for (const char *at = manual; (at = strstr(at, "\n### `")); at++)
		sections++;
	assert_int_equal(sections, cli_verb_count);
	free(manual);
	free(protocol);
}

#define on_stage(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_stage(shows_what_the_agent_says),
		on_stage(prints_json_as_it_came),
		on_stage(exits_with_what_happened),
		on_stage(tells_how_to_reach_an_agent),
		on_stage(tells_whom_the_socket_keeps_out),
		on_stage(distrusts_what_is_no_agent),
		on_stage(refuses_what_it_does_not_understand),
		on_stage(helps_everywhere),
		on_stage(the_manuals_know_every_verb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
