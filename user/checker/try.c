/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `alwayson-checker --try`: one check by hand, under the same restrictions as in a worker, and all that the plugin said
 * of it. For whoever writes a plugin, or wonders what one sees. Called by main.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/addr.h"
#include "checker/checker.h"
#include "checker/protocol.h"

enum { DEFAULT_TIMEOUT_MS = 2000 };

static const char *const codes[PLUGIN_CODE_COUNT] = {
	[PLUGIN_PASSED] = "passed", [PLUGIN_CONNECT_TIMEOUT] = "connect-timeout",
	[PLUGIN_CONNECT_FAILED] = "connect-failed", [PLUGIN_TIMEOUT] = "timeout", [PLUGIN_BAD_ANSWER] = "bad-answer",
	[PLUGIN_REFUSED] = "refused", [PLUGIN_TROUBLE] = "trouble",
};

static void print_role(const struct plugin_result *r)
{
	static const char *const words[] = {
		"writable", "replica", "replicating", "source-unknown", "clustered", "cluster-broken",
	};
	size_t i;

	printf("role        ");
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (r->role & (1u << i))
			printf(" %s", words[i]);
	printf("\n");
}

static void print(const struct plugin_result *r)
{
	uint32_t i;

	printf("code         %s\n", r->code < PLUGIN_CODE_COUNT ? codes[r->code] : "unknown");
	printf("text         %s\n", r->text);
	if (r->figures & PLUGIN_HAS_ROLE)
		print_role(r);
	if (r->figures & PLUGIN_HAS_SERVER_ID)
		printf("server-id    %llu\n", (unsigned long long)r->server_id);
	for (i = 0; i < r->source_count && i < PLUGIN_SOURCES_MAX; i++)
		printf("source-id    %llu\n", (unsigned long long)r->source_ids[i]);
	if (r->cluster_id)
		printf("cluster-id   %llx\n", (unsigned long long)r->cluster_id);
	if (r->figures & PLUGIN_HAS_LAG)
		printf("lag-ms       %u\n", r->lag_ms);
	if (r->figures & PLUGIN_HAS_WEIGHT)
		printf("weight       %u%%\n", r->weight_percent);
}

int try_check(int argc, char **argv)
{
	const char *secret = getenv("ALWAYSON_SECRET"), *timeout = getenv("ALWAYSON_TIMEOUT_MS");
	struct plugin_result result = { .size = sizeof(result) };
	struct plugin_request request = { .size = sizeof(request) };
	char error[PLUGIN_ERROR_MAX] = "";
	const struct plugin *plugin;
	unsigned long port;
	struct addr addr;
	void *state;

	if (argc < 3 || addr_parse(argv[1], &addr) < 0 || !(port = strtoul(argv[2], NULL, 10)) || port > 65535) {
		fprintf(stderr, "usage: alwayson-checker --try PLUGIN ADDRESS PORT [WORD ...]\n"
				"       ALWAYSON_SECRET is the password, ALWAYSON_TIMEOUT_MS the time-out (default %d)\n",
			DEFAULT_TIMEOUT_MS);
		return 2;
	}
	if (restrict_calls() < 0) {
		fprintf(stderr, "alwayson-checker: seccomp is not to be had\n");
		return 1;
	}
	if (plugins_find(argv[0], &plugin, error) < 0 ||
	    plugin->configure((size_t)argc - 3, (const char *const *)argv + 3, secret ? secret : "", &state, error)) {
		fprintf(stderr, "alwayson-checker: %s\n", error);
		return 1;
	}
	request.address = argv[1];
	request.family = addr.family;
	request.port = (uint16_t)port;
	request.deadline_ms = checker_clock_ms() + 1 + (timeout ? strtoul(timeout, NULL, 10) : DEFAULT_TIMEOUT_MS);
	request.connect_deadline_ms = request.deadline_ms;
	plugin->check(state, &request, &result);
	result.text[PLUGIN_TEXT_MAX - 1] = '\0';
	print(&result);
	plugin->release(state);
	return result.code == PLUGIN_PASSED ? 0 : 1;
}
