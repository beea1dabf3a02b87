/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the peers share: peers.c (who is there), peers_link.c (datagrams), peers_records.c (what is in them). */
#ifndef AGENT_PEERS_INTERNAL_H
#define AGENT_PEERS_INTERNAL_H

#include "agent/agent.h"
#include "agent/peers.h"
#include "base/vec.h"
#include "dataplane/peer.h"
#include "peers/seal.h"
#include "peers/session.h"
#include "peers/wire.h"

struct event;

/* Tokens that grow with time: at most a tenth of a second's at once. */
struct rate {
	uint64_t at_ms;
	uint32_t tokens;
};

struct link {
	struct peers *peers;
	char *name;
	uint64_t identity;
	struct endpoint at;
	struct session session;
	uint64_t number;             /* of the last datagram sent */
	uint64_t heard_ms, greeted_ms; /* monotonic; 0 = never */
	bool up;
	uint8_t wants, got;          /* copies asked for, and the last that came */
	uint64_t asked_ms;           /* when everything was asked for */
	int64_t missing;             /* datagrams since then */
	/* The copy that it gets of us. */
	uint8_t asked, gave;
	bool giving, stalled;        /* stalled: no more in this pass of the sweep */
	uint64_t cursor;             /* the place in the table up to which it has it */
	struct rate send, receive;
	uint8_t out[WIRE_DATAGRAM_MAX];
	size_t length;               /* of `out`; 0 = empty */
	unsigned records;            /* in it */
	struct peers_view counts;
};

struct peers {
	struct agent *agent;
	char *local;
	uint64_t identity, epoch;
	struct endpoint bind;
	struct hash_key secret;
	struct seal *seal;
	struct dataplane_peer *program;
	int fd;
	struct event *readable, *timer;
	struct vec(struct link *) links;
	uint64_t *known4, *known6;   /* by entry: what the peers were told, or told us */
	struct ways {
		struct addr clients[PEERS_WAYS_MAX]; /* one of each network */
		size_t count;
	} ways4, ways6;
	uint64_t started_ms;
	uint64_t strangers;
};

bool rate_take(struct rate *r, uint64_t now_ms, uint32_t per_second);

/* peers_link.c */
/* Has the link room for another record, perhaps after its datagram is sent? Not when it has sent too much lately. */
bool link_has_room(struct link *l);
void link_flush(struct link *l);
void link_greet(struct link *l);
/* Reads what there is, PEERS_TURN datagrams at most. */
void links_read(struct peers *p);

/* peers_records.c */
/* Puts the records of a datagram into the flow table. */
void records_take(struct link *l, const uint8_t *data, size_t length);

#endif
