/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of `option httpchk`, `option tcp-check` and the `http-check` words. Called through the keyword table. What
 * goes into a request is checked here, so that a check never sends more than one request.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "config/parser.h"
#include "config/value.h"

struct http_settings http_settings_default(void)
{
	return (struct http_settings){ .method = "OPTIONS", .uri = "/", .version = "HTTP/1.0" };
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
		take_uri(p, &args[0], &h->uri);
	else if (count && take_method(p, &args[0], &h->method) && take_uri(p, &args[1], &h->uri) && count == 3)
		take_version(p, &args[2], &h->version);
}

/* http-check expect [!] status CODES */
void parse_expect(struct parser *p, const struct config_word *args, size_t count)
{
	struct http_settings *h = own_settings(p);
	size_t errors = p->errors;

	if (h->expect_place.line) {
		parser_error(p, &args[-1], "a second 'http-check expect': one is understood, and it is on %s",
			     parser_where(p, p->at, h->expect_place));
		return;
	}
	h->expect_place = parser_place(p, &args[-1]);
	statement_options(p, &keywords_http_check_expect, args, count);
	if (!h->expect_count && p->errors == errors)
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

void parse_expect_status(struct parser *p, const struct config_word *args, size_t count)
{
	struct http_settings *h = &p->settings->http;
	const char *text = args[0].text;

	for (h->expect_count = 0; ; text++) {
		size_t length = strcspn(text, ",");

		if (h->expect_count == MODEL_STATUS_RANGES_MAX) {
			parser_error(p, &args[0], "more than %d ranges of status codes (MODEL_STATUS_RANGES_MAX)",
				     MODEL_STATUS_RANGES_MAX);
			return;
		}
		if (!read_status_range(text, length, &h->expect[h->expect_count])) {
			parser_error(p, &args[0], "'%s': status codes from 100 to 599 and ranges of them are expected, "
				     "as in 200-299,301", args[0].text);
			return;
		}
		h->expect_count++;
		text += length;
		if (!*text)
			return;
	}
}

void parse_expect_not_status(struct parser *p, const struct config_word *args, size_t count)
{
	p->settings->http.expect_negated = true;
	parse_expect_status(p, args, count);
}

/* `! status CODES` with a blank after the mark */
void parse_expect_not(struct parser *p, const struct config_word *args, size_t count)
{
	if (strcmp(args[0].text, "status"))
		parser_error(p, &args[0], "'%s' of http-check expect is refused: only `[!] status` is understood yet",
			     args[0].text);
	else if (count < 2)
		parser_error(p, &args[0], "'status' lacks its codes, as in 200-299,301");
	else
		parse_expect_not_status(p, args + 1, 1);
}

/* http-check send [meth M] [uri U] [ver V] [hdr Host NAME] */
void parse_send(struct parser *p, const struct config_word *args, size_t count)
{
	struct http_settings *h = own_settings(p);

	if (h->send_place.line) {
		parser_error(p, &args[-1], "a second 'http-check send': one request is sent, and it is on %s",
			     parser_where(p, p->at, h->send_place));
		return;
	}
	h->send_place = parser_place(p, &args[-1]);
	statement_options(p, &keywords_http_check_send, args, count);
}

void parse_send_meth(struct parser *p, const struct config_word *args, size_t count)
{
	take_method(p, &args[0], &p->settings->http.method);
}

void parse_send_uri(struct parser *p, const struct config_word *args, size_t count)
{
	take_uri(p, &args[0], &p->settings->http.uri);
}

void parse_send_ver(struct parser *p, const struct config_word *args, size_t count)
{
	take_version(p, &args[0], &p->settings->http.version);
}

void parse_send_hdr(struct parser *p, const struct config_word *args, size_t count)
{
	struct name_setting *host = &p->settings->http.host;
	const char *value = args[1].text;

	if (strcasecmp(args[0].text, "Host"))
		parser_error(p, &args[0], "the header '%s' is refused: only Host can be sent yet", args[0].text);
	else if (strchr(value, '%'))
		parser_error(p, &args[1], "'%s': log-format expressions are not evaluated", value);
	else if (!*value || !is_visible(value) || strlen(value) > 255)
		parser_error(p, &args[1], "'%s' is no host name: 1 to 255 visible ASCII characters", value);
	else
		*host = (struct name_setting){ parser_keep(p, value), parser_place(p, &args[1]) };
}
