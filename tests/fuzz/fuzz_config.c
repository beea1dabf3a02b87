/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: lexer, parser, model. What loads can be shown as JSON; what does not says why. */
#include <errno.h>
#include <jansson.h>

#include "config/config.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, false);
	struct config_report report = {};
	struct model *m = NULL;
	int r = config_load_text("fuzz.cfg", text, size, &m, &report);

	demand(r == 0 || r == -EINVAL);
	demand((r == 0) == (report.errors == 0) && (r == 0) == (m != NULL));
	demand(report.messages.count <= CONFIG_MESSAGES_MAX + 1);
	if (m) {
		json_t *j = (json_t *)model_to_json_explained(m);

		demand(j);
		json_decref(j);
	}
	model_free(m);
	config_report_done(&report);
	free(text);
	return 0;
}
