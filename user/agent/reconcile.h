/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one place that turns what ought to be (model, health, network) into what the program reads, whatever changed. It
 * compares with what the maps hold and changes what differs: single words in place, all else in the inactive half of the
 * tables, which is then made the active one. Whatever the program may still be reading is reused only after a grace
 * period; changes asked for meanwhile are made together afterwards.
 *
 * Owned by the agent; on its loop. Knows nothing of why a server left, and never logs.
 */
#ifndef AGENT_RECONCILE_H
#define AGENT_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include <alwayson/hash.h>

#include "dataplane/dataplane.h"
#include "dataplane/flows.h"
#include "dataplane/grace.h"
#include "health/health.h"
#include "model/model.h"
#include "net/net.h"

struct bases;
struct reconcile;

enum reconcile_limit {
	RECONCILE_ERROR_MAX = 512,
	RECONCILE_SLICE_US = 5000, /* what the tables of thousands of services that change may take in one turn of the loop */
};

struct reconcile_ops {
	/* What could not be put into the maps, in words; reconcile_run() tries again at the next change. */
	void (*on_error)(const char *text, void *ctx);
	/* Records of connections that are to end match nothing any more; NULL: nobody wants to know. */
	void (*on_ended)(void *ctx);
	/*
	 * There is no room for some table: the owners of before are in force until there are reconcile_slots_more() and
	 * reconcile_slots_grown() and reconcile_run() are called. From within a run. NULL: nobody makes room, it is an error.
	 */
	void (*on_short)(void *ctx);
	/*
	 * Large tables' bases are to be laid out beside the loop (bases.h; the callee's from now on): until bases_take() and
	 * reconcile_run() the weights of before are in force. From the end of a run. NULL: nobody does, the run does it itself.
	 */
	void (*on_slow)(struct bases *b, void *ctx);
	/*
	 * Tables wait for their turn: reconcile_go_on() is to be called in a later turn of the loop. From the end of a run. NULL:
	 * a run puts all of them.
	 */
	void (*on_more)(void *ctx);
	uint32_t slice_us; /* no further table is begun after so long */
	void *ctx;
};

int reconcile_new(struct dataplane *d, struct grace *grace, struct net *net, const struct reconcile_ops *ops,
		  struct reconcile **ret);
void reconcile_free(struct reconcile *r); /* takes NULL; the maps stay as they are */

/* Forgets laid-out service entries: interfaces, addresses or listening ports have changed. */
void reconcile_addresses_changed(struct reconcile *r);
/* A port of the host's own that is never dealt as an own port. */
void reconcile_skip_port(struct reconcile *r, uint16_t port);

/*
 * A new model: everything in it gets its id, what is no longer in it begins to leave. Nothing is changed in the tables
 * until reconcile_run(). The model is referred to until the next call. 0, or -ENOSPC with the limit in error; then
 * nothing has changed.
 */
int reconcile_set_model(struct reconcile *r, const struct model *m, const struct hash_key *secret,
			char error[RECONCILE_ERROR_MAX]);
/* Makes the maps true. May be called at any time after reconcile_set_model(). */
void reconcile_run(struct reconcile *r, const struct health *h);
/* The next slice of a run that had more to do than a turn of the loop has time for; then all that waits for the tables. */
void reconcile_go_on(struct reconcile *r);
/* Is there a next one? Until there is none, what came with the model is only partly in force. */
bool reconcile_has_more(const struct reconcile *r);
/* dataplane_maps()->slot_count has grown: the further ones may be used. Or there is no way to have more. 0 or -ENOMEM. */
int reconcile_slots_grown(struct reconcile *r);
/* Slots that there are to be at the start with a model: what its tables take, and some to spare. */
uint32_t reconcile_slots_at_start(const struct model *m);
/*
 * How many there have to be for a model with this secret, so that its tables find room beside those that are there. health:
 * of this model, NULL = the weights are the configured ones.
 */
uint32_t reconcile_slots_for(struct reconcile *r, const struct model *m, const struct health *health,
			     const struct hash_key *secret);
/* How many there should be when they are short. */
uint32_t reconcile_slots_more(const struct reconcile *r);
/* True when nothing waits for its turn or a grace period: the maps say what was asked for. */
bool reconcile_is_settled(const struct reconcile *r);

/*
 * Of a server that was in the tables of an earlier agent, and could be sent to: was it given new connections? False: it
 * was not there. For the time before the first reconcile_run().
 */
bool reconcile_served(const struct reconcile *r, size_t backend, size_t server, bool *ret_serves);

/* Is it known of every server whether and how it can be reached? At start it takes the neighbours some time to answer. */
bool reconcile_ways_are_known(const struct reconcile *r);

/* The access lists; after a change reconcile_run() makes it so. */
struct acls;
struct acls *reconcile_acls(struct reconcile *r);

/* Server ids of a backend's server, and back. ID_NONE / false when there is none. */
uint32_t reconcile_server_id(const struct reconcile *r, size_t backend, size_t server);
uint32_t reconcile_service_id(const struct reconcile *r, size_t service);
bool reconcile_server_of(const struct reconcile *r, uint32_t id, size_t *ret_backend, size_t *ret_server);
/* The service whose entry this address id, port (host order) and protocol number are; SIZE_MAX = none. */
size_t reconcile_service_of(const struct reconcile *r, uint16_t address, bool v6, uint16_t port, uint8_t protocol);
/* The same by the address itself, whose id is in *ret_address then. */
size_t reconcile_find_service(const struct reconcile *r, const struct addr *addr, uint16_t port, uint8_t protocol,
			      uint16_t *ret_address);
/* The id of an own address that ports are, or were, dealt of; 0 = it is none. */
uint16_t reconcile_find_own(const struct reconcile *r, const struct addr *addr);
struct addr reconcile_address(const struct reconcile *r, uint16_t id, bool v6);
/* How a backend's slots are shared out, as they are in the map. */
struct reconcile_shares {
	uint32_t slots;
	uint32_t digest;               /* of who owns each, and of the secret: equal on balancers that agree */
	const uint32_t *owned;         /* by the backend's servers; valid until something else of this is called */
};
/* False: it has no slots, or there is no memory to count them. */
bool reconcile_shares(struct reconcile *r, size_t backend, struct reconcile_shares *ret);

/*
 * Ends the remembered connections of a server (on-marked-down shutdown-sessions), once the slots no longer name it: to
 * be called before the reconcile_run() that takes it out of them.
 */
void reconcile_end_connections(struct reconcile *r, uint32_t id);

/*
 * A record of a connection whose service steers by hash (service: index in the model): true when the slot alone leads
 * where the record does, so that it may be dropped. Also how slots learn that records still name others.
 */
bool reconcile_record_is_needless(struct reconcile *r, const struct flow_view *f, size_t service);
/* A pass of the sweep begins; `passes` are over. */
void reconcile_begin_pass(struct reconcile *r, uint64_t passes);

/* What one whole pass over the flow table found. */
struct sweep_result {
	const uint32_t *connections;   /* by server id: connections that are not closed */
	const uint32_t *entries;       /* by server id: all live entries */
	const uint8_t *addresses;      /* by address id: named by an entry */
	const uint8_t *hops;           /* by hop id */
	uint64_t epoch;                /* reconcile_epoch() when the pass began */
	uint64_t pass;                 /* its number */
};
uint64_t reconcile_epoch(const struct reconcile *r);
/* Frees what no flow names any more: leaving servers, unused addresses, clients' next hops. */
void reconcile_after_sweep(struct reconcile *r, const struct sweep_result *s);

#endif
