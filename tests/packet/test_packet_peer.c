/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records that another balancer told of: followed like this machine's own, and never in the way of its own. In dsr, where
 * a record is one entry, and in nat, where it is two and holds an own port.
 */
#include <arpa/inet.h>
#include <string.h>

#include "dataplane/peer.h"
#include "world.h"

static struct dataplane_peer *program;

static int open_all(void **state)
{
	char error[DATAPLANE_ERROR_MAX];
	const struct rig *r;

	if (rig_open(state))
		return -1;
	r = *state;
	if (dataplane_peer_open(r->dataplane, &program, error) < 0)
		fail_msg("%s", error);
	return 0;
}

static int close_all(void **state)
{
	dataplane_peer_close(program);
	return rig_close(state);
}

/* One that was told of. */
struct told {
	bool v6, nat;
	uint16_t sport;
	uint32_t server;
	uint8_t state, reply_state;
	uint16_t age;           /* ticks */
	unsigned port;          /* nat: which own port */
	uint16_t hop;           /* nat: the way back to the client; 0 = not known */
};

static void put(__u64 words[6], bool v6, const char *remote, uint16_t rport, uint16_t local, uint16_t lport, uint8_t kind,
		const char *to, uint16_t to_port, uint16_t from, uint16_t from_port)
{
	struct flow4 f4 = { .remote_port = htons(rport), .local_port = htons(lport), .local = local, .kind = kind,
			    .to_port = htons(to_port), .from = from, .from_port = htons(from_port) };
	struct flow6 f6 = { .remote_port = htons(rport), .local_port = htons(lport), .local = local, .kind = kind,
			    .to_port = htons(to_port), .from = from, .from_port = htons(from_port) };

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, remote, v6 ? (void *)f6.remote : (void *)&f4.remote), 1);
	if (to)
		assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, to, v6 ? (void *)f6.to : (void *)&f4.to), 1);
	memcpy(words, v6 ? (void *)&f6 : (void *)&f4, v6 ? sizeof(f6) : sizeof(f4));
}

static uint8_t tell(struct rig *r, const struct told *t)
{
	struct peer_batch *b = dataplane_peer_batch(program);
	struct peer_record *p = &b->records[0];
	const uint16_t address = world_address(r, t->v6 ? VIP6 : VIP4), own = world_address(r, t->v6 ? OWN6 : OWN4);
	const char *client = t->v6 ? CLIENT6 : CLIENT4;
	char server[ADDR_TEXT_MAX];

	addr_format(&r->servers[t->server].addr, server);
	memset(b, 0, sizeof(*b));
	b->count = 1;
	p->server = t->server;
	p->generation = SERVER_GENERATION(*world_word(r, t->server));
	p->state = t->state ? t->state : FLOW_OPENED | FLOW_PROVEN;
	p->reply_state = t->reply_state;
	p->v6 = t->v6;
	p->nat = t->nat;
	p->age = t->age;
	put(p->request, t->v6, client, t->sport, address, 80, TCP, t->nat ? server : NULL, t->nat ? 8080 : 0,
	    t->nat ? own : 0, t->nat ? PORT_LOW + t->port : 0);
	if (t->nat) {
		put(p->reply, t->v6, server, 8080, own, PORT_LOW + t->port, TCP | FLOW_REPLY, client, t->sport, address, 80);
		((__u16 *)p->request)[t->v6 ? 23 : 11] = t->hop ? t->hop : PEER_HOP;
		((__u16 *)p->reply)[t->v6 ? 23 : 11] = t->hop ? t->hop : PEER_HOP;
	}
	assert_int_equal(dataplane_peer_run(program), 0);
	return p->result;
}

static struct packet to_mac_of(const struct packet *request, uint32_t server)
{
	struct packet p = *request;

	p.l2_from = L2_LB;
	p.l2_to = L2_SERVER + server;
	p.ttl = (request->ttl ? request->ttl : 64) - 1;
	return p;
}

static void goes_to(struct rig *r, const struct packet *p, uint32_t server)
{
	expect(r, "followed", *p, DSR, .out = to_mac_of(p, server), .server = server);
}

/* Round robin in dsr; with servers of both families. */
static void lay_dsr(struct rig *r)
{
	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_ROUNDROBIN, .servers = 3,
				      .keep_port = true });
}

/* Moves a record's last packet `ticks` back. */
static void grow_old(const struct rig *r, const struct packet *p, uint16_t ticks)
{
	struct flow_view f = rig_flow(r, p);

	*(uint16_t *)f.tag -= ticks;
}

static void a_connection_that_was_told_of_is_followed(void **state)
{
	struct rig *r = *state;

	lay_dsr(r);
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 6 : 3;
		const struct packet data = client_packet(v6, TCP, 40000, ACK);

		assert_int_equal(tell(r, &(struct told){ .v6 = v6, .sport = 40000, .server = server }), PEER_INSERTED);
		goes_to(r, &data, server);
		assert_int_equal(rig_live_flows(r, v6), 1);
		assert_true(FLOW_STATE(rig_flow(r, &data).value) & FLOW_PEER);
	}
}

static void telling_again_refreshes_and_makes_no_second_record(void **state)
{
	struct rig *r = *state;
	const struct packet data = client_packet(false, TCP, 40000, ACK);
	uint16_t tick;

	lay_dsr(r);
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = 2, .age = 5 }), PEER_INSERTED);
	tick = FLOW_TICK(rig_flow(r, &data).value);
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = 2, .age = 2 }), PEER_UPDATED);
	assert_true((uint16_t)(FLOW_TICK(rig_flow(r, &data).value) - tick) >= 3);
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = 2, .age = 9 }), PEER_OLDER);
	assert_true((uint16_t)(FLOW_TICK(rig_flow(r, &data).value) - tick) >= 3);
	assert_int_equal(rig_live_flows(r, false), 1);
}

static void what_passed_here_later_counts_more(void **state)
{
	struct rig *r = *state;
	const struct packet syn = client_packet(false, TCP, 40000, SYN), data = client_packet(false, TCP, 40000, ACK);
	uint32_t server, other;

	lay_dsr(r);
	expect(r, "SYN", syn, DSR, .out = to_mac_of(&syn, world_slot(r, 0, 0)), .connections = 1);
	server = FLOW_SERVER(rig_flow(r, &syn).value);
	other = server % 3 + 1;

	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = other, .age = 1 }), PEER_OLDER);
	/* As new: this machine has seen it itself. */
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = other }), PEER_OLDER);
	goes_to(r, &data, server);
}

static void what_is_newer_elsewhere_takes_the_place(void **state)
{
	struct rig *r = *state;
	const struct packet syn = client_packet(false, TCP, 40000, SYN), data = client_packet(false, TCP, 40000, ACK);
	uint32_t other;

	lay_dsr(r);
	expect(r, "SYN", syn, DSR, .out = to_mac_of(&syn, world_slot(r, 0, 0)), .connections = 1);
	other = FLOW_SERVER(rig_flow(r, &syn).value) % 3 + 1;
	grow_old(r, &syn, 3);
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = other, .age = 1 }), PEER_INSERTED);
	goes_to(r, &data, other);
	assert_int_equal(rig_live_flows(r, false), 1);
}

static void of_two_that_were_told_the_last_one_counts(void **state)
{
	struct rig *r = *state;
	const struct packet data = client_packet(false, TCP, 40000, ACK);

	lay_dsr(r);
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = 1 }), PEER_INSERTED);
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = 2 }), PEER_INSERTED);
	goes_to(r, &data, 2);
}

static void a_closed_record_gives_way_to_an_open_one(void **state)
{
	struct rig *r = *state;
	const struct packet syn = client_packet(false, TCP, 40000, SYN), data = client_packet(false, TCP, 40000, ACK);
	struct flow_view f;
	uint32_t other;

	lay_dsr(r);
	expect(r, "SYN", syn, DSR, .out = to_mac_of(&syn, world_slot(r, 0, 0)), .connections = 1);
	f = rig_flow(r, &syn);
	other = FLOW_SERVER(f.value) % 3 + 1;
	*f.tag |= FLOW_STATE_BITS(FLOW_RST);
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = other }), PEER_INSERTED);
	goes_to(r, &data, other);
}

static void the_end_of_a_connection_is_told_too(void **state)
{
	struct rig *r = *state;
	const struct packet data = client_packet(false, TCP, 40000, ACK);

	lay_dsr(r);
	tell(r, &(struct told){ .sport = 40000, .server = 1 });
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = 1,
						 .state = FLOW_OPENED | FLOW_PROVEN | FLOW_FIN }), PEER_UPDATED);
	assert_true(FLOW_STATE(rig_flow(r, &data).value) & FLOW_FIN);
}

static void the_program_that_holds_the_entry_is_not_disturbed(void **state)
{
	struct rig *r = *state;

	lay_dsr(r);
	for (size_t i = 0; i < LOCK_COUNT; i++)
		r->locks[i] = 1;
	assert_int_equal(tell(r, &(struct told){ .sport = 40000, .server = 1 }), PEER_BUSY);
	for (size_t i = 0; i < LOCK_COUNT; i++)
		r->locks[i] = 0;
	assert_int_equal(rig_live_flows(r, false), 0);
}

static void a_translated_connection_is_followed_both_ways(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 2 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t server = v6 ? 4 : 2;

		assert_int_equal(tell(r, &(struct told){ .v6 = v6, .nat = true, .sport = 40000, .server = server, .port = 7 }),
				 PEER_INSERTED);
		assert_int_equal(rig_live_flows(r, v6), 2);
		assert_int_equal(r->m->use[server].half_open, 0);
		/* The client's first packet says the way back to it. */
		client_sends(r, v6, 40000, ACK, server, 7);
		server_sends(r, v6, 40000, ACK, server, 7);
	}
}

static void the_way_back_may_be_told_later(void **state)
{
	struct rig *r = *state;
	const struct packet data = client_packet(false, TCP, 40000, ACK);

	world_lay(r, &(struct world){ .servers = 1 });
	tell(r, &(struct told){ .nat = true, .sport = 40000, .server = 1, .port = 3 });
	assert_int_equal(rig_flow(r, &data).hop, PEER_HOP);
	tell(r, &(struct told){ .nat = true, .sport = 40000, .server = 1, .port = 3, .hop = 9 });
	assert_int_equal(rig_flow(r, &data).hop, 9);
	/* What packets have taught stays. */
	tell(r, &(struct told){ .nat = true, .sport = 40000, .server = 1, .port = 3, .hop = 8 });
	assert_int_equal(rig_flow(r, &data).hop, 9);
}

static void an_own_port_that_was_told_of_is_not_dealt(void **state)
{
	struct rig *r = *state;
	bool dealt[4] = {};

	world_lay(r, &(struct world){ .servers = 1, .ports = 4 });
	assert_int_equal(tell(r, &(struct told){ .nat = true, .sport = 50000, .server = 1, .port = 1 }), PEER_INSERTED);
	for (uint16_t n = 0; n < 2; n++) {
		const struct packet syn = client_packet(false, TCP, 40000 + n, SYN);
		const unsigned port = own_port(r, &syn, 1) == 1 ? 2 : own_port(r, &syn, 1);

		expect(r, "SYN", syn, NAT_REQUEST, .out = towards_server(&syn, r, 1, port), .server = 1, .connections = 1);
		assert_false(dealt[port]);
		dealt[port] = true;
	}
	assert_false(dealt[1]);
}

static void an_own_port_in_use_here_is_not_taken(void **state)
{
	struct rig *r = *state;
	const struct packet foreign = client_packet(false, TCP, 50000, ACK);

	world_lay(r, &(struct world){ .servers = 1 });
	handshake(r, false, 40000, 1, 0);
	assert_int_equal(tell(r, &(struct told){ .nat = true, .sport = 50000, .server = 1, .port = 0 }), PEER_OLDER);
	assert_false(rig_has_flow(r, &foreign));
	client_sends(r, false, 40000, ACK, 1, 0);
	server_sends(r, false, 40000, ACK, 1, 0);
}

static void a_proof_from_elsewhere_ends_half_open(void **state)
{
	struct rig *r = *state;
	const struct packet syn = client_packet(false, TCP, 40000, SYN);

	world_lay(r, &(struct world){ .servers = 1 });
	expect(r, "SYN", syn, NAT_REQUEST, .out = towards_server(&syn, r, 1, 0), .server = 1, .connections = 1);
	assert_int_equal(r->m->use[1].half_open, 1);
	assert_int_equal(tell(r, &(struct told){ .nat = true, .sport = 40000, .server = 1, .port = 0 }), PEER_UPDATED);
	assert_int_equal(r->m->use[1].half_open, 0);
}

/* Behind ECMP the client's packets may pass one balancer, and the server's another. */
static void an_end_that_two_balancers_saw_by_halves_is_one(void **state)
{
	const uint8_t open = FLOW_OPENED | FLOW_PROVEN;
	struct told told = { .nat = true, .sport = 40000, .server = 1, .state = open };
	struct rig *r = *state;
	const struct packet data = client_packet(false, TCP, 40000, ACK);
	struct flow_view request, reply;

	world_lay(r, &(struct world){ .servers = 1 });
	assert_int_equal(tell(r, &told), PEER_INSERTED);
	told.reply_state = FLOW_FIN;
	assert_int_equal(tell(r, &told), PEER_UPDATED);
	told.state = open | FLOW_FIN;
	told.reply_state = 0;
	assert_int_equal(tell(r, &told), PEER_UPDATED);
	request = rig_flow(r, &data);
	assert_true(flows_find_other(r->m, &request, &reply));
	assert_true(FLOW_STATE(request.value) & FLOW_STATE(reply.value) & FLOW_FIN);
	/* It began anew. */
	told.state = open;
	assert_int_equal(tell(r, &told), PEER_UPDATED);
	request = rig_flow(r, &data);
	assert_true(flows_find_other(r->m, &request, &reply));
	assert_false((FLOW_STATE(request.value) | FLOW_STATE(reply.value)) & FLOW_FIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(a_connection_that_was_told_of_is_followed),
		rig_test(telling_again_refreshes_and_makes_no_second_record),
		rig_test(what_passed_here_later_counts_more),
		rig_test(what_is_newer_elsewhere_takes_the_place),
		rig_test(of_two_that_were_told_the_last_one_counts),
		rig_test(a_closed_record_gives_way_to_an_open_one),
		rig_test(the_end_of_a_connection_is_told_too),
		rig_test(the_program_that_holds_the_entry_is_not_disturbed),
		rig_test(a_translated_connection_is_followed_both_ways),
		rig_test(the_way_back_may_be_told_later),
		rig_test(an_own_port_that_was_told_of_is_not_dealt),
		rig_test(an_own_port_in_use_here_is_not_taken),
		rig_test(a_proof_from_elsewhere_ends_half_open),
		rig_test(an_end_that_two_balancers_saw_by_halves_is_one),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
