/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When a neighbour is asked, how, and when its MAC is given up: the kernel's words go in by neighbour_heard(), out come
 * the request and the time of the next one, read off the timer. No socket, no waiting.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/internal.h"

enum { IFINDEX = 7 };

static struct net net;
static struct net_link link7;
static struct net_destination user;

static void nothing(evutil_socket_t fd, short what, void *arg)
{
}

static int setup(void **state)
{
	memset(&net, 0, sizeof(net));
	memset(&link7, 0, sizeof(link7));
	memset(&user, 0, sizeof(user));
	net.base = event_base_new();
	TAILQ_INIT(&net.neighbours);
	TAILQ_INIT(&net.probes);
	TAILQ_INIT(&net.changes);
	evtimer_assign(&net.pump, net.base, nothing, NULL);
	evtimer_assign(&net.turn, net.base, nothing, NULL);
	evtimer_assign(&net.resync, net.base, nothing, NULL);
	link7.node.key.ifindex = IFINDEX;
	link7.view = (struct net_interface){ .ifindex = IFINDEX, .up = true, .ethernet = true };
	assert_int_equal(table_insert(&net.link_table, &link7.node), 0);
	user.node.key.addr = addr_from_v4(htonl(0x0a000002));
	user.answered = true;
	user.route.type = 1; /* RTN_UNICAST */
	user.route.ifindex = IFINDEX;
	return 0;
}

static int teardown(void **state)
{
	neighbour_release(&net, &user);
	neighbours_free(&net);
	table_done(&net.link_table);
	event_base_free(net.base);
	return 0;
}

static struct net_neighbour *use(void)
{
	struct net_neighbour *nb = neighbour_get(&net, IFINDEX, &user.node.key.addr);

	neighbour_use(&net, nb, &user);
	return nb;
}

static struct message_neighbour message(uint16_t nud, uint8_t mac)
{
	return (struct message_neighbour){
		.ifindex = IFINDEX,
		.addr = user.node.key.addr,
		.state = nud,
		.has_mac = mac,
		.mac = { 2, 0, 0, 0, 0, mac },
	};
}

static void heard(uint16_t nud, uint8_t mac)
{
	struct message_neighbour m = message(nud, mac);

	neighbour_heard(&net, &m);
}

/* What pump and the kernel would do with the queue's first; error is the kernel's answer. */
static enum request_kind ask(int error)
{
	struct net_neighbour *nb = TAILQ_FIRST(&net.probes);
	enum request_kind kind;

	if (!nb)
		return REQUEST_FREE;
	kind = neighbour_request(&net, nb);
	TAILQ_REMOVE(&net.probes, nb, probe_entry);
	nb->queued = false;
	if (kind != REQUEST_FREE)
		neighbour_answered(&net, nb, kind, error);
	return kind;
}

/* In how many ms it is asked next, to 20 ms; 0 = at once, -1 = not at all. */
static int due_ms(const struct net_neighbour *nb)
{
	struct timeval at, now;

	if (nb->queued)
		return 0;
	if (!event_pending(nb->timer, EV_TIMEOUT, &at))
		return -1;
	evutil_gettimeofday(&now, NULL);
	return (at.tv_sec - now.tv_sec) * 1000 + (at.tv_usec - now.tv_usec) / 1000;
}

static void assert_due(const struct net_neighbour *nb, int from, int to)
{
	assert_in_range(due_ms(nb) + 1000, from - 20 + 1000, to + 20 + 1000);
}

static void asks_in_the_way_its_state_allows(void **state)
{
	static const struct {
		uint16_t nud;
		bool tended;
		unsigned flags;
		bool down, tun, unused;
		enum request_kind kind;
	} rows[] = {
		{ 0, .kind = REQUEST_USE },
		{ NUD_INCOMPLETE, .kind = REQUEST_USE },
		{ NUD_FAILED, .kind = REQUEST_USE },
		{ NUD_REACHABLE, .kind = REQUEST_PROBE },
		{ NUD_STALE, .kind = REQUEST_PROBE },
		{ NUD_DELAY, .kind = REQUEST_PROBE },
		{ NUD_PROBE, .kind = REQUEST_PROBE },
		{ NUD_PERMANENT, .kind = REQUEST_FREE },
		{ NUD_NOARP, .kind = REQUEST_FREE },
		{ NUD_REACHABLE, .tended = true, .kind = REQUEST_FREE },
		{ NUD_FAILED, .tended = true, .kind = REQUEST_FREE },
		{ NUD_STALE, .unused = true, .kind = REQUEST_FREE },
		{ NUD_STALE, .down = true, .kind = REQUEST_FREE },
		{ NUD_STALE, .tun = true, .kind = REQUEST_FREE },
		{ NUD_STALE, .flags = IFF_NOARP, .kind = REQUEST_FREE },
		{ NUD_STALE, .flags = IFF_POINTOPOINT, .kind = REQUEST_FREE },
	};

	for (size_t i = 0; i < array_size(rows); i++) {
		struct net_neighbour nb = { .node.key.ifindex = IFINDEX, .state = rows[i].nud, .tended = rows[i].tended };

		LIST_INIT(&nb.users);
		if (!rows[i].unused)
			LIST_INSERT_HEAD(&nb.users, &user, user_entry);
		link7.flags = rows[i].flags;
		link7.view.up = !rows[i].down;
		link7.view.ethernet = !rows[i].tun;
		assert_int_equal(neighbour_request(&net, &nb), rows[i].kind);
	}
}

static void confirms_what_is_known(void **state)
{
	struct net_neighbour *nb = use();

	assert_int_equal(due_ms(nb), 0);
	assert_int_equal(ask(0), REQUEST_USE);
	assert_due(nb, 5000, 5000);
	for (int i = 0; i < 5; i++) {
		heard(NUD_REACHABLE, 1);
		assert_due(nb, 5000, 10000);
		neighbour_enqueue(&net, nb);
		event_del(nb->timer);
		assert_int_equal(ask(0), REQUEST_PROBE);
		assert_due(nb, 5000, 10000);
		heard(NUD_PROBE, 1);
		assert_due(nb, 5000, 10000);
	}
	/* Another MAC by a gratuitous ARP is taken, and soon asked about. */
	heard(NUD_STALE, 2);
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
	assert_int_equal(user.hop.mac[5], 2);
	assert_due(nb, 1, 1000);
}

static void backs_off_from_200_ms_to_5_s(void **state)
{
	static const int delays[] = { 200, 400, 800, 1600, 3200, 5000, 5000 };
	struct net_neighbour *nb = use();

	for (size_t i = 0; i < array_size(delays); i++) {
		assert_int_equal(ask(0), REQUEST_USE);
		heard(NUD_FAILED, 0);
		assert_due(nb, delays[i], delays[i]);
		assert_int_equal(user.hop.state, NET_HOP_UNRESOLVED);
		assert_int_equal(user.hop.error, EHOSTUNREACH);
		neighbour_enqueue(&net, nb);
	}
	heard(NUD_REACHABLE, 1);
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
	/* And starts over afterwards. */
	heard(NUD_FAILED, 0);
	assert_int_equal(due_ms(nb), 0);
}

static void backs_off_from_errors_too(void **state)
{
	static const int delays[] = { 200, 400, 800, 1600, 3200, 5000, 5000 };
	struct net_neighbour *nb = use();

	ask(ENOBUFS);
	assert_int_equal(user.hop.error, ENOBUFS);
	for (size_t i = 0; i < array_size(delays); i++) {
		assert_due(nb, delays[i], delays[i]);
		neighbour_enqueue(&net, nb);
		event_del(nb->timer);
		ask(ENOBUFS);
	}
}

static void gives_a_mac_up_after_two_rounds(void **state)
{
	struct message_neighbour m = message(0, 0);
	struct net_neighbour *nb = use();

	ask(0);
	heard(NUD_REACHABLE, 1);
	heard(NUD_FAILED, 0);
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
	heard(NUD_FAILED, 0); /* a dump says it again: no second failure */
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
	neighbour_gone(&net, &m); /* collected in between */
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
	assert_int_equal(ask(0), REQUEST_USE);
	assert_int_equal(nb->state, NUD_INCOMPLETE);
	heard(NUD_FAILED, 0);
	assert_int_equal(user.hop.state, NET_HOP_UNRESOLVED);
}

static void forgets_what_an_administrator_took_back(void **state)
{
	struct message_neighbour m = message(0, 0);
	struct net_neighbour *nb = use();

	heard(NUD_PERMANENT, 1);
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
	assert_int_equal(due_ms(nb), -1);
	heard(NUD_FAILED, 0); /* what the kernel says first of a removal */
	assert_int_equal(user.hop.state, NET_HOP_UNRESOLVED);
	assert_int_equal(due_ms(nb), 0);
	heard(NUD_PERMANENT, 1);
	neighbour_gone(&net, &m);
	assert_int_equal(user.hop.state, NET_HOP_UNRESOLVED);
}

static void turns_from_probe_to_use_when_the_entry_is_gone(void **state)
{
	struct net_neighbour *nb;

	heard(NUD_STALE, 1); /* known before anybody needs it */
	nb = use();
	destination_update(&net, &user);
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
	assert_due(nb, 1, 1000);
	neighbour_enqueue(&net, nb);
	assert_int_equal(ask(ENOENT), REQUEST_PROBE);
	assert_int_equal(ask(0), REQUEST_USE);
	assert_int_equal(user.hop.state, NET_HOP_RESOLVED);
}

static void keeps_nothing_that_nobody_needs(void **state)
{
	struct message_neighbour m;

	use();
	neighbour_release(&net, &user); /* the kernel has no entry either */
	assert_int_equal(net.neighbour_table.count, 0);
	assert_true(TAILQ_EMPTY(&net.probes));
	heard(NUD_REACHABLE, 1);
	assert_int_equal(net.neighbour_table.count, 1);
	m = message(0, 0);
	neighbour_gone(&net, &m);
	assert_int_equal(net.neighbour_table.count, 0);
}

#define net_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		net_test(asks_in_the_way_its_state_allows),
		net_test(confirms_what_is_known),
		net_test(backs_off_from_200_ms_to_5_s),
		net_test(backs_off_from_errors_too),
		net_test(gives_a_mac_up_after_two_rounds),
		net_test(forgets_what_an_administrator_took_back),
		net_test(turns_from_probe_to_use_when_the_entry_is_gone),
		net_test(keeps_nothing_that_nobody_needs),
	};

	return cmocka_run_group_tests_name("net_neighbour", tests, NULL, NULL);
}
