/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rtnetlink messages: good ones read as what they say, malformed ones refused without a byte read behind their end
 * (each is a heap block of its exact length, so that ASan sees it), requests written as the kernel wants them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/message.h"

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
static const uint8_t v4[4] = { 192, 0, 2, 1 }, v4_peer[4] = { 192, 0, 2, 2 };
static const uint8_t v6[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 }, v6_gateway[16] = { 0xfe, 0x80, [15] = 9 };

static struct addr addr(uint8_t family, const uint8_t *bytes)
{
	struct addr a = { .family = family };

	memcpy(a.bytes, bytes, family == AF_INET ? 4 : 16);
	return a;
}

static void assert_addr(const struct addr *got, uint8_t family, const uint8_t *bytes)
{
	struct addr wanted = addr(family, bytes);

	assert_true(addr_equal(got, &wanted));
}

/* A message in the making; a union for its alignment. */
union draft {
	struct nlmsghdr m;
	char bytes[1024];
};

static void *begin(union draft *d, uint16_t type, size_t header)
{
	memset(d, 0, sizeof(*d));
	mnl_nlmsg_put_header(d);
	d->m.nlmsg_type = type;
	return mnl_nlmsg_put_extra_header(&d->m, header);
}

static void draft_link(union draft *d)
{
	struct ifinfomsg *info = begin(d, RTM_NEWLINK, sizeof(*info));
	struct nlattr *xdp;

	info->ifi_index = 7;
	info->ifi_type = 1;
	info->ifi_flags = 0x10043;
	mnl_attr_put_strz(&d->m, IFLA_IFNAME, "eth0.10");
	mnl_attr_put_u32(&d->m, IFLA_MTU, 1500);
	mnl_attr_put(&d->m, IFLA_ADDRESS, 6, mac);
	mnl_attr_put_u32(&d->m, IFLA_MTU + 30, 1); /* of a kind we do not know */
	xdp = mnl_attr_nest_start(&d->m, IFLA_XDP);
	mnl_attr_put_u8(&d->m, IFLA_XDP_ATTACHED, XDP_ATTACHED_DRV);
	mnl_attr_put_u32(&d->m, IFLA_XDP_PROG_ID, 4711);
	mnl_attr_nest_end(&d->m, xdp);
}

static void draft_address4(union draft *d)
{
	struct ifaddrmsg *info = begin(d, RTM_NEWADDR, sizeof(*info));

	info->ifa_family = AF_INET;
	info->ifa_index = 7;
	info->ifa_prefixlen = 32;
	mnl_attr_put(&d->m, IFA_ADDRESS, 4, v4_peer);
	mnl_attr_put(&d->m, IFA_LOCAL, 4, v4);
	mnl_attr_put_u32(&d->m, IFA_FLAGS, 0x80);
}

static void draft_address6(union draft *d)
{
	struct ifaddrmsg *info = begin(d, RTM_NEWADDR, sizeof(*info));

	info->ifa_family = AF_INET6;
	info->ifa_index = 7;
	info->ifa_prefixlen = 64;
	mnl_attr_put(&d->m, IFA_ADDRESS, 16, v6);
	mnl_attr_put_u32(&d->m, IFA_FLAGS, IFA_F_TENTATIVE | IFA_F_MANAGETEMPADDR);
}

static void draft_neighbour(union draft *d)
{
	struct ndmsg *info = begin(d, RTM_NEWNEIGH, sizeof(*info));

	info->ndm_family = AF_INET;
	info->ndm_ifindex = 7;
	info->ndm_state = NUD_REACHABLE;
	mnl_attr_put(&d->m, NDA_DST, 4, v4);
	mnl_attr_put(&d->m, NDA_LLADDR, 6, mac);
	mnl_attr_put_u32(&d->m, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
}

static void draft_route(union draft *d)
{
	struct rtmsg *info = begin(d, RTM_NEWROUTE, sizeof(*info));
	struct {
		uint16_t family;
		uint8_t addr[16];
	} via = { .family = AF_INET6 };
	struct nlattr *metrics;

	memcpy(via.addr, v6_gateway, 16);
	info->rtm_family = AF_INET;
	info->rtm_type = RTN_UNICAST;
	mnl_attr_put_u32(&d->m, RTA_OIF, 7);
	mnl_attr_put(&d->m, RTA_VIA, sizeof(via), &via);
	mnl_attr_put(&d->m, RTA_PREFSRC, 4, v4);
	metrics = mnl_attr_nest_start(&d->m, RTA_METRICS);
	mnl_attr_put_u32(&d->m, RTAX_ADVMSS, 1400);
	mnl_attr_put_u32(&d->m, RTAX_MTU, 1280);
	mnl_attr_nest_end(&d->m, metrics);
}

static void draft_error(union draft *d)
{
	int *error = begin(d, NLMSG_ERROR, sizeof(int));

	*error = -ENETUNREACH;
}

/* Any reader, for those tests that do not care which. */
union result {
	struct message_link link;
	struct message_address address;
	struct message_neighbour neighbour;
	struct message_route route;
	int error;
};

static int read_any(const struct nlmsghdr *m, union result *ret)
{
	switch (m->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		return message_read_link(m, &ret->link);
	case RTM_NEWADDR:
		return message_read_address(m, &ret->address);
	case RTM_NEWNEIGH:
		return message_read_neighbour(m, &ret->neighbour);
	case RTM_NEWROUTE:
		return message_read_route(m, &ret->route);
	default:
		return message_read_error(m, &ret->error);
	}
}

/* Reads the draft from a block of just its length. */
static int read_exact(const union draft *d, union result *ret)
{
	_cleanup_free_ struct nlmsghdr *m = malloc(d->m.nlmsg_len);

	assert_non_null(m);
	memcpy(m, d, d->m.nlmsg_len);
	return read_any(m, ret);
}

static void reads_a_link(void **state)
{
	union result r;
	union draft d;

	draft_link(&d);
	assert_int_equal(read_exact(&d, &r), 0);
	assert_int_equal(r.link.ifindex, 7);
	assert_string_equal(r.link.name, "eth0.10");
	assert_int_equal(r.link.mtu, 1500);
	assert_int_equal(r.link.xdp, 4711);
	assert_true(r.link.has_mac);
	assert_memory_equal(r.link.mac, mac, 6);
	assert_int_equal(r.link.flags, 0x10043);
}

/* A port of a bond tells whose; one of a bridge or a VRF is none. */
static void reads_whose_port_a_link_is(void **state)
{
	static const struct { const char *kind; unsigned bond; } cases[] = {
		{ "bond", 9 }, { "bridge", 0 }, { "vrf", 0 }, { "team", 0 }, { "bonding", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nlattr *info;
		union result r;
		union draft d;

		draft_link(&d);
		mnl_attr_put_u32(&d.m, IFLA_MASTER, 9);
		info = mnl_attr_nest_start(&d.m, IFLA_LINKINFO);
		mnl_attr_put_strz(&d.m, IFLA_INFO_SLAVE_KIND, cases[i].kind);
		mnl_attr_nest_end(&d.m, info);
		assert_int_equal(read_exact(&d, &r), 0);
		assert_int_equal(r.link.bond, cases[i].bond);
		assert_int_equal(r.link.master, 9);
		assert_int_equal(r.link.below, 0);
	}
}

/* A VLAN device or macvlan tells what it is on top of; a veth tells its other end, and some a number of elsewhere. */
static void reads_what_a_link_is_on_top_of(void **state)
{
	static const struct { const char *kind; bool elsewhere; unsigned below; } cases[] = {
		{ "vlan", false, 5 }, { "macvlan", false, 5 }, { "macvlan", true, 0 }, { "veth", false, 0 },
	};
	static const uint8_t permanent[6] = { 2, 1, 1, 1, 1, 1 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nlattr *info;
		union result r;
		union draft d;

		draft_link(&d);
		mnl_attr_put_u32(&d.m, IFLA_LINK, 5);
		if (cases[i].elsewhere)
			mnl_attr_put_u32(&d.m, IFLA_LINK_NETNSID, 0);
		mnl_attr_put(&d.m, IFLA_PERM_ADDRESS, sizeof(permanent), permanent);
		info = mnl_attr_nest_start(&d.m, IFLA_LINKINFO);
		mnl_attr_put_strz(&d.m, IFLA_INFO_KIND, cases[i].kind);
		mnl_attr_nest_end(&d.m, info);
		assert_int_equal(read_exact(&d, &r), 0);
		assert_int_equal(r.link.below, cases[i].below);
		assert_int_equal(r.link.master, 0);
		assert_true(r.link.has_permanent_mac);
		assert_memory_equal(r.link.permanent_mac, permanent, 6);
	}
}

static void reads_addresses(void **state)
{
	union result r;
	union draft d;

	draft_address4(&d);
	assert_int_equal(read_exact(&d, &r), 0);
	assert_addr(&r.address.addr, AF_INET, v4);
	assert_addr(&r.address.peer, AF_INET, v4_peer);
	assert_int_equal(r.address.prefix, 32);
	draft_address6(&d);
	assert_int_equal(read_exact(&d, &r), 0);
	assert_addr(&r.address.addr, AF_INET6, v6);
	assert_int_equal(r.address.peer.family, 0);
	assert_int_equal(r.address.flags, IFA_F_TENTATIVE | IFA_F_MANAGETEMPADDR);
}

static void reads_a_neighbour(void **state)
{
	union result r;
	union draft d;

	draft_neighbour(&d);
	assert_int_equal(read_exact(&d, &r), 0);
	assert_addr(&r.neighbour.addr, AF_INET, v4);
	assert_int_equal(r.neighbour.state, NUD_REACHABLE);
	assert_true(r.neighbour.managed);
	assert_true(r.neighbour.has_mac);
	assert_memory_equal(r.neighbour.mac, mac, 6);
}

static void reads_a_route_with_a_gateway_of_the_other_family(void **state)
{
	union result r;
	union draft d;

	draft_route(&d);
	assert_int_equal(read_exact(&d, &r), 0);
	assert_int_equal(r.route.type, RTN_UNICAST);
	assert_int_equal(r.route.ifindex, 7);
	assert_addr(&r.route.gateway, AF_INET6, v6_gateway);
	assert_addr(&r.route.source, AF_INET, v4);
	assert_int_equal(r.route.mtu, 1280);
	assert_false(r.route.encap);
	mnl_attr_put_u32(&d.m, RTA_ENCAP, 0);
	assert_int_equal(read_exact(&d, &r), 0);
	assert_true(r.route.encap);
}

static void reads_errors(void **state)
{
	union result r;
	union draft d;

	draft_error(&d);
	assert_int_equal(read_exact(&d, &r), 0);
	assert_int_equal(r.error, ENETUNREACH);
	*(int *)mnl_nlmsg_get_payload(&d.m) = 1;
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
	*(int *)mnl_nlmsg_get_payload(&d.m) = INT32_MIN;
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
}

/* A port that leaves a bridge, a bridge's forwarding entry, an ARP proxy entry. */
static void leaves_alone_what_is_not_for_us(void **state)
{
	union result r;
	union draft d;

	draft_link(&d);
	d.m.nlmsg_type = RTM_DELLINK;
	((struct ifinfomsg *)mnl_nlmsg_get_payload(&d.m))->ifi_family = AF_BRIDGE;
	assert_int_equal(read_exact(&d, &r), -ENOMSG);
	draft_neighbour(&d);
	((struct ndmsg *)mnl_nlmsg_get_payload(&d.m))->ndm_family = AF_BRIDGE;
	assert_int_equal(read_exact(&d, &r), -ENOMSG);
	draft_neighbour(&d);
	((struct ndmsg *)mnl_nlmsg_get_payload(&d.m))->ndm_flags = NTF_PROXY;
	assert_int_equal(read_exact(&d, &r), -ENOMSG);
	draft_address4(&d);
	((struct ifaddrmsg *)mnl_nlmsg_get_payload(&d.m))->ifa_family = 129; /* MPLS and whoever comes */
	assert_int_equal(read_exact(&d, &r), -ENOMSG);
}

static void refuses_values_that_cannot_be(void **state)
{
	union result r;
	union draft d;

	draft_link(&d);
	((struct ifinfomsg *)mnl_nlmsg_get_payload(&d.m))->ifi_index = -1;
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
	begin(&d, RTM_NEWLINK, sizeof(struct ifinfomsg));
	((struct ifinfomsg *)mnl_nlmsg_get_payload(&d.m))->ifi_index = 1;
	mnl_attr_put(&d.m, IFLA_IFNAME, 16, "sixteen-letters!");
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
	draft_address4(&d);
	((struct ifaddrmsg *)mnl_nlmsg_get_payload(&d.m))->ifa_prefixlen = 33;
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
	draft_address6(&d);
	mnl_attr_put(&d.m, IFA_ADDRESS, 4, v4);
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
	draft_neighbour(&d);
	mnl_attr_put(&d.m, NDA_DST, 16, v6);
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
	draft_route(&d);
	mnl_attr_put(&d.m, RTA_VIA, 1, v4);
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
	draft_route(&d);
	mnl_attr_put(&d.m, RTA_METRICS, 6, v6); /* holds an attribute that claims to be longer */
	assert_int_equal(read_exact(&d, &r), -EBADMSG);
}

static void (*const drafts[])(union draft *) = {
	draft_link, draft_address4, draft_address6, draft_neighbour, draft_route, draft_error,
};

/*
 * Cut between attributes a message may still be whole, and in the padding behind one it is. No attribute of the drafts
 * ends one byte behind a multiple of four: there the cut always goes through one.
 */
static void refuses_every_truncation_inside_an_attribute(void **state)
{
	for (size_t i = 0; i < array_size(drafts); i++) {
		union result r;
		union draft d;
		uint32_t whole;

		drafts[i](&d);
		whole = d.m.nlmsg_len;
		for (uint32_t length = MNL_NLMSG_HDRLEN; length < whole; length++) {
			int err;

			d.m.nlmsg_len = length;
			err = read_exact(&d, &r);
			if (length % 4 == 1)
				assert_int_equal(err, -EBADMSG);
			else
				assert_true(err == 0 || err == -EBADMSG);
		}
	}
}

/* Nothing to assert but that no sanitizer speaks and errors are of the two kinds. */
static void survives_mutations(void **state)
{
	uint32_t random = 12345;

	for (unsigned round = 0; round < 30000; round++) {
		union result r;
		union draft d;
		int err;

		drafts[round % array_size(drafts)](&d);
		for (unsigned i = 0; i < 1 + round % 3; i++) {
			uint32_t span = d.m.nlmsg_len - MNL_NLMSG_HDRLEN;

			random = random * 1664525 + 1013904223;
			d.bytes[MNL_NLMSG_HDRLEN + (random >> 8) % span] = random >> 24;
		}
		err = read_exact(&d, &r);
		assert_true(err == 0 || err == -EBADMSG || err == -ENOMSG);
	}
}

static void writes_requests(void **state)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_REQUEST_MAX];
	const struct nlmsghdr *m = (const struct nlmsghdr *)buf;
	struct addr a4 = addr(AF_INET, v4), a6 = addr(AF_INET6, v6);
	const struct ndmsg *neighbour;
	const struct rtmsg *route;

	assert_int_equal(message_write_route_get(buf, 77, &a6), 16 + 12 + 4 + 16);
	route = mnl_nlmsg_get_payload(m);
	assert_int_equal(m->nlmsg_seq, 77);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST);
	assert_int_equal(route->rtm_dst_len, 128);
	assert_memory_equal(buf + 32, v6, 16);

	assert_true(message_write_neighbour_use(buf, 78, 7, &a4) <= MESSAGE_REQUEST_MAX);
	neighbour = mnl_nlmsg_get_payload(m);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE);
	assert_int_equal(neighbour->ndm_flags, NTF_USE);
	assert_int_equal(neighbour->ndm_state, 0);
	assert_int_equal(neighbour->ndm_ifindex, 7);

	assert_true(message_write_neighbour_probe(buf, 79, 7, &a6) <= MESSAGE_REQUEST_MAX);
	neighbour = mnl_nlmsg_get_payload(m);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK); /* no REPLACE, no CREATE */
	assert_int_equal(neighbour->ndm_flags, 0);
	assert_int_equal(neighbour->ndm_state, NUD_PROBE);
}

/* What we write the kernel sends back: read again, it says the same. */
static void writes_addresses(void **state)
{
	_Alignas(struct nlmsghdr) char buf[MESSAGE_REQUEST_MAX];
	const struct nlmsghdr *m = (const struct nlmsghdr *)buf;
	const struct addr a4 = addr(AF_INET, v4), a6 = addr(AF_INET6, v6);
	struct message_address r;

	assert_true(message_write_address(buf, 80, 7, &a6, false, 3, 0xa0) <= MESSAGE_REQUEST_MAX);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	assert_int_equal(message_read_address(m, &r), 0);
	assert_addr(&r.addr, AF_INET6, v6);
	assert_int_equal(r.prefix, 128);
	assert_int_equal(r.ifindex, 7);
	assert_int_equal(r.flags, IFA_F_NODAD);
	assert_int_equal(r.protocol, 0xa0);

	assert_true(message_write_address(buf, 81, 7, &a4, true, 0, 0xa0) <= MESSAGE_REQUEST_MAX);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE);
	assert_int_equal(message_read_address(m, &r), 0);
	assert_int_equal(r.prefix, 32);

	assert_true(message_write_address_remove(buf, 82, 7, &a4) <= MESSAGE_REQUEST_MAX);
	assert_int_equal(m->nlmsg_type, RTM_DELADDR);
	assert_int_equal(m->nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	assert_int_equal(message_read_address(m, &r), 0);
	assert_addr(&r.addr, AF_INET, v4);
	assert_int_equal(r.protocol, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_link),
		cmocka_unit_test(reads_whose_port_a_link_is),
		cmocka_unit_test(reads_what_a_link_is_on_top_of),
		cmocka_unit_test(reads_addresses),
		cmocka_unit_test(reads_a_neighbour),
		cmocka_unit_test(reads_a_route_with_a_gateway_of_the_other_family),
		cmocka_unit_test(reads_errors),
		cmocka_unit_test(leaves_alone_what_is_not_for_us),
		cmocka_unit_test(refuses_values_that_cannot_be),
		cmocka_unit_test(refuses_every_truncation_inside_an_attribute),
		cmocka_unit_test(survives_mutations),
		cmocka_unit_test(writes_requests),
		cmocka_unit_test(writes_addresses),
	};

	return cmocka_run_group_tests_name("net_message", tests, NULL, NULL);
}
