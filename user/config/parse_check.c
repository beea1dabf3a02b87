/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of `option httpchk`, `option tcp-check` and the `http-check` words. Called through the keyword table. What
 * goes into a request is checked here, so that one text never becomes two requests.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/parser.h"
#include "config/value.h"

static struct request_setting request_default(void)
{
	return (struct request_setting){ .method = "OPTIONS", .uri = "/", .version = "HTTP/1.0" };
}

struct http_settings http_settings_default(void)
{
	return (struct http_settings){ .request = request_default() };
}

/* As in HAProxy, the first line of a section about its check drops all that its defaults said of it. */
static struct http_settings *own_settings(struct parser *p)
{
	struct http_settings *h = &p->settings->http;

	if (!h->own)
		*h = http_settings_default();
	h->own = true;
	return h;
}

void parse_option_tcp_check(struct parser *p, const struct config_word *args, size_t count)
{
	p->settings->check_kind = MODEL_CHECK_TCP;
	p->settings->tcp_check = true;
}

static bool take_method(struct parser *p, const struct config_word *word, const char **to)
{
	static const size_t limit = sizeof(((struct model_http_check *)0)->method) - 1;
	size_t i;

	for (i = 0; word->text[i]; i++) {
		if (!isupper((unsigned char)word->text[i]) && word->text[i] != '-')
			break;
	}
	if (!i || word->text[i] || i > limit) {
		parser_error(p, word, "'%s' is no HTTP method: 1 to %zu capital letters, such as GET", word->text,
			     limit);
		return false;
	}
	*to = parser_keep(p, word->text);
	return true;
}

/* Printable ASCII without blanks. */
static bool is_visible(const char *text)
{
	for (; *text; text++) {
		if (!isascii((unsigned char)*text) || !isgraph((unsigned char)*text))
			return false;
	}
	return true;
}

static bool take_uri(struct parser *p, const struct config_word *word, const char **to)
{
	const char *uri = word->text;

	if (strlen(uri) > MODEL_HTTP_URI_MAX) {
		parser_error(p, word, "the URI of a check has at most %d bytes (MODEL_HTTP_URI_MAX)",
			     MODEL_HTTP_URI_MAX);
		return false;
	}
	if (!is_visible(uri) || (uri[0] != '/' && strcmp(uri, "*") && strncmp(uri, "http://", 7))) {
		parser_error(p, word, "'%s' is no URI: it begins with '/', and holds visible ASCII characters only",
			     uri);
		return false;
	}
	*to = parser_keep(p, uri);
	return true;
}

static bool take_version(struct parser *p, const struct config_word *word, const char **to)
{
	if (strchr(word->text, '\r') || strchr(word->text, '\n'))
		parser_error(p, word, "headers after the version are refused: write http-check send hdr Host NAME");
	else if (strcmp(word->text, "HTTP/1.0") && strcmp(word->text, "HTTP/1.1"))
		parser_error(p, word, "'%s' is no version a check speaks: HTTP/1.0 or HTTP/1.1", word->text);
	else
		return *to = parser_keep(p, word->text), true;
	return false;
}

/* option httpchk [URI | METHOD URI [VERSION]] */
void parse_option_httpchk(struct parser *p, const struct config_word *args, size_t count)
{
	struct http_settings *h = own_settings(p);

	p->settings->check_kind = MODEL_CHECK_HTTP;
	p->settings->tcp_check = false;
	if (count > 3)
		parser_error(p, &args[3], "unexpected '%s' after the version of 'option httpchk'", args[3].text);
	else if (count == 1)
		take_uri(p, &args[0], &h->request.uri);
	else if (count && take_method(p, &args[0], &h->request.method) && take_uri(p, &args[1], &h->request.uri) && count == 3)
		take_version(p, &args[2], &h->request.version);
}

/* http-check connect [OPTION ...]: as tcp-check's */
void parse_http_connect(struct parser *p, const struct config_word *args, size_t count)
{
	struct http_settings *h = own_settings(p);

	h->sequence = true;
	step_connect(p, &h->script, args, count);
}

/* http-check expect [!] status CODES|rstatus REGEX|string TEXT|rstring REGEX */
void parse_expect(struct parser *p, const struct config_word *args, size_t count)
{
	struct http_settings *h = own_settings(p);
	struct step_setting *s = step_new(p, &h->script, &args[-1], MODEL_STEP_EXPECT);
	size_t errors = p->errors;

	if (!s)
		return;
	if (h->expect_place.line)
		h->sequence = true;
	else
		h->expect_place = parser_place(p, &args[-1]);
	p->step = s;
	statement_options(p, &keywords_http_check_expect, args, count);
	p->step = NULL;
	if (s->match != MODEL_MATCH_STATUS)
		h->sequence = true;
	if (!s->length && p->errors == errors)
		parser_error(p, &args[-1], "'http-check expect' lacks what to expect: [!] status CODES");
}

/* "200", "200-299" */
static bool read_status_range(const char *text, size_t length, struct model_status_range *ret)
{
	char copy[16], *dash;
	unsigned low, high;

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	dash = strchr(copy, '-');
	if (dash)
		*dash = '\0';
	if (!value_number(copy, 100, 599, &low) || !value_number(dash ? dash + 1 : copy, 100, 599, &high) || high < low)
		return false;
	ret->low = (uint16_t)low;
	ret->high = (uint16_t)high;
	return true;
}

/* One an expect: a second one would silently replace the first. */
static bool has_pattern(struct parser *p, const struct config_word *args)
{
	if (!p->step->length)
		return false;
	parser_error(p, &args[-1], "a second pattern in one 'http-check expect': write a line for each");
	return true;
}

void parse_expect_status(struct parser *p, const struct config_word *args, size_t count)
{
	struct model_status_range ranges[MODEL_STATUS_RANGES_MAX];
	const char *text = args[0].text;

	if (has_pattern(p, args))
		return;
	for (size_t n = 0; ; text++) {
		size_t length = strcspn(text, ",");

		if (n == MODEL_STATUS_RANGES_MAX) {
			parser_error(p, &args[0], "more than %d ranges of status codes (MODEL_STATUS_RANGES_MAX)",
				     MODEL_STATUS_RANGES_MAX);
			return;
		}
		if (!read_status_range(text, length, &ranges[n++])) {
			parser_error(p, &args[0], "'%s': status codes from 100 to 599 and ranges of them are expected, "
				     "as in 200-299,301", args[0].text);
			return;
		}
		text += length;
		if (!*text) {
			p->step->match = MODEL_MATCH_STATUS;
			step_keep_bytes(p, p->step, ranges, n * sizeof(ranges[0]));
			return;
		}
	}
}

void parse_expect_rstatus(struct parser *p, const struct config_word *args, size_t count)
{
	if (!has_pattern(p, args) && step_take_regex(p, &args[0], p->step))
		p->step->match = MODEL_MATCH_STATUS_REGEX;
}

void parse_expect_string(struct parser *p, const struct config_word *args, size_t count)
{
	if (!has_pattern(p, args))
		step_take_string(p, &args[0], p->step);
}

void parse_expect_rstring(struct parser *p, const struct config_word *args, size_t count)
{
	if (!has_pattern(p, args))
		step_take_regex(p, &args[0], p->step);
}

void parse_expect_not_status(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->negated = true;
	parse_expect_status(p, args, count);
}

void parse_expect_not_rstatus(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->negated = true;
	parse_expect_rstatus(p, args, count);
}

void parse_expect_not_string(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->negated = true;
	parse_expect_string(p, args, count);
}

void parse_expect_not_rstring(struct parser *p, const struct config_word *args, size_t count)
{
	p->step->negated = true;
	parse_expect_rstring(p, args, count);
}

/* `! status CODES` with a blank after the mark */
void parse_expect_not(struct parser *p, const struct config_word *args, size_t count)
{
	static const struct {
		const char *word;
		void (*parse)(struct parser *p, const struct config_word *args, size_t count);
	} all[] = {
		{ "status", parse_expect_not_status }, { "rstatus", parse_expect_not_rstatus },
		{ "string", parse_expect_not_string }, { "rstring", parse_expect_not_rstring },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (strcmp(args[0].text, all[i].word))
			continue;
		if (count < 2)
			parser_error(p, &args[0], "'%s' lacks %s", all[i].word,
				     i ? "its pattern" : "its codes, as in 200-299,301");
		else
			all[i].parse(p, args + 1, 1);
		return;
	}
	parser_error(p, &args[0], "'%s' of http-check expect is refused: status, rstatus, string or rstring is expected",
		     args[0].text);
}

/* http-check send [meth M] [uri U] [ver V] [hdr NAME VALUE] [body TEXT]: the first one changes what option httpchk says. */
void parse_send(struct parser *p, const struct config_word *args, size_t count)
{
	struct http_settings *h = own_settings(p);
	struct step_setting *s;

	p->request = &h->request;
	if (h->sent) {
		h->sequence = true;
		s = step_new(p, &h->script, &args[-1], MODEL_STEP_SEND);
		p->request = arena_alloc(&p->arena, sizeof(*p->request));
		if (!s || !p->request) {
			p->failed = s ? -ENOMEM : p->failed;
			return;
		}
		*p->request = request_default();
		s->request = p->request;
	} else {
		h->send_place = parser_place(p, &args[-1]);
	}
	h->sent = true;
	statement_options(p, &keywords_http_check_send, args, count);
	if (p->request->headers || p->request->body)
		h->sequence = true;
	p->request = NULL;
}

/* http-check disable-on-404 */
void parse_disable_on_404(struct parser *p, const struct config_word *args, size_t count)
{
	own_settings(p)->disable_on_404 = true;
}

void parse_send_meth(struct parser *p, const struct config_word *args, size_t count)
{
	take_method(p, &args[0], &p->request->method);
}

void parse_send_uri(struct parser *p, const struct config_word *args, size_t count)
{
	take_uri(p, &args[0], &p->request->uri);
}

void parse_send_ver(struct parser *p, const struct config_word *args, size_t count)
{
	take_version(p, &args[0], &p->request->version);
}

/* Which the check writes itself. */
static bool is_own_header(const char *name)
{
	return !strcasecmp(name, "Connection") || !strcasecmp(name, "Content-Length") ||
	       !strcasecmp(name, "Transfer-Encoding");
}

/* RFC 9110 section 5.6.2: a token. */
static bool is_header_name(const char *name)
{
	for (const char *c = name; *c; c++)
		if (!isascii((unsigned char)*c) || (!isalnum((unsigned char)*c) && !strchr("!#$&'*+-.^_`|~", *c)))
			return false;
	return *name;
}

static bool is_header_value(const char *value)
{
	for (; *value; value++)
		if (*value < ' ' || *value > '~')
			return false;
	return true;
}

static void add_header(struct parser *p, const char *name, const char *value)
{
	const char *before = p->request->headers ? p->request->headers : "";
	const size_t size = strlen(before) + strlen(name) + strlen(value) + 5;
	char *all = arena_alloc(&p->arena, size);

	if (!all) {
		p->failed = -ENOMEM;
		return;
	}
	snprintf(all, size, "%s%s: %s\r\n", before, name, value);
	p->request->headers = all;
}

/* hdr NAME VALUE */
void parse_send_hdr(struct parser *p, const struct config_word *args, size_t count)
{
	const char *name = args[0].text, *value = args[1].text;

	if (strchr(value, '%'))
		parser_error(p, &args[1], "'%s': log-format expressions are not evaluated", value);
	else if (!is_header_name(name) || is_own_header(name))
		parser_error(p, &args[0], "the header '%s' is refused: %s", name,
			     is_own_header(name) ? "a check writes it itself" : "this is no header's name");
	else if (!strcasecmp(name, "Host") && (!*value || !is_visible(value) || strlen(value) > 255))
		parser_error(p, &args[1], "'%s' is no host name: 1 to 255 visible ASCII characters", value);
	else if (!is_header_value(value) || strlen(name) + strlen(value) > 1024)
		parser_error(p, &args[1], "a header has at most 1024 bytes of printable ASCII");
	else if (!strcasecmp(name, "Host"))
		p->request->host = (struct name_setting){ parser_keep(p, value), parser_place(p, &args[1]) };
	else
		add_header(p, name, value);
}

/* body TEXT */
void parse_send_body(struct parser *p, const struct config_word *args, size_t count)
{
	if (!*args[0].text || strlen(args[0].text) > MODEL_CHECK_DATA_MAX)
		parser_error(p, &args[0], "a body has 1 to %d bytes (MODEL_CHECK_DATA_MAX)", MODEL_CHECK_DATA_MAX);
	else
		p->request->body = parser_keep(p, args[0].text);
}
