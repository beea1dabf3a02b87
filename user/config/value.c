/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads the values of HAProxy's language. Stricter than HAProxy where that would take a typing error for something
 * else: "3x" is no number and "5sec" is no time. Never resolves names: a look-up would block the agent's loop.
 */
#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

enum { VALUE_PREFIX4_MIN = 8, VALUE_PREFIX6_MIN = 16 };

/* The number at the start of text, held at a value far above every limit when it is longer. Returns its digits' count.
 */
static size_t read_digits(const char *text, unsigned long long *ret)
{
	unsigned long long n = 0;
	size_t i;

	for (i = 0; isdigit((unsigned char)text[i]); i++)
		n = n > ULLONG_MAX / 100 ? n : n * 10 + (unsigned)(text[i] - '0');
	*ret = n;
	return i;
}

bool value_number(const char *text, unsigned low, unsigned high, unsigned *ret)
{
	unsigned long long n;
	size_t digits = read_digits(text, &n);

	if (!digits || text[digits] || n < low || n > high)
		return false;
	*ret = (unsigned)n;
	return true;
}

const char *value_time(const char *text, uint32_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint64_t us;
	} units[] = {
		{ "", 1000 }, { "us", 1 }, { "ms", 1000 }, { "s", 1000000 },
		{ "m", 60000000 }, { "h", 3600000000 }, { "d", 86400000000 },
	};
	unsigned long long n;
	size_t digits = read_digits(text, &n), i;

	for (i = 0; digits && i < array_size(units); i++) {
		if (strcmp(text + digits, units[i].unit))
			continue;
		if (n > INT_MAX * 1000ULL / units[i].us)
			return "the time is above HAProxy's limit of 2147483647 ms (about 24.8 days)";
		*ret_ms = (uint32_t)((n * units[i].us + 999) / 1000);
		return NULL;
	}
	return "a time is expected: a whole number and one of the units us ms s m h d (none = ms)";
}

const char *value_ports(const char *text, uint16_t *ret_low, uint16_t *ret_high)
{
	unsigned long long low, high;
	size_t digits = read_digits(text, &low);

	high = low;
	if (digits && text[digits] == '-') {
		text += digits + 1;
		digits = read_digits(text, &high);
	}
	if (!digits || text[digits])
		return "a port or a range LOW-HIGH is expected";
	if (low < 1 || low > 65535 || high > 65535)
		return "ports are from 1 to 65535";
	if (high < low)
		return "the range's first port is above its last one";
	*ret_low = (uint16_t)low;
	*ret_high = (uint16_t)high;
	return NULL;
}

const char *value_addr(const char *text, struct addr *ret)
{
	char copy[ADDR_TEXT_MAX];
	size_t length = strlen(text);

	if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
		text++;
		length -= 2;
	}
	if (length >= sizeof(copy))
		return "this is no IP address";
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (addr_parse(copy, ret))
		return "this is no IP address";
	return NULL;
}

struct address_prefix {
	const char *text;
	uint8_t family;
	bool udp, tcp;
	const char *refused;
};

static const struct address_prefix prefixes[] = {
	{ "ip@", 0, false, false, NULL },
	{ "ipv4@", AF_INET, false, false, NULL },
	{ "ipv6@", AF_INET6, false, false, NULL },
	{ "tcp@", 0, false, true, NULL },
	{ "tcp4@", AF_INET, false, true, NULL },
	{ "tcp6@", AF_INET6, false, true, NULL },
	{ "udp@", 0, true, false, NULL },
	{ "udp4@", AF_INET, true, false, NULL },
	{ "udp6@", AF_INET6, true, false, NULL },
	{ "quic4@", 0, false, false, "QUIC is not terminated here; 'udp@' balances its packets" },
	{ "quic6@", 0, false, false, "QUIC is not terminated here; 'udp@' balances its packets" },
	{ "unix@", 0, false, false, "a UNIX socket has no packets to balance" },
	{ "uxst@", 0, false, false, "a UNIX socket has no packets to balance" },
	{ "uxdg@", 0, false, false, "a UNIX socket has no packets to balance" },
	{ "abns@", 0, false, false, "a UNIX socket has no packets to balance" },
	{ "fd@", 0, false, false, "no socket is used that could be inherited" },
	{ "sockpair@", 0, false, false, "no socket is used that could be inherited" },
	{ "/", 0, false, false, "a UNIX socket has no packets to balance" },
};

/* Why text is no address of this family. */
static const char *not_an_address(const char *text, uint8_t family)
{
	const char *c;

	if (strchr(text, '%'))
		return "zones of link-local addresses are not supported";
	for (c = text; *c; c++) {
		if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
			return "this is no IP address; IPv6 with a port is written [2001:db8::1]:80";
	}
	if (strspn(text, "0123456789.") != strlen(text))
		return "host names are not resolved yet: write the IP address";
	return family == AF_INET6 ? "this is no IPv6 address" : "this is no IPv4 address";
}

static const char *read_host(const char *text, uint8_t family, struct value_address *a)
{
	if (!*text || !strcmp(text, "*")) {
		a->addr.family = family ? family : AF_INET;
		a->any = true;
		return NULL;
	}
	if (value_addr(text, &a->addr))
		return not_an_address(text, family);
	if (family && a->addr.family != family)
		return family == AF_INET ? "the prefix asks for an IPv4 address"
					 : "the prefix asks for an IPv6 address";
	a->any = addr_is_unspecified(&a->addr);
	return NULL;
}

const char *value_address(const char *text, struct value_address *ret)
{
	struct value_address a = {};
	uint8_t family = 0;
	const char *colon, *why;
	char host[256];
	size_t i, length;

	for (i = 0; i < array_size(prefixes); i++) {
		if (strncmp(text, prefixes[i].text, strlen(prefixes[i].text)))
			continue;
		if (prefixes[i].refused)
			return prefixes[i].refused;
		text += strlen(prefixes[i].text);
		family = prefixes[i].family;
		a.udp = prefixes[i].udp;
		a.tcp = prefixes[i].tcp;
		break;
	}
	colon = strrchr(text, ':');
	if (colon && strchr(colon, ']'))
		colon = NULL; /* inside brackets */
	length = colon ? (size_t)(colon - text) : strlen(text);
	if (length >= sizeof(host))
		return "this is no IP address";
	memcpy(host, text, length);
	host[length] = '\0';
	why = read_host(host, family, &a);
	if (why)
		return why;
	if (colon && colon[1]) {
		if (colon[1] == '+' || (colon[1] == '-' && isdigit((unsigned char)colon[2])))
			return "port offsets (+N, -N) are not supported: name the port, or none to keep the packet's "
			       "own";
		why = value_ports(colon + 1, &a.port_low, &a.port_high);
		if (why)
			return why;
		a.has_ports = true;
	}
	*ret = a;
	return NULL;
}

/* Loopback and multicast addresses, and none at all, are no sender's. */
static bool is_sender(const struct addr *a)
{
	static const uint8_t loopback[16] = { [15] = 1 };

	if (a->family == AF_INET)
		return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224;
	return !addr_is_unspecified(a) && memcmp(a->bytes, loopback, sizeof(loopback)) && a->bytes[0] != 0xff;
}

const char *value_prefix(const char *text, struct addr *ret, unsigned *ret_length)
{
	char copy[ADDR_TEXT_MAX + sizeof("[]/128")];
	const char *close = strchr(text, ']');
	struct addr addr, masked;
	unsigned length;
	bool v6;
	int r;

	if (strlen(text) >= sizeof(copy))
		return "this is no IP address";
	if (text[0] == '[' && close && strcspn(text, "/") > (size_t)(close - text))
		snprintf(copy, sizeof(copy), "%.*s%s", (int)(close - text) - 1, text + 1, close + 1);
	else
		strcpy(copy, text);
	r = addr_parse_prefix(copy, &addr, &length);
	if (r == -EINVAL) {
		char *slash = strchr(copy, '/');

		if (slash)
			*slash = '\0';
		return addr_parse(copy, &addr) ? not_an_address(copy, 0) : "a prefix's length is a number";
	}
	v6 = strchr(copy, ':');
	if (r < 0 || length < (v6 ? VALUE_PREFIX6_MIN : VALUE_PREFIX4_MIN))
		return v6 ? "a prefix's length is from 16 to 128 for IPv6" : "a prefix's length is from 8 to 32 for IPv4";
	masked = addr_mask(&addr, length);
	if (!addr_equal(&masked, &addr))
		return "bits are set behind the prefix: clear them, or leave the length out";
	if (!is_sender(&addr))
		return "no packet can come from this address";
	*ret = addr;
	*ret_length = length;
	return NULL;
}
