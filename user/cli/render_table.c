/* SPDX-License-Identifier: BSD-2-Clause */
/* `show table`: whose new connections are counted. Called through the verb table. */
#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"

int render_table(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "FRONTEND", TABLE_LEFT }, { "SOURCE", TABLE_LEFT }, { "CONN_RATE", TABLE_RIGHT }, { "REJECTED", TABLE_LEFT },
	};
	const json_t *tables = json_object_get(reply, "tables"), *list = json_object_get(reply, "sources"), *s;
	struct table *t;
	size_t i;
	int r;

	json_array_foreach(tables, i, s) {
		fprintf(to->out, "%s (%s): at most %" JSON_INTEGER_FORMAT " in %" JSON_INTEGER_FORMAT " ms, %"
				 JSON_INTEGER_FORMAT " sources\n", field_text(s, "frontend"), field_text(s, "family"),
			field_number(s, "max"), field_number(s, "period_ms"), field_number(s, "sources"));
	}
	if (!json_array_size(tables))
		fputs("no frontend counts its sources\n", to->out);
	if (!json_array_size(list))
		return 0;
	t = table_new(columns, array_size(columns));
	json_array_foreach(list, i, s) {
		const bool rejected = field_true(s, "rejected");

		table_member(t, TONE_PLAIN, s, "frontend");
		table_member(t, TONE_PLAIN, s, "source");
		table_member(t, rejected ? TONE_BAD : TONE_PLAIN, s, "conn_rate");
		table_cell(t, rejected ? TONE_BAD : TONE_PLAIN, "%s", rejected ? "yes" : "no");
	}
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	if (r == 0 && field_number(reply, "total") > (json_int_t)json_array_size(list))
		fprintf(to->out, "... and %" JSON_INTEGER_FORMAT " more\n",
			field_number(reply, "total") - (json_int_t)json_array_size(list));
	return r;
}
