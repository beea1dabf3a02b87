/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reconciler from the inside: its state, and what its files call of each other. Not for others.
 *   assign.c    ids for a new model, and what leaves
 *   acls.c      access lists, and their part of the maps
 *   image.c     what the program's tables ought to hold
 *   entries.c   the service table's entries
 *   slots.c     the backends' slots
 *   queue.c     whose turn it is
 *   room.c      room for them
 *   shares.c    who has how many of them
 *   bases.c     what of them is built beside the loop
 *   reconcile.c life, putting it into the maps, grace periods
 *   release.c   what no flow names any more
 */
#ifndef AGENT_RECONCILE_INTERNAL_H
#define AGENT_RECONCILE_INTERNAL_H

#include "agent/acls.h"
#include "agent/addresses.h"
#include "agent/ids.h"
#include "agent/layout.h"
#include "agent/pools.h"
#include "agent/reconcile.h"
#include "agent/slots.h"
#include "table/region.h"
#include "table/services.h"

/* What is known of a server id beside its map entry. By server id. */
struct tracked {
	size_t backend, server;  /* in the model, while ID_ACTIVE */
	struct addr watched;     /* next hop being followed; family 0 = none */
	unsigned mtu;            /* of the way, the last one known; 0 = none yet */
	struct addr source;      /* own address towards it, the last one known */
	enum { ENDING_NO, ENDING_ASKED, ENDING_WAITING } ending; /* connections: after the next grace period */
	uint64_t dying_epoch;    /* ID_DYING: since */
};

/* Where in the model a thing is, and its ids. Replaced as a whole with the model. */
struct assignment {
	size_t *first;           /* backend -> index of its first server below */
	uint32_t *servers;       /* ids */
	uint64_t *keys;
	uint32_t *services, *backends;
};

/* Whose tables are not as wanted. */
struct queue {
	struct layout *wanted;   /* by the model's backends; NULL: nothing waits */
	uint8_t *states;
	uint64_t *seen;          /* digests of what was wanted when their tables were found to differ; 0 = they did not */
	size_t backends;
	size_t changed, waiting; /* tables: new since the run before; others */
	size_t next;             /* here the search for the next one begins */
};

struct vec_entries vec(struct services_entry);
struct vec_regions vec(struct region);

struct reconcile {
	struct dataplane_maps *maps;
	struct dataplane *dataplane;
	struct grace *grace;
	struct net *net;
	struct reconcile_ops ops;
	const struct model *model;
	uint64_t models;                 /* there have been so many */
	struct hash_key secret;
	struct assignment at;
	struct ids servers, services, backends;
	struct addresses addresses;
	struct pools pools;
	struct acls acls;
	struct region_map slots;
	uint32_t slot_count;             /* that `slots` and `foreign` know of */
	struct held *held;
	struct tracked *tracked;
	/* What the active half ought to hold. */
	struct server *server_image;
	struct service *service_image;
	struct vec_entries entries;
	bool entries_stale;
	bool has_macs;                   /* ENTRY_MACs are among them ... */
	uint64_t near_macs[CONTROL_MACS_NEAR]; /* ... and these of them are near the control word */
	uint32_t service_count;          /* highest service id in use + 1 */
	uint64_t half;
	unsigned size4_log2, size6_log2; /* of the active half's tables */
	uint16_t nat_low, nat_high;      /* of all wanted pools; low > high = none */
	/* Grace periods. */
	bool waiting;                    /* one is under way: `garbage` is not free yet */
	bool flipped;                    /* the inactive half is not free yet: no grace period is over since the flip */
	bool ending;                     /* some server's connections are to end */
	bool waiting_for_flip;           /* the one under way began after the flip */
	bool again;                      /* run once more when it is over */
	bool untrue;                     /* the active half, and what it names, are not all that is wanted */
	bool more;                       /* a further turn was asked for: ops.on_more was called */
	struct queue queue;
	size_t unread;                   /* tables that are held[].unread */
	/* Slots: named by the active half until it is true; by what the program may still be reading; by what it will be. */
	struct vec_regions named, next_garbage, garbage;
	uint64_t epoch;
	uint64_t now_ms;                 /* monotonic, of this turn */
	uint64_t next_pass;              /* of the sweep: the first that begins a grace period from now or later */
	bool unsettled;                  /* some slot is not clean */
	bool short_of_slots;             /* room is being made: ops.on_short was called */
	struct bases *bases;             /* to be laid out after this run; NULL = none */
	bool laying;                     /* some are: ops.on_slow was called */
	uint8_t *foreign;                /* by slot: a record names another server than the slot; of the present pass */
	const struct health *health;     /* of the last run */
};

static inline struct server *active_server(const struct reconcile *r, uint32_t id)
{
	return &r->maps->servers[r->half * MAX_SERVERS + id];
}

static inline void store_word(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

void assignment_done(struct assignment *a);
/* reconcile.c: from now on the records of this server match nothing. */
void reconcile_bump_generation(struct reconcile *r, uint32_t id);
/* assign.c: follows the next hop towards a server; one destination an id. */
void reconcile_watch(struct reconcile *r, uint32_t id, const struct addr *addr);

/* assign.c: what they are on every balancer, whatever their ids. */
uint64_t reconcile_server_identity(const struct model_backend *b, const struct model_server *s);
uint64_t reconcile_backend_identity(const struct model_backend *b);

/* image.c: can frames be sent to this server now? Fills *ret where the network knows the way at all. */
bool reconcile_has_way(const struct reconcile *r, uint32_t id, struct net_hop *ret);
/* image.c: all of r->server_image; may mark entries stale. Who is chosen, by backend, in layouts that were zeros. 0 or -errno. */
int image_servers(struct reconcile *r, const struct health *h, struct layout *ret_layouts);
/* image.c: all of r->service_image, after the slots are in place. 0, or what acls_word() says. */
int image_services(struct reconcile *r);
/* entries.c: r->entries, sorted by key. 0 or -errno. */
int entries_collect(struct reconcile *r);
/* slots.c: what decides where a hash falls, of a backend under this secret. */
struct slots_shape slots_shape_of(const struct model_backend *backend, const struct hash_key *secret);
bool slots_same_shape(const struct slots_shape *a, const struct slots_shape *b);
/* room.c: 0, or -ENOSPC: no map of slots is large enough for a model, with a line for people. */
int room_check(const struct model *m, char error[RECONCILE_ERROR_MAX]);
/* room.c: there is none for a table. True: it will be made, and reconcile_run() called. */
bool room_wanted(struct reconcile *r);
/* bases.c: the base of a large table of a backend (its identity), to be laid out beside the loop after this run. 0 or -ENOMEM. */
int bases_add(struct reconcile *r, uint64_t backend, enum model_balance balance, const struct layout *l, uint32_t size);
/* bases.c: a run is over. */
void bases_hand_over(struct reconcile *r);
/* slots.c: is backend b's table not what is wanted? */
bool slots_differ(struct reconcile *r, size_t b, const struct layout *wanted);
/* slots.c: makes it so, as far as it goes at once; `wanted` is another layout then. 0 or -errno. */
int slots_put(struct reconcile *r, size_t b, struct layout *wanted);
/* slots.c: the program reads all tables that there are. */
void slots_are_read(struct reconcile *r);
/* queue.c: by the model's backends, what is wanted now; taken over, unless it is -ENOMEM. */
int queue_renew(struct reconcile *r, struct layout *wanted);
/* queue.c: a slice of it: one table at least. 0 or the first -errno; the others are done all the same. */
int queue_put(struct reconcile *r);
bool queue_is_empty(const struct queue *q);
/* queue.c: there is another model: nothing is known to wait. */
void queue_drop(struct queue *q);
/* slots.c: a pass is over. True: the services' entries changed. */
bool slots_after_sweep(struct reconcile *r, uint64_t pass);
/* slots.c: marks servers that connections may still go to without a record. */
void slots_mark_previous(const struct reconcile *r, uint8_t *marks);
/* slots.c: a server is gone for good. */
void slots_forget_server(struct reconcile *r, uint32_t server);
/* slots.c: who of backend b is chosen. 0 or -ENOMEM. */
int slots_choose(struct reconcile *r, const struct health *h, size_t b, struct layout *ret);

#endif
