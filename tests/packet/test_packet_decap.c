/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program that unwraps on a server, loaded by its loader and given frames by BPF_PROG_TEST_RUN: what the balancer's
 * program has wrapped comes out as it went in; everything that is not exactly that passes untouched, byte for byte.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "dataplane/decap.h"
#include "world.h"

#define SERVER4 "10.0.0.1"
#define SERVER6 "fd00::1"

static struct decap *decap;
static struct decap_counter before[DECAP_VERDICT_MAX];

static struct addr parse(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct decap_prefix prefix(const char *text)
{
	struct decap_prefix p;

	assert_int_equal(addr_parse_prefix(text, &p.addr, &p.length), 0);
	return p;
}

static int suite_open(void **state)
{
	char error[DATAPLANE_ERROR_MAX];
	const struct decap_prefix from[] = { prefix(OWN4), prefix(OWN6), prefix("198.18.0.0/15"), prefix("fd18::/33") };
	const struct addr addresses[] = { parse(SERVER4), parse(SERVER6) };
	const struct decap_options options = {
		.interface = "lo", .from = from, .from_count = array_size(from),
		.addresses = addresses, .address_count = array_size(addresses),
	};

	if (rig_open(state) < 0)
		return -1;
	if (decap_open(&options, &decap, error) < 0) {
		print_error("%s\n", error);
		return -1;
	}
	return decap_counters(decap, before);
}

static int suite_close(void **state)
{
	decap_close(decap);
	return rig_close(state);
}

/* One frame through the program: exactly one verdict is counted, with all bytes. */
static uint32_t run(const struct frame *in, struct frame *out, enum decap_verdict *ret)
{
	struct decap_counter now[DECAP_VERDICT_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->length, .data_out = out->bytes,
		    .data_size_out = sizeof(out->bytes));
	unsigned moved = 0;

	assert_int_equal(bpf_prog_test_run_opts(decap_program_fd(decap), &opts), 0);
	out->length = opts.data_size_out;
	assert_int_equal(decap_counters(decap, now), 0);
	for (unsigned v = 0; v < DECAP_VERDICT_MAX; v++) {
		if (now[v].packets == before[v].packets)
			continue;
		assert_int_equal(now[v].packets, before[v].packets + 1);
		assert_int_equal(now[v].bytes, before[v].bytes + in->length);
		*ret = v;
		moved++;
	}
	assert_int_equal(moved, 1);
	memcpy(before, now, sizeof(before));
	return opts.retval;
}

static void expect_verdict(const char *what, enum decap_verdict got, enum decap_verdict wanted)
{
	if (got != wanted)
		fail_msg("%s: %s, not %s", what, decap_verdict_label(got), decap_verdict_label(wanted));
}

/* Goes to the host as it came. */
static void expect_untouched(const char *what, const struct frame *in, enum decap_verdict wanted)
{
	static struct frame out;
	enum decap_verdict v = DECAP_VERDICT_MAX;

	assert_int_equal(run(in, &out, &v), XDP_PASS);
	expect_verdict(what, v, wanted);
	rig_same_frame(what, &out, in);
}

static void expect_unwrapped(const char *what, const struct frame *in, const struct frame *wanted)
{
	static struct frame out;
	enum decap_verdict v = DECAP_VERDICT_MAX;

	assert_int_equal(run(in, &out, &v), XDP_PASS);
	expect_verdict(what, v, DECAP_UNWRAPPED);
	rig_same_frame(what, &out, wanted);
}

/* ---- tunnel packets by hand ---- */

static const char *const server_of[] = { SERVER4, SERVER6 }, *const balancer_of[] = { OWN4, OWN6 };

static size_t outer_size(bool v6)
{
	return v6 ? IP6_SIZE : IP4_SIZE;
}

/* Puts an outer header in front of a frame's packet. */
static void wrap(const struct frame *inner, const char *from, const char *to, struct frame *ret)
{
	const bool outer_v6 = strchr(to, ':'), v6 = load16(inner->bytes + 12) == 0x86dd;
	const size_t carried = inner->length - ETH_SIZE;
	uint8_t *ip = ret->bytes + ETH_SIZE;

	ret->length = inner->length + outer_size(outer_v6);
	memcpy(ret->bytes, inner->bytes, 12);
	store16(ret->bytes + 12, outer_v6 ? 0x86dd : 0x0800);
	memset(ip, 0, outer_size(outer_v6));
	if (outer_v6) {
		ip[0] = 0x60;
		store16(ip + 4, carried);
		ip[6] = v6 ? 41 : 4;
		ip[7] = 64;
		inet_pton(AF_INET6, from, ip + 8);
		inet_pton(AF_INET6, to, ip + 24);
	} else {
		ip[0] = 0x45;
		store16(ip + 2, IP4_SIZE + carried);
		ip[8] = 64;
		ip[9] = v6 ? 41 : 4;
		inet_pton(AF_INET, from, ip + 12);
		inet_pton(AF_INET, to, ip + 16);
		store16(ip + 10, ~sum_fold(sum_bytes(ip, IP4_SIZE, 0)));
	}
	memcpy(ip + outer_size(outer_v6), inner->bytes + ETH_SIZE, carried);
}

/* The IPv4 header at `ip` sums up again after an edit. */
static void sum_ip4(uint8_t *ip)
{
	store16(ip + 10, 0);
	store16(ip + 10, ~sum_fold(sum_bytes(ip, (ip[0] & 15) * 4, 0)));
}

static void tunnel_packet(bool outer_v6, bool v6, struct frame *ret_inner, struct frame *ret)
{
	const struct packet p = client_packet(v6, TCP, 40000, ACK);

	frame_build(&p, ret_inner);
	wrap(ret_inner, balancer_of[outer_v6], server_of[outer_v6], ret);
}

/* ---- the tests ---- */

/* The balancer's program wraps, this one unwraps: what comes out is the client's packet, one hop less to live. */
static void round_trip(void **state)
{
	static const unsigned payloads[] = { 0, 1, 100, 1372, 1392 };
	static struct outcome o;
	static struct frame in, wanted;
	struct rig *r = *state;

	for (int outer_v6 = 0; outer_v6 < 2; outer_v6++) {
		const uint32_t server = world_server(r, &(struct world_server){
			.addr = server_of[outer_v6], .outer = outer_v6 ? "fd18::" : "198.18.0.0",
			.outer_bits = outer_v6 ? 32 : 16 });

		for (int v6 = 0; v6 < 2; v6++)
			world_service(r, &(struct world_service){ .addr = v6 ? VIP6 : VIP4, .port = 80, .protocol = TCP,
				.forward = FORWARD_IPIP, .balance = BALANCE_MAGLEV }, &server, 1);
		world_publish(r);
		for (unsigned n = 0; n < 2 * 64; n++) {
			struct packet p = client_packet(n & 1, TCP, 40000 + n, ACK), sent;

			p.payload = payloads[n / 2 % array_size(payloads)];
			p.ip_options = n & 3 ? 0 : 8;
			frame_build(&p, &in);
			rig_run(r, &in, p.nic, &o);
			assert_int_equal(o.verdict, VERDICT_IPIP);
			sent = p;
			sent.l2_from = L2_LB;
			sent.l2_to = L2_SERVER + server;
			sent.ttl = 63;
			frame_build(&sent, &wanted);
			expect_unwrapped("wrapped by the balancer", &o.out, &wanted);
		}
		rig_clear(state);
	}
}

static void jumbo_frames(void **state)
{
	static struct frame inner, in;

	for (unsigned n = 0; n < 4; n++) {
		struct packet p = client_packet(n & 1, UDP, 40000, 0);

		p.payload = 8900;
		frame_build(&p, &inner);
		wrap(&inner, balancer_of[n / 2], server_of[n / 2], &in);
		expect_unwrapped("a frame of several buffers", &in, &inner);
	}
}

static void only_from_those_named(void **state)
{
	static const struct {
		const char *from;
		bool allowed;
	} cases[] = {
		{ OWN4, true }, { "192.0.2.1", false }, { "192.0.2.3", false },
		{ "198.17.255.255", false }, { "198.18.0.0", true }, { "198.19.255.255", true }, { "198.20.0.0", false },
		{ OWN6, true }, { "2001:db8::3", false }, { "fd17:ffff::", false }, { "fd18::", true },
		{ "fd18:0:7fff:ffff:ffff:ffff:ffff:ffff", true }, { "fd18:0:8000::", false },
		/* IPv4's bytes in another family are another address. */
		{ "c000:202::", false }, { "::ffff:192.0.2.2", false }, { "::", false }, { "0.0.0.0", false },
	};
	static struct frame inner, in;
	const struct packet p = client_packet(false, TCP, 40000, ACK);

	frame_build(&p, &inner);
	for (size_t i = 0; i < array_size(cases); i++) {
		wrap(&inner, cases[i].from, server_of[!!strchr(cases[i].from, ':')], &in);
		if (cases[i].allowed)
			expect_unwrapped(cases[i].from, &in, &inner);
		else
			expect_untouched(cases[i].from, &in, DECAP_NOT_ALLOWED);
	}
}

static void only_to_this_host(void **state)
{
	static const char *const others[] = { "10.0.0.2", "0.0.0.0", "255.255.255.255", "fd00::2", "a00:1::",
					      "::ffff:10.0.0.1", "ff02::1" };
	static struct frame inner, in;
	const struct packet p = client_packet(false, TCP, 40000, ACK);

	frame_build(&p, &inner);
	for (size_t i = 0; i < array_size(others); i++) {
		wrap(&inner, balancer_of[!!strchr(others[i], ':')], others[i], &in);
		expect_untouched(others[i], &in, DECAP_NOT_HERE);
	}
}

static void what_is_no_tunnel_packet(void **state)
{
	static struct frame in, inner;

	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = client_packet(v6, TCP, 40000, ACK);

		p.from = balancer_of[v6];
		p.to = server_of[v6];
		frame_build(&p, &in);
		expect_untouched("a health check's", &in, DECAP_OTHER);
		p.protocol = UDP;
		frame_build(&p, &in);
		expect_untouched("UDP", &in, DECAP_OTHER);
		p.protocol = IPPROTO_GRE;
		frame_build(&p, &in);
		expect_untouched("another tunnel's", &in, DECAP_OTHER);
	}
	tunnel_packet(false, false, &inner, &in);
	store16(in.bytes + 12, 0x0806);
	expect_untouched("ARP", &in, DECAP_OTHER);
	memmove(in.bytes + 16, in.bytes + 12, in.length - 12);
	in.length += 4;
	store16(in.bytes + 12, 0x8100);
	store16(in.bytes + 14, 7);
	store16(in.bytes + 16, 0x0800);
	expect_untouched("in a VLAN", &in, DECAP_OTHER);
}

/* A frame that ends too early, at every byte. */
static void truncated(void **state)
{
	static struct frame inner, in;

	for (unsigned n = 0; n < 4; n++) {
		const bool outer_v6 = n & 1, v6 = n & 2;
		size_t whole;

		tunnel_packet(outer_v6, v6, &inner, &in);
		for (whole = in.length, in.length = ETH_SIZE; in.length < whole; in.length++)
			expect_untouched("cut short", &in, in.length < ETH_SIZE + outer_size(outer_v6) ?
				DECAP_OTHER : DECAP_MALFORMED);
		expect_unwrapped("whole", &in, &inner);
		/* What an Ethernet switch pads is not the packet's. */
		memset(in.bytes + in.length, 0, 20);
		in.length += 20;
		memset(inner.bytes + inner.length, 0, 20);
		inner.length += 20;
		expect_unwrapped("padded", &in, &inner);
	}
}

static void outer_lengths_that_lie(void **state)
{
	static struct frame inner, in;
	static const int off[] = { 1, -1, 1000, -60 };

	for (unsigned n = 0; n < 4; n++) {
		const bool outer_v6 = n & 1, v6 = n & 2;
		uint8_t *ip = in.bytes + ETH_SIZE, *length = ip + (outer_v6 ? 4 : 2);
		uint16_t right;

		tunnel_packet(outer_v6, v6, &inner, &in);
		right = load16(length);
		for (size_t i = 0; i < array_size(off) + 3; i++) {
			store16(length, i < array_size(off) ? right + off[i] :
						     (uint16_t[]){ 0, 19, 65535 }[i - array_size(off)]);
			if (!outer_v6)
				sum_ip4(ip);
			expect_untouched("the outer length lies", &in, DECAP_MALFORMED);
		}
	}
}

static void inner_headers_that_lie(void **state)
{
	static struct frame inner, in;

	for (unsigned n = 0; n < 4; n++) {
		const bool outer_v6 = n & 1, v6 = n & 2;
		uint8_t *ip = in.bytes + ETH_SIZE + outer_size(outer_v6);

		tunnel_packet(outer_v6, v6, &inner, &in);
		store16(ip + (v6 ? 4 : 2), load16(ip + (v6 ? 4 : 2)) + 1);
		expect_untouched("longer than its room", &in, DECAP_MALFORMED);
		tunnel_packet(outer_v6, v6, &inner, &in);
		ip[0] = v6 ? 0x45 : 0x60;
		expect_untouched("of another version than announced", &in, DECAP_MALFORMED);
		if (v6)
			continue;
		tunnel_packet(outer_v6, v6, &inner, &in);
		ip[0] = 0x44;
		expect_untouched("a header of 16 bytes", &in, DECAP_MALFORMED);
		ip[0] = 0x4f;
		store16(ip + 2, 59);
		expect_untouched("a header longer than its packet", &in, DECAP_MALFORMED);
	}
}

static void outer_headers_that_no_balancer_makes(void **state)
{
	static struct frame inner, in;
	uint8_t *ip = in.bytes + ETH_SIZE;

	tunnel_packet(false, false, &inner, &in);
	ip[10] ^= 1;
	expect_untouched("the outer checksum is wrong", &in, DECAP_MALFORMED);
	tunnel_packet(false, false, &inner, &in);
	ip[0] = 0x44;
	sum_ip4(ip);
	expect_untouched("an outer header of 16 bytes", &in, DECAP_MALFORMED);
	ip[0] = 0x55;
	expect_untouched("version 5", &in, DECAP_OTHER);
	tunnel_packet(true, false, &inner, &in);
	ip[0] = 0x40;
	expect_untouched("version 4 in IPv6", &in, DECAP_OTHER);
	tunnel_packet(false, false, &inner, &in);
	memmove(ip + 24, ip + 20, in.length - ETH_SIZE - 20);
	in.length += 4;
	ip[0] = 0x46;
	memset(ip + 20, 1, 4);
	store16(ip + 2, load16(ip + 2) + 4);
	sum_ip4(ip);
	expect_untouched("outer options", &in, DECAP_OPTIONS);
}

static void fragments_of_the_outer_packet(void **state)
{
	static const uint16_t fields[] = { 0x2000, 0x2001, 0x0001, 0x1fff };
	static struct frame inner, in;
	uint8_t *ip = in.bytes + ETH_SIZE;

	for (size_t i = 0; i < array_size(fields); i++) {
		tunnel_packet(false, i & 1, &inner, &in);
		store16(ip + 6, fields[i]);
		sum_ip4(ip);
		expect_untouched("IPv4", &in, DECAP_FRAGMENT);
	}
	tunnel_packet(true, false, &inner, &in);
	memmove(ip + 48, ip + 40, in.length - ETH_SIZE - 40);
	in.length += 8;
	store16(ip + 4, load16(ip + 4) + 8);
	ip[40] = ip[6];
	ip[6] = 44;
	store16(ip + 42, 1);
	expect_untouched("IPv6", &in, DECAP_FRAGMENT);
	ip[40] = TCP;
	expect_untouched("IPv6, of something else", &in, DECAP_OTHER);
}

/* A fragment of the client's is a packet like any other; the host puts it together. */
static void fragments_inside(void **state)
{
	static struct frame inner, in;
	const struct packet p = client_packet(false, UDP, 40000, 0);

	frame_build(&p, &inner);
	store16(inner.bytes + ETH_SIZE + 6, 0x2000);
	sum_ip4(inner.bytes + ETH_SIZE);
	wrap(&inner, OWN4, SERVER4, &in);
	expect_unwrapped("the first", &in, &inner);
}

/* One layer is the balancer's; two are none of its making. */
static void nested(void **state)
{
	static struct frame inner, once, twice;

	for (unsigned n = 0; n < 8; n++) {
		tunnel_packet(n & 1, n & 2, &inner, &once);
		wrap(&once, balancer_of[n / 4], server_of[n / 4], &twice);
		expect_untouched("twice wrapped", &twice, DECAP_NESTED);
	}
}

static void set_ecn(uint8_t *ip, bool v6, uint8_t tos)
{
	if (v6)
		store32(ip, (load32(ip) & 0xf00fffff) | (uint32_t)tos << 20);
	else
		ip[1] = tos;
	if (!v6)
		sum_ip4(ip);
}

/* RFC 6040, figure 4: rows are the inner field, columns the outer one; 4 = dropped. DSCP stays the inner one's. */
static void ecn(void **state)
{
	enum { NOT_ECT, ECT1, ECT0, CE, DROPPED };
	static const uint8_t merged[4][4] = {
		[NOT_ECT] = { NOT_ECT, NOT_ECT, NOT_ECT, DROPPED },
		[ECT1] = { ECT1, ECT1, ECT1, CE },
		[ECT0] = { ECT0, ECT1, ECT0, CE },
		[CE] = { CE, CE, CE, CE },
	};
	static struct frame inner, in, out;
	enum decap_verdict v = DECAP_VERDICT_MAX;

	for (unsigned n = 0; n < 64; n++) {
		const bool outer_v6 = n & 1, v6 = n & 2;
		const unsigned outer_ecn = n >> 2 & 3, inner_ecn = n >> 4, wanted = merged[inner_ecn][outer_ecn];

		tunnel_packet(outer_v6, v6, &inner, &in);
		set_ecn(in.bytes + ETH_SIZE, outer_v6, 0x88 | outer_ecn);
		set_ecn(in.bytes + ETH_SIZE + outer_size(outer_v6), v6, 0xb8 | inner_ecn);
		set_ecn(inner.bytes + ETH_SIZE, v6, 0xb8 | (wanted & 3));
		if (wanted != DROPPED) {
			expect_unwrapped("merged", &in, &inner);
			assert_null(frame_wrong(&inner));
			continue;
		}
		assert_int_equal(run(&in, &out, &v), XDP_DROP);
		expect_verdict("congestion for a sender without ECN", v, DECAP_CONGESTION);
	}
}

/* Whatever is done to a tunnel packet: it passes as it is, is dropped for congestion, or loses its outer header. */
static void mutated(void **state)
{
	static struct frame inner, in, out;
	uint32_t random = 0x2545f491;
	unsigned unwrapped = 0;

	for (unsigned n = 0; n < 20000; n++) {
		enum decap_verdict v = DECAP_VERDICT_MAX;
		uint32_t action;

		tunnel_packet(n & 1, n & 2, &inner, &in);
		for (unsigned i = 0; i <= (n >> 2 & 3); i++) {
			random ^= random << 13;
			random ^= random >> 17;
			random ^= random << 5;
			in.bytes[12 + (random >> 8) % 80] ^= 1 << (random & 7);
		}
		if (n % 7 == 0)
			in.length -= random % (in.length - ETH_SIZE);
		action = run(&in, &out, &v);
		unwrapped += v == DECAP_UNWRAPPED;
		if (v == DECAP_UNWRAPPED) {
			const size_t gone = in.length - out.length;

			assert_int_equal(action, XDP_PASS);
			assert_true(gone == IP4_SIZE || gone == IP6_SIZE);
			assert_memory_equal(out.bytes, in.bytes, 12);
			assert_true(out.length >= ETH_SIZE + IP4_SIZE);
			/* But for the ECN field and its sum, which are in the first 12 bytes. */
			assert_memory_equal(out.bytes + ETH_SIZE + 12, in.bytes + ETH_SIZE + gone + 12,
					    out.length - ETH_SIZE - 12);
		} else if (v == DECAP_CONGESTION) {
			assert_int_equal(action, XDP_DROP);
		} else {
			assert_int_equal(action, XDP_PASS);
			rig_same_frame("mutated", &out, &in);
		}
	}
	assert_in_range(unwrapped, 1000, 19000);
}

/* Loads and throws away a program with so many senders and addresses. */
static int try_sizes(size_t from_count, size_t address_count, char error[DATAPLANE_ERROR_MAX])
{
	_cleanup_free_ struct decap_prefix *from = calloc(from_count, sizeof(*from));
	_cleanup_free_ struct addr *addresses = calloc(address_count + 1, sizeof(*addresses));
	const struct decap_options o = { .interface = "lo", .from = from, .from_count = from_count,
					 .addresses = addresses, .address_count = address_count };
	struct decap *d;
	int r;

	for (size_t i = 0; i < from_count; i++)
		from[i] = (struct decap_prefix){ { AF_INET, { 10, 1, i >> 8, i } }, 32 };
	for (size_t i = 0; i < address_count; i++)
		addresses[i] = (struct addr){ AF_INET, { 10, 2, i >> 8, i } };
	r = decap_open(&o, &d, error);
	if (r == 0)
		decap_close(d);
	return r;
}

static void at_the_limits(void **state)
{
	char error[DATAPLANE_ERROR_MAX];

	assert_int_equal(try_sizes(DECAP_SOURCES_MAX, DECAP_ADDRESSES_MAX, error), 0);
	assert_int_equal(try_sizes(DECAP_SOURCES_MAX + 1, 1, error), -E2BIG);
	assert_non_null(strstr(error, "DECAP_SOURCES_MAX"));
	assert_int_equal(try_sizes(1, DECAP_ADDRESSES_MAX + 1, error), -E2BIG);
	assert_non_null(strstr(error, "DECAP_ADDRESSES_MAX"));
	assert_int_equal(try_sizes(1, 0, error), -EADDRNOTAVAIL);
	assert_non_null(strstr(error, "--address"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(round_trip),
		rig_test(jumbo_frames),
		rig_test(only_from_those_named),
		rig_test(only_to_this_host),
		rig_test(what_is_no_tunnel_packet),
		rig_test(truncated),
		rig_test(outer_lengths_that_lie),
		rig_test(inner_headers_that_lie),
		rig_test(outer_headers_that_no_balancer_makes),
		rig_test(fragments_of_the_outer_packet),
		rig_test(fragments_inside),
		rig_test(nested),
		rig_test(ecn),
		rig_test(mutated),
		rig_test(at_the_limits),
	};

	return cmocka_run_group_tests_name("decap", tests, suite_open, suite_close);
}
