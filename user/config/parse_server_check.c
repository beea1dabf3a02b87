/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of the options of `server` and `default-server` lines that concern TLS of its checks, its agent, and what is
 * made of results. Called through the keyword table; p->server is the settings the options apply to.
 */
#include <ctype.h>
#include <string.h>

#include "config/parser.h"
#include "config/value.h"

enum { HOST_MAX = 255, PATH_LENGTH_MAX = 4095 };

bool statement_host(struct parser *p, const struct config_word *word)
{
	size_t length = strlen(word->text), i;

	for (i = 0; i < length; i++)
		if (!isascii((unsigned char)word->text[i]) || !isgraph((unsigned char)word->text[i]))
			break;
	if (length && length <= HOST_MAX && i == length && !strchr(word->text, '(') && !strchr(word->text, '%'))
		return true;
	parser_error(p, word, "'%s' is no host name: 1 to %d visible ASCII characters; expressions are not evaluated",
		     word->text, HOST_MAX);
	return false;
}

static void note_tls(struct parser *p, const struct config_word *args)
{
	if (!p->server->tls_place.line)
		p->server->tls_place = parser_place(p, &args[-1]);
}

static void note_agent(struct parser *p, const struct config_word *args)
{
	if (!p->server->agent_place.line)
		p->server->agent_place = parser_place(p, &args[-1]);
}

void parse_server_check_ssl(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->check_ssl = true;
}

void parse_server_no_check_ssl(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->check_ssl = false;
}

void parse_server_check_sni(struct parser *p, const struct config_word *args, size_t count)
{
	note_tls(p, args);
	if (statement_host(p, &args[0]))
		p->server->check_sni = parser_keep(p, args[0].text);
}

void parse_server_check_alpn(struct parser *p, const struct config_word *args, size_t count)
{
	note_tls(p, args);
	if (!model_alpn_is_valid(args[0].text))
		parser_error(p, &args[0], "'%s' is no list of protocols, as in h2,http/1.1", args[0].text);
	else
		p->server->check_alpn = parser_keep(p, args[0].text);
}

void parse_server_verify(struct parser *p, const struct config_word *args, size_t count)
{
	int none;

	note_tls(p, args);
	if (statement_choice(p, &values_verify, &args[0], &none))
		p->server->verify_none = none;
}

void parse_server_verifyhost(struct parser *p, const struct config_word *args, size_t count)
{
	note_tls(p, args);
	if (statement_host(p, &args[0]))
		p->server->verify_host = parser_keep(p, args[0].text);
}

void parse_server_no_verifyhost(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->verify_host = NULL;
}

static void take_path(struct parser *p, const struct config_word *args, const char **to)
{
	note_tls(p, args);
	if (args[0].text[0] != '/')
		parser_error(p, &args[0], "%s '%s' must be an absolute path", args[-1].text, args[0].text);
	else if (strlen(args[0].text) > PATH_LENGTH_MAX)
		parser_error(p, &args[0], "the path of %s has at most %d bytes", args[-1].text, PATH_LENGTH_MAX);
	else
		*to = parser_keep(p, args[0].text);
}

void parse_server_ca_file(struct parser *p, const struct config_word *args, size_t count)
{
	if (strcmp(args[0].text, "@system-ca")) {
		take_path(p, args, &p->server->ca_file);
	} else {
		note_tls(p, args);
		p->server->ca_file = "@system-ca";
	}
}

void parse_server_crt(struct parser *p, const struct config_word *args, size_t count)
{
	take_path(p, args, &p->server->crt);
}

void parse_server_agent_check(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->agent = true;
}

void parse_server_no_agent_check(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->agent = false;
}

void parse_server_agent_addr(struct parser *p, const struct config_word *args, size_t count)
{
	struct addr addr;
	const char *why = value_addr(args[0].text, &addr);

	note_agent(p, args);
	if (!why && addr_is_unspecified(&addr))
		why = "an agent has one address";
	if (why)
		parser_error(p, &args[0], "'%s': %s", args[0].text, why);
	else
		p->server->agent_addr = addr;
}

void parse_server_agent_port(struct parser *p, const struct config_word *args, size_t count)
{
	unsigned port;

	note_agent(p, args);
	if (statement_number(p, &args[0], 1, 65535, NULL, &port))
		p->server->agent_port = (uint16_t)port;
}

void parse_server_agent_inter(struct parser *p, const struct config_word *args, size_t count)
{
	uint32_t ms;

	note_agent(p, args);
	if (!statement_time(p, &args[0], &ms))
		return;
	if (ms)
		p->server->agent_inter_ms = ms;
	else
		parser_error(p, &args[0], "'%s': an interval of checks cannot be 0", args[0].text);
}

void parse_server_agent_send(struct parser *p, const struct config_word *args, size_t count)
{
	note_agent(p, args);
	if (!*args[0].text || strlen(args[0].text) > MODEL_AGENT_SEND_MAX)
		parser_error(p, &args[0], "1 to %d bytes can be sent to an agent (MODEL_AGENT_SEND_MAX)",
			     MODEL_AGENT_SEND_MAX);
	else
		p->server->agent_send = parser_keep(p, args[0].text);
}

void parse_server_slowstart(struct parser *p, const struct config_word *args, size_t count)
{
	statement_time(p, &args[0], &p->server->slowstart_ms);
}

void parse_server_track(struct parser *p, const struct config_word *args, size_t count)
{
	p->server->track = (struct name_setting){ parser_keep(p, args[0].text), parser_place(p, &args[0]) };
}

/* flap-damping COUNT PERIOD */
void parse_server_flap_damping(struct parser *p, const struct config_word *args, size_t count)
{
	uint32_t ms;
	unsigned times;

	if (!statement_number(p, &args[0], 0, MODEL_FLAPS_MAX, "MODEL_FLAPS_MAX", &times) ||
	    !statement_time(p, &args[1], &ms))
		return;
	if (times && !ms) {
		parser_error(p, &args[1], "'%s': the period cannot be 0", args[1].text);
		return;
	}
	p->server->flap_count = times;
	p->server->flap_ms = ms;
}
