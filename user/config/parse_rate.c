/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many connections a source may open: HAProxy's three lines,
 *
 *	stick-table type ip size 1m expire 10s store conn_rate(10s)
 *	tcp-request connection track-sc0 src
 *	tcp-request connection reject if { sc0_conn_rate gt 20 }
 *
 * and nothing else of stick tables. The first is a keyword; parse_access.c hands over the others. build.c makes a rate of
 * them; that all three are there, in this order, is asked for at the end.
 */
#include <stdio.h>
#include <string.h>

#include "config/parser.h"
#include "config/value.h"

/* "conn_rate(10s)": what stands between the parentheses, or NULL. */
static const char *call_argument(const char *text, const char *name, char *buf, size_t size)
{
	const size_t length = strlen(name), total = strlen(text);

	if (strncmp(text, name, length) || text[length] != '(' || text[total - 1] != ')' || total - length - 2 >= size)
		return NULL;
	memcpy(buf, text + length + 1, total - length - 2);
	buf[total - length - 2] = '\0';
	return buf;
}

static void read_type(struct parser *p, const struct config_word *word, struct rate_setting *r)
{
	if (!strcmp(word->text, "ip") || !strcmp(word->text, "ipv6"))
		r->v6 = !strcmp(word->text, "ipv6");
	else
		parser_error(p, word, "'type %s' is refused: sources are counted, 'ip' or 'ipv6'", word->text);
}

static void read_size(struct parser *p, const struct config_word *word)
{
	unsigned long long n = 0;
	const char *c = word->text;

	for (; *c >= '0' && *c <= '9' && n < 1ULL << 40; c++)
		n = n * 10 + (unsigned)(*c - '0');
	if (c != word->text && *c && strchr("kKmMgG", *c)) {
		n <<= *c == 'k' || *c == 'K' ? 10 : *c == 'm' || *c == 'M' ? 20 : 30;
		c++;
	}
	if (c == word->text || *c || !n)
		parser_error(p, word, "'%s': a number of entries is expected, such as 100k or 1m", word->text);
	else if (n > MODEL_RATE_SOURCES)
		parser_notice(p, word, "one table of %d sources serves all frontends; when it is full, the source with the "
			      "fewest connections gives way", MODEL_RATE_SOURCES);
}

static void read_store(struct parser *p, const struct config_word *word, struct rate_setting *r)
{
	char time[32];
	struct config_word inner = *word;

	inner.text = call_argument(word->text, "conn_rate", time, sizeof(time));
	if (!inner.text) {
		parser_error(p, word, "'store %s' is refused: only conn_rate(TIME) is counted", word->text);
		return;
	}
	if (!statement_time(p, &inner, &r->period_ms))
		return;
	if (r->period_ms < MODEL_RATE_PERIOD_MIN_MS)
		parser_error(p, word, "'%s': the time is at least %d ms (MODEL_RATE_PERIOD_MIN_MS)", word->text,
			     MODEL_RATE_PERIOD_MIN_MS);
}

/* stick-table type ip|ipv6 size N [expire TIME] store conn_rate(TIME) */
void parse_stick_table(struct parser *p, const struct config_word *args, size_t count)
{
	struct rate_setting *r = &p->proxy->rate;
	bool type = false, size = false;
	uint32_t expire_ms = 0;

	if (r->table_place.line) {
		parser_error(p, &args[-1], "a second stick-table: there is one, on %s",
			     parser_where(p, p->at, r->table_place));
		return;
	}
	r->table_place = parser_place(p, &args[-1]);
	for (size_t i = 0; i < count; i += 2) {
		const struct config_word *value = &args[i + 1];

		if (strcmp(args[i].text, "type") && strcmp(args[i].text, "size") && strcmp(args[i].text, "expire") &&
		    strcmp(args[i].text, "store")) {
			parser_error(p, &args[i], "'%s' of a stick-table is refused: what is understood is `stick-table type "
				     "ip|ipv6 size N [expire TIME] store conn_rate(TIME)`", args[i].text);
			return;
		}
		if (i + 1 == count) {
			parser_error(p, &args[i], "'%s' needs a value", args[i].text);
			return;
		}
		switch (args[i].text[0]) {
		case 't':
			read_type(p, value, r);
			type = true;
			break;
		case 'e':
			statement_time(p, value, &expire_ms);
			break;
		default:
			if (!strcmp(args[i].text, "size")) {
				read_size(p, value);
				size = true;
			} else {
				read_store(p, value, r);
			}
		}
	}
	if (!type || !size || !r->period_ms)
		parser_error(p, &args[-1], "the stick-table lacks '%s'", !type ? "type" : !size ? "size" :
			     "store conn_rate(TIME)");
	else if (expire_ms && expire_ms < r->period_ms)
		parser_error(p, &args[-1], "'expire' is shorter than conn_rate's time: counts would be forgotten before "
			     "they are compared");
}

/* "src" or "src,ipmask(24)" or "src,ipmask(24,64)" */
static bool read_tracked(struct parser *p, const struct config_word *word, struct rate_setting *r)
{
	char masks[16], *comma;
	unsigned v4, v6 = 128;

	r->length4 = 32;
	r->length6 = 128;
	if (!strcmp(word->text, "src"))
		return true;
	if (strncmp(word->text, "src,", 4) || !call_argument(word->text + 4, "ipmask", masks, sizeof(masks))) {
		parser_error(p, word, "'track-sc0 %s' is refused: sources are counted, 'src' or 'src,ipmask(32,64)'",
			     word->text);
		return false;
	}
	comma = strchr(masks, ',');
	if (comma)
		*comma++ = '\0';
	if (!value_number(masks, 1, 32, &v4) || (comma && !value_number(comma, 1, 128, &v6))) {
		parser_error(p, word, "'%s': the lengths of prefixes are expected, from 1 to 32 and from 1 to 128", word->text);
		return false;
	}
	r->length4 = (uint8_t)v4;
	r->length6 = (uint8_t)v6;
	return true;
}

void parse_track(struct parser *p, const struct config_word *track, const struct config_word *args, size_t count)
{
	struct rate_setting *r = &p->proxy->rate;

	if (strcmp(track->text, "track-sc0")) {
		parser_error(p, track, "'%s' is refused: there is one counter, 'track-sc0'", track->text);
	} else if (r->track_place.line) {
		parser_error(p, track, "a second 'track-sc0': there is one, on %s", parser_where(p, p->at, r->track_place));
	} else if (!count) {
		parser_error(p, track, "'track-sc0' needs what is counted: track-sc0 src");
	} else if (count > 1) {
		parser_error(p, &args[1], "'%s' behind 'track-sc0' is refused: every source is counted, in this frontend's "
			     "own stick-table", args[1].text);
	} else if (read_tracked(p, &args[0], r)) {
		r->track_place = parser_place(p, track);
	}
}

/* { sc0_conn_rate gt N }, words from behind the brace; `negated`: by `unless` or `!`. */
void parse_rate(struct parser *p, const struct config_word *words, size_t count, bool negated)
{
	struct rate_setting *r = &p->proxy->rate;
	unsigned n;

	if (negated)
		parser_error(p, &words[0], "'%s' is compared with 'gt' or 'ge', and not negated", words[0].text);
	else if (count != 3 || (strcmp(words[1].text, "gt") && strcmp(words[1].text, "ge")))
		parser_error(p, &words[0], "a comparison is expected: { %s gt N }", words[0].text);
	else if (r->limit_place.line)
		parser_error(p, &words[0], "a second limit: there is one, on %s", parser_where(p, p->at, r->limit_place));
	else if (!r->track_place.line)
		parser_error(p, &words[0], "'%s' is 0 for ever: 'tcp-request connection track-sc0 src' must stand before "
			     "this line", words[0].text);
	else if (statement_number(p, &words[2], !strcmp(words[1].text, "ge"), MODEL_RATE_MAX, "MODEL_RATE_MAX", &n)) {
		r->max = !strcmp(words[1].text, "ge") ? n - 1 : n;
		r->limit_place = parser_place(p, &words[0]);
	}
}

void build_rate(struct parser *p, const struct proxy *x, struct model_service *s)
{
	const struct rate_setting *r = &x->rate;
	const bool v6 = s->addr.family == AF_INET6;

	if (!r->limit_place.line || !r->period_ms || (v6 && !r->v6))
		return;
	s->rate = (struct model_rate){ .used = true, .v6 = r->v6, .max = r->max, .period_ms = r->period_ms,
				       .length4 = r->length4, .length6 = r->length6,
				       .place = parser_model_place(p, r->limit_place) };
}

void check_rate(struct parser *p, const struct proxy *x)
{
	const struct rate_setting *r = &x->rate;
	bool v6 = false;

	for (size_t i = 0; i < x->binds.count; i++)
		v6 |= x->binds.items[i].addr.family == AF_INET6;
	if (r->track_place.line && !r->table_place.line)
		parser_error_at(p, r->track_place, "'track-sc0' needs a 'stick-table' in this section");
	else if (r->table_place.line && !r->limit_place.line && !x->broken)
		parser_notice_at(p, r->table_place, "this has no effect without 'tcp-request connection track-sc0 src' and "
				 "'tcp-request connection reject if { sc0_conn_rate gt N }'");
	else if (r->limit_place.line && v6 && !r->v6)
		parser_notice_at(p, r->table_place, "'type ip' counts no IPv6 sources, as in HAProxy: 'type ipv6' counts "
				 "both");
	else if (r->limit_place.line && v6 && r->length6 == 128)
		parser_notice_at(p, r->track_place, "each IPv6 address is a source of its own, and a client has 2^64 of them: "
				 "'track-sc0 src,ipmask(32,64)' counts by /64");
}
