/* SPDX-License-Identifier: BSD-2-Clause */
/* An HTTP status line of a checked server: in one piece or byte by byte, the same comes out. */
#include "fuzz/fuzz.h"
#include "health/status_line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *bytes = fuzz_copy(data, size, false);
	struct status_line whole, pieces;

	status_line_init(&whole);
	status_line_init(&pieces);
	status_line_feed(&whole, bytes, size);
	for (size_t i = 0; i < size && pieces.state == STATUS_LINE_MORE; i++)
		status_line_feed(&pieces, bytes + i, 1);
	demand(whole.state == pieces.state);
	if (whole.state == STATUS_LINE_DONE) {
		demand(whole.code == pieces.code && whole.code >= 100 && whole.code <= 999);
		demand(whole.reason_length < STATUS_REASON_MAX && memchr(whole.reason, '\0', STATUS_REASON_MAX));
		demand(strcmp(whole.reason, pieces.reason) == 0);
		for (const char *c = whole.reason; *c; c++)
			demand(*c >= ' ' && *c < 127);
	}
	free(bytes);
	return 0;
}
