/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of checks other than http: `option tcp-check` with its steps, `option udp-check`, `option dns-check`,
 * `option external-check`. Called through the keyword table. Bytes and patterns are read and bounded here, so that
 * health/ never meets one it can't use.
 */
#include <errno.h>
#include <regex.h>
#include <string.h>

#include "config/parser.h"
#include "config/value.h"

/* The first line of a section about its tcp-check drops all steps that its defaults gave it, as with http-check. */
struct step_setting *step_new(struct parser *p, struct script_settings *s, const struct config_word *word,
			      enum model_step kind)
{
	struct step_setting *step;

	if (!s->own) {
		*s = (struct script_settings){ .own = true, .place = parser_place(p, word) };
		s->steps = arena_alloc(&p->arena, MODEL_CHECK_STEPS_MAX * sizeof(*s->steps));
		if (!s->steps) {
			p->failed = -ENOMEM;
			s->own = false;
			return NULL;
		}
	}
	if (s->count == MODEL_CHECK_STEPS_MAX) {
		parser_error(p, word, "more than %d steps of a check (MODEL_CHECK_STEPS_MAX)",
			     MODEL_CHECK_STEPS_MAX);
		return NULL;
	}
	step = &s->steps[s->count++];
	step->kind = kind;
	return step;
}

void step_keep_bytes(struct parser *p, struct step_setting *s, const void *bytes, size_t length)
{
	uint8_t *copy = arena_alloc(&p->arena, length + 1);

	if (!copy) {
		p->failed = -ENOMEM;
		return;
	}
	memcpy(copy, bytes, length);
	s->data = copy;
	s->length = length;
}

bool step_take_string(struct parser *p, const struct config_word *word, struct step_setting *s)
{
	size_t length = strlen(word->text);

	if (!length || length > MODEL_CHECK_DATA_MAX) {
		parser_error(p, word, "1 to %d bytes can be sent or expected (MODEL_CHECK_DATA_MAX)",
			     MODEL_CHECK_DATA_MAX);
		return false;
	}
	s->match = MODEL_MATCH_STRING;
	step_keep_bytes(p, s, word->text, length);
	return true;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

static bool take_binary(struct parser *p, const struct config_word *word, struct step_setting *s)
{
	size_t length = strlen(word->text) / 2;
	uint8_t bytes[MODEL_CHECK_DATA_MAX];

	if (!length || strlen(word->text) % 2 || length > MODEL_CHECK_DATA_MAX) {
		parser_error(p, word, "1 to %d bytes of two hexadecimal digits each are expected "
			     "(MODEL_CHECK_DATA_MAX)", MODEL_CHECK_DATA_MAX);
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		int high = hex_digit(word->text[2 * i]), low = hex_digit(word->text[2 * i + 1]);

		if (high < 0 || low < 0) {
			parser_error(p, word, "'%.2s' is no hexadecimal byte", word->text + 2 * i);
			return false;
		}
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	s->match = MODEL_MATCH_BINARY;
	step_keep_bytes(p, s, bytes, length);
	return true;
}

/* A back-reference can make a server's answer cost any amount of time. */
static bool has_back_reference(const char *pattern)
{
	for (; *pattern; pattern++) {
		if (*pattern != '\\' || !pattern[1])
			continue;
		pattern++;
		if (*pattern >= '1' && *pattern <= '9')
			return true;
	}
	return false;
}

bool step_take_regex(struct parser *p, const struct config_word *word, struct step_setting *s)
{
	char why[128];
	regex_t regex;
	int r;

	if (!*word->text || strlen(word->text) > MODEL_CHECK_REGEX_MAX) {
		parser_error(p, word, "a regular expression has 1 to %d bytes (MODEL_CHECK_REGEX_MAX)",
			     MODEL_CHECK_REGEX_MAX);
		return false;
	}
	if (has_back_reference(word->text)) {
		parser_error(p, word, "'%s': back-references are refused: a server's answer could make them take any "
			     "time", word->text);
		return false;
	}
	r = regcomp(&regex, word->text, REG_EXTENDED);
	if (r) {
		regerror(r, &regex, why, sizeof(why));
		parser_error(p, word, "'%s' is no POSIX extended regular expression: %s", word->text, why);
		return false;
	}
	regfree(&regex);
	s->match = MODEL_MATCH_REGEX;
	step_keep_bytes(p, s, word->text, strlen(word->text));
	return true;
}

/* [comment TEXT] behind what is sent */
static void take_comment(struct parser *p, const struct config_word *args, size_t count, struct step_setting *s)
{
	if (!count)
		return;
	if (strcmp(args[0].text, "comment"))
		parser_error(p, &args[0], "unexpected '%s'; only 'comment TEXT' may follow", args[0].text);
	else if (count < 2)
		parser_error(p, &args[0], "'comment' lacks its text");
	else if (count > 2)
		parser_error(p, &args[2], "unexpected '%s' after the comment", args[2].text);
	else
		s->comment = parser_keep(p, args[1].text);
}

/* tcp-check send DATA [comment TEXT] */
void parse_step_send(struct parser *p, const struct config_word *args, size_t count)
{
	struct step_setting *s = step_new(p, &p->settings->script, &args[-1], MODEL_STEP_SEND);

	if (s && step_take_string(p, &args[0], s))
		take_comment(p, args + 1, count - 1, s);
}

void parse_step_send_binary(struct parser *p, const struct config_word *args, size_t count)
{
	struct step_setting *s = step_new(p, &p->settings->script, &args[-1], MODEL_STEP_SEND);

	if (s && take_binary(p, &args[0], s))
		take_comment(p, args + 1, count - 1, s);
}

/* tcp-check connect [default] [port PORT] [addr ADDRESS] [ssl] [sni NAME] [alpn LIST] [linger] [comment TEXT] */
void parse_step_connect(struct parser *p, const struct config_word *args, size_t count)
{
	step_connect(p, &p->settings->script, args, count);
}

void step_connect(struct parser *p, struct script_settings *to, const struct config_word *args, size_t count)
{
	struct step_setting *s = step_new(p, to, &args[-1], MODEL_STEP_CONNECT);

	if (!s)
		return;
	p->step = s;
	statement_options(p, &keywords_tcp_check_connect, args, count);
	p->step = NULL;
	if (!s->tls && !s->server_options && (s->sni || s->alpn))
		parser_error(p, &args[-1], "'sni' and 'alpn' need 'ssl' in the same line");
}

void parse_connect_default(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->server_options = true;
}

void parse_connect_ssl(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->tls = true;
}

void parse_connect_linger(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->linger = true;
}

void parse_connect_port(struct parser *p, const struct config_word *args, size_t count)
{
	unsigned port;

	if (statement_number(p, &args[0], 1, 65535, NULL, &port))
		p->step->port = (uint16_t)port;
}

void parse_connect_addr(struct parser *p, const struct config_word *args, size_t count)
{
	const char *why = value_addr(args[0].text, &p->step->addr);

	if (!why && addr_is_unspecified(&p->step->addr))
		why = "a check needs one address";
	if (why)
		parser_error(p, &args[0], "'%s': %s", args[0].text, why);
}

void parse_connect_sni(struct parser *p, const struct config_word *args, size_t count)
{
	if (statement_host(p, &args[0]))
		p->step->sni = parser_keep(p, args[0].text);
}

void parse_connect_alpn(struct parser *p, const struct config_word *args, size_t count)
{
	if (!model_alpn_is_valid(args[0].text))
		parser_error(p, &args[0], "'%s' is no list of protocols, as in h2,http/1.1", args[0].text);
	else
		p->step->alpn = parser_keep(p, args[0].text);
}

void parse_step_comment(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->comment = parser_keep(p, args[0].text);
}

/* tcp-check expect [min-recv N] [comment TEXT] [!] string|rstring|binary PATTERN */
void parse_step_expect(struct parser *p, const struct config_word *args, size_t count)
{
	struct step_setting *s = step_new(p, &p->settings->script, &args[-1], MODEL_STEP_EXPECT);
	size_t errors = p->errors;

	if (!s)
		return;
	p->step = s;
	statement_options(p, &keywords_tcp_check_expect, args, count);
	p->step = NULL;
	if (!s->length && p->errors == errors)
		parser_error(p, &args[-1],
			     "'tcp-check expect' lacks what to expect: [!] string|rstring|binary PATTERN");
}

void parse_expect_min_recv(struct parser *p, const struct config_word *args, size_t count)
{
	statement_number(p, &args[0], 1, MODEL_CHECK_ANSWER_MAX, "MODEL_CHECK_ANSWER_MAX", &p->step->min_recv);
}

/* One pattern an expect: a second one would silently replace the first. */
static bool has_pattern(struct parser *p, const struct config_word *args)
{
	if (!p->step->length)
		return false;
	parser_error(p, &args[-1], "a second pattern in one 'tcp-check expect': write a line for each");
	return true;
}

void parse_match_string(struct parser *p, const struct config_word *args, size_t count)
{
	if (!has_pattern(p, args))
		step_take_string(p, &args[0], p->step);
}

void parse_match_binary(struct parser *p, const struct config_word *args, size_t count)
{
	if (!has_pattern(p, args))
		take_binary(p, &args[0], p->step);
}

void parse_match_rstring(struct parser *p, const struct config_word *args, size_t count)
{
	if (!has_pattern(p, args))
		step_take_regex(p, &args[0], p->step);
}

void parse_match_not_string(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->negated = true;
	parse_match_string(p, args, count);
}

void parse_match_not_binary(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->negated = true;
	parse_match_binary(p, args, count);
}

void parse_match_not_rstring(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->negated = true;
	parse_match_rstring(p, args, count);
}

/* `string PATTERN` and its like, where they follow another word. */
static void take_match(struct parser *p, const struct config_word *args, struct step_setting *s)
{
	if (!strcmp(args[0].text, "string"))
		step_take_string(p, &args[1], s);
	else if (!strcmp(args[0].text, "binary"))
		take_binary(p, &args[1], s);
	else if (!strcmp(args[0].text, "rstring"))
		step_take_regex(p, &args[1], s);
	else
		parser_error(p, &args[0], "'%s': string, rstring or binary is expected", args[0].text);
}

/* `! string PATTERN` with a blank after the mark */
void parse_match_not(struct parser *p, const struct config_word *args, size_t count)
{
	if (has_pattern(p, args))
		return;
	p->step->negated = true;
	take_match(p, args, p->step);
}

/* option udp-check send TEXT|send-binary HEX expect string|rstring|binary PATTERN */
void parse_option_udp_check(struct parser *p, const struct config_word *args, size_t count)
{
	struct script_settings *s = &p->settings->datagram;
	bool binary = !strcmp(args[0].text, "send-binary");

	if (!binary && strcmp(args[0].text, "send")) {
		parser_error(p, &args[0], "'%s': 'option udp-check' begins with 'send TEXT' or 'send-binary HEX'",
			     args[0].text);
		return;
	}
	if (strcmp(args[2].text, "expect")) {
		parser_error(p, &args[2], "'%s': 'expect string|rstring|binary PATTERN' must follow", args[2].text);
		return;
	}
	*s = (struct script_settings){ .own = true, .place = parser_place(p, &args[-1]) };
	s->steps = arena_alloc(&p->arena, 2 * sizeof(*s->steps));
	if (!s->steps) {
		p->failed = -ENOMEM;
		return;
	}
	s->count = 2;
	s->steps[0].kind = MODEL_STEP_SEND;
	s->steps[1].kind = MODEL_STEP_EXPECT;
	if (binary)
		take_binary(p, &args[1], &s->steps[0]);
	else
		step_take_string(p, &args[1], &s->steps[0]);
	take_match(p, &args[3], &s->steps[1]);
	p->settings->check_kind = MODEL_CHECK_SCRIPT;
	p->settings->tcp_check = false;
}

/* option dns-check [name NAME] [type TYPE] */
void parse_option_dns_check(struct parser *p, const struct config_word *args, size_t count)
{
	struct dns_settings dns = { .type = 2 }; /* NS: of the root, the one thing that every resolver knows */
	bool has_type = false;

	for (size_t i = 0; i < count; i += 2) {
		bool name = !strcmp(args[i].text, "name");

		if (!name && strcmp(args[i].text, "type")) {
			parser_error(p, &args[i], "unexpected '%s'; it is written: option dns-check [name NAME] "
				     "[type TYPE]", args[i].text);
			return;
		}
		if (i + 1 == count) {
			parser_error(p, &args[i], "'%s' lacks its argument", args[i].text);
			return;
		}
		if (name && !model_dns_name_is_valid(args[i + 1].text)) {
			parser_error(p, &args[i + 1], "'%s' is no domain name: labels of 1 to 63 bytes, %d in all "
				     "(MODEL_DNS_NAME_MAX)", args[i + 1].text, MODEL_DNS_NAME_MAX);
			return;
		}
		if (!name && model_dns_type_parse(args[i + 1].text, &dns.type) < 0) {
			parser_error(p, &args[i + 1], "'%s' is no type that a check asks for: A, AAAA, CNAME, MX, NS, "
				     "PTR, SOA, SRV or TXT", args[i + 1].text);
			return;
		}
		if (name)
			dns.name = parser_keep(p, args[i + 1].text);
		else
			has_type = true;
	}
	if (dns.name && !has_type)
		dns.type = 1;
	p->settings->dns = dns;
	p->settings->check_kind = MODEL_CHECK_DNS;
	p->settings->tcp_check = false;
}

/* option external-check */
void parse_option_external_check(struct parser *p, const struct config_word *args, size_t count)
{
	p->settings->check_kind = MODEL_CHECK_EXTERNAL;
	p->settings->tcp_check = false;
	p->settings->external.place = parser_place(p, &args[-1]);
}

/* external-check command PATH: an absolute one, since the process that starts it looks in no other place. */
void parse_external_command(struct parser *p, const struct config_word *args, size_t count)
{
	if (args[0].text[0] != '/' || strlen(args[0].text) > MODEL_COMMAND_MAX)
		parser_error(p, &args[0], "'%s': the command is an absolute path of at most %d bytes "
			     "(MODEL_COMMAND_MAX)", args[0].text, MODEL_COMMAND_MAX);
	else
		p->settings->external.command = parser_keep(p, args[0].text);
}

/* external-check path PATH:PATH... */
void parse_external_path(struct parser *p, const struct config_word *args, size_t count)
{
	if (strlen(args[0].text) > MODEL_COMMAND_MAX)
		parser_error(p, &args[0], "the path has at most %d bytes (MODEL_COMMAND_MAX)", MODEL_COMMAND_MAX);
	else
		p->settings->external.path = parser_keep(p, args[0].text);
}

/* global: external-check, without which no command is ever started */
void parse_external_check(struct parser *p, const struct config_word *args, size_t count)
{
	if (count)
		parser_error(p, &args[0], "'%s' is refused: a command gets HAProxy's variables and no others",
			     args[0].text);
	p->model->global.external_check = true;
}
