/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loading as a whole: the reference file, Debian's shape of a file, several files and directories, the order of the
 * messages, and the limits at the limit and one above. Runs in the root of the source tree.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "config/config.h"

/* The reference file, byte for byte: what is loaded is what was asked for. */
static const char reference[] =
	"global\n"
	"    maxconn 256\n"
	"\n"
	"defaults\n"
	"    mode http\n"
	"    timeout connect 5000ms\n"
	"    timeout client  50000ms\n"
	"    timeout server  50000ms\n"
	"\n"
	"frontend http\n"
	"    bind *:80\n"
	"    default_backend nodes\n"
	"\n"
	"backend nodes\n"
	"    mode http\n"
	"    balance roundrobin\n"
	"    server node1 192.168.1.100:80 check\n"
	"    server node2 192.168.1.101:80 check\n";

/* In the shape of the file that Debian's haproxy package brings, with a frontend and a backend added. */
static const char debian[] =
	"global\n"
	"\tlog /dev/log\tlocal0\n"
	"\tlog /dev/log\tlocal1 notice\n"
	"\tchroot /var/lib/haproxy\n"
	"\tstats socket /run/haproxy/admin.sock mode 660 level admin\n"
	"\tstats timeout 30s\n"
	"\tuser haproxy\n"
	"\tgroup haproxy\n"
	"\tdaemon\n"
	"\n"
	"\t# SSL\n"
	"\tca-base /etc/ssl/certs\n"
	"\tcrt-base /etc/ssl/private\n"
	"\n"
	"        ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256\n"
	"        ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256\n"
	"        ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets\n"
	"\n"
	"defaults\n"
	"\tlog\tglobal\n"
	"\tmode\thttp\n"
	"\toption\thttplog\n"
	"\toption\tdontlognull\n"
	"        timeout connect 5000\n"
	"        timeout client  50000\n"
	"        timeout server  50000\n"
	"\terrorfile 400 /etc/haproxy/errors/400.http\n"
	"\terrorfile 403 /etc/haproxy/errors/403.http\n"
	"\terrorfile 408 /etc/haproxy/errors/408.http\n"
	"\terrorfile 500 /etc/haproxy/errors/500.http\n"
	"\terrorfile 502 /etc/haproxy/errors/502.http\n"
	"\terrorfile 503 /etc/haproxy/errors/503.http\n"
	"\terrorfile 504 /etc/haproxy/errors/504.http\n"
	"\n"
	"frontend www\n"
	"\tbind :80\n"
	"\tdefault_backend web\n"
	"\n"
	"backend web\n"
	"\tserver web1 192.0.2.1:80 check\n";

static struct model *model;
static struct config_report report;

static void clear(void)
{
	model_free(model);
	model = NULL;
	config_report_done(&report);
}

static int load_text(const char *text)
{
	clear();
	return config_load_text("lb.cfg", text, strlen(text), &model, &report);
}

/* Is there a message of this severity with these words? */
static bool says(enum config_severity severity, const char *words)
{
	size_t i;

	for (i = 0; i < report.messages.count; i++) {
		if (report.messages.items[i].severity == severity && strstr(report.messages.items[i].text, words))
			return true;
	}
	return false;
}

static void assert_refused(int r, const char *words)
{
	if (r == -EINVAL && !model && report.errors && says(CONFIG_ERROR, words))
		return;
	config_report_print(&report, stderr);
	fail_msg("returned %d; expected an error with '%s'", r, words);
}

static void assert_loaded(int r)
{
	if (!r && model && !report.errors)
		return;
	config_report_print(&report, stderr);
	fail_msg("returned %d", r);
}

static void the_reference_file_loads_as_it_is(void **state)
{
	static const char *const path[] = { "tests/reference/haproxy.cfg" };
	_cleanup_fclose_ FILE *f = fopen(path[0], "re");
	const struct model_backend *b;
	char bytes[1024];

	assert_non_null(f);
	assert_int_equal(fread(bytes, 1, sizeof(bytes), f), sizeof(reference) - 1);
	assert_memory_equal(bytes, reference, sizeof(reference) - 1);
	clear();
	assert_loaded(config_load(path, 1, &model, &report));
	assert_int_equal(report.messages.count, 2);
	assert_non_null(strstr(report.messages.items[0].text, "'maxconn'"));
	assert_int_equal(report.messages.items[0].line, 2);
	assert_non_null(strstr(report.messages.items[1].text, "'mode http'"));
	assert_int_equal(report.messages.items[1].line, 5);
	assert_int_equal(model->services.count, 1);
	assert_true(model->services.items[0].any_addr);
	assert_int_equal(model->services.items[0].addr.family, AF_INET);
	assert_int_equal(model->services.items[0].port_low, 80);
	b = &model->backends.items[model->services.items[0].backend];
	assert_string_equal(b->name, "nodes");
	assert_int_equal(b->balance, MODEL_ROUNDROBIN);
	assert_int_equal(b->forward, MODEL_NAT);
	assert_int_equal(b->check, MODEL_CHECK_TCP);
	assert_int_equal(b->servers.count, 2);
	assert_true(b->servers.items[1].check);
	assert_int_equal(b->connect_timeout_ms, 5000);
	assert_int_equal(b->idle_timeout_ms, 50000);
}

static void debians_shape_loads_with_notices(void **state)
{
	assert_loaded(load_text(debian));
	assert_true(says(CONFIG_NOTICE, "'chroot'"));
	assert_true(says(CONFIG_NOTICE, "'ssl-default-bind-options'"));
	assert_true(says(CONFIG_NOTICE, "'option httplog'"));
	assert_true(says(CONFIG_NOTICE, "(7 places)"));
	assert_int_equal(model->global.logs.count, 2);
	assert_int_equal(model->global.logs.items[1].level, 5);
	assert_string_equal(model->global.stats.path, "/run/haproxy/admin.sock");
	assert_int_equal(model->global.stats.level, MODEL_LEVEL_ADMIN);
}

/* Every message has a place; they come in the order of the lines, whenever they were found. */
static void messages_come_in_the_order_of_lines(void **state)
{
	size_t i;

	assert_int_equal(load_text("frontend f\n default_backend x\n bind :80\n bogus\nbackend b\n server s a.b:80\n"
				   "global\n maxconn 5\n nope\n"),
			 -EINVAL);
	assert_int_equal(report.errors, 4);
	for (i = 1; i < report.messages.count; i++)
		assert_true(report.messages.items[i - 1].line <= report.messages.items[i].line);
	assert_non_null(strstr(report.messages.items[0].text, "no backend 'x'"));
}

static void messages_hold_visible_ascii_only(void **state)
{
	size_t i;
	const char *c;

	assert_int_equal(load_text("global\n \"\\x1b[31m\\xff\\n\" x\n"), -EINVAL);
	for (i = 0; i < report.messages.count; i++) {
		for (c = report.messages.items[i].text; *c; c++)
			assert_true(*c >= ' ' && *c < 0x7f);
	}
	assert_true(says(CONFIG_ERROR, "'\\x1b[31m\\xff\\x0a'"));
}

static void a_report_prints_one_message_a_line(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	FILE *to = open_memstream(&text, &length);

	assert_int_equal(load_text("global\n maxconn 5\n nope\n"), -EINVAL);
	config_report_print(&report, to);
	fclose(to);
	assert_string_equal(
		text, "lb.cfg:2:2: notice: 'maxconn': it is not enforced: connections are not limited at layer 4\n"
		      "lb.cfg:3:2: error: unknown keyword 'nope'; did you mean 'node'?\n");
}

static char directory[] = "/tmp/alwayson-config-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	f = fopen(path, "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static int load_paths(size_t count, ...)
{
	char paths[4][256];
	const char *list[4];
	va_list args;
	size_t i;

	va_start(args, count);
	for (i = 0; i < count; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", directory, va_arg(args, const char *));
		list[i] = paths[i];
	}
	va_end(args);
	clear();
	return config_load(list, count, &model, &report);
}

static void several_files_are_one_text(void **state)
{
	write_file("1", "defaults\n timeout connect 3s\n timeout client 3s\n timeout server 3s\n");
	write_file("2", "frontend f\n bind :80\n default_backend b\n");
	write_file("3", "backend b\n server s 192.0.2.1:80\n");
	assert_loaded(load_paths(3, "1", "2", "3"));
	assert_int_equal(report.messages.count, 0);
	assert_int_equal(model->backends.items[0].connect_timeout_ms, 3000);
	assert_int_equal(model->backends.items[0].place.line, 1);
	assert_non_null(strstr(model->backends.items[0].place.file, "/3"));
}

static void no_section_goes_on_into_the_next_file(void **state)
{
	write_file("1", reference);
	write_file("2", " server node3 192.0.2.1:80\n");
	assert_refused(load_paths(2, "1", "2"), "outside of any section");
	assert_non_null(strstr(report.messages.items[report.messages.count - 1].file, "/2"));
}

static void a_directory_stands_for_its_cfg_files(void **state)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/d", directory);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused(load_paths(1, "d"), "holds no *.cfg file");
	write_file("d/20.cfg", "backend b\n server s 192.0.2.1:80\n");
	write_file("d/10.cfg", "defaults\n timeout connect 3s\n timeout client 3s\n timeout server 3s\n"
			       "frontend f\n bind :80\n default_backend b\n");
	write_file("d/.hidden.cfg", "nonsense\n");
	write_file("d/other.txt", "nonsense\n");
	assert_loaded(load_paths(1, "d"));
	assert_int_equal(model->files.count, 2);
	assert_non_null(strstr(model->files.items[0], "/d/10.cfg"));
	assert_int_equal(model->backends.items[0].connect_timeout_ms, 3000);
}

static void missing_and_empty_files_are_errors(void **state)
{
	write_file("1", reference);
	write_file("empty", "");
	assert_refused(load_paths(1, "missing"), "cannot be opened: No such file");
	assert_int_equal(report.messages.items[0].line, 0);
	assert_refused(load_paths(2, "1", "missing"), "cannot be opened");
	assert_refused(load_paths(1, "empty"), "is empty");
	assert_refused(load_paths(2, "1", "empty"), "is empty");
	assert_refused(load_paths(0), "no configuration file");
	assert_refused(load_text(""), "is empty");
}

/* A report that is not handed out for a failed load, and one that is, twice in a row, must not mix. */
static void a_failed_load_leaves_the_model_untouched(void **state)
{
	struct model *before;
	struct config_report other = {};

	assert_loaded(load_text(reference));
	before = model;
	assert_int_equal(config_load_text("x", "bogus\n", 6, &model, &other), -EINVAL);
	assert_ptr_equal(model, before);
	assert_int_equal(other.errors, 1);
	config_report_done(&other);
}

/* A configuration in the making, for the tests of limits. */
static char *draft;
static size_t draft_length;

static FILE *begin_draft(void)
{
	free(draft);
	draft = NULL;
	return open_memstream(&draft, &draft_length);
}

static int load_draft(FILE *f)
{
	assert_int_equal(fclose(f), 0);
	clear();
	return config_load_text("lb.cfg", draft, draft_length, &model, &report);
}

static int load_with(const char *format, unsigned count, const char *after)
{
	FILE *f = begin_draft();
	unsigned i;

	for (i = 0; i < count; i++) {
		const char *c;

		for (c = format; *c; c++) { /* # = the number, @ = it as the last two bytes of an address */
			if (*c == '#')
				fprintf(f, "%u", i);
			else if (*c == '@')
				fprintf(f, "%u.%u", i >> 8, i & 255);
			else
				fputc(*c, f);
		}
	}
	fputs(after, f);
	return load_draft(f);
}

#define TIMES "timeout connect 1s\n timeout client 1s\n timeout server 1s\n"
#define SERVED "defaults\n " TIMES "frontend f\n bind 192.0.2.1:80\n default_backend b\nbackend b\n"

static void limits_of_global_lists(void **state)
{
	assert_loaded(load_with("global\n interface e#\n", MODEL_INTERFACES_MAX, SERVED));
	assert_refused(load_with("global\n interface e#\n", MODEL_INTERFACES_MAX + 1, SERVED), "MODEL_INTERFACES_MAX");
	assert_loaded(load_with("global\n log /dev/log local0\n", MODEL_LOGS_MAX, SERVED));
	assert_refused(load_with("global\n log /dev/log local0\n", MODEL_LOGS_MAX + 1, SERVED), "MODEL_LOGS_MAX");
	assert_loaded(load_with("defaults\n source-pool 10.0.@\n", 1, SERVED));
}

static void limit_of_sources(void **state)
{
	char text[4096];
	unsigned i;

	for (i = MODEL_SOURCES_MAX; i <= MODEL_SOURCES_MAX + 1; i++) {
		unsigned j;

		strcpy(text, SERVED);
		for (j = 0; j < i; j++)
			sprintf(text + strlen(text), " source-pool 192.0.2.%u\n", j + 100);
		if (i == MODEL_SOURCES_MAX)
			assert_loaded(load_text(text));
		else
			assert_refused(load_text(text), "MODEL_SOURCES_MAX");
	}
}

static void limit_of_sources_of_a_peer(void **state)
{
	char text[4096];
	unsigned i;

	for (i = MODEL_SOURCES_MAX; i <= MODEL_SOURCES_MAX + 1; i++) {
		unsigned j;

		strcpy(text, "global\n localpeer a\n hash-secret /s\npeers p\n peer b 192.0.2.2:1\n peer a 192.0.2.1:1");
		for (j = 0; j < i; j++)
			sprintf(text + strlen(text), " source-pool 203.0.113.%u", j);
		strcat(text, "\n" SERVED);
		if (i == MODEL_SOURCES_MAX)
			assert_loaded(load_text(text));
		else
			assert_refused(load_text(text), "MODEL_SOURCES_MAX");
	}
}

static void limit_of_uri(void **state)
{
	char text[4096], uri[MODEL_HTTP_URI_MAX + 2];

	memset(uri, 'x', sizeof(uri));
	uri[0] = '/';
	snprintf(text, sizeof(text), SERVED " option httpchk %.*s\n", MODEL_HTTP_URI_MAX, uri);
	assert_loaded(load_text(text));
	assert_int_equal(strlen(model->backends.items[0].http.uri), MODEL_HTTP_URI_MAX);
	snprintf(text, sizeof(text), SERVED " option httpchk %.*s\n", MODEL_HTTP_URI_MAX + 1, uri);
	assert_refused(load_text(text), "MODEL_HTTP_URI_MAX");
}

static void limit_of_time(void **state)
{
	assert_loaded(load_text(SERVED " timeout server 86400000\n"));
	assert_int_equal(model->backends.items[0].server_timeout_ms, MODEL_TIME_MAX_MS);
	assert_refused(load_text(SERVED " timeout server 86400001\n"), "MODEL_TIME_MAX_MS");
}

static void limit_of_servers(void **state)
{
	static const char head[] = "backend b\n";
	unsigned n;

	for (n = MODEL_SERVERS_MAX; n <= MODEL_SERVERS_MAX + 1; n++) {
		FILE *f = begin_draft();
		unsigned i;

		fputs("defaults\n " TIMES "frontend f\n bind 192.0.2.1:80\n default_backend b\n", f);
		fputs(head, f);
		for (i = 0; i < n; i++)
			fprintf(f, "%s server s%u 10.1.%u.%u:80\n", i == n / 2 ? "backend c\n" : "", i, i >> 8,
				i & 255);
		if (n == MODEL_SERVERS_MAX)
			assert_loaded(load_draft(f));
		else
			assert_refused(load_draft(f), "MODEL_SERVERS_MAX");
	}
}

static void limit_of_backends(void **state)
{
	assert_loaded(load_with("backend x#\n", MODEL_BACKENDS_MAX - 1, SERVED));
	assert_refused(load_with("backend x#\n", MODEL_BACKENDS_MAX, SERVED), "MODEL_BACKENDS_MAX");
}

static void limit_of_services(void **state)
{
	static const char head[] =
		"defaults\n " TIMES "backend b\n server s 10.0.0.1:80\nfrontend f\n default_backend b\n";
	unsigned n;

	for (n = MODEL_SERVICES_MAX; n <= MODEL_SERVICES_MAX + 1; n++) {
		FILE *f = begin_draft();
		unsigned i;

		fputs(head, f);
		for (i = 0; i < n; i++)
			fprintf(f, " bind 10.1.%u.%u:80\n", i >> 8, i & 255);
		if (n == MODEL_SERVICES_MAX)
			assert_loaded(load_draft(f));
		else
			assert_refused(load_draft(f), "MODEL_SERVICES_MAX");
	}
}

static void limit_of_rules(void **state)
{
	static const char head[] = "defaults\n " TIMES "backend b\n server s 10.0.0.1:80\nfrontend f\n bind 192.0.2.1:80\n"
				   " default_backend b\n";

	for (unsigned n = MODEL_RULES_MAX; n <= MODEL_RULES_MAX + 1; n++) {
		FILE *f = begin_draft();

		fputs(head, f);
		for (unsigned i = 0; i < n; i++)
			fprintf(f, " tcp-request connection reject if { src 10.1.%u.0/24 }\n", i);
		if (n == MODEL_RULES_MAX)
			assert_loaded(load_draft(f));
		else
			assert_refused(load_draft(f), "MODEL_RULES_MAX");
	}
}

/* Frontends with rules of their own. */
static void limit_of_policies(void **state)
{
	for (unsigned n = MODEL_POLICIES_MAX; n <= MODEL_POLICIES_MAX + 1; n++) {
		FILE *f = begin_draft();

		fputs("defaults\n " TIMES "backend b\n server s 10.0.0.1:80\n", f);
		for (unsigned i = 0; i < n; i++)
			fprintf(f, "frontend f%u\n bind 192.0.2.1:%u\n default_backend b\n"
				" tcp-request connection reject if { src 10.1.%u.%u }\n", i, 1000 + i, i >> 8, i & 255);
		if (n == MODEL_POLICIES_MAX)
			assert_loaded(load_draft(f));
		else
			assert_refused(load_draft(f), "MODEL_POLICIES_MAX");
	}
}

/* A list of so many addresses, none of which touches another. */
static int load_list(const char *path, bool v6, unsigned count)
{
	FILE *list = fopen(path, "w"), *f = begin_draft();

	assert_non_null(list);
	for (unsigned i = 0; i < count; i++)
		fprintf(list, v6 ? "2001:db8:%x::1\n" : "10.%u.%u.%u\n", v6 ? i : i >> 15, i >> 7 & 255, (i & 127) * 2);
	fclose(list);
	fprintf(f, "defaults\n " TIMES "backend b\n server s 10.0.0.1:80\nfrontend f\n bind 192.0.2.1:80\n"
		" default_backend b\n tcp-request connection reject if { src -f %s }\n", path);
	return load_draft(f);
}

/* So many lists, each a file of its own in `dir`, so many in a condition; and an address beside each of those if `own`. */
static int load_lists(const char *dir, unsigned count, unsigned together, bool own)
{
	FILE *f = begin_draft();
	unsigned rules = 0;

	fputs("defaults\n " TIMES "backend b\n server s 10.0.0.1:80\n", f);
	for (unsigned i = 0; i < count; rules++) {
		if (rules % MODEL_RULES_MAX == 0)
			fprintf(f, "frontend f%u\n bind 192.0.2.1:%u\n default_backend b\n", rules, 1000 + rules);
		fputs(" tcp-request connection reject if { src", f);
		for (unsigned n = 0; n < together && i < count; n++, i++)
			fprintf(f, " -f %s/%u", dir, i);
		fputs(own ? " 10.0.0.1 }\n" : " }\n", f);
	}
	return load_draft(f);
}

static void limits_of_lists(void **state)
{
	enum { TOGETHER = 5 };
	char dir[] = "/tmp/alwayson-lists-XXXXXX", path[64], list[64];

	assert_non_null(mkdtemp(dir));
	snprintf(list, sizeof(list), "%s/list", dir);
	fclose(fopen(list, "w"));
	for (unsigned i = 0; i <= MODEL_ACLS_MAX; i++) {
		snprintf(path, sizeof(path), "%s/%u", dir, i);
		assert_int_equal(symlink(list, path), 0);
	}
	assert_loaded(load_lists(dir, MODEL_ACLS_MAX, TOGETHER, false));
	assert_int_equal(model->acls.count, MODEL_ACLS_MAX);
	/* The last condition has a list already: it is not to be in force with only a part of what it says. */
	assert_int_not_equal(MODEL_ACLS_MAX % TOGETHER, 0);
	assert_refused(load_lists(dir, MODEL_ACLS_MAX + 1, TOGETHER, false), "MODEL_ACLS_MAX");
	assert_refused(load_lists(dir, MODEL_ACLS_MAX, TOGETHER, true), "MODEL_ACLS_MAX");
	assert_loaded(load_lists(dir, MODEL_RULE_LISTS_MAX, MODEL_RULE_LISTS_MAX, false));
	assert_refused(load_lists(dir, MODEL_RULE_LISTS_MAX + 1, MODEL_RULE_LISTS_MAX + 1, false), "MODEL_RULE_LISTS_MAX");
	assert_loaded(load_lists(dir, MODEL_RULE_LISTS_MAX - 1, MODEL_RULE_LISTS_MAX, true));
	assert_refused(load_lists(dir, MODEL_RULE_LISTS_MAX, MODEL_RULE_LISTS_MAX, true), "MODEL_RULE_LISTS_MAX");
	for (unsigned i = 0; i <= MODEL_ACLS_MAX; i++) {
		snprintf(path, sizeof(path), "%s/%u", dir, i);
		unlink(path);
	}
	unlink(list);
	rmdir(dir);
}

static void limits_of_prefixes(void **state)
{
	char path[] = "/tmp/alwayson-list-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_loaded(load_list(path, false, MODEL_PREFIXES4_MAX));
	assert_refused(load_list(path, false, MODEL_PREFIXES4_MAX + 1), "MODEL_PREFIXES4_MAX");
	assert_loaded(load_list(path, true, MODEL_PREFIXES6_MAX));
	assert_refused(load_list(path, true, MODEL_PREFIXES6_MAX + 1), "MODEL_PREFIXES6_MAX");
	unlink(path);
}

static void limit_of_ports(void **state)
{
	static const char head[] = "defaults\n " TIMES "backend b\nfrontend f\n default_backend b\n";
	char text[512];

	/* All ports of an address are one entry of the table. */
	snprintf(text, sizeof(text), "%s bind 192.0.2.1:1-65534,192.0.2.2:1-65535,192.0.2.3:1\n", head);
	assert_loaded(load_text(text));
	snprintf(text, sizeof(text), "%s bind 192.0.2.1:1-65534,192.0.2.2:1-65535,192.0.2.3:1-2\n", head);
	assert_refused(load_text(text), "MODEL_PORTS_MAX");
}

static void all_ports_give_way(void **state)
{
	static const char head[] = "defaults\n " TIMES "backend b\nfrontend f\n default_backend b\n";
	char text[512];

	snprintf(text, sizeof(text), "%s bind 192.0.2.1:80\n bind 192.0.2.1:1-65535\n bind 192.0.2.1:443-444\n", head);
	assert_loaded(load_text(text));
	assert_true(model_service_has_all_ports(&model->services.items[1]));
	assert_false(model_service_has_all_ports(&model->services.items[2]));
	snprintf(text, sizeof(text), "%s bind 192.0.2.1:1-65535\n bind 192.0.2.1:1-65535\n", head);
	assert_refused(load_text(text), "this bind is given twice");
	snprintf(text, sizeof(text), "%s bind 192.0.2.1:1-65535,192.0.2.1:80,192.0.2.1:70-90\n", head);
	assert_refused(load_text(text), "the ports overlap: TCP port 80");
	snprintf(text, sizeof(text), "%s bind *:1-65535\n", head);
	assert_refused(load_text(text), "name the address");
}

static void limit_of_messages(void **state)
{
	assert_int_equal(load_with("global\n bogus#\n", CONFIG_MESSAGES_MAX + 500, ""), -EINVAL);
	assert_int_equal(report.errors, CONFIG_MESSAGES_MAX + 500);
	assert_int_equal(report.messages.count, CONFIG_MESSAGES_MAX);
	assert_true(says(CONFIG_NOTICE, "501 more messages are not shown"));
}

static void limit_of_a_file(void **state)
{
	_cleanup_free_ char *text = malloc(CONFIG_FILE_MAX + 2);
	size_t tail = sizeof(reference) - 1, i;

	assert_non_null(text);
	for (i = 0; i < CONFIG_FILE_MAX; i++) /* comments of 1024 bytes, and the reference at the end */
		text[i] = i % 1024 == 1023 ? '\n' : '#';
	text[CONFIG_FILE_MAX - tail - 1] = '\n';
	strcpy(text + CONFIG_FILE_MAX - tail, reference);
	write_file("large", text);
	assert_loaded(load_paths(1, "large"));
	strcpy(text + CONFIG_FILE_MAX, "\n");
	write_file("large", text);
	assert_refused(load_paths(1, "large"), "CONFIG_FILE_MAX");
	write_file("large", "");
}

static void limit_of_files(void **state)
{
	_cleanup_free_ const char **paths = calloc(CONFIG_FILES_MAX + 1, sizeof(*paths));
	char small[256];
	size_t i;

	assert_non_null(paths);
	write_file("1", "global\n");
	snprintf(small, sizeof(small), "%s/1", directory);
	paths[0] = "tests/reference/haproxy.cfg";
	for (i = 1; i <= CONFIG_FILES_MAX; i++)
		paths[i] = small;
	clear();
	assert_loaded(config_load(paths, CONFIG_FILES_MAX, &model, &report));
	clear();
	assert_refused(config_load(paths, CONFIG_FILES_MAX + 1, &model, &report), "CONFIG_FILES_MAX");
}

/* Every prefix and every single damaged byte of a real file: an answer, no crash, and never a model beside an error. */
static void damaged_text_never_hurts(void **state)
{
	static const char bytes[] = { 0, '\n', ' ', '"', '\'', '\\', '$', ':', '-', '9', (char)0xff };
	char copy[sizeof(debian)];
	size_t i, j;
	int r;

	for (i = 0; i < sizeof(debian); i++) {
		clear();
		r = config_load_text("lb.cfg", debian, i, &model, &report);
		assert_true((r == 0) == (model != NULL) && (r == 0) == (report.errors == 0));
	}
	for (i = 0; i < sizeof(debian) - 1; i += 3) {
		for (j = 0; j < sizeof(bytes); j++) {
			memcpy(copy, debian, sizeof(debian));
			copy[i] = bytes[j];
			clear();
			r = config_load_text("lb.cfg", copy, sizeof(debian) - 1, &model, &report);
			assert_true((r == 0) == (model != NULL) && (r == 0) == (report.errors == 0));
		}
	}
}

static int make_directory(void **state)
{
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	static const char *const names[] = {
		"1", "2", "3", "empty", "large", "d/10.cfg", "d/20.cfg", "d/.hidden.cfg", "d/other.txt", "d", "",
	};
	char path[256];
	size_t i;

	clear();
	free(draft);
	for (i = 0; i < array_size(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		remove(path);
	}
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_file_loads_as_it_is),
		cmocka_unit_test(debians_shape_loads_with_notices),
		cmocka_unit_test(messages_come_in_the_order_of_lines),
		cmocka_unit_test(messages_hold_visible_ascii_only),
		cmocka_unit_test(a_report_prints_one_message_a_line),
		cmocka_unit_test(several_files_are_one_text),
		cmocka_unit_test(no_section_goes_on_into_the_next_file),
		cmocka_unit_test(a_directory_stands_for_its_cfg_files),
		cmocka_unit_test(missing_and_empty_files_are_errors),
		cmocka_unit_test(a_failed_load_leaves_the_model_untouched),
		cmocka_unit_test(limits_of_global_lists),
		cmocka_unit_test(limit_of_sources),
		cmocka_unit_test(limit_of_sources_of_a_peer),
		cmocka_unit_test(limit_of_uri),
		cmocka_unit_test(limit_of_time),
		cmocka_unit_test(limit_of_servers),
		cmocka_unit_test(limit_of_backends),
		cmocka_unit_test(limit_of_services),
		cmocka_unit_test(limit_of_rules),
		cmocka_unit_test(limit_of_policies),
		cmocka_unit_test(limits_of_lists),
		cmocka_unit_test(limits_of_prefixes),
		cmocka_unit_test(limit_of_ports),
		cmocka_unit_test(all_ports_give_way),
		cmocka_unit_test(limit_of_messages),
		cmocka_unit_test(limit_of_a_file),
		cmocka_unit_test(limit_of_files),
		cmocka_unit_test(damaged_text_never_hurts),
	};

	return cmocka_run_group_tests_name("config_load", tests, make_directory, remove_directory);
}
