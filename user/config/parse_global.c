/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of the global section: interfaces, files, logs and the control socket. Called through the keyword table.
 * They fill the model's global part directly; user and group names are looked up in the system's databases.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <net/if.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "config/parser.h"
#include "config/value.h"

/* Copies an absolute path into the model; an error for any other. */
static void take_path(struct parser *p, const struct config_word *word, const char *what, size_t limit, char **to)
{
	if (word->text[0] != '/') {
		parser_error(p, word, "%s '%s' must be an absolute path", what, word->text);
		return;
	}
	if (strlen(word->text) > limit) {
		parser_error(p, word, "the path of %s has at most %zu bytes", what, limit);
		return;
	}
	free(*to);
	*to = parser_model_string(p, word->text);
}

/* Reports a second line of a thing there is one of. */
static bool seen_before(struct parser *p, const struct config_word *word, const char *what, bool *seen)
{
	if (*seen)
		parser_error(p, word, "a second '%s': there is one, and it is set above", what);
	if (*seen)
		return true;
	*seen = true;
	return false;
}

void parse_hash_secret(struct parser *p, const struct config_word *args, size_t count)
{
	if (!seen_before(p, &args[-1], "hash-secret", &p->hash_secret_seen))
		take_path(p, &args[0], "hash-secret", PATH_MAX - 1, &p->model->global.hash_secret_file);
}

void parse_state_dir(struct parser *p, const struct config_word *args, size_t count)
{
	if (!seen_before(p, &args[-1], "state-dir", &p->state_dir_seen))
		take_path(p, &args[0], "state-dir", PATH_MAX - 1, &p->model->global.state_dir);
}

/* on-agent-death keep|pass */
void parse_on_agent_death(struct parser *p, const struct config_word *args, size_t count)
{
	int action;

	if (!seen_before(p, &args[-1], "on-agent-death", &p->agent_death_seen) &&
	    statement_choice(p, &values_on_agent_death, &args[0], &action))
		p->model->global.on_agent_death = (enum model_death)action;
}

/* watchdog TIME|off */
void parse_watchdog(struct parser *p, const struct config_word *args, size_t count)
{
	uint32_t ms = 0;

	if (seen_before(p, &args[-1], "watchdog", &p->watchdog_seen))
		return;
	if (strcmp(args[0].text, "off") && !statement_time(p, &args[0], &ms))
		return;
	if (strcmp(args[0].text, "off") && (ms < MODEL_WATCHDOG_MIN_MS || ms > MODEL_WATCHDOG_MAX_MS))
		parser_error(p, &args[0], "'%s' is not between 2s (MODEL_WATCHDOG_MIN_MS) and 1h (MODEL_WATCHDOG_MAX_MS), nor "
			     "'off'", args[0].text);
	else
		p->model->global.watchdog_ms = ms;
}

/* flow-table IPV4-RECORDS [IPV6-RECORDS] */
void parse_flow_table(struct parser *p, const struct config_word *args, size_t count)
{
	uint32_t *to[] = { &p->model->global.flows4, &p->model->global.flows6 };

	if (seen_before(p, &args[-1], "flow-table", &p->flow_table_seen))
		return;
	for (size_t i = 0; i < count && i < 2; i++) {
		unsigned records;

		if (statement_number(p, &args[i], MODEL_FLOWS_MIN, MODEL_FLOWS_MAX, "MODEL_FLOWS_MAX", &records))
			*to[i] = records;
	}
}

/* metrics ADDRESS:PORT */
void parse_metrics(struct parser *p, const struct config_word *args, size_t count)
{
	struct value_address a;
	const char *why;

	if (seen_before(p, &args[-1], "metrics", &p->metrics_seen))
		return;
	why = value_address(args[0].text, &a);
	if (!why && (a.tcp || a.udp))
		why = "no prefix is expected, it is TCP";
	if (!why && !a.has_ports)
		why = "the port is missing";
	if (!why && a.port_low != a.port_high)
		why = "one port is expected, not a range";
	if (why)
		parser_error(p, &args[0], "'%s': %s (such as 127.0.0.1:9101, *:9101 or [::1]:9101)", args[0].text, why);
	else
		p->model->global.metrics = (struct endpoint){ .addr = a.addr, .port = a.port_low };
}

bool parser_interface_name_valid(const char *name)
{
	size_t length = strlen(name), i;

	if (!length || length >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (i = 0; i < length; i++) {
		if (!isascii((unsigned char)name[i]) || !isgraph((unsigned char)name[i]) || name[i] == '/' ||
		    name[i] == ':')
			return false;
	}
	return true;
}

/* xdp MODE [priority N], the words behind an interface's name. */
static bool read_xdp(struct parser *p, const struct config_word *args, size_t count, struct model_interface *ret)
{
	int mode;

	if (strcmp(args[0].text, "xdp")) {
		parser_error(p, &args[0], "unexpected '%s'; it is written: interface NAME [xdp MODE [priority N]]", args[0].text);
		return false;
	}
	if (count == 1) {
		parser_error(p, &args[0], "'xdp' lacks its mode: auto, native, generic or shared");
		return false;
	}
	if (!statement_choice(p, &values_xdp, &args[1], &mode))
		return false;
	ret->mode = mode;
	if (count == 2)
		return true;
	if (strcmp(args[2].text, "priority")) {
		parser_error(p, &args[2], "unexpected '%s'; it is written: interface NAME [xdp MODE [priority N]]", args[2].text);
		return false;
	}
	if (ret->mode != MODEL_XDP_SHARED) {
		parser_error(p, &args[2], "'priority' is for `xdp shared`: else no other program runs there");
		return false;
	}
	if (count == 3) {
		parser_error(p, &args[2], "a number is expected behind 'priority'");
		return false;
	}
	return statement_number(p, &args[3], 0, MODEL_XDP_PRIORITY_MAX, "MODEL_XDP_PRIORITY_MAX", &ret->priority);
}

/* interface NAME [xdp MODE [priority N]] */
void parse_interface(struct parser *p, const struct config_word *args, size_t count)
{
	struct model_global *g = &p->model->global;
	struct model_interface new = { .mode = MODEL_XDP_AUTO, .priority = MODEL_XDP_PRIORITY }, *interface;
	size_t i;

	if (!parser_interface_name_valid(args[0].text)) {
		parser_error(p, &args[0],
			     "'%s' cannot be the name of an interface (1 to %d ASCII characters, no blank, / or :)",
			     args[0].text, IFNAMSIZ - 1);
		return;
	}
	if (count > 1 && !read_xdp(p, &args[1], count - 1, &new))
		return;
	for (i = 0; i < g->interfaces.count; i++) {
		if (!strcmp(g->interfaces.items[i].name, args[0].text)) {
			parser_error(p, &args[0], "interface '%s' is given twice", args[0].text);
			return;
		}
	}
	if (g->interfaces.count == MODEL_INTERFACES_MAX) {
		parser_error(p, &args[-1], "more than %d interfaces (MODEL_INTERFACES_MAX)", MODEL_INTERFACES_MAX);
		return;
	}
	interface = vec_push(&g->interfaces);
	if (!interface) {
		p->failed = -ENOMEM;
		return;
	}
	*interface = new;
	strcpy(interface->name, args[0].text);
	interface->place = parser_model_place(p, p->at);
}

/* The address of a log line: a path, stdout, stderr or an IP address. */
static bool read_log_target(struct parser *p, const struct config_word *word, struct model_log *log)
{
	struct value_address a;
	const char *why, *path = word->text;

	if (!strncmp(path, "unix@", 5) || !strncmp(path, "uxdg@", 5))
		path += 5;
	if (path[0] == '/') {
		if (strlen(path) > MODEL_SOCKET_PATH_MAX) {
			parser_error(p, word, "the path of a log socket has at most %d bytes (MODEL_SOCKET_PATH_MAX)",
				     MODEL_SOCKET_PATH_MAX);
			return false;
		}
		log->kind = MODEL_LOG_SOCKET;
		log->path = parser_model_string(p, path);
		return true;
	}
	if (!strcmp(path, "stdout") || !strcmp(path, "stderr")) {
		log->kind = path[3] == 'o' ? MODEL_LOG_STDOUT : MODEL_LOG_STDERR;
		return true;
	}
	if (!strcmp(path, "global"))
		why = "'global' is for the other sections: it means the lines that are written here";
	else
		why = value_address(path, &a);
	if (!why && (a.any || (a.has_ports && a.port_low != a.port_high) || a.tcp))
		why = "a log line needs one address, one port and UDP";
	if (why) {
		parser_error(p, word, "'%s': %s (a path, stdout, stderr or an IP address is expected)", word->text,
			     why);
		return false;
	}
	log->kind = MODEL_LOG_UDP;
	log->at = (struct endpoint){ .addr = a.addr, .port = a.has_ports ? a.port_low : 514 };
	return true;
}

/* FACILITY [LEVEL [MINIMUM]] after the options. */
static bool read_log_levels(struct parser *p, const struct config_word *args, size_t count, struct model_log *log)
{
	unsigned *const to[] = { &log->facility, &log->level, &log->level_min };
	size_t i;

	if (!count) {
		parser_error(p, &args[-1], "the log line lacks its facility, such as local0 or daemon");
		return false;
	}
	for (i = 0; i < count; i++) {
		int value = 0;

		if (i == 3) {
			parser_error(p, &args[i], "unexpected '%s' after the log line's levels", args[i].text);
			return false;
		}
		if (!statement_choice(p, i ? &values_log_level : &values_facility, &args[i], &value))
			return false;
		*to[i] = (unsigned)value;
	}
	return true;
}

/* log ADDRESS [len N] [format F] FACILITY [LEVEL [MINIMUM]] */
void parse_log_global(struct parser *p, const struct config_word *args, size_t count)
{
	struct model_log log = { .length_max = 1024, .level = 7 }, *to;
	size_t i = 1;
	int format;

	if (!read_log_target(p, &args[0], &log))
		return;
	for (; i + 1 < count; i += 2) {
		if (!strcmp(args[i].text, "len")) {
			if (!statement_number(p, &args[i + 1], 80, 65535, NULL, &log.length_max))
				goto refused;
		} else if (!strcmp(args[i].text, "format")) {
			if (!statement_choice(p, &values_log_format, &args[i + 1], &format))
				goto refused;
		} else if (!strcmp(args[i].text, "sample")) {
			parser_error(p, &args[i], "'sample' is refused: every event is sent to every log");
			goto refused;
		} else {
			break;
		}
	}
	if (!read_log_levels(p, &args[i], count - i, &log))
		goto refused;
	if (p->model->global.logs.count == MODEL_LOGS_MAX) {
		parser_error(p, &args[-1], "more than %d log lines (MODEL_LOGS_MAX)", MODEL_LOGS_MAX);
		goto refused;
	}
	to = vec_push(&p->model->global.logs);
	if (!to) {
		p->failed = -ENOMEM;
		goto refused;
	}
	log.place = parser_model_place(p, p->at);
	*to = log;
	return;
refused:
	free(log.path);
}

/* stats socket PATH [OPTION ...] */
void parse_stats_socket(struct parser *p, const struct config_word *args, size_t count)
{
	struct config_word path = args[0];

	if (!strncmp(path.text, "unix@", 5))
		path.text += 5;
	if (path.text[0] != '/') {
		parser_error(p, &path, "'%s': the control socket is a UNIX socket; an absolute path is expected",
			     path.text);
		return;
	}
	if (seen_before(p, &args[-1], "stats socket", &p->stats_seen))
		return;
	take_path(p, &path, "stats socket", MODEL_SOCKET_PATH_MAX, &p->model->global.stats.path);
	statement_options(p, &keywords_stats_socket, args + 1, count - 1);
}

void parse_stats_mode(struct parser *p, const struct config_word *args, size_t count)
{
	char *end;
	unsigned long mode = strtoul(args[0].text, &end, 8);

	if (args[0].text[0] < '0' || args[0].text[0] > '7' || *end || mode > 0777)
		parser_error(p, &args[0], "'%s' is no file mode; three octal digits are expected, such as 660",
			     args[0].text);
	else
		p->model->global.stats.mode = (mode_t)mode;
}

void parse_stats_uid(struct parser *p, const struct config_word *args, size_t count)
{
	unsigned uid;

	if (statement_number(p, &args[0], 0, UINT32_MAX - 1, NULL, &uid))
		p->model->global.stats.uid = uid;
}

void parse_stats_gid(struct parser *p, const struct config_word *args, size_t count)
{
	unsigned gid;

	if (statement_number(p, &args[0], 0, UINT32_MAX - 1, NULL, &gid))
		p->model->global.stats.gid = gid;
}

void parse_stats_user(struct parser *p, const struct config_word *args, size_t count)
{
	char buffer[4096];
	struct passwd entry, *found = NULL;

	if (getpwnam_r(args[0].text, &entry, buffer, sizeof(buffer), &found) || !found)
		parser_error(p, &args[0], "there is no user '%s' on this system", args[0].text);
	else
		p->model->global.stats.uid = entry.pw_uid;
}

void parse_stats_group(struct parser *p, const struct config_word *args, size_t count)
{
	char buffer[16384];
	struct group entry, *found = NULL;

	if (getgrnam_r(args[0].text, &entry, buffer, sizeof(buffer), &found) || !found)
		parser_error(p, &args[0], "there is no group '%s' on this system", args[0].text);
	else
		p->model->global.stats.gid = entry.gr_gid;
}

void parse_stats_level(struct parser *p, const struct config_word *args, size_t count)
{
	int level;

	if (statement_choice(p, &values_level, &args[0], &level))
		p->model->global.stats.level = level;
}
