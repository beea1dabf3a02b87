/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Have the servers of `forward dsr` and `ipip` the services' addresses, and are they silent about them? Probes as packets
 * would go: an echo request to the service's address in a frame to the one server, under ipip in an outer header; and ARP
 * for the address, which only we may answer. A server may filter echo: no answer is a warning. Called by the table of
 * doctor.c.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "doctor/internal.h"

enum { FRAME_MAX = 256, RECEIVE_MAX = 2048, ECHO_DATA = 16, PROBE_TTL = 64 };

struct probe {
	const struct model_service *service;
	const struct model_backend *backend;
	const struct model_server *server;
	struct net_hop hop;
	bool answered;
	bool claimed;            /* ARP for the address came from this server's MAC */
};

struct probing {
	struct doctor *doctor;
	struct vec(struct probe) probes;
	int fd;
	uint16_t id;
	size_t left_out;
};

/* ---- writing ---- */

static uint32_t sum(uint32_t start, const void *data, size_t length)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < length; i += 2)
		start += (uint32_t)p[i] << 8 | p[i + 1];
	return length & 1 ? start + ((uint32_t)p[length - 1] << 8) : start;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

/* An IP header of the addresses' family in front of `length` bytes of payload; returns its own length. */
static size_t write_ip(uint8_t *to, const struct addr *from, const struct addr *at, uint8_t protocol, size_t length)
{
	if (at->family == AF_INET) {
		struct iphdr h = { .version = 4, .ihl = 5, .tot_len = htons((uint16_t)(sizeof(h) + length)), .ttl = PROBE_TTL,
				   .protocol = protocol };

		memcpy(&h.saddr, from->bytes, 4);
		memcpy(&h.daddr, at->bytes, 4);
		h.check = fold(sum(0, &h, sizeof(h)));
		memcpy(to, &h, sizeof(h));
		return sizeof(h);
	} else {
		struct ip6_hdr h = { .ip6_ctlun.ip6_un1 = { .ip6_un1_flow = htonl(6U << 28), .ip6_un1_plen = htons((uint16_t)length),
							     .ip6_un1_nxt = protocol, .ip6_un1_hlim = PROBE_TTL } };

		memcpy(&h.ip6_src, from->bytes, 16);
		memcpy(&h.ip6_dst, at->bytes, 16);
		memcpy(to, &h, sizeof(h));
		return sizeof(h);
	}
}

/* An echo request in its IP header; returns the length. The header of ICMPv6 is laid out as that of ICMP is. */
static size_t write_echo(uint8_t *to, const struct addr *from, const struct addr *at, uint16_t id, uint16_t number)
{
	const bool v6 = at->family == AF_INET6;
	struct icmphdr h = { .type = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO, .un.echo = { htons(id), htons(number) } };
	const size_t length = sizeof(h) + ECHO_DATA;
	const size_t head = write_ip(to, from, at, v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, length);
	uint32_t s = v6 ? sum(sum((uint32_t)(IPPROTO_ICMPV6 + length), from->bytes, 16), at->bytes, 16) : 0;

	memset(to + head, 0, length);
	h.checksum = fold(sum(s, &h, sizeof(h)));
	memcpy(to + head, &h, sizeof(h));
	return head + length;
}

static size_t write_frame(uint8_t *to, const struct probing *p, size_t at)
{
	const struct probe *b = &p->probes.items[at];
	const bool tunnel = b->backend->forward == MODEL_IPIP;
	const struct addr *target = &b->service->addr, *outer_from = &b->hop.source;
	uint8_t packet[FRAME_MAX / 2];
	struct ethhdr e;
	size_t length, head = sizeof(e);
	/* Under ipip to a server of the other family there is no own address of the service's: see may_probe(). */
	const size_t inner = write_echo(packet, &b->hop.source, target, p->id, (uint16_t)at);

	for (size_t i = 0; tunnel && i < b->backend->tunnel_sources.count; i++)
		if (b->backend->tunnel_sources.items[i].addr.family == b->server->at.addr.family)
			outer_from = &b->backend->tunnel_sources.items[i].addr;
	memcpy(e.h_dest, b->hop.mac, ETH_ALEN);
	memcpy(e.h_source, b->hop.own_mac, ETH_ALEN);
	length = inner;
	if (tunnel) {
		head += write_ip(to + head, outer_from, &b->server->at.addr,
				 target->family == AF_INET ? IPPROTO_IPIP : IPPROTO_IPV6, inner);
		e.h_proto = htons(b->server->at.addr.family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
	} else {
		e.h_proto = htons(target->family == AF_INET ? ETH_P_IP : ETH_P_IPV6);
	}
	memcpy(to, &e, sizeof(e));
	memcpy(to + head, packet, length);
	return head + length;
}

static size_t write_arp(uint8_t *to, const struct probe *b)
{
	struct ethhdr e = { .h_proto = htons(ETH_P_ARP) };
	struct ether_arp a = {
		.ea_hdr = { .ar_hrd = htons(ARPHRD_ETHER), .ar_pro = htons(ETH_P_IP), .ar_hln = ETH_ALEN, .ar_pln = 4,
			    .ar_op = htons(ARPOP_REQUEST) },
	};

	memset(e.h_dest, 0xff, ETH_ALEN);
	memcpy(e.h_source, b->hop.own_mac, ETH_ALEN);
	memcpy(a.arp_sha, b->hop.own_mac, ETH_ALEN);
	/* A sender's address of 0 (RFC 5227) changes nobody's cache. */
	memcpy(a.arp_tpa, b->service->addr.bytes, 4);
	memcpy(to, &e, sizeof(e));
	memcpy(to + sizeof(e), &a, sizeof(a));
	return sizeof(e) + sizeof(a);
}

static void send_frame(const struct probing *p, unsigned ifindex, const uint8_t *frame, size_t length)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = ETH_ALEN };

	if (sendto(p->fd, frame, length, 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return; /* as if it were lost on the way */
}

/* ---- reading ---- */

static void take_arp(struct probing *p, const uint8_t *frame, size_t length)
{
	struct ether_arp a;

	if (length < ETH_HLEN + sizeof(a))
		return;
	memcpy(&a, frame + ETH_HLEN, sizeof(a));
	if (a.ea_hdr.ar_op != htons(ARPOP_REPLY))
		return;
	for (size_t i = 0; i < p->probes.count; i++) {
		struct probe *b = &p->probes.items[i];

		if (b->service->addr.family == AF_INET && memcmp(a.arp_spa, b->service->addr.bytes, 4) == 0 &&
		    memcmp(a.arp_sha, b->hop.mac, ETH_ALEN) == 0)
			b->claimed = true;
	}
}

static void take_echo(struct probing *p, const struct addr *from, const uint8_t *at, size_t length, uint8_t type)
{
	struct icmphdr h;
	size_t number;

	if (length < sizeof(h))
		return;
	memcpy(&h, at, sizeof(h));
	number = ntohs(h.un.echo.sequence);
	if (h.type != type || ntohs(h.un.echo.id) != p->id || number >= p->probes.count)
		return;
	if (addr_equal(&p->probes.items[number].service->addr, from))
		p->probes.items[number].answered = true;
}

static void take_frame(struct probing *p, const uint8_t *frame, size_t length)
{
	const uint8_t *at = frame + ETH_HLEN;
	struct addr from = {};
	uint16_t type;

	if (length < ETH_HLEN + sizeof(struct iphdr))
		return;
	memcpy(&type, frame + 12, sizeof(type));
	length -= ETH_HLEN;
	if (type == htons(ETH_P_ARP)) {
		take_arp(p, frame, length + ETH_HLEN);
	} else if (type == htons(ETH_P_IP) && at[9] == IPPROTO_ICMP) {
		const size_t head = (size_t)(at[0] & 15) * 4;

		from.family = AF_INET;
		memcpy(from.bytes, at + 12, 4);
		if (head <= length)
			take_echo(p, &from, at + head, length - head, ICMP_ECHOREPLY);
	} else if (type == htons(ETH_P_IPV6) && length >= sizeof(struct ip6_hdr) && at[6] == IPPROTO_ICMPV6) {
		from.family = AF_INET6;
		memcpy(from.bytes, at + 8, 16);
		take_echo(p, &from, at + sizeof(struct ip6_hdr), length - sizeof(struct ip6_hdr), ICMP6_ECHO_REPLY);
	}
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool have_all_answered(const struct probing *p)
{
	for (size_t i = 0; i < p->probes.count; i++)
		if (!p->probes.items[i].answered)
			return false;
	return true;
}

static void listen_for_answers(struct probing *p)
{
	int64_t until = now_ms() + DOCTOR_PROBE_WAIT_MS;
	bool all = false;
	uint8_t frame[RECEIVE_MAX];

	for (;;) {
		struct pollfd f = { .fd = p->fd, .events = POLLIN };
		const int64_t left = until - now_ms();
		ssize_t n;

		if (left <= 0 || poll(&f, 1, (int)left) < 0)
			return;
		n = recv(p->fd, frame, sizeof(frame), MSG_DONTWAIT);
		if (n > 0)
			take_frame(p, frame, (size_t)n);
		if (!all && have_all_answered(p)) {
			all = true;
			until = now_ms() + DOCTOR_PROBE_LATER_MS;
		}
	}
}

/* ---- the question ---- */

/* Needs a way, and an own address of the service's family that is not the service's. */
static bool may_probe(const struct probe *b)
{
	return b->hop.state == NET_HOP_RESOLVED && b->hop.source.family == b->service->addr.family &&
	       !addr_equal(&b->hop.source, &b->service->addr);
}

static void collect(struct probing *p)
{
	const struct model *m = p->doctor->subject->model;

	for (size_t i = 0; i < m->services.count; i++) {
		const struct model_service *s = &m->services.items[i];
		const struct model_backend *b = &m->backends.items[s->backend];

		if (s->any_addr || (b->forward != MODEL_DSR && b->forward != MODEL_IPIP))
			continue;
		for (size_t n = 0; n < b->servers.count; n++) {
			struct probe probe = { .service = s, .backend = b, .server = &b->servers.items[n] };
			struct probe *to;

			if (!net_hop(p->doctor->net, &probe.server->at.addr, &probe.hop) || !may_probe(&probe))
				continue;
			if (p->probes.count == DOCTOR_PROBES_MAX) {
				p->left_out++;
				continue;
			}
			to = vec_push(&p->probes);
			if (to)
				*to = probe;
			else
				p->doctor->failed = true;
		}
	}
}

static void say(struct doctor *d, const struct probe *b)
{
	char where[DOCTOR_WHERE_MAX], text[ADDR_TEXT_MAX];
	const bool v6 = b->service->addr.family == AF_INET6;

	doctor_server_name(where, b->backend, b->server);
	addr_format(&b->service->addr, text);
	if (b->claimed && b->backend->forward == MODEL_DSR)
		doctor_say(d, DOCTOR_FAIL, where,
			   "on it: sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2, the address on lo",
			   "it answers ARP for %s, the address of service %s: it takes clients away from the balancer", text,
			   b->service->name);
	if (b->answered)
		doctor_say(d, DOCTOR_OK, where, "", "it has %s, the address of service %s: it answers an echo sent there%s", text,
			   b->service->name, b->backend->forward == MODEL_IPIP ? " through the tunnel" : "");
	else if (b->backend->forward == MODEL_DSR)
		doctor_say(d, DOCTOR_WARN, where, doctor_remedy("on it: ip address add %s/%u dev lo%s", text, v6 ? 128 : 32,
								v6 ? " nodad" : ""),
			   "no answer to an echo to %s, the address of service %s: it lacks it, or filters echo", text,
			   b->service->name);
	else
		doctor_say(d, DOCTOR_WARN, where,
			   doctor_remedy("on it: ip address add %s/%u dev lo%s; alwayson decap load IFACE --from PREFIX --address %s",
					 text, v6 ? 128 : 32, v6 ? " nodad" : "", text),
			   "no answer to an echo to %s, the address of service %s, through the tunnel: it does not unwrap, lacks the "
			   "address, or filters echo", text, b->service->name);
}

void doctor_vip(struct doctor *d)
{
	struct probing p = { .doctor = d, .fd = -1, .id = (uint16_t)(getpid() ^ now_ms()) };
	uint8_t frame[FRAME_MAX];

	if (!d->subject->model)
		return;
	collect(&p);
	if (p.probes.count)
		p.fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (p.probes.count && p.fd < 0) {
		doctor_say(d, DOCTOR_NOTE, "host", "run this as root", "the servers' addresses are not looked for: %s",
			   strerror(errno));
		vec_done(&p.probes);
		return;
	}
	for (size_t i = 0; i < p.probes.count; i++) {
		const struct probe *b = &p.probes.items[i];

		send_frame(&p, b->hop.ifindex, frame, write_frame(frame, &p, i));
		if (b->backend->forward == MODEL_DSR && b->service->addr.family == AF_INET)
			send_frame(&p, b->hop.ifindex, frame, write_arp(frame, b));
	}
	if (p.probes.count)
		listen_for_answers(&p);
	for (size_t i = 0; i < p.probes.count; i++)
		say(d, &p.probes.items[i]);
	if (p.left_out)
		doctor_say(d, DOCTOR_NOTE, "host", "", "%zu more addresses on servers were not looked for (at most %d)", p.left_out,
			   DOCTOR_PROBES_MAX);
	if (p.fd >= 0)
		close(p.fd);
	vec_done(&p.probes);
}
