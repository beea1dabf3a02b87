/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ends TCP connections from between their two ends, without knowing their sequence numbers. An end that is in the middle
 * of a connection answers a SYN with a challenge ACK (RFC 5961, section 4.2), whatever numbers the SYN has. That ACK
 * comes to us, belongs to nothing we know, and is answered with a RST that is exactly in order: by the program for a
 * service's address, by the kernel for an own one. So an end that sends nothing, because it waits in read(), learns at
 * once that nobody will answer.
 *
 * Called by the agent, which has dropped the connection from the flow table before. Needs CAP_NET_RAW when it is made.
 */
#ifndef NET_CHALLENGE_H
#define NET_CHALLENGE_H

#include "base/addr.h"

struct challenge;

struct challenge_stats {
	uint64_t sent, failed; /* failed: no route, no buffers, ... */
};

/* 0 or -errno. A family that the kernel lacks is left out. */
int challenge_new(struct challenge **ret);
void challenge_free(struct challenge *c); /* takes NULL */
/* Provokes the end `to` of the connection that it has with `from`. Never blocks. 0 or -errno. */
int challenge_send(struct challenge *c, const struct endpoint *from, const struct endpoint *to);
void challenge_stats(const struct challenge *c, struct challenge_stats *ret);

#endif
