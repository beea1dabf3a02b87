/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where each setting was written, for `explain config`: noted as lines are read (statement.c), inherited with the
 * settings they belong to, and handed to the model at the end (build.c). Says nothing and decides nothing.
 */
#include <errno.h>

#include "config/parser.h"

/* Lines that are things of their own, with a place of their own. */
static bool is_thing(const struct keyword_table *t, const struct keyword *k)
{
	return t == &keywords_bind || t == &keywords_peers || k->parse == parse_bind || k->parse == parse_server;
}

void origin_note(struct parser *p, const struct keyword_table *t, const struct keyword *k)
{
	const struct origin **head = t == &keywords_server ? &p->server->origins :
				     p->settings ? &p->settings->origins : &p->origins;
	struct origin *o;

	if (is_thing(t, k))
		return;
	o = arena_alloc(&p->arena, sizeof(*o));
	if (!o) {
		p->failed = -ENOMEM;
		return;
	}
	*o = (struct origin){ .before = t->before, .word = k->word, .place = p->at, .next = *head };
	*head = o;
}

static bool is_known(const struct model_origins *known, const struct origin *o)
{
	for (size_t i = 0; i < known->count; i++)
		if (known->items[i].before == o->before && known->items[i].word == o->word)
			return true;
	return false;
}

void origin_build(struct parser *p, const struct origin *from, struct model_origins *to)
{
	/* The newest stands first, and it is the one that counts. */
	for (const struct origin *o = from; o; o = o->next) {
		struct model_origin *added;

		if (is_known(to, o))
			continue;
		added = vec_push(to);
		if (!added) {
			p->failed = -ENOMEM;
			return;
		}
		*added = (struct model_origin){ o->before, o->word, parser_model_place(p, o->place) };
	}
}
