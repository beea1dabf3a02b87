/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of defaults, frontend, listen and backend sections, but for binds, servers and checks. Called through the
 * keyword table, which has seen to section and number of arguments.
 */
#include <string.h>

#include "base/suggest.h"
#include "config/parser.h"
#include "config/value.h"

void parse_mode(struct parser *p, const struct config_word *args, size_t count)
{
	int mode;

	if (statement_choice(p, &values_mode, &args[0], &mode))
		p->settings->mode = mode;
}

/* balance ALGORITHM: what stands in parentheses belongs to algorithms that are refused as a whole. */
void parse_balance(struct parser *p, const struct config_word *args, size_t count)
{
	struct config_word name = args[0];
	const char *parenthesis = strchr(name.text, '(');
	char text[MODEL_NAME_MAX + 1];
	int balance;

	if (parenthesis && (size_t)(parenthesis - name.text) < sizeof(text)) {
		memcpy(text, name.text, (size_t)(parenthesis - name.text));
		text[parenthesis - name.text] = '\0';
		name.text = text;
	}
	if (!statement_choice(p, &values_balance, &name, &balance))
		return;
	if (count > 1 || parenthesis)
		parser_error(p, &args[count - 1], "'balance %s' takes no arguments", name.text);
	else
		p->settings->balance = balance;
}

void parse_hash_type(struct parser *p, const struct config_word *args, size_t count)
{
	int ignored;
	size_t i;

	if (!statement_choice(p, &values_hash_type, &args[0], &ignored))
		return;
	for (i = 1; i < count; i++) {
		if (!statement_choice(p, &values_hash_function, &args[i], &ignored))
			return;
		if (i == 2 && strcmp(args[i].text, "avalanche"))
			parser_error(p, &args[i], "unexpected '%s'; only 'avalanche' may stand here", args[i].text);
	}
}

void parse_forward(struct parser *p, const struct config_word *args, size_t count)
{
	int forward;

	if (statement_choice(p, &values_forward, &args[0], &forward))
		p->settings->forward = forward;
}

void parse_on_all_down(struct parser *p, const struct config_word *args, size_t count)
{
	int action;

	if (statement_choice(p, &values_on_all_down, &args[0], &action))
		p->settings->on_all_down = action;
}

/* panic-threshold PERCENT; 0 takes back an inherited one */
void parse_panic_threshold(struct parser *p, const struct config_word *args, size_t count)
{
	statement_number(p, &args[0], 0, 100, NULL, &p->settings->panic_percent);
}

/* udp-persist TIME: a client's datagrams stay with one server for as long as it pauses no longer; 0 = not at all */
void parse_udp_persist(struct parser *p, const struct config_word *args, size_t count)
{
	statement_time(p, &args[0], &p->settings->udp_persist_ms);
}

/* Switches a whole frontend off. A backend has no listener to close: its servers are disabled one by one. */
void parse_disabled(struct parser *p, const struct config_word *args, size_t count)
{
	if (p->section == SECTION_BACKEND)
		parser_error(p, &args[-1], "'disabled' is refused in a backend: write it on the server lines");
	else
		p->settings->disabled = true;
}

void parse_enabled(struct parser *p, const struct config_word *args, size_t count)
{
	p->settings->disabled = false;
}

static void read_timeout(struct parser *p, const struct config_word *word, struct time_setting *to)
{
	uint32_t ms;

	if (!statement_time(p, word, &ms))
		return;
	to->ms = ms;
	to->place = parser_place(p, word);
}

void parse_timeout_client(struct parser *p, const struct config_word *args, size_t count)
{
	read_timeout(p, &args[0], &p->settings->client);
}

void parse_timeout_server(struct parser *p, const struct config_word *args, size_t count)
{
	read_timeout(p, &args[0], &p->settings->server);
}

void parse_timeout_connect(struct parser *p, const struct config_word *args, size_t count)
{
	read_timeout(p, &args[0], &p->settings->connect);
}

void parse_timeout_tunnel(struct parser *p, const struct config_word *args, size_t count)
{
	read_timeout(p, &args[0], &p->settings->tunnel);
}

void parse_timeout_check(struct parser *p, const struct config_word *args, size_t count)
{
	read_timeout(p, &args[0], &p->settings->check);
}

void parse_option_allbackups(struct parser *p, const struct config_word *args, size_t count)
{
	p->settings->all_backups = p->form == FORM_PLAIN;
}

void parse_default_backend(struct parser *p, const struct config_word *args, size_t count)
{
	p->settings->default_backend.name = parser_keep(p, args[0].text);
	p->settings->default_backend.place = parser_place(p, &args[0]);
}

/* use_backend NAME: without a condition the first one decides, and nothing after it is ever looked at. */
void parse_use_backend(struct parser *p, const struct config_word *args, size_t count)
{
	if (count > 1 && (!strcmp(args[1].text, "if") || !strcmp(args[1].text, "unless"))) {
		parser_error(p, &args[1],
			     "'use_backend' with a condition is refused: conditions and rules on connections "
			     "are not evaluated at layer 4");
		return;
	}
	if (count > 1) {
		parser_error(p, &args[1], "unexpected '%s' after 'use_backend %s'", args[1].text, args[0].text);
		return;
	}
	if (strchr(args[0].text, '%')) {
		parser_error(p, &args[0],
			     "a backend's name cannot be an expression: those are not evaluated at layer 4");
		return;
	}
	if (p->proxy->use_backend.name) {
		parser_notice(p, &args[-1], "this 'use_backend' is never reached: %s decides",
			      parser_where(p, p->at, p->proxy->use_backend.place));
		return;
	}
	p->proxy->use_backend.name = parser_keep(p, args[0].text);
	p->proxy->use_backend.place = parser_place(p, &args[0]);
}

static const struct source_setting *overlapping_source(const struct proxy_settings *s, const struct source_setting *new)
{
	size_t i;

	for (i = 0; i < s->source_count; i++) {
		const struct source_setting *old = &s->sources[i];

		if (addr_equal(&old->addr, &new->addr) && old->port_low <= new->port_high &&
		    new->port_low <= old->port_high)
			return old;
	}
	return NULL;
}

bool statement_source(struct parser *p, const struct config_word *word, struct source_setting *ret)
{
	struct value_address a;
	const char *why = value_address(word->text, &a);

	if (!why && (a.udp || a.tcp))
		why = "the prefix says nothing here: the ports are used for TCP and UDP";
	if (why) {
		parser_error(p, word, "'%s': %s", word->text, why);
		return false;
	}
	*ret = (struct source_setting){
		.port_low = a.has_ports ? a.port_low : MODEL_POOL_PORT_LOW,
		.port_high = a.has_ports ? a.port_high : MODEL_POOL_PORT_HIGH, .place = parser_place(p, word),
	};
	if (!a.any)
		ret->addr = a.addr;
	return true;
}

/* source-pool ADDR[:LOW-HIGH]; `*` is the interface's own address. A section's lines replace those it inherits. */
void parse_source_pool(struct parser *p, const struct config_word *args, size_t count)
{
	struct proxy_settings *s = p->settings;
	const struct source_setting *other;
	struct source_setting source;

	if (!statement_source(p, &args[0], &source))
		return;
	if (!s->sources_own)
		s->source_count = 0;
	s->sources_own = true;
	other = overlapping_source(s, &source);
	if (other) {
		parser_error(p, &args[0], "'%s' shares ports with the source-pool of %s", args[0].text,
			     parser_where(p, p->at, other->place));
		return;
	}
	if (s->source_count == MODEL_SOURCES_MAX) {
		parser_error(p, &args[-1], "more than %d source-pool lines (MODEL_SOURCES_MAX)", MODEL_SOURCES_MAX);
		return;
	}
	s->sources[s->source_count++] = source;
}

/* HAProxy's words for a server that sees the client's address: the balancer's own has no say, so it is no address. */
bool statement_any_source(struct parser *p, const struct config_word *word)
{
	struct value_address a;
	const char *why = value_address(word->text, &a);

	if (!why && !a.udp && !a.tcp && !a.has_ports && a.any)
		return true;
	parser_error(p, word, "'%s': only 'source 0.0.0.0 usesrc clientip' is known here; own addresses towards the servers "
			      "are 'source-pool ADDR[:LOW-HIGH]'", word->text);
	return false;
}

bool statement_client_source(struct parser *p, const struct config_word *word)
{
	if (!strcmp(word->text, "client") || !strcmp(word->text, "clientip"))
		return true;
	parser_error(p, word, "'usesrc %s' can't be: the servers see the address that the packets come from; write "
			      "'usesrc clientip'", word->text);
	return false;
}

/* source 0.0.0.0 usesrc clientip; `client` is the same, as the client's port is kept in any case. */
void parse_source(struct parser *p, const struct config_word *args, size_t count)
{
	struct proxy_settings *s = p->settings;

	if (!statement_any_source(p, &args[0]))
		return;
	if (count == 1 || strcmp(args[1].text, "usesrc")) {
		parser_error(p, &args[count > 1], "'source' needs 'usesrc clientip' here; own addresses towards the servers are "
						  "'source-pool ADDR[:LOW-HIGH]'");
		return;
	}
	if (count == 2) {
		parser_error(p, &args[1], "'usesrc' lacks its value: clientip");
		return;
	}
	if (!statement_client_source(p, &args[2]))
		return;
	s->transparent = true;
	s->source_place = parser_place(p, &args[0]);
}

/* The source of a section that is of this family, or NULL. */
static const struct tunnel_setting *tunnel_source_of(const struct proxy_settings *s, uint8_t family)
{
	for (size_t i = 0; i < s->tunnel_source_count; i++)
		if (s->tunnel_sources[i].addr.family == family)
			return &s->tunnel_sources[i];
	return NULL;
}

/* tunnel-source ADDR[/LENGTH], one a family; `*` is the interface's own. Lines replace those that are inherited. */
void parse_tunnel_source(struct parser *p, const struct config_word *args, size_t count)
{
	struct proxy_settings *s = p->settings;
	struct tunnel_setting source = { .place = parser_place(p, &args[0]) };
	const bool any = !strcmp(args[0].text, "*");
	const struct tunnel_setting *other;
	const char *why = NULL;
	unsigned length;

	if (!s->tunnel_sources_own) {
		s->tunnel_source_count = 0;
		s->tunnel_any = (struct place){};
	}
	s->tunnel_sources_own = true;
	if (!any)
		why = value_prefix(args[0].text, &source.addr, &length);
	if (why) {
		parser_error(p, &args[0], "'%s': %s", args[0].text, why);
		return;
	}
	if (s->tunnel_any.line || (any && s->tunnel_source_count)) {
		parser_error(p, &args[0], "'*' stands for both families: this and %s exclude each other",
			     parser_where(p, p->at, any && s->tunnel_source_count ? s->tunnel_sources[0].place :
										    s->tunnel_any));
		return;
	}
	if (any) {
		s->tunnel_any = source.place;
		return;
	}
	other = tunnel_source_of(s, source.addr.family);
	if (other) {
		parser_error(p, &args[0], "a second tunnel-source of this family: there is one, on %s",
			     parser_where(p, p->at, other->place));
		return;
	}
	source.bits = addr_bits(&source.addr) - length;
	if (source.bits)
		parser_notice(p, &args[0],
			      "the tunnel's packets come from all of %s: firewalls must let them pass, and a server's "
			      "rp_filter must not be strict", args[0].text);
	if (source.bits > MODEL_TUNNEL_BITS_MAX)
		source.bits = MODEL_TUNNEL_BITS_MAX;
	s->tunnel_sources[s->tunnel_source_count++] = source;
}
