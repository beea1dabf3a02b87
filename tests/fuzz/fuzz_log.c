/* SPDX-License-Identifier: BSD-2-Clause */
/* Strangers' words in the log, and from there in the event stream: one line each, and JSON that parses. */
#include <jansson.h>
#include <syslog.h>

#include "agent/log.h"
#include "agent/log_text.h"
#include "fuzz/fuzz.h"
#include "metrics/text.h"
#include "web/events.h"

static struct events events;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *value = fuzz_copy(data, size, true), quoted[LOG_QUOTE_MAX], raw[LOG_LINE_MAX], line[LOG_LINE_MAX];
	struct text json = {};
	json_t *j;
	size_t n;

	log_quote(quoted, sizeof(quoted), value);
	n = strlen(quoted);
	demand(n >= 2 && n < sizeof(quoted) && quoted[0] == '"' && quoted[n - 1] == '"');
	snprintf(raw, sizeof(raw), "server=%s reason=%s %s", "node1", quoted, value);
	n = log_text_line(line, sizeof(line), raw, size > sizeof(raw));
	demand(n < sizeof(line) && strlen(line) == n);
	for (const char *c = line; *c; c++)
		demand((unsigned char)*c >= ' ' && *c != 127);
	events_add(&events, 1, LOG_NOTICE, "fuzz", line);
	events_json(events_next(&events, events.last - 1), &json);
	j = json.failed ? NULL : json_loadb(json.data, json.length, 0, NULL);
	demand(json_is_object(json_object_get(j, "fields")));
	json_decref(j);
	text_done(&json);
	free(value);
	return 0;
}
