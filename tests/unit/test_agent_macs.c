/* SPDX-License-Identifier: BSD-2-Clause */
/* Which MAC addresses frames to this host may name, on hosts of several shapes. The network is the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/macs.h"

static const struct net_interface *links;
static size_t link_count;

const struct net_interface *net_interface_by_index(const struct net *n, unsigned ifindex)
{
	for (size_t i = 0; i < link_count; i++)
		if (links[i].ifindex == ifindex)
			return &links[i];
	return NULL;
}

void net_interfaces(const struct net *n, bool (*visit)(const struct net_interface *i, void *ctx), void *ctx)
{
	for (size_t i = 0; i < link_count; i++)
		if (!visit(&links[i], ctx))
			return;
}

/* An Ethernet device; its address ends with its number. */
#define LINK(number, ...) \
	{ .ifindex = number, .ethernet = true, .mac = { 2, 0, 0, 0, 0, number }, __VA_ARGS__ }

/* The addresses' last bytes, in order, without doubles next to each other's text. */
static void expect_macs(const struct net_interface *all, size_t count, const unsigned *nics, size_t nic_count,
			const char *wanted)
{
	struct macs macs = {};
	char text[256] = "";
	int length = 0;

	links = all;
	link_count = count;
	assert_int_equal(macs_collect(NULL, nics, nic_count, &macs), 0);
	for (size_t i = 0; i < macs.count; i++)
		length += snprintf(text + length, sizeof(text) - length, "%s%d", i ? " " : "", macs.items[i].bytes[5]);
	vec_done(&macs);
	assert_string_equal(text, wanted);
}

#define expect(all, nics, wanted) \
	expect_macs(all, sizeof(all) / sizeof(*(all)), nics, sizeof(nics) / sizeof(*(nics)), wanted)

static void a_nics_own_comes_first(void **state)
{
	static const struct net_interface all[] = { LINK(1), LINK(2), LINK(3) };
	static const unsigned nics[] = { 3, 1 };

	expect(all, nics, "3 1");
}

/* VLAN 5 on NIC 2, macvlan 4 on it, named before what they lie on: links are told in any order. */
static void what_lies_on_a_nic_is_ours(void **state)
{
	static const struct net_interface all[] = {
		LINK(4, .below = 5), LINK(5, .below = 2), LINK(2), LINK(9), LINK(8, .below = 9),
	};
	static const unsigned nics[] = { 2 };

	expect(all, nics, "2 4 5");
}

/* NIC 2 and tap 6 are ports of bridge 3, VLAN 4 lies on it. What is behind the tap is another host's. */
static void a_bridges_is_ours_and_its_other_ports_are_not(void **state)
{
	static const struct net_interface all[] = {
		LINK(4, .below = 3), LINK(3), LINK(6, .master = 3), LINK(2, .master = 3),
	};
	static const unsigned nics[] = { 2 };

	expect(all, nics, "2 3 4");
}

/* The bond has the address of one of its ports, and may get the other's: each port has kept its own. */
static void a_bonds_ports_are_ours_with_the_addresses_they_came_with(void **state)
{
	static const struct net_interface all[] = {
		LINK(7), LINK(1, .bond = 7, .master = 7, .permanent_mac = { 2, 0, 0, 0, 0, 101 }),
		LINK(2, .bond = 7, .master = 7, .permanent_mac = { 2, 0, 0, 0, 0, 102 }), LINK(3),
	};
	static const unsigned nics[] = { 7 };

	expect(all, nics, "7 1 101 2 102");
}

static void where_a_nic_is_not_known_nothing_is_said(void **state)
{
	static const struct net_interface all[] = { LINK(1), { .ifindex = 2 } };
	static const unsigned gone[] = { 1, 5 }, other_kind[] = { 1, 2 };

	expect(all, gone, "");
	expect(all, other_kind, "");
	expect_macs(all, 2, NULL, 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nics_own_comes_first),
		cmocka_unit_test(what_lies_on_a_nic_is_ours),
		cmocka_unit_test(a_bridges_is_ours_and_its_other_ports_are_not),
		cmocka_unit_test(a_bonds_ports_are_ours_with_the_addresses_they_came_with),
		cmocka_unit_test(where_a_nic_is_not_known_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
