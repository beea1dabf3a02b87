/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/verbs.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/cleanup.h"
#include "cli/capture.h"
#include "cli/decap.h"
#include "cli/doctor.h"
#include "cli/follow.h"
#include "cli/render.h"
#include "cli/units.h"
#include "control/words.h"

enum { FLOWS_MAX = 1000000, SOURCES_MAX = 100000, EVENTS_MAX = 256 /* what the agent keeps */, SYNOPSIS_MAX = 256 };
enum { HELP_COLUMN = 36 }; /* a longer synopsis has a line of its own */

static int read_number(const char *text, unsigned max, unsigned *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned n;

	if (!digits || text[digits] || digits > 9)
		return -EINVAL;
	n = strtoul(text, NULL, 10); /* at most nine digits */
	if (n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int read_limit(const char *text, char ret[static CLI_VALUE_MAX])
{
	unsigned n;

	if (read_number(text, FLOWS_MAX, &n) < 0 || n == 0)
		return -EINVAL;
	snprintf(ret, CLI_VALUE_MAX, "%u", n);
	return 0;
}

static int read_top(const char *text, char ret[static CLI_VALUE_MAX])
{
	unsigned n;

	if (read_number(text, SOURCES_MAX, &n) < 0 || n == 0)
		return -EINVAL;
	snprintf(ret, CLI_VALUE_MAX, "%u", n);
	return 0;
}

static int read_last(const char *text, char ret[static CLI_VALUE_MAX])
{
	unsigned n;

	if (read_number(text, EVENTS_MAX, &n) < 0)
		return -EINVAL;
	snprintf(ret, CLI_VALUE_MAX, "%u", n);
	return 0;
}

static int read_timeout(const char *text, char ret[static CLI_VALUE_MAX])
{
	uint32_t ms;

	if (units_parse_time(text, &ms) < 0 || ms > MODEL_TIME_MAX_MS)
		return -EINVAL;
	snprintf(ret, CLI_VALUE_MAX, "%u", ms);
	return 0;
}

static bool is_interface(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > 15) /* IFNAMSIZ - 1 */
		return false;
	for (const char *c = text; *c; c++)
		if (!isgraph((unsigned char)*c) || *c == '/')
			return false;
	return true;
}

static bool is_service(const char *text)
{
	const size_t length = strlen(text);

	for (const char *c = text; *c; c++)
		if (!isgraph((unsigned char)*c))
			return false;
	return length > 0 && length < 2 * MODEL_NAME_MAX;
}

static bool is_count(const char *text)
{
	unsigned n;

	return read_number(text, 999999999, &n) == 0 && n;
}

const struct cli_verb cli_verbs[] = {
	{ "status", "", .timeout_ms = CLI_ANSWER_MS, .render = render_status,
	  .summary = "how the agent is: interfaces, servers, flows, last reload, notices" },
	{ "show services", "", .timeout_ms = CLI_ANSWER_MS, .render = render_services,
	  .summary = "each bind of a frontend, its state and traffic" },
	{ "show servers", "[BACKEND[/SERVER]]", 0, 1, { CLI_BACKEND_OR_SERVER }, .timeout_ms = CLI_ANSWER_MS,
	  .render = render_servers, .summary = "health, admin state, weight and traffic of the servers",
	  .help = "With BACKEND/SERVER everything known of the one." },
	{ "show flows", "", .option = { "--limit", "N", "1000", read_limit, "a number from 1 to 1000000" },
	  .timeout_ms = CLI_ANSWER_MS, .render = render_flows, .summary = "live connections, at most N (1000)",
	  .help = "Which ones are shown when there are more is not defined; the last line says how many there are." },
	{ "show config", "", .timeout_ms = CLI_ANSWER_MS, .render = render_config,
	  .summary = "the configuration in force, with every default filled in",
	  .help = "Printed in the configuration's own language; the comments say where a thing was written." },
	{ "show verdicts", "", .timeout_ms = CLI_ANSWER_MS, .render = render_verdicts,
	  .summary = "what became of the packets: one counter for each reason" },
	{ "show interfaces", "", .timeout_ms = CLI_ANSWER_MS, .render = render_interfaces,
	  .summary = "the interfaces packets are steered on" },
	{ "show log", "", .timeout_ms = CLI_ANSWER_MS, .render = render_log,
	  .summary = "where the agent's log goes, how much of it, and what was lost" },
	{ "show table", "", .option = { "--top", "N", "100", read_top, "a number from 1 to 100000" },
	  .timeout_ms = CLI_ANSWER_MS, .render = render_table,
	  .summary = "sources whose new connections are counted, the N (100) with the most",
	  .help = "The frontends are those with a stick-table; `rejected`: over their limit now." },
	{ "show acl", "[LIST]", 0, 1, { CLI_ACL }, .timeout_ms = CLI_ANSWER_MS, .render = render_acls,
	  .summary = "the lists of addresses that rules name; with LIST what is in it",
	  .help = "LIST is a file as the configuration names it, or #N." },
	{ "get acl", "LIST ADDRESS", 2, 2, { CLI_ACL, CLI_ADDRESS }, .timeout_ms = CLI_ANSWER_MS,
	  .render = render_acl_match, .summary = "whether an address is in a list, and by which prefix" },
	{ "add acl", "LIST PREFIX", 2, 2, { CLI_ACL, CLI_PREFIX }, .timeout_ms = CLI_ANSWER_MS,
	  .render = render_acl_change, .summary = "add a prefix to a list, for connections that are opened from now on",
	  .help = "Until the list is read again, by a reload or a start; the file is not written." },
	{ "del acl", "LIST PREFIX", 2, 2, { CLI_ACL, CLI_PREFIX }, .timeout_ms = CLI_ANSWER_MS,
	  .render = render_acl_change, .summary = "take a prefix out of a list",
	  .help = "Until the list is read again, by a reload or a start; the file is not written." },
	{ "clear acl", "LIST", 1, 1, { CLI_ACL }, .timeout_ms = CLI_ANSWER_MS, .render = render_acl_change,
	  .summary = "empty a list, all at once",
	  .help = "Until the list is read again, by a reload or a start; the file is not written." },
	{ "show announce", "", .timeout_ms = CLI_ANSWER_MS, .render = render_announce,
	  .summary = "the service addresses that are brought up and withdrawn here, and why they are as they are" },
	{ "show peers", "", .timeout_ms = CLI_ANSWER_MS, .render = render_peers,
	  .summary = "the balancers that records of connections are exchanged with, and what became of them" },
	{ "explain config", "", .timeout_ms = CLI_ANSWER_MS, .render = render_config,
	  .summary = "the configuration in force, and where each setting of it came from",
	  .help = "As `show config`; the comments say in which line a setting was written, or that it is a default." },
	{ "explain server", "BACKEND/SERVER", 1, 1, { CLI_SERVER }, .timeout_ms = CLI_ANSWER_MS,
	  .render = render_explain_server, .summary = "why the server takes new connections, or none; its share and past",
	  .help = "Each line says of one thing whether it lets new connections through." },
	{ "explain packet", "[SERVICE SRC:PORT [syn|ack|fin|rst]]", 0, 3, { CLI_SERVICE, CLI_SOURCE, CLI_PACKET },
	  .lists = { { "--pcap", "FILE", false, capture_is_path, "a file" },
		     { "--interface", "IFACE", false, is_interface, "an interface's name" } },
	  .timeout_ms = CLI_RELOAD_MS, .render = render_explain_packet, .follow = follow_explain_packet,
	  .summary = "what would become of a packet, step by step; nothing live changes",
	  .help = "The first packet of SRC:PORT to a service, or another of its connection. --pcap: the packets of a\n"
		  "capture of Ethernet frames, at most 1000, each after the others, as if they came in by --interface\n"
		  "(the first one that is steered on). -j: one JSON object a packet. Needs level admin." },
	{ "trace", "",
	  .lists = { { "--service", "S", false, is_service, "a service's name; `alwayson show services` lists them" },
		     { "--source", "PREFIX", false, decap_is_prefix, "a prefix such as 192.0.2.0/24, or an address" },
		     { "--verdict", "V", false, is_service, "a verdict; `alwayson show verdicts` lists them" },
		     { "--rate", "N", false, is_count, "a number" }, { "--count", "N", false, is_count, "a number" },
		     { "--snap", "N", false, is_count, "a number" },
		     { "--pcap", "FILE", false, capture_is_path, "a file" } },
	  .timeout_ms = CLI_ANSWER_MS, .render = render_trace, .follow = follow_trace,
	  .summary = "packets as they came and as they left, as they do",
	  .help = "--service, --source (clients), --verdict: only those; several verdicts may be given. --rate: at most N a\n"
		  "second (1000). --count: ends after N. --snap: N bytes of a packet (256). --pcap: writes a pcapng file for\n"
		  "tshark and wireshark instead of text. -j: one JSON object a packet. Ends with Ctrl-C. One trace at a\n"
		  "time. Needs level admin." },
	{ "server drain", "BACKEND/SERVER", 1, 1, { CLI_SERVER }, .timeout_ms = CLI_ANSWER_MS, .render = render_server,
	  .summary = "give the server no new connections; those it has go on, and so do its checks",
	  .help = "Survives reload and restart, until `server ready`. See `wait drained`." },
	{ "server maint", "BACKEND/SERVER", 1, 1, { CLI_SERVER }, .timeout_ms = CLI_ANSWER_MS, .render = render_server,
	  .summary = "as drain, and stop checking the server",
	  .help = "Survives reload and restart, until `server ready`." },
	{ "server ready", "BACKEND/SERVER", 1, 1, { CLI_SERVER }, .timeout_ms = CLI_ANSWER_MS, .render = render_server,
	  .summary = "end drain and maint: the server takes connections when its checks say so" },
	{ "server weight", "BACKEND/SERVER N", 2, 2, { CLI_SERVER, CLI_WEIGHT }, .timeout_ms = CLI_ANSWER_MS,
	  .render = render_server, .summary = "set the server's weight, 0 to 256; 0 is as drain",
	  .help = "Survives reload and restart; the file's value is shown beside it." },
	{ "wait drained", "BACKEND/SERVER", 1, 1, { CLI_SERVER },
	  .option = { "--timeout", "T", "30s", read_timeout, "a time such as 500ms, 30s, 5m or 2h, up to 24h" },
	  .render = render_drained, .summary = "wait until the server has no connection left, at most T (30s)",
	  .help = "The server must be in drain or maint. Exit code 5 when the time runs out." },
	{ "watch", "[BACKEND[/SERVER]]", 0, 1, { CLI_BACKEND_OR_SERVER },
	  .option = { "--last", "N", "10", read_last, "a number from 0 to 256" }, .render = render_watch,
	  .follow = follow_watch, .summary = "what happens, an event a line, after the last N (10) that did",
	  .help = "With BACKEND or BACKEND/SERVER only what is about it. -j: one JSON object a line. Goes on when the\n"
		  "agent is restarted; ends with Ctrl-C, or when nobody reads any more." },
	{ "top", "", .option = { .name = "--once" }, .follow = follow_top,
	  .summary = "rates, shares and states, each second anew; --once: one time, for scripts",
	  .help = "q quits. What does not fit on the terminal is cut off. -j: one JSON object a line." },
	{ "log level", "LEVEL", 1, 1, { CLI_LOG_LEVEL }, .timeout_ms = CLI_ANSWER_MS, .render = render_log_level,
	  .summary = "log up to this level: emerg, alert, crit, err, warning, notice, info or debug; default: as configured",
	  .help = "For all targets, until `log level default` or the agent's end; a reload keeps it. debug has every check." },
	{ "reload", "", .timeout_ms = CLI_RELOAD_MS, .render = render_reload, .summary = "read the configuration again",
	  .help = "A bad file changes nothing: its errors are printed and the exit code is 3." },
	{ "restart", "", .timeout_ms = CLI_RELOAD_MS, .render = render_restart,
	  .summary = "go on with the program that is installed now; no packet and no connection is lost",
	  .help = "The agent becomes it by exec, once it has found the configuration good. Answered when it is ready." },
	{ "announce", "", .timeout_ms = CLI_ANSWER_MS, .render = render_withdraw,
	  .summary = "end `withdraw`: addresses come up again as the servers allow" },
	{ "withdraw", "", .timeout_ms = CLI_ANSWER_MS, .render = render_withdraw,
	  .summary = "take this balancer out of service: withdraw its addresses, steer what still comes",
	  .help = "Survives reload and restart, until `announce`. `ready` says no meanwhile." },
	{ "ready", "[FRONTEND]", 0, 1, { CLI_FRONTEND }, .timeout_ms = CLI_ANSWER_MS, .render = render_ready,
	  .summary = "should traffic be sent here? Exit code 0: yes, 1: no, 4: no agent answers",
	  .help = "Steering, not withdrawn, and a service (one of FRONTEND's) has a server that takes connections.\n"
		  "keepalived's check script, see docs/active-passive.md." },
	{ "load", "IFACE [native|generic|auto]", 1, 2, { CLI_INTERFACE, CLI_XDP_MODE }, .timeout_ms = CLI_RELOAD_MS,
	  .render = render_load, .summary = "steer packets on an interface too, until the agent stops",
	  .help = "auto (the default): natively where the driver can, else generic." },
	{ "unload", "[IFACE]", 0, 1, { CLI_INTERFACE }, .timeout_ms = CLI_ANSWER_MS, .render = render_unload,
	  .summary = "stop steering on an interface; without IFACE on all: connections end",
	  .help = "The agent goes on running; `load` or `reload` steers again." },
	{ "decap load", "IFACE [native|generic|auto]", 1, 2, { CLI_INTERFACE, CLI_XDP_MODE },
	  .lists = { { "--from", "PREFIX", true, decap_is_prefix,
		       "a prefix such as 192.0.2.0/24 or 2001:db8::/64, without bits behind it, or an address" },
		     { "--address", "ADDR", false, decap_is_address, "an IP address" } },
	  .run = decap_run_load, .render = render_decap,
	  .summary = "on a server of `forward ipip`: unwrap what balancers send to this interface",
	  .help = "--from: the balancers' outer source addresses; repeatable. --address: unwrap for it, besides the\n"
		  "interface's own addresses as they are now; repeatable. Loaded anew, it is replaced without a gap.\n"
		  "Needs root; asks no agent." },
	{ "decap unload", "IFACE", 1, 1, { CLI_INTERFACE }, .run = decap_run_unload, .render = render_decap_unload,
	  .summary = "stop unwrapping on an interface", .help = "Needs root; asks no agent." },
	{ "decap show", "[IFACE]", 0, 1, { CLI_INTERFACE }, .run = decap_run_show, .render = render_decap,
	  .summary = "where packets are unwrapped, from whom, and what became of them",
	  .help = "Needs root; asks no agent." },
	{ "doctor", "[IFACE]", 0, 1, { CLI_INTERFACE },
	  .lists = { { "--file", "FILE", false, doctor_is_file, "a file's path" } }, .run = doctor_run, .may_ask = true,
	  .render = render_doctor, .summary = "is this host fit to balance, and if not, what mends it",
	  .help = "Works before the agent is started, too. With IFACE only that interface is looked at. --file: the\n"
		  "configuration, else the agent's, else /etc/alwayson/alwayson.cfg; repeatable. Needs root to see it all.\n"
		  "Exit code 0: well; 6: warnings; 1: something fails." },
	{ "version", "", .timeout_ms = CLI_ANSWER_MS, .render = render_version,
	  .summary = "versions of this program and of the agent",
	  .help = "`alwayson --version` is this program's alone, and needs no agent." },
};
const size_t cli_verb_count = array_size(cli_verbs);

/* The request's grammar and this program's is one: the same matcher reads both. */
const struct cli_verb *cli_verb_match(const char *const *words, unsigned count, unsigned *ret_used,
				      char error[static CLI_ERROR_MAX])
{
	struct control_verb grammar[array_size(cli_verbs)] = {};
	struct control_words w = { .count = count };
	char text[CONTROL_ERROR_MAX];
	const struct control_verb *found;

	if (count > CONTROL_WORDS_MAX) {
		snprintf(error, CLI_ERROR_MAX, "more than %d words", CONTROL_WORDS_MAX);
		return NULL;
	}
	memcpy(w.word, words, count * sizeof(*words));
	for (size_t i = 0; i < cli_verb_count; i++)
		grammar[i] = (struct control_verb){ .words = cli_verbs[i].words, .arguments = "",
						    .args_max = CONTROL_WORDS_MAX };
	found = control_words_match(&w, grammar, cli_verb_count, ret_used, text);
	if (!found) {
		snprintf(error, CLI_ERROR_MAX, "%.*s", CLI_ERROR_MAX - 1, text);
		return NULL;
	}
	return &cli_verbs[found - grammar];
}

const struct cli_verb *cli_verb_with_option(const char *name)
{
	for (size_t i = 0; i < cli_verb_count; i++)
		if (cli_verbs[i].option.name && strcmp(cli_verbs[i].option.name, name) == 0)
			return &cli_verbs[i];
	return NULL;
}

const struct cli_list *cli_verb_list(const struct cli_verb *v, const char *name)
{
	for (size_t i = 0; i < array_size(v->lists); i++)
		if (v->lists[i].name && strcmp(v->lists[i].name, name) == 0)
			return &v->lists[i];
	return NULL;
}

bool cli_is_list(const char *name)
{
	for (size_t i = 0; i < cli_verb_count; i++)
		if (cli_verb_list(&cli_verbs[i], name))
			return true;
	return false;
}

static bool is_name(const char *text, size_t length)
{
	if (length == 0 || length > MODEL_NAME_MAX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.:", text[i]))
			return false;
	return true;
}

static bool is_server(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash && is_name(text, slash - text) && is_name(slash + 1, strlen(slash + 1));
}

static bool is_backend_or_server(const char *text)
{
	return is_server(text) || is_name(text, strlen(text));
}

static bool is_frontend(const char *text)
{
	return is_name(text, strlen(text));
}

static bool is_weight(const char *text)
{
	unsigned n;

	return read_number(text, MODEL_WEIGHT_MAX, &n) == 0;
}

static bool is_log_level(const char *text)
{
	static const char *const levels[] = {
		"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug", "default",
	};

	for (size_t i = 0; i < array_size(levels); i++)
		if (strcmp(text, levels[i]) == 0)
			return true;
	return false;
}

static bool is_xdp_mode(const char *text)
{
	return strcmp(text, "native") == 0 || strcmp(text, "generic") == 0 || strcmp(text, "auto") == 0;
}

static bool is_acl(const char *text)
{
	return *text != '\0';
}

static bool is_prefix(const char *text)
{
	unsigned length;
	struct addr a;

	return addr_parse_prefix(text, &a, &length) == 0;
}

static bool is_address(const char *text)
{
	struct addr a;

	return addr_parse(text, &a) == 0;
}

/* The agent reads it; here only that it is one word with a colon. */
static bool is_source(const char *text)
{
	const char *colon = strrchr(text, ':');

	return colon && colon[1] && strspn(text, "0123456789abcdefABCDEF.:[]") == strlen(text);
}

static bool is_packet(const char *text)
{
	return strcmp(text, "syn") == 0 || strcmp(text, "ack") == 0 || strcmp(text, "fin") == 0 ||
	       strcmp(text, "rst") == 0;
}

static const struct {
	bool (*fits)(const char *text);
	const char *expects;
} kinds[] = {
	[CLI_SERVER] = { is_server, "BACKEND/SERVER; `alwayson show servers` lists them" },
	[CLI_BACKEND_OR_SERVER] = { is_backend_or_server, "BACKEND or BACKEND/SERVER" },
	[CLI_ACL] = { is_acl, "a list: its file, or #N; `alwayson show acl` has them" },
	[CLI_PREFIX] = { is_prefix, "an IP address or a prefix such as 192.0.2.0/24" },
	[CLI_ADDRESS] = { is_address, "an IP address" },
	[CLI_FRONTEND] = { is_frontend, "a frontend's name" },
	[CLI_WEIGHT] = { is_weight, "a weight from 0 to 256" },
	[CLI_INTERFACE] = { is_interface, "an interface's name; `ip link` lists them" },
	[CLI_LOG_LEVEL] = { is_log_level, "emerg, alert, crit, err, warning, notice, info, debug or default" },
	[CLI_XDP_MODE] = { is_xdp_mode, "native, generic or auto" },
	[CLI_SERVICE] = { is_service, "a service's name; `alwayson show services` lists them" },
	[CLI_SOURCE] = { is_source, "ADDR:PORT; IPv6: [ADDR]:PORT" },
	[CLI_PACKET] = { is_packet, "syn, ack, fin or rst" },
};

int cli_verb_check(const struct cli_verb *v, const char *const *args, unsigned count, char error[static CLI_ERROR_MAX])
{
	if (count < v->args_min) {
		snprintf(error, CLI_ERROR_MAX, "%s: an argument is missing: %s", v->words, v->arguments);
		return -EINVAL;
	}
	if (count > v->args_max) {
		snprintf(error, CLI_ERROR_MAX, "%s: `%.64s` is one argument too many", v->words, args[v->args_max]);
		return -EINVAL;
	}
	for (unsigned i = 0; i < count; i++)
		if (!kinds[v->args[i]].fits(args[i])) {
			snprintf(error, CLI_ERROR_MAX, "%s: `%.64s` is not %s", v->words, args[i],
				 kinds[v->args[i]].expects);
			return -EINVAL;
		}
	return 0;
}

int cli_verb_synopsis(const struct cli_verb *v, char *buf, size_t size)
{
	const struct cli_option *o = &v->option;
	size_t used = snprintf(buf, size, "%s%s%s%s%s%s%s%s", v->words, *v->arguments ? " " : "", v->arguments,
			       o->name ? " [" : "", o->name ? o->name : "", o->argument ? " " : "",
			       o->argument ? o->argument : "", o->name ? "]" : "");

	for (size_t i = 0; i < array_size(v->lists) && used < size; i++) {
		const struct cli_list *l = &v->lists[i];

		if (l->name)
			used += snprintf(buf + used, size - used, l->required ? " %s %s ..." : " [%s %s ...]", l->name,
					 l->argument);
	}
	return used;
}

void cli_usage_line(FILE *to, const struct cli_verb *v)
{
	char text[SYNOPSIS_MAX];

	cli_verb_synopsis(v, text, sizeof(text));
	fprintf(to, "usage: alwayson %s[-j] %s\n", v->run && !v->may_ask ? "" : "[-s SOCKET] [--name N] ", text);
}

/* "show" stands for "show services" and its like. */
static bool begins_with(const struct cli_verb *v, const char *const *words, unsigned count)
{
	const char *at = v->words;

	for (unsigned i = 0; i < count; i++) {
		size_t length = strlen(words[i]);

		if (strncmp(at, words[i], length) != 0 || (at[length] && at[length] != ' '))
			return false;
		at += length + (at[length] == ' ');
	}
	return true;
}

void cli_help_verbs(FILE *to, const char *const *words, unsigned count)
{
	char text[SYNOPSIS_MAX];
	int width = 0;

	for (size_t i = 0; i < cli_verb_count; i++) {
		int length = cli_verb_synopsis(&cli_verbs[i], text, sizeof(text));

		if (begins_with(&cli_verbs[i], words, count) && length > width && length <= HELP_COLUMN)
			width = length;
	}
	for (size_t i = 0; i < cli_verb_count; i++) {
		if (!begins_with(&cli_verbs[i], words, count))
			continue;
		if (cli_verb_synopsis(&cli_verbs[i], text, sizeof(text)) > width)
			fprintf(to, "  %s\n  %-*s", text, width, "");
		else
			fprintf(to, "  %-*s", width, text);
		fprintf(to, "  %s\n", cli_verbs[i].summary);
	}
}

void cli_help(FILE *to)
{
	fputs("usage: alwayson [-s SOCKET] [--name N] [-j] COMMAND ...\n\n"
	      "Talks to a running alwaysond, the load balancer's agent.\n\n"
	      "commands:\n", to);
	cli_help_verbs(to, NULL, 0);
	fputs("\noptions:\n"
	      "  -s, --socket PATH  the agent's socket (else $ALWAYSON_SOCKET, else /run/alwayson/control.sock)\n"
	      "      --name N       the instance N: /run/alwayson/N.sock\n"
	      "  -j, --json         print the agent's answer as it came, one JSON document\n"
	      "  -h, --help         this text; after a command, more about it\n"
	      "  -V, --version      this program's version\n"
	      "\nexit codes:\n"
	      "  0 done   1 failed or not found   2 usage   3 bad configuration   4 agent not there   5 timed out\n"
	      "  6 warnings (doctor)\n",
	      to);
}
