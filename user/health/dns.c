/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 1035 section 4.1: header and question of a query, header and question of its answer. Called by target.c and
 * talk.c. A server that has nothing to say about a question has to repeat it all the same, which tells an answer from
 * noise.
 */
#include "health/dns.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "model/model.h"

enum { HEADER_SIZE = 12, CLASS_IN = 1 };
enum { FLAG_RECURSION_DESIRED = 0x01, FLAG_ANSWER = 0x80, RCODE_MASK = 0x0f };

static const char *const rcodes[] = {
	"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
};

size_t dns_query(const char *name, uint16_t type, uint8_t to[static DNS_QUERY_MAX])
{
	size_t used = HEADER_SIZE;

	if (name && !model_dns_name_is_valid(name))
		return 0;
	memset(to, 0, HEADER_SIZE);
	to[2] = FLAG_RECURSION_DESIRED;
	to[5] = 1; /* one question */
	while (name && *name) {
		size_t label = strcspn(name, ".");

		to[used++] = (uint8_t)label;
		memcpy(to + used, name, label);
		used += label;
		name += label;
		if (*name == '.')
			name++;
	}
	to[used++] = 0;
	to[used++] = (uint8_t)(type >> 8);
	to[used++] = (uint8_t)type;
	to[used++] = 0;
	to[used++] = CLASS_IN;
	return used;
}

void dns_set_id(uint8_t *query, uint16_t id)
{
	query[0] = (uint8_t)(id >> 8);
	query[1] = (uint8_t)id;
}

/* Names are compared without regard to case: RFC 1035, section 2.3.3. */
static bool same_question(const uint8_t *a, const uint8_t *b, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (tolower(a[i]) != tolower(b[i]))
			return false;
	return true;
}

void dns_judge(const uint8_t *query, size_t query_length, const uint8_t *answer, size_t length, bool any,
	       struct check_result *ret)
{
	unsigned rcode, records;
	char text[CHECK_DETAIL_MAX];

	if (length > DNS_ANSWER_MAX) {
		check_result_set(ret, CHECK_L7RSP, "answer too long");
		return;
	}
	if (length < HEADER_SIZE || memcmp(answer, query, 2) || !(answer[2] & FLAG_ANSWER)) {
		check_result_set(ret, CHECK_L7RSP, "not an answer to the query");
		return;
	}
	rcode = answer[3] & RCODE_MASK;
	records = (unsigned)answer[6] << 8 | answer[7];
	/* Who can't read the question need not repeat it. */
	if (rcode != 1 && (length < query_length || answer[4] || answer[5] != 1 ||
			   !same_question(answer + HEADER_SIZE, query + HEADER_SIZE, query_length - HEADER_SIZE))) {
		check_result_set(ret, CHECK_L7RSP, "not an answer to the question");
		return;
	}
	if (rcode < sizeof(rcodes) / sizeof(rcodes[0]))
		snprintf(text, sizeof(text), "%s", rcodes[rcode]);
	else
		snprintf(text, sizeof(text), "rcode %u", rcode);
	if (any ? rcode != 1 && rcode != 2 && rcode != 4 : !rcode && records)
		check_result_set(ret, CHECK_L7OK, any && rcode ? text : NULL);
	else
		check_result_set(ret, CHECK_L7STS, rcode ? text : "no record");
}
