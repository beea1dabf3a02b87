/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * docs/limits.md and docs/configuration.md against the code: each limit that users meet is named there with its value, and
 * docs/limits.md names none that the code does not have.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <string.h>

#include <alwayson/abi.h>
#include <alwayson/check.h>
#include <alwayson/decap.h>

#include "agent/log.h"
#include "agent/peers.h"
#include "base/cleanup.h"
#include "checker/checker.h"
#include "checker/command.h"
#include "checker/pool.h"
#include "config/config.h"
#include "control/control.h"
#include "dataplane/dataplane.h"
#include "doctor/doctor.h"
#include "health/agent_answer.h"
#include "health/dns.h"
#include "health/health.h"
#include "health/status_line.h"
#include "model/model.h"
#include "table/maglev.h"
#include "table/smooth.h"
#include "peers/wire.h"
#include "unit/cli_docs.h"
#include "web/events.h"
#include "web/server.h"

#define L(name) { #name, name }

/* A new limit that a user can meet: its line here, its row in the manual, a test at it and one above. */
static const struct {
	const char *name;
	unsigned long long value;
} limits[] = {
	L(SERVICE_TABLE_MAX), L(MAX_SERVICES), L(MAX_BACKENDS), L(MAX_DEVICES), L(EXTENSIONS_MAX), L(EXTENSION_BYTES_MAX),
	L(VLAN_TAGS_MAX), L(FRAGMENTS_MAX), L(RESETS_PER_SECOND), L(LOCK_SPINS), L(NAT_PROBES),
	/* id 0 is none */
	{ "MAX_SERVERS", MAX_SERVERS - 1 }, { "MAX_ADDRESSES", MAX_ADDRESSES - 1 }, { "MAX_HOPS", MAX_HOPS - 1 },
	L(DECAP_SOURCES_MAX), L(DECAP_ADDRESSES_MAX),
	L(MODEL_FLOWS4), L(MODEL_FLOWS6), L(MODEL_FLOWS_MIN), L(MODEL_FLOWS_MAX), L(DATAPLANE_SLOTS), L(DATAPLANE_PORTS),
	L(MAGLEV_SLOTS_MAX), L(SMOOTH_SLOTS_MAX),
	L(CONFIG_FILE_MAX), L(CONFIG_FILES_MAX), L(CONFIG_LINE_MAX), L(CONFIG_WORDS_MAX), L(CONFIG_MESSAGES_MAX),
	L(MODEL_NAME_MAX), L(MODEL_BACKENDS_MAX), L(MODEL_SERVICES_MAX), L(MODEL_SERVERS_MAX), L(MODEL_PORTS_MAX),
	L(MODEL_INTERFACES_MAX), L(MODEL_XDP_PRIORITY_MAX), L(MODEL_LOGS_MAX), L(MODEL_SOURCES_MAX), L(MODEL_PEERS_MAX), L(MODEL_WEIGHT_MAX), L(MODEL_COUNT_MAX),
	L(MODEL_TIME_MAX_MS), L(MODEL_CHECK_STEPS_MAX), L(MODEL_CHECK_DATA_MAX), L(MODEL_CHECK_ANSWER_MAX),
	L(MODEL_CHECK_REGEX_MAX), L(MODEL_HTTP_URI_MAX), L(MODEL_STATUS_RANGES_MAX), L(MODEL_TRACK_DEPTH_MAX),
	L(MODEL_AGENT_SEND_MAX), L(MODEL_COMMAND_MAX), L(MODEL_DNS_NAME_MAX), L(MODEL_SOCKET_PATH_MAX),
	L(MODEL_QUIC_ID_MAX), L(MODEL_QUIC_CONFIG_MAX),
	L(MODEL_PLUGIN_WORDS_MAX), L(MODEL_ROLE_SERVERS_MAX), L(MODEL_WRITERS_MAX),
	L(MODEL_WATCHDOG_MIN_MS), L(MODEL_WATCHDOG_MAX_MS),
	L(CONTROL_REQUEST_MAX), L(CONTROL_WORDS_MAX), L(CONTROL_CLIENTS_MAX), L(CONTROL_WAITING_MAX), L(CONTROL_TIMEOUT_MS),
	L(CONTROL_REPLY_MAX), L(CONTROL_PENDING_MAX),
	L(WEB_CONNECTIONS_MAX), L(WEB_PEER_MAX), L(WEB_STREAMS_MAX), L(WEB_PEER_STREAMS_MAX), L(WEB_REQUEST_MAX),
	L(WEB_FIELDS_MAX), L(WEB_TARGET_MAX), L(WEB_REQUEST_MS), L(WEB_IDLE_MS), L(WEB_REPLY_MS), L(WEB_PENDING),
	L(WEB_TURN_US),
	L(LOG_LINE_MAX), L(LOG_QUOTE_MAX), L(LOG_RATE_MAX), L(LOG_KINDS_MAX), L(LOG_QUEUE_MAX), L(EVENTS_KEPT),
	L(DOCTOR_PROBES_MAX),
	L(WIRE_DATAGRAM_MAX), L(WIRE_RECORD_MIN), L(WIRE_RECORD_MAX), L(PEERS_HELLO_MS), L(PEERS_DEAD_MS), L(PEERS_REFRESH_MS),
	L(PEERS_SEND_RATE), L(PEERS_RECEIVE_RATE), L(PEERS_ASK_MS), L(PEERS_WAYS_MAX), L(PEERS_GREET_WAIT_MS), L(PEERS_COPY_WAIT_MS),
	L(STATUS_LINE_MAX), L(AGENT_ANSWER_MAX), L(DNS_ANSWER_MAX), L(HEALTH_HISTORY_MAX),
	L(PLUGIN_ARGS_MAX), L(PLUGIN_ARG_MAX), L(PLUGIN_SECRET_MAX), L(PLUGIN_SOURCES_MAX),
	L(CHECKER_WORKERS_MAX), L(CHECKER_QUEUE_MAX), L(COMMANDS_MAX), L(COMMAND_BYTES_MAX), L(COMMAND_WORDS_MAX),
	L(CHECKER_PLUGINS_MAX), L(CHECKER_STATES_MAX), L(CHECKER_MEMORY_MAX_MB),
};

/* "16 384", or "16384". */
static const char *grouped(unsigned long long n, bool blanks, char buf[32])
{
	char digits[24];
	size_t length = snprintf(digits, sizeof(digits), "%llu", n), used = 0;

	for (size_t i = 0; i < length; i++) {
		if (blanks && n >= 10000 && i && (length - i) % 3 == 0)
			buf[used++] = ' ';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
	return buf;
}

/* Does the line have this number, or quantity, as a word? */
static bool has_word(const char *line, size_t length, const char *word)
{
	const size_t size = strlen(word);

	for (size_t i = 0; i + size <= length; i++)
		if (memcmp(line + i, word, size) == 0 && (i == 0 || !isalnum((unsigned char)line[i - 1])) &&
		    (i + size == length || !isalnum((unsigned char)line[i + size])))
			return true;
	return false;
}

static bool has_value(const char *line, size_t length, const char *name, unsigned long long n)
{
	static const struct { unsigned long long of; const char *unit; } units[] = {
		{ 1 << 10, "KiB" }, { 1 << 20, "MiB" }, { 1 << 30, "GiB" },
	};
	const char *end = name + strlen(name) - 3;
	char word[32];

	if (has_word(line, length, grouped(n, true, word)) || has_word(line, length, grouped(n, false, word)))
		return true;
	for (size_t i = 0; i < array_size(units); i++) {
		snprintf(word, sizeof(word), "%llu %s", n / units[i].of, units[i].unit);
		if (n % units[i].of == 0 && has_word(line, length, word))
			return true;
	}
	snprintf(word, sizeof(word), "%llu s", n / 1000);
	if (strcmp(end, "_MS") == 0 && has_word(line, length, word))
		return true;
	snprintf(word, sizeof(word), "%llu h", n / 3600000);
	if (strcmp(end, "_MS") == 0 && has_word(line, length, word))
		return true;
	snprintf(word, sizeof(word), "%llu GiB", n / 1024);
	return strcmp(end, "_MB") == 0 && has_word(line, length, word);
}

/* Is the limit named in this text, with its value on the same line? Fails when it is with another one. */
static bool is_documented(const char *path, const char *text, size_t i)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "`%s`", limits[i].name);
	at = strstr(text, quoted);
	if (!at)
		return false;
	while (at > text && at[-1] != '\n')
		at--;
	if (!has_value(at, strcspn(at, "\n"), limits[i].name, limits[i].value))
		fail_msg("%s: the row of %s does not say %llu: %.*s", path, limits[i].name, limits[i].value,
			 (int)strcspn(at, "\n"), at);
	return true;
}

static void each_limit_is_in_the_manual(void **state)
{
	char *own = docs_read("docs/limits.md"), *configuration = docs_read("docs/configuration.md");

	for (size_t i = 0; i < array_size(limits); i++)
		if (!is_documented("docs/limits.md", own, i) && !is_documented("docs/configuration.md", configuration, i))
			fail_msg("%s is neither in docs/limits.md nor in docs/configuration.md", limits[i].name);
	free(own);
	free(configuration);
}

/* Is there a constant of that name in the code? */
static bool is_defined(const char *name, size_t length)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "grep -rqE '(define|^[[:space:]]|,|[{]) ?%.*s( =|[[:space:]]+[0-9(])' include user bpf --include='*.h' "
		 "--include='*.c'", (int)length, name);
	return system(command) == 0;
}

static void the_manual_names_no_other(void **state)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	char *text = docs_read("docs/limits.md");
	unsigned named = 0;

	for (const char *at = text; (at = strchr(at, '`')); at++) {
		const size_t length = strspn(at + 1, letters);

		if (at[length + 1] != '`' || !memchr(at + 1, '_', length))
			continue;
		named++;
		if (!is_defined(at + 1, length))
			fail_msg("docs/limits.md names %.*s, which the code does not know", (int)length, at + 1);
	}
	assert_true(named > array_size(limits) / 2);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit_is_in_the_manual),
		cmocka_unit_test(the_manual_names_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
