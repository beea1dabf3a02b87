/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records of connections travel between balancers, so that connections outlive the one that recorded them. Each tells all
 * others what its own sweep finds new, changed, or not told for a while; who comes up asks each for everything once. What
 * is lost on the way is noticed by its number, and asked for. Nothing is passed on: all know all.
 *
 * Part of the agent, on its loop; costs nothing where there is no peers section. The datagrams are peers/wire.h's.
 */
#ifndef AGENT_PEERS_H
#define AGENT_PEERS_H

#include <alwayson/hash.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/flows.h"
#include "model/model.h"

struct agent;
struct peers;

enum peers_limit {
	PEERS_HELLO_MS = 1000,      /* a peer is greeted this often ... */
	PEERS_DEAD_MS = 3500,       /* ... and down when nothing of it was heard for so long */
	PEERS_REFRESH_MS = 30000,   /* a connection that goes on is told of again after this, or an eighth of its idle time */
	PEERS_COPY_WAIT_MS = 5000,  /* a start waits no longer than this for the copies of peers that are up ... */
	PEERS_GREET_WAIT_MS = 2000, /* ... and for those that are not, to come up */
	PEERS_SEND_RATE = 4000,     /* datagrams a second to each peer: 228 000 connections */
	PEERS_RECEIVE_RATE = 8000,  /* ... and from each; what is more is dropped and counted */
	PEERS_ASK_MS = 5000,        /* after a loss everything is asked for, this often at most */
	PEERS_WAYS_MAX = 16,        /* nat: networks of clients of a family (/24, /48) whose next hop is kept known, for their replies */
	PEERS_TURN = 64,            /* datagrams that are read before others have their turn */
};

/* What became of datagrams and records: X(name, label). */
#define PEERS_DROPS(X)                                                                           \
	X(AUTHENTICATION, "authentication") X(VERSION, "version") X(MALFORMED, "malformed")      \
	X(REPLAYED, "replayed") X(STALE, "stale") X(RATE, "rate")
#define PEERS_RESULTS(X)                                                                         \
	X(INSERTED, "inserted") X(UPDATED, "updated") X(OLDER, "older") X(FULL, "full") X(BUSY, "busy") \
	X(SERVICE, "unknown_service") X(SERVER, "unknown_server") X(SOURCE, "unknown_source") X(ENDED, "ended")

enum peers_drop {
#define X(name, label) PEERS_DROP_##name,
	PEERS_DROPS(X)
#undef X
	PEERS_DROP_MAX
};

enum peers_result {
#define X(name, label) PEERS_##name,
	PEERS_RESULTS(X)
#undef X
	PEERS_RESULT_MAX
};

/* Their labels; NULL behind the last. */
extern const char *const peers_drops[PEERS_DROP_MAX + 1], *const peers_results[PEERS_RESULT_MAX + 1];

/* One peer, as it is shown. */
struct peers_view {
	const char *name;
	struct endpoint at;
	bool up, copied;            /* copied: its full copy was taken */
	uint64_t heard_ms;          /* since it was last heard; UINT64_MAX = never */
	uint64_t sent, received;    /* datagrams */
	uint64_t sent_bytes, received_bytes;
	uint64_t sent_records, send_failures, missing, copies;
	uint64_t drops[PEERS_DROP_MAX], results[PEERS_RESULT_MAX];
};

/*
 * Makes what the model's peers section asks for: *ret NULL where there is none, `now` where it is the same as before.
 * 0, or -errno with a line for people; then nothing has changed.
 */
int peers_prepare(struct agent *a, const struct model *m, const struct hash_key *secret, struct peers *now,
		  struct peers **ret, char *error, size_t size);
/* Begins to speak, in the place of what was before. */
void peers_commit(struct agent *a, struct peers *p);
void peers_free(struct peers *p); /* takes NULL */

/* The sweep's: a connection lives; a slice, a pass is over. Take NULL. */
void peers_see(struct peers *p, const struct flow_view *f, const struct flow_view *reply, size_t service);
void peers_flush(struct peers *p);
void peers_passed(struct peers *p);

/* Is this a client whose next hop is kept known for the peers? Takes NULL. */
bool peers_watch(const struct peers *p, const struct addr *client);
/* Are copies awaited that a start waits for? Takes NULL. */
bool peers_are_awaited(const struct peers *p);
void peers_each(const struct peers *p, void (*visit)(const struct peers_view *v, void *ctx), void *ctx);
/* Datagrams from addresses that are no peer's. Takes NULL. */
uint64_t peers_strangers(const struct peers *p);

#endif
