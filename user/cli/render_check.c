/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `show config`: the checks as a configuration again. Called by render_config.c. Prints no place: the lines of a check
 * are told by the section's.
 */
#include <string.h>

#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render_config.h"

static bool has(const json_t *of, const char *key)
{
	return json_is_string(json_object_get(of, key));
}

/* " WORD VALUE" for a member that is there. */
static void print_option(FILE *to, const char *word, const json_t *of, const char *key)
{
	if (!has(of, key))
		return;
	fprintf(to, " %s ", word);
	render_word(to, field_text(of, key));
}

static void print_404(FILE *to, const json_t *check)
{
	if (field_true(check, "disable_on_404"))
		fputs("\n    http-check disable-on-404", to);
}

static void print_http(FILE *to, const json_t *check)
{
	const json_t *expect = json_object_get(check, "expect"), *range;
	const json_t *ranges = json_object_get(expect, "status");
	size_t i;

	fputs("    option httpchk\n    http-check send meth ", to);
	render_word(to, field_text(check, "method"));
	fputs(" uri ", to);
	render_word(to, field_text(check, "uri"));
	fprintf(to, " ver %s", field_text(check, "version"));
	print_option(to, "hdr Host", check, "host");
	print_404(to, check);
	fprintf(to, "\n    http-check expect %sstatus ", field_true(expect, "not") ? "! " : "");
	json_array_foreach(ranges, i, range) {
		json_int_t low = json_integer_value(json_array_get(range, 0));
		json_int_t high = json_integer_value(json_array_get(range, 1));

		fprintf(to, "%s%" JSON_INTEGER_FORMAT, i ? "," : "", low);
		if (high != low)
			fprintf(to, "-%" JSON_INTEGER_FORMAT, high);
	}
	fputc('\n', to);
}

static void print_match(FILE *to, const json_t *step)
{
	print_option(to, "status", step, "status");
	print_option(to, "rstatus", step, "rstatus");
	print_option(to, "string", step, "string");
	print_option(to, "rstring", step, "rstring");
	print_option(to, "binary", step, "binary");
}

static void print_send(FILE *to, const json_t *step)
{
	print_option(to, "send", step, "string");
	print_option(to, "send-binary", step, "binary");
}

static void print_connect(FILE *to, const json_t *step)
{
	fputs(" connect", to);
	fputs(field_true(step, "default") ? " default" : "", to);
	print_option(to, "addr", step, "address");
	if (field_number(step, "port"))
		fprintf(to, " port %" JSON_INTEGER_FORMAT, field_number(step, "port"));
	fputs(field_true(step, "ssl") ? " ssl" : "", to);
	print_option(to, "sni", step, "sni");
	print_option(to, "alpn", step, "alpn");
	fputs(field_true(step, "linger") ? " linger" : "", to);
	print_option(to, "comment", step, "comment");
}

/* One line of a request: "NAME: VALUE"; what the check writes itself is left out. */
static void print_header(FILE *to, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	_cleanup_free_ char *name = NULL, *value = NULL;

	if (!colon)
		return;
	name = strndup(line, (size_t)(colon - line));
	value = strndup(colon + 2, length - (size_t)(colon - line) - 2);
	if (!name || !value || strcmp(name, "Connection") == 0 || strcmp(name, "Content-Length") == 0)
		return;
	fputs(" hdr ", to);
	render_word(to, name);
	fputc(' ', to);
	render_word(to, value);
}

/* The request of an http-check send, taken apart again. */
static void print_request(FILE *to, const json_t *step)
{
	static const char *const words[] = { " meth ", " uri ", " ver " };
	const char *text = field_text(step, "string"), *end = strstr(text, "\r\n");

	fputs(" send", to);
	for (size_t i = 0; end && i < array_size(words); i++) {
		size_t length = strcspn(text, " \r");
		_cleanup_free_ char *word = strndup(text, length);

		fputs(words[i], to);
		render_word(to, word ? word : "");
		text += length + (text[length] == ' ');
	}
	if (!end)
		return;
	for (text = end + 2; (end = strstr(text, "\r\n")) && end != text; text = end + 2)
		print_header(to, text, (size_t)(end - text));
	if (end && end[2]) {
		fputs(" body ", to);
		render_word(to, end + 2);
	}
}

static void print_step(FILE *to, const json_t *step, bool http)
{
	fputs(http ? "    http-check" : "    tcp-check", to);
	if (field_is(step, "step", "connect")) {
		print_connect(to, step);
	} else if (http && field_is(step, "step", "send")) {
		print_request(to, step);
	} else if (field_is(step, "step", "send")) {
		print_send(to, step);
		print_option(to, "comment", step, "comment");
	} else {
		fputs(" expect", to);
		if (field_number(step, "min_recv"))
			fprintf(to, " min-recv %" JSON_INTEGER_FORMAT, field_number(step, "min_recv"));
		print_option(to, "comment", step, "comment");
		fputs(field_true(step, "not") ? " !" : "", to);
		print_match(to, step);
	}
	fputc('\n', to);
}

/* The words that the plugin itself reads, but for `ask`, which a role stands for. */
static void print_plugin_words(FILE *to, const json_t *check, bool mysql)
{
	const json_t *word;
	size_t i;

	json_array_foreach(json_object_get(check, "words"), i, word) {
		const char *text = json_string_value(word);

		if (mysql && strcmp(text, "ask") == 0)
			continue;
		if (mysql && strcmp(text, "heartbeat") == 0)
			fputs(" lag-source", to);
		fputc(' ', to);
		render_word(to, text);
	}
}

static void print_role(FILE *to, const json_t *check)
{
	if (field_is(check, "role", "any"))
		return;
	fprintf(to, " role %s", field_text(check, "role"));
	fputs(field_true(check, "or_primary") ? " or-primary" : "", to);
	if (field_number(check, "max_lag_ms"))
		render_time(to, " max-lag", check, "max_lag_ms");
	if (field_number(check, "recover_lag_ms"))
		render_time(to, " recover-lag", check, "recover_lag_ms");
	fputs(field_true(check, "weight_by_lag") ? " weight-by-lag" : "", to);
	if (field_is(check, "role", "primary"))
		fprintf(to, " max-writers %" JSON_INTEGER_FORMAT " on-conflict %s", field_number(check, "max_writers"),
			field_text(check, "on_conflict"));
}

/* `option mysql-check` has a number of writers; `option plugin-check mysql` has none. */
static void print_plugin(FILE *to, const json_t *check)
{
	const bool mysql = field_number(check, "max_writers") > 0;

	fprintf(to, "    option %s", mysql ? "mysql-check" : "plugin-check ");
	if (!mysql)
		render_word(to, field_text(check, "plugin"));
	print_option(to, "password-file", check, "password_file");
	print_plugin_words(to, check, mysql);
	if (mysql)
		print_role(to, check);
	fputc('\n', to);
}

void render_check(FILE *to, const json_t *check)
{
	const json_t *steps = json_object_get(check, "steps"), *step;
	size_t i;

	if (field_is(check, "kind", "http")) {
		print_http(to, check);
	} else if (field_is(check, "kind", "udp")) {
		fputs("    option udp-check", to);
		print_send(to, json_array_get(steps, 0));
		fputs(" expect", to);
		print_match(to, json_array_get(steps, 1));
		fputc('\n', to);
	} else if (field_is(check, "kind", "script") || field_is(check, "kind", "http-script")) {
		const bool http = field_is(check, "kind", "http-script");

		fputs(http ? "    option httpchk" : "    option tcp-check", to);
		print_404(to, check);
		fputc('\n', to);
		json_array_foreach(steps, i, step)
			print_step(to, step, http);
	} else if (field_is(check, "kind", "dns")) {
		fputs("    option dns-check", to);
		print_option(to, "name", check, "name");
		print_option(to, "type", check, "type");
		fputc('\n', to);
	} else if (field_is(check, "kind", "plugin")) {
		print_plugin(to, check);
	} else if (field_is(check, "kind", "external")) {
		fputs("    option external-check\n", to);
		fputs("    external-check", to);
		print_option(to, "command", check, "command");
		fputc('\n', to);
		if (has(check, "path")) {
			fputs("    external-check", to);
			print_option(to, "path", check, "path");
			fputc('\n', to);
		}
	}
}

/* "192.0.2.1:80" as the words `addr 192.0.2.1 port 80`. */
void render_check_address(FILE *to, const char *addr_word, const char *port_word, const char *endpoint)
{
	const char *colon = strrchr(endpoint, ':');
	bool bracketed = *endpoint == '[';

	if (!colon)
		return;
	fprintf(to, " %s %.*s %s %s", addr_word, (int)(colon - endpoint) - 2 * bracketed, endpoint + bracketed,
		port_word, colon + 1);
}

static void print_tls(FILE *to, const json_t *tls)
{
	if (!json_is_object(tls))
		return;
	fputs(field_true(tls, "check_ssl") ? " check-ssl" : "", to);
	fprintf(to, " verify %s", field_text(tls, "verify"));
	print_option(to, "ca-file", tls, "ca_file");
	print_option(to, "crt", tls, "crt");
	print_option(to, "check-sni", tls, "check_sni");
	print_option(to, "check-alpn", tls, "check_alpn");
	print_option(to, "verifyhost", tls, "verifyhost");
}

void render_server_check(FILE *to, const json_t *s)
{
	const json_t *agent = json_object_get(s, "agent");

	print_tls(to, json_object_get(s, "tls"));
	if (json_is_object(agent)) {
		fputs(" agent-check", to);
		render_check_address(to, "agent-addr", "agent-port", field_text(agent, "address"));
		render_time(to, " agent-inter", agent, "inter_ms");
		print_option(to, "agent-send", agent, "send");
	}
	print_option(to, "track", s, "track");
	if (field_number(s, "slowstart_ms"))
		render_time(to, " slowstart", s, "slowstart_ms");
	if (field_number(s, "flap_count")) {
		fprintf(to, " flap-damping %" JSON_INTEGER_FORMAT, field_number(s, "flap_count"));
		render_time(to, "", s, "flap_ms");
	}
}
