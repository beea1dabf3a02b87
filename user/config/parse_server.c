/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of `server` and `default-server` lines and of their options. Called through the keyword table; p->server is
 * the settings the options apply to.
 */
#include <errno.h>
#include <string.h>

#include "config/parser.h"
#include "config/value.h"

struct server_settings server_settings_default(void)
{
	return (struct server_settings){ .weight = 1, .rise = 2, .fall = 3, .inter_ms = 2000,
					 .agent_inter_ms = 2000 };
}

/* Remembers the first word of the line that says nothing unless the server is checked. */
static void note_check_detail(struct parser *p, const struct config_word *args)
{
	if (!p->server->check_detail)
		p->server->check_detail_place = parser_place(p, &args[-1]);
	p->server->check_detail = true;
}

void parse_server_check(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->check = true;
}

void parse_server_no_check(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->check = false;
}

void parse_server_backup(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->backup = true;
}

void parse_server_no_backup(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->backup = false;
}

void parse_server_disabled(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->disabled = true;
}

void parse_server_enabled(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->disabled = false;
}

/* source 0.0.0.0 usesrc clientip: two words of HAProxy's, of which the second is looked for when the line is over. */
void parse_server_source(struct parser *p, const struct config_word *args, size_t count)
{
	if (statement_any_source(p, &args[0]))
		p->server->source_place = parser_place(p, &args[-1]);
}

void parse_server_usesrc(struct parser *p, const struct config_word *args, size_t count)
{
	if (!p->server->source_place.line)
		parser_error(p, &args[-1], "'usesrc' stands behind 'source 0.0.0.0'");
	else if (statement_client_source(p, &args[0]))
		p->server->transparent = true;
	else
		p->server->source_place.line = 0; /* said once */
}

void parse_server_weight(struct parser *p, const struct config_word *args, size_t count)
{
	statement_number(p, &args[0], 0, MODEL_WEIGHT_MAX, "MODEL_WEIGHT_MAX", &p->server->weight);
}

void parse_server_rise(struct parser *p, const struct config_word *args, size_t count)
{
	note_check_detail(p, args);
	statement_number(p, &args[0], 1, MODEL_COUNT_MAX, "MODEL_COUNT_MAX", &p->server->rise);
}

void parse_server_fall(struct parser *p, const struct config_word *args, size_t count)
{
	note_check_detail(p, args);
	statement_number(p, &args[0], 1, MODEL_COUNT_MAX, "MODEL_COUNT_MAX", &p->server->fall);
}

static void read_interval(struct parser *p, const struct config_word *args, uint32_t *to)
{
	uint32_t ms;

	note_check_detail(p, args);
	if (!statement_time(p, &args[0], &ms))
		return;
	if (ms)
		*to = ms;
	else
		parser_error(p, &args[0], "'%s': an interval of checks cannot be 0", args[0].text);
}

void parse_server_inter(struct parser *p, const struct config_word *args, size_t count)
{
	read_interval(p, args, &p->server->inter_ms);
}

void parse_server_fastinter(struct parser *p, const struct config_word *args, size_t count)
{
	read_interval(p, args, &p->server->fastinter_ms);
}

void parse_server_downinter(struct parser *p, const struct config_word *args, size_t count)
{
	read_interval(p, args, &p->server->downinter_ms);
}

void parse_server_port(struct parser *p, const struct config_word *args, size_t count)
{
	unsigned port;

	note_check_detail(p, args);
	if (statement_number(p, &args[0], 1, 65535, NULL, &port))
		p->server->check_port = (uint16_t)port;
}

void parse_server_addr(struct parser *p, const struct config_word *args, size_t count)
{
	const char *why;
	struct addr addr;

	note_check_detail(p, args);
	why = value_addr(args[0].text, &addr);
	if (!why && addr_is_unspecified(&addr))
		why = "a check needs one address";
	if (why)
		parser_error(p, &args[0], "'%s': %s", args[0].text, why);
	else
		p->server->check_addr = addr;
}

/* via vip: the check goes to the service's address by way of this server. */
void parse_server_via(struct parser *p, const struct config_word *args, size_t count)
{
	int vip;

	note_check_detail(p, args);
	if (!statement_choice(p, &values_via, &args[0], &vip))
		return;
	p->server->via = vip;
}

void parse_server_on_marked_down(struct parser *p, const struct config_word *args, size_t count)
{
	int on;

	if (statement_choice(p, &values_on_marked_down, &args[0], &on))
		p->server->shutdown_sessions = on;
}

void parse_server_init_state(struct parser *p, const struct config_word *args, size_t count)
{
	int state;

	note_check_detail(p, args);
	if (statement_choice(p, &values_init_state, &args[0], &state))
		p->server->init_state = state;
}

static void check_source(struct parser *p)
{
	if (p->server->source_place.line && !p->server->transparent)
		parser_error_at(p, p->server->source_place, "'source' needs 'usesrc clientip' here; own addresses towards the "
				"servers are 'source-pool ADDR[:LOW-HIGH]' in the backend");
}

/* default-server OPTION ...: merges into what was set before; a server line starts from it. */
void parse_default_server(struct parser *p, const struct config_word *args, size_t count)
{
	p->server = &p->settings->default_server;
	statement_options(p, &keywords_server, args, count);
	check_source(p);
	p->server->check_detail = false;
	p->server->tls_place = p->server->agent_place = p->server->source_place = (struct place){};
	p->server = NULL;
}

static bool read_server_address(struct parser *p, const struct config_word *word, struct endpoint *ret)
{
	struct value_address a;
	const char *why = value_address(word->text, &a);

	if (!why && a.udp)
		why = "a server has no protocol of its own: 'udp@' belongs on the bind";
	if (!why && a.any)
		why = "a server needs an address of its own; packets are not sent back to where they came for";
	if (!why && a.has_ports && a.port_low != a.port_high)
		why = "a server has one port, or none to keep the packet's own";
	if (why) {
		parser_error(p, word, "'%s': %s", word->text, why);
		return false;
	}
	*ret = (struct endpoint){ .addr = a.addr, .port = a.has_ports ? a.port_low : 0 };
	return true;
}

/* server NAME ADDRESS[:PORT] [OPTION ...] */
void parse_server(struct parser *p, const struct config_word *args, size_t count)
{
	struct server_draft draft = { .settings = p->settings->default_server, .place = parser_place(p, &args[0]) };
	struct server_draft *to;
	bool good;
	size_t i;

	good = statement_name(p, &args[0], "server");
	for (i = 0; good && i < p->proxy->servers.count; i++) {
		if (!strcmp(p->proxy->servers.items[i].name, args[0].text)) {
			parser_error(p, &args[0], "the backend has a server '%s' already: %s", args[0].text,
				     parser_where(p, p->at, p->proxy->servers.items[i].place));
			good = false;
		}
	}
	good = read_server_address(p, &args[1], &draft.at) && good;
	p->server = &draft.settings;
	statement_options(p, &keywords_server, args + 2, count - 2);
	check_source(p);
	p->server = NULL;
	if (!good)
		return;
	if (!draft.settings.check && draft.settings.check_detail)
		parser_notice_at(p, draft.settings.check_detail_place,
				 "this has no effect: server '%s' is not checked; add 'check'", args[0].text);
	to = vec_push(&p->proxy->servers);
	if (!to) {
		p->failed = -ENOMEM;
		return;
	}
	draft.name = parser_keep(p, args[0].text);
	*to = draft;
}
