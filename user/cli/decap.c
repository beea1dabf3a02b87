/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/decap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/fields.h"
#include "cli/render.h"
#include "cli/table.h"
#include "dataplane/decap.h"

_Static_assert((int)CLI_ERROR_MAX >= (int)DATAPLANE_ERROR_MAX, "errors of the data plane fit");

bool decap_is_prefix(const char *text)
{
	struct addr a, masked;
	unsigned length;

	if (addr_parse_prefix(text, &a, &length) < 0)
		return false;
	masked = addr_mask(&a, length);
	return addr_equal(&a, &masked);
}

bool decap_is_address(const char *text)
{
	struct addr a;

	return addr_parse(text, &a) == 0 && !addr_is_unspecified(&a);
}

/* ---- replies ---- */

static json_t *prefix_json(const struct decap_prefix *p)
{
	char text[ADDR_TEXT_MAX];

	return json_sprintf("%s/%u", addr_format(&p->addr, text), p->length);
}

static json_t *verdicts_json(const struct decap_status *s)
{
	json_t *list = json_array();

	for (int v = 0; v < DECAP_VERDICT_MAX; v++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:I}",
			"name", decap_verdict_label(v), "action", decap_verdict_action(v), "help", decap_verdict_text(v),
			"packets", (json_int_t)s->counters[v].packets, "bytes", (json_int_t)s->counters[v].bytes));
	return list;
}

static json_t *status_json(const struct decap_status *s)
{
	json_t *from = json_array(), *addresses = json_array();
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < s->from.count; i++)
		json_array_append_new(from, prefix_json(&s->from.items[i]));
	for (size_t i = 0; i < s->addresses.count; i++)
		json_array_append_new(addresses, json_string(addr_format(&s->addresses.items[i], text)));
	return json_pack("{s:s, s:s?, s:s, s:o, s:o, s:o}", "interface", s->interface, "now", *s->now ? s->now : NULL,
			 "mode", !*s->now ? "detached" : s->native ? "native" : "generic", "from", from,
			 "addresses", addresses, "verdicts", verdicts_json(s));
}

static int out_of_memory(char error[static CLI_ERROR_MAX])
{
	strcpy(error, "out of memory");
	return CONTROL_FAILED;
}

/* The reply to load and show: the state of each of these interfaces. */
static int reply_status(const char *const *names, size_t count, json_t **ret_reply, char error[static CLI_ERROR_MAX])
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++) {
		struct decap_status s;

		if (decap_read(names[i], &s, error) < 0) {
			json_decref(list);
			return CONTROL_FAILED;
		}
		json_array_append_new(list, status_json(&s));
		decap_status_done(&s);
	}
	*ret_reply = json_pack("{s:b, s:o}", "ok", 1, "decap", list);
	return *ret_reply ? CONTROL_DONE : out_of_memory(error);
}

/* ---- the verbs ---- */

static enum model_xdp_mode mode_of(const char *word)
{
	return !word || !strcmp(word, "auto") ? MODEL_XDP_AUTO :
	       !strcmp(word, "native")	      ? MODEL_XDP_NATIVE :
						MODEL_XDP_GENERIC;
}

static const char *argument(const struct cli_options *o, unsigned i)
{
	return o->verb_words + i < o->word_count ? o->words[o->verb_words + i] : NULL;
}

int decap_run_load(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX])
{
	struct vec(struct decap_prefix) from = {};
	struct vec(struct addr) addresses = {};
	struct decap_options options = { .interface = argument(o, 0), .mode = mode_of(argument(o, 1)) };
	int r = 0;

	for (unsigned i = 0; i < o->given_count && r == 0; i++) {
		if (!strcmp(o->given[i].name, "--from")) {
			struct decap_prefix *p = vec_push(&from);

			r = p ? addr_parse_prefix(o->given[i].value, &p->addr, &p->length) : -ENOMEM;
		} else {
			struct addr *a = vec_push(&addresses);

			r = a ? addr_parse(o->given[i].value, a) : -ENOMEM;
		}
	}
	options.from = from.items;
	options.from_count = from.count;
	options.addresses = addresses.items;
	options.address_count = addresses.count;
	if (r < 0)
		out_of_memory(error); /* the values were looked at before */
	else
		r = decap_load(&options, error);
	vec_done(&from);
	vec_done(&addresses);
	return r < 0 ? CONTROL_FAILED : reply_status(&options.interface, 1, ret_reply, error);
}

int decap_run_unload(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX])
{
	const char *interface = argument(o, 0);

	if (decap_unload(interface, error) < 0)
		return CONTROL_FAILED;
	*ret_reply = json_pack("{s:b, s:s}", "ok", 1, "interface", interface);
	return *ret_reply ? CONTROL_DONE : out_of_memory(error);
}

int decap_run_show(const struct cli_options *o, json_t **ret_reply, char error[static CLI_ERROR_MAX])
{
	const char *interface = argument(o, 0);
	char **names;
	int count, code;

	if (interface)
		return reply_status(&interface, 1, ret_reply, error);
	count = decap_list(&names, error);
	if (count < 0)
		return CONTROL_FAILED;
	code = reply_status((const char *const *)names, count, ret_reply, error);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
	return code;
}

/* ---- for people ---- */

static void print_words(FILE *to, const char *title, const json_t *list)
{
	const json_t *item;
	size_t i;

	fputs(title, to);
	json_array_foreach(list, i, item) {
		fputc(' ', to);
		print_safe(to, json_is_string(item) ? json_string_value(item) : "-");
	}
	if (!json_array_size(list))
		fputs(" -", to);
	fputc('\n', to);
}

static int print_interface(const json_t *d, const struct render *to)
{
	static const struct table_column columns[] = {
		{ "VERDICT", TABLE_LEFT }, { "ACTION", TABLE_LEFT }, { "PACKETS", TABLE_RIGHT },
		{ "BYTES", TABLE_RIGHT }, { "MEANING", TABLE_LEFT },
	};
	const json_t *list = json_object_get(d, "verdicts"), *v;
	struct table *t = table_new(columns, array_size(columns));
	size_t i;
	int r;

	fputs("interface ", to->out);
	print_safe(to->out, field_text(d, "interface"));
	fputc(' ', to->out);
	print_toned(to->out, to->colour, field_is(d, "mode", "detached") ? TONE_BAD : TONE_PLAIN, field_text(d, "mode"));
	if (!field_is(d, "now", field_text(d, "interface")) && !field_is(d, "now", "-")) {
		fputs(", now called ", to->out);
		print_safe(to->out, field_text(d, "now"));
	}
	fputc('\n', to->out);
	print_words(to->out, "from     ", json_object_get(d, "from"));
	print_words(to->out, "addresses", json_object_get(d, "addresses"));
	json_array_foreach(list, i, v) {
		table_member(t, TONE_PLAIN, v, "name");
		table_member(t, TONE_PLAIN, v, "action");
		table_member(t, TONE_PLAIN, v, "packets");
		table_bytes(t, v, "bytes");
		table_member(t, TONE_PLAIN, v, "help");
	}
	r = table_print(t, 0, to->colour, to->out);
	table_free(t);
	return r;
}

int render_decap(const json_t *reply, const struct render *to)
{
	const json_t *list = json_object_get(reply, "decap"), *d;
	size_t i;

	if (!json_array_size(list))
		fputs("nothing is unwrapped here; `alwayson decap load IFACE --from PREFIX` begins\n", to->out);
	json_array_foreach(list, i, d) {
		if (i)
			fputc('\n', to->out);
		if (print_interface(d, to) < 0)
			return -ENOMEM;
	}
	return 0;
}

int render_decap_unload(const json_t *reply, const struct render *to)
{
	print_safe(to->out, field_text(reply, "interface"));
	fputs(": packets are no longer unwrapped\n", to->out);
	return 0;
}
