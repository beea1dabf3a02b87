/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ipip: the client's packet, one hop less to live, inside an outer header: every byte of it, for all four pairs of
 * families. What decap.bpf.c makes of it again is test_packet_decap.c's.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include <alwayson/hash.h>

#include "world.h"

enum { HASHED_TCP4, HASHED_UDP4, HASHED_TCP6, HASHED_UDP6 };

/* Four hashed services as in world_lay(), over one server of this family with this source of the outer header. */
static uint32_t lay_over(struct rig *r, bool server_v6, const char *source, unsigned bits, enum abi_balance balance)
{
	const uint32_t server = world_server(r, &(struct world_server){
		.addr = server_v6 ? "fd00::1" : "10.0.0.1", .outer = source, .outer_bits = bits });

	for (int v6 = 0; v6 < 2; v6++)
		for (int udp = 0; udp < 2; udp++)
			world_service(r, &(struct world_service){ .addr = v6 ? VIP6 : VIP4, .port = udp ? 53 : 80,
				.protocol = udp ? UDP : TCP, .forward = FORWARD_IPIP, .balance = balance }, &server, 1);
	world_publish(r);
	return server;
}

/* The flow's hash in a hashed service: what the outer header's entropy is made of. */
static uint32_t hash_of(const struct rig *r, const struct packet *p)
{
	const bool v6 = packet_is_v6(p);
	const struct hash_key key = world_key(r, (v6 ? HASHED_TCP6 : HASHED_TCP4) + (p->protocol == UDP));
	uint64_t from[2] = {}, to[2] = {};
	struct addr a;

	assert_int_equal(addr_parse(p->from, &a), 0);
	memcpy(from, a.bytes, 16);
	assert_int_equal(addr_parse(p->to, &a), 0);
	memcpy(to, a.bytes, 16);
	if (v6)
		return hash_tuple6(&key, (__u64 *)from, (__u64 *)to, htons(p->sport), htons(p->dport), p->protocol);
	return hash_tuple4(&key, from[0], to[0], htons(p->sport), htons(p->dport), p->protocol);
}

/* The last 32 bits of an address, with its low bits replaced. */
static void fill_low_bits(uint8_t *last4, uint32_t hash, unsigned bits)
{
	const uint32_t mask = bits == 32 ? 0xffffffff : (1U << bits) - 1;

	store32(last4, (load32(last4) & ~mask) | (hash & mask));
}

static void write_outer4(uint8_t *ip, const struct rig_server *s, size_t carried, uint8_t tos, uint8_t protocol,
			 uint32_t hash)
{
	memset(ip, 0, IP4_SIZE);
	ip[0] = 0x45;
	ip[1] = tos;
	store16(ip + 2, IP4_SIZE + carried);
	store16(ip + 6, 0x4000);
	ip[8] = 64;
	ip[9] = protocol;
	memcpy(ip + 12, s->entry.outer_source, 4);
	fill_low_bits(ip + 12, hash, s->entry.outer_bits);
	memcpy(ip + 16, s->addr.bytes, 4);
	store16(ip + 10, ~sum_fold(sum_bytes(ip, IP4_SIZE, 0)));
}

static void write_outer6(uint8_t *ip, const struct rig_server *s, size_t carried, uint8_t tos, uint8_t protocol,
			 uint32_t hash)
{
	store32(ip, 0x60000000 | (uint32_t)tos << 20 | (hash & 0xfffff));
	store16(ip + 4, carried);
	ip[6] = protocol;
	ip[7] = 64;
	memcpy(ip + 8, s->entry.outer_source, 16);
	fill_low_bits(ip + 20, hash, s->entry.outer_bits);
	memcpy(ip + 24, s->addr.bytes, 16);
}

/* What must leave towards a server for this frame of a client, from the IP header's bytes alone. */
static void wrap(const struct frame *in, size_t carried, const struct rig_server *s, uint32_t server, uint32_t hash,
		 struct frame *ret)
{
	const bool v6 = load16(in->bytes + 12) == 0x86dd;
	const size_t outer = s->entry.outer == 6 ? IP6_SIZE : IP4_SIZE;
	const uint8_t *ip = in->bytes + ETH_SIZE;
	const uint8_t tos = v6 ? (uint8_t)(load16(ip) >> 4) : ip[1];
	const uint8_t protocol = v6 ? 41 : 4;
	uint8_t *inner = ret->bytes + ETH_SIZE + outer;

	ret->length = in->length + outer;
	memset(ret->bytes, 0, ETH_SIZE);
	ret->bytes[0] = ret->bytes[6] = 2;
	ret->bytes[5] = L2_SERVER + server;
	ret->bytes[11] = L2_LB;
	store16(ret->bytes + 12, s->entry.outer == 6 ? 0x86dd : 0x0800);
	if (s->entry.outer == 6)
		write_outer6(ret->bytes + ETH_SIZE, s, carried, tos, protocol, hash);
	else
		write_outer4(ret->bytes + ETH_SIZE, s, carried, tos, protocol, hash);
	memcpy(inner, ip, in->length - ETH_SIZE);
	inner[v6 ? 7 : 8]--;
	if (v6)
		return;
	store16(inner + 10, 0);
	store16(inner + 10, ~sum_fold(sum_bytes(inner, (inner[0] & 15) * 4, 0)));
}

/* One frame through the program; must leave in an outer header with this hash. */
static void expect_frame(struct rig *r, const char *what, const struct frame *in, const struct packet *p, uint32_t server,
			 uint32_t hash)
{
	static struct outcome o;
	static struct frame wanted;

	rig_run(r, in, p->nic, &o);
	if (o.verdict != VERDICT_IPIP)
		fail_msg("%s: verdict %s, not ipip", what, verdict_name(o.verdict));
	assert_int_equal(o.server, server);
	wrap(in, packet_ip_length(p), &r->servers[server], server, hash, &wanted);
	rig_same_frame(what, &o.out, &wanted);
}

static void expect_wrapped(struct rig *r, const char *what, const struct packet *p, uint32_t server)
{
	static struct frame in;

	frame_build(p, &in);
	expect_frame(r, what, &in, p, server, hash_of(r, p));
}

static const char *const outer_sources[] = { OWN4, OWN6 };

static void all_four_pairs(void **state)
{
	struct rig *r = *state;

	for (int server_v6 = 0; server_v6 < 2; server_v6++) {
		const uint32_t server = lay_over(r, server_v6, outer_sources[server_v6], 0, BALANCE_MAGLEV);

		for (int v6 = 0; v6 < 2; v6++) {
			struct packet syn = client_packet(v6, TCP, 40000, SYN);
			struct packet data = client_packet(v6, TCP, 40000, ACK | PSH);
			struct packet udp = client_packet(v6, UDP, 40000, 0);

			syn.tcp_options = 20;
			expect_wrapped(r, "SYN", &syn, server);
			expect_wrapped(r, "data, an odd number of bytes", &data, server);
			data.payload = 1000;
			expect_wrapped(r, "data, an even number", &data, server);
			expect_wrapped(r, "UDP", &udp, server);
			udp.payload = 1;
			udp.padding = 31;
			expect_wrapped(r, "a short frame's padding stays behind the packet", &udp, server);
			if (!v6) {
				data.ip_options = 40;
				udp.no_checksum = true;
				expect_wrapped(r, "IPv4 options", &data, server);
				expect_wrapped(r, "UDP without checksum", &udp, server);
			}
		}
		rig_clear(state);
	}
}

/* DSCP and ECN are the client's, whatever they are (RFC 2983, uniform; RFC 6040, normal mode). */
static void tos_and_ecn_are_copied(void **state)
{
	static struct frame in;
	struct rig *r = *state;

	for (int server_v6 = 0; server_v6 < 2; server_v6++) {
		const uint32_t server = lay_over(r, server_v6, outer_sources[server_v6], 0, BALANCE_MAGLEV);

		for (unsigned n = 0; n < 512; n++) {
			const bool v6 = n & 1;
			const uint8_t tos = n >> 1;
			const struct packet p = client_packet(v6, TCP, 40000, ACK);
			uint8_t *ip = in.bytes + ETH_SIZE;

			frame_build(&p, &in);
			if (v6)
				store32(ip, (load32(ip) & 0xf00fffff) | (uint32_t)tos << 20);
			else
				ip[1] = tos;
			frame_sum(&in);
			expect_frame(r, "a TOS", &in, &p, server, hash_of(r, &p));
		}
		rig_clear(state);
	}
}

/* The inner packet has one hop less, the outer header all of them. */
static void hops_to_live(void **state)
{
	struct rig *r = *state;

	for (int server_v6 = 0; server_v6 < 2; server_v6++) {
		const uint32_t server = lay_over(r, server_v6, outer_sources[server_v6], 0, BALANCE_MAGLEV);

		for (int v6 = 0; v6 < 2; v6++) {
			struct packet p = client_packet(v6, UDP, 40000, 0);

			for (p.ttl = 255; p.ttl >= 2; p.ttl--)
				expect_wrapped(r, "a TTL", &p, server);
			gets_verdict(r, "goes no further", &p, VERDICT_TTL_TOLD);
		}
		rig_clear(state);
	}
}

/* How many low bits of the source the flow's hash fills: none, one, a byte and more, all that it can. */
static void entropy_in_the_source(void **state)
{
	static const struct {
		bool v6;
		const char *source;
		unsigned bits;
	} cases[] = {
		{ false, "198.18.0.0", 0 }, { false, "198.18.0.0", 1 }, { false, "198.18.4.0", 10 },
		{ false, "198.18.0.0", 16 }, { false, "10.0.0.0", 24 }, { false, "0.0.0.0", 32 },
		{ true, "2001:db8:1::", 1 }, { true, "2001:db8:1::", 17 }, { true, "2001:db8:1:2:3:4::", 32 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < array_size(cases); i++) {
		const uint32_t server = lay_over(r, cases[i].v6, cases[i].source, cases[i].bits, BALANCE_MAGLEV);

		for (unsigned flow = 0; flow < 64; flow++) {
			struct packet p = client_packet(flow & 1, flow & 2 ? UDP : TCP, 40000 + flow, ACK);

			expect_wrapped(r, "a flow", &p, server);
		}
		rig_clear(state);
	}
}

/* The outer source, or the flow label, of what leaves for this packet. */
static uint32_t entropy_of(struct rig *r, const struct packet *p, bool server_v6)
{
	static struct outcome o;
	static struct frame in;

	frame_build(p, &in);
	rig_run(r, &in, p->nic, &o);
	assert_int_equal(o.verdict, VERDICT_IPIP);
	return server_v6 ? load32(o.out.bytes + ETH_SIZE) & 0xfffff : load32(o.out.bytes + ETH_SIZE + 12);
}

/* The same for all packets of a flow, different between the flows of one client, whatever chooses the server. */
static void flows_keep_and_spread(void **state)
{
	static const enum abi_balance balances[] = { BALANCE_ROUNDROBIN, BALANCE_MAGLEV, BALANCE_SOURCE };
	static uint8_t seen[1 << 16];
	struct rig *r = *state;

	for (unsigned n = 0; n < 2 * array_size(balances); n++) {
		const enum abi_balance balance = balances[n / 2];
		const bool server_v6 = n & 1;
		unsigned distinct = 0;

		lay_over(r, server_v6, server_v6 ? OWN6 : "198.18.0.0", server_v6 ? 0 : 16, balance);
		memset(seen, 0, sizeof(seen));
		for (unsigned flow = 0; flow < 200; flow++) {
			struct packet syn = client_packet(flow & 1, TCP, 40000 + flow, SYN), data;
			uint32_t entropy;

			data = syn;
			data.flags = ACK;
			data.payload = 99;
			entropy = entropy_of(r, &syn, server_v6);
			assert_int_equal(entropy_of(r, &data, server_v6), entropy);
			distinct += !seen[entropy & 0xffff];
			seen[entropy & 0xffff] = 1;
		}
		/* Of 200 in 65536 two are the same now and then; 190 leaves chance no say. */
		assert_in_range(distinct, 190, 200);
		rig_clear(state);
	}
}

/* Room for the outer header is kept; what is larger is answered with the MTU that is left. */
static void larger_than_the_way_out(void **state)
{
	static struct frame in;
	static struct outcome o;
	struct rig *r = *state;

	for (int server_v6 = 0; server_v6 < 2; server_v6++) {
		const uint32_t server = lay_over(r, server_v6, outer_sources[server_v6], 0, BALANCE_MAGLEV);
		const unsigned fits = MTU - (server_v6 ? IP6_SIZE : IP4_SIZE);

		for (int v6 = 0; v6 < 2; v6++) {
			struct packet p = client_packet(v6, UDP, 40000, 0);

			p.payload = fits - (v6 ? IP6_SIZE : IP4_SIZE) - UDP_SIZE;
			expect_wrapped(r, "as large as can be", &p, server);
			p.payload++;
			frame_build(&p, &in);
			rig_run(r, &in, p.nic, &o);
			assert_int_equal(o.verdict, VERDICT_TOO_BIG_TOLD);
			if (v6)
				assert_int_equal(load32(o.out.bytes + ETH_SIZE + IP6_SIZE + 4), fits);
			else
				assert_int_equal(load16(o.out.bytes + ETH_SIZE + IP4_SIZE + 6), fits);
			world_entry(r, server)->mtu = 9000 - (MTU - fits);
			p.payload = 9000 - (MTU - fits) - (v6 ? IP6_SIZE : IP4_SIZE) - UDP_SIZE;
			expect_wrapped(r, "a frame of several buffers", &p, server);
			world_entry(r, server)->mtu = fits;
		}
		rig_clear(state);
	}
}

/* The kernel gives 256 bytes in front of a frame; metadata takes them away. */
static void no_headroom(void **state)
{
	static uint8_t in[FRAME_MAX], out[FRAME_MAX];
	static struct frame frame;
	struct rig *r = *state;
	const struct packet p = client_packet(false, TCP, 40000, ACK);
	enum { METADATA = 200 };
	struct xdp_md md = { .data = METADATA, .ingress_ifindex = NIC };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_out = out, .data_size_out = sizeof(out), .ctx_in = &md,
		    .ctx_size_in = sizeof(md));
	const uint64_t before = rig_verdicts(r, VERDICT_NO_HEADROOM);
	int e;

	lay_over(r, true, OWN6, 0, BALANCE_MAGLEV);
	frame_build(&p, &frame);
	memcpy(in + METADATA, frame.bytes, frame.length);
	opts.data_size_in = md.data_end = METADATA + frame.length;
	e = bpf_prog_test_run_opts(r->program_fd, &opts);
	if (e == -EINVAL) {
		print_message("skip: this kernel gives test runs at most 32 bytes of metadata\n");
		skip();
	}
	assert_int_equal(e, 0);
	assert_int_equal(opts.retval, XDP_DROP);
	assert_int_equal(rig_verdicts(r, VERDICT_NO_HEADROOM), before + 1);
	rig_catch_up(r);
}

static void no_way(void **state)
{
	struct rig *r = *state;
	const uint32_t server = lay_over(r, false, OWN4, 0, BALANCE_MAGLEV);
	const struct packet p = client_packet(true, TCP, 40000, ACK);

	world_set_flags(r, server, 0, SERVER_RESOLVED);
	expect(r, "the next hop is not known", p, NO_NEIGHBOUR);
	world_set_flags(r, server, SERVER_RESOLVED, 0);
	world_entry(r, server)->outer = 0;
	expect(r, "no source for the outer header is known", p, NO_NEIGHBOUR);
	world_entry(r, server)->outer = 4;
	expect_wrapped(r, "all is known", &p, server);
}

/* 802.1Q and QinQ: tags stay in front, the outer header goes between them and the packet. */
static void vlan_tags_stay(void **state)
{
	static struct frame in, tagged, wanted, out;
	struct rig *r = *state;

	for (int server_v6 = 0; server_v6 < 2; server_v6++) {
		const uint32_t server = lay_over(r, server_v6, outer_sources[server_v6], 0, BALANCE_MAGLEV);

		for (unsigned n = 0; n < 4; n++) {
			const size_t tags = n < 2 ? 4 : 8, outer = server_v6 ? IP6_SIZE : IP4_SIZE;
			const bool v6 = n & 1;
			const struct packet p = client_packet(v6, TCP, 40000, ACK);

			frame_build(&p, &in);
			tagged = in;
			tagged.length += tags;
			store16(tagged.bytes + 12, tags == 8 ? 0x88a8 : 0x8100);
			store16(tagged.bytes + 14, 0x2064);
			store16(tagged.bytes + 16, 0x8100);
			store16(tagged.bytes + 18, 0x0007);
			memcpy(tagged.bytes + ETH_SIZE + tags - 2, in.bytes + ETH_SIZE - 2, in.length - ETH_SIZE + 2);
			wrap(&in, packet_ip_length(&p), &r->servers[server], server, hash_of(r, &p), &wanted);
			memmove(wanted.bytes + ETH_SIZE + tags - 2, wanted.bytes + ETH_SIZE - 2,
				wanted.length - ETH_SIZE + 2);
			memcpy(wanted.bytes + 12, tagged.bytes + 12, tags);
			wanted.length += tags;
			assert_int_equal(wanted.length, tagged.length + outer);
			assert_int_equal(rig_run_raw(r, &tagged, NIC, &out), XDP_TX);
			rig_same_frame("tagged", &out, &wanted);
		}
		rig_catch_up(r);
		rig_clear(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(all_four_pairs),
		rig_test(tos_and_ecn_are_copied),
		rig_test(hops_to_live),
		rig_test(entropy_in_the_source),
		rig_test(flows_keep_and_spread),
		rig_test(larger_than_the_way_out),
		rig_test(no_headroom),
		rig_test(no_way),
		rig_test(vlan_tags_stay),
	};

	return cmocka_run_group_tests_name("tunnel", tests, rig_open, rig_close);
}
