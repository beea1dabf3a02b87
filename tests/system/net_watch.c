/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * net/ against the real kernel: each test in network namespaces of its own, nothing of it on the host's network.
 *
 *      this process                      peer (a child, in a namespace of its own)
 *   v0  10.0.0.1/24  2001:db8::1/64  ─── p0  10.0.0.2/24  2001:db8::2/64  fe80::1  02:00:00:00:00:0a
 *   v1  10.0.1.1/24                  ─── p1  10.0.1.2/24                  fe80::1  02:00:00:00:00:0b
 *
 * Needs root, ip, nsenter. Run by net_watch.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "net/net.h"

#define MAC_A "\x02\x00\x00\x00\x00\x0a"
#define MAC_B "\x02\x00\x00\x00\x00\x0b"
#define MAC_C "\x02\x00\x00\x00\x00\x0c"

struct world {
	pid_t peer;
	struct event_base *base;
	struct event *pulse; /* wakes the loop so that a wait can time out */
	struct net *net;
	unsigned links_calls, hop_calls;
	unsigned unresolved_calls; /* of hop_calls, those that told of a hop without MAC */
	struct addr unwatch;       /* on_hop takes this one off */
};

enum { PATIENCE = 5 };

static struct world w;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000) + t.tv_nsec / 1000000;
}

/* Runs the loop until cond holds; fails after ms, on a busy machine PATIENCE times as long. */
#define wait_for(cond, ms)                                                              \
	do {                                                                            \
		uint64_t end_ = now_ms() + (ms) * PATIENCE;                             \
		while (!(cond)) {                                                       \
			if (now_ms() >= end_)                                           \
				fail_msg("after %u ms still not: %s", (unsigned)(ms) * PATIENCE, #cond); \
			event_base_loop(w.base, EVLOOP_ONCE);                           \
		}                                                                       \
	} while (0)

static __attribute__((format(printf, 2, 0))) void run(const char *before, const char *format, va_list args)
{
	char command[2048], all[4096];

	vsnprintf(command, sizeof(command), format, args);
	snprintf(all, sizeof(all), "%sset -e; %s%s", before, command, *before ? "'" : "");
	if (system(all) != 0)
		fail_msg("failed: %s", all);
}

static __attribute__((format(printf, 1, 2))) void here(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	run("", format, args);
	va_end(args);
}

static __attribute__((format(printf, 1, 2))) void peer(const char *format, ...)
{
	char before[64];
	va_list args;

	snprintf(before, sizeof(before), "nsenter -t %d -n sh -c '", (int)w.peer);
	va_start(args, format);
	run(before, format, args);
	va_end(args);
}

/* Runs the loop until nothing has been asked or told for 0.2 s: what comes then has a cause of its own. */
static void settle(void)
{
	struct net_stats before = {}, after;
	unsigned calls = 0;
	uint64_t since = now_ms();

	while (now_ms() < since + 200) {
		event_base_loop(w.base, EVLOOP_ONCE);
		net_stats(w.net, &after);
		if (after.queries != before.queries || w.hop_calls + w.links_calls != calls)
			since = now_ms();
		before = after;
		calls = w.hop_calls + w.links_calls;
	}
}

static struct addr addr(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse(text, &a), 0);
	return a;
}

static struct net_hop hop(const char *text)
{
	struct net_hop h = {};
	struct addr a = addr(text);

	assert_true(net_hop(w.net, &a, &h));
	return h;
}

static void watch(const char *text)
{
	struct addr a = addr(text);

	assert_int_equal(net_watch(w.net, &a), 0);
}

static bool state_is(const char *destination, enum net_hop_state state)
{
	return hop(destination).state == state;
}

static bool mac_is(const char *destination, const char *mac)
{
	struct net_hop h = hop(destination);

	return h.state == NET_HOP_RESOLVED && !memcmp(h.mac, mac, 6);
}

static bool hop_source_is(const char *destination, const struct addr *source)
{
	struct net_hop h = hop(destination);

	return addr_equal(&h.source, source);
}

static unsigned ifindex_of(const char *name)
{
	const struct net_interface *i = net_interface_by_name(w.net, name);

	return i ? i->ifindex : 0;
}

static void on_links(void *ctx)
{
	w.links_calls++;
}

static void on_hop(const struct addr *destination, const struct net_hop *h, void *ctx)
{
	struct net_hop now;

	w.hop_calls++;
	w.unresolved_calls += h->state != NET_HOP_RESOLVED;
	assert_true(net_hop(w.net, destination, &now));
	assert_int_equal(now.state, h->state);
	if (addr_equal(destination, &w.unwatch))
		net_unwatch(w.net, destination);
}

static void on_pulse(evutil_socket_t fd, short what, void *arg)
{
}

static pid_t start_peer(void)
{
	int ready[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void open_net(void)
{
	static const struct net_ops ops = { .on_links = on_links, .on_hop = on_hop };

	assert_int_equal(net_new(w.base, &ops, &w.net), 0);
}

static void make_wire(int i, const char *mac)
{
	here("ip link add v%d type veth peer name p%d netns %d", i, i, (int)w.peer);
	peer("ip link set p%d address %s; ip addr add 10.0.%d.2/24 dev p%d; ip link set p%d up;"
	     "ip addr add fe80::1/64 dev p%d",
	     i, mac, i, i, i, i);
	/* Probes fail after 0.3 s instead of 3 s. */
	here("ip addr add 10.0.%d.1/24 dev v%d; ip link set v%d up;"
	     "for f in 4 6; do echo 100 >/proc/sys/net/ipv$f/neigh/v%d/retrans_time_ms; done",
	     i, i, i, i);
}

static int setup(void **state)
{
	static const struct timeval pulse = { .tv_usec = 20000 };
	/* Addresses at once, and announcements of a changed MAC. */
	static const char sysctls[] =
		"for f in default all; do"
		" echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/$f/ndisc_notify;"
		" echo 1 >/proc/sys/net/ipv4/conf/$f/arp_notify; done;"
		"ip link set lo up";

	memset(&w, 0, sizeof(w));
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	w.peer = start_peer();
	here("%s", sysctls);
	peer("%s", sysctls);
	make_wire(0, "02:00:00:00:00:0a");
	make_wire(1, "02:00:00:00:00:0b");
	/* The kernel takes an address into use in a while of its own, also without duplicate detection. */
	here("ip addr add 2001:db8::1/64 dev v0;"
	     "n=0; while ip -6 addr show dev v0 tentative | grep -q 2001: && [ $n -lt 500 ]; do sleep 0.01; n=$((n + 1)); done");
	peer("ip addr add 2001:db8::2/64 dev p0");
	w.base = event_base_new();
	assert_non_null(w.base);
	w.pulse = event_new(w.base, -1, EV_PERSIST, on_pulse, NULL);
	event_add(w.pulse, &pulse);
	open_net();
	return 0;
}

static int teardown(void **state)
{
	net_free(w.net);
	event_free(w.pulse);
	event_base_free(w.base);
	kill(w.peer, SIGKILL);
	waitpid(w.peer, NULL, 0);
	return 0;
}

struct search {
	struct addr addr;
	unsigned ifindex, prefix, found, all;
};

static bool search_address(const struct addr *a, unsigned ifindex, unsigned prefix, void *ctx)
{
	struct search *s = ctx;

	s->all++;
	if (addr_equal(a, &s->addr)) {
		s->found++;
		s->ifindex = ifindex;
		s->prefix = prefix;
	}
	return true;
}

static struct search search(const char *text, unsigned ifindex)
{
	struct search s = { .addr = addr(text) };

	net_addresses(w.net, ifindex, search_address, &s);
	return s;
}

static void shows_what_is_there_from_the_start(void **state)
{
	const struct net_interface *i = net_interface_by_name(w.net, "v0");
	struct search s = search("10.0.0.1", 0);

	assert_non_null(i);
	assert_true(i->up && i->ethernet);
	assert_int_equal(i->mtu, 1500);
	assert_ptr_equal(net_interface_by_index(w.net, i->ifindex), i);
	assert_false(net_interface_by_name(w.net, "lo")->ethernet);
	assert_null(net_interface_by_name(w.net, "v9"));
	assert_int_equal(s.found, 1);
	assert_int_equal(s.ifindex, i->ifindex);
	assert_int_equal(s.prefix, 24);
	assert_int_equal(search("2001:db8::1", i->ifindex).prefix, 64);
	assert_int_equal(search("127.0.0.1", i->ifindex).found, 0);
}

static void follows_addresses(void **state)
{
	here("ip addr add 10.0.0.77/32 dev v0");
	wait_for(search("10.0.0.77", 0).found == 1, 1000);
	assert_true(w.links_calls > 0);
	here("ip addr del 10.0.0.77/32 dev v0");
	wait_for(search("10.0.0.77", 0).found == 0, 1000);
	/* The same address with another prefix is another address to the kernel. */
	here("ip addr add 10.0.0.1/32 dev v0");
	wait_for(search("10.0.0.1", 0).found == 2, 1000);
	here("ip addr del 10.0.0.1/24 dev v0");
	wait_for(search("10.0.0.1", 0).found == 1 && search("10.0.0.1", 0).prefix == 32, 1000);
}

static void shows_an_ipv6_address_after_duplicate_detection(void **state)
{
	here("echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/v0/accept_dad;"
	     "ip addr add 2001:db8::5/64 dev v0; ip addr show dev v0 | grep -q tentative;"
	     "ip addr add 10.0.0.78/24 dev v0");
	wait_for(search("10.0.0.78", 0).found == 1, 1000); /* which came after it */
	assert_int_equal(search("2001:db8::5", 0).found, 0);
	wait_for(search("2001:db8::5", 0).found == 1, 5000);
}

static void resolves_a_live_peer(void **state)
{
	static const char *const destinations[] = { "10.0.0.2", "2001:db8::2" };

	for (size_t i = 0; i < array_size(destinations); i++) {
		struct addr source = addr(i ? "2001:db8::1" : "10.0.0.1");
		struct net_hop h;

		watch(destinations[i]);
		assert_true(state_is(destinations[i], NET_HOP_UNKNOWN));
		wait_for(mac_is(destinations[i], MAC_A), 2000);
		/* An IPv6 address serves as a source only once the kernel has got round to its duplicate detection. */
		wait_for(hop_source_is(destinations[i], &source), 2000);
		h = hop(destinations[i]);
		assert_int_equal(h.ifindex, ifindex_of("v0"));
		assert_int_equal(h.mtu, 1500);
		assert_int_equal(h.gateway.family, 0);
		assert_memory_equal(h.own_mac, net_interface_by_name(w.net, "v0")->mac, 6);
		assert_int_equal(h.error, 0);
	}
	here("ip link set v0 mtu 1400");
	wait_for(hop("10.0.0.2").mtu == 1400, 1000);
	here("ip link set v0 address 02:00:00:00:00:99");
	wait_for(!memcmp(hop("10.0.0.2").own_mac, "\x02\0\0\0\0\x99", 6), 1000);
}

static void follows_an_announced_mac(void **state)
{
	watch("10.0.0.2");
	watch("2001:db8::2");
	wait_for(mac_is("10.0.0.2", MAC_A) && mac_is("2001:db8::2", MAC_A), 2000);
	settle();
	w.unresolved_calls = 0;
	peer("ip link set p0 address 02:00:00:00:00:0c");
	wait_for(mac_is("10.0.0.2", MAC_C) && mac_is("2001:db8::2", MAC_C), 1000);
	assert_int_equal(w.unresolved_calls, 0);
}

/* Nobody says a word: asking again finds it out, and the old MAC stands until then. */
static void follows_a_silent_mac(void **state)
{
	peer("echo 0 >/proc/sys/net/ipv4/conf/all/arp_notify; echo 0 >/proc/sys/net/ipv4/conf/p0/arp_notify");
	watch("10.0.0.2");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	w.unresolved_calls = 0;
	peer("ip link set p0 address 02:00:00:00:00:0c");
	wait_for(mac_is("10.0.0.2", MAC_C), 12000);
	assert_int_equal(w.unresolved_calls, 0);
}

static void knows_that_a_way_was_cut_off(void **state)
{
	const struct addr to = addr("10.0.0.2"), stranger = addr("10.0.0.3");
	uint64_t before, after;

	watch("10.0.0.2");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	before = now_ms();
	assert_false(net_was_cut_off(w.net, &to, before));
	peer("ip link set p0 down");
	wait_for(net_was_cut_off(w.net, &to, now_ms() + 1000), 1000); /* and is still */
	assert_false(net_was_cut_off(w.net, &stranger, before)); /* nobody watches it */
	peer("ip link set p0 up");
	wait_for(mac_is("10.0.0.2", MAC_A), 3000);
	after = now_ms() + 1;
	assert_true(net_was_cut_off(w.net, &to, before));
	assert_false(net_was_cut_off(w.net, &to, after));
}

static void keeps_the_mac_of_a_flushed_entry(void **state)
{
	watch("10.0.0.2");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	w.unresolved_calls = 0;
	here("ip neigh flush dev v0; ip neigh del 10.0.0.2 dev v0 2>/dev/null || true");
	/* Asked anew by us alone: nobody else sends there. */
	for (int i = 0; i < 50 && system("ip neigh show dev v0 | grep -q REACHABLE") != 0; i++)
		event_base_loop(w.base, EVLOOP_ONCE);
	here("ip neigh show dev v0 | grep -q REACHABLE");
	assert_int_equal(w.unresolved_calls, 0);
}

static void tells_of_a_silent_neighbour_and_of_its_return(void **state)
{
	watch("10.0.0.99");
	wait_for(state_is("10.0.0.99", NET_HOP_UNRESOLVED), 1000);
	wait_for(hop("10.0.0.99").error == EHOSTUNREACH, 3000);
	peer("echo 0 >/proc/sys/net/ipv4/conf/all/arp_notify; echo 0 >/proc/sys/net/ipv4/conf/p0/arp_notify;"
	     "ip addr add 10.0.0.99/24 dev p0");
	wait_for(mac_is("10.0.0.99", MAC_A), 6000);
	/* It falls silent: given up, though only after the second round of probes. */
	peer("ip addr del 10.0.0.99/24 dev p0");
	wait_for(state_is("10.0.0.99", NET_HOP_UNRESOLVED), 14000);
	assert_int_equal(hop("10.0.0.99").error, EHOSTUNREACH);
}

static void follows_routes(void **state)
{
	struct addr gateway0 = addr("10.0.0.2"), gateway1 = addr("10.0.1.2");
	struct net_hop h;

	/* IPv6 sets up routes of its own, at times of its own: they would make up for a notification that is missed. */
	here("for i in v0 v1; do echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done");
	watch("203.0.113.5");
	wait_for(state_is("203.0.113.5", NET_HOP_NO_ROUTE), 1000);
	assert_int_equal(hop("203.0.113.5").error, ENETUNREACH);
	here("ip route add 203.0.113.0/24 via 10.0.0.2");
	wait_for(mac_is("203.0.113.5", MAC_A), 2000);
	h = hop("203.0.113.5");
	assert_true(addr_equal(&h.gateway, &gateway0));
	here("ip route replace 203.0.113.0/24 via 10.0.1.2 mtu 1300");
	wait_for(mac_is("203.0.113.5", MAC_B), 2000);
	h = hop("203.0.113.5");
	assert_true(addr_equal(&h.gateway, &gateway1));
	assert_int_equal(h.ifindex, ifindex_of("v1"));
	assert_int_equal(h.mtu, 1300);
	here("ip route replace prohibit 203.0.113.0/24");
	wait_for(hop("203.0.113.5").error == EACCES, 1000);
	here("ip route replace blackhole 203.0.113.0/24");
	wait_for(hop("203.0.113.5").error == EINVAL, 1000);
	assert_true(state_is("203.0.113.5", NET_HOP_NO_ROUTE));
	here("ip rule add to 192.0.2.0/24 table 98;" /* the first rule of all moves routes about */
	     "ip route del blackhole 203.0.113.0/24; ip route add 203.0.113.0/24 via 10.0.0.2 table 99");
	wait_for(hop("203.0.113.5").error == ENETUNREACH, 1000);
	settle();
	here("ip rule add to 203.0.113.0/24 table 99");
	wait_for(mac_is("203.0.113.5", MAC_A), 2000);
	/* A next-hop object changes under the route that uses it, which itself says nothing. */
	here("echo 0 >/proc/sys/net/ipv4/nexthop_compat_mode;"
	     "ip nexthop add id 1 via 10.0.0.2 dev v0; ip route replace 203.0.113.0/24 nhid 1 table 99");
	settle();
	here("ip nexthop replace id 1 via 10.0.1.2 dev v1");
	wait_for(mac_is("203.0.113.5", MAC_B), 2000);
}

/* Both gateways are called fe80::1: only the interface tells them apart. */
static void goes_by_link_local_gateways(void **state)
{
	struct net_hop h;

	here("ip -6 route add 2001:db8:a::/48 via fe80::1 dev v0; ip -6 route add 2001:db8:b::/48 via fe80::1 dev v1;"
	     "ip route add 198.51.100.0/24 via inet6 fe80::1 dev v1");
	watch("2001:db8:a::5");
	watch("2001:db8:b::5");
	watch("198.51.100.5");
	wait_for(mac_is("2001:db8:a::5", MAC_A), 2000);
	wait_for(mac_is("2001:db8:b::5", MAC_B), 2000);
	wait_for(mac_is("198.51.100.5", MAC_B), 2000);
	h = hop("198.51.100.5");
	assert_int_equal(h.gateway.family, AF_INET6);
	here("ip -6 route add unreachable 2001:db8:c::/48");
	watch("2001:db8:c::5");
	wait_for(state_is("2001:db8:c::5", NET_HOP_NO_ROUTE), 1000);
	assert_int_equal(hop("2001:db8:c::5").error, EHOSTUNREACH);
}

static void knows_its_own_addresses(void **state)
{
	static const char *const own[] = { "10.0.0.1", "2001:db8::1", "127.0.0.1", "::1" };

	for (size_t i = 0; i < array_size(own); i++) {
		watch(own[i]);
		wait_for(state_is(own[i], NET_HOP_LOCAL), 1000);
	}
	here("ip addr del 10.0.0.1/24 dev v0; ip addr add 10.0.0.3/24 dev v0");
	wait_for(state_is("10.0.0.1", NET_HOP_UNRESOLVED), 1000);
	peer("ip addr add 10.0.0.1/24 dev p0");
	wait_for(mac_is("10.0.0.1", MAC_A), 6000);
	watch("10.0.0.255");
	wait_for(hop("10.0.0.255").error == EADDRNOTAVAIL, 1000);
}

static void has_no_mac_where_there_is_no_ethernet(void **state)
{
	static const uint8_t zero[6];
	struct net_hop h;

	here("ip tuntap add tun0 mode tun; ip link set tun0 up; ip addr add 10.9.0.1/24 dev tun0;"
	     "ip route add 10.8.0.0/24 dev lo; ip link set v1 arp off");
	watch("10.9.0.2");
	watch("10.8.0.2");
	watch("10.0.1.2");
	wait_for(state_is("10.9.0.2", NET_HOP_NO_NEIGHBOUR), 1000);
	wait_for(state_is("10.8.0.2", NET_HOP_NO_NEIGHBOUR), 1000);
	wait_for(state_is("10.0.1.2", NET_HOP_NO_NEIGHBOUR), 1000);
	h = hop("10.9.0.2");
	assert_int_equal(h.ifindex, ifindex_of("tun0"));
	assert_memory_equal(h.mac, zero, 6);
	/* What an administrator enters by hand counts, and ARP switched on again works again. */
	here("ip neigh replace 10.0.1.2 lladdr 02:00:00:00:00:0b dev v1 nud permanent");
	wait_for(mac_is("10.0.1.2", MAC_B), 1000);
	here("ip neigh del 10.0.1.2 dev v1; ip link set v1 arp on");
	wait_for(mac_is("10.0.1.2", MAC_B), 2000);
}

static void leaves_entries_of_others_alone(void **state)
{
	struct net_stats before, after;

	here("ip neigh replace 10.0.0.50 lladdr 02:00:00:00:00:0c dev v0 nud permanent;"
	     "ip neigh replace 10.0.0.51 lladdr 02:00:00:00:00:0c dev v0 nud stale extern_learn;"
	     "echo 1000 >/proc/sys/net/ipv4/neigh/v0/retrans_time_ms");
	net_stats(w.net, &before);
	watch("10.0.0.50");
	watch("10.0.0.51");
	wait_for(mac_is("10.0.0.50", MAC_C) && mac_is("10.0.0.51", MAC_C), 1000);
	here("ip neigh replace 10.0.0.50 lladdr 02:00:00:00:00:0d dev v0 nud permanent");
	wait_for(mac_is("10.0.0.50", "\x02\0\0\0\0\x0d"), 1000);
	for (uint64_t end = now_ms() + 1200; now_ms() < end;) /* a stale one would be asked within a second */
		event_base_loop(w.base, EVLOOP_ONCE);
	net_stats(w.net, &after);
	assert_int_equal(after.probes, before.probes);
	here("ip neigh show dev v0 | grep -q 'PERMANENT'; ip neigh show dev v0 | grep -q extern_learn");
	/* Taken back by its owner: not remembered. */
	here("ip neigh del 10.0.0.50 dev v0");
	wait_for(state_is("10.0.0.50", NET_HOP_UNRESOLVED), 1000);
}

static void follows_interfaces_down_up_and_without_carrier(void **state)
{
	watch("10.0.0.2");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	peer("ip link set p0 down");
	wait_for(hop("10.0.0.2").state == NET_HOP_UNRESOLVED && hop("10.0.0.2").error == ENETDOWN, 1000);
	assert_false(net_interface_by_name(w.net, "v0")->up);
	peer("ip link set p0 up");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	/* Without IPv6 there is no notification of a route: the IPv4 ones go silently. */
	here("echo 1 >/proc/sys/net/ipv6/conf/v0/disable_ipv6");
	settle();
	here("ip link set v0 down");
	wait_for(state_is("10.0.0.2", NET_HOP_NO_ROUTE), 1000);
	here("ip link set v0 up");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
}

static void follows_interfaces_renamed_removed_and_made_again(void **state)
{
	unsigned ifindex = ifindex_of("v0");

	watch("10.0.0.2");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	here("ip link set v0 down; ip link set v0 name w0; ip link set w0 up");
	wait_for(ifindex_of("w0") == ifindex && !ifindex_of("v0"), 1000);
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	here("ip link del w0");
	wait_for(!ifindex_of("w0"), 1000);
	wait_for(state_is("10.0.0.2", NET_HOP_NO_ROUTE), 1000);
	assert_int_equal(search("10.0.0.1", 0).found, 0);
	make_wire(0, "02:00:00:00:00:0c");
	wait_for(mac_is("10.0.0.2", MAC_C), 2000);
	assert_int_not_equal(hop("10.0.0.2").ifindex, ifindex);
	assert_int_equal(hop("10.0.0.2").ifindex, ifindex_of("v0"));
}

/* A port that leaves a bridge sends RTM_DELLINK, of family AF_BRIDGE. */
static void survives_a_bridge(void **state)
{
	if (system("ip link add br0 type bridge 2>/dev/null") != 0) {
		print_message("skip: no bridge device in this kernel\n");
		skip();
	}
	here("ip link set v1 master br0; ip link set br0 up; ip link set v1 nomaster; ip link del br0;"
	     "ip addr add 10.0.0.79/24 dev v0");
	wait_for(search("10.0.0.79", 0).found == 1, 1000);
	assert_true(ifindex_of("v1") != 0);
	assert_int_equal(search("10.0.1.1", 0).found, 1);
	assert_int_equal(ifindex_of("br0"), 0);
}

/* Both netlink sockets, with a buffer that holds a message or two. */
static void shrink_sockets(void)
{
	unsigned count = 0;

	for (int fd = 3; fd < 64; fd++) {
		int domain = 0, size = 1;
		socklen_t length = sizeof(domain);

		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) || domain != AF_NETLINK)
			continue;
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
		count++;
	}
	assert_int_equal(count, 2);
}

static void recovers_from_lost_notifications(void **state)
{
	struct net_stats stats;
	struct addr first = addr("10.0.0.2");

	here("ip tuntap add tun7 mode tun");
	watch("10.0.0.2");
	watch("203.0.113.5");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	wait_for(state_is("203.0.113.5", NET_HOP_NO_ROUTE), 1000);
	wait_for(ifindex_of("tun7"), 1000);
	shrink_sockets();
	here("for i in $(seq 1 200); do echo addr add 10.1.0.$i/32 dev v0; done | ip -batch -;"
	     "for i in $(seq 1 100); do echo addr del 10.1.0.$i/32 dev v0; done | ip -batch -;"
	     "ip addr del 10.0.1.1/24 dev v1; ip link set v1 mtu 1234; ip route add 203.0.113.0/24 via 10.0.0.2;"
	     "ip link set v1 name w1 || { ip link set v1 down; ip link set v1 name w1; };"
	     "ip tuntap del tun7 mode tun");
	wait_for(search("10.1.0.200", 0).found == 1 && search("10.0.1.1", 0).found == 0, 3000);
	net_stats(w.net, &stats);
	assert_true(stats.overruns > 0);
	wait_for((net_stats(w.net, &stats), stats.dumps > 1), 3000);
	assert_int_equal(search("10.1.0.100", 0).found, 0);
	assert_int_equal(search("10.1.0.101", 0).found, 1);
	wait_for(ifindex_of("w1") && !ifindex_of("v1"), 1000);
	assert_int_equal(net_interface_by_name(w.net, "w1")->mtu, 1234);
	wait_for(!ifindex_of("tun7"), 1000);
	wait_for(mac_is("203.0.113.5", MAC_A), 2000);
	net_unwatch(w.net, &first);

	/* Lost behind neighbours, a route's change leaves no other trace. */
	settle();
	here("for i in $(seq 100 250); do echo neigh add 10.0.0.$i lladdr 02:00:00:00:00:0c dev v0 nud permanent; done"
	     " | ip -batch -; ip route replace blackhole 203.0.113.0/24");
	wait_for(state_is("203.0.113.5", NET_HOP_NO_ROUTE), 2000);
}

static struct addr many_addr(unsigned i)
{
	char text[32];

	snprintf(text, sizeof(text), "172.16.%u.%u", i / 250, 1 + i % 250);
	return addr(text);
}

static unsigned many_with(unsigned count, const char *mac)
{
	unsigned with = 0;

	for (unsigned i = 0; i < count; i++) {
		struct addr a = many_addr(i);
		struct net_hop h;

		if (net_hop(w.net, &a, &h) && h.state == NET_HOP_RESOLVED && !memcmp(h.mac, mac, 6))
			with++;
	}
	return with;
}

static void watch_many(unsigned count)
{
	here("ip route add 172.16.0.0/16 via 10.0.0.2");
	for (unsigned i = 0; i < count; i++) {
		struct addr a = many_addr(i);

		assert_int_equal(net_watch(w.net, &a), 0);
	}
}

static void recovers_from_lost_answers(void **state)
{
	struct net_stats stats;

	shrink_sockets();
	watch_many(500);
	wait_for(many_with(500, MAC_A) == 500, 5000);
	net_stats(w.net, &stats);
	assert_true(stats.overruns > 0);
}

static void watches_ten_thousand(void **state)
{
	enum { COUNT = 10000 };
	uint64_t start = now_ms(), resolved, moved, rerouted;
	struct net_stats stats;
	clock_t cpu = clock();

	watch_many(COUNT);
	wait_for(w.hop_calls >= COUNT && many_with(COUNT, MAC_A) == COUNT, 10000);
	resolved = now_ms();
	w.hop_calls = 0;
	peer("ip link set p0 address 02:00:00:00:00:0c");
	wait_for(w.hop_calls >= COUNT, 2000);
	assert_int_equal(many_with(COUNT, MAC_C), COUNT);
	moved = now_ms();
	w.hop_calls = 0;
	here("ip route replace 172.16.0.0/16 via 10.0.1.2");
	wait_for(w.hop_calls >= COUNT && many_with(COUNT, MAC_B) == COUNT, 5000);
	rerouted = now_ms();
	net_stats(w.net, &stats);
	assert_int_equal(stats.watched, COUNT);
	print_message("10000 destinations: known in %u ms, another MAC in %u ms, another route in %u ms, %u ms of CPU\n",
		      (unsigned)(resolved - start), (unsigned)(moved - resolved), (unsigned)(rerouted - moved),
		      (unsigned)((clock() - cpu) * 1000 / CLOCKS_PER_SEC));
	for (unsigned i = 0; i < COUNT; i++) {
		struct addr a = many_addr(i);

		net_unwatch(w.net, &a);
	}
	net_stats(w.net, &stats);
	assert_int_equal(stats.watched, 0);
}

static void counts_watches_and_may_be_called_back(void **state)
{
	struct addr a = addr("10.0.0.2");
	struct net_hop h;

	watch("10.0.0.2");
	watch("10.0.0.2");
	wait_for(mac_is("10.0.0.2", MAC_A), 2000);
	net_unwatch(w.net, &a);
	assert_true(net_hop(w.net, &a, &h));
	w.unwatch = a;
	peer("ip link set p0 address 02:00:00:00:00:0c");
	wait_for(!net_hop(w.net, &a, &h), 1000);
	/* Gone before its answer came. */
	assert_int_equal(net_watch(w.net, &a), 0);
	net_unwatch(w.net, &a);
	net_unwatch(w.net, &a);
	watch("2001:db8::2");
	wait_for(mac_is("2001:db8::2", MAC_C), 2000);
	assert_false(net_hop(w.net, &a, &h));
}

static void refuses_what_cannot_be_watched(void **state)
{
	static const char *const bad[] = { "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "ff02::1", "fe80::1" };

	for (size_t i = 0; i < array_size(bad); i++) {
		struct addr a = addr(bad[i]);

		assert_int_equal(net_watch(w.net, &a), -EINVAL);
	}
}

#define net_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* With an argument: only the tests whose names match it (* and ?), or, with a ! before it, only the others. */
int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		net_test(shows_what_is_there_from_the_start),
		net_test(follows_addresses),
		net_test(shows_an_ipv6_address_after_duplicate_detection),
		net_test(resolves_a_live_peer),
		net_test(follows_an_announced_mac),
		net_test(follows_a_silent_mac),
		net_test(knows_that_a_way_was_cut_off),
		net_test(keeps_the_mac_of_a_flushed_entry),
		net_test(tells_of_a_silent_neighbour_and_of_its_return),
		net_test(follows_routes),
		net_test(goes_by_link_local_gateways),
		net_test(knows_its_own_addresses),
		net_test(has_no_mac_where_there_is_no_ethernet),
		net_test(leaves_entries_of_others_alone),
		net_test(follows_interfaces_down_up_and_without_carrier),
		net_test(follows_interfaces_renamed_removed_and_made_again),
		net_test(survives_a_bridge),
		net_test(recovers_from_lost_notifications),
		net_test(recovers_from_lost_answers),
		net_test(watches_ten_thousand),
		net_test(counts_watches_and_may_be_called_back),
		net_test(refuses_what_cannot_be_watched),
	};

	if (argc > 1 && argv[1][0] == '!')
		cmocka_set_skip_filter(argv[1] + 1);
	else if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("net_watch", tests, NULL, NULL);
}
