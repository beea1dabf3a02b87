/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/challenge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { CHALLENGE_TTL = 64 };

struct challenge {
	int fd4, fd6; /* -1: the kernel lacks the family */
	struct challenge_stats stats;
};

static int open_raw(int family)
{
	const int one = 1;
	int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);

	if (fd < 0)
		return -errno;
	if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &one, sizeof(one)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int challenge_new(struct challenge **ret)
{
	struct challenge *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->fd4 = open_raw(AF_INET);
	c->fd6 = open_raw(AF_INET6);
	r = c->fd4 < 0 ? c->fd4 : c->fd6 < 0 && c->fd6 != -EAFNOSUPPORT ? c->fd6 : 0;
	if (r < 0) {
		challenge_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void challenge_free(struct challenge *c)
{
	if (!c)
		return;
	if (c->fd4 >= 0)
		close(c->fd4);
	if (c->fd6 >= 0)
		close(c->fd6);
	free(c);
}

/* One's complement sum (RFC 1071) of an even number of bytes. */
static uint32_t sum(uint32_t start, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i + 1 < size; i += 2)
		start += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	return start;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons(~s);
}

static struct tcphdr make_syn(const struct endpoint *from, const struct endpoint *to)
{
	const size_t length = from->addr.family == AF_INET ? 4 : 16;
	struct tcphdr tcp = {
		.source = htons(from->port), .dest = htons(to->port), .doff = sizeof(tcp) / 4, .syn = 1,
	};
	uint32_t number = 0, s;

	/* Any number does; one that nobody can foretell tells nothing and collides with nothing. */
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) < 0)
		number = 0;
	tcp.seq = number;
	s = sum(sum(IPPROTO_TCP + sizeof(tcp), from->addr.bytes, length), to->addr.bytes, length);
	tcp.check = fold(sum(s, &tcp, sizeof(tcp)));
	return tcp;
}

int challenge_send(struct challenge *c, const struct endpoint *from, const struct endpoint *to)
{
	const struct tcphdr tcp = make_syn(from, to);
	/* The port of a raw socket's destination is a protocol's number, or nothing. */
	const struct endpoint where = { .addr = to->addr };
	struct sockaddr_storage address;
	socklen_t address_size = endpoint_to_sockaddr(&where, &address);
	uint8_t packet[sizeof(struct ip6_hdr) + sizeof(tcp)];
	size_t size;

	if (from->addr.family != to->addr.family || !address_size)
		return -EINVAL;
	if (to->addr.family == AF_INET) {
		struct iphdr ip = {
			.version = 4, .ihl = sizeof(ip) / 4, .ttl = CHALLENGE_TTL, .protocol = IPPROTO_TCP,
			.frag_off = htons(IP_DF), .tot_len = htons(sizeof(ip) + sizeof(tcp)),
		};

		memcpy(&ip.saddr, from->addr.bytes, 4);
		memcpy(&ip.daddr, to->addr.bytes, 4);
		size = sizeof(ip);
		memcpy(packet, &ip, size); /* its checksum is the kernel's work */
	} else {
		struct ip6_hdr ip = {
			.ip6_flow = htonl(6U << 28), .ip6_plen = htons(sizeof(tcp)), .ip6_nxt = IPPROTO_TCP,
			.ip6_hlim = CHALLENGE_TTL,
		};

		memcpy(&ip.ip6_src, from->addr.bytes, 16);
		memcpy(&ip.ip6_dst, to->addr.bytes, 16);
		size = sizeof(ip);
		memcpy(packet, &ip, size);
	}
	memcpy(packet + size, &tcp, sizeof(tcp));
	if (sendto(to->addr.family == AF_INET ? c->fd4 : c->fd6, packet, size + sizeof(tcp), MSG_DONTWAIT,
		   (struct sockaddr *)&address, address_size) < 0) {
		c->stats.failed++;
		return -errno;
	}
	c->stats.sent++;
	return 0;
}

void challenge_stats(const struct challenge *c, struct challenge_stats *ret)
{
	*ret = c->stats;
}
