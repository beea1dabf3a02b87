/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a database says of itself, and what is made of it. The rows come from the input: columns by number out of those
 * that are asked for, values between them as they come. Stands in for session.c.
 */
#include <stdarg.h>

#include "alwayson/check.h"
#include "plugins/mysql/plugin.h"
#include "fuzz/fuzz.h"

enum { COLUMNS_MAX = 16, VALUE_MAX = 64 };

static const char *const names[] = {
	"Variable_name", "Value", "MEMBER_ID", "MEMBER_STATE", "MEMBER_ROLE", "Slave_IO_Running", "Slave_SQL_Running",
	"Replica_IO_Running", "Replica_SQL_Running", "Seconds_Behind_Master", "Seconds_Behind_Source", "Master_Server_Id",
	"Source_Server_Id", "Channel_Name", "Connection_name", "lag",
};
static const char *const values[] = {
	"server_id", "read_only", "super_read_only", "version", "wsrep_provider", "group_replication_group_name", "ON", "OFF",
	"Yes", "No", "Connecting", "ONLINE", "RECOVERING", "PRIMARY", "server_uuid", "wsrep_cluster_status", "Primary",
	"wsrep_local_state", "4", "10.11.6-MariaDB", "0", "18446744073709551616", "-1",
};

static const uint8_t *at;
static size_t left;

static uint8_t next_byte(void)
{
	return left ? (left--, *at++) : 0;
}

bool session_query(struct session *s, const char *sql, unsigned tolerated, void (*take)(const struct row *r, void *ctx),
		   void *ctx)
{
	unsigned rows = next_byte() % 8;

	if (next_byte() == 255)
		return tolerated ? false : session_fail(s, PLUGIN_BAD_ANSWER, "%s", "fuzzed");
	while (rows--) {
		char text[COLUMNS_MAX][VALUE_MAX] = {}, *row[COLUMNS_MAX];
		MYSQL_FIELD fields[COLUMNS_MAX] = {};
		struct row r = { .fields = fields, .count = 1 + next_byte() % COLUMNS_MAX, .values = row };

		for (unsigned i = 0; i < r.count; i++) {
			const uint8_t kind = next_byte();

			fields[i].name = (char *)names[next_byte() % (sizeof(names) / sizeof(names[0]))];
			row[i] = text[i];
			if (kind == 0)
				row[i] = NULL;
			else if (kind < 128)
				row[i] = (char *)values[kind % (sizeof(values) / sizeof(values[0]))];
			else
				for (unsigned n = 0; n < (kind & 63u) && left; n++)
					text[i][n] = (char)next_byte();
		}
		take(&r, ctx);
	}
	return true;
}

const char *row_get(const struct row *r, const char *name, const char *other)
{
	for (unsigned i = 0; i < r->count; i++)
		if (!strcasecmp(r->fields[i].name, name) || (other && !strcasecmp(r->fields[i].name, other)))
			return r->values[i];
	return NULL;
}

bool session_fail(struct session *s, enum plugin_code code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!s->failed) {
		s->result->code = code;
		vsnprintf(s->result->text, sizeof(s->result->text), format, args);
	}
	va_end(args);
	s->failed = true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mysql_words words = { .user = (char *)"u", .password = (char *)"", .ask = true };
	struct plugin_request request = {};
	struct plugin_result result = {};
	struct session s = { .request = &request, .result = &result };

	at = data;
	left = size;
	if (next_byte() & 1)
		words.heartbeat = (char *)"`a`.`b`";
	if (next_byte() & 1)
		words.channel = (char *)"c";
	facts_find(&s, &words);
	demand(memchr(result.text, '\0', sizeof(result.text)) && result.code < PLUGIN_CODE_COUNT);
	return 0;
}
