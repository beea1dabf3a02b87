/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers of a DNS server to a check. */
#include "fuzz/fuzz.h"
#include "health/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t query[DNS_QUERY_MAX];
	const size_t length = dns_query("www.example", 1, query);
	char *answer;

	if (size > DNS_ANSWER_MAX)
		return 0;
	answer = fuzz_copy(data, size, false);
	dns_set_id(query, 0xbeef);
	for (int any = 0; any <= 1; any++) {
		struct check_result r = {};

		dns_judge(query, length, (uint8_t *)answer, size, any, &r);
		demand(memchr(r.detail, '\0', sizeof(r.detail)));
	}
	free(answer);
	return 0;
}
