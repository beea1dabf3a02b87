/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The metrics as Prometheus reads them, against the formats' rules and the manual. Runs in the root of the source tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "metrics/families.h"
#include "metrics/prometheus.h"
#include "metrics_world.h"

/* All of it, in pieces of about that length. */
static struct text write_out(const struct snapshot *s, enum metrics_format format, size_t length)
{
	struct prometheus p = { .snapshot = s, .format = format };
	struct text t = {};
	int r;

	while ((r = prometheus_next(&p, &t, length)) == 1)
		;
	assert_int_equal(r, 0);
	text_add(&t, "", 1);
	t.length--;
	return t;
}

static void assert_line(const struct text *t, const char *line)
{
	const char *found = strstr(t->data, line);

	if (!found || (found > t->data && found[-1] != '\n'))
		fail_msg("there is no line %s", line);
}

static void values_are_where_they_belong(void **state)
{
	struct model *m = world_model(2, 3);
	struct snapshot s;
	struct text t;

	world_fill(&s, m);
	s.agent.verdicts[VERDICT_STRAY] = (struct counter){ 12, 345 };
	s.agent.events[EVENT_HOPS_FULL] = 9;
	s.agent.flows4 = (struct snapshot_table){ 5, 100, 2 };
	s.servers[4].check = HEALTH_DOWN;
	s.servers[4].admin = HEALTH_DRAIN;
	s.backends[1].accepting = 0;
	s.servers[5].role = "replica";
	s.servers[5].lag_known = true;
	s.servers[5].lag_ms = 1250;
	s.backends[1].has_roles = s.backends[1].conflict = true;
	s.backends[1].writers = 2;
	t = write_out(&s, METRICS_TEXT, 4096);
	assert_line(&t, "alwayson_service_connections_total{service=\"service-1\"} 5001\n");
	assert_line(&t, "alwayson_service_refused_connections_total{service=\"service-1\"} 1\n");
	assert_line(&t, "alwayson_service_received_packets_total{service=\"service-0\"} 1000\n");
	assert_line(&t, "alwayson_service_received_bytes_total{service=\"service-0\"} 2000\n");
	assert_line(&t, "alwayson_service_sent_packets_total{service=\"service-0\"} 3000\n");
	assert_line(&t, "alwayson_service_sent_bytes_total{service=\"service-0\"} 4000\n");
	assert_line(&t, "alwayson_service_up{service=\"service-0\"} 1\n");
	assert_line(&t, "alwayson_service_up{service=\"service-1\"} 0\n");
	assert_line(&t, "alwayson_server_state{backend=\"backend-1\",server=\"s1\",state=\"down\"} 1\n");
	assert_line(&t, "alwayson_server_state{backend=\"backend-1\",server=\"s1\",state=\"up\"} 0\n");
	assert_line(&t, "alwayson_server_admin_state{backend=\"backend-1\",server=\"s1\",state=\"drain\"} 1\n");
	assert_line(&t, "alwayson_server_share_ratio{backend=\"backend-1\",server=\"s2\"} 0.25\n");
	assert_line(&t, "alwayson_server_check_duration_seconds{backend=\"backend-1\",server=\"s2\"} 0.0015\n");
	assert_line(&t, "alwayson_server_state_changed_timestamp_seconds{backend=\"backend-0\",server=\"s0\"} "
			"1764132481.5\n");
	assert_line(&t, "alwayson_server_checks_total{backend=\"backend-1\",server=\"s2\"} 105\n");
	assert_line(&t, "alwayson_backend_check_duration_seconds_bucket{backend=\"backend-0\",le=\"0.00025\"} 0\n");
	assert_line(&t, "alwayson_backend_check_duration_seconds_bucket{backend=\"backend-0\",le=\"0.0005\"} 1\n");
	assert_line(&t, "alwayson_backend_check_duration_seconds_bucket{backend=\"backend-0\",le=\"5\"} 1\n");
	assert_line(&t, "alwayson_backend_check_duration_seconds_bucket{backend=\"backend-0\",le=\"+Inf\"} 2\n");
	assert_line(&t, "alwayson_backend_check_duration_seconds_sum{backend=\"backend-0\"} 7.0003\n");
	assert_line(&t, "alwayson_backend_check_duration_seconds_count{backend=\"backend-0\"} 2\n");
	assert_line(&t, "alwayson_server_role{backend=\"backend-1\",server=\"s2\",role=\"replica\"} 1\n");
	assert_line(&t, "alwayson_server_role{backend=\"backend-1\",server=\"s2\",role=\"primary\"} 0\n");
	assert_line(&t, "alwayson_server_replication_lag_seconds{backend=\"backend-1\",server=\"s2\"} 1.25\n");
	assert_line(&t, "alwayson_backend_writers{backend=\"backend-1\"} 2\n");
	assert_line(&t, "alwayson_backend_writer_conflict{backend=\"backend-1\"} 1\n");
	assert_line(&t, "alwayson_packets_total{reason=\"stray\",action=\"drop\"} 12\n");
	assert_line(&t, "alwayson_packet_bytes_total{reason=\"stray\",action=\"drop\"} 345\n");
	assert_line(&t, "alwayson_packets_total{reason=\"dsr\",action=\"forward\"} 0\n");
	assert_line(&t, "alwayson_program_events_total{reason=\"hops_full\"} 9\n");
	assert_line(&t, "alwayson_flow_table_entries{family=\"ipv4\"} 5\n");
	assert_line(&t, "alwayson_flow_table_capacity{family=\"ipv4\"} 100\n");
	assert_line(&t, "alwayson_interface_attached{interface=\"eth0\",mode=\"native\"} 1\n");
	assert_line(&t, "alwayson_interface_attached{interface=\"eth0\",mode=\"generic\"} 0\n");
	text_done(&t);
	snapshot_done(&s);
	model_free(m);
}

static void what_is_unknown_is_absent(void **state)
{
	struct model *m = world_model(1, 1);
	struct snapshot s;
	struct text t;

	world_fill(&s, m);
	s.servers[0].result[0] = '\0';
	s.servers[0].changed_at_ms = s.servers[0].ports = s.backends[0].slots = 0;
	t = write_out(&s, METRICS_TEXT, 4096);
	assert_null(strstr(t.data, "alwayson_server_check_duration_seconds{"));
	assert_null(strstr(t.data, "alwayson_server_state_changed_timestamp_seconds{"));
	assert_null(strstr(t.data, "alwayson_server_nat_ports{"));
	assert_null(strstr(t.data, "alwayson_server_nat_ports_used{"));
	assert_null(strstr(t.data, "alwayson_server_share_ratio{"));
	assert_null(strstr(t.data, "alwayson_server_role{"));
	assert_null(strstr(t.data, "alwayson_server_replication_lag_seconds{"));
	assert_null(strstr(t.data, "alwayson_backend_writer_conflict{"));
	assert_null(strstr(t.data, "\nalwayson_config_last_reload_timestamp_seconds "));
	text_done(&t);
	snapshot_done(&s);
	model_free(m);
}

/* However it is cut, it is the same text; no piece is much longer than asked for. */
static void pieces_make_a_whole(void **state)
{
	struct model *m = world_model(3, 2);

	for (enum metrics_format format = METRICS_TEXT; format <= METRICS_OPENMETRICS; format++) {
		struct snapshot s;
		struct text whole, cut;

		world_fill(&s, m);
		whole = write_out(&s, format, SIZE_MAX / 2);
		cut = write_out(&s, format, 1);
		assert_string_equal(whole.data, cut.data);
		text_done(&whole);
		text_done(&cut);
		snapshot_done(&s);
	}
	model_free(m);
}

static void openmetrics_follows_its_rules(void **state)
{
	struct model *m = world_model(1, 1);
	struct snapshot s;
	struct text t;

	world_fill(&s, m);
	t = write_out(&s, METRICS_OPENMETRICS, 4096);
	assert_string_equal(t.data + t.length - 6, "# EOF\n");
	assert_line(&t, "# TYPE alwayson_service_connections counter\n");
	assert_line(&t, "# TYPE alwayson_build info\n");
	assert_line(&t, "# UNIT alwayson_service_received_bytes bytes\n");
	text_done(&t);
	t = write_out(&s, METRICS_TEXT, 4096);
	assert_null(strstr(t.data, "# EOF"));
	assert_null(strstr(t.data, "# UNIT"));
	assert_line(&t, "# TYPE alwayson_service_connections_total counter\n");
	assert_line(&t, "# TYPE alwayson_build_info gauge\n");
	text_done(&t);
	snapshot_done(&s);
	model_free(m);
}

/* OpenMetrics knows a name once, whatever its samples add to it; a unit is the name's end. */
static void names_are_well_formed(void **state)
{
	for (size_t i = 0; i < family_count; i++) {
		const struct family *f = &families[i];
		const size_t length = strlen(f->name), unit = strlen(f->unit);

		assert_memory_equal(f->name, "alwayson_", 9);
		assert_int_equal(strspn(f->name, "abcdefghijklmnopqrstuvwxyz0123456789_"), length);
		if (unit)
			assert_string_equal(f->name + length - unit, f->unit);
		assert_true(f->help[0] && f->help[strlen(f->help) - 1] == '.');
		assert_true(!f->write == (f->value != FAMILY_OWN));
		for (size_t j = 0; j < i; j++)
			if (strcmp(f->name, families[j].name) == 0)
				fail_msg("%s is there twice", f->name);
	}
}

/* Every metric has its row in the manual, and the manual has no other. */
static void manual_knows_every_metric(void **state)
{
	static const char *const suffixes[] = { "_total", "", "", "_info" };
	static const char *const types[] = { "counter", "gauge", "histogram", "gauge" };
	_cleanup_fclose_ FILE *f = fopen("docs/metrics.md", "re");
	_cleanup_free_ char *manual = calloc(1, 1 << 20);
	size_t rows = 0;

	if (!f || !fread(manual, 1, (1 << 20) - 1, f))
		fail_msg("docs/metrics.md cannot be read: run this in the root of the source tree");
	for (size_t i = 0; i < family_count; i++) {
		char row[256];

		snprintf(row, sizeof(row), "| `%s%s` | %s |", families[i].name, suffixes[families[i].type],
			 types[families[i].type]);
		if (!strstr(manual, row))
			fail_msg("docs/metrics.md has no row %s", row);
	}
	for (const char *at = manual; (at = strstr(at, "\n| `alwayson_")); at++)
		rows++;
	assert_int_equal(rows, family_count);
}

static void format_is_negotiated(void **state)
{
	assert_int_equal(prometheus_negotiate(NULL), METRICS_TEXT);
	assert_int_equal(prometheus_negotiate("text/html,*/*;q=0.8"), METRICS_TEXT);
	assert_int_equal(prometheus_negotiate("text/plain;version=0.0.4"), METRICS_TEXT);
	assert_int_equal(prometheus_negotiate("application/openmetrics-text;version=1.0.0,application/"
					      "openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5,*/*;q=0.1"),
			 METRICS_OPENMETRICS);
	assert_int_equal(prometheus_negotiate("application/openmetrics-text; q=0"), METRICS_TEXT);
	assert_int_equal(prometheus_negotiate("application/openmetrics-text; q=0.000, text/plain"), METRICS_TEXT);
	assert_int_equal(prometheus_negotiate("application/openmetrics-text; q=0.05"), METRICS_OPENMETRICS);
}

/*
 * 1000 services x 10 servers, 819 of them as the model allows 8192 servers; shown, not judged: a shared machine's clock
 * judges nothing. What must hold is that a piece is small, so that a turn of the loop is short.
 */
static void large_scrape_comes_in_small_pieces(void **state)
{
	struct model *m = world_model(819, 10);
	struct snapshot s;
	struct prometheus p = { .snapshot = &s };
	struct text t = {};
	size_t total = 0, pieces = 0, longest = 0;
	clock_t began;
	int r;

	assert_non_null(m);
	world_fill(&s, m);
	began = clock();
	do {
		t.length = 0;
		r = prometheus_next(&p, &t, 32768);
		assert_true(r >= 0);
		total += t.length;
		pieces++;
		if (t.length > longest)
			longest = t.length;
	} while (r);
	print_message("%zu servers: %.1f MB in %zu pieces of at most %zu bytes, %.1f ms of processor\n",
		      s.names->server_count, (double)total / 1e6, pieces, longest,
		      (double)(clock() - began) * 1e3 / CLOCKS_PER_SEC);
	assert_true(longest < 32768 + 8192);
	text_done(&t);
	snapshot_done(&s);
	model_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_where_they_belong),
		cmocka_unit_test(what_is_unknown_is_absent),
		cmocka_unit_test(pieces_make_a_whole),
		cmocka_unit_test(openmetrics_follows_its_rules),
		cmocka_unit_test(names_are_well_formed),
		cmocka_unit_test(manual_knows_every_metric),
		cmocka_unit_test(format_is_negotiated),
		cmocka_unit_test(large_scrape_comes_in_small_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
