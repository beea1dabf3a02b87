/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets to be explained: one from nothing for `explain packet`, one from hexadecimal digits for `explain frame`.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/explain_packet.h"

enum { ETHERNET = 14, FRAME_MIN = 60, TTL = 64 };

/* The client's side of the wire, when nobody has said what it is: an address of nobody's (locally administered). */
static const uint8_t client_mac[6] = { 0x02, 0, 0, 0, 0, 0x01 };

static int __attribute__((format(printf, 2, 3))) refuse(char *error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, DATAPLANE_ERROR_MAX, format, args);
	va_end(args);
	return -EINVAL;
}

static const struct model_service *find_service(const struct agent *a, const char *name)
{
	for (size_t i = 0; i < a->model->services.count; i++)
		if (strcmp(a->model->services.items[i].name, name) == 0)
			return &a->model->services.items[i];
	return NULL;
}

/* Where it comes in: of the NICs that are steered on, the one that has the address, else the first. */
struct arrival {
	const struct agent *agent;
	const struct addr *wanted;  /* NULL: any of this family */
	uint8_t family;
	unsigned ifindex;
	struct addr found;
};

static bool is_link_local(const struct addr *a)
{
	return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

static bool look_at_address(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct arrival *to = ctx;

	if (to->wanted ? !addr_equal(a, to->wanted) : a->family != to->family || is_link_local(a))
		return true;
	to->ifindex = ifindex;
	to->found = *a;
	return false;
}

static int find_arrival(struct arrival *to, char *error)
{
	const struct dataplane_attachment *all;
	const size_t count = dataplane_attachments(to->agent->dataplane, &all);

	if (!count)
		return refuse(error, "nothing is steered on any interface");
	for (size_t i = 0; i < count && !to->ifindex; i++)
		net_addresses(to->agent->net, all[i].ifindex, look_at_address, to);
	if (to->ifindex)
		return 0;
	if (!to->wanted)
		return refuse(error, "no interface that is steered on has an address of this family");
	to->ifindex = all[0].ifindex;
	to->found = *to->wanted;
	return 0;
}

/* "ADDR:PORT", an IPv6 address in brackets. */
static int read_endpoint(const char *text, struct endpoint *ret)
{
	const char *colon = strrchr(text, ':');
	char addr[ADDR_TEXT_MAX + 2];
	size_t length = colon ? (size_t)(colon - text) : 0;
	unsigned long port;
	char *end;

	if (!length || length >= sizeof(addr) || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end || !port || port > 65535)
		return -EINVAL;
	memcpy(addr, text, length);
	addr[length] = '\0';
	if (addr[0] == '[' && addr[length - 1] == ']') {
		memmove(addr, addr + 1, length);
		addr[length - 2] = '\0';
	} else if (strchr(addr, ':')) {
		return -EINVAL;
	}
	ret->port = port;
	return addr_parse(addr, &ret->addr);
}

static const struct {
	const char *word;
	uint8_t flags;
} kinds[] = {
	{ "syn", 0x02 }, { "ack", 0x10 }, { "fin", 0x11 }, { "rst", 0x04 },
};

static int read_kind(const char *word, uint8_t *ret_flags)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(word, kinds[i].word) == 0) {
			*ret_flags = kinds[i].flags;
			return 0;
		}
	return -EINVAL;
}

static uint32_t add_words(const void *data, size_t length, uint32_t sum)
{
	const uint8_t *b = data;

	for (size_t i = 0; i + 1 < length; i += 2)
		sum += b[i] << 8 | b[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static size_t write_ip(uint8_t *at, const struct addr *from, const struct addr *to, uint8_t protocol, size_t l4)
{
	if (from->family == AF_INET) {
		struct iphdr ip = { .version = 4, .ihl = 5, .tot_len = htons(sizeof(ip) + l4), .ttl = TTL,
				    .frag_off = htons(0x4000), .protocol = protocol };

		memcpy(&ip.saddr, from->bytes, 4);
		memcpy(&ip.daddr, to->bytes, 4);
		ip.check = fold(add_words(&ip, sizeof(ip), 0));
		memcpy(at, &ip, sizeof(ip));
		return sizeof(ip);
	} else {
		struct ip6_hdr ip = { .ip6_flow = htonl(6U << 28), .ip6_plen = htons(l4), .ip6_nxt = protocol,
				      .ip6_hlim = TTL };

		memcpy(&ip.ip6_src, from->bytes, 16);
		memcpy(&ip.ip6_dst, to->bytes, 16);
		memcpy(at, &ip, sizeof(ip));
		return sizeof(ip);
	}
}

/* Pseudo-header and all; the addresses' unused bytes are zero. */
static uint16_t l4_sum(const void *l4, size_t length, const struct addr *from, const struct addr *to, uint8_t protocol)
{
	uint32_t sum = add_words(from->bytes, sizeof(from->bytes), length + protocol);

	sum = add_words(to->bytes, sizeof(to->bytes), sum);
	return fold(add_words(l4, length, sum));
}

static size_t write_l4(uint8_t *at, const struct endpoint *from, const struct endpoint *to, bool tcp, uint8_t flags)
{
	if (tcp) {
		struct tcphdr t = { .source = htons(from->port), .dest = htons(to->port), .doff = 5,
				    .window = htons(65535) };

		t.th_flags = flags;
		t.check = l4_sum(&t, sizeof(t), &from->addr, &to->addr, IPPROTO_TCP);
		memcpy(at, &t, sizeof(t));
		return sizeof(t);
	} else {
		struct udphdr u = { .source = htons(from->port), .dest = htons(to->port), .len = htons(sizeof(u)) };

		u.check = l4_sum(&u, sizeof(u), &from->addr, &to->addr, IPPROTO_UDP);
		memcpy(at, &u, sizeof(u));
		return sizeof(u);
	}
}

static void write_frame(const struct net_interface *n, const struct endpoint *from, const struct endpoint *to, bool tcp,
			uint8_t flags, struct explain_ask *ret)
{
	const bool v6 = from->addr.family == AF_INET6;
	uint8_t *ip = ret->frame + ETHERNET;
	size_t l3;

	memcpy(ret->frame, n->mac, 6);
	memcpy(ret->frame + 6, client_mac, 6);
	ret->frame[12] = v6 ? 0x86 : 0x08;
	ret->frame[13] = v6 ? 0xdd : 0x00;
	l3 = write_ip(ip, &from->addr, &to->addr, tcp ? IPPROTO_TCP : IPPROTO_UDP,
		      tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr));
	ret->length = ETHERNET + l3 + write_l4(ip + l3, from, to, tcp, flags);
	if (ret->length < FRAME_MIN)
		ret->length = FRAME_MIN;
}

static int take_interface(const struct agent *a, unsigned ifindex, struct explain_ask *ret,
			  const struct net_interface **ret_found, char *error)
{
	const struct net_interface *n = net_interface_by_index(a->net, ifindex);

	if (!n)
		return refuse(error, "the interface is gone");
	memcpy(ret->interface, n->name, sizeof(ret->interface));
	ret->ifindex = ifindex;
	*ret_found = n;
	return 0;
}

int explain_build(const struct agent *a, const char *service, const char *source, const char *kind,
		  struct explain_ask *ret, char error[static DATAPLANE_ERROR_MAX])
{
	const struct model_service *s = find_service(a, service);
	struct arrival arrival = { .agent = a };
	const struct net_interface *n = NULL;
	struct endpoint from, to;
	uint8_t flags;

	memset(ret, 0, sizeof(*ret));
	if (!s)
		return refuse(error, "there is no service %s; `alwayson show services` lists them", service);
	if (read_endpoint(source, &from) < 0)
		return refuse(error, "%s is not ADDR:PORT (IPv6: [ADDR]:PORT)", source);
	if (read_kind(kind, &flags) < 0)
		return refuse(error, "%s: a packet is syn, ack, fin or rst", kind);
	if (from.addr.family != s->addr.family)
		return refuse(error, "service %s is %s, and %s is not", service,
			      s->addr.family == AF_INET6 ? "IPv6" : "IPv4", source);
	arrival.wanted = s->any_addr ? NULL : &s->addr;
	arrival.family = s->addr.family;
	if (find_arrival(&arrival, error) < 0 || take_interface(a, arrival.ifindex, ret, &n, error) < 0)
		return -EINVAL;
	to = (struct endpoint){ arrival.found, s->port_low };
	write_frame(n, &from, &to, s->protocol == MODEL_TCP, flags, ret);
	return 0;
}

static int read_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_hex(const char *hex, struct explain_ask *ret, char *error)
{
	const size_t digits = strlen(hex);

	if (digits % 2 || digits / 2 > EXPLAIN_BYTES_MAX)
		return refuse(error, "the frame is up to %d bytes, two hexadecimal digits each", EXPLAIN_BYTES_MAX);
	if (digits / 2 > ret->length)
		return refuse(error, "the frame has more bytes than its length says");
	for (size_t i = 0; i < digits; i += 2) {
		const int high = read_digit(hex[i]), low = read_digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return refuse(error, "the frame has something else than hexadecimal digits at %zu", i);
		ret->frame[i / 2] = high << 4 | low;
	}
	return 0;
}

int explain_read(const struct agent *a, const char *interface, const char *length, const char *hex,
		 struct explain_ask *ret, char error[static DATAPLANE_ERROR_MAX])
{
	const struct dataplane_attachment *all;
	const size_t count = dataplane_attachments(a->dataplane, &all);
	const struct net_interface *n = NULL;
	unsigned ifindex = 0;
	char *end;

	memset(ret, 0, sizeof(*ret));
	ret->length = strtoul(length, &end, 10);
	if (*end || length[0] < '0' || length[0] > '9' || ret->length < DRY_RUN_PACKET_MIN ||
	    ret->length > DRY_RUN_PACKET_MAX)
		return refuse(error, "%s: a frame has %d to %d bytes", length, DRY_RUN_PACKET_MIN, DRY_RUN_PACKET_MAX);
	/* "-": the first one. */
	for (size_t i = 0; i < count && !ifindex; i++)
		if (strcmp(interface, "-") == 0 || strcmp(all[i].name, interface) == 0)
			ifindex = all[i].ifindex;
	if (!ifindex)
		return refuse(error, "%s: nothing is steered there", interface);
	if (take_interface(a, ifindex, ret, &n, error) < 0)
		return -EINVAL;
	return read_hex(hex, ret, error);
}
