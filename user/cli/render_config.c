/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `show config` and `explain config`: the model as a configuration again, every default filled in. Called through the
 * verb table. What it prints is the configuration's language, with the place of each line behind a '#'; explained, with
 * that of each setting.
 */
#include <string.h>

#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/render_config.h"
#include "cli/table.h"
#include "cli/units.h"

static void print_quoted(FILE *to, const char *word)
{
	fputc('\'', to);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", to);
		else
			fputc(*word, to);
	fputc('\'', to);
}

/* Control characters are written as escapes, which single quotes do not know. */
static void print_escaped(FILE *to, const char *word)
{
	fputc('"', to);
	for (; *word; word++)
		if ((unsigned char)*word < 0x20 || *word == 0x7f)
			fprintf(to, "\\x%02x", *word);
		else
			fprintf(to, "%s%c", strchr("\"\\$", *word) ? "\\" : "", *word);
	fputc('"', to);
}

void render_word(FILE *to, const char *word)
{
	const char *c;

	for (c = word; *c && (unsigned char)*c >= 0x20 && *c != 0x7f; c++)
		;
	if (*c)
		print_escaped(to, word);
	else if (!*word || strpbrk(word, " \t\"'\\#$"))
		print_quoted(to, word);
	else
		print_safe(to, word);
}

static void print_place(FILE *to, const json_t *of)
{
	const json_t *place = json_object_get(of, "place");

	if (field_number(place, "line")) { /* 0: a default, or the command line */
		fputs("  # ", to);
		print_safe(to, field_text(place, "file"));
		fprintf(to, ":%" JSON_INTEGER_FORMAT, field_number(place, "line"));
	}
	fputc('\n', to);
}

void render_end(FILE *to, const json_t *of, const char *words)
{
	const json_t *origins = json_object_get(of, "origins"), *place = json_object_get(origins, words);

	if (place) {
		fputs("  # ", to);
		print_safe(to, field_text(place, "file"));
		fprintf(to, ":%" JSON_INTEGER_FORMAT, field_number(place, "line"));
	} else if (origins) {
		fputs("  # default", to);
	}
	fputc('\n', to);
}

void render_time(FILE *to, const char *words, const json_t *of, const char *key)
{
	char text[UNITS_TEXT_MAX];

	if (json_is_integer(json_object_get(of, key)))
		fprintf(to, "%s %s", words, units_time_word(field_number(of, key), text));
}

/* A line of its own for a member that is there. */
static void print_line(FILE *to, const char *words, const json_t *of, const char *key)
{
	if (!json_is_string(json_object_get(of, key)))
		return;
	fprintf(to, "    %s ", words);
	render_word(to, field_text(of, key));
	render_end(to, of, words);
}

/* Syslog's numbers by name. */
static const char *name_of(const json_t *of, const char *key, const char *const *names, size_t count)
{
	json_int_t n = field_number(of, key);

	return n >= 0 && n < (json_int_t)count ? names[n] : "-";
}

static void print_log(FILE *to, const json_t *log)
{
	static const char *const facilities[] = {
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp",
		"ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
		"local7",
	};
	static const char *const levels[] = {
		"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
	};

	fputs("    log ", to);
	render_word(to, field_text(log, "to"));
	fprintf(to, " len %" JSON_INTEGER_FORMAT " %s %s %s", field_number(log, "length"),
		name_of(log, "facility", facilities, array_size(facilities)),
		name_of(log, "level", levels, array_size(levels)), name_of(log, "minimum", levels, array_size(levels)));
	print_place(to, log);
}

/* none: what is printed where there is none. */
static void print_announce(FILE *to, const json_t *of, const char *none)
{
	const json_t *a = json_object_get(of, "announce");

	if (!json_is_object(a)) {
		if (!*none)
			return;
		fputs(none, to);
		render_end(to, of, "announce");
		return;
	}
	fputs("    announce ", to);
	render_word(to, field_text(a, "interface"));
	fprintf(to, " need %" JSON_INTEGER_FORMAT, field_number(a, "need"));
	render_time(to, " wait", a, "wait_ms");
	render_end(to, of, "announce");
}

static void print_ports(FILE *to, const json_t *of)
{
	fprintf(to, "%" JSON_INTEGER_FORMAT, field_number(of, "port_low"));
	if (field_number(of, "port_high") != field_number(of, "port_low"))
		fprintf(to, "-%" JSON_INTEGER_FORMAT, field_number(of, "port_high"));
}

static void print_pool(FILE *to, const json_t *s)
{
	const char *address = field_text(s, "address");

	fprintf(to, strchr(address, ':') ? "source-pool [%s]:" : "source-pool %s:", address);
	print_ports(to, s);
}

static void print_peers(FILE *to, const json_t *peers)
{
	const json_t *list = json_object_get(peers, "peers"), *n, *source;
	size_t i, j;

	if (!json_is_object(peers))
		return;
	fprintf(to, "\npeers %s\n", field_text(peers, "name"));
	if (json_is_object(json_object_get(peers, "bind_place")))
		fprintf(to, "    bind %s\n", field_text(peers, "bind"));
	json_array_foreach(list, i, n) {
		fprintf(to, "    peer %s %s", field_text(n, "name"), field_text(n, "address"));
		json_array_foreach(json_object_get(n, "source_pool"), j, source) {
			fputc(' ', to);
			print_pool(to, source);
		}
		print_place(to, n);
	}
}

static void print_global(FILE *to, const json_t *global)
{
	const json_t *list = json_object_get(global, "interfaces"), *n;
	const json_t *stats = json_object_get(global, "stats_socket");
	const json_t *logs = json_object_get(global, "logs");
	const json_t *flows = json_object_get(global, "flow_table");
	size_t i;

	fputs("global\n", to);
	json_array_foreach(list, i, n) {
		fputs("    interface ", to);
		render_word(to, field_text(n, "name"));
		fprintf(to, " xdp %s", field_text(n, "xdp"));
		if (json_is_integer(json_object_get(n, "xdp_priority")))
			fprintf(to, " priority %" JSON_INTEGER_FORMAT, field_number(n, "xdp_priority"));
		print_place(to, n);
	}
	if (json_is_string(json_object_get(stats, "path"))) {
		fputs("    stats socket ", to);
		render_word(to, field_text(stats, "path"));
		fprintf(to, " mode %s", field_text(stats, "mode"));
		if (field_number(stats, "uid") >= 0)
			fprintf(to, " uid %" JSON_INTEGER_FORMAT, field_number(stats, "uid"));
		if (field_number(stats, "gid") >= 0)
			fprintf(to, " gid %" JSON_INTEGER_FORMAT, field_number(stats, "gid"));
		fprintf(to, " level %s", field_text(stats, "level"));
		render_end(to, global, "stats socket");
	}
	print_line(to, "hash-secret", global, "hash_secret");
	print_line(to, "state-dir", global, "state_dir");
	print_line(to, "metrics", global, "metrics");
	print_line(to, "on-agent-death", global, "on_agent_death");
	if (json_is_integer(json_object_get(global, "watchdog_ms"))) {
		if (field_number(global, "watchdog_ms"))
			render_time(to, "    watchdog", global, "watchdog_ms");
		else
			fputs("    watchdog off", to);
		render_end(to, global, "watchdog");
	}
	if (json_is_object(flows)) {
		fprintf(to, "    flow-table %" JSON_INTEGER_FORMAT " %" JSON_INTEGER_FORMAT, field_number(flows, "ipv4"),
			field_number(flows, "ipv6"));
		render_end(to, global, "flow-table");
	}
	if (field_true(global, "external_check")) {
		fputs("    external-check", to);
		render_end(to, global, "external-check");
	}
	print_announce(to, global, "");
	if (json_is_string(json_object_get(global, "localpeer")))
		print_line(to, "localpeer", global, "localpeer");
	json_array_foreach(logs, i, n)
		print_log(to, n);
	print_peers(to, json_object_get(global, "peers"));
}

static bool seen_before(const json_t *services, size_t i)
{
	const char *frontend = field_text(json_array_get(services, i), "frontend");

	for (size_t j = 0; j < i; j++)
		if (field_is(json_array_get(services, j), "frontend", frontend))
			return true;
	return false;
}

static void print_bind(FILE *to, const json_t *s)
{
	const char *address = field_text(s, "address");
	bool v6 = strchr(address, ':');

	fprintf(to, "    bind %s%s%s%s:", field_is(s, "protocol", "udp") ? "udp@" : "", v6 ? "[" : "",
		field_true(s, "any_address") && !v6 ? "*" : address, v6 ? "]" : "");
	print_ports(to, s);
	if (field_true(s, "any_address") && v6) /* its IPv4 twin, if it has one, is a service of its own */
		fputs(" v6only", to);
	print_place(to, s);
}

static void print_target(FILE *to, const json_t *s)
{
	const json_t *origins = json_object_get(s, "origins");
	const char *words = json_object_get(origins, "use_backend") ? "use_backend" : "default_backend";

	fprintf(to, "    default_backend %s", field_text(s, "backend"));
	if (origins && !json_object_get(origins, words))
		fputs("  # the section's own servers\n", to);
	else
		render_end(to, s, words);
}

static void print_rules(FILE *to, const json_t *s)
{
	const json_t *rules = json_object_get(s, "rules"), *rule;
	size_t i;

	json_array_foreach(rules, i, rule) {
		fprintf(to, "    tcp-request connection %s ", field_text(rule, "action"));
		print_safe(to, field_text(rule, "condition"));
		print_place(to, rule);
	}
}

/* Where both families are bound, the IPv4 one has it if any has. */
static const json_t *rate_of(const json_t *services, const json_t *s)
{
	const json_t *other, *rate;
	size_t i;

	json_array_foreach(services, i, other) {
		rate = json_object_get(other, "rate");
		if (json_is_object(rate) && field_is(other, "frontend", field_text(s, "frontend")))
			return rate;
	}
	return NULL;
}

static void print_rate(FILE *to, const json_t *services, const json_t *s)
{
	const json_t *rate = rate_of(services, s);

	if (!rate)
		return;
	fprintf(to, "    stick-table type %s size 128k", field_text(rate, "type"));
	render_time(to, " store conn_rate(", rate, "period_ms");
	fprintf(to, ")\n    tcp-request connection track-sc0 src,ipmask(%" JSON_INTEGER_FORMAT ",%" JSON_INTEGER_FORMAT
		    ")\n    tcp-request connection reject if { sc0_conn_rate gt %" JSON_INTEGER_FORMAT " }",
		field_number(rate, "length4"), field_number(rate, "length6"), field_number(rate, "max"));
	print_place(to, rate);
}

static void print_frontends(FILE *to, const json_t *services, bool announces)
{
	const json_t *s, *other, *announced;
	size_t i, j;

	json_array_foreach(services, i, s) {
		if (seen_before(services, i))
			continue;
		fprintf(to, "\nfrontend %s\n", field_text(s, "frontend"));
		announced = NULL;
		json_array_foreach(services, j, other) {
			if (!field_is(other, "frontend", field_text(s, "frontend")))
				continue;
			print_bind(to, other);
			if (!field_true(other, "any_address"))
				announced = other;
		}
		if (announced) /* a bind on every address has none to announce */
			print_announce(to, announced, announces ? "    announce none" : "");
		print_rules(to, s);
		print_rate(to, services, s);
		render_time(to, "    timeout client", s, "timeout_client_ms");
		render_end(to, s, "timeout client");
		print_target(to, s);
	}
}

static void print_server(FILE *to, const json_t *s)
{
	const char *address = field_text(s, "address"), *check_address = field_text(s, "check_address");
	bool bare_v6 = address[0] != '[' && strchr(address, ':') != strrchr(address, ':'); /* without a port */

	fprintf(to, "    server %s %s%s%s weight %" JSON_INTEGER_FORMAT, field_text(s, "name"), bare_v6 ? "[" : "",
		address, bare_v6 ? "]" : "", field_number(s, "weight"));
	if (field_true(s, "check")) {
		fputs(" check", to);
		if (json_is_string(json_object_get(s, "check_via")))
			render_check_address(to, "via vip addr", "port", field_text(s, "check_via"));
		else if (!field_is(s, "address", check_address))
			render_check_address(to, "addr", "port", check_address);
		render_time(to, " inter", s, "inter_ms");
		render_time(to, " fastinter", s, "fastinter_ms");
		render_time(to, " downinter", s, "downinter_ms");
		fprintf(to, " rise %" JSON_INTEGER_FORMAT " fall %" JSON_INTEGER_FORMAT, field_number(s, "rise"),
			field_number(s, "fall"));
		if (!field_is(s, "init_state", "default")) /* the one state that has no word */
			fprintf(to, " init-state %s", field_text(s, "init_state"));
	}
	render_server_check(to, s);
	if (json_is_string(json_object_get(s, "quic_id")))
		fprintf(to, " quic-id %s", field_text(s, "quic_id"));
	fputs(field_true(s, "backup") ? " backup" : "", to);
	fputs(field_true(s, "disabled") ? " disabled" : "", to);
	fputs(field_true(s, "shutdown_sessions") ? " on-marked-down shutdown-sessions" : "", to);
	print_place(to, s);
	explain_server_line(to, s);
}

static void print_source(FILE *to, const json_t *s)
{
	/* Without an address of its own it is the interface's: nothing that could be written. */
	if (field_is(s, "address", "*"))
		return;
	fputs("    ", to);
	print_pool(to, s);
	print_place(to, s);
}

static void print_tunnel_source(FILE *to, const json_t *s)
{
	fprintf(to, "    tunnel-source %s/%" JSON_INTEGER_FORMAT, field_text(s, "address"), field_number(s, "length"));
	print_place(to, s);
}

static void print_word_line(FILE *to, const json_t *b, const char *words, const char *key)
{
	fprintf(to, "    %s %s", words, field_text(b, key));
	render_end(to, b, words);
}

static void print_time_line(FILE *to, const json_t *b, const char *words, const char *key)
{
	fputs("    ", to);
	render_time(to, words, b, key);
	render_end(to, b, words);
}

/* peers: the name of the peers section. */
static void print_backend(FILE *to, const json_t *b, const char *peers)
{
	const json_t *check = json_object_get(b, "check");
	const json_t *sources = json_object_get(b, "source_pool"), *source;
	const json_t *tunnel_sources = json_object_get(b, "tunnel_source");
	const json_t *servers = json_object_get(b, "servers"), *server;
	size_t i;

	fprintf(to, "\nbackend %s", field_text(b, "name"));
	print_place(to, b);
	print_word_line(to, b, "mode", "mode");
	print_word_line(to, b, "balance", "balance");
	print_word_line(to, b, "forward", "forward");
	print_word_line(to, b, "on-all-down", "on_all_down");
	if (field_number(b, "panic_threshold")) {
		fprintf(to, "    panic-threshold %" JSON_INTEGER_FORMAT, field_number(b, "panic_threshold"));
		render_end(to, b, "panic-threshold");
	}
	if (field_number(b, "udp_persist_ms"))
		print_time_line(to, b, "udp-persist", "udp_persist_ms");
	if (field_true(b, "flow_peers")) {
		fprintf(to, "    flows peers %s", peers);
		render_end(to, b, "flows");
	}
	if (json_is_object(json_object_get(b, "quic_lb"))) {
		const json_t *quic = json_object_get(b, "quic_lb");

		fprintf(to, "    quic-lb server-id-length %" JSON_INTEGER_FORMAT " config-id %" JSON_INTEGER_FORMAT,
			field_number(quic, "server_id_length"), field_number(quic, "config_id"));
		render_end(to, b, "quic-lb");
	}
	if (field_true(b, "allbackups")) {
		fputs("    option allbackups", to);
		render_end(to, b, "option allbackups");
	}
	print_time_line(to, b, "timeout connect", "timeout_connect_ms");
	print_time_line(to, b, "timeout server", "timeout_server_ms");
	if (field_number(b, "timeout_tunnel_ms"))
		print_time_line(to, b, "timeout tunnel", "timeout_tunnel_ms");
	if (field_number(b, "timeout_check_ms"))
		print_time_line(to, b, "timeout check", "timeout_check_ms");
	render_check(to, check);
	explain_check_lines(to, b);
	json_array_foreach(sources, i, source)
		print_source(to, source);
	json_array_foreach(tunnel_sources, i, source)
		print_tunnel_source(to, source);
	json_array_foreach(servers, i, server)
		print_server(to, server);
}

int render_config(const json_t *reply, const struct render *to)
{
	const json_t *files = json_object_get(reply, "files"), *file;
	const json_t *backends = json_object_get(reply, "backends"), *backend;
	size_t i;

	fputs("# in force, every default filled in; read from", to->out);
	json_array_foreach(files, i, file) {
		fputc(' ', to->out);
		print_safe(to->out, json_is_string(file) ? json_string_value(file) : "-");
	}
	fputc('\n', to->out);
	print_global(to->out, json_object_get(reply, "global"));
	print_frontends(to->out, json_object_get(reply, "services"),
			json_is_object(json_object_get(json_object_get(reply, "global"), "announce")));
	json_array_foreach(backends, i, backend)
		print_backend(to->out, backend,
			      field_text(json_object_get(json_object_get(reply, "global"), "peers"), "name"));
	return 0;
}
