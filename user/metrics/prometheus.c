/* SPDX-License-Identifier: BSD-2-Clause */
#include "metrics/prometheus.h"

#include <errno.h>
#include <string.h>

#include "metrics/families.h"

static const char *const type_names[2][4] = {
	[METRICS_TEXT] = { "counter", "gauge", "histogram", "gauge" },
	[METRICS_OPENMETRICS] = { "counter", "gauge", "histogram", "info" },
};

static size_t item_count(const struct snapshot *s, enum family_scope scope)
{
	switch (scope) {
	case FAMILY_SERVICE:
		return s->names->service_count;
	case FAMILY_BACKEND:
		return s->names->backend_count;
	case FAMILY_SERVER:
		return s->names->server_count;
	case FAMILY_AGENT:
		break;
	}
	return 1;
}

/* The text format calls a family what its samples are called, OpenMetrics what they have in common. */
static void write_head(const struct prometheus *p, struct text *t, const struct family *f)
{
	const char *suffix = p->format == METRICS_OPENMETRICS ? "" : f->type == FAMILY_COUNTER ? "_total" :
			     f->type == FAMILY_INFO ? "_info" : "";

	text_lit(t, "# HELP ");
	text_puts(t, f->name);
	text_puts(t, suffix);
	text_lit(t, " ");
	text_puts(t, f->help);
	text_lit(t, "\n# TYPE ");
	text_puts(t, f->name);
	text_puts(t, suffix);
	text_lit(t, " ");
	text_puts(t, type_names[p->format][f->type]);
	text_lit(t, "\n");
	if (p->format == METRICS_OPENMETRICS && f->unit[0]) {
		text_lit(t, "# UNIT ");
		text_puts(t, f->name);
		text_lit(t, " ");
		text_puts(t, f->unit);
		text_lit(t, "\n");
	}
}

static void write_number(struct text *t, const struct family *f, const char *at)
{
	switch (f->value) {
	case FAMILY_U64:
		text_u64(t, *(const uint64_t *)at);
		break;
	case FAMILY_U32:
		text_u64(t, *(const uint32_t *)at);
		break;
	case FAMILY_U16:
		text_u64(t, *(const uint16_t *)at);
		break;
	case FAMILY_BOOL:
		text_u64(t, *(const bool *)at);
		break;
	case FAMILY_MS:
		text_decimal(t, *(const uint64_t *)at, 3);
		break;
	case FAMILY_US64:
		text_decimal(t, *(const uint64_t *)at, 6);
		break;
	case FAMILY_OWN:
		break;
	}
}

static void write_item(struct text *t, const struct family *f, const struct snapshot *s, size_t i)
{
	const char *suffix = f->type == FAMILY_COUNTER ? "_total" : "";
	const struct named *of = NULL;
	const char *from = (const char *)&s->agent;

	if (f->scope == FAMILY_SERVICE) {
		of = &s->names->services[i];
		from = (const char *)&s->services[i];
	} else if (f->scope == FAMILY_BACKEND) {
		of = &s->names->backends[i];
		from = (const char *)&s->backends[i];
	} else if (f->scope == FAMILY_SERVER) {
		of = &s->names->servers[i];
		from = (const char *)&s->servers[i];
	}
	family_begin(t, f, suffix, of);
	text_add(t, of ? "} " : " ", of ? 2 : 1);
	write_number(t, f, from + f->offset);
	text_lit(t, "\n");
}

int prometheus_next(struct prometheus *p, struct text *t, size_t length)
{
	const size_t end = t->length + length;

	for (; p->family < family_count; p->family++, p->item = 0) {
		const struct family *f = &families[p->family];
		const size_t count = item_count(p->snapshot, f->scope);

		if (!p->item)
			write_head(p, t, f);
		while (p->item < count) {
			if (f->write)
				f->write(t, f, p->snapshot, p->item++);
			else
				write_item(t, f, p->snapshot, p->item++);
			if (t->length >= end && p->item < count)
				return t->failed ? -ENOMEM : 1;
		}
	}
	if (p->format == METRICS_OPENMETRICS)
		text_lit(t, "# EOF\n");
	return t->failed ? -ENOMEM : 0;
}

/*
 * Prometheus asks for OpenMetrics where it can read it, with a higher q than for the text format. A q of 0 excludes; of
 * several that name it the first counts. What else is in the header is not looked at: both formats are text.
 */
enum metrics_format prometheus_negotiate(const char *accept)
{
	const char *at = accept ? strstr(accept, "application/openmetrics-text") : NULL, *end, *q;

	if (!at)
		return METRICS_TEXT;
	end = at + strcspn(at, ",");
	q = strstr(at, "q=0");
	if (q && q < end && strspn(q + 3, ".0") == strcspn(q + 3, ",; \t"))
		return METRICS_TEXT;
	return METRICS_OPENMETRICS;
}
