/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t addr_length(const struct addr *a)
{
	return a->family == AF_INET ? 4 : a->family == AF_INET6 ? 16 : 0;
}

int addr_parse(const char *text, struct addr *ret)
{
	struct addr a = {};

	if (inet_pton(AF_INET, text, a.bytes) == 1)
		a.family = AF_INET;
	else if (inet_pton(AF_INET6, text, a.bytes) == 1)
		a.family = AF_INET6;
	else
		return -EINVAL;
	*ret = a;
	return 0;
}

int addr_parse_prefix(const char *text, struct addr *ret, unsigned *ret_length)
{
	const char *slash = strchr(text, '/');
	char host[ADDR_TEXT_MAX];
	size_t length = slash ? (size_t)(slash - text) : strlen(text), digits;
	unsigned long bits;
	struct addr a;

	if (length >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	if (addr_parse(host, &a) < 0)
		return -EINVAL;
	bits = addr_bits(&a);
	if (slash) {
		digits = strspn(slash + 1, "0123456789");
		if (!digits || slash[1 + digits])
			return -EINVAL;
		bits = strtoul(slash + 1, NULL, 10); /* too many digits give ULONG_MAX */
		if (bits > addr_bits(&a))
			return -ERANGE;
	}
	*ret = a;
	*ret_length = bits;
	return 0;
}

struct addr addr_mask(const struct addr *a, unsigned length)
{
	struct addr masked = *a;

	for (unsigned i = 0; i < addr_length(a); i++) {
		unsigned kept = length > 8 * i ? length - 8 * i : 0;

		if (kept < 8)
			masked.bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
	return masked;
}

unsigned addr_bits(const struct addr *a)
{
	return 8 * addr_length(a);
}

const char *addr_format(const struct addr *a, char buf[static ADDR_TEXT_MAX])
{
	if (!a->family || !inet_ntop(a->family, a->bytes, buf, ADDR_TEXT_MAX))
		strcpy(buf, "-");
	return buf;
}

const char *endpoint_format(const struct endpoint *e, char buf[static ENDPOINT_TEXT_MAX])
{
	char text[ADDR_TEXT_MAX];

	snprintf(buf, ENDPOINT_TEXT_MAX, e->addr.family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		 addr_format(&e->addr, text), e->port);
	return buf;
}

int addr_compare(const struct addr *a, const struct addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_compare(a, b) == 0;
}

bool addr_is_unspecified(const struct addr *a)
{
	static const uint8_t zeros[16];

	return a->family && memcmp(a->bytes, zeros, addr_length(a)) == 0;
}

struct addr addr_from_v4(in_addr_t v4)
{
	struct addr a = { .family = AF_INET };

	memcpy(a.bytes, &v4, sizeof(v4));
	return a;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (e->addr.family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->addr.bytes, 4);
		return sizeof(*in);
	}
	if (e->addr.family == AF_INET6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(e->port);
		memcpy(&in6->sin6_addr, e->addr.bytes, 16);
		return sizeof(*in6);
	}
	return 0;
}
