/* SPDX-License-Identifier: BSD-2-Clause */
/* The head of an HTTP request: its length is the same however it comes, and what is taken from it lies within it. */
#include "fuzz/fuzz.h"
#include "web/request.h"

static void demand_within(const char *at, const char *head, size_t length)
{
	demand(!at || (at >= head && at + strlen(at) <= head + length));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *head = fuzz_copy(data, size, false);
	const size_t length = web_request_length(head, size);
	struct web_request r = {};
	size_t value_length = 0;
	const char *value;
	int status;

	demand(length <= size);
	if (length) {
		demand(web_request_length(head, length) == length && web_request_length(head, length - 1) == 0);
		status = web_request_parse(head, length, &r);
		demand(status == 0 || (status >= 400 && status <= 505));
		if (status == 0) {
			demand(r.path && *r.path == '/' && r.query);
			demand_within(r.path, head, length);
			demand_within(r.accept, head, length);
			demand_within(r.if_none_match, head, length);
			value = web_query_find(r.query, "after", &value_length);
			demand(!value || (value >= r.query && value + value_length <= r.query + strlen(r.query)));
		}
	}
	free(head);
	return 0;
}
