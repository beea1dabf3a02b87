/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors about steered flows: each reaches the side that it speaks to, and quotes the packet as that side knows
 * it. What is about nothing of ours, or quotes too little, is the host's, byte for byte. What is too big is told to its
 * sender. Echoes are test_packet_echo.c's.
 */
#include <string.h>

#include "wire.h"
#include "world.h"

#define ROUTER4 "203.0.113.9"
#define ROUTER6 "2001:db8:f::9"

static struct frame in, wanted, quoted;
static struct outcome o;

static void gives(struct rig *r, const char *what, enum verdict verdict)
{
	rig_run(r, &in, 0, &o);
	if (o.verdict != verdict)
		fail_msg("%s: verdict %s, not %s", what, verdict_name(o.verdict), verdict_name(verdict));
}

/* An error's Ethernet header and addresses. */
static struct packet outer(uint8_t l2_from, uint8_t l2_to, const char *from, const char *to)
{
	return (struct packet){ .l2_from = l2_from, .l2_to = l2_to, .from = from, .to = to };
}

/* Lays an error out that quotes the first bytes of a packet; 0 = all of it. */
static void error(struct frame *f, const struct packet *p, uint8_t type, uint32_t info, const struct packet *about,
		  size_t length)
{
	frame_build(about, &quoted);
	wire_icmp(&(struct wire_icmp){ .p = *p, .type = type, .code = type == 3 ? 3 : 0, .info = info,
		.data = quoted.bytes + ETH_SIZE, .length = length ? length : quoted.length - ETH_SIZE }, f);
}

static const char *router(bool v6)
{
	return v6 ? ROUTER6 : ROUTER4;
}

/* From a router near the client. */
static struct packet from_router(bool v6, const char *to)
{
	return outer(L2_ROUTER, L2_LB, router(v6), to);
}

/* A router says that a packet (its first bytes; 0 = all) did not get there: lays `in` out. */
static void unreachable(const struct packet *p, const struct packet *about, size_t length)
{
	error(&in, p, packet_is_v6(p) ? 1 : 3, 0, about, length);
}

static void gives_unreachable(struct rig *r, const char *what, const struct packet *p, const struct packet *about,
			      enum verdict verdict)
{
	unreachable(p, about, 0);
	gives(r, what, verdict);
}

static const uint8_t types4[] = { 3, 11, 12 }, types6[] = { 1, 2, 3, 4 };

/* A connection through nat: what each side sends, and how it arrives at the other. */
struct connection {
	bool v6;
	uint32_t server;
	struct packet request, sent, answer, back;
	char server_text[ADDR_TEXT_MAX];
};

static void connect_nat(struct rig *r, bool v6, uint8_t protocol, struct connection *ret)
{
	struct connection *c = ret;
	struct packet syn = client_packet(v6, protocol, 40000, protocol == TCP ? SYN : 0);
	unsigned port;

	c->v6 = v6;
	c->server = v6 ? 2 : 1;
	port = own_port(r, &syn, c->server);
	if (protocol == TCP)
		handshake(r, v6, 40000, c->server, port);
	else
		expect(r, "UDP", syn, NAT_REQUEST, .out = towards_server(&syn, r, c->server, port), .connections = 1);
	c->request = client_packet(v6, protocol, 40000, protocol == TCP ? ACK : 0);
	c->sent = towards_server(&c->request, r, c->server, port);
	c->answer = server_answer(&c->sent, protocol == TCP ? ACK : 0);
	c->back = towards_client(&c->answer, &c->request);
	c->back.ttl = c->answer.ttl = 50;
	c->sent.ttl = c->request.ttl = 49;
	addr_format(&r->servers[c->server].addr, c->server_text);
}

/* From the client, or a router near it, about what the server sent. */
static void from_the_clients_side(struct rig *r, const struct connection *c, const char *from, uint8_t type,
				  size_t length)
{
	struct packet p = outer(L2_ROUTER, L2_LB, from, c->request.to);

	error(&in, &p, type, 0x05a0, &c->back, length);
	p = outer(L2_LB, L2_SERVER + c->server, from, c->server_text);
	p.ttl = 63;
	error(&wanted, &p, type, 0x05a0, &c->answer, length);
	gives(r, "to the server", VERDICT_ICMP_ERROR);
	rig_same_frame("to the server", &o.out, &wanted);
}

/* From the server, or a router near it, about what the client sent. A server is known by the service's address. */
static void from_the_servers_side(struct rig *r, const struct connection *c, const char *from, uint8_t type,
				  size_t length)
{
	struct packet p = outer(L2_SERVER + c->server, L2_LB, from, c->sent.from);
	const bool itself = strcmp(from, c->server_text) == 0;

	error(&in, &p, type, 0x05a0, &c->sent, length);
	p = outer(L2_LB, L2_CLIENT, itself ? c->request.to : from, c->request.from);
	p.ttl = 63;
	error(&wanted, &p, type, 0x05a0, &c->request, length);
	gives(r, "to the client", VERDICT_ICMP_ERROR);
	rig_same_frame("to the client", &o.out, &wanted);
}

/* A connection in IPv4, then one in IPv6. */
static void with_each(struct rig *r, void (*test)(struct rig *r, const struct connection *c))
{
	struct connection c;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		connect_nat(r, v6, TCP, &c);
		test(r, &c);
	}
}

static void nat_each_to_the_side_it_speaks_to(void **state)
{
	static const uint8_t protocols[] = { TCP, UDP };
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++)
		for (size_t i = 0; i < array_size(protocols); i++) {
			const size_t ip = v6 ? IP6_SIZE : IP4_SIZE;
			/* Up to the ports; to TCP's sum, and with it; more; all. */
			const size_t lengths[] = { ip + 8, ip + 16, ip + 18, ip + 19, ip + 20, 0 };
			struct connection c;

			connect_nat(r, v6, protocols[i], &c);
			for (size_t t = 0; t < (v6 ? sizeof(types6) : sizeof(types4)); t++)
				for (size_t n = 0; n < array_size(lengths); n++) {
					const uint8_t type = v6 ? types6[t] : types4[t];

					from_the_clients_side(r, &c, router(v6), type, lengths[n]);
					from_the_clients_side(r, &c, v6 ? CLIENT6 : CLIENT4, type, lengths[n]);
					from_the_servers_side(r, &c, c.server_text, type, lengths[n]);
					from_the_servers_side(r, &c, router(v6), type, lengths[n]);
				}
		}
}

static void nat_quotes_with_ipv4_options_and_no_checksum(void **state)
{
	struct rig *r = *state;
	struct connection c;

	world_lay(r, &(struct world){ .servers = 1 });
	connect_nat(r, false, UDP, &c);
	c.request.ip_options = c.sent.ip_options = c.answer.ip_options = c.back.ip_options = 40;
	from_the_clients_side(r, &c, ROUTER4, 3, 60 + 8);
	from_the_servers_side(r, &c, ROUTER4, 3, 60 + 8);
	c.request.no_checksum = c.sent.no_checksum = c.answer.no_checksum = c.back.no_checksum = true;
	from_the_clients_side(r, &c, ROUTER4, 3, 0);
	from_the_servers_side(r, &c, ROUTER4, 3, 0);
}

static void nat_hops_to_live_each(struct rig *r, const struct connection *c)
{
	struct packet p = from_router(c->v6, c->request.to);

	p.ttl = 1;
	gives_unreachable(r, "towards the server", &p, &c->back, VERDICT_TTL_EXCEEDED);
	p = from_router(c->v6, c->sent.from);
	p.ttl = 1;
	gives_unreachable(r, "towards the client", &p, &c->sent, VERDICT_TTL_EXCEEDED);
}

static void nat_hops_to_live(void **state)
{
	with_each(*state, nat_hops_to_live_each);
}

/* An answer of the service as a server that is reached directly sends it. */
static struct packet direct_answer(bool v6, uint8_t protocol, uint16_t sport)
{
	struct packet p = client_packet(v6, protocol, sport, protocol == TCP ? ACK : 0);
	struct packet a = server_answer(&p, p.flags);

	return a;
}

/* The error leaves for this server as a client's packet would. */
static void direct(struct rig *r, const char *what, enum abi_forward forward, const struct packet *about,
		   uint32_t server)
{
	const bool v6 = packet_is_v6(about);
	struct packet p = from_router(v6, about->from);

	error(&in, &p, v6 ? 2 : 3, 1400, about, 0);
	gives(r, what, VERDICT_ICMP_ERROR);
	p.l2_from = L2_LB;
	p.l2_to = L2_SERVER + server;
	p.ttl = 63;
	error(&wanted, &p, v6 ? 2 : 3, 1400, about, 0);
	if (forward == FORWARD_IPIP) {
		static struct frame carried;
		char to[ADDR_TEXT_MAX];

		carried = wanted;
		addr_format(&r->servers[server].addr, to);
		wire_wrap(&carried, v6 ? OWN6 : OWN4, to, &wanted);
		wire_clear_label(&o.out);
	}
	rig_same_frame(what, &o.out, &wanted);
}

/* Where the flow's own packets go. */
static uint32_t server_of(struct rig *r, bool v6, uint8_t protocol, uint16_t sport)
{
	struct packet p = client_packet(v6, protocol, sport, protocol == TCP ? ACK : 0);

	frame_build(&p, &in);
	rig_run(r, &in, 0, &o);
	assert_true(o.verdict == VERDICT_DSR || o.verdict == VERDICT_IPIP);
	return o.server;
}

static void direct_on_clean_slots(struct rig *r, enum abi_forward forward, enum abi_balance balance)
{
	world_lay(r, &(struct world){ .forward = forward, .balance = balance, .servers = 3 });
	for (int v6 = 0; v6 < 2; v6++)
		for (unsigned i = 0; i < 30; i++) {
			const uint8_t protocol = i & 1 ? TCP : UDP;
			struct packet about = direct_answer(v6, protocol, 40000 + i);

			direct(r, "a clean slot", forward, &about, server_of(r, v6, protocol, 40000 + i));
		}
}

static const enum abi_forward forwards[] = { FORWARD_DSR, FORWARD_IPIP };

static void hashed_to_the_flows_server(void **state)
{
	for (size_t i = 0; i < array_size(forwards); i++) {
		direct_on_clean_slots(*state, forwards[i], BALANCE_MAGLEV);
		rig_clear(state);
		direct_on_clean_slots(*state, forwards[i], BALANCE_SOURCE);
		rig_clear(state);
	}
}

static void recorded_to_the_flows_server(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(forwards); i++) {
		world_lay(r, &(struct world){ .forward = forwards[i], .balance = BALANCE_ROUNDROBIN, .servers = 3 });
		for (int v6 = 0; v6 < 2; v6++)
			for (unsigned n = 0; n < 10; n++) {
				struct packet about = direct_answer(v6, UDP, 40000 + n);
				struct packet p = from_router(v6, about.from);

				gives_unreachable(r, "before there is a record", &p, &about, VERDICT_OTHER_PROTOCOL);
				direct(r, "a record", forwards[i], &about, server_of(r, v6, UDP, 40000 + n));
			}
		rig_clear(state);
	}
}

static void set_slots(struct rig *r, uint32_t service, uint64_t value)
{
	const uint64_t region = r->services.items[service].entry.slots;

	for (uint32_t i = 0; i < (uint32_t)region; i++)
		r->m->slots[(region >> 32) + i] = value;
}

/* DESIGN, "states of a slot": the error follows where the flow's packets go. */
static void slots_that_changed_owner(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(forwards); i++) {
		world_lay(r, &(struct world){ .forward = forwards[i], .balance = BALANCE_MAGLEV, .servers = 3 });
		for (int v6 = 0; v6 < 2; v6++) {
			const uint32_t now = v6 ? 4 : 1, before = now + 1, tcp = v6 ? 2 : 0;
			struct packet about = direct_answer(v6, TCP, 40000), udp = direct_answer(v6, UDP, 40000);
			struct packet other = direct_answer(v6, TCP, 40001);

			set_slots(r, tcp, SLOT(now, before, SLOT_DIRTY));
			set_slots(r, tcp + 1, SLOT(now, before, SLOT_DIRTY));
			direct(r, "dirty, no record", forwards[i], &about, before);
			direct(r, "dirty, UDP moved at once", forwards[i], &udp, now);
			assert_int_equal(server_of(r, v6, UDP, 40000), now);
			assert_int_equal(server_of(r, v6, TCP, 40000), before);
			direct(r, "dirty, recorded", forwards[i], &about, before);
			set_slots(r, tcp, SLOT(now, 0, SLOT_TRACKED));
			direct(r, "tracked, recorded", forwards[i], &about, before);
			direct(r, "tracked, no record", forwards[i], &other, now);
		}
		rig_clear(state);
	}
}

/* Dirty without previous: the table of before knows. */
static void slots_of_a_table_that_was_replaced(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .forward = FORWARD_DSR, .balance = BALANCE_MAGLEV, .servers = 3 });
	for (int v6 = 0; v6 < 2; v6++) {
		const uint32_t now = v6 ? 4 : 1, before = now + 2;
		struct service *s = &r->services.items[v6 ? 2 : 0].entry;
		struct packet about = direct_answer(v6, TCP, 40000);

		set_slots(r, v6 ? 2 : 0, SLOT(now, 0, SLOT_DIRTY));
		direct(r, "no table of before", FORWARD_DSR, &about, now);
		r->m->slots[r->slots_used] = SLOT(before, 0, SLOT_CLEAN);
		s->old_slots = (uint64_t)r->slots_used++ << 32 | 1;
		s->old_key[0] = 1;
		s->old_balance = BALANCE_SOURCE;
		world_publish(r);
		direct(r, "the table of before", FORWARD_DSR, &about, before);
		assert_int_equal(server_of(r, v6, TCP, 40000), before);
	}
}

/* Neither a server that was removed, nor (recorded) who has its id now. */
static void about_a_server_that_is_gone_each(struct rig *r, const struct connection *c)
{
	struct packet p;

	p = from_router(c->v6, c->request.to);
	gives_unreachable(r, "it is there", &p, &c->back, VERDICT_ICMP_ERROR);
	world_server_remove(r, c->server);
	gives_unreachable(r, "it is gone", &p, &c->back, VERDICT_OTHER_PROTOCOL);
}

static void about_a_server_that_is_gone(void **state)
{
	with_each(*state, about_a_server_that_is_gone_each);
}

/* An error's own address, type and quote, each wrong in one way. */
static void what_is_about_nothing_of_ours_each(struct rig *r, const struct connection *c)
{
	struct packet to_vip, to_own, about;

	to_vip = from_router(c->v6, c->request.to);
	to_own = from_router(c->v6, c->sent.from);
	about = c->back;
	about.dport++;
	gives_unreachable(r, "another port of the client", &to_vip, &about, VERDICT_OTHER_PROTOCOL);
	about = c->back;
	about.sport++;
	gives_unreachable(r, "another port of the service", &to_vip, &about, VERDICT_OTHER_PROTOCOL);
	about = c->back;
	about.protocol = UDP;
	gives_unreachable(r, "the other protocol", &to_vip, &about, VERDICT_OTHER_PROTOCOL);
	gives_unreachable(r, "to the service about what an own address sent", &to_vip, &c->sent, VERDICT_OTHER_PROTOCOL);
	gives_unreachable(r, "to an own address about what the service sent", &to_own, &c->back, VERDICT_OTHER_PROTOCOL);
	gives_unreachable(r, "about what the client sent", &to_vip, &c->request, VERDICT_OTHER_PROTOCOL);
	about = c->sent;
	about.sport++;
	gives_unreachable(r, "another own port", &to_own, &about, VERDICT_OTHER_PROTOCOL);
	to_own.to = c->v6 ? "2001:db8::77" : "192.0.2.77";
	about = c->sent;
	about.from = to_own.to;
	gives_unreachable(r, "an address of the host's", &to_own, &about, VERDICT_OTHER_PROTOCOL);
}

static void what_is_about_nothing_of_ours(void **state)
{
	with_each(*state, what_is_about_nothing_of_ours_each);
}

static void malformed_quotes_each(struct rig *r, const struct connection *c)
{
	static const struct {
		size_t at;
		uint8_t mask, value;
		bool v4, v6;
	} edits[] = {
		{ 0, 0xf0, 0x00, true, true }, { 0, 0xf0, 0x50, true, true }, { 0, 0x0f, 0x04, true, false },
		{ 0, 0x0f, 0x00, true, false }, { 7, 0xff, 0x01, true, false }, { 6, 0x1f, 0x10, true, false },
		{ 9, 0xff, 1, true, false }, { 9, 0xff, 132, true, false }, { 6, 0xff, 58, false, true },
		{ 6, 0xff, 44, false, true }, { 6, 0xff, 0, false, true }, { 6, 0xff, 59, false, true },
	};
	struct packet p;

	for (size_t i = 0; i < array_size(edits); i++)
		for (int own = 0; own < 2; own++) {
			uint8_t *at;

			p = from_router(c->v6, own ? c->sent.from : c->request.to);
			unreachable(&p, own ? &c->sent : &c->back, 0);
			if (c->v6 ? !edits[i].v6 : !edits[i].v4)
				continue;
			at = in.bytes + frame_l4(&in) + 8 + edits[i].at;
			*at = (*at & ~edits[i].mask) | edits[i].value;
			frame_sum(&in);
			gives(r, "a quote that is no packet of ours", VERDICT_OTHER_PROTOCOL);
		}
}

static void malformed_quotes(void **state)
{
	with_each(*state, malformed_quotes_each);
}

/* Cut short by its sender, by the network, or with Ethernet padding in place of what is missing. */
static void quotes_cut_at_every_byte_each(struct rig *r, const struct connection *c)
{
	for (size_t length = 1; length < (c->v6 ? IP6_SIZE : IP4_SIZE) + 8; length++)
		for (int own = 0; own < 2; own++) {
			struct packet p = from_router(c->v6, own ? c->sent.from : c->request.to);

			unreachable(&p, own ? &c->sent : &c->back, length);
			gives(r, "a short quote", VERDICT_OTHER_PROTOCOL);
			memcpy(in.bytes + in.length, quoted.bytes + ETH_SIZE + length, 40);
			in.length += 40;
			gives(r, "a short quote and padding", VERDICT_OTHER_PROTOCOL);
			unreachable(&p, own ? &c->sent : &c->back, 0);
			in.length = frame_l4(&in) + 8 + length;
			gives(r, "a frame that was cut", VERDICT_TRUNCATED);
		}
	for (size_t header = 0; header < 8; header++) {
		struct packet p = from_router(c->v6, c->request.to);

		unreachable(&p, &c->back, 1);
		in.length = frame_l4(&in) + header;
		store16(in.bytes + ETH_SIZE + (c->v6 ? 4 : 2), header + (c->v6 ? 0 : IP4_SIZE));
		gives(r, "less than ICMP's header", VERDICT_TRUNCATED);
	}
}

static void quotes_cut_at_every_byte(void **state)
{
	with_each(*state, quotes_cut_at_every_byte_each);
}

/* Neighbour discovery, router discovery, redirects, multicast listeners, timestamps: the host's, whatever they hold. */
static void every_other_type_is_the_hosts(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	world_unowned(r, VIP4, true);
	world_unowned(r, VIP6, true);
	world_publish(r);
	for (int v6 = 0; v6 < 2; v6++) {
		struct connection c;

		connect_nat(r, v6, TCP, &c);
		for (unsigned type = 0; type < 256; type++)
			for (int own = 0; own < 2; own++) {
				struct packet p = from_router(v6, own ? c.sent.from : c.request.to);

				if (memchr(v6 ? types6 : types4, type, v6 ? sizeof(types6) : sizeof(types4)) ||
				    (!own && type == (v6 ? 128 : 8)))
					continue;
				error(&in, &p, type, 0, own ? &c.sent : &c.back, 0);
				gives(r, "another type", VERDICT_OTHER_PROTOCOL);
			}
	}
}

/* The sender is told the MTU, once for each packet, and from the address it wrote to. */
static void told(struct rig *r, const struct packet *p, const struct frame *big, uint32_t mtu)
{
	const bool v6 = packet_is_v6(p);
	struct packet q = outer(L2_LB, L2_CLIENT, p->to, p->from);
	const size_t quote = (v6 ? IP6_SIZE : IP4_SIZE + p->ip_options) + 8;

	q.bare = true;
	wire_icmp(&(struct wire_icmp){ .p = q, .type = v6 ? 2 : 3, .code = v6 ? 0 : 4, .info = mtu,
		.data = big->bytes + ETH_SIZE, .length = quote }, &wanted);
	gives(r, "too big", VERDICT_TOO_BIG_TOLD);
	rig_same_frame("too big", &o.out, &wanted);
}

static void too_big(struct rig *r, bool v6, uint8_t options, uint32_t mtu)
{
	struct packet p = client_packet(v6, UDP, 40000, 0);

	p.ip_options = options;
	for (size_t length = mtu; length < 9000; length = length == mtu ? mtu + 1 : length + 2500) {
		p.payload = length - (v6 ? IP6_SIZE : IP4_SIZE + options) - UDP_SIZE;
		frame_build(&p, &in);
		if (length == mtu) {
			rig_run(r, &in, 0, &o);
			assert_true(o.verdict <= VERDICT_IPIP);
			continue;
		}
		told(r, &p, &in, mtu);
		if (v6)
			continue;
		/* Its sender allows fragments, and we make none. */
		store16(in.bytes + ETH_SIZE + 6, 0);
		frame_sum(&in);
		gives(r, "without DF", VERDICT_TOO_BIG);
	}
}

static void too_big_for_the_way_out(void **state)
{
	static const enum abi_forward modes[] = { FORWARD_NAT, FORWARD_DSR, FORWARD_IPIP };
	static const uint16_t mtus[] = { 1280, MTU, 4000 };
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(modes); i++)
		for (size_t m = 0; m < array_size(mtus); m++) {
			world_lay(r, &(struct world){ .forward = modes[i], .servers = 1 });
			for (int v6 = 0; v6 < 2; v6++) {
				struct server *s = world_entry(r, v6 ? 2 : 1);

				s->mtu = mtus[m] - (modes[i] != FORWARD_IPIP ? 0 : v6 ? IP6_SIZE : IP4_SIZE);
				too_big(r, v6, 0, s->mtu);
				if (!v6)
					too_big(r, v6, 40, s->mtu);
			}
			rig_clear(state);
		}
}

/* Told by an error of this type with this second word, from where it was sent to. */
static void error_back(struct rig *r, const char *what, const struct packet *p, uint8_t type, uint8_t code, uint32_t info,
		       enum verdict verdict)
{
	const bool v6 = packet_is_v6(p);
	struct packet q = outer(p->l2_to, p->l2_from, p->to, p->from);

	q.bare = true;
	frame_build(p, &in);
	wire_icmp(&(struct wire_icmp){ .p = q, .type = type, .code = code, .info = info, .data = in.bytes + ETH_SIZE,
		.length = (v6 ? IP6_SIZE : IP4_SIZE) + 8 }, &wanted);
	gives(r, what, verdict);
	rig_same_frame(what, &o.out, &wanted);
}

static void time_exceeded_is_told(void **state)
{
	static const enum abi_forward modes[] = { FORWARD_NAT, FORWARD_DSR, FORWARD_IPIP, FORWARD_TRANSPARENT };
	static const uint8_t protocols[] = { TCP, UDP };
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(modes); i++) {
		world_lay(r, &(struct world){ .forward = modes[i], .servers = 1 });
		for (int n = 0; n < 4; n++) {
			const bool v6 = n & 1;
			struct packet p = client_packet(v6, protocols[n / 2], 40000, protocols[n / 2] == TCP ? SYN : 0);

			p.ttl = 1;
			error_back(r, "no hop left", &p, v6 ? 3 : 11, 0, 0, VERDICT_TTL_TOLD);
		}
		rig_clear(state);
	}
}

/* The server learns what its replies can't do: pass to the client's side, or go on for ever. */
static void servers_are_told_about_their_replies(void **state)
{
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (int v6 = 0; v6 < 2; v6++) {
		struct connection c;
		struct packet p;

		connect_nat(r, v6, TCP, &c);
		p = c.answer;
		p.ttl = 1;
		error_back(r, "no hop left", &p, v6 ? 3 : 11, 0, 0, VERDICT_TTL_TOLD);
		for (uint32_t id = 0; id < MAX_HOPS; id++)
			r->m->hops[id].mtu = 1300;
		p = c.answer;
		p.payload = 1300 - (v6 ? IP6_SIZE : IP4_SIZE) - TCP_SIZE;
		gets_verdict(r, "as large as it may be", &p, VERDICT_NAT_REPLY);
		p.payload++;
		error_back(r, "larger than the client's side", &p, v6 ? 2 : 3, v6 ? 0 : 4, 1300, VERDICT_TOO_BIG_TOLD);
		memset(r->m->hops, 0, MAX_HOPS * sizeof(*r->m->hops));
	}
}

/* The MTU of the client's side is learnt with the way back. */
static void a_hop_knows_its_mtu(void **state)
{
	struct rig *r = *state;
	struct connection c;

	world_lay(r, &(struct world){ .servers = 1 });
	connect_nat(r, false, TCP, &c);
	assert_int_equal(r->m->hops[rig_flow(r, &c.request).hop].mtu, 65536); /* lo's */
}

static void who_is_no_single_host_is_told_nothing(void **state)
{
	static const char *const nobodies[] = { "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.2.3", "255.255.255.255",
						"::", "::1", "ff02::1" };
	struct rig *r = *state;

	world_lay(r, &(struct world){ .servers = 1 });
	for (size_t i = 0; i <= array_size(nobodies); i++) {
		const bool group = i == array_size(nobodies), v6 = !group && strchr(nobodies[i], ':');
		struct packet p = client_packet(v6, UDP, 40000, 0);

		p.from = group ? CLIENT4 : nobodies[i];
		frame_build(&p, &in);
		in.bytes[0] |= group; /* a frame for several */
		in.bytes[ETH_SIZE + (v6 ? 7 : 8)] = 1;
		if (!v6)
			frame_sum(&in);
		gives(r, "time exceeded", VERDICT_UNANSWERED);
		p.payload = 1600;
		frame_build(&p, &in);
		in.bytes[0] |= group;
		gives(r, "too big", VERDICT_UNANSWERED);
		p = client_packet(v6, TCP, 40000, ACK);
		p.from = group ? CLIENT4 : nobodies[i];
		frame_build(&p, &in);
		in.bytes[0] |= group;
		gives(r, "a reset", VERDICT_UNANSWERED);
	}
}

/* RFC 1122, 3.2.2: no error about an error. */
static void an_error_that_is_too_big_is_dropped(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(forwards); i++) {
		world_lay(r, &(struct world){ .forward = forwards[i], .balance = BALANCE_MAGLEV, .servers = 1 });
		for (int v6 = 0; v6 < 2; v6++) {
			struct packet about = direct_answer(v6, TCP, 40000);
			struct packet p = from_router(v6, about.from);

			about.payload = 1500;
			gives_unreachable(r, "an error of more than 1500 bytes", &p, &about, VERDICT_TOO_BIG);
		}
		rig_clear(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(nat_each_to_the_side_it_speaks_to),
		rig_test(nat_quotes_with_ipv4_options_and_no_checksum),
		rig_test(nat_hops_to_live),
		rig_test(hashed_to_the_flows_server),
		rig_test(recorded_to_the_flows_server),
		rig_test(slots_that_changed_owner),
		rig_test(slots_of_a_table_that_was_replaced),
		rig_test(about_a_server_that_is_gone),
		rig_test(what_is_about_nothing_of_ours),
		rig_test(malformed_quotes),
		rig_test(quotes_cut_at_every_byte),
		rig_test(every_other_type_is_the_hosts),
		rig_test(too_big_for_the_way_out),
		rig_test(time_exceeded_is_told),
		rig_test(servers_are_told_about_their_replies),
		rig_test(a_hop_knows_its_mtu),
		rig_test(who_is_no_single_host_is_told_nothing),
		rig_test(an_error_that_is_too_big_is_dropped),
	};

	return cmocka_run_group_tests_name("icmp", tests, rig_open, rig_close);
}
