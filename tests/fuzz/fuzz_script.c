/* SPDX-License-Identifier: BSD-2-Clause */
/* What a server answers to the steps of a tcp-check; the first byte says in how large pieces it comes. */
#include "config/config.h"
#include "fuzz/fuzz.h"
#include "health/script.h"

static const char text[] =
	"listen b\n\tbind 192.0.2.10:6379\n\toption tcp-check\n"
	"\ttcp-check send PING\\r\\n\n"
	"\ttcp-check expect string +PONG\n"
	"\ttcp-check expect rstring ^role:(master|slave)\n"
	"\ttcp-check expect ! string loading\n"
	"\ttcp-check expect min-recv 4 binary 00ff00\n"
	"\ttcp-check expect ! rstring error[0-9]+\n"
	"\tserver s 192.0.2.1:6379 check\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct script *script;
	struct script_run r = {};
	char where[CHECK_DETAIL_MAX];
	size_t piece, at = 1, length;

	if (!script) {
		struct config_report report = {};
		struct model *m = NULL;

		if (config_load_text("fuzz.cfg", text, sizeof(text) - 1, &m, &report) < 0)
			config_report_print(&report, stderr);
		demand(m && script_new(&m->backends.items[0], &script) == 0);
		model_free(m);
		config_report_done(&report);
	}
	if (!size)
		return 0;
	piece = data[0] + 1u;
	script_begin(&r, script);
	for (unsigned steps = 0; r.want != SCRIPT_DONE; steps++) {
		demand(steps < 70000);
		switch (r.want) {
		case SCRIPT_CONNECT:
			script_connected(&r);
			break;
		case SCRIPT_SEND:
			demand(script_out(&r, &length) && length);
			script_sent(&r);
			break;
		case SCRIPT_RECEIVE:
			script_where(&r, where);
			if (at < size) {
				const size_t n = size - at < piece ? size - at : piece;

				script_take(&r, data + at, n);
				at += n;
			} else {
				script_closed(&r);
			}
			break;
		case SCRIPT_DONE:
			break;
		}
		demand(r.kept <= SCRIPT_ANSWER_MAX);
	}
	demand(memchr(r.result.detail, '\0', sizeof(r.result.detail)));
	script_end(&r);
	return 0;
}
