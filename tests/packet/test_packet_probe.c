/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The programs of `check via vip`, loaded by their loader: frames by BPF_PROG_TEST_RUN, every byte compared, and sockets on
 * loopback with the programs attached in both ways. What has no mark, and what is no answer to a check, passes untouched.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dataplane/probe.h"
#include "rig.h"
#include "wire.h"

#include "../namespaces.h"

#define SERVER4   "10.0.0.1"
#define SERVER6   "fd00::1"
#define ANOTHER4  "10.0.0.2"
#define SERVICE4  "192.0.2.10"
#define SERVICE6  "2001:db8::10"
#define BALANCER4 "10.0.0.9"
#define BALANCER6 "fd00::9"

static const char *const server_of[] = { SERVER4, SERVER6 }, *const service_of[] = { SERVICE4, SERVICE6 };
static const char *const own_of[] = { BALANCER4, BALANCER6 };

static struct probe *probe;

static void set_address(__u64 to[2], const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	memset(to, 0, 16);
	memcpy(to, a.bytes, a.family == AF_INET6 ? 16 : 4);
}

static struct probe_path path(enum probe_kind kind, const char *server, const char *service)
{
	struct probe_path p = { .kind = kind, .family = strchr(server, ':') ? 6 : 4 };

	set_address(p.server, server);
	set_address(p.service, service);
	return p;
}

static uint32_t want(const struct probe_path *p)
{
	assert_int_equal(probe_want(probe, p), 0);
	return probe_mark(probe, p);
}

static int suite_open(void **state)
{
	if (namespaces_enter() < 0) {
		print_error("cannot make namespaces: %s; run as root\n", strerror(errno));
		return -1;
	}
	return 0;
}

static int test_open(void **state)
{
	char error[DATAPLANE_ERROR_MAX];

	if (probe_open(true, &probe, error) == 0)
		return 0;
	print_error("%s\n", error);
	return -1;
}

static int test_close(void **state)
{
	probe_close(probe);
	return 0;
}

static int run(int program, const struct frame *in, uint32_t mark, struct frame *out)
{
	struct __sk_buff skb = { .mark = mark };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->bytes, .data_size_in = in->length, .data_out = out->bytes,
		    .data_size_out = sizeof(out->bytes), .ctx_in = &skb, .ctx_size_in = sizeof(skb));

	assert_int_equal(bpf_prog_test_run_opts(program, &opts), 0);
	out->length = opts.data_size_out;
	return (int)opts.retval;
}

static struct packet request(bool v6, uint8_t protocol, uint16_t sport)
{
	return (struct packet){ .l2_from = L2_LB, .l2_to = L2_SERVER, .from = own_of[v6], .to = server_of[v6],
				.sport = sport, .dport = protocol == TCP ? 80 : 53, .protocol = protocol,
				.flags = protocol == TCP ? ACK | PSH : 0, .seq = 1, .ack = 2, .payload = 37 };
}

static struct packet turned(const struct packet *p)
{
	struct packet r = *p;

	r.l2_from = p->l2_to;
	r.l2_to = p->l2_from;
	r.from = p->to;
	r.to = p->from;
	r.sport = p->dport;
	r.dport = p->sport;
	return r;
}

static void expect_frame(const char *what, int program, const struct frame *in, uint32_t mark, const struct frame *wanted)
{
	static struct frame out;

	assert_int_equal(run(program, in, mark, &out), TC_ACT_UNSPEC);
	rig_same_frame(what, &out, wanted);
	assert_null(frame_wrong(&out));
}

static void expect_dropped(const struct frame *in, uint32_t mark)
{
	static struct frame out;
	const uint64_t before = probe_sent(probe, mark);

	assert_int_equal(run(probe_out_fd(probe), in, mark, &out), TC_ACT_SHOT);
	assert_int_equal(probe_sent(probe, mark), before);
}

/* ---- out ---- */

static void without_our_mark_untouched(void **state)
{
	const struct probe_path p = path(PROBE_DSR, SERVER4, SERVICE4);
	const uint32_t mark = want(&p);
	static struct frame in;
	struct packet r = request(false, TCP, 40000);

	frame_build(&r, &in);
	for (unsigned bit = 14; bit < 32; bit++)
		expect_frame("another mark", probe_out_fd(probe), &in, mark ^ 1u << bit, &in);
	expect_frame("no mark", probe_out_fd(probe), &in, 0, &in);
	assert_int_equal(probe_sent(probe, mark), 0);
}

/* The service's address, TTL 1, whatever the socket's was; all else as it was. */
static void to_the_service(void **state)
{
	static struct frame in, wanted;

	for (int v6 = 0; v6 < 2; v6++)
		for (int udp = 0; udp < 2; udp++) {
			const struct probe_path p = path(PROBE_DSR, server_of[v6], service_of[v6]);
			const uint32_t mark = want(&p);
			const uint64_t before = probe_sent(probe, mark);
			struct packet r = request(v6, udp ? UDP : TCP, 40000);

			frame_build(&r, &in);
			r.to = service_of[v6];
			r.ttl = 1;
			frame_build(&r, &wanted);
			expect_frame("dsr", probe_out_fd(probe), &in, mark, &wanted);
			assert_int_equal(probe_sent(probe, mark), before + 1);
		}
}

static void through_the_tunnel(void **state)
{
	static struct frame in, inner, wanted;

	for (int v6 = 0; v6 < 2; v6++)
		for (int udp = 0; udp < 2; udp++) {
			const struct probe_path p = path(PROBE_IPIP, server_of[v6], service_of[v6]);
			struct packet r = request(v6, udp ? UDP : TCP, 40000);

			frame_build(&r, &in);
			r.to = service_of[v6];
			r.ttl = 1;
			frame_build(&r, &inner);
			wire_wrap(&inner, own_of[v6], server_of[v6], &wanted);
			expect_frame("ipip", probe_out_fd(probe), &in, want(&p), &wanted);
		}
}

/* A tunnel-source: the prefix stays, the low bits are of the connection, and all of them are used. */
static void tunnel_source(void **state)
{
	static struct frame in, out;

	for (int v6 = 0; v6 < 2; v6++) {
		struct probe_path p = path(PROBE_IPIP, server_of[v6], service_of[v6]);
		uint8_t seen = 0;

		set_address(p.outer_source, v6 ? "fd18::ff00" : "198.18.255.0");
		p.outer_bits = 2;
		for (unsigned port = 40000; port < 40064; port++) {
			struct packet r = request(v6, TCP, port);
			const size_t low = ETH_SIZE + (v6 ? 8 + 15 : 12 + 3);

			frame_build(&r, &in);
			assert_int_equal(run(probe_out_fd(probe), &in, want(&p), &out), TC_ACT_UNSPEC);
			assert_null(frame_wrong(&out));
			assert_in_range(out.bytes[low], 0, 3);
			assert_int_equal(out.bytes[low - 1], 255);
			seen |= 1 << out.bytes[low];
		}
		assert_int_equal(seen, 0xf);
	}
}

/* A check that can't go its way does not go at all: it would find out something else. */
static void its_way_or_none(void **state)
{
	const struct probe_path p4 = path(PROBE_DSR, SERVER4, SERVICE4), p6 = path(PROBE_IPIP, SERVER6, SERVICE6);
	const uint32_t mark4 = want(&p4), mark6 = want(&p6);
	static struct frame in;
	struct packet r = request(false, TCP, 40000);

	frame_build(&r, &in);
	expect_dropped(&in, PROBE_MARK);
	expect_dropped(&in, PROBE_MARK | 77);
	expect_dropped(&in, PROBE_MARK | PROBE_INDEX_MASK);
	expect_dropped(&in, mark6); /* of the other family */
	r.to = ANOTHER4;
	frame_build(&r, &in);
	expect_dropped(&in, mark4);
	r = request(false, TCP, 40000);
	r.ip_options = 4;
	frame_build(&r, &in);
	expect_dropped(&in, mark4);
	r = request(false, IPPROTO_ICMP, 0);
	frame_build(&r, &in);
	expect_dropped(&in, mark4);
	r = request(false, UDP, 40000);
	frame_build(&r, &in);
	store16(in.bytes + ETH_SIZE + 6, 0x2000); /* more fragments follow */
	expect_dropped(&in, mark4);
	r = request(true, TCP, 40000);
	frame_build(&r, &in);
	expect_dropped(&in, mark4);
	store16(in.bytes + 12, 0x0806);
	expect_dropped(&in, mark4);
}

/* ---- in ---- */

static void answer(bool v6, uint8_t protocol, uint16_t port, const char *from, struct frame *ret)
{
	struct packet r = request(v6, protocol, port), a;

	r.to = from;
	a = turned(&r);
	frame_build(&a, ret);
}

static void send_one(bool v6, uint8_t protocol, uint16_t port, const char *server, uint32_t mark)
{
	static struct frame in, out;
	struct packet r = request(v6, protocol, port);

	r.to = server;
	frame_build(&r, &in);
	assert_int_equal(run(probe_out_fd(probe), &in, mark, &out), TC_ACT_UNSPEC);
}

static void answers_are_the_servers(void **state)
{
	static struct frame in, wanted;

	for (int v6 = 0; v6 < 2; v6++)
		for (int udp = 0; udp < 2; udp++) {
			const struct probe_path p = path(PROBE_IPIP, server_of[v6], service_of[v6]);
			const uint8_t protocol = udp ? UDP : TCP;

			answer(v6, protocol, 40000, service_of[v6], &in);
			answer(v6, protocol, 40000, server_of[v6], &wanted);
			expect_frame("nothing was asked yet", probe_in_fd(probe), &in, 0, &in);
			send_one(v6, protocol, 40000, server_of[v6], want(&p));
			expect_frame("its answer", probe_in_fd(probe), &in, 0, &wanted);
			expect_frame("the server's own", probe_in_fd(probe), &wanted, 0, &wanted);
			answer(v6, protocol, 40001, service_of[v6], &in);
			expect_frame("to another port", probe_in_fd(probe), &in, 0, &in);
			answer(v6, udp ? TCP : UDP, 40000, service_of[v6], &in);
			if (!udp)
				expect_frame("of the other protocol", probe_in_fd(probe), &in, 0, &in);
		}
}

/* UDP over IPv4 without a checksum has none afterwards either. */
static void no_checksum_stays_none(void **state)
{
	const struct probe_path p = path(PROBE_DSR, SERVER4, SERVICE4);
	static struct frame in, wanted;
	struct packet r = request(false, UDP, 40000), a;

	send_one(false, UDP, 40000, SERVER4, want(&p));
	r.no_checksum = true;
	a = turned(&r);
	frame_build(&a, &wanted);
	a.from = SERVICE4;
	frame_build(&a, &in);
	expect_frame("without a checksum", probe_in_fd(probe), &in, 0, &wanted);
}

/* Two servers of one service at a time; a port that is used again is the newest check's. */
static void of_several_servers(void **state)
{
	const struct probe_path one = path(PROBE_DSR, SERVER4, SERVICE4), two = path(PROBE_DSR, ANOTHER4, SERVICE4);
	const uint32_t mark1 = want(&one), mark2 = want(&two);
	static struct frame in, from1, from2;

	send_one(false, TCP, 40000, SERVER4, mark1);
	send_one(false, TCP, 40001, ANOTHER4, mark2);
	answer(false, TCP, 40000, SERVICE4, &in);
	answer(false, TCP, 40000, SERVER4, &from1);
	expect_frame("the first's", probe_in_fd(probe), &in, 0, &from1);
	answer(false, TCP, 40001, SERVICE4, &in);
	answer(false, TCP, 40001, ANOTHER4, &from2);
	expect_frame("the second's", probe_in_fd(probe), &in, 0, &from2);
	send_one(false, TCP, 40000, ANOTHER4, mark2);
	answer(false, TCP, 40000, SERVICE4, &in);
	answer(false, TCP, 40000, ANOTHER4, &from2);
	expect_frame("the port is another's now", probe_in_fd(probe), &in, 0, &from2);
}

static void what_is_cut_off(void **state)
{
	static struct frame in, out;
	struct packet r = request(true, TCP, 40000);
	const struct probe_path p = path(PROBE_DSR, SERVER6, SERVICE6);
	const uint32_t mark = want(&p);

	frame_build(&r, &in);
	for (size_t length = ETH_SIZE; length < ETH_SIZE + IP6_SIZE + TCP_SIZE; length++) {
		in.length = length;
		/* The kernel itself refuses the shortest. */
		struct __sk_buff skb = { .mark = mark };
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.bytes, .data_size_in = in.length, .data_out = out.bytes,
			    .data_size_out = sizeof(out.bytes), .ctx_in = &skb, .ctx_size_in = sizeof(skb));

		if (bpf_prog_test_run_opts(probe_in_fd(probe), &opts) == 0)
			assert_int_equal((int)opts.retval, TC_ACT_UNSPEC);
		opts.data_size_out = sizeof(out.bytes);
		if (length < ETH_SIZE + IP6_SIZE + 18 && bpf_prog_test_run_opts(probe_out_fd(probe), &opts) == 0)
			assert_int_equal((int)opts.retval, TC_ACT_SHOT);
	}
}

/* ---- the table of paths ---- */

static struct probe_path numbered(uint32_t n)
{
	struct probe_path p = path(PROBE_DSR, SERVER4, SERVICE4);

	p.server[0] = htonl(0x0a000000 + n);
	return p;
}

static void indices_are_stable(void **state)
{
	const struct probe_path one = numbered(1), two = numbered(2), three = numbered(3);
	uint32_t mark1 = want(&one), mark2 = want(&two);

	assert_int_not_equal(mark1, mark2);
	probe_begin(probe);
	assert_int_equal(want(&two), mark2);
	assert_int_not_equal(want(&three), mark1); /* until the old one is gone */
	assert_int_equal(probe_mark(probe, &one), mark1);
	probe_settle(probe);
	assert_int_equal(probe_mark(probe, &one), 0);
	assert_int_equal(probe_mark(probe, &two), mark2);
}

static void at_the_limit(void **state)
{
	struct probe_path p;

	for (uint32_t n = 1; n < PROBE_PATHS_MAX; n++) {
		p = numbered(n);
		assert_int_equal(probe_want(probe, &p), 0);
	}
	p = numbered(PROBE_PATHS_MAX);
	assert_int_equal(probe_want(probe, &p), -ENOSPC);
	p = numbered(PROBE_PATHS_MAX - 1);
	assert_int_not_equal(probe_mark(probe, &p), 0);
	probe_begin(probe);
	probe_settle(probe);
	p = numbered(PROBE_PATHS_MAX);
	assert_int_equal(probe_want(probe, &p), 0);
}

/* ---- attached ---- */

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
}

static struct sockaddr_in at(const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}

/*
 * 127.0.0.2 is "the server", 127.0.0.3 "the service", on one host: a datagram to the one is received by the other, and its
 * answer comes from the one again. Returns whether it does.
 */
static bool reaches_service(uint32_t mark)
{
	struct sockaddr_in server = at("127.0.0.2", 5353), service = at("127.0.0.3", 5353), peer;
	struct timeval soon = { .tv_usec = 200000 };
	socklen_t size = sizeof(peer);
	int listener = socket(AF_INET, SOCK_DGRAM, 0), client = socket(AF_INET, SOCK_DGRAM, 0);
	char buf[64];
	bool good;

	assert_int_equal(bind(listener, (struct sockaddr *)&service, sizeof(service)), 0);
	assert_int_equal(setsockopt(client, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	assert_int_equal(connect(client, (struct sockaddr *)&server, sizeof(server)), 0);
	good = send(client, "well?", 5, 0) == 5 &&
	       recvfrom(listener, buf, sizeof(buf), 0, (struct sockaddr *)&peer, &size) == 5 &&
	       sendto(listener, "well!", 5, 0, (struct sockaddr *)&peer, size) == 5 &&
	       recv(client, buf, sizeof(buf), 0) == 5 && !memcmp(buf, "well!", 5);
	close(listener);
	close(client);
	return good;
}

static void attaches(bool tcx)
{
	const struct probe_path p = path(PROBE_DSR, "127.0.0.2", "127.0.0.3");
	char error[DATAPLANE_ERROR_MAX];
	const unsigned lo = 1, gone = 4711;
	uint32_t mark;

	loopback_up();
	probe_close(probe);
	assert_int_equal(probe_open(tcx, &probe, error), 0);
	mark = want(&p);
	assert_false(reaches_service(mark));
	assert_int_equal(probe_attach(probe, &lo, 1, error), 0);
	assert_true(reaches_service(mark));
	assert_int_equal(probe_sent(probe, mark), 1);
	assert_int_equal(probe_attach(probe, &lo, 1, error), 0); /* already */
	assert_true(reaches_service(mark));
	assert_int_equal(probe_sent(probe, mark), 2);
	assert_int_equal(probe_attach(probe, NULL, 0, error), 0);
	assert_false(reaches_service(mark));
	assert_int_equal(probe_attach(probe, &lo, 1, error), 0);
	assert_true(reaches_service(mark));
	assert_true(probe_attach(probe, &gone, 1, error) < 0);
	assert_non_null(strstr(error, "can't be attached"));
	assert_false(reaches_service(mark));
}

static void attached_by_link(void **state)
{
	attaches(true);
}

/* As on kernels before 6.6. */
static void attached_by_clsact(void **state)
{
	attaches(false);
}

#define probe_test(f) cmocka_unit_test_setup_teardown(f, test_open, test_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		probe_test(without_our_mark_untouched),
		probe_test(to_the_service),
		probe_test(through_the_tunnel),
		probe_test(tunnel_source),
		probe_test(its_way_or_none),
		probe_test(answers_are_the_servers),
		probe_test(no_checksum_stays_none),
		probe_test(of_several_servers),
		probe_test(what_is_cut_off),
		probe_test(indices_are_stable),
		probe_test(at_the_limit),
		probe_test(attached_by_link),
		probe_test(attached_by_clsact),
	};

	return cmocka_run_group_tests_name("probe", tests, suite_open, NULL);
}
