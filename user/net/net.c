/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netlink sockets and the loop's events around them: start, notifications, dumps and what follows from a lost one.
 * Called by the agent to start and stop, by the loop otherwise. What a message means is decided in links.c,
 * neighbour.c and destination.c.
 */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/random.h>
#include <time.h>

#include "base/cleanup.h"
#include "net/internal.h"

static const uint16_t dump_stages[] = { RTM_GETLINK, RTM_GETADDR, RTM_GETNEIGH };

uint64_t net_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * UINT64_C(1000) + t.tv_nsec / 1000000;
}

unsigned net_random(struct net *n, unsigned below)
{
	n->random = n->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (n->random >> 33) % below;
}

void net_arm(struct event *timer, unsigned ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	event_add(timer, &tv);
}

void net_turn_soon(struct net *n)
{
	event_active(&n->turn, EV_TIMEOUT, 0);
}

void net_pump_soon(struct net *n)
{
	event_active(&n->pump, EV_TIMEOUT, 0);
}

ssize_t net_receive(struct net *n, struct mnl_socket *socket)
{
	struct sockaddr_nl from = {};
	struct iovec iov = { .iov_base = n->buffer, .iov_len = NET_RECEIVE_SIZE };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t length;

	do
		length = recvmsg(mnl_socket_get_fd(socket), &msg, MSG_DONTWAIT);
	while (length < 0 && errno == EINTR);
	if (length < 0)
		return -errno;
	if (msg.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	return from.nl_pid ? 0 : length; /* another process has no say in this */
}

static void dump_stage_send(struct net *n)
{
	_Alignas(struct nlmsghdr) char request[MESSAGE_REQUEST_MAX];
	size_t length = message_write_dump(request, dump_stages[n->dump.stage], ++n->dump.seq);

	if (mnl_socket_sendto(n->events, request, length) >= 0)
		return;
	n->dump.error = errno;
	n->dump.running = false;
	net_arm(&n->resync, NET_TICK_MS);
}

/* The kernel has one dump a socket: while one runs, the next has to wait for its end. */
static void dump_start(struct net *n)
{
	if (n->dump.running) {
		n->dump.again = true;
		return;
	}
	n->dump.running = true;
	n->dump.disturbed = n->dump.again = false;
	n->dump.stage = 0;
	n->dump.error = 0;
	n->dump.epoch++;
	n->dump.started_ms = net_now_ms();
	dump_stage_send(n);
}

static void dump_finished(struct net *n)
{
	n->dump.running = false;
	if (n->dump.disturbed || n->dump.again) {
		net_arm(&n->resync, NET_RESYNC_MS);
		return;
	}
	n->stats.dumps++;
}

/* One kind of thing was dumped. What a disturbed dump did not show may still be there. */
static void dump_stage_ended(struct net *n, int error)
{
	if (error) {
		n->dump.disturbed = true;
		if (error != EINTR && error != EAGAIN && error != EBUSY)
			n->dump.error = error;
	}
	if (!n->dump.disturbed && !n->dump.again) {
		switch (dump_stages[n->dump.stage]) {
		case RTM_GETLINK:
			links_sweep(n);
			break;
		case RTM_GETADDR:
			addresses_sweep(n);
			break;
		default:
			neighbours_sweep(n);
			break;
		}
	}
	if (++n->dump.stage < array_size(dump_stages))
		dump_stage_send(n);
	else
		dump_finished(n);
}

static int link_message(struct net *n, const struct nlmsghdr *m)
{
	struct message_link link;
	int err = message_read_link(m, &link);

	if (err)
		return err;
	if (m->nlmsg_type == RTM_NEWLINK)
		link_heard(n, &link);
	else
		link_gone(n, link.ifindex);
	return 0;
}

static int address_message(struct net *n, const struct nlmsghdr *m)
{
	struct message_address address;
	int err = message_read_address(m, &address);

	if (err)
		return err;
	if (m->nlmsg_type == RTM_NEWADDR)
		address_heard(n, &address);
	else
		address_gone(n, &address);
	return 0;
}

static int neighbour_message(struct net *n, const struct nlmsghdr *m)
{
	struct message_neighbour neighbour;
	int err = message_read_neighbour(m, &neighbour);

	if (err)
		return err;
	if (m->nlmsg_type == RTM_NEWNEIGH)
		neighbour_heard(n, &neighbour);
	else
		neighbour_gone(n, &neighbour);
	return 0;
}

static void dump_message(struct net *n, const struct nlmsghdr *m)
{
	int error = 0;

	if (!n->dump.running || m->nlmsg_seq != n->dump.seq)
		return;
	if (m->nlmsg_flags & NLM_F_DUMP_INTR)
		n->dump.disturbed = true;
	if (message_read_error(m, &error))
		error = EBADMSG;
	dump_stage_ended(n, error);
}

static void event_message(struct net *n, const struct nlmsghdr *m)
{
	int err = 0;

	switch (m->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		err = link_message(n, m);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		err = address_message(n, m);
		break;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		err = neighbour_message(n, m);
		break;
	case NLMSG_DONE:
	case NLMSG_ERROR:
		dump_message(n, m);
		return;
	case NLMSG_OVERRUN:
		dump_start(n);
		return;
	default:
		/* A route, a rule or a next hop: which destinations it concerns, the kernel knows best. */
		destinations_requery_soon(n);
		return;
	}
	if (n->dump.running && m->nlmsg_seq == n->dump.seq && m->nlmsg_flags & NLM_F_DUMP_INTR)
		n->dump.disturbed = true;
	if (err == -EBADMSG)
		n->stats.malformed++;
}

void net_events_read(struct net *n)
{
	for (unsigned i = 0; i < NET_READS_A_TURN; i++) {
		ssize_t length = net_receive(n, n->events);
		int left;

		if (length == -ENOBUFS || length == -EMSGSIZE) {
			n->stats.overruns++;
			dump_start(n);
			destinations_requery_soon(n);
			continue;
		}
		if (length < 0)
			return;
		left = length;
		for (struct nlmsghdr *m = (struct nlmsghdr *)n->buffer; mnl_nlmsg_ok(m, left); m = mnl_nlmsg_next(m, &left))
			event_message(n, m);
	}
}

static void on_events_readable(evutil_socket_t fd, short what, void *arg)
{
	net_events_read(arg);
}

static void on_requests_readable(evutil_socket_t fd, short what, void *arg)
{
	requests_read(arg);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;

	/* What was said already counts first: a neighbour made permanent by now must not be asked. */
	net_events_read(n);
	requests_send(n);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	bool links = n->links_changed;

	if (n->hops_stale) {
		n->hops_stale = false;
		destinations_update(n);
		neighbours_recheck(n);
	}
	n->links_changed = false;
	if (links && n->ops.on_links)
		n->ops.on_links(n->ops.ctx);
	destinations_tell(n);
}

static void on_requery(evutil_socket_t fd, short what, void *arg)
{
	destinations_requery(arg);
}

static void on_resync(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;

	dump_start(n);
	destinations_requery_soon(n);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct net *n = arg;
	uint64_t now = net_now_ms();

	destinations_refresh(n);
	if (n->dump.running && now > n->dump.started_ms + NET_DUMP_TIMEOUT_MS) {
		n->dump.running = false;
		dump_start(n);
	}
	if (now > NET_REQUEST_TIMEOUT_MS)
		requests_lost(n, now - NET_REQUEST_TIMEOUT_MS);
}

/* Returns the size of the receive buffer the kernel granted. */
static size_t socket_grow(struct mnl_socket *socket)
{
	int fd = mnl_socket_get_fd(socket), size = NET_SOCKET_BUFFER, granted = 0;
	socklen_t length = sizeof(granted);

	/* Beyond rmem_max with CAP_NET_ADMIN only; with less, overruns come sooner, and are dealt with. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length);
	return granted > 0 ? granted : 0;
}

static int socket_open(struct mnl_socket **ret)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int on = 1, err;

	if (!socket)
		return -errno;
	if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID)) {
		err = -errno;
		mnl_socket_close(socket);
		return err;
	}
	/* Errors without a copy of the request in them: more of them fit the buffer. */
	mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on));
	*ret = socket;
	return 0;
}

static int events_subscribe(struct net *n)
{
	static const int groups[] = {
		RTNLGRP_LINK,	     RTNLGRP_NEIGH,	  RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
	};
	int nexthop = RTNLGRP_NEXTHOP;

	for (size_t i = 0; i < array_size(groups); i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(n->events, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
			return -errno;
	}
	/* Kernels before 5.3 have no such group, nor next-hop objects to tell of. */
	mnl_socket_setsockopt(n->events, NETLINK_ADD_MEMBERSHIP, &nexthop, sizeof(nexthop));
	return 0;
}

/* The one place that waits: at start, for the first dump. */
static int first_dump(struct net *n)
{
	uint64_t deadline = net_now_ms() + NET_DUMP_TIMEOUT_MS, now;
	struct pollfd p = { .fd = mnl_socket_get_fd(n->events), .events = POLLIN };

	dump_start(n);
	while (n->dump.running) {
		now = net_now_ms();
		if (now >= deadline)
			return -ETIMEDOUT;
		if (poll(&p, 1, deadline - now) < 0 && errno != EINTR)
			return -errno;
		net_events_read(n);
	}
	return -n->dump.error;
}

static void events_assign(struct net *n)
{
	event_assign(&n->events_readable, n->base, mnl_socket_get_fd(n->events), EV_READ | EV_PERSIST,
		     on_events_readable, n);
	event_assign(&n->requests_readable, n->base, mnl_socket_get_fd(n->requests), EV_READ | EV_PERSIST,
		     on_requests_readable, n);
	evtimer_assign(&n->pump, n->base, on_pump, n);
	evtimer_assign(&n->turn, n->base, on_turn, n);
	evtimer_assign(&n->requery, n->base, on_requery, n);
	evtimer_assign(&n->resync, n->base, on_resync, n);
	event_assign(&n->tick, n->base, -1, EV_PERSIST, on_tick, n);
}

static int net_start(struct net *n)
{
	int err;

	socket_grow(n->events);
	requests_init(n, socket_grow(n->requests));
	events_assign(n);
	err = events_subscribe(n);
	if (err)
		return err;
	err = first_dump(n);
	if (err)
		return err;
	event_del(&n->turn);
	n->links_changed = n->hops_stale = false;
	if (event_add(&n->events_readable, NULL) || event_add(&n->requests_readable, NULL))
		return -ENOMEM;
	net_arm(&n->tick, NET_TICK_MS);
	return 0;
}

static void net_stop(struct net *n)
{
	event_del(&n->events_readable);
	event_del(&n->requests_readable);
	event_del(&n->pump);
	event_del(&n->turn);
	event_del(&n->requery);
	event_del(&n->resync);
	event_del(&n->tick);
}

static int net_allocate(struct event_base *base, const struct net_ops *ops, struct net **ret)
{
	struct net *n = calloc(1, sizeof(*n));
	uint64_t seeds[2];

	if (!n)
		return -ENOMEM;
	n->buffer = malloc(NET_RECEIVE_SIZE);
	if (!n->buffer) {
		free(n);
		return -ENOMEM;
	}
	if (getrandom(seeds, sizeof(seeds), GRND_NONBLOCK) != sizeof(seeds))
		seeds[0] = seeds[1] = net_now_ms() ^ (uintptr_t)n; /* early boot: as good as it gets */
	n->random = seeds[0];
	n->link_table.seed = n->address_table.seed = n->neighbour_table.seed = n->destination_table.seed = seeds[1];
	n->base = base;
	n->ops = *ops;
	n->packets = claim_socket();
	TAILQ_INIT(&n->links);
	TAILQ_INIT(&n->addresses);
	TAILQ_INIT(&n->neighbours);
	TAILQ_INIT(&n->destinations);
	TAILQ_INIT(&n->queries);
	TAILQ_INIT(&n->probes);
	TAILQ_INIT(&n->changes);
	*ret = n;
	return 0;
}

int net_new(struct event_base *base, const struct net_ops *ops, struct net **ret)
{
	struct net *n;
	int err;

	err = net_allocate(base, ops, &n);
	if (err)
		return err;
	err = socket_open(&n->events);
	if (err)
		goto fail;
	err = socket_open(&n->requests);
	if (err)
		goto fail_events;
	err = net_start(n);
	if (err) {
		net_free(n);
		return err;
	}
	*ret = n;
	return 0;
fail_events:
	mnl_socket_close(n->events);
fail:
	claim_socket_close(n);
	free(n->buffer);
	free(n);
	return err;
}

void net_free(struct net *n)
{
	if (!n)
		return;
	net_stop(n);
	destinations_free(n);
	neighbours_free(n);
	links_free(n);
	mnl_socket_close(n->requests);
	mnl_socket_close(n->events);
	claim_socket_close(n);
	free(n->buffer);
	free(n);
}

void net_stats(const struct net *n, struct net_stats *ret)
{
	*ret = n->stats;
	ret->watched = n->destination_table.count;
}
