/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handlers of `bind` lines: a list of addresses, each with a port or a range, and the options they share. Called
 * through the keyword table; build.c makes a service of each.
 */
#include <errno.h>
#include <string.h>

#include "config/parser.h"
#include "config/value.h"

void parse_bind_name(struct parser *p, const struct config_word *args, size_t count)
{
	if (strchr(args[0].text, ':'))
		parser_error(p, &args[0], "'%s': the name of a bind holds no colon", args[0].text);
	else if (statement_name(p, &args[0], "bind"))
		p->bind->name = parser_keep(p, args[0].text);
}

void parse_bind_v4v6(struct parser *p, const struct config_word *args, size_t count)
{
	p->bind_v4v6 = true;
}

void parse_bind_v6only(struct parser *p, const struct config_word *args, size_t count)
{
	p->bind_v6only = true;
}

static void add_bind(struct parser *p, const struct bind_draft *draft)
{
	struct bind_draft *to = vec_push(&p->proxy->binds);

	if (to)
		*to = *draft;
	else
		p->failed = -ENOMEM;
}

/* Adds one address of the list, in both families where `:: v4v6` asks for them. */
static void take_address(struct parser *p, const struct config_word *word, const char *text,
			 const struct bind_draft *options)
{
	struct bind_draft draft = *options;
	struct value_address a;
	const char *why = value_address(text, &a);

	if (!why && !a.has_ports)
		why = "a bind needs a port";
	if (why) {
		parser_error(p, word, "'%s': %s", text, why);
		return;
	}
	draft.addr = a.addr;
	draft.any = a.any;
	draft.port_low = a.port_low;
	draft.port_high = a.port_high;
	draft.protocol = a.udp ? MODEL_UDP : MODEL_TCP;
	if ((p->bind_v4v6 || p->bind_v6only) && !(a.any && a.addr.family == AF_INET6)) {
		parser_error(p, word, "'%s': v4v6 and v6only are about the address '::'", text);
		return;
	}
	if (a.any && a.addr.family == AF_INET6 && !p->bind_v4v6 && !p->bind_v6only)
		parser_notice(p, word,
			      "'%s' takes IPv6 only; 'v4v6' takes IPv4 as well, 'v6only' says that this is meant",
			      text);
	add_bind(p, &draft);
	if (p->bind_v4v6) {
		draft.addr = (struct addr){ .family = AF_INET };
		add_bind(p, &draft);
	}
}

/* bind [PREFIX@]ADDRESS:PORT[-PORT][,...] [OPTION ...] */
void parse_bind(struct parser *p, const struct config_word *args, size_t count)
{
	struct bind_draft options = { .place = parser_place(p, &args[0]) };
	const char *begin = args[0].text, *comma;
	char text[CONFIG_LINE_MAX + 1];

	p->bind = &options;
	p->bind_v4v6 = p->bind_v6only = false;
	statement_options(p, &keywords_bind, args + 1, count - 1);
	p->bind = NULL;
	if (p->bind_v4v6 && p->bind_v6only) {
		parser_error(p, &args[0], "'v4v6' and 'v6only' contradict each other");
		return;
	}
	do {
		size_t length;

		comma = strchr(begin, ',');
		length = comma ? (size_t)(comma - begin) : strlen(begin);
		memcpy(text, begin, length);
		text[length] = '\0';
		if (length)
			take_address(p, &args[0], text, &options);
		else
			parser_error(p, &args[0], "'%s': an empty address in the list", args[0].text);
		begin = comma ? comma + 1 : NULL;
	} while (begin);
}
