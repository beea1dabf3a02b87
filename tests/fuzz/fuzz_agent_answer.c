/* SPDX-License-Identifier: BSD-2-Clause */
/* What an agent (agent-check) on a server says. */
#include "fuzz/fuzz.h"
#include "health/agent_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = fuzz_copy(data, size, false), wrong[16] = "";
	struct agent_answer a = {};

	if (size <= AGENT_ANSWER_MAX) {
		if (agent_answer_read(line, size, &a, wrong, sizeof(wrong))) {
			demand(!a.has_percent || a.percent <= AGENT_PERCENT_MAX);
			demand(!a.has_admin || a.admin <= HEALTH_MAINT);
			demand(memchr(a.word, '\0', sizeof(a.word)) && memchr(a.reason, '\0', sizeof(a.reason)));
			for (const char *c = a.reason; *c; c++)
				demand(*c >= ' ' && *c < 127);
		} else {
			demand(memchr(wrong, '\0', sizeof(wrong)));
		}
	}
	free(line);
	return 0;
}
