/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The values of HAProxy's language: numbers, times, ports, addresses. Called by the handlers of the keywords.
 * Pure. Those that return a text: NULL and the outputs filled, or what is wrong in a few words and they are untouched.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/* A decimal number from low to high, and nothing after it. */
bool value_number(const char *text, unsigned low, unsigned high, unsigned *ret);
/* "5s", "100" (ms), "1500us" (rounded up to a ms); units us ms s m h d; at most 2147483647 ms, as in HAProxy. */
const char *value_time(const char *text, uint32_t *ret_ms);
/* "80" or "8000-8010"; never port 0. */
const char *value_ports(const char *text, uint16_t *ret_low, uint16_t *ret_high);

/* An address as HAProxy writes it. What stands after the last colon outside brackets is the port. */
struct value_address {
	struct addr addr;          /* `*` and an empty one: family as the prefix says, else AF_INET, bytes zero */
	bool any;                  /* `*`, empty, 0.0.0.0 or :: */
	bool udp, tcp;             /* a prefix said so */
	bool has_ports;
	uint16_t port_low, port_high;
};

const char *value_address(const char *text, struct value_address *ret);
/* "192.0.2.7" or "192.0.2.0/24": addresses that a packet can come from. Brackets allowed; no bits behind the prefix. */
const char *value_prefix(const char *text, struct addr *ret, unsigned *ret_length);
/* An address alone, brackets allowed. */
const char *value_addr(const char *text, struct addr *ret);

#endif
