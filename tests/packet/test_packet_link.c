/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose frame it is: steered is what names a MAC address of this host, wherever that stands in the tables. All else goes to
 * the host untouched, as its own stack drops it (RFC 1122, 3.3.6) or a bridge passes it on.
 */
#include <string.h>

#include "world.h"

static const uint8_t nic_mac[6] = { 0x02, 0, 0, 0, 0, L2_LB };
static const uint8_t vrrp_mac[6] = { 0x00, 0x00, 0x5e, 0x00, 0x01, 0x0a };

static struct frame frame;
static struct outcome outcome;

static void add_mac(struct rig *r, const uint8_t mac[6])
{
	struct services_entry *e = vec_push(&r->entries);

	assert_non_null(e);
	services_mac_entry(e, mac);
}

/* As the agent does: the first of them are near. */
static void publish_macs(struct rig *r, const uint8_t (*near)[6], size_t count)
{
	for (size_t i = 0; i < CONTROL_MACS_NEAR; i++)
		memcpy(&r->m->control->macs[i], near[i < count ? i : 0], 6);
	world_publish(r);
	r->m->control->word |= CONTROL_MACS;
}

static void lay(struct rig *r)
{
	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 1 });
}

/* dsr, and one NIC whose address is known. */
static void lay_with_nic(struct rig *r)
{
	lay(r);
	add_mac(r, nic_mac);
	publish_macs(r, &nic_mac, 1);
}

static enum verdict verdict_for(struct rig *r, bool v6, const uint8_t mac[6])
{
	const struct packet p = client_packet(v6, TCP, 40000, SYN);

	frame_build(&p, &frame);
	memcpy(frame.bytes, mac, 6);
	rig_run(r, &frame, 0, &outcome);
	return outcome.verdict;
}

static void is_steered(struct rig *r, const uint8_t mac[6])
{
	for (int v6 = 0; v6 < 2; v6++)
		assert_int_equal(verdict_for(r, v6, mac), VERDICT_DSR);
}

static void is_left_alone(struct rig *r, const uint8_t mac[6])
{
	for (int v6 = 0; v6 < 2; v6++) {
		assert_int_equal(verdict_for(r, v6, mac), VERDICT_OTHER_HOST);
		assert_int_equal(outcome.action, XDP_PASS);
		rig_same_frame("a frame for another host", &outcome.out, &frame);
	}
}

static void frames_to_the_nic_are_steered(void **state)
{
	struct rig *r = *state;

	lay_with_nic(r);
	is_steered(r, nic_mac);
}

static void frames_to_another_host_are_the_hosts(void **state)
{
	struct rig *r = *state;

	lay_with_nic(r);
	for (int i = 0; i < 48; i++) {
		uint8_t other[6];

		memcpy(other, nic_mac, 6);
		other[i / 8] ^= 1 << i % 8;
		is_left_alone(r, other);
	}
}

static void nobodys_frames_are_the_hosts(void **state)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, zero[6];
	static const uint8_t multicast[6] = { 0x01, 0x00, 0x5e, 0x00, 0x02, 0x0a };
	struct rig *r = *state;

	lay_with_nic(r);
	is_left_alone(r, all);
	is_left_alone(r, multicast);
	is_left_alone(r, zero);
}

/* CONTROL_MACS_NEAR of them, and one above, and as many as a host with containers has. */
static void of_many_addresses_each_is_ours(void **state)
{
	uint8_t macs[CONTROL_MACS_NEAR + 200][6], other[6] = { 0x02, 0xaa, 0, 0, 1, 0 };
	struct rig *r = *state;

	for (unsigned i = 0; i < array_size(macs); i++)
		memcpy(macs[i], (const uint8_t[]){ 0x02, 0xaa, 0, 0, 0, i }, 6);
	lay(r);
	for (unsigned i = 0; i < array_size(macs); i++) {
		add_mac(r, macs[i]);
		if (i < CONTROL_MACS_NEAR + 1 || i == array_size(macs) - 1) {
			publish_macs(r, macs, i + 1);
			for (unsigned n = 0; n <= i; n++)
				is_steered(r, macs[n]);
			is_left_alone(r, i + 1 < array_size(macs) ? macs[i + 1] : other);
		}
	}
}

static void a_virtual_routers_address_is_ours_while_it_is_there(void **state)
{
	struct rig *r = *state;

	lay_with_nic(r);
	is_left_alone(r, vrrp_mac);
	add_mac(r, vrrp_mac);
	publish_macs(r, &nic_mac, 1);
	is_steered(r, vrrp_mac);
	r->entries.count--;
	publish_macs(r, &nic_mac, 1);
	is_left_alone(r, vrrp_mac);
	is_steered(r, nic_mac);
}

/* What nat sends back, ICMP errors and echo requests are no exception. */
static void replies_and_errors_too(void **state)
{
	static const uint8_t other[6] = { 0x02, 0, 0, 0, 0, 0x77 };
	struct rig *r = *state;
	struct packet request, sent, answer;

	world_lay(r, &(struct world){ .servers = 1 });
	add_mac(r, nic_mac);
	publish_macs(r, &nic_mac, 1);
	request = client_packet(false, TCP, 40000, SYN);
	sent = towards_server(&request, r, 1, own_port(r, &request, 1));
	frame_build(&request, &frame);
	rig_run(r, &frame, 0, &outcome);
	assert_int_equal(outcome.verdict, VERDICT_NAT_REQUEST);
	answer = server_answer(&sent, SYN | ACK);
	frame_build(&answer, &frame);
	memcpy(frame.bytes, other, 6);
	rig_run(r, &frame, 0, &outcome);
	assert_int_equal(outcome.verdict, VERDICT_OTHER_HOST);
	memcpy(frame.bytes, nic_mac, 6);
	rig_run(r, &frame, 0, &outcome);
	assert_int_equal(outcome.verdict, VERDICT_NAT_REPLY);
}

/* Where the agent can't say which addresses are the host's, all frames are taken. */
static void where_nobody_knows_all_are_steered(void **state)
{
	static const uint8_t any[6] = { 0x02, 0x99, 1, 2, 3, 4 };
	struct rig *r = *state;

	lay(r);
	is_steered(r, any);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(frames_to_the_nic_are_steered),
		rig_test(frames_to_another_host_are_the_hosts),
		rig_test(nobodys_frames_are_the_hosts),
		rig_test(of_many_addresses_each_is_ours),
		rig_test(a_virtual_routers_address_is_ours_while_it_is_there),
		rig_test(replies_and_errors_too),
		rig_test(where_nobody_knows_all_are_steered),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
