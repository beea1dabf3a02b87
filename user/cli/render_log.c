/* SPDX-License-Identifier: BSD-2-Clause */
/* `show log` and `log level` for people. Called through the verb table. */
#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"

int render_log(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "TARGET", TABLE_LEFT }, { "KIND", TABLE_LEFT }, { "LEVEL", TABLE_LEFT }, { "CONFIGURED", TABLE_LEFT },
		{ "STATE", TABLE_LEFT }, { "LOST LINES", TABLE_RIGHT },
	};
	const json_t *list = json_object_get(reply, "targets"), *v;
	struct table *t = table_new(columns, array_size(columns));
	size_t i;
	int r;

	json_array_foreach(list, i, v) {
		const bool lost = field_true(v, "lost");

		table_member(t, TONE_PLAIN, v, "name");
		table_member(t, TONE_PLAIN, v, "kind");
		table_member(t, TONE_PLAIN, v, "level");
		table_member(t, TONE_PLAIN, v, "level_configured");
		table_cell(t, lost ? TONE_BAD : TONE_PLAIN, "%s", lost ? "not there" : "there");
		table_member(t, TONE_PLAIN, v, "dropped");
	}
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	fprintf(to->out, "%lld lines lost in all, %lld held back by the rate limit\n", (long long)field_number(reply, "dropped"),
		(long long)field_number(reply, "suppressed"));
	return r;
}

int render_log_level(const json_t *reply, const struct render *to)
{
	return render_log(json_object_get(reply, "log"), to);
}
