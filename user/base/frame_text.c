/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/frame_text.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"

enum {
	NESTING_MAX = 3,     /* tunnels and quotes inside each other */
	EXTENSIONS_SEEN = 8,
	ETHERNET = 14,
	VLAN_TAGS_SEEN = 4,
};

/* What is written so far, and what is left to read. */
struct reader {
	char *text;
	size_t used;
	const uint8_t *at;
	size_t left;
	unsigned nesting;
};

static void __attribute__((format(printf, 2, 3))) say(struct reader *r, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(r->text + r->used, FRAME_TEXT_MAX - r->used, format, args);
	va_end(args);
	if (n > 0)
		r->used += (size_t)n < FRAME_TEXT_MAX - r->used ? (size_t)n : FRAME_TEXT_MAX - r->used - 1;
}

static unsigned get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static bool skip(struct reader *r, size_t bytes)
{
	if (bytes > r->left)
		return false;
	r->at += bytes;
	r->left -= bytes;
	return true;
}

static void describe_ip(struct reader *r);

static void say_pair(struct reader *r, const struct addr *from, const struct addr *to)
{
	char f[ADDR_TEXT_MAX], t[ADDR_TEXT_MAX];

	say(r, "%s > %s ", addr_format(from, f), addr_format(to, t));
}

static void say_ports(struct reader *r, const struct addr *from, const struct addr *to)
{
	const struct endpoint f = { *from, get16(r->at) }, t = { *to, get16(r->at + 2) };
	char from_text[ENDPOINT_TEXT_MAX], to_text[ENDPOINT_TEXT_MAX];

	say(r, "%s > %s ", endpoint_format(&f, from_text), endpoint_format(&t, to_text));
}

static void say_tcp_flags(struct reader *r, unsigned flags)
{
	static const char *const names[] = { "FIN", "SYN", "RST", "PSH", "ACK", "URG" };
	const char *separator = " ";

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (flags >> i & 1) {
			say(r, "%s%s", separator, names[i]);
			separator = "+";
		}
}

/* The packet inside, or the one that is quoted. */
static void say_inner(struct reader *r, const char *how)
{
	if (r->nesting == NESTING_MAX)
		return;
	r->nesting++;
	say(r, "%s (", how);
	describe_ip(r);
	say(r, ")");
	r->nesting--;
}

static void say_icmp(struct reader *r, bool v6)
{
	const unsigned type = r->at[0], code = r->at[1];
	const bool error = v6 ? type < 128 : type == 3 || type == 5 || type == 11 || type == 12;

	if (type == (v6 ? 128 : 8))
		say(r, "echo request");
	else if (type == (v6 ? 129 : 0))
		say(r, "echo reply");
	else if (type == (v6 ? 1 : 3) && (v6 || code != 4))
		say(r, "unreachable, code %u", code);
	else if (type == (v6 ? 2 : 3))
		say(r, "too big, mtu %u", r->left >= 8 ? get16(r->at + 6) : 0);
	else if (type == (v6 ? 3 : 11))
		say(r, "time exceeded");
	else
		say(r, "type %u code %u", type, code);
	if (error && skip(r, 8))
		say_inner(r, " about");
}

static void describe_l4(struct reader *r, unsigned protocol, bool v6, const struct addr *from, const struct addr *to)
{
	const bool tcp = protocol == IPPROTO_TCP;

	if ((tcp || protocol == IPPROTO_UDP) && r->left >= 4) {
		say_ports(r, from, to);
		say(r, tcp ? "tcp" : "udp");
		if (tcp && r->left >= 14)
			say_tcp_flags(r, r->at[13]);
		return;
	}
	say_pair(r, from, to);
	if (tcp || protocol == IPPROTO_UDP) {
		say(r, tcp ? "tcp, cut short" : "udp, cut short");
	} else if (protocol == (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP) && r->left >= 2) {
		say(r, v6 ? "icmpv6 " : "icmp ");
		say_icmp(r, v6);
	} else if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6) {
		say_inner(r, "tunnel");
	} else {
		say(r, "protocol %u", protocol);
	}
}

static void say_fragment(struct reader *r, unsigned id, unsigned offset)
{
	say(r, ", fragment at %u of %u", offset, id);
}

static void describe_ip4(struct reader *r)
{
	const uint8_t *ip = r->at;
	const unsigned header = (ip[0] & 15) * 4, total = get16(ip + 2), offset = (get16(ip + 6) & 0x1fff) * 8;
	struct addr from = { .family = AF_INET }, to = { .family = AF_INET };

	memcpy(from.bytes, ip + 12, 4);
	memcpy(to.bytes, ip + 16, 4);
	if (header < 20 || total < header || !skip(r, header)) {
		say_pair(r, &from, &to);
		say(r, "a header that is cut short");
		return;
	}
	if (r->left > total - header)
		r->left = total - header;
	if (offset) {
		say_pair(r, &from, &to);
		say(r, "protocol %u", ip[9]);
	} else {
		describe_l4(r, ip[9], false, &from, &to);
	}
	if (offset || get16(ip + 6) & 0x2000)
		say_fragment(r, get16(ip + 4), offset);
	say(r, ", ttl %u, %u bytes", ip[8], total);
}

static bool is_extension(unsigned next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS || next == IPPROTO_FRAGMENT;
}

static void describe_ip6(struct reader *r)
{
	const uint8_t *ip = r->at;
	const unsigned payload = get16(ip + 4);
	struct addr from = { .family = AF_INET6 }, to = { .family = AF_INET6 };
	unsigned next = ip[6], offset = 0, id = 0, extensions = 0;
	bool fragment = false;

	memcpy(from.bytes, ip + 8, 16);
	memcpy(to.bytes, ip + 24, 16);
	skip(r, 40);
	if (r->left > payload)
		r->left = payload;
	while (is_extension(next) && r->left >= 8 && extensions++ < EXTENSIONS_SEEN && !offset) {
		const uint8_t *e = r->at;

		if (next == IPPROTO_FRAGMENT) {
			fragment = true;
			offset = get16(e + 2) & 0xfff8;
			id = get16(e + 4) << 16 | get16(e + 6);
		}
		if (!skip(r, next == IPPROTO_FRAGMENT ? 8 : (e[1] + 1) * 8U))
			break;
		next = e[0];
	}
	if (offset) {
		say_pair(r, &from, &to);
		say(r, "protocol %u", next);
	} else {
		describe_l4(r, next, true, &from, &to);
	}
	if (fragment)
		say_fragment(r, id, offset);
	say(r, ", ttl %u, %u bytes", ip[7], payload + 40);
}

static void describe_ip(struct reader *r)
{
	if (r->left >= 20 && r->at[0] >> 4 == 4)
		describe_ip4(r);
	else if (r->left >= 40 && r->at[0] >> 4 == 6)
		describe_ip6(r);
	else
		say(r, "cut short");
}

const char *frame_text(const uint8_t *bytes, size_t length, char buf[static FRAME_TEXT_MAX])
{
	struct reader r = { .text = buf, .at = bytes, .left = length };
	unsigned type;

	buf[0] = '\0';
	if (!skip(&r, ETHERNET)) {
		say(&r, "a frame that is cut short");
		return buf;
	}
	type = get16(bytes + 12);
	for (int i = 0; i < VLAN_TAGS_SEEN && (type == 0x8100 || type == 0x88a8) && r.left >= 4; i++) {
		say(&r, "vlan %u, ", get16(r.at) & 0xfff);
		type = get16(r.at + 2);
		skip(&r, 4);
	}
	if (type == 0x0800 || type == 0x86dd)
		describe_ip(&r);
	else
		say(&r, "ethertype 0x%04x%s, %zu bytes", type, type == 0x0806 ? " (arp)" : "", length);
	return buf;
}

const char *frame_macs(const uint8_t *b, size_t length, char buf[static FRAME_MACS_MAX])
{
	if (length < 12)
		snprintf(buf, FRAME_MACS_MAX, "-");
	else
		snprintf(buf, FRAME_MACS_MAX, "%02x:%02x:%02x:%02x:%02x:%02x > %02x:%02x:%02x:%02x:%02x:%02x", b[6], b[7],
			 b[8], b[9], b[10], b[11], b[0], b[1], b[2], b[3], b[4], b[5]);
	return buf;
}
