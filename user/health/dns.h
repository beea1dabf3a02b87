/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A DNS query and what its answer says (RFC 1035, section 4), as far as a check needs it. Called by target.c and
 * talk.c. Pure. Of the answer, header and question are looked at, not the records: nothing to follow, nothing to
 * overrun.
 */
#ifndef HEALTH_DNS_H
#define HEALTH_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/result.h"

enum dns_limit {
	DNS_QUERY_MAX = 12 + 255 + 4,
	DNS_ANSWER_MAX = 512, /* RFC 1035, section 2.3.4: without EDNS no datagram is longer */
};

/* Writes a query with id 0; name NULL = the root. Returns its length; 0 for a name that is none. */
size_t dns_query(const char *name, uint16_t type, uint8_t to[static DNS_QUERY_MAX]);
void dns_set_id(uint8_t *query, uint16_t id);
/*
 * Judges an answer to this query. any: whatever answers the question is good, short of "server failure"; else it must
 * be without error and hold a record.
 */
void dns_judge(const uint8_t *query, size_t query_length, const uint8_t *answer, size_t length, bool any,
	       struct check_result *ret);

#endif
