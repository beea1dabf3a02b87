/* SPDX-License-Identifier: BSD-2-Clause */
/* Access lists: show, get, and what add, del and clear have changed. Called through the verb table. */
#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"

int render_acls(const json_t *reply, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "ID", TABLE_RIGHT }, { "PREFIXES", TABLE_RIGHT }, { "CHANGES", TABLE_RIGHT }, { "LIST", TABLE_LEFT },
	};
	const json_t *list = json_object_get(reply, "acls"), *entries = json_object_get(reply, "entries"), *item;
	struct table *t;
	size_t i;
	int r;

	if (json_is_array(entries)) {
		json_array_foreach(entries, i, item)
			fprintf(to->out, "%s\n", json_is_string(item) ? json_string_value(item) : "-");
		return 0;
	}
	if (!json_array_size(list)) {
		fputs("no access lists\n", to->out);
		return 0;
	}
	t = table_new(columns, array_size(columns));
	json_array_foreach(list, i, item) {
		table_cell(t, TONE_PLAIN, "#%" JSON_INTEGER_FORMAT, field_number(item, "id"));
		table_member(t, TONE_PLAIN, item, "prefixes");
		table_member(t, field_number(item, "changes") ? TONE_WARN : TONE_PLAIN, item, "changes");
		table_member(t, TONE_PLAIN, item, "name");
	}
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	return r;
}

int render_acl_match(const json_t *reply, const struct render *to)
{
	const json_t *match = json_object_get(reply, "match");

	fprintf(to->out, "%s: %s%s\n", field_text(reply, "address"), json_is_string(match) ? "in the list, by " :
									       "not in the list",
		json_is_string(match) ? json_string_value(match) : "");
	return 0;
}

int render_acl_change(const json_t *reply, const struct render *to)
{
	const json_t *acl = json_object_get(reply, "acl");

	fprintf(to->out, "%s: %s, %" JSON_INTEGER_FORMAT " prefixes\n", field_text(acl, "name"),
		field_true(reply, "changed") ? "changed" : "unchanged", field_number(acl, "prefixes"));
	return 0;
}
