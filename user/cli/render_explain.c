/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `explain server`: what speaks for new connections and what against, share and history; `explain packet`: the steps.
 * Called through the verb table.
 */
#include <errno.h>

#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/units.h"

static int print_reasons(const json_t *list, const struct render *to)
{
	static const struct table_column columns[] = {
		{ NULL, TABLE_LEFT }, { NULL, TABLE_LEFT }, { NULL, TABLE_LEFT },
	};
	struct table *t = table_new(columns, array_size(columns));
	const json_t *reason;
	size_t i;
	int r;

	json_array_foreach(list, i, reason) {
		const bool good = field_true(reason, "ok");

		table_cell(t, good ? TONE_GOOD : TONE_BAD, good ? "yes" : "NO");
		table_member(t, TONE_PLAIN, reason, "about");
		table_member(t, TONE_PLAIN, reason, "text");
	}
	r = table_print(t, 2, to->colour, to->out);
	table_free(t);
	return r;
}

static void print_share(const json_t *server, const struct render *to)
{
	const json_t *share = json_object_get(server, "slots_share");
	char in[UNITS_TEXT_MAX], out[UNITS_TEXT_MAX];

	if (json_is_number(share))
		fprintf(to->out, "It gets %.1f %% of its backend's new connections.", json_number_value(share) * 100);
	else
		fputs("Its backend has no table of shares.", to->out);
	fprintf(to->out, " It has %" JSON_INTEGER_FORMAT " connections now; %s came in, %s went out.\n",
		field_number(server, "connections"), units_bytes((uint64_t)field_number(server, "bytes_in"), in),
		units_bytes((uint64_t)field_number(server, "bytes_out"), out));
}

int render_explain_server(const json_t *reply, const struct render *to)
{
	const json_t *server = json_object_get(reply, "server"), *place = json_object_get(reply, "place");
	const bool takes = field_true(reply, "takes_new");
	int r;

	print_safe(to->out, field_text(server, "backend"));
	fputc('/', to->out);
	print_safe(to->out, field_text(server, "server"));
	fputs(" (", to->out);
	print_safe(to->out, field_text(server, "address"));
	if (json_is_object(place)) {
		fputs("; ", to->out);
		print_safe(to->out, field_text(place, "file"));
		fprintf(to->out, ":%" JSON_INTEGER_FORMAT, field_number(place, "line"));
	}
	fputs(") ", to->out);
	print_toned(to->out, to->colour, takes ? TONE_GOOD : TONE_BAD,
		    takes ? "takes new connections" : "takes no new connections");
	fputs(":\n", to->out);
	r = print_reasons(json_object_get(reply, "reasons"), to);
	if (r < 0)
		return r;
	print_share(server, to);
	if (json_array_size(json_object_get(server, "history")) == 0)
		return 0;
	return render_history(json_object_get(server, "history"), field_number(reply, "now_ms"), to);
}

int render_explain_packet(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = { { NULL, TABLE_LEFT }, { NULL, TABLE_LEFT } };
	struct table *t = table_new(columns, array_size(columns));
	const json_t *step;
	size_t i;
	int r;

	json_array_foreach(json_object_get(reply, "steps"), i, step) {
		const bool end = field_is(step, "step", "verdict"), drop = field_is(reply, "action", "drop");

		table_member(t, TONE_PLAIN, step, "step");
		table_member(t, !end ? TONE_PLAIN : drop ? TONE_BAD : TONE_GOOD, step, "text");
	}
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	return r;
}
