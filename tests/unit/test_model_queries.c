/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What rooms ask a model: servers by path, idle times, names, the whole as JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "config/config.h"

static const char text[] =
	"defaults\n"
	" timeout connect 1s\n"
	" timeout client 10s\n"
	" timeout server 20s\n"
	"frontend f\n"
	" bind 192.0.2.1:80\n"
	" timeout client 30s\n"
	" default_backend b\n"
	"frontend g\n"
	" bind 192.0.2.1:81\n"
	" default_backend b\n"
	"frontend h\n"
	" bind 192.0.2.1:82\n"
	" default_backend tunnel\n"
	"backend b\n"
	" server s1 192.0.2.11:80\n"
	" server s2 192.0.2.12:80\n"
	"backend bb\n"
	" server s1 192.0.2.13:80\n"
	"backend tunnel\n"
	" timeout tunnel 5s\n"
	" server s1 192.0.2.14:80\n";

static struct model *model;

static int load(void **state)
{
	struct config_report report = {};
	int r = config_load_text("test", text, sizeof(text) - 1, &model, &report);

	config_report_print(&report, stderr);
	config_report_done(&report);
	return r;
}

static int unload(void **state)
{
	model_free(model);
	model_free(NULL);
	return 0;
}

static void servers_are_found_by_path(void **state)
{
	const struct model_backend *b = NULL;
	const struct model_server *s = model_find_server(model, "bb/s1", &b);

	assert_non_null(s);
	assert_string_equal(b->name, "bb");
	assert_int_equal(s->at.addr.bytes[3], 13);
	assert_ptr_equal(model_find_server(model, "b/s2", NULL), &model->backends.items[0].servers.items[1]);
	assert_null(model_find_server(model, "b", NULL));
	assert_null(model_find_server(model, "b/", NULL));
	assert_null(model_find_server(model, "/s1", NULL));
	assert_null(model_find_server(model, "b/s3", NULL));
	assert_null(model_find_server(model, "b/s1/x", NULL));
	assert_null(model_find_server(model, "f/s1", NULL));
}

static void idle_time_is_tunnel_or_the_longer_one(void **state)
{
	assert_int_equal(model_idle_timeout_ms(model, &model->services.items[0]), 30000);
	assert_int_equal(model_idle_timeout_ms(model, &model->services.items[1]), 20000);
	assert_int_equal(model_idle_timeout_ms(model, &model->services.items[2]), 5000);
	assert_int_equal(model->backends.items[0].idle_timeout_ms, 30000);
	assert_int_equal(model->backends.items[1].idle_timeout_ms, 20000);
	assert_int_equal(model->backends.items[2].idle_timeout_ms, 5000);
}

static void names_are_those_of_the_language(void **state)
{
	assert_string_equal(model_balance_name(MODEL_ROUNDROBIN), "roundrobin");
	assert_string_equal(model_balance_name(MODEL_MAGLEV), "maglev");
	assert_string_equal(model_balance_name(MODEL_SOURCE), "source");
	assert_string_equal(model_forward_name(MODEL_NAT), "nat");
	assert_string_equal(model_forward_name(MODEL_DSR), "dsr");
	assert_string_equal(model_protocol_name(MODEL_UDP), "udp");
	assert_string_equal(model_xdp_mode_name(MODEL_XDP_SHARED), "shared");
	assert_string_equal(model_init_state_name(MODEL_INIT_FULLY_UP), "fully-up");
	assert_string_equal(model_balance_name(99), "?");
}

static void json_shows_the_whole(void **state)
{
	json_t *json = model_to_json(model), *server;

	assert_non_null(json);
	assert_int_equal(json_array_size(json_object_get(json, "services")), 3);
	assert_int_equal(json_array_size(json_object_get(json, "backends")), 3);
	server = json_array_get(json_object_get(json_array_get(json_object_get(json, "backends"), 1), "servers"), 0);
	assert_string_equal(json_string_value(json_object_get(server, "address")), "192.0.2.13:80");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(server, "place"), "line")), 19);
	json_decref(json);
}

/* A file's name may hold any bytes; the JSON must still be there. */
static void json_survives_names_that_are_no_utf8(void **state)
{
	struct config_report report = {};
	struct model *m = NULL;
	json_t *json;

	assert_int_equal(config_load_text("\xff\xfe.cfg", text, sizeof(text) - 1, &m, &report), 0);
	json = model_to_json(m);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "files"), 0)), "?\?.cfg");
	json_decref(json);
	model_free(m);
	config_report_done(&report);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(servers_are_found_by_path),
		cmocka_unit_test(idle_time_is_tunnel_or_the_longer_one),
		cmocka_unit_test(names_are_those_of_the_language),
		cmocka_unit_test(json_shows_the_whole),
		cmocka_unit_test(json_survives_names_that_are_no_utf8),
	};

	return cmocka_run_group_tests_name("model_queries", tests, load, unload);
}
