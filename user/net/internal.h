/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of net/ share: the struct net and the four kinds of thing in it. Nobody outside net/ includes this.
 *
 * Two sockets. On `events` come the kernel's notifications and the dumps, so that the two keep their order; on
 * `requests` single questions and their answers, so that neither kind drowns the other. Whatever is heard is noted and
 * marked; requests are sent by pump alone and the agent is told by turn alone, both events of the loop: so a callback
 * may call back in, and a burst costs one turn.
 */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/queue.h>

#include "net/message.h"
#include "net/net.h"
#include "net/table.h"

struct mnl_socket;

enum net_limit {
	NET_RECEIVE_SIZE = 64 * 1024,     /* the kernel fills at most 32 KiB in one go */
	NET_SOCKET_BUFFER = 2 * 1024 * 1024,
	NET_REPLY_SIZE = 8 * 1024,        /* what one route answer takes of a socket buffer, at the worst */
	NET_REQUESTS_MAX = 128,           /* in flight; a power of two: a sequence number's low bits are the slot */
	NET_BATCH_MAX = 32,               /* requests in one send */
	NET_READS_A_TURN = 64,
	NET_DUMP_TIMEOUT_MS = 5000,       /* the one at start fails then, a later one begins anew */
	NET_RESYNC_MS = 100,              /* until a dump that was disturbed is repeated */
	NET_REQUEST_RETRY_MS = 100,
	NET_REQUEST_TIMEOUT_MS = 2000,    /* an answer that did not come by then was lost */
	NET_TICK_MS = 1000,
	NET_REQUERY_DELAY_MS = 20,        /* route changes come in bursts */
	NET_REQUERY_REST_MS = 50,         /* between two rounds of asking for every route, at least */
	NET_REQUERIES_PER_MS = 30,        /* and the more is watched, the longer: 10 000 destinations rest 0.4 s */
	NET_ROUTE_AGE_MS = 30000,         /* some changes are never announced (a path MTU): ask again after this */
	NET_CONFIRM_MIN_MS = 5000,        /* a known neighbour is asked again after this to twice this */
	NET_DOUBT_MAX_MS = 1000,          /* one that is only remembered (STALE), sooner */
	NET_BACKOFF_MIN_MS = 200,
	NET_BACKOFF_MAX_MS = 5000,
	NET_PROBES_PER_MS = 2,            /* a burst of ARP as large as a rack is no good neighbour itself */
	NET_PROBES_BURST = 256,
	NET_PROBE_WAIT_MS = 10,
};

struct net_link {
	struct table_node node; /* ifindex */
	TAILQ_ENTRY(net_link) entry;
	struct net_interface view;
	unsigned flags; /* IFF_* */
	uint64_t cut_ms; /* when it came back after it was without carrier; 0 = never */
	uint64_t epoch; /* of the dump that saw it last */
};

struct net_address {
	struct table_node node; /* ifindex, prefix, addr, peer */
	TAILQ_ENTRY(net_address) entry;
	bool ready; /* duplicate detection is over */
	uint8_t protocol; /* who made it: NET_CLAIM_PROTOCOL = us */
	uint64_t epoch;
};

LIST_HEAD(net_users, net_destination);

/* Every neighbour the kernel has, and those that destinations need. */
struct net_neighbour {
	struct table_node node; /* ifindex, addr */
	TAILQ_ENTRY(net_neighbour) entry;
	TAILQ_ENTRY(net_neighbour) probe_entry;
	struct net_users users;
	struct net *net;
	struct event *timer; /* due to be asked; exists once somebody used it */
	uint64_t epoch;
	uint16_t state;      /* NUD_*, 0 = the kernel has no entry */
	bool tended;         /* by another program or by the kernel: not to be touched */
	bool known;          /* mac is */
	bool queued;
	bool in_flight;
	uint8_t mac[6];
	unsigned failures;   /* rounds of probes unanswered since it was last known */
	unsigned backoff_ms;
	int error;           /* why it is not known */
};

struct net_destination {
	struct table_node node; /* addr */
	TAILQ_ENTRY(net_destination) entry; /* in the order they were last asked about */
	TAILQ_ENTRY(net_destination) query_entry;
	TAILQ_ENTRY(net_destination) changed_entry;
	LIST_ENTRY(net_destination) user_entry;
	struct net_neighbour *neighbour;
	unsigned watches;
	struct message_route route;
	int error;           /* the kernel's answer instead of a route */
	bool answered;
	bool queued, in_flight, again, changed;
	uint64_t asked_ms;
	struct net_hop hop;  /* as now known */
	struct net_hop told; /* as last announced */
};

enum request_kind { REQUEST_FREE, REQUEST_ROUTE, REQUEST_USE, REQUEST_PROBE, REQUEST_CLAIM, REQUEST_DISCLAIM };

struct net_request {
	enum request_kind kind;
	uint32_t seq;
	uint64_t sent_ms;
	struct net_destination *destination; /* NULL when it went away meanwhile; same for neighbour */
	struct net_neighbour *neighbour;
	struct addr claim; /* of the last two kinds */
};

TAILQ_HEAD(net_links, net_link);
TAILQ_HEAD(net_address_list, net_address);
TAILQ_HEAD(net_neighbours, net_neighbour);
TAILQ_HEAD(net_destinations, net_destination);

struct net {
	struct event_base *base;
	struct net_ops ops;
	struct mnl_socket *events, *requests;
	int packets; /* sends gratuitous ARP and NA; -1 = not permitted */
	struct event events_readable, requests_readable;
	struct event pump;    /* sends what is queued */
	struct event turn;    /* tells the agent */
	struct event requery; /* asks for every route again */
	struct event resync;  /* dumps again */
	struct event tick;
	struct net_stats stats;
	uint64_t random;
	char *buffer; /* NET_RECEIVE_SIZE */

	struct {
		bool running, disturbed, again;
		unsigned stage;
		uint32_t seq;
		uint64_t epoch;
		uint64_t started_ms;
		int error;
	} dump;

	struct table link_table, address_table, neighbour_table, destination_table;
	struct net_links links;
	struct net_address_list addresses;
	struct net_neighbours neighbours;
	struct net_destinations destinations;

	struct net_destinations queries; /* routes to ask for */
	struct net_neighbours probes;    /* neighbours to ask */
	struct net_destinations changes; /* destinations whose hop differs from what was told */
	bool links_changed;              /* on_links is due */
	bool hops_stale;                 /* every hop is to be worked out again */
	uint64_t requeried_ms;           /* when the last round of asking for every route began */
	unsigned probe_tokens;
	uint64_t probe_tokens_ms;

	struct net_request flights[NET_REQUESTS_MAX];
	unsigned free_flights[NET_REQUESTS_MAX];
	unsigned free_count;
	unsigned flight_limit; /* what the socket buffer takes */
	uint32_t generation;
};

/* net.c */
uint64_t net_now_ms(void);
unsigned net_random(struct net *n, unsigned below);
void net_arm(struct event *timer, unsigned ms); /* (re)starts it */
void net_turn_soon(struct net *n);
void net_pump_soon(struct net *n);
void net_events_read(struct net *n);
/* One datagram of the kernel's, nobody else's, into n->buffer. Its length, or -errno; -ENOBUFS when some was lost. */
ssize_t net_receive(struct net *n, struct mnl_socket *socket);

/* links.c: each takes what the kernel said; a true change marks links_changed. */
struct net_link *link_find(const struct net *n, unsigned ifindex);
void link_heard(struct net *n, const struct message_link *m);
void link_gone(struct net *n, unsigned ifindex);
void links_sweep(struct net *n); /* what the dump just ended did not show is gone */
void address_heard(struct net *n, const struct message_address *m);
void address_gone(struct net *n, const struct message_address *m);
void addresses_sweep(struct net *n);
void links_free(struct net *n);
/* Whether its neighbours are found by ARP or ND. */
bool link_has_neighbours(const struct net_link *l);

/* claim.c */
int claim_socket(void); /* -1 when it is not permitted */
void claim_socket_close(struct net *n);

/* neighbour.c */
struct net_neighbour *neighbour_get(struct net *n, unsigned ifindex, const struct addr *a);
void neighbour_use(struct net *n, struct net_neighbour *nb, struct net_destination *d);
void neighbour_release(struct net *n, struct net_destination *d);
void neighbour_heard(struct net *n, const struct message_neighbour *m);
void neighbour_gone(struct net *n, const struct message_neighbour *m);
void neighbours_sweep(struct net *n);
void neighbours_of_link_gone(struct net *n, unsigned ifindex);
void neighbours_recheck(struct net *n); /* after a change of interfaces: who can be asked now? */
void neighbours_free(struct net *n);
/* Which request would find it out, as things are. REQUEST_FREE = none. */
enum request_kind neighbour_request(const struct net *n, const struct net_neighbour *nb);
void neighbour_answered(struct net *n, struct net_neighbour *nb, enum request_kind kind, int error);
void neighbour_enqueue(struct net *n, struct net_neighbour *nb);

/* destination.c */
void destination_enqueue(struct net *n, struct net_destination *d);
void destination_answered(struct net *n, struct net_destination *d, const struct message_route *route, int error);
void destination_update(struct net *n, struct net_destination *d); /* works out the hop, marks a change */
void destinations_update(struct net *n);
void destinations_tell(struct net *n);
void destinations_requery_soon(struct net *n);
void destinations_requery(struct net *n);
void destinations_refresh(struct net *n); /* asks about those not asked about for NET_ROUTE_AGE_MS */
void destinations_free(struct net *n);

/* request.c */
void requests_init(struct net *n, size_t socket_buffer);
void requests_send(struct net *n);
void requests_read(struct net *n);
/* Asks at once. 0, -EAGAIN (too much in flight), -errno. */
int requests_claim(struct net *n, unsigned ifindex, const struct addr *a, bool replace, uint32_t valid_s);
int requests_disclaim(struct net *n, unsigned ifindex, const struct addr *a);
void requests_lost(struct net *n, uint64_t sent_before_ms); /* queues those again */
void requests_forget_destination(struct net *n, const struct net_destination *d);
void requests_forget_neighbour(struct net *n, const struct net_neighbour *nb);

#endif
