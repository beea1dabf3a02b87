/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON documents and the ring of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "metrics_world.h"
#include "web/status.h"

static struct events events;

static json_t *write_out(const struct snapshot *s, unsigned parts, uint64_t after, size_t length)
{
	struct status status = { .snapshot = s, .events = &events, .parts = parts, .after = after };
	struct text t = {};
	json_error_t error;
	json_t *j;
	int r;

	while ((r = status_next(&status, &t, length)) == 1)
		;
	assert_int_equal(r, 0);
	j = json_loadb(t.data, t.length, JSON_REJECT_DUPLICATES, &error);
	if (!j)
		fail_msg("%s at %d in %.*s", error.text, error.position, (int)t.length, t.data);
	text_done(&t);
	return j;
}

static const char *text_at(const json_t *j, const char *name)
{
	return json_string_value(json_object_get(j, name));
}

static json_int_t number_at(const json_t *j, const char *name)
{
	assert_true(json_is_integer(json_object_get(j, name)));
	return json_integer_value(json_object_get(j, name));
}

static void document_is_whole(void **state)
{
	struct model *m = world_model(2, 3);
	struct snapshot s;
	json_t *j, *server;

	world_fill(&s, m);
	s.servers[4].result[0] = '\0';
	snprintf(s.servers[5].result, sizeof(s.servers[5].result), "L7STS/503: \"no\" \\ way");
	j = write_out(&s, STATUS_ALL, 0, 1);
	assert_string_equal(text_at(j, "name"), "test");
	assert_int_equal(number_at(j, "now_ms"), 1764132482000);
	assert_true(json_is_null(json_object_get(j, "last_reload")));
	assert_int_equal(json_array_size(json_object_get(j, "services")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "backends")), 2);
	assert_int_equal(json_array_size(json_object_get(j, "verdicts")), VERDICT_MAX - 1);
	assert_int_equal(number_at(json_object_get(j, "totals"), "connections_total"), 5000 + 5001);
	server = json_array_get(json_object_get(json_array_get(json_object_get(j, "backends"), 1), "servers"), 1);
	assert_string_equal(text_at(server, "name"), "s1");
	assert_true(json_is_null(json_object_get(server, "last_result")));
	assert_true(json_real_value(json_object_get(server, "share")) == 0.25);
	server = json_array_get(json_object_get(json_array_get(json_object_get(j, "backends"), 1), "servers"), 2);
	assert_string_equal(text_at(server, "last_result"), "L7STS/503: \"no\" \\ way");
	assert_int_equal(number_at(server, "bytes_in"), 27);
	json_decref(j);
	snapshot_done(&s);
	model_free(m);
}

static void parts_and_pieces(void **state)
{
	struct model *m = world_model(3, 2);
	struct snapshot s;

	world_fill(&s, m);
	for (unsigned parts = 0; parts <= STATUS_ALL; parts++) {
		json_t *whole = write_out(&s, parts, 0, SIZE_MAX / 2), *cut = write_out(&s, parts, 0, 1);

		assert_true(json_equal(whole, cut));
		assert_int_equal(!json_object_get(whole, "version"), !(parts & STATUS_AGENT));
		assert_int_equal(!json_object_get(whole, "services"), !(parts & STATUS_SERVICES));
		assert_int_equal(!json_object_get(whole, "backends"), !(parts & STATUS_BACKENDS));
		assert_int_equal(!json_object_get(whole, "verdicts"), !(parts & STATUS_VERDICTS));
		assert_int_equal(!json_object_get(whole, "events"), !(parts & STATUS_EVENTS));
		json_decref(whole);
		json_decref(cut);
	}
	snapshot_done(&s);
	model_free(m);
}

static void empty_configuration(void **state)
{
	struct model m = {};
	struct snapshot s;
	json_t *j;

	world_fill(&s, &m);
	j = write_out(&s, STATUS_ALL, 0, 4096);
	assert_int_equal(json_array_size(json_object_get(j, "services")), 0);
	assert_int_equal(json_array_size(json_object_get(j, "backends")), 0);
	json_decref(j);
	snapshot_done(&s);
}

static void events_are_kept_and_the_oldest_go(void **state)
{
	struct model *m = world_model(1, 1);
	struct snapshot s;
	json_t *j, *all;

	world_fill(&s, m);
	memset(&events, 0, sizeof(events));
	assert_null(events_next(&events, 0));
	events_add(&events, 1000, 4, "server_down",
		   " backend=nodes server=node1 reason=\"said \\\"no\\\" \\\\ then\" odd= =x alone");
	j = write_out(&s, STATUS_EVENTS, 0, 4096);
	all = json_object_get(j, "events");
	assert_int_equal(json_array_size(all), 1);
	assert_string_equal(text_at(json_array_get(all, 0), "event"), "server_down");
	assert_string_equal(text_at(json_array_get(all, 0), "level"), "warning");
	all = json_object_get(json_array_get(all, 0), "fields");
	assert_string_equal(text_at(all, "backend"), "nodes");
	assert_string_equal(text_at(all, "reason"), "said \"no\" \\ then");
	assert_string_equal(text_at(all, "odd"), "");
	json_decref(j);

	for (unsigned i = 0; i < EVENTS_KEPT + 10; i++)
		events_add(&events, 2000 + i, 6, "tick", "n=1");
	assert_int_equal(events_next(&events, 0)->number, 12);
	assert_null(events_next(&events, events.last));
	assert_null(events_next(&events, events.last + 5));
	j = write_out(&s, STATUS_EVENTS, 0, 4096);
	assert_int_equal(json_array_size(json_object_get(j, "events")), EVENTS_KEPT);
	assert_int_equal(number_at(j, "last_event"), EVENTS_KEPT + 11);
	json_decref(j);
	j = write_out(&s, STATUS_EVENTS, events.last - 2, 4096);
	assert_int_equal(json_array_size(json_object_get(j, "events")), 2);
	json_decref(j);
	snapshot_done(&s);
	model_free(m);
}

/* Lines cut off in the middle of a pair, and bytes nobody expects. */
static void odd_lines_are_still_json(void **state)
{
	static const char *const lines[] = { "", "=", "a", "a=", "a=\"", "a=\"\\", "a=\"b\\\"", "=\"x\" b=c",
					     "a=\"b\"c=d", "x=\377\200" };
	struct model *m = world_model(1, 1);
	struct snapshot s;

	world_fill(&s, m);
	for (size_t i = 0; i < array_size(lines); i++) {
		memset(&events, 0, sizeof(events));
		events_add(&events, 1, 6, "odd", lines[i]);
		json_decref(write_out(&s, STATUS_EVENTS, 0, 4096));
	}
	snapshot_done(&s);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(document_is_whole),
		cmocka_unit_test(parts_and_pieces),
		cmocka_unit_test(empty_configuration),
		cmocka_unit_test(events_are_kept_and_the_oldest_go),
		cmocka_unit_test(odd_lines_are_still_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
