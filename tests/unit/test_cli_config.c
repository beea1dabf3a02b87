/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `show config` prints a configuration: what it prints is read again and must mean the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/render.h"
#include "config/config.h"

static const char everything[] =
	"global\n"
	"    interface eth0 xdp native\n"
	"    external-check\n"
	"    log /dev/log local0 info\n"
	"    stats socket /run/alwayson/a.sock mode 600 uid 7 gid 9 level admin\n"
	"    state-dir '/var/lib/always on'\n"
	"    hash-secret /etc/alwayson/secret\n"
	"    localpeer lb2\n"
	"peers lbs\n"
	"    peer lb1 192.0.2.201:10000 source-pool 192.0.2.211 source-pool [2001:db8::211]:20000-20009\n"
	"    peer lb2 192.0.2.202:10000 source-pool 192.0.2.212 source-pool [2001:db8::212]\n"
	"defaults\n"
	"    timeout connect 1500ms\n"
	"    timeout client 1h\n"
	"    timeout server 90s\n"
	"frontend web\n"
	"    bind 192.0.2.1:80,192.0.2.2:8000-8010\n"
	"    bind udp@*:53\n"
	"    default_backend nodes\n"
	"backend nodes\n"
	"    mode http\n"
	"    balance maglev\n"
	"    forward nat\n"
	"    on-all-down drop\n"
	"    option allbackups\n"
	"    timeout check 700\n"
	"    timeout tunnel 2h\n"
	"    option httpchk GET /it\\'s HTTP/1.1\n"
	"    http-check send hdr Host a.example\n"
	"    http-check expect ! status 500-599,404\n"
	"    flows peers lbs\n"
	"    source-pool 192.0.2.1:20000-30000\n"
	"    server one 192.0.2.10:80 check inter 1s fastinter 200 downinter 5s rise 1 fall 2 weight 7 port 8080\n"
	"    server two 192.0.2.11:80 backup disabled on-marked-down shutdown-sessions\n"
	"frontend web6\n"
	"    bind [2001:db8::1]:80\n"
	"    bind :::8080\n"
	"    default_backend nodes6\n"
	"backend nodes6\n"
	"    balance source\n"
	"    server six [2001:db8::2]:80 check addr 2001:db8::3 init-state fully-down\n"
	"    server any [2001:db8::4] weight 0\n"
	"frontend far\n"
	"    bind 192.0.2.3:80,[2001:db8::3]:80\n"
	"    default_backend tunnelled\n"
	"backend tunnelled\n"
	"    forward ipip\n"
	"    tunnel-source 198.18.0.0/16\n"
	"    tunnel-source 2001:db8:1::/64\n"
	"    server four 192.0.2.12 check port 80\n"
	"    server six [2001:db8::5]\n"
	"    server way 192.0.2.13 check via vip\n"
	"backend talks\n"
	"    on-all-down last-known\n"
	"    panic-threshold 40\n"
	"    option tcp-check\n"
	"    tcp-check connect default port 7 addr 2001:db8::7 linger comment 'say \\\\'\n"
	"    tcp-check send \"PING\\r\\n\" comment hello\n"
	"    tcp-check send-binary 00ff\n"
	"    tcp-check expect min-recv 5 comment 'a pong' ! rstring '^-(ERR|NO)'\n"
	"    tcp-check expect binary 0d0a\n"
	"    tcp-check connect ssl sni a.example alpn h2\n"
	"    tcp-check expect string \"\\$\\t\"\n"
	"    default-server check check-ssl ca-file /a/ca.pem crt /a/c.pem check-sni b.example verifyhost c.example\n"
	"    server one 192.0.2.10:80 check-alpn x,y slowstart 90s flap-damping 3 10m\n"
	"    server two 192.0.2.11:80 agent-check agent-port 8 agent-addr 192.0.2.99 agent-inter 3s agent-send \"a\\n\"\n"
	"    server three 192.0.2.12:80 no-check track one\n"
	"backend datagrams\n"
	"    option udp-check send-binary 01 expect string PONG\n"
	"    server one 192.0.2.10:53 check\n"
	"backend names\n"
	"    option dns-check name www.example type SRV\n"
	"    server one 192.0.2.10:53 check\n"
	"backend steps\n"
	"    option httpchk\n"
	"    http-check disable-on-404\n"
	"    http-check connect port 81 ssl sni a.example\n"
	"    http-check send meth GET uri /one ver HTTP/1.1 hdr Host a.example hdr X-Probe 'a: b'\n"
	"    http-check expect comment first status 200-299,301\n"
	"    http-check expect ! rstring 'fail|error'\n"
	"    http-check send meth PUT uri /two body 'a \"b\" c'\n"
	"    http-check expect rstatus '^2'\n"
	"    http-check connect\n"
	"    http-check send uri /three\n"
	"    server one 192.0.2.10:80 check verify none\n"
	"backend gone\n"
	"    option httpchk GET /x\n"
	"    http-check disable-on-404\n"
	"    server one 192.0.2.10:80 check\n"
	"backend commands\n"
	"    option external-check\n"
	"    external-check command '/a b'\n"
	"    external-check path /bin:/sbin\n"
	"    server one 192.0.2.10:53 check\n"
	"backend root\n"
	"    option dns-check\n"
	"    server one 192.0.2.10:53 check\n";

static char *temporary(const char *text)
{
	char *path = strdup("/tmp/alwayson-cfg-XXXXXX");
	int fd = mkstemp(path);
	size_t length = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
	return path;
}

static json_t *load(const char *path)
{
	struct config_report report = {};
	struct model *m = NULL;
	json_t *j;

	if (config_load(&path, 1, &m, &report) < 0) {
		config_report_print(&report, stderr);
		fail_msg("%s is not understood", path);
	}
	j = model_to_json(m);
	assert_non_null(j);
	config_report_done(&report);
	model_free(m);
	return j;
}

/* Lines move, files are named otherwise; a default that is written out now has a place. */
static void forget_places(json_t *j)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_object(j)) {
		json_object_del(j, "place");
		json_object_del(j, "files");
		json_object_foreach(j, key, value)
			forget_places(value);
	}
	json_array_foreach(j, i, value)
		forget_places(value);
}

static void assert_comes_back(const char *path)
{
	json_t *first = load(path), *second;
	char *text = NULL, *again, *a, *b;
	size_t length;
	struct render to = { .out = open_memstream(&text, &length) };

	assert_int_equal(render_config(first, &to), 0);
	fclose(to.out);
	again = temporary(text);
	second = load(again);
	unlink(again);
	forget_places(first);
	forget_places(second);
	a = json_dumps(first, JSON_INDENT(1));
	b = json_dumps(second, JSON_INDENT(1));
	if (!json_equal(first, second))
		fail_msg("printed:\n%s\nfirst:\n%s\nsecond:\n%s", text, a, b);
	free(a);
	free(b);
	free(text);
	free(again);
	json_decref(first);
	json_decref(second);
}

static void the_reference_file_comes_back(void **state)
{
	assert_comes_back("tests/reference/haproxy.cfg");
}

static void everything_comes_back(void **state)
{
	char *path = temporary(everything);

	assert_comes_back(path);
	unlink(path);
	free(path);
}

/* Passwords stay where they are: the file is named again. */
static void checks_by_plugins_come_back(void **state)
{
	char *password = temporary("secret\n"), *text, *path;

	assert_true(asprintf(&text,
		"defaults\n"
		"    timeout connect 1s\n"
		"    timeout client 1h\n"
		"    timeout server 1h\n"
		"    default-server check\n"
		"frontend f\n"
		"    bind 192.0.2.1:3306\n"
		"    default_backend w\n"
		"backend w\n"
		"    option mysql-check user 'a b' password-file %s role primary max-writers 2 on-conflict none tls verify "
		"ca-file /a.pem crt /c.pem\n"
		"    server one 192.0.2.10:3306\n"
		"backend r\n"
		"    option mysql-check user u post-41 role replica or-primary max-lag 10s recover-lag 2500 weight-by-lag "
		"channel main lag-source heartbeat ops.beat\n"
		"    server one 192.0.2.10:3306\n"
		"backend r2\n"
		"    option mysql-check user u role replica lag-source seconds-behind\n"
		"    server one 192.0.2.10:3306\n"
		"backend any\n"
		"    option mysql-check user u tls noverify\n"
		"    server one 192.0.2.10:3306\n"
		"backend p\n"
		"    option plugin-check ssh password-file %s min-version 2.0 ''\n"
		"    server one 192.0.2.10:22\n"
		"backend q\n"
		"    option plugin-check mysql user ask\n"
		"    server one 192.0.2.10:22\n", password, password) > 0);
	path = temporary(text);
	assert_comes_back(path);
	unlink(path);
	unlink(password);
	free(path);
	free(text);
	free(password);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_reference_file_comes_back),
		cmocka_unit_test(everything_comes_back),
		cmocka_unit_test(checks_by_plugins_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
