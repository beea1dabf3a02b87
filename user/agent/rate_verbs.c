/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `show table`: the sources whose new connections are counted, those with the most first, as HAProxy's verb of that name.
 * Reads the program's memory while the program writes it: an entry that was torn fits no table, and is left out.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/ids.h"
#include "base/cleanup.h"

enum { TABLE_DEFAULT = 100, TABLE_MAX = 100000 };

/* A frontend and family: what the entries of one table have in common. */
struct table {
	const struct model_service *service;
	const struct service *entry;
	uint64_t window, elapsed; /* now */
	size_t sources;
};

struct source {
	const struct table *table;
	uint64_t high, low, rate;
};

struct vec_tables vec(struct table);
struct vec_sources vec(struct source);

static const struct service *entry_of(struct agent *a, size_t service)
{
	const struct dataplane_maps *m = dataplane_maps(a->dataplane);

	return &m->services[(m->control->word & CONTROL_HALF) * MAX_SERVICES +
			    reconcile_service_id(a->reconcile, service)];
}

static int collect_tables(struct agent *a, struct vec_tables *ret)
{
	const uint64_t now = dataplane_jiffies(a->dataplane);

	for (size_t i = 0; i < a->model->services.count; i++) {
		const struct service *entry = entry_of(a, i);
		bool known = !a->model->services.items[i].rate.used || !entry->rate_period;
		struct table *t;

		for (size_t n = 0; n < ret->count; n++)
			known |= ret->items[n].entry->rate_table == entry->rate_table;
		if (known)
			continue;
		t = vec_push(ret);
		if (!t)
			return -1;
		*t = (struct table){ &a->model->services.items[i], entry, now / entry->rate_period,
				     now % entry->rate_period, 0 };
	}
	return 0;
}

static uint64_t rate_now(const struct table *t, uint64_t word)
{
	const uint64_t age = (t->window - RATE_WINDOW(word)) & RATE_WINDOW_MASK;
	const uint64_t current = age == 0 ? RATE_CURRENT(word) : 0;
	const uint64_t previous = age == 0 ? RATE_PREVIOUS(word) : age == 1 ? RATE_CURRENT(word) : 0;

	return current + previous * (t->entry->rate_period - t->elapsed) / t->entry->rate_period;
}

static int collect_sources(struct agent *a, const struct vec_tables *tables, struct vec_sources *ret)
{
	const struct dataplane_maps *m = dataplane_maps(a->dataplane);

	for (uint32_t b = 0; tables->count && b < RATE_BUCKETS; b++)
		for (unsigned w = 0; w < RATE_WAYS; w++) {
			const volatile struct rate_source *s = &m->rates[b].sources[w];
			const uint64_t key = s->key, high = s->high, low = s->low, word = s->word;

			for (size_t n = 0; key && n < tables->count; n++) {
				struct table *t = &tables->items[n];
				struct source *to;
				uint64_t rate;

				if ((hash_3(&m->flow_key, t->entry->rate_table, high, low) | 1) != key)
					continue;
				rate = rate_now(t, word);
				if (!rate)
					break;
				to = vec_push(ret);
				if (!to)
					return -1;
				*to = (struct source){ t, high, low, rate };
				t->sources++;
				break;
			}
		}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	if (x->rate != y->rate)
		return x->rate > y->rate ? -1 : 1;
	return x->high != y->high ? (x->high < y->high ? -1 : 1) : x->low < y->low ? -1 : x->low > y->low;
}

static json_t *source_json(const struct source *s)
{
	const struct model_rate *rate = &s->table->service->rate;
	const bool v6 = s->table->service->addr.family == AF_INET6;
	const unsigned length = v6 ? rate->length6 : rate->length4;
	char text[ADDR_TEXT_MAX], prefix[ADDR_TEXT_MAX + 4];
	struct addr a = { .family = v6 ? AF_INET6 : AF_INET };

	for (unsigned i = 0; i < 8; i++) {
		if (v6)
			a.bytes[i] = (uint8_t)(s->high >> (56 - 8 * i));
		if (v6)
			a.bytes[8 + i] = (uint8_t)(s->low >> (56 - 8 * i));
		else if (i < 4)
			a.bytes[i] = (uint8_t)(s->low >> (24 - 8 * i));
	}
	snprintf(prefix, sizeof(prefix), length == addr_bits(&a) ? "%s" : "%s/%u", addr_format(&a, text), length);
	return json_pack("{s:s, s:s, s:I, s:b}", "frontend", s->table->service->frontend, "source", prefix, "conn_rate",
			 (json_int_t)s->rate, "rejected", s->rate > rate->max);
}

static json_t *table_json(const struct table *t)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I}", "frontend", t->service->frontend, "family",
			 t->service->addr.family == AF_INET6 ? "v6" : "v4", "max", (json_int_t)t->service->rate.max,
			 "period_ms", (json_int_t)t->service->rate.period_ms, "sources", (json_int_t)t->sources);
}

void verb_show_table(struct control_request *r, unsigned argc, const char *const *argv, void *ctx)
{
	struct agent *a = ctx;
	unsigned long limit = TABLE_DEFAULT;
	struct vec_tables tables = {};
	struct vec_sources sources = {};
	json_t *shown, *list;
	char *end = NULL;

	if (argc) {
		limit = strtoul(argv[0], &end, 10);
		if (*end || !limit || limit > TABLE_MAX || argv[0][0] < '0' || argv[0][0] > '9') {
			control_fail(r, CONTROL_USAGE, "%s: a number from 1 to %d is expected", argv[0], TABLE_MAX);
			return;
		}
	}
	if (collect_tables(a, &tables) < 0 || collect_sources(a, &tables, &sources) < 0) {
		control_fail(r, CONTROL_FAILED, "out of memory");
	} else {
		if (sources.count)
			qsort(sources.items, sources.count, sizeof(*sources.items), compare);
		shown = json_array();
		list = json_array();
		for (size_t i = 0; i < tables.count; i++)
			json_array_append_new(list, table_json(&tables.items[i]));
		for (size_t i = 0; i < sources.count && i < limit; i++)
			json_array_append_new(shown, source_json(&sources.items[i]));
		control_reply(r, json_pack("{s:o, s:I, s:I, s:o}", "tables", list, "total", (json_int_t)sources.count,
					   "limit", (json_int_t)limit, "sources", shown));
	}
	vec_done(&tables);
	vec_done(&sources);
}
