/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way out: replies go back the way the client's packets came, whatever the routes say, and follow when that changes.
 * Frames go from NIC to NIC; without room to remember a way, the kernel's routes are asked. One more NIC is made for
 * this, in the suite's own network namespace: "far", a veth.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "world.h"

static unsigned far_nic(void)
{
	const unsigned found = if_nametoindex("far");

	if (found)
		return found;
	assert_int_equal(system("ip link add far type veth peer name far-peer && "
				"ip link set far address 02:00:00:00:00:09 && "
				"ip link set far up && ip link set far-peer up"), 0);
	return if_nametoindex("far");
}

enum { L2_FAR = 0x09, L2_GATEWAY = 0x0a };

static void replies_go_back_by_the_clients_router(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet syn = client_packet(v6, TCP, 40000, SYN), sent, answer;

		syn.l2_from = L2_ROUTER;
		sent = towards_server(&syn, r, server, 0);
		expect(r, "by way of a router", syn, NAT_REQUEST, .out = sent, .connections = 1);
		answer = server_answer(&sent, SYN | ACK);
		expect(r, "the reply", answer, NAT_REPLY, .out = towards_client(&answer, &syn));
	}
}

/* A router fails over, to another MAC: the next packet of the client moves its replies. */
static void replies_follow_a_change(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet data = client_packet(v6, TCP, 40000, ACK), sent, answer;
		struct packet other = client_packet(v6, TCP, 40001, ACK);

		handshake(r, v6, 40000, server, 0);
		handshake(r, v6, 40001, server, 1);
		data.l2_from = L2_ROUTER;
		sent = towards_server(&data, r, server, 0);
		answer = server_answer(&sent, ACK);
		expect(r, "from another MAC", data, NAT_REQUEST, .out = sent);
		expect(r, "the reply", answer, NAT_REPLY, .out = towards_client(&answer, &data));
		data.l2_from = L2_CLIENT;
		expect(r, "and back", data, NAT_REQUEST, .out = sent);
		expect(r, "the reply", answer, NAT_REPLY, .out = towards_client(&answer, &data));
		/* Another connection's way is its own. */
		sent = towards_server(&other, r, server, 1);
		answer = server_answer(&sent, ACK);
		expect(r, "the other's", answer, NAT_REPLY, .out = towards_client(&answer, &other));
	}
}

static unsigned hops_used(const struct rig *r)
{
	unsigned n = 0;

	for (unsigned i = 0; i < MAX_HOPS; i++)
		n += r->m->hops[i].peer != 0;
	return n;
}

static void one_way_is_remembered_once(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1, .ports = 64 });
	for (unsigned n = 0; n < 16; n++)
		handshake(r, n & 1, 40000 + n, n & 1 ? 2 : 1, n / 2);
	assert_int_equal(hops_used(r), 1);
}

/* Clients on one NIC, servers on another. */
static void from_nic_to_nic(void **state)
{
	struct rig *r = *state;
	const unsigned far = far_nic();

	world_lay(r, &(struct world){ .servers = 1 });
	rig_add_device(r, NIC);
	rig_add_device(r, far);
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 2 : 1;
		struct packet syn = client_packet(v6, TCP, 40000, SYN), sent, answer;

		syn.nic = far;
		syn.l2_to = L2_FAR;
		sent = towards_server(&syn, r, server, 0);
		expect(r, "to the servers' NIC", syn, NAT_REQUEST, .out = sent, .redirected = true, .connections = 1);
		answer = server_answer(&sent, SYN | ACK);
		expect(r, "to the clients' NIC", answer, NAT_REPLY, .out = towards_client(&answer, &syn),
		       .redirected = true);
		/* The client moves to the servers' NIC. */
		syn.nic = NIC;
		syn.l2_to = L2_LB;
		expect(r, "on one NIC", syn, NAT_REQUEST, .out = sent);
		expect(r, "the reply too", answer, NAT_REPLY, .out = towards_client(&answer, &syn));
	}
}

static void dsr_from_nic_to_nic(void **state)
{
	struct rig *r = *state;
	struct packet syn = client_packet(false, TCP, 40000, SYN), sent = syn;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .servers = 1 });
	rig_add_device(r, NIC);
	syn.nic = far_nic();
	sent.l2_from = L2_LB;
	sent.l2_to = L2_SERVER + 1;
	sent.ttl = 63;
	expect(r, "to the servers' NIC", syn, DSR, .out = sent, .redirected = true, .connections = 1);
}

/* A way out that is not ours: dropped, and not counted as sent. */
static void no_such_device(void **state)
{
	static struct frame in, out;
	struct rig *r = *state;
	struct packet syn = client_packet(false, TCP, 40000, SYN);
	const uint64_t sent = rig_verdicts(r, VERDICT_NAT_REQUEST), defects = rig_verdicts(r, VERDICT_INTERNAL);

	world_lay(r, &(struct world){ .servers = 1 });
	frame_build(&syn, &in);
	assert_int_equal(rig_run_raw(r, &in, far_nic(), &out), XDP_DROP);
	assert_int_equal(rig_verdicts(r, VERDICT_NAT_REQUEST), sent);
	assert_int_equal(rig_verdicts(r, VERDICT_INTERNAL), defects + 1);
	rig_catch_up(r);
}

static void has_nowhere_to_go(struct rig *r, const struct packet *p)
{
	static struct frame in, out;
	const uint64_t defects = rig_verdicts(r, VERDICT_INTERNAL);

	frame_build(p, &in);
	assert_int_equal(rig_run_raw(r, &in, NIC, &out), XDP_DROP);
	assert_int_equal(rig_verdicts(r, VERDICT_INTERNAL), defects + 1);
	rig_catch_up(r);
}

/* "bonded", a veth, never up: no frame but ours is to be counted. Its other end plays a port of it. */
static void attach_bonded(struct rig *r, unsigned bonded)
{
	char error[DATAPLANE_ERROR_MAX];

	assert_int_equal(dataplane_attach(r->dataplane, bonded, "bonded", MODEL_XDP_GENERIC, error), 0);
}

/* The NIC that what is to be sent by this one goes out by; 0 = none. */
static unsigned way_out(const struct rig *r, unsigned ifindex)
{
	struct bpf_devmap_val out = {};

	return bpf_map_lookup_elem(r->devices_fd, &ifindex, &out) == 0 ? out.ifindex : 0;
}

/* The program on a bond sees the port that a frame came by: what goes back that way goes out by the bond. */
static void a_port_stands_for_its_bond(void **state)
{
	struct packet syn = client_packet(false, TCP, 40000, SYN), sent, answer, back;
	struct dataplane_port port = {};
	struct rig *r = *state;

	assert_int_equal(system("ip link add bonded type veth peer name bonded-port"), 0);
	port.bond = if_nametoindex("bonded");
	port.ifindex = if_nametoindex("bonded-port");
	world_lay(r, &(struct world){ .servers = 1 });
	rig_add_device(r, NIC);
	syn.nic = port.ifindex;
	syn.l2_to = L2_FAR;
	sent = towards_server(&syn, r, 1, 0);
	expect(r, "by a port", syn, NAT_REQUEST, .out = sent, .redirected = true, .connections = 1);
	answer = server_answer(&sent, SYN | ACK);
	back = towards_client(&answer, &syn);
	assert_int_equal(dataplane_add_port(r->dataplane, &port), -ENOENT);
	has_nowhere_to_go(r, &answer);
	attach_bonded(r, port.bond);
	assert_int_equal(dataplane_add_port(r->dataplane, &port), 1);
	assert_int_equal(way_out(r, port.ifindex), port.bond);
	expect(r, "out by the bond", answer, NAT_REPLY, .out = back, .redirected = true);
	assert_int_equal(dataplane_add_port(r->dataplane, &port), 0);
	assert_int_equal(dataplane_detach(r->dataplane, port.bond), 0);
	has_nowhere_to_go(r, &answer);
	assert_int_equal(system("ip link del bonded"), 0);
}

/* More ports than there is room for: those of NICs that are gone make place, others do not. */
static void as_many_ports_as_there_is_room_for(void **state)
{
	struct dataplane_port port = {};
	struct rig *r = *state;
	unsigned first;
	int added = 0;

	assert_int_equal(system("ip link add bonded type veth peer name bonded-port"), 0);
	port.bond = if_nametoindex("bonded");
	first = if_nametoindex("bonded-port");
	attach_bonded(r, port.bond);
	port.ifindex = first;
	assert_int_equal(dataplane_add_port(r->dataplane, &port), 1);
	for (unsigned i = 1; i < 2 * MAX_DEVICES; i++) {
		port.ifindex = 100000 + i; /* nobody's */
		added += dataplane_add_port(r->dataplane, &port);
	}
	assert_int_equal(added, 2 * MAX_DEVICES - 1);
	port.ifindex = first;
	assert_int_equal(dataplane_add_port(r->dataplane, &port), 0);
	assert_int_equal(dataplane_detach(r->dataplane, port.bond), 0);
	assert_int_equal(system("ip link del bonded"), 0);
}

static void fill_hops(struct rig *r)
{
	for (unsigned i = 0; i < MAX_HOPS; i++)
		r->m->hops[i] = (struct hop){ .peer = 0x111111 | HOP_LIVE, .own = 1, .ifindex = NIC };
}

/* No room for the way: the kernel's routes and neighbours are asked for every reply. */
static void without_room_the_routes_are_asked(void **state)
{
	struct rig *r = *state;
	const unsigned far = far_nic();

	world_lay(r, &(struct world){ .servers = 1 });
	rig_add_device(r, NIC);
	rig_add_device(r, far);
	fill_hops(r);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet syn = client_packet(v6, TCP, 40000, SYN), sent, answer;

		sent = towards_server(&syn, r, v6 ? 2 : 1, 0);
		expect(r, "no room", syn, NAT_REQUEST, .out = sent, .connections = 1, .hops_full = 1);
		answer = server_answer(&sent, SYN | ACK);
		expect(r, "no route", answer, NO_NEIGHBOUR);
	}
	/* The kernel answers only where it forwards. */
	assert_int_equal(system("echo 1 >/proc/sys/net/ipv4/conf/far/forwarding && "
				"echo 1 >/proc/sys/net/ipv6/conf/far/forwarding && "
				"ip addr add 192.0.2.2/24 dev far && "
				"ip route add 198.51.100.0/24 via 192.0.2.254 && "
				"ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:0a nud permanent dev far && "
				"ip addr add 2001:db8::2/64 dev far nodad && "
				"ip route add 2001:db8:c::/64 via 2001:db8::fe && "
				"ip neigh add 2001:db8::fe lladdr 02:00:00:00:00:0a nud permanent dev far"), 0);
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet request = client_packet(v6, TCP, 40000, ACK), sent, answer, back;

		sent = towards_server(&request, r, v6 ? 2 : 1, 0);
		answer = server_answer(&sent, SYN | ACK);
		answer.nic = far;
		back = towards_client(&answer, &request);
		back.l2_from = L2_FAR;
		back.l2_to = L2_GATEWAY;
		expect(r, "a route out of the NIC it came in by", answer, NAT_REPLY, .out = back);
	}
	assert_int_equal(system("ip link del far"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(replies_go_back_by_the_clients_router),
		rig_test(replies_follow_a_change),
		rig_test(one_way_is_remembered_once),
		rig_test(from_nic_to_nic),
		rig_test(dsr_from_nic_to_nic),
		rig_test(no_such_device),
		rig_test(a_port_stands_for_its_bond),
		rig_test(as_many_ports_as_there_is_room_for),
		rig_test(without_room_the_routes_are_asked),
	};

	return cmocka_run_group_tests_name("hop", tests, rig_open, rig_close);
}
