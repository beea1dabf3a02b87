/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which connection ids name which servers: `quic-lb` of a backend and `quic-id` of its servers. Unencrypted ids of
 * draft-ietf-quic-load-balancers.
 */
#include <ctype.h>
#include <string.h>

#include "config/parser.h"

/* quic-lb server-id-length N [config-id C] */
void parse_quic_lb(struct parser *p, const struct config_word *args, size_t count)
{
	struct quic_settings new = { .place = parser_place(p, &args[-1]) };

	if (p->settings->quic.place.line) {
		parser_error(p, &args[-1], "'quic-lb' is given twice: %s",
			     parser_where(p, p->at, p->settings->quic.place));
		return;
	}
	for (size_t i = 0; i < count; i += 2) {
		const bool length = !strcmp(args[i].text, "server-id-length");

		if (!length && strcmp(args[i].text, "config-id")) {
			parser_error(p, &args[i], "'%s' of quic-lb is refused: what is understood is `quic-lb "
				     "server-id-length N [config-id C]`", args[i].text);
			return;
		}
		if (i + 1 == count) {
			parser_error(p, &args[i], "a number is expected behind '%s'", args[i].text);
			return;
		}
		if (length ? !statement_number(p, &args[i + 1], 1, MODEL_QUIC_ID_MAX, "MODEL_QUIC_ID_MAX", &new.length) :
			     !statement_number(p, &args[i + 1], 0, MODEL_QUIC_CONFIG_MAX, "MODEL_QUIC_CONFIG_MAX",
					       &new.config))
			return;
	}
	if (new.length)
		p->settings->quic = new;
	else
		parser_error(p, &args[-1], "'quic-lb' lacks 'server-id-length N'");
}

static int digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* quic-id HEX */
void parse_server_quic_id(struct parser *p, const struct config_word *args, size_t count)
{
	const char *text = args[0].text;
	const size_t digits = strlen(text);

	p->server->quic_place = parser_place(p, &args[0]);
	p->server->quic_length = 0;
	if (strspn(text, "0123456789abcdefABCDEF") != digits || !digits || digits % 2) {
		parser_error(p, &args[0], "'%s': a server id is pairs of hexadecimal digits", text);
		return;
	}
	if (digits / 2 > MODEL_QUIC_ID_MAX) {
		parser_error(p, &args[0], "a server id has at most %d bytes (MODEL_QUIC_ID_MAX); this one has %zu",
			     MODEL_QUIC_ID_MAX, digits / 2);
		return;
	}
	p->server->quic_length = (unsigned)(digits / 2);
	for (size_t i = 0; i < digits / 2; i++)
		p->server->quic_id[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
}

static bool serves_udp(const struct model *m, size_t backend)
{
	for (size_t i = 0; i < m->services.count; i++)
		if (m->services.items[i].backend == backend && m->services.items[i].protocol == MODEL_UDP)
			return true;
	return false;
}

static void validate_server_id(struct parser *p, const struct proxy *x, size_t server)
{
	const struct server_draft *draft = &x->servers.items[server];
	const struct server_settings *s = &draft->settings;

	if (!s->quic_length && s->quic_place.line)
		return; /* it was read, and refused */
	if (!s->quic_length) {
		parser_error_at(p, draft->place, "server '%s' has no 'quic-id': with 'quic-lb' every server has its own",
				draft->name);
		return;
	}
	if (s->quic_length != x->settings.quic.length) {
		parser_error_at(p, s->quic_place, "the server id has %u bytes; 'server-id-length' on %s says %u",
				s->quic_length, parser_where(p, s->quic_place, x->settings.quic.place),
				x->settings.quic.length);
		return;
	}
	for (size_t i = 0; i < server; i++) {
		const struct server_draft *other = &x->servers.items[i];

		if (other->settings.quic_length == s->quic_length &&
		    !memcmp(other->settings.quic_id, s->quic_id, s->quic_length)) {
			parser_error_at(p, s->quic_place, "this id is that of server '%s' on %s", other->name,
					parser_where(p, s->quic_place, other->place));
			return;
		}
	}
}

void validate_quic(struct parser *p, size_t backend)
{
	const struct proxy *x = p->backends.items[backend];

	for (size_t i = 0; i < x->servers.count; i++) {
		const struct server_settings *s = &x->servers.items[i].settings;

		if (x->settings.quic.length)
			validate_server_id(p, x, i);
		else if (s->quic_length)
			parser_error_at(p, s->quic_place, "'quic-id' needs 'quic-lb server-id-length %u' in the backend",
					s->quic_length);
	}
	if (x->settings.quic.length && !serves_udp(p->model, backend))
		parser_notice_at(p, x->settings.quic.place, "this has no effect: nothing is sent to '%s' by UDP", x->name);
}
