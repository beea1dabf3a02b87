/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/sample.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/ask.h"
#include "cli/fields.h"

static const struct {
	const char *line, *list; /* NULL = the whole reply, as "status" */
} questions[] = {
	{ "v1 status\n", NULL }, { "v1 show services\n", "services" }, { "v1 show servers\n", "servers" },
	{ "v1 show verdicts\n", "verdicts" },
};

static const char *const counters[] = {
	"connections_total", "refused_total", "packets_in", "bytes_in", "packets_out", "bytes_out", "packets", "bytes",
};

int sample_take(const struct cli_options *o, json_t **ret)
{
	json_t *sample = json_pack("{s:b}", "ok", 1);

	for (size_t i = 0; i < array_size(questions); i++) {
		const char *list = questions[i].list;
		struct ask_reply reply;
		int r = ask(o, questions[i].line, CLI_ANSWER_MS, &reply);

		if (r == 0 && !field_true(reply.json, "ok")) {
			json_decref(sample);
			*ret = json_incref(reply.json);
			ask_reply_done(&reply);
			return 1;
		}
		if (r < 0) {
			json_decref(sample);
			return r;
		}
		json_object_set(sample, list ? list : "status",
				list ? json_object_get(reply.json, list) : reply.json);
		json_object_set(sample, "now_ms", json_object_get(reply.json, "now_ms"));
		ask_reply_done(&reply);
	}
	*ret = sample;
	return sample ? 0 : -ENOMEM;
}

static bool same_thing(const json_t *a, const json_t *b)
{
	static const char *const keys[] = { "name", "backend", "server" };

	for (size_t i = 0; i < array_size(keys); i++)
		if (!field_is(a, keys[i], field_text(b, keys[i])))
			return false;
	return true;
}

/* Lists keep their order but for reloads: it is most likely in the same place. */
static const json_t *find(const json_t *list, size_t at, const json_t *thing)
{
	const json_t *other = json_array_get(list, at);

	if (other && same_thing(other, thing))
		return other;
	json_array_foreach(list, at, other)
		if (same_thing(other, thing))
			return other;
	return NULL;
}

static void add_rates(const json_t *before, json_t *thing, double seconds)
{
	char key[64];

	for (size_t i = 0; i < array_size(counters); i++) {
		const json_t *was = json_object_get(before, counters[i]), *is = json_object_get(thing, counters[i]);

		if (!json_is_integer(was) || !json_is_integer(is) || json_integer_value(is) < json_integer_value(was))
			continue;
		snprintf(key, sizeof(key), "%s_per_s", counters[i]);
		json_object_set_new(thing, key, json_real((double)(json_integer_value(is) - json_integer_value(was)) /
							   seconds));
	}
}

void sample_rates(const json_t *before, json_t *now)
{
	const json_int_t ms = field_number(now, "now_ms") - field_number(before, "now_ms");

	/* A clock that was set makes no rates. */
	for (size_t i = 0; i < array_size(questions) && ms > 0; i++) {
		json_t *list = questions[i].list ? json_object_get(now, questions[i].list) : NULL, *thing;
		const json_t *old = questions[i].list ? json_object_get(before, questions[i].list) : NULL;
		size_t at;

		json_array_foreach(list, at, thing)
			add_rates(find(old, at, thing), thing, (double)ms / 1000);
	}
	json_object_set_new(now, "interval_ms", json_integer(ms > 0 ? ms : 0));
}
