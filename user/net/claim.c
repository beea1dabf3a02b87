/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses of our own making, and telling the neighbourhood of them. Called by the agent; decides nothing: which
 * address is to be where, and when, is the agent's matter. Never touches an address that somebody else made.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/handover.h"
#include "net/internal.h"

/* Protocol 0: it receives nothing. Sending needs no right once it is open; a restart hands it over. */
int claim_socket(void)
{
	const int given = handover_take("packets");

	return given >= 0 ? given : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void claim_socket_close(struct net *n)
{
	if (n->packets >= 0)
		close(n->packets);
	n->packets = -1;
}

int net_packets_fd(const struct net *n)
{
	return n->packets;
}

enum net_claim_state net_claim_state(const struct net *n, unsigned ifindex, const struct addr *a)
{
	const struct table_key key = { .ifindex = ifindex, .prefix = addr_bits(a), .addr = *a };
	const struct net_address *found = (const struct net_address *)table_find(&n->address_table, &key);

	if (found)
		return found->protocol == NET_CLAIM_PROTOCOL ? NET_CLAIM_OURS : NET_CLAIM_FOREIGN;
	/* With another prefix's length, or a peer, it is somebody else's. */
	TAILQ_FOREACH(found, &n->addresses, entry)
		if (found->node.key.ifindex == ifindex && addr_equal(&found->node.key.addr, a))
			return NET_CLAIM_FOREIGN;
	return NET_CLAIM_ABSENT;
}

int net_claim(struct net *n, unsigned ifindex, const struct addr *a, bool renew, uint32_t valid_s)
{
	return requests_claim(n, ifindex, a, renew, valid_s);
}

int net_disclaim(struct net *n, unsigned ifindex, const struct addr *a)
{
	return requests_disclaim(n, ifindex, a);
}

struct arp_frame {
	struct ether_header ethernet;
	struct ether_arp arp;
} __attribute__((packed));

struct advertisement_frame {
	struct ether_header ethernet;
	struct ip6_hdr ip;
	struct nd_neighbor_advert advert;
	uint8_t option[8]; /* ND_OPT_TARGET_LINKADDR */
} __attribute__((packed));

static int send_frame(struct net *n, unsigned ifindex, const void *frame, size_t length)
{
	const struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex, .sll_halen = ETH_ALEN };

	return sendto(n->packets, frame, length, 0, (const struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

static int tell_arp(struct net *n, const struct net_interface *in, const struct addr *a)
{
	struct arp_frame f = {
		.ethernet.ether_type = htons(ETHERTYPE_ARP),
		.arp = {
			.ea_hdr = { htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), ETH_ALEN, 4, htons(ARPOP_REQUEST) },
		},
	};

	memset(f.ethernet.ether_dhost, 0xff, ETH_ALEN);
	memcpy(f.ethernet.ether_shost, in->mac, ETH_ALEN);
	memcpy(f.arp.arp_sha, in->mac, ETH_ALEN);
	memcpy(f.arp.arp_spa, a->bytes, 4);
	memcpy(f.arp.arp_tpa, a->bytes, 4);
	return send_frame(n, in->ifindex, &f, sizeof(f));
}

/* RFC 4443, section 2.3: the pseudo-header is addresses, length and next header. */
static uint16_t checksum(const struct advertisement_frame *f, size_t length)
{
	const uint8_t *bytes = (const uint8_t *)&f->ip.ip6_src;
	uint32_t sum = (uint32_t)length + IPPROTO_ICMPV6;

	for (size_t i = 0; i < 2 * sizeof(struct in6_addr) + length; i += 2)
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static int tell_advertisement(struct net *n, const struct net_interface *in, const struct addr *a)
{
	static const uint8_t all_nodes_mac[ETH_ALEN] = { 0x33, 0x33, 0, 0, 0, 1 };
	static const uint8_t all_nodes[16] = { 0xff, 2, [15] = 1 };
	const size_t length = sizeof(struct nd_neighbor_advert) + 8;
	struct advertisement_frame f = {
		.ethernet.ether_type = htons(ETHERTYPE_IPV6),
		.ip.ip6_flow = htonl(6u << 28),
		.ip.ip6_plen = htons((uint16_t)length),
		.ip.ip6_nxt = IPPROTO_ICMPV6,
		.ip.ip6_hlim = 255,
		.advert.nd_na_type = ND_NEIGHBOR_ADVERT,
		.advert.nd_na_flags_reserved = ND_NA_FLAG_OVERRIDE,
		.option = { ND_OPT_TARGET_LINKADDR, 1 },
	};

	memcpy(f.ethernet.ether_dhost, all_nodes_mac, ETH_ALEN);
	memcpy(f.ethernet.ether_shost, in->mac, ETH_ALEN);
	memcpy(&f.ip.ip6_src, a->bytes, 16);
	memcpy(&f.ip.ip6_dst, all_nodes, 16);
	memcpy(&f.advert.nd_na_target, a->bytes, 16);
	memcpy(f.option + 2, in->mac, ETH_ALEN);
	f.advert.nd_na_cksum = checksum(&f, length);
	return send_frame(n, in->ifindex, &f, sizeof(f));
}

int net_tell(struct net *n, unsigned ifindex, const struct addr *a)
{
	const struct net_link *l = link_find(n, ifindex);

	if (!l || !link_has_neighbours(l) || !l->view.up)
		return 0;
	if (n->packets < 0)
		return -EPERM;
	return a->family == AF_INET ? tell_arp(n, &l->view, a) : tell_advertisement(n, &l->view, a);
}
