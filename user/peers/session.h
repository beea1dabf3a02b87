/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What was heard of one peer, against replay: each start of a balancer is an epoch, larger than those before; a datagram
 * counts only if it names the epoch of both ends and a number that was not seen. Who records datagrams can play them back
 * to nobody: not to the same process (number), nor to the next one (epoch of the receiver). Pure; time is the caller's.
 */
#ifndef PEERS_SESSION_H
#define PEERS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "peers/wire.h"

enum { SESSION_WINDOW = 64 }; /* datagrams that may come out of order */

struct session {
	uint64_t epoch;    /* of the peer; 0 = never heard */
	uint64_t top, seen; /* the highest number, and a bit for each of the SESSION_WINDOW up to it; top 0 = none yet */
};

enum session_answer {
	SESSION_TAKE,
	SESSION_GREETING,  /* it does not know our epoch: nothing in it counts, but it ought to be told */
	SESSION_STALE,     /* of an epoch that is over */
	SESSION_REPLAYED,  /* a number that was seen, or is too old to tell */
};

/*
 * own: our epoch. *ret_new: the peer has begun anew. *ret_missing: datagrams that a later one overtook; -1: one of them
 * has come after all.
 */
enum session_answer session_hear(struct session *s, uint64_t own, const struct wire_header *h, bool *ret_new,
				 int64_t *ret_missing);

#endif
